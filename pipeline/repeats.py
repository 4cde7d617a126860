"""Repeats: lines that stand in many documents of the corpus are counted through the file exchange, and cut."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dedup.repeats import documents_of, in_runs, runs_of, units
from pipeline.dedup_settings import Repeats
from pipeline.edits import Edit
from pipeline.exchange import Runs, RunWriter, key_partition, read_partition, run_places
from pipeline.files import TableWriter, aligned_batches
from pipeline.ledger import Entry
from pipeline.resolve import read_outcomes
from pipeline.schemas import REPEATS
from pipeline.storage.places import as_place

RULE_VERSION = 1
MEMORY_BYTES = 1_500_000_000
ROWS_PER_PARTITION = 8_000_000

COUNTS = pa.schema([("hash", pa.uint64()), ("shard", pa.uint32()), ("documents", pa.int64())])
FREQUENT = pa.schema([("hash", pa.uint64()), ("documents", pa.int64())])


def count_shard(
    shard: str,
    shard_index: int,
    documents: str,
    verdicts: str,
    outcomes: Runs,
    folder: str,
    run: str,
    partitions: int,
    repeats: dict[str, Any],
) -> dict[str, Any]:
    """Write in how many of a shard's documents that come into the corpus each line stands, partitioned by its hash."""
    started = time.perf_counter()
    settings = Repeats(**repeats)
    entry = Entry(shard, "select: lines")
    removed, _ = read_outcomes(run_places(outcomes), shard_index)
    start = 0
    with RunWriter(as_place(run), COUNTS, partitions) as out:
        for document, verdict in aligned_batches([(as_place(documents), ["text"]), (as_place(verdicts), ["passed"])]):
            stays = pa.array([row not in removed for row in range(start, start + document.num_rows)], pa.bool_())
            texts = document.column("text").filter(pc.and_(verdict.column("passed"), stays))
            hashes, counts = documents_of(units(texts, settings.unit), settings.letters)
            shards = np.full(len(hashes), shard_index, np.uint32)
            batch = pa.RecordBatch.from_arrays([pa.array(hashes), pa.array(shards), pa.array(counts)], schema=COUNTS)
            out.write(batch, key_partition(hashes, partitions))
            entry.read += document.num_rows
            entry.written += len(texts)
            entry.reject("not_in_the_corpus", count=document.num_rows - len(texts))
            start += document.num_rows
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


def find_frequent(
    shard: str, partition: int, runs: Runs, folder: str, run: str, shards: int, most: int
) -> dict[str, Any]:
    """Add up the counts of one range of hashes, and tell each shard which of its lines stand in more documents."""
    started = time.perf_counter()
    entry = Entry(shard, "select: repeats")
    rows = read_partition(run_places(runs), partition, COUNTS)
    hashes, where = np.unique(rows.column("hash").to_numpy(), return_inverse=True)
    totals = np.zeros(len(hashes), np.int64)
    np.add.at(totals, where, rows.column("documents").to_numpy())
    is_frequent = totals > most
    frequent = [pa.array(hashes[is_frequent]), pa.array(totals[is_frequent])]
    with TableWriter(as_place(folder) / f"{shard}.parquet", REPEATS) as table:
        table.write(pa.RecordBatch.from_arrays(frequent, schema=REPEATS))
    told = is_frequent[where]
    owners = rows.column("shard").to_numpy()[told].astype(np.int64)
    pairs = np.unique(np.stack([owners, where[told]], axis=1), axis=0)
    with RunWriter(as_place(run), FREQUENT, shards) as out:
        columns = [pa.array(hashes[pairs[:, 1]]), pa.array(totals[pairs[:, 1]])]
        out.write(pa.RecordBatch.from_arrays(columns, schema=FREQUENT), pairs[:, 0])
    entry.read, entry.written = len(hashes), int(is_frequent.sum())
    entry.reject("rare", count=entry.read - entry.written)
    entry.output("repeats", table.written())
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


@dataclass(frozen=True, eq=False)
class RepeatCutter:
    """Cuts the frequent lines of one shard: `hashes`, sorted, and in how many `documents` each stands."""

    settings: Repeats
    hashes: np.ndarray
    documents: np.ndarray

    def edit(self, texts: pa.Array) -> dict[int, list[Edit]]:
        """As `pipeline.edits.Editor` says."""
        found = units(texts, self.settings.unit)
        if not len(self.hashes) or not len(found.hashes):
            return {}
        place = np.minimum(np.searchsorted(self.hashes, found.hashes), len(self.hashes) - 1)
        frequent = (self.hashes[place] == found.hashes) & (found.letters >= max(1, self.settings.letters))
        gone = in_runs(frequent, found.offsets, self.settings.run)
        changes = {}
        for row in np.unique(found.texts()[gone]).tolist():
            own = slice(found.offsets[row], found.offsets[row + 1])
            counts = self.documents[place[own]]
            changes[row] = [
                Edit(f"repeated_{self.settings.unit}s", start, end, "", f"in {int(counts[first:last].min())} documents")
                for start, end, first, last in reversed(
                    runs_of(texts[row].as_py(), self.settings.unit, gone[own].tolist())
                )
            ]
        return changes


def make_cutter(shard_index: int, runs: Runs, settings: dict[str, Any]) -> RepeatCutter:
    """The cutter of a shard, from the run files of `find_frequent` and the recipe's section."""
    frequent = read_partition(run_places(runs), shard_index, FREQUENT).sort_by("hash")
    hashes, documents = (frequent.column(name).to_numpy() for name in FREQUENT.names)
    return RepeatCutter(Repeats(**settings), hashes, documents)
