"""Runs of the embedded sample that several modules look at."""

from __future__ import annotations

import csv
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from pipeline.cli import main
from pipeline.progress import Progress
from pipeline.recipe import find_recipe, load_recipe
from pipeline.run import Run
from pipeline.run_folder import read_run
from pipeline.runner import InProcessRunner
from pipeline.steps import Finished
from pipeline.web.warc import read_records

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "tests" / "data" / "sample.warc.gz"
SAMPLE_ROBOTS = ROOT / "tests" / "data" / "sample-robots.warc.gz"
TRUTH = ROOT / "tests" / "data" / "sample.tsv"
TRAFILATURA = ("extract.extractor=trafilatura",)
REAL_WARCS = ROOT.parent / "shared" / "data" / "dev" / "warc"


class Quiet(Progress):
    """Progress that keeps its lines."""

    def __init__(self, out: Path | None = None) -> None:
        super().__init__(out)
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@dataclass
class SampleRun:
    """A finished run of a recipe over the sample."""

    out: Path
    job: Run
    done: dict[str, Finished]

    def rows(self, table: str) -> list[dict[str, Any]]:
        return table_rows(self.out, table)


def table_rows(out: Path, table: str, recipe: str | None = None) -> list[dict[str, Any]]:
    """All rows of a table of a run, shard after shard."""
    record = read_run(out)
    assert record
    folder = out / record["recipes"][recipe or record["latest"]]["tables"][table]
    files = [str(path) for path in sorted(folder.glob("*.parquet"))]
    return list(ds.dataset(files, format="parquet").to_table().to_pylist()) if files else []


def table_bytes(out: Path) -> dict[str, bytes]:
    """The bytes of all tables of a run: what must not depend on workers, order or interruptions."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.parquet"))}


def execute(out: Path, inputs: list[Path], recipe: str = "demo", overrides: tuple[str, ...] = (), **stages: str) -> Run:
    """Run a recipe in this process."""
    job = Run(load_recipe(find_recipe(recipe), overrides), out, InProcessRunner(), Quiet())
    job.execute([str(path) for path in inputs], **stages)
    return job


def truth() -> list[dict[str, str]]:
    """The sample's truth table."""
    with open(TRUTH, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}


def command(out: Path, inputs: list[Path] | list[str], *more: str) -> list[str]:
    given = [word for item in inputs for word in ("--input", str(item))]
    return [sys.executable, "-m", "pipeline.cli", "run", "demo", "--out", str(out), *given, *more]


def split_sample(folder: Path, parts: int) -> list[Path]:
    """The sample's records dealt out to several WARC files, each record's gzip member as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    data = SAMPLE.read_bytes()
    pieces: list[list[bytes]] = [[] for _ in range(parts)]
    for number, record in enumerate(read_records(str(SAMPLE), 8_000_000)):
        pieces[number % parts].append(data[record.offset : record.offset + record.length])
    paths = [folder / f"part-{number}.warc.gz" for number in range(parts)]
    for path, members in zip(paths, pieces, strict=True):
        path.write_bytes(b"".join(members))
    return paths


def run_cli(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """The command line in this process: exit code, what it printed, and its errors."""
    monkeypatch.setattr("sys.argv", ["kamisuki", *arguments])
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory) -> SampleRun:
    """The demo recipe over the sample, once for all tests that only look."""
    out = tmp_path_factory.mktemp("sample") / "out"
    job = Run(load_recipe(find_recipe("demo")), out, InProcessRunner(), Quiet())
    done = job.execute([str(SAMPLE)], robots=[str(SAMPLE_ROBOTS)])
    return SampleRun(out, job, done)


@pytest.fixture(scope="session")
def trafilatura_run(tmp_path_factory) -> SampleRun:
    """The same with the other extractor."""
    out = tmp_path_factory.mktemp("trafilatura") / "out"
    job = Run(load_recipe(find_recipe("demo"), TRAFILATURA), out, InProcessRunner(), Quiet())
    return SampleRun(out, job, job.execute([str(SAMPLE)]))


@pytest.fixture(scope="session")
def parts(tmp_path_factory) -> list[Path]:
    """The sample cut into six WARC files."""
    return split_sample(tmp_path_factory.mktemp("parts"), 6)


@pytest.fixture(scope="session")
def reference(parts, tmp_path_factory) -> dict[str, bytes]:
    """The tables of an undisturbed run over the six."""
    out = tmp_path_factory.mktemp("reference")
    execute(out, parts)
    return table_bytes(out)
