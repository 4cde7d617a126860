"""Mixes and packs made by hand: a few releases, and manifests over them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from pipeline.mix_run import make_mix, make_pack
from pipeline.progress import Progress
from pipeline.release.derived_record import Derived
from pipeline.runner import InProcessRunner
from tests.release.handmade import hostile_rows, make_release, row


def quiet() -> Progress:
    return Progress(stream=io.StringIO())


def make_releases(folder: Path) -> None:
    """Three releases: a large one with hostile rows in several files and cells, one of code, and a small one."""
    web = [row(number) for number in range(300)] + hostile_rows()
    code = [row(1000 + number, language="python", license="MIT", text=f"def f{number}():\n    return {number}\n" * 3)
            for number in range(120)]  # fmt: skip
    small = [row(2000 + number, license_tier="government") for number in range(40)]
    make_release(folder / "web", web, files=4)
    make_release(folder / "code", code, name="code", seed=9, files=3)
    make_release(folder / "small", small, name="small", files=1)


def write_manifest(path: Path, **keys: Any) -> Path:
    """A manifest with these keys."""
    path.write_text(yaml.safe_dump(keys, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def mix_of(path: Path, to: Any, force: bool = False, runner: Any = None) -> Derived:
    return make_mix(path, to, runner or InProcessRunner(), quiet(), force)


def pack_of(path: Path, to: Any, force: bool = False, runner: Any = None) -> Derived:
    return make_pack(path, to, runner or InProcessRunner(), quiet(), force)


def rows_of_files(place: Path, record: Derived) -> list[dict[str, Any]]:
    """All rows of a mix in the order of its files."""
    tables = [pq.read_table(place / file.path, partitioning=None) for file in record.files]
    return list(pa.concat_tables(tables).to_pylist())
