"""Resolve, the second step of select: candidates meet by component, with their texts, and duplicates are named."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dedup.normalise import normalize_array
from dedup.resolve import EXACT, NEAR, PAYLOAD, SAME_CANONICAL, SAME_URL, resolve
from dedup.shingle_store import ShingleStore, shingle_sets
from dedup.shingles import mix
from pipeline.candidates import dense_ids
from pipeline.dedup_settings import Dedup
from pipeline.exchange import Runs, RunWriter, partition_tables, read_partition, run_places
from pipeline.files import TableWriter, aligned_batches
from pipeline.ledger import Entry
from pipeline.proposals import normalized_urls, text_hashes
from pipeline.schemas import CANDIDATES, DOCUMENTS, DUPLICATES, TIMESTAMP
from pipeline.sources import source_names, source_ranks
from pipeline.storage.places import Place, as_place, nearby_folder

RULE_VERSION = 2
MEMORY_BYTES = 1_500_000_000
# What a member of the largest component costs in memory while it is resolved, beside its text: keys, groups, addresses.
MEMBER_BYTES = 2_000
# Texts of one partition of components, bytes: their sets of shingles are about three times as large.
BYTES_PER_PARTITION = 64_000_000
# Sets of shingles of a partition that stay in memory, bytes; what is beyond goes to a file.
STORE_BYTES = 250_000_000
# Shingles of survivors that are in memory at once; a component with more is gone through in several passes.
BUDGET = 25_000_000

# What resolve tells the shards: of a removed document its kind, of a survivor for how many documents it stands.
OUTCOMES = pa.schema([("document", pa.uint64()), ("kind", pa.string()), ("cluster_size", pa.int64())])
DOCUMENT_COLUMNS = ("id", "url", "canonical_url", "warc_file", "crawl", "fetched_at", "payload_digest", "text")


def gathered_schema(bands: int, order: int) -> pa.Schema:
    """What resolve needs to know of a candidate; `order` numbers say its place among survivors, smaller is better."""
    return pa.schema(
        [
            ("document", pa.uint64()),
            ("component", pa.uint64()),
            *((f"order_{index}", pa.float64()) for index in range(order)),
            *((name, TIMESTAMP if name == "fetched_at" else pa.string()) for name in DOCUMENT_COLUMNS[:-1]),
            ("text", pa.large_string()),
            ("content_hash", pa.uint64()),
            ("bands", pa.list_(pa.uint64(), bands)),
        ]
    )


def gather_candidates(
    shard: str,
    shard_index: int,
    documents: str,
    signatures: str,
    signals: list[tuple[str, list[str]]],
    verdicts: str,
    candidates: str,
    folder: str,
    run: str,
    partitions: int,
    dedup: dict[str, Any],
) -> dict[str, Any]:
    """Write the eligible candidates of one shard, with their texts, into a run file partitioned by component."""
    started = time.perf_counter()
    settings = Dedup(**dedup)
    entry = Entry(shard, "select: gather")
    schema = gathered_schema(settings.signature.bands, len(order_keys(settings.survivor)))
    members = pa.Table.from_batches(list(_candidate_batches(as_place(candidates))), schema=CANDIDATES)
    rows = members.column("row").to_numpy()
    labels = members.column("component").to_numpy()
    start = 0
    of_documents = [name for name in settings.survivor_signals() if name in DOCUMENTS.names]
    sources = [
        (as_place(documents), [*DOCUMENT_COLUMNS, *of_documents]),
        (as_place(signatures), ["content_hash", "bands"]),
        (as_place(verdicts), ["passed"]),
        *((as_place(path), names) for path, names in signals),
    ]
    with RunWriter(as_place(run), schema, partitions, compress=True) as out:
        for document, signature, verdict, *measures in aligned_batches(sources):
            low, high = np.searchsorted(rows, [start, start + document.num_rows])
            here = rows[low:high] - start
            component = labels[low:high]
            if settings.among == "passing":
                eligible = verdict.column("passed").to_numpy(zero_copy_only=False)[here]
                entry.reject("not_eligible", count=int((~eligible).sum()))
                here, component = here[eligible], component[eligible]
            places = pa.array(here)
            document, signature = document.take(places), signature.take(places)
            measured = {name: batch.column(name).take(places) for batch in measures for name in batch.schema.names}
            order = survivor_order(document, measured, settings)
            columns = [
                pa.array(dense_ids(shard_index, start, 1)[0] + here.astype(np.uint64)),
                pa.array(component),
                *(pa.array(column) for column in order.T),
                *(document.column(name) for name in DOCUMENT_COLUMNS[:-1]),
                document.column("text").cast(pa.large_string()),
                *(signature.column(name) for name in ("content_hash", "bands")),
            ]
            batch = pa.RecordBatch.from_arrays(columns, schema=schema)
            out.write(batch, component_partition(component, partitions))
            entry.read += verdict.num_rows
            entry.written += batch.num_rows
            entry.reject("not_a_candidate", count=verdict.num_rows - int(high - low))
            start += verdict.num_rows
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


def _candidate_batches(path: Place) -> Iterator[pa.RecordBatch]:
    for (batch,) in aligned_batches([(path, CANDIDATES.names)], rows=65_536):
        yield batch


def component_partition(component: np.ndarray, partitions: int) -> np.ndarray:
    """The partition of a component: its label spread over the partitions, so that all members meet in one."""
    spread = component * np.uint64(0x9E3779B97F4A7C15)
    return ((spread >> np.uint64(32)) % np.uint64(partitions)).astype(np.int64)


def order_keys(survivor: tuple[str, ...]) -> tuple[str, ...]:
    """The keys that are numbers: those before `id`, which decides for good."""
    return survivor[: survivor.index("id")] if "id" in survivor else survivor


def survivor_order(document: pa.RecordBatch, signals: dict[str, pa.Array], settings: Dedup) -> np.ndarray:
    """The place of each document among those that could survive, float64 [n, keys]: smaller is preferred.

    What is not known, a date or a value, comes last.
    """
    keys = order_keys(settings.survivor)
    order = np.empty((document.num_rows, len(keys)), np.float64)
    for column, key in enumerate(keys):
        if key == "source":
            order[:, column] = source_ranks(document.column("warc_file"), settings.sources)
            continue
        if key in ("newest", "oldest"):
            values = document.column("fetched_at").cast(pa.int64())
        elif key == "longest":
            values = pc.utf8_length(document.column("text"))
        else:
            name = key.removeprefix("-")
            values = signals[name] if name in signals else document.column(name)
        numbers = values.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        smaller_first = key == "oldest" or key.startswith("-")
        order[:, column] = np.nan_to_num(numbers if smaller_first else -numbers, nan=np.inf, posinf=np.inf)
    return order


def resolve_partition(
    shard: str, partition: int, runs: Runs, folder: str, run: str, shards: int, dedup: dict[str, Any]
) -> dict[str, Any]:
    """Resolve the components of one partition: write its duplicates and tell the shards what became of which row."""
    started = time.perf_counter()
    settings = Dedup(**dedup)
    entry = Entry(shard, "select: resolve")
    with ShingleStore(nearby_folder(as_place(run).parent / "sets"), STORE_BYTES) as store:
        members = _read_members(run_places(runs), partition, store, settings)
        places = _in_order_of_survivors(members)
        edges = store.edges()
        members = members.take(pa.array(places))
        starts, sizes = edges[:-1][places], np.diff(edges)[places]
        kept, similarity, kinds = _resolve_all(members, store, starts, sizes, settings, entry)
    gone = np.flatnonzero(kept >= 0)
    gone = gone[np.argsort(members.column("document").to_numpy()[gone], kind="stable")]
    found = _duplicates(members, gone, kept[gone], similarity[gone], kinds[gone], settings)
    with TableWriter(as_place(folder) / f"{shard}.parquet", DUPLICATES) as out:
        for batch in found.to_batches(max_chunksize=65_536):
            out.write(batch)
    sizes_of = np.bincount(kept[gone], minlength=len(kept)) + 1
    stand_for_more = np.flatnonzero(sizes_of > 1)
    with RunWriter(as_place(run), OUTCOMES, shards) as outcomes:
        told = np.concatenate([gone, stand_for_more])
        documents = members.column("document").to_numpy()[told]
        names = pa.concat_arrays([found.column("kind").combine_chunks(), pa.nulls(len(stand_for_more), pa.string())])
        counts = pa.array(np.concatenate([np.zeros(len(gone), np.int64), sizes_of[stand_for_more]]))
        batch = pa.RecordBatch.from_arrays([pa.array(documents), names, counts], schema=OUTCOMES)
        outcomes.write(batch, (documents >> np.uint64(32)).astype(np.int64))
    entry.read = len(kept)
    entry.written = len(gone)
    entry.reject("survived", count=len(kept) - len(gone))
    for row in pc.value_counts(found.column("kind")).to_pylist():
        entry.notes[row["values"]] = row["counts"]
    entry.output("duplicates", out.written())
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


def _read_members(runs: list[Place], partition: int, store: ShingleStore, settings: Dedup) -> pa.Table:
    """All members of a partition but their texts, whose sets of shingles go to the store, in the same order."""
    schema = gathered_schema(settings.signature.bands, len(order_keys(settings.survivor)))
    store.add(np.zeros(0, np.uint64), np.zeros(1, np.int64))
    pieces = [schema.empty_table().drop_columns(["text"])]
    for table in partition_tables(runs, partition):
        for batch in table.to_batches(max_chunksize=2_048):
            store.add(*shingle_sets(normalize_array(batch.column("text")), settings.signature.ngram))
        pieces.append(table.drop_columns(["text"]))
    return pa.concat_tables(pieces).combine_chunks()


def _in_order_of_survivors(members: pa.Table) -> np.ndarray:
    """Rows sorted by component and, within one, the most preferred first. The order is total, since ids decide last."""
    names = ["component", *(name for name in members.column_names if name.startswith("order_")), "id"]
    keys = [(name, "ascending") for name in names]
    return pc.sort_indices(members.select(names), sort_keys=keys).to_numpy().astype(np.int64)


def _list_values(members: pa.Table, name: str) -> np.ndarray:
    """A fixed-size list column as an array [n, size]."""
    size = members.schema.field(name).type.list_size
    values = members.column(name).combine_chunks().flatten()
    return values.to_numpy(zero_copy_only=False).reshape(members.num_rows, size)


def _resolve_all(
    members: pa.Table, store: ShingleStore, starts: np.ndarray, sizes: np.ndarray, settings: Dedup, entry: Entry
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `dedup.resolve` says of all members: whole components at a time, of at most as much as fits in memory."""
    kept = np.full(len(sizes), -1, np.int64)
    similarity, kinds = np.zeros(len(sizes), np.float64), np.full(len(sizes), -1, np.int8)
    for low, high in _pieces(members.column("component").to_numpy(), sizes):
        here = slice(low, high)
        load = partial(_load, store, starts[here], sizes[here])
        keys = _keys(members.slice(low, high - low), settings)
        found = resolve(load, sizes[here], keys, settings.similarity, settings.measure, BUDGET)
        kept[here] = np.where(found.kept >= 0, found.kept + low, -1)
        similarity[here], kinds[here] = found.similarity, found.kind
        entry.notes["comparisons_left_out"] = entry.notes.get("comparisons_left_out", 0) + found.left_out
        entry.notes["most_passes"] = max(entry.notes.get("most_passes", 0), found.passes)
    return kept, similarity, kinds


