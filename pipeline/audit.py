"""Audit: how often each line, paragraph and document of a corpus occurs in it, counted through the file exchange."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dedup.repeats import UNITS, occurrences_of, split, units
from pipeline.exchange import Runs, RunWriter, key_partition, read_partition, run_places
from pipeline.files import TableWriter, read_batches
from pipeline.ledger import Entry
from pipeline.schemas import REPEATED
from pipeline.storage.places import as_place

RULE_VERSION = 1
MEMORY_BYTES = 2_000_000_000
ROWS_PER_PARTITION = 8_000_000
# How many units of each kind a batch and a partition name, and how many characters of each are shown.
EXAMPLES, EXAMPLE_CHARACTERS = 100, 80

# `text` is the beginning of a unit that is frequent within its batch, else null.
OCCURRENCES = pa.schema(
    [
        ("unit", pa.int8()),
        ("hash", pa.uint64()),
        ("occurrences", pa.int64()),
        ("letters", pa.int64()),
        ("text", pa.string()),
    ]
)


def count_units(shard: str, corpus: str, folder: str, run: str, partitions: int) -> dict[str, Any]:
    """Write how often each line, paragraph and text of one shard of a corpus occurs, partitioned by its hash.

    A page counts as often as its column `repeat` says that it is to be read, once where that is null.
    """
    started = time.perf_counter()
    entry = Entry(shard, "audit: units")
    with RunWriter(as_place(run), OCCURRENCES, partitions) as out:
        for batch in read_batches(as_place(corpus), ["text", "repeat"]):
            weights = batch.column("repeat").fill_null(1).to_numpy().astype(np.int64)
            for number, unit in enumerate(UNITS):
                hashes, occurrences, letters, first = occurrences_of(units(batch.column("text"), unit), weights)
                shown = _beginnings(batch.column("text"), unit, occurrences, letters, first)
                columns = [pa.array(np.full(len(hashes), number, np.int8)), pa.array(hashes), pa.array(occurrences)]
                rows = pa.RecordBatch.from_arrays([*columns, pa.array(letters), shown], schema=OCCURRENCES)
                out.write(rows, key_partition(hashes, partitions))
            entry.read += batch.num_rows
            entry.written += batch.num_rows
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


def _beginnings(
    texts: pa.Array, unit: str, occurrences: np.ndarray, letters: np.ndarray, first: np.ndarray
) -> pa.Array:
    """For the units that repeat most letters in a batch how they begin, else null: what is frequent is so in some."""
    shown = np.full(len(letters), None, object)
    most = np.lexsort((-letters, (1 - occurrences) * letters))[:EXAMPLES]
    parts = split(texts, unit)[0].take(pa.array(first[most]))
    shown[most] = [part.strip()[:EXAMPLE_CHARACTERS] for part in parts.to_pylist()]
    return pa.array(shown, pa.string())


def add_up(shard: str, partition: int, runs: Runs, folder: str, thresholds: list[int], times: int) -> dict[str, Any]:
    """Add up the occurrences of one range of hashes.

    Its table has the units that occur `times` or more; its notes say by unit how many letters there are, how many
    stand in units that occur as often as each threshold or more, and which units hold most letters beyond the first.
    """
    started = time.perf_counter()
    entry = Entry(shard, "audit")
    rows = read_partition(run_places(runs), partition, OCCURRENCES)
    letters_in: dict[str, dict[str, int]] = {}
    most: list[dict[str, Any]] = []
    with TableWriter(as_place(folder) / f"{shard}.parquet", REPEATED) as out:
        for number, unit in enumerate(UNITS):
            own = rows.filter(pc.equal(rows.column("unit"), number))
            hashes, first, where = np.unique(own.column("hash").to_numpy(), return_index=True, return_inverse=True)
            total = np.zeros(len(hashes), np.int64)
            np.add.at(total, where, own.column("occurrences").to_numpy())
            letters = own.column("letters").to_numpy()[first]
            weight = total * letters
            letters_in[unit] = {str(least): int(weight[total >= least].sum()) for least in [1, *thresholds]}
            often = np.flatnonzero(total >= times)
            names = pa.array([unit] * len(often), pa.string())
            shown = _one_of_each(own.column("text"), where, len(hashes))
            columns = [names, *(pa.array(values[often]) for values in (hashes, total, letters)), shown.take(often)]
            out.write(pa.RecordBatch.from_arrays(columns, schema=REPEATED))
            beyond = weight - letters
            for place in np.argsort(-beyond, kind="stable")[:EXAMPLES].tolist():
                if total[place] > 1:
                    named = {"unit": unit, "occurrences": int(total[place]), "letters": int(letters[place])}
                    most.append(named | {"text": shown[place].as_py()})
            entry.read += len(hashes)
            entry.written += len(often)
    entry.reject("rarer", count=entry.read - entry.written)
    entry.notes = {"letters": letters_in, "most": most}
    entry.output("repeated", out.written())
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


def _one_of_each(texts: pa.ChunkedArray, where: np.ndarray, count: int) -> pa.Array:
    """For each of `count` units the least beginning that its rows name, or null. where: the unit of each row."""
    table = pa.table({"unit": where, "text": texts}).filter(pc.is_valid(texts))
    least = pa.TableGroupBy(table, "unit").aggregate([("text", "min")])
    shown = np.full(count, None, object)
    shown[least.column("unit").to_numpy()] = least.column("text_min").to_pylist()
    return pa.array(shown, pa.string())
