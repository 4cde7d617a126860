"""A release of a million rows: time of the processor, memory and size, beside DuckDB and datasets on the same rows.

    make bench-release [TABLES='runs/…/corpus-*/*.parquet'] [ROWS=1000000] [SCRATCH=build/release]

The rows are made from a corpus (benchmarks/release_rows.py), by default from that of the embedded sample, whose few
sentences compress better than those of a real one. Each side is a process of its own, and they take turns; seconds are
of the processor, of all its threads, with start-up; the peak is the system's, files that it maps included.

The others do less: `kamisuki release` also holds out hosts, counts licenses, sources and languages, writes checksums
and a manifest, and can be killed and go on. DuckDB sorts by a hash and writes a folder a license tier, with zstd of
level 3 as we do, and may take 2 GB of memory; datasets shuffles and writes shards, with snappy, as it always does, and
of the first FEW files alone, since it reads row by row. All leave out what refuses training.

"MB" are the values of all columns in memory (Arrow's, dictionaries written out), "of text" those of the text alone.

Exits with 1 where a side loses rows, or ours takes MOST_MEMORY or more.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

MOST_MEMORY = 1_500_000_000
FEW = 2

DUCKDB = """
import sys, duckdb
source, target, scratch = sys.argv[1:]
duckdb.execute(f"SET temp_directory = '{scratch}'; SET memory_limit = '2GB'; SET threads = 1")
duckdb.execute(f'''
    COPY (SELECT * FROM read_parquet('{source}') WHERE consent <> 'refused' ORDER BY hash(id))
    TO '{target}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3, PARTITION_BY (license_tier))
''')
"""
DATASETS = """
import glob, os, sys, datasets
source, target, scratch, few = sys.argv[1:]
datasets.disable_progress_bars()
files = sorted(glob.glob(source))[: int(few)]
rows = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=scratch)
rows = rows.filter(lambda said: [verdict != "refused" for verdict in said], input_columns="consent", batched=True)
rows = rows.shuffle(seed=1)
os.makedirs(target)
for number in range(8):
    rows.shard(8, number, contiguous=True).to_parquet(f"{target}/{number}.parquet")
"""


@dataclass(frozen=True)
class Took:
    """What a side took: seconds of the processor and of the clock, bytes of memory at most; rows and bytes written."""

    cpu: float
    wall: float
    peak: int
    rows: int
    size: int


def take(command: list[str], target: Path) -> Took:
    """Run a side to its end. Raises RuntimeError with what it said where it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[:4]}: {said.decode(errors='replace')[-2000:]}")
    files = list(target.rglob("*.parquet"))
    rows = sum(pq.read_metadata(path).num_rows for path in files)
    size = sum(path.stat().st_size for path in files)
    return Took(used.ru_utime + used.ru_stime, time.perf_counter() - started, used.ru_maxrss * 1024, rows, size)


def sides(out: Path, target: Path, scratch: Path) -> dict[str, list[str]]:
    """The command of each side."""
    python, source = sys.executable, str(out / "corpus-made" / "*.parquet")
    release = [python, "-m", "pipeline.cli", "release", str(out), "--to", str(target), "--workers", "0"]
    return {
        "kamisuki release": release,
        "DuckDB COPY": [python, "-c", DUCKDB, source, str(target), str(scratch)],
        "datasets shuffle": [python, "-c", DATASETS, source, str(target), str(scratch), str(FEW)],
    }


def main() -> None:
    """Make the rows, let each side take them in turn, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="*", default=[], help="Parquet files of a corpus to make the rows from")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--scratch", type=Path, default=Path("build/release"))
    given = parser.parse_args()
    scratch = given.scratch.resolve()
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        # The system counts what this process held as its children's too, so that it must stay small.
        out = scratch / "out"
        making = [sys.executable, "-m", "benchmarks.release_rows", str(scratch), str(given.rows), *given.tables]
        made = json.loads(subprocess.run(making, check=True, stdout=subprocess.PIPE).stdout)
        text, refused = made["text"], made["refused"]
        entries = sum(path.stat().st_size for path in out.rglob("*.parquet"))
        print(
            f"{given.rows:,} rows, {made['rows'] / 1e6:,.0f} MB of values, {text / 1e6:,.0f} MB of them text, "
            f"{entries / 1e6:,.0f} MB of Parquet to begin with"
        )
        print(f"{refused:,} refuse training and are left out")
        took: dict[str, list[Took]] = {}
        for _ in range(given.rounds):
            for name in sides(out, scratch, scratch):
                target, working = scratch / "target", scratch / "working"
                working.mkdir()
                took.setdefault(name, []).append(take(sides(out, target, working)[name], target))
                shutil.rmtree(target)
                shutil.rmtree(working)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    best = {name: min(each, key=lambda one: one.cpu) for name, each in took.items()}
    ours = best["kamisuki release"]
    print(
        f"{'':18} {'rows':>9} {'CPU s':>7} {'MB a CPU s':>11} {'of text':>8} {'CPU of ours':>12} {'peak MB':>8} "
        f"{'MB out':>7}"
    )
    for name, one in best.items():
        share = one.rows / (given.rows - refused)
        speed, of_text = made["rows"] / 1e6 * share / one.cpu, text / 1e6 * share / one.cpu
        slower = one.cpu / one.rows / (ours.cpu / ours.rows)
        print(
            f"{name:18} {one.rows:9,} {one.cpu:7.1f} {speed:11.1f} {of_text:8.1f} {slower:11.2f}x "
            f"{one.peak / 1e6:8,.0f} {one.size / 1e6:7,.0f}"
        )
    lost = {name: one.rows for name, one in list(best.items())[:2] if one.rows != given.rows - refused}
    if lost:
        raise SystemExit(f"{json.dumps(lost)} rows came out of {given.rows - refused}")
    if ours.peak >= MOST_MEMORY:
        raise SystemExit(f"ours took {ours.peak:,} bytes of memory, and may take {MOST_MEMORY:,}")


if __name__ == "__main__":
    main()
