"""Host rates: which share of a host's documents has a property, added up over all shards through the file exchange."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from filters.rules import Rule, column_of, fails, limits_of
from pipeline.exchange import Runs, RunWriter, key_partition, read_partition, run_places
from pipeline.files import TableWriter, aligned_batches, read_batches
from pipeline.ledger import Entry
from pipeline.schemas import signals_schema
from pipeline.select_settings import HostRate
from pipeline.storage.places import as_place

RULE_VERSION = 1
MEMORY_BYTES = 1_500_000_000
ROWS_PER_PARTITION = 8_000_000

Rates = Mapping[str, Mapping[str, Any]]


def run_schema(rates: Rates) -> pa.Schema:
    """Rows of the exchange: a host of a shard, its documents, and by rate how many of them count."""
    hosts = [("host", pa.uint64()), ("shard", pa.uint32()), ("documents", pa.int64())]
    return pa.schema([*hosts, *((name, pa.int64()) for name in rates)])


def count_shard(
    shard: str,
    shard_index: int,
    documents: str,
    signals: list[tuple[str, list[str]]],
    rates: dict[str, dict[str, Any]],
    folder: str,
    run: str,
    partitions: int,
) -> dict[str, Any]:
    """Count a shard's documents by host, and by rate those whose value counts; a value that is null does not."""
    started = time.perf_counter()
    entry = Entry(shard, "select: host counts")
    chosen = {name: HostRate(**rate) for name, rate in rates.items()}
    tables = {name for _, names in signals for name in names}
    own = {rate.signal for rate in chosen.values()} - tables
    sources = [(as_place(documents), sorted({"host", *own})), *((as_place(path), names) for path, names in signals)]
    hosts = [np.zeros(0, np.uint64)]
    counted = [np.zeros((0, len(chosen)), np.int64)]
    for batches in aligned_batches(sources):
        columns = pa.RecordBatch.from_pydict(
            {name: batch.column(name) for batch in batches for name in batch.schema.names}
        )
        hosts.append(_hashes(columns.column("host")))
        counted.append(np.stack([_counts(columns, rate) for rate in chosen.values()], axis=1))
        entry.read += columns.num_rows
    found, where = np.unique(np.concatenate(hosts), return_inverse=True)
    sums = np.zeros((len(found), 1 + len(chosen)), np.int64)
    np.add.at(sums[:, 0], where, 1)
    np.add.at(sums[:, 1:], where, np.concatenate(counted))
    schema = run_schema(rates)
    columns_out = [pa.array(found), pa.array(np.full(len(found), shard_index, np.uint32)), *map(pa.array, sums.T)]
    with RunWriter(as_place(run), schema, partitions) as out:
        out.write(pa.RecordBatch.from_arrays(columns_out, schema=schema), key_partition(found, partitions))
    entry.written = entry.read
    entry.notes["hosts"] = len(found)
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


def add_up(
    shard: str, partition: int, runs: Runs, rates: dict[str, dict[str, Any]], folder: str, run: str, shards: int
) -> dict[str, Any]:
    """Add up the counts of one range of hosts over all shards, and tell each shard the sums of its own hosts."""
    started = time.perf_counter()
    entry = Entry(shard, "select: host sums")
    schema = run_schema(rates)
    rows = read_partition(run_places(runs), partition, schema)
    hosts, where = np.unique(rows.column("host").to_numpy(), return_inverse=True)
    owners = rows.column("shard")
    sums = [pa.array(np.bincount(where, rows.column(name).to_numpy(), len(hosts)).astype(np.int64)) for name in
            ("documents", *rates)]  # fmt: skip
    told = pa.RecordBatch.from_arrays(
        [
            rows.column("host").combine_chunks(),
            owners.combine_chunks(),
            *(column.take(pa.array(where)) for column in sums),
        ],
        schema=schema,
    )
    with RunWriter(as_place(run), schema, shards) as out:
        out.write(told, owners.to_numpy().astype(np.int64))
    entry.read = entry.written = rows.num_rows
    entry.notes["hosts"] = len(hosts)
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


def write_rates(
    shard: str,
    shard_index: int,
    documents: str,
    runs: Runs,
    rates: dict[str, dict[str, Any]],
    folder: str,
    inputs: list[dict[str, Any]],
) -> dict[str, Any]:
    """Write the rates of each document's host, a row a document; null where the host has too few documents."""
    started = time.perf_counter()
    entry = Entry(shard, "select: host rates", inputs=inputs)
    sums = read_partition(run_places(runs), shard_index, run_schema(rates)).sort_by("host")
    hosts, totals = sums.column("host").to_numpy(), sums.column("documents").to_numpy()
    schema = signals_schema([(name, pa.float64()) for name in rates])
    with TableWriter(as_place(folder) / f"{shard}.parquet", schema) as out:
        for batch in read_batches(as_place(documents), ["id", "host"]):
            place = np.searchsorted(hosts, _hashes(batch.column("host")))
            columns = [
                pa.array(
                    sums.column(name).to_numpy()[place] / totals[place],
                    mask=totals[place] < rate["least_documents"],
                )
                for name, rate in rates.items()
            ]
            out.write(pa.RecordBatch.from_arrays([batch.column("id"), *columns], schema=schema))
            entry.read += batch.num_rows
            entry.written += batch.num_rows
    entry.output("signals", out.written())
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


def _hashes(hosts: pa.Array) -> npt.NDArray[np.uint64]:
    return np.array([xxhash.xxh3_64_intdigest((host or "").encode()) for host in hosts.to_pylist()], np.uint64)


def _counts(columns: pa.RecordBatch, rate: HostRate) -> npt.NDArray[np.bool_]:
    rule = Rule(rate.signal, **rate.limits())
    column = column_of(columns, rule)
    fails_one = [fails(column, rule, limit) for limit in limits_of(rule)]
    return np.asarray(column.is_valid().to_numpy(zero_copy_only=False) & ~np.any(fails_one, axis=0), bool)
