"""The tasks of a release: counting a shard's rows, dealing them out by cell, split and key, writing one file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import KamisukiError
from pipeline.exchange import Runs, RunWriter, read_partition, run_places
from pipeline.files import TableWriter, open_parquet, read_batches
from pipeline.ledger import Entry
from pipeline.release.keys import TRAIN, VALIDATION, file_index, held_out, row_keys
from pipeline.release.layout import Part, Values
from pipeline.release.lineage import is_forbidden
from pipeline.release.tally import add_up, tally
from pipeline.storage.places import as_place, size_of
from pipeline.takedown_list import MATCHED_BY, TAKEN_DOWN, takedowns_in

RULE_VERSION = 1
MEMORY_BYTES = 1_000_000_000
KEY = "release_key"
ROWS_AT_ONCE = 16_384
# Sorted rows are copied about so many bytes at a time: what is in memory twice stays small.
TAKEN_BYTES = 64_000_000
# Why a row is left out of a release.
FORBIDDEN, REFUSED = "generator_forbids_training", "consent_refused"
TIER, SOURCE_TIER = "license_tier", "source_license_tier"


def table_schema(table: str) -> pa.Schema:
    """The schema of a table's file."""
    with open_parquet(as_place(table)) as file:
        return file.schema_arrow


def _read(table: str, columns: list[str] | None, rows: int = ROWS_AT_ONCE) -> Iterator[pa.RecordBatch]:
    return read_batches(as_place(table), columns, rows)


def left_out(batch: pa.RecordBatch, policy: dict[str, Any]) -> list[tuple[str, np.ndarray]]:
    """By reason which rows the policy leaves out, bool [n]; a row has the first reason that holds.

    What a model wrote whose license forbids training stays out whatever the policy lets in. A rewritten row carries
    the consent and the license tier of its source: where that is left out, so is the row.
    """
    reasons = []
    if "generator_training" in batch.schema.names:
        reasons.append((FORBIDDEN, _mask(is_forbidden(batch, policy["forbidding"]))))
    if policy["takedowns"] is not None:
        reasons.append((TAKEN_DOWN, takedowns_in(policy["takedowns"]).find(batch) >= 0))
    if not policy["refused_consent"] and "consent" in batch.schema.names:
        reasons.append((REFUSED, _mask(pc.equal(batch.column("consent"), "refused"))))
    if policy["license_tiers"] is not None:
        allowed = pa.array(policy["license_tiers"], pa.string())
        for reason in (TIER, SOURCE_TIER):
            if reason in batch.schema.names:
                tier = pc.fill_null(batch.column(reason), "unknown")
                reasons.append((reason, ~_mask(pc.is_in(tier, allowed))))
    seen = np.zeros(batch.num_rows, np.bool_)
    found = []
    for reason, mask in reasons:
        found.append((reason, mask & ~seen))
        seen |= mask
    return found


def _mask(values: pa.Array) -> np.ndarray:
    return pc.fill_null(values, False).to_numpy(zero_copy_only=False)


def policy_columns(names: list[str], policy: dict[str, Any]) -> list[str]:
    """The columns of a table that decide whether, and in which split, a row is released."""
    wanted = (*MATCHED_BY, "consent", TIER, SOURCE_TIER, "generator_training", *policy["forbidding"])
    return [name for name in wanted if name in names]


def splits(batch: pa.RecordBatch, seed: int, share: float) -> np.ndarray:
    """Which rows belong to validation, bool [n]: by host, and where there is none by the id of the first source."""
    first = batch.column("id")
    if "source_ids" in batch.schema.names:
        sources = batch.column("source_ids")
        given = pc.fill_null(pc.greater(pc.list_value_length(sources), 0), False)
        own = pc.if_else(given, sources, pa.array([[""]] * batch.num_rows, sources.type))
        first = pc.if_else(given, pc.list_element(own, 0), first)
    if "host" not in batch.schema.names:
        return held_out(first, seed, share)
    host = batch.column("host")
    named = pc.fill_null(pc.greater(pc.binary_length(host), 0), False)
    return held_out(pc.if_else(named, host, first), seed, share)


