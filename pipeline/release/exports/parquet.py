"""Parquet data files of mixes and packs, and taking rows out of them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.files import TableWriter, read_batches

SUFFIX = ".parquet"


def holds(path: Path, ids: frozenset[str]) -> bool:
    """Whether a file has a row of one of the ids: only that column is read."""
    wanted = pa.array(sorted(ids), pa.string())
    return any(
        pc.any(pc.is_in(batch.column(0), value_set=wanted)).as_py() for batch in read_batches(path, ["id"], 65536)
    )


def without(path: Path, ids: frozenset[str], target: Path) -> int:
    """Write a file again without the rows of some ids. Returns how many rows went."""
    wanted, removed = pa.array(sorted(ids), pa.string()), 0
    with TableWriter(target, pq.read_schema(path)) as writer:
        for batch in read_batches(path):
            kept = batch.filter(pc.invert(pc.is_in(batch.column("id"), value_set=wanted)))
            removed += batch.num_rows - kept.num_rows
            writer.write(kept)
    return removed


def total(path: Path, column: str) -> int:
    """The sum of a column of numbers."""
    return sum(pc.sum(batch.column(0)).as_py() or 0 for batch in read_batches(path, [column], 65536))
