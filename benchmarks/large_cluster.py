"""What one cluster costs to resolve as it grows: seconds and peak memory of resolve at several numbers of members.

    make bench-cluster [MEMBERS='12500 25000 50000 100000']

Every page is a text of 1,000 letters made of its number. In `near-identical` 0.3 % of its letters are changed, so that
nearly all pages are duplicates of the first; in `spread` between none and 3 %, so that many survive and are met by
those who come after. Documents, signatures and verdicts are real tables; sign, dedup and resolve are the pipeline's own
tasks, resolve in a process of its own, whose peak memory is that of the system's accounting.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import candidates, joining, resolve, sign
from pipeline.dedup_settings import Dedup, Signature
from pipeline.files import TableWriter
from pipeline.ledger import load_entry
from pipeline.schemas import DOCUMENTS, VERDICTS

LETTERS = np.array([chr(code) for code in range(0x4E00, 0x4E00 + 2_000)])
LENGTH = 1_000
# The share of letters that are changed, lowest and highest.
CHANGED = {"near-identical": (0.003, 0.003), "spread": (0.0, 0.03)}
DEDUP = Dedup(signature=Signature(preset="swallow"), kinds=("exact", "near"))


def text_of(number: int, case: str) -> str:
    """The text of a page: that of the cluster with some letters changed, by its number alone."""
    letters = np.random.default_rng(7).choice(LETTERS, LENGTH)
    random = np.random.default_rng([number, 11])
    low, high = CHANGED[case]
    places = random.choice(LENGTH, int(LENGTH * (low + (high - low) * random.random())), replace=False)
    letters[places] = random.choice(LETTERS, len(places))
    return "".join(letters)


def write_tables(folder: Path, members: int, case: str) -> None:
    """Documents and verdicts of one shard."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    with (
        TableWriter(folder / "documents.parquet", DOCUMENTS) as documents,
        TableWriter(folder / "verdicts.parquet", VERDICTS) as verdicts,
    ):
        for low in range(0, members, 2_000):
            rows = range(low, min(members, low + 2_000))
            given = {
                "id": [f"{row:08}" for row in rows],
                "url": [f"https://{row}.example/" for row in rows],
                "text": [text_of(row, case) for row in rows],
                "fetched_at": [start + timedelta(seconds=row) for row in rows],
            }
            columns = [
                pa.array(given.get(name, [None] * len(rows)), DOCUMENTS.field(name).type) for name in DOCUMENTS.names
            ]
            documents.write(pa.RecordBatch.from_arrays(columns, schema=DOCUMENTS))
            passed = {"id": given["id"], "passed": [True] * len(rows)}
            columns = [
                pa.array(passed.get(name, [None] * len(rows)), VERDICTS.field(name).type) for name in VERDICTS.names
            ]
            verdicts.write(pa.RecordBatch.from_arrays(columns, schema=VERDICTS))


def prepare(folder: Path, members: int, case: str) -> float:
    """Everything up to the candidates with their texts in one run file; returns the seconds of the exchange's tasks."""
    write_tables(folder, members, case)
    documents, signatures = str(folder / "documents.parquet"), str(folder / "signatures.parquet")
    parameters = DEDUP.signature.numbers()
    sign.sign_shard("signatures", documents, str(folder), [], parameters)
    started = time.perf_counter()
    run = {name: str(folder / f"{name}.run") for name in ("keys", "edges", "members/all", "texts")}
    kinds: list[str] = list(DEDUP.kinds)
    candidates.partition_keys("keys", 0, documents, signatures, str(folder), run["keys"], 1, kinds, "all", {})
    candidates.reduce_keys("edges", 0, 1, [run["keys"]], str(folder), run["edges"])
    joining.join_in_memory("members", [run["edges"]], str(folder), run["members/all"], 1)
    candidates.write_candidates("candidates", 0, signatures, [run["members/all"]], str(folder), [])
    resolve.gather_candidates(
        "texts", 0, documents, signatures, [], str(folder / "verdicts.parquet"), str(folder / "candidates.parquet"),
        str(folder), run["texts"], 1, settings(),
    )  # fmt: skip
    return time.perf_counter() - started


def settings() -> dict[str, Any]:
    """The section `dedup` as tasks take it."""
    return DEDUP.model_dump(mode="json", exclude={"rehydrate", "repeats"})


def resolve_here(folder: Path) -> None:
    """Resolve in this process, and print seconds of CPU and megabytes at the peak."""
    started = time.process_time()
    resolve.resolve_partition(
        "duplicates", 0, [str(folder / "texts.run")], str(folder), str(folder / "outcomes" / "0.run"), 1, settings()
    )
    print(time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


def main(sizes: list[int]) -> None:
    print("| case | members | removed | passes | comparisons left out | exchange, s | resolve, s | peak, MB |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for case in CHANGED:
        for members in sizes:
            with tempfile.TemporaryDirectory() as made:
                folder = Path(made)
                exchange = prepare(folder, members, case)
                command = [sys.executable, "-m", "benchmarks.large_cluster", "--resolve", str(folder)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                seconds, megabytes = map(float, done.stdout.split())
                entry = load_entry(folder, "duplicates")
                assert entry is not None
                passes, left_out = entry.notes["most_passes"], entry.notes["comparisons_left_out"]
                row = f"| {case} | {members:,} | {entry.written:,} | {passes} | {left_out:,} | {exchange:.1f} "
                print(row + f"| {seconds:.1f} | {megabytes:,.0f} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--resolve"]:
        resolve_here(Path(sys.argv[2]))
    else:
        main([int(size) for size in sys.argv[1:]] or [12_500, 25_000, 50_000, 100_000])