def axis_values(batch: pa.RecordBatch, by: list[str]) -> tuple[list[Values], np.ndarray]:
    """The values of a batch's rows on the axes, each combination once, and the number of its combination for each row.

    An empty text counts as none, and so does a column that the table lacks.
    """
    code = np.zeros(batch.num_rows, np.int64)
    dictionaries: list[list[str | None]] = []
    for axis in by:
        if axis not in batch.schema.names:
            dictionaries.append([None])
            continue
        column = batch.column(axis).cast(pa.string())
        encoded = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column).dictionary_encode()
        values = [None, *encoded.dictionary.to_pylist()]
        code = code * len(values) + encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False) + 1
        dictionaries.append(values)
    different, inverse = np.unique(code, return_inverse=True)
    combinations = []
    for number in different.tolist():
        values_of: list[str | None] = []
        for dictionary in reversed(dictionaries):
            number, place = divmod(number, len(dictionary))
            values_of.append(dictionary[place])
        combinations.append(tuple(reversed(values_of)))
    return combinations, inverse


def count_shard(
    shard: str, table: str, folder: str, inputs: list[dict[str, Any]], by: list[str], policy: dict[str, Any],
    seed: int, validation: float,
) -> dict[str, Any]:  # fmt: skip
    """Count one shard's rows by cell and split, and estimate their bytes from the file's own metadata."""
    started = time.perf_counter()
    entry = Entry(shard, "release: count", inputs=inputs)
    with open_parquet(as_place(table)) as file:
        names = file.schema_arrow.names
        parquet, arrow = _bytes_a_row(file.metadata)
        columns = list(dict.fromkeys([*policy_columns(names, policy), *(axis for axis in by if axis in names)]))
        counts: dict[tuple[Values, str], int] = {}
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=columns):
            entry.read += batch.num_rows
            batch = _let_in(batch, left_out(batch, policy), entry)
            validating = splits(batch, seed, validation)
            combinations, number = axis_values(batch, by)
            for split, chosen in ((TRAIN, ~validating), (VALIDATION, validating)):
                for place, count in enumerate(np.bincount(number[chosen], minlength=len(combinations)).tolist()):
                    if count:
                        key = (combinations[place], split)
                        counts[key] = counts.get(key, 0) + count
    entry.notes["parts"] = [
        [list(values), split, rows, round(rows * parquet), round(rows * arrow)]
        for (values, split), rows in sorted(counts.items(), key=str)
    ]
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


def _let_in(batch: pa.RecordBatch, reasons: list[tuple[str, np.ndarray]], entry: Entry) -> pa.RecordBatch:
    """The rows that no reason leaves out; the others are counted."""
    out = np.zeros(batch.num_rows, np.bool_)
    for reason, mask in reasons:
        if count := int(mask.sum()):
            entry.reject(reason, count=count)
            out |= mask
    entry.written += batch.num_rows - int(out.sum())
    return batch.filter(pa.array(~out)) if out.any() else batch


