"""Where kamisuki's own time goes: reading and gate and the whole extract stage beside FastWARC alone, and each step.

    python -m benchmarks.reading_time FOLDER      # a folder of .warc.gz files

All sides read the same files in turn in one process; of each the least processor time of several turns counts. Steps
are of the pages that became documents: the median over pages of the least time of a step in several turns.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from fastwarc import ArchiveIterator
from fastwarc.warc import WarcRecordType

from pipeline.extract import extract_shard
from pipeline.extract_settings import Extract
from pipeline.outcomes import Reject
from pipeline.plan import Input, Shard
from pipeline.recipe import load_recipe
from pipeline.responses import HTML_TYPES, PageReader
from pipeline.web.crawl_facts import with_crawl_facts
from pipeline.web.gate import may_be_japanese
from pipeline.web.warc import read_records

MOST_READING, MOST_STAGE, MOST_STEP_SECONDS, MOST_LICENSE_SECONDS = 1.5, 3.0, 0.7e-3, 0.2e-3
MAX_BODY_BYTES = 8_000_000
TURNS = 7
RECIPE = "configs/swallow-v2.yaml"


def fastwarc_alone(files: Sequence[Path]) -> None:
    """Every record parsed, HTTP headers included, and every response's body taken as bytes."""
    for path in files:
        with path.open("rb") as file:
            for record in ArchiveIterator(file):
                if record.record_type == WarcRecordType.response:
                    record.reader.read()


def reading(files: Sequence[Path]) -> None:
    for path in files:
        for _ in with_crawl_facts(read_records(str(path), MAX_BODY_BYTES)):
            continue


def reading_and_gate(files: Sequence[Path]) -> None:
    for path in files:
        for record in with_crawl_facts(read_records(str(path), MAX_BODY_BYTES)):
            if record.type == "response" and record.http_status == 200 and record.content_type in HTML_TYPES:
                may_be_japanese(record.body_view, record.http_charset, record.http_language, record.crawl_metadata)


def whole_stage(files: Sequence[Path]) -> None:
    """The stage as a run calls it, from one shard of all the files to the tables and the ledger entry on disk."""
    settings = load_recipe(RECIPE).extract.model_dump(mode="json")
    shard = Shard("all", tuple(Input(str(path), path.name, path.stat().st_size) for path in files))
    with tempfile.TemporaryDirectory() as folder:
        for name in ("documents", "rejects"):
            (Path(folder) / name).mkdir()
        extract_shard(asdict(shard), settings, f"{folder}/documents", f"{folder}/rejects")


SIDES: dict[str, Callable[[Sequence[Path]], None]] = {
    "FastWARC alone": fastwarc_alone,
    "reading": reading,
    "reading and gate": reading_and_gate,
    "the whole extract stage": whole_stage,
}


@dataclass
class StepTimes:
    """A stopwatch that keeps each step's seconds of the page at hand."""

    steps: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def time(self, step: str, since: float) -> float:
        now = time.perf_counter()
        self.steps[step] += now - since
        return now


def step_medians(files: Sequence[Path], settings: Extract) -> dict[str, float]:
    """Median seconds of each step over the pages that become documents."""
    pages: dict[str, list[dict[str, float]]] = defaultdict(list)
    reader: Any = PageReader(settings, {})
    for _ in range(3):
        for path in files:
            for record in read_records(str(path), MAX_BODY_BYTES):
                if record.type != "response":
                    continue
                reader.watch = StepTimes()
                outcome = reader.read(record, path.name, None)
                if not isinstance(outcome, Reject):
                    pages[outcome["id"]].append(dict(reader.watch.steps))
    names = next(iter(pages.values()))[0]
    return {name: median(min(turn[name] for turn in turns) for turns in pages.values()) for name in names}


def reading_report(files: Sequence[Path]) -> dict[str, bool]:
    """Print both tables; the promises and whether they are kept."""
    least = dict.fromkeys(SIDES, float("inf"))
    for _ in range(TURNS):
        for name, side in SIDES.items():
            started = time.process_time()
            side(files)
            least[name] = min(least[name], time.process_time() - started)
    alone = least["FastWARC alone"]
    size = sum(path.stat().st_size for path in files)
    print(f"\n| {size / 1e6:.0f} MB of gzip | processor seconds | times FastWARC alone |\n|---|---:|---:|")
    for name, seconds in least.items():
        print(f"| {name} | {seconds:.3f} | {seconds / alone:.2f} |")
    print("\n| step of a Japanese page | median, ms |\n|---|---:|")
    steps = step_medians(files, load_recipe(RECIPE).extract)
    for name, seconds in steps.items():
        print(f"| {name} | {seconds * 1e3:.3f} |")
    return {
        f"reading and gate at most {MOST_READING} times FastWARC alone": least["reading and gate"]
        <= MOST_READING * alone,
        f"the whole extract stage at most {MOST_STAGE:.0f} times": least["the whole extract stage"]
        <= MOST_STAGE * alone,
        f"no step above {MOST_STEP_SECONDS * 1e3} ms a Japanese page": max(steps.values()) <= MOST_STEP_SECONDS,
        f"license and consent at most {MOST_LICENSE_SECONDS * 1e3} ms": steps["license and consent"]
        <= MOST_LICENSE_SECONDS,
    }


if __name__ == "__main__":
    given = sorted(Path(sys.argv[1]).glob("*.warc.gz"))
    if not given:
        sys.exit(f"{sys.argv[1]} holds no .warc.gz files: name the folder warc of a benchmark folder")
    kept = reading_report(given)
    for promise, holds in kept.items():
        print(f"{promise}: {'kept' if holds else 'missed'}")
    sys.exit(0 if all(kept.values()) else 1)
