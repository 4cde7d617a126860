"""Dedup: signatures of all shards in, components of candidate duplicates out. Nothing is removed here.

Documents that share a key (proposals.py) form a component. Dense ids are (shard << 32) + row,
where shards are numbered in the order of their names.
"""

from __future__ import annotations

import time
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa

from dedup.shingles import mix
from pipeline.exchange import Runs, run_places
from pipeline.files import TableWriter, aligned_batches, read_batches
from pipeline.ledger import Entry
from pipeline.proposals import DOCUMENT_COLUMNS, SIGNATURE_COLUMNS, proposed_keys
from pipeline.schemas import CANDIDATES
from pipeline.sorted_runs import Groups, SortedRunWriter, groups, read_rows
from pipeline.storage.places import as_place

RULE_VERSION = 2
MEMORY_BYTES = 1_500_000_000
ROWS_PER_PARTITION = 6_000_000

# A bucket of more documents is a template, a notice or an empty page: it counts like any other and is named besides.
BUCKET_CAP = 10_000
BUCKETS_NAMED = 10


def dense_ids(shard_index: int, start: int, count: int) -> np.ndarray:
    """Dense ids of `count` rows of a shard from row `start` on, uint64."""
    return np.uint64(shard_index << 32) + np.arange(start, start + count, dtype=np.uint64)


def partition_keys(
    shard: str,
    shard_index: int,
    documents: str,
    signatures: str,
    folder: str,
    run: str,
    partitions: int,
    kinds: list[str],
    scope: str,
    sources: dict[str, str],
) -> dict[str, Any]:
    """Write the keys of one shard's documents into a run file, partitioned by range."""
    started = time.perf_counter()
    entry = Entry(shard, "dedup: keys")
    row = 0
    tables = [(as_place(signatures), list(SIGNATURE_COLUMNS)), (as_place(documents), list(DOCUMENT_COLUMNS))]
    with SortedRunWriter(as_place(run), partitions) as out:
        for signature, document in aligned_batches(tables):
            keys, owners = proposed_keys(document, signature, kinds, scope, sources)
            out.write(keys, dense_ids(shard_index, row, document.num_rows)[owners])
            row += document.num_rows
    entry.read = entry.written = row
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


def reduce_keys(shard: str, partition: int, partitions: int, runs: Runs, folder: str, run: str) -> dict[str, Any]:
    """Write the candidate edges among the documents of one range of keys: at most k-1 for k equal keys.

    An edge joins a document to the smallest one of its bucket. It is written as (mix(larger), smaller), the form in
    which `joining` takes it.
    """
    started = time.perf_counter()
    entry = Entry(shard, "dedup: edges")
    places = run_places(runs)
    buckets = Buckets([PurePosixPath(path.name).stem for path in places])
    with SortedRunWriter(as_place(run), partitions) as out:
        for group in groups(places, partition):
            leasts = group.leasts()
            joined = group.values != leasts
            out.write(mix(group.values[joined]), leasts[joined])
            buckets.add(group)
            entry.read += len(group.values)
    entry.written = out.rows
    entry.reject("no_new_edge", count=entry.read - entry.written)
    entry.notes = buckets.notes()
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


class Buckets:
    """Counts buckets of documents with one key, and names the largest of those over the cap."""

    def __init__(self, shards: list[str]) -> None:
        self.shards = shards
        self.counts = {"buckets": 0, "buckets_over_cap": 0, "documents_in_buckets_over_cap": 0, "largest_bucket": 0}
        self.named: list[dict[str, Any]] = []

    def add(self, group: Groups) -> None:
        """Count the buckets that begin here."""
        if not group.opens:
            return
        over = np.flatnonzero(group.size > BUCKET_CAP)
        self.counts["buckets"] += int((group.size > 1).sum())
        self.counts["buckets_over_cap"] += len(over)
        self.counts["documents_in_buckets_over_cap"] += int(group.size[over].sum())
        self.counts["largest_bucket"] = max(self.counts["largest_bucket"], int(group.size.max()))
        for index in over.tolist():
            start = group.starts[index]
            some = [self._name(document) for document in group.values[start : start + 3].tolist()]
            named = {"key": f"{group.keys[start]:016x}", "documents": int(group.size[index]), "such_as": some}
            self.named = largest_buckets([*self.named, named])

    def _name(self, document: int) -> str:
        return f"{self.shards[document >> 32]}, row {document & 0xFFFFFFFF}"

    def notes(self) -> dict[str, Any]:
        """What the ledger says of them."""
        return {**self.counts, "largest_over_cap": self.named} if self.named else dict(self.counts)


def largest_buckets(named: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The largest of named buckets, largest first."""
    return sorted(named, key=lambda bucket: (-bucket["documents"], bucket["key"]))[:BUCKETS_NAMED]


def write_candidates(
    shard: str, shard_index: int, signatures: str, members: Runs, folder: str, inputs: list[dict[str, Any]]
) -> dict[str, Any]:
    """Write one shard's candidates table: its members of components, in the order of its documents."""
    started = time.perf_counter()
    entry = Entry(shard, "dedup", inputs=inputs)
    found = read_rows(run_places(members), shard_index, columns=3)
    rows = (found[:, 0] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    start = 0
    with TableWriter(as_place(folder) / f"{shard}.parquet", CANDIDATES) as out:
        for batch in read_batches(as_place(signatures), ["id"]):
            low, high = np.searchsorted(rows, [start, start + batch.num_rows])
            columns = [
                batch.column("id").take(pa.array(rows[low:high] - start)),
                pa.array(rows[low:high].astype(np.int32)),
                pa.array(np.ascontiguousarray(found[low:high, 1])),
                pa.array(found[low:high, 2].astype(np.int64)),
            ]
            out.write(pa.RecordBatch.from_arrays(columns, schema=CANDIDATES))
            start += batch.num_rows
    entry.read, entry.written = start, out.rows
    entry.reject("not_a_candidate", count=start - len(rows))
    entry.notes["largest_component"] = int(found[:, 2].max(initial=0))
    entry.output("candidates", out.written())
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__