def _bytes_a_row(metadata: pq.FileMetaData) -> tuple[float, float]:
    """About how many bytes a row of a file takes in Parquet, and in Arrow: its data, and 8 bytes for each column."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    parquet = sum(group.column(index).total_compressed_size for group in groups for index in range(group.num_columns))
    data = sum(group.total_byte_size for group in groups)
    rows = max(1, metadata.num_rows)
    return parquet / rows, data / rows + 8 * metadata.num_columns


def scatter_shard(
    shard: str, table: str, folder: str, release: str, run: str, inputs: list[dict[str, Any]], by: list[str],
    policy: dict[str, Any], seed: int, validation: float, parts: list[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """Deal one shard's rows out to the slices of the files that they belong to, each row with its key."""
    started = time.perf_counter()
    entry = Entry(shard, "release: scatter", inputs=inputs)
    schema = table_schema(table)
    bases, total = partition_bases([Part(**part) for part in parts])
    path = as_place(release) / run
    with RunWriter(path, schema.append(pa.field(KEY, pa.uint64())), total) as out:
        for batch in _read(table, None):
            entry.read += batch.num_rows
            batch = _let_in(batch, left_out(batch, policy), entry)
            keys = row_keys(batch.column("id"), seed)
            validating = splits(batch, seed, validation)
            combinations, number = axis_values(batch, by)
            partition = np.empty(batch.num_rows, np.int64)
            for place, values in enumerate(combinations):
                for split, side in ((TRAIN, ~validating), (VALIDATION, validating)):
                    chosen = side & (number == place)
                    if chosen.any():
                        base, ranges = bases[values, split]
                        partition[chosen] = base + file_index(keys[chosen], ranges)
            out.write(batch.append_column(KEY, pa.array(keys)), partition)
    folder_of_run, _, name = run.rpartition("/")
    entry.outputs["run"] = {"folder": folder_of_run, "file": name, "rows": entry.written, "bytes": size_of(path)}
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


def partition_bases(parts: list[Part]) -> tuple[dict[tuple[Values, str], tuple[int, int]], int]:
    """For each split of each cell its first partition and how many it has; and how many there are in all."""
    bases, total = {}, 0
    for part in parts:
        bases[tuple(part.values), part.split] = (total, part.files * part.slices)
        total += part.files * part.slices
    return bases, total


def write_file(
    shard: str, release: str, path: str, cell: str, split: str, runs: Runs, partitions: list[int], table: str,
    folder: str, inputs: list[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """Write one data file: its slices one after the other, each sorted by key and id."""
    started = time.perf_counter()
    entry = Entry(shard, "release: write", inputs=inputs)
    schema = table_schema(table)
    places = run_places(runs)
    tallies = []
    with TableWriter(as_place(release) / path, schema) as out:
        for partition in partitions:
            # Of one chunk rows are taken several times faster than of many.
            found = read_partition(places, partition, schema.append(pa.field(KEY, pa.uint64()))).combine_chunks()
            order = order_of(found)
            rows = found.drop_columns([KEY]).cast(schema)
            entry.read += rows.num_rows
            tallies.append(tally(rows))
            taken = max(1, len(order) * TAKEN_BYTES // max(1, rows.nbytes))
            for start in range(0, len(order), taken):
                for batch in rows.take(pa.array(order[start : start + taken])).to_batches():
                    out.write(batch)
    entry.written = out.rows
    counted = add_up(tallies)
    entry.characters_out = counted["characters"]
    entry.notes["tally"] = counted
    entry.outputs["data"] = {
        "folder": path.rpartition("/")[0],
        "file": path.rpartition("/")[2],
        "rows": out.rows,
        "bytes": out.bytes,
        "digest": out.digest,
    }
    entry.notes["file"] = {"path": path, "config": cell, "split": split}
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


def order_of(rows: pa.Table) -> np.ndarray:
    """The places of rows sorted by key, and of those that share one by id, int64 [n].

    Raises KamisukiError where two rows share an id.
    """
    keys = rows.column(KEY).to_numpy()
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    shared = ordered[1:] == ordered[:-1]
    if shared.any():
        order = pc.sort_indices(rows.select([KEY, "id"]), [(KEY, "ascending"), ("id", "ascending")]).to_numpy()
        ids = rows.column("id").take(pa.array(order[np.concatenate([shared, [False]])])).to_pylist()
        after = rows.column("id").take(pa.array(order[np.concatenate([[False], shared])])).to_pylist()
        for one, other in zip(ids, after, strict=True):
            if one == other:
                raise KamisukiError(
                    f"two rows have the id {one}: the table was made of inputs that hold a record twice"
                )
    return order
