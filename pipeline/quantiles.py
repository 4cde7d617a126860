"""Quantiles: the value that parts off a share of a run's documents, from the top or the bottom, in bounded memory.

Each shard writes its values, sorted and each once with its count, and notes how many lie in each of 65,536 ranges. The
ranges of all shards tell in which one the value lies; one task then reads that range of every shard.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.entries import Done
from pipeline.exchange import Runs, RunWriter, partition_tables, run_places
from pipeline.files import read_batches
from pipeline.ledger import Entry
from pipeline.storage.places import as_place

RULE_VERSION = 2
MEMORY_BYTES = 1_500_000_000

VALUES = pa.schema([("key", pa.uint64()), ("documents", pa.int64())])

_SIGN = np.uint64(1 << 63)
_RANGE_BITS = np.uint64(48)


def sortable(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    """Keys in the order of the numbers (no NaN): -0.0 counts as 0.0."""
    bits = (values + 0.0).view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def number_of(key: int) -> float:
    """The number of a key."""
    bits = np.uint64(key)
    return float(np.array([bits & ~_SIGN if bits & _SIGN else ~bits], np.uint64).view(np.float64)[0])


def sort_values(
    shard: str, signals: str, signal: str, folder: str, run: str, inputs: list[dict[str, Any]]
) -> dict[str, Any]:
    """Write the values of one shard's signal, sorted, and note how many lie in each range; null and NaN are none."""
    started = time.perf_counter()
    entry = Entry(shard, "select: values", inputs=inputs)
    parts = [np.zeros(0, np.float64)]
    for batch in read_batches(as_place(signals), [signal]):
        values = batch.column(0).cast(pa.float64()).drop_null().to_numpy(zero_copy_only=False)
        parts.append(values[~np.isnan(values)])
        entry.read += batch.num_rows
    keys, counts = np.unique(sortable(np.concatenate(parts)), return_counts=True)
    with RunWriter(as_place(run), VALUES, 1) as out:
        batch = pa.RecordBatch.from_arrays([pa.array(keys), pa.array(counts.astype(np.int64))], schema=VALUES)
        out.write(batch, np.zeros(len(keys), np.int64))
    ranges, first = np.unique(keys >> _RANGE_BITS, return_index=True)
    sums = np.add.reduceat(counts, first) if len(first) else np.zeros(0, np.int64)
    entry.notes["ranges"] = {str(name): int(count) for name, count in zip(ranges.tolist(), sums.tolist(), strict=True)}
    entry.written = int(counts.sum())
    entry.reject("not_measured", count=entry.read - entry.written)
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


def range_of(entries: Iterable[Entry | Done], share: float, end: str) -> tuple[int, int] | None:
    """The range that holds the value that parts off `share` of all documents, and how many it must give from that end.

    At least one document is kept; None where no document has a value.
    """
    ranges: Counter[int] = Counter()
    for entry in entries:
        ranges.update({int(name): count for name, count in entry.notes["ranges"].items()})
    wanted = _wanted(share, ranges.total())
    for name in sorted(ranges, reverse=end == "top"):
        if ranges[name] >= wanted:
            return name, wanted
        wanted -= ranges[name]
    return None


def _wanted(share: float, documents: int) -> int:
    return round(share * documents) or 1


def value_at(values: npt.NDArray[np.float64], share: float, end: str) -> float | None:
    """The value that parts off `share` of an array, as `pick_value` finds it; NaN is none, None where all are."""
    known = values[~np.isnan(values)] + 0.0
    if not len(known):
        return None
    wanted = _wanted(share, len(known))
    place = len(known) - wanted if end == "top" else wanted - 1
    return float(np.partition(known, place)[place])


def pick_value(shard: str, runs: Runs, place: list[tuple[int, int] | None], end: str, folder: str) -> dict[str, Any]:
    """Note the value that `range_of` placed, as `value` in the ledger entry; null where there is none.

    `place` holds what `range_of` gave, alone: it is filled when the values of all shards are sorted.
    """
    started = time.perf_counter()
    entry = Entry(shard, "select: quantiles")
    value = None
    if place[0] is not None:
        name, wanted = place[0]
        low, high = np.uint64(name) << _RANGE_BITS, (np.uint64(name) << _RANGE_BITS) | np.uint64((1 << 48) - 1)
        parts = []
        for table in partition_tables(run_places(runs), 0):
            keys = table.column("key").to_numpy()
            first, last = np.searchsorted(keys, low), np.searchsorted(keys, high, side="right")
            parts.append(table.slice(first, last - first))
        found = pa.concat_tables(parts).sort_by([("key", "descending" if end == "top" else "ascending")])
        reached = np.cumsum(found.column("documents").to_numpy())
        value = number_of(found.column("key")[int(np.searchsorted(reached, wanted))].as_py())
    entry.notes["value"] = value
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__
