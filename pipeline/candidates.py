"""Dedup: signatures of all shards in, components of candidate duplicates out. Nothing is removed here.

Documents that share a key (proposals.py) form a component. Dense ids are (shard << 32) + row,
where shards are numbered in the order of their names.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dedup.components import candidate_edges, components
from pipeline.exchange import RunWriter, key_partition, read_partition
from pipeline.files import TableWriter, aligned_batches, read_batches
from pipeline.ledger import Entry
from pipeline.proposals import DOCUMENT_COLUMNS, SIGNATURE_COLUMNS, proposed_keys
from pipeline.schemas import CANDIDATES

RULE_VERSION = 2
MEMORY_BYTES = 1_500_000_000
ROWS_PER_PARTITION = 8_000_000

KEYS = pa.schema([("key", pa.uint64()), ("document", pa.uint64())])
EDGES = pa.schema([("left", pa.uint64()), ("right", pa.uint64())])
MEMBERS = pa.schema([("document", pa.uint64()), ("component", pa.uint64()), ("size", pa.int64())])


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
    tables = [(Path(signatures), list(SIGNATURE_COLUMNS)), (Path(documents), list(DOCUMENT_COLUMNS))]
    with RunWriter(Path(run), KEYS, partitions) as out:
        for signature, document in aligned_batches(tables):
            keys, owners = proposed_keys(document, signature, kinds, scope, sources)
            ids = dense_ids(shard_index, row, document.num_rows)[owners]
            rows = pa.RecordBatch.from_arrays([pa.array(keys), pa.array(ids)], schema=KEYS)
            out.write(rows, key_partition(keys, partitions))
            row += document.num_rows
    entry.read = entry.written = row
    entry.seconds = time.perf_counter() - started
    entry.save(Path(folder))
    return entry.__dict__


def reduce_keys(shard: str, partition: int, runs: list[str], folder: str, run: str) -> dict[str, Any]:
    """Write the candidate edges among the documents of one range of keys: at most k-1 for k equal keys."""
    started = time.perf_counter()
    entry = Entry(shard, "dedup: edges")
    rows = read_partition([Path(path) for path in runs], partition, KEYS)
    left, right = candidate_edges(rows.column("key").to_numpy(), rows.column("document").to_numpy())
    with RunWriter(Path(run), EDGES, 1) as out:
        edges = pa.RecordBatch.from_arrays([pa.array(left), pa.array(right)], schema=EDGES)
        out.write(edges, np.zeros(len(left), np.int64))
    entry.read = rows.num_rows
    entry.written = len(left)
    entry.reject("no_new_edge", count=rows.num_rows - len(left))
    entry.seconds = time.perf_counter() - started
    entry.save(Path(folder))
    return entry.__dict__


def find_components(shard: str, runs: list[str], folder: str, run: str, shards: int) -> dict[str, Any]:
    """Join all edges into components and route their members back to the shards that they came from."""
    started = time.perf_counter()
    entry = Entry(shard, "dedup: components")
    edges = read_partition([Path(path) for path in runs], 0, EDGES)
    members, labels, sizes = components(edges.column("left").to_numpy(), edges.column("right").to_numpy())
    with RunWriter(Path(run), MEMBERS, shards) as out:
        batch = pa.RecordBatch.from_arrays([pa.array(members), pa.array(labels), pa.array(sizes)], schema=MEMBERS)
        out.write(batch, (members >> np.uint64(32)).astype(np.int64))
    entry.read = entry.written = len(members)
    entry.notes = {"edges": edges.num_rows, "components": len(np.unique(labels)), "largest": int(sizes.max(initial=0))}
    entry.seconds = time.perf_counter() - started
    entry.save(Path(folder))
    return entry.__dict__


def write_candidates(
    shard: str, shard_index: int, signatures: str, run: str, folder: str, inputs: list[dict[str, Any]]
) -> dict[str, Any]:
    """Write one shard's candidates table: its members of components, in the order of its documents."""
    started = time.perf_counter()
    entry = Entry(shard, "dedup", inputs=inputs)
    members = read_partition([Path(run)], shard_index, MEMBERS)
    rows = (members.column("document").to_numpy() & np.uint64(0xFFFFFFFF)).astype(np.int64)
    order = np.argsort(rows, kind="stable")
    rows, members = rows[order], members.take(pa.array(order))
    start = 0
    with TableWriter(Path(folder) / f"{shard}.parquet", CANDIDATES) as out:
        for batch in read_batches(Path(signatures), ["id"]):
            low, high = np.searchsorted(rows, [start, start + batch.num_rows])
            here = members.slice(low, high - low).combine_chunks()
            columns = [
                batch.column("id").take(pa.array(rows[low:high] - start)),
                pa.array(rows[low:high].astype(np.int32)),
                *(here.column(name).combine_chunks() for name in ("component", "size")),
            ]
            out.write(pa.RecordBatch.from_arrays(columns, schema=CANDIDATES))
            start += batch.num_rows
    entry.read, entry.written = start, out.rows
    entry.reject("not_a_candidate", count=start - len(rows))
    entry.notes["largest_component"] = pc.max(members.column("size")).as_py() or 0
    entry.output("candidates", out.written())
    entry.seconds = time.perf_counter() - started
    entry.save(Path(folder))
    return entry.__dict__