def _load(
    store: ShingleStore, starts: np.ndarray, sizes: np.ndarray, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    return store.load(starts[wanted], sizes[wanted])


def _pieces(components: np.ndarray, sizes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Cut members into runs of whole components with at most `BUDGET` shingles, or one component with more."""
    if not len(components):
        return
    ends = np.cumsum(sizes)
    cuts = [0, *(np.flatnonzero(components[1:] != components[:-1]) + 1).tolist(), len(components)]
    low = 0
    for start, stop in pairwise(cuts):
        if start > low and ends[stop - 1] - (ends[low - 1] if low else 0) > BUDGET:
            yield low, start
            low = start
    yield low, len(components)


def _keys(members: pa.Table, settings: Dedup) -> dict[str, np.ndarray]:
    """The keys of each kind that the recipe asks for, uint64 [n, k]; members of two components share none."""
    component = members.column("component").to_numpy()
    # A copy, since a column's own array is read-only and numba would compile `mix` once more for such ones.
    apart = mix(component.copy())

    def scoped(hashes: np.ndarray) -> np.ndarray:
        hashes = hashes.reshape(len(component), -1)
        return np.where(hashes != 0, mix(hashes ^ apart[:, None]), np.uint64(0))

    def addresses(*names: str) -> np.ndarray:
        return _address_keys(component, *(normalized_urls(members.column(name).combine_chunks()) for name in names))

    made: dict[str, Callable[[], np.ndarray]] = {
        PAYLOAD: lambda: scoped(text_hashes(members.column("payload_digest").combine_chunks())),
        EXACT: lambda: scoped(members.column("content_hash").to_numpy()),
        SAME_URL: lambda: addresses("url"),
        SAME_CANONICAL: lambda: addresses("url", "canonical_url"),
        # The bands of a text that is too short for one are zero.
        NEAR: lambda: scoped(_list_values(members, "bands")),
    }
    return {kind: made[kind]() for kind in settings.kinds}


def _address_keys(component: np.ndarray, *addresses: pa.Array) -> np.ndarray:
    """Numbers of addresses, not hashes: a recapture goes by its address alone, and no collision may remove a page."""
    codes = pa.concat_arrays(addresses).dictionary_encode()
    number = codes.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64).reshape(len(addresses), -1).T
    _, dense = np.unique(component, return_inverse=True)
    keys = dense[:, None].astype(np.int64) * (len(codes.dictionary) + 1) + number + 1
    return np.where(number >= 0, keys, 0).astype(np.uint64)


def _duplicates(
    members: pa.Table,
    gone: np.ndarray,
    kept: np.ndarray,
    similarity: np.ndarray,
    kinds: np.ndarray,
    settings: Dedup,
) -> pa.Table:
    """Rows of the table of duplicates for members `gone`, each with the survivor in whose place it goes."""
    least = pa.TableGroupBy(members.select(["component", "id"]), "component").aggregate([("id", "min")])
    names = dict(zip(least.column("component").to_pylist(), least.column("id_min").to_pylist()))
    lost, stays = members.take(pa.array(gone)), members.take(pa.array(kept))
    columns = {
        "id": lost.column("id"),
        "kept_id": stays.column("id"),
        "similarity": pa.array(similarity),
        # Named by its least id: a component's label depends on how documents lie in shards.
        "component": pa.array([names[label] for label in lost.column("component").to_pylist()], pa.string()),
        "kind": pa.array([settings.kinds[kind] for kind in kinds.tolist()], pa.string()),
        "url": lost.column("url"),
        "kept_url": stays.column("url"),
        "crawl": lost.column("crawl"),
        "kept_crawl": stays.column("crawl"),
        "source": source_names(lost.column("warc_file").combine_chunks(), settings.sources),
        "kept_source": source_names(stays.column("warc_file").combine_chunks(), settings.sources),
    }
    return pa.table([columns[name] for name in DUPLICATES.names], schema=DUPLICATES)


def read_outcomes(runs: list[Place], shard_index: int) -> tuple[dict[int, str], dict[int, int]]:
    """Rows of a shard that resolve removed, each with its kind, and survivors, each with the size of its cluster."""
    table = read_partition(runs, shard_index, OUTCOMES)
    rows = (table.column("document").to_numpy() & np.uint64(0xFFFFFFFF)).tolist()
    told = list(zip(rows, table.column("kind").to_pylist(), table.column("cluster_size").to_pylist(), strict=True))
    return {row: kind for row, kind, _ in told if kind}, {row: size for row, kind, size in told if not kind}
