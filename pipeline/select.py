"""Select: judge every document by the rules, resolve the duplicates among those eligible, write the corpus."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dedup.resolve import Member, Removal, resolve
from dedup.shingles import normalize
from dedup.similarity import shingle_set
from filters.rules import judge
from pipeline.candidates import dense_ids
from pipeline.exchange import RunWriter, read_partition
from pipeline.files import TableWriter, aligned_batches
from pipeline.ledger import Entry
from pipeline.recipe import Dedup, Select
from pipeline.schemas import (
    CANDIDATES,
    DOCUMENTS,
    DUPLICATES,
    REJECTS,
    SELECTABLE_DOCUMENT_COLUMNS,
    TIMESTAMP,
    VERDICTS,
    corpus_schema,
)
from pipeline.web.urls import normalize_url

RULE_VERSION = 1
MEMORY_BYTES = 1_500_000_000
# Texts of one partition of components are in memory together when it is resolved.
BYTES_PER_PARTITION = 128_000_000

# Files of signals, and the columns to read of each.
SignalSources = list[tuple[str, list[str]]]

REMOVED = pa.schema([("document", pa.uint64()), ("kind", pa.string())])


def judge_shard(
    shard: str,
    documents: str,
    signals: SignalSources,
    folder: str,
    inputs: list[dict[str, Any]],
    select: dict[str, Any],
) -> dict[str, Any]:
    """Write one shard's verdicts: for each document whether it passed, else the first rule that it failed."""
    started = time.perf_counter()
    entry = Entry(shard, "select: judge", inputs=inputs)
    rules = Select(**select).active_rules()
    document_columns = [rule.signal for rule in rules if rule.signal in SELECTABLE_DOCUMENT_COLUMNS]
    sources = [
        (Path(documents), sorted({"id", *document_columns})),
        *((Path(path), columns) for path, columns in signals),
    ]
    with TableWriter(Path(folder) / f"{shard}.parquet", VERDICTS) as out:
        for batches in aligned_batches(sources):
            columns = {name: batch.column(name) for batch in batches for name in batch.schema.names}
            verdicts = judge(pa.RecordBatch.from_pydict(columns), rules)
            passed = pa.array(verdicts.rule < 0)
            rows = [columns["id"], passed, verdicts.reason, verdicts.value, verdicts.limit, verdicts.value_text]
            batch = pa.RecordBatch.from_arrays(rows, schema=VERDICTS)
            out.write(batch)
            _count_verdicts(entry, batch, columns["characters"])
    entry.output("verdicts", out.written())
    entry.seconds = time.perf_counter() - started
    entry.save(Path(folder))
    return entry.__dict__


def _count_verdicts(entry: Entry, verdicts: pa.RecordBatch, characters: pa.Array) -> None:
    entry.read += verdicts.num_rows
    entry.characters_in += pc.sum(characters).as_py() or 0
    table = pa.table({"reason": verdicts.column("reason"), "characters": characters})
    for row in table.group_by("reason").aggregate([("characters", "sum"), ("characters", "count")]).to_pylist():
        if row["reason"] is None:
            entry.written += row["characters_count"]
            entry.characters_out += row["characters_sum"]
        else:
            entry.reject(row["reason"], row["characters_sum"], row["characters_count"])


def gathered_schema(bands: int) -> pa.Schema:
    """What resolve needs to know of a candidate."""
    return pa.schema(
        [
            ("document", pa.uint64()),
            ("component", pa.uint64()),
            ("id", pa.string()),
            ("url", pa.string()),
            ("source", pa.string()),
            ("fetched_at", TIMESTAMP),
            ("text", pa.large_string()),
            ("comparable", pa.bool_()),
            ("content_hash", pa.uint64()),
            ("bands", pa.list_(pa.uint64(), bands)),
        ]
    )


def gather_candidates(
    shard: str,
    shard_index: int,
    documents: str,
    signatures: str,
    verdicts: str,
    candidates: str,
    folder: str,
    run: str,
    partitions: int,
    among: str,
    bands: int,
) -> dict[str, Any]:
    """Write the eligible candidates of one shard, with their texts, into a run file partitioned by component."""
    started = time.perf_counter()
    entry = Entry(shard, "select: gather")
    schema = gathered_schema(bands)
    members = pa.Table.from_batches(list(_candidate_batches(Path(candidates))), schema=CANDIDATES)
    rows = members.column("row").to_numpy()
    labels = members.column("component").to_numpy()
    start = 0
    sources = [
        (Path(documents), ["id", "url", "warc_file", "fetched_at", "text"]),
        (Path(signatures), ["comparable", "content_hash", "bands"]),
        (Path(verdicts), ["passed"]),
    ]
    with RunWriter(Path(run), schema, partitions, compress=True) as out:
        for document, signature, verdict in aligned_batches(sources):
            low, high = np.searchsorted(rows, [start, start + document.num_rows])
            here = rows[low:high] - start
            component = labels[low:high]
            if among == "passing":
                eligible = verdict.column("passed").to_numpy(zero_copy_only=False)[here]
                entry.reject("not_eligible", count=int((~eligible).sum()))
                here, component = here[eligible], component[eligible]
            ids = dense_ids(shard_index, start, document.num_rows)[here]
            taken = [
                document.column(name).take(pa.array(here)) for name in ("id", "url", "warc_file", "fetched_at", "text")
            ]
            taken[-1] = taken[-1].cast(pa.large_string())
            signed = [signature.column(name).take(pa.array(here)) for name in ("comparable", "content_hash", "bands")]
            batch = pa.RecordBatch.from_arrays([pa.array(ids), pa.array(component), *taken, *signed], schema=schema)
            out.write(batch, component_partition(component, partitions))
            entry.read += document.num_rows
            entry.written += batch.num_rows
            entry.reject("not_a_candidate", count=document.num_rows - int(high - low))
            start += document.num_rows
    entry.seconds = time.perf_counter() - started
    entry.save(Path(folder))
    return entry.__dict__


def _candidate_batches(path: Path) -> Iterator[pa.RecordBatch]:
    for (batch,) in aligned_batches([(path, CANDIDATES.names)], rows=65_536):
        yield batch


def component_partition(component: np.ndarray, partitions: int) -> np.ndarray:
    """The partition of a component: its label spread over the partitions, so that all members meet in one."""
    spread = component * np.uint64(0x9E3779B97F4A7C15)
    return ((spread >> np.uint64(32)) % np.uint64(partitions)).astype(np.int64)


def survivor_order(row: dict[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    """The place of a document among those that could survive: smaller is preferred. Unknown dates come last."""
    order: list[Any] = []
    for key in keys:
        if key in ("newest", "oldest"):
            moment = row["fetched_at"].timestamp() if row["fetched_at"] else None
            order.append((moment is None, 0.0 if moment is None else moment if key == "oldest" else -moment))
        elif key == "longest":
            order.append(-len(row["text"]))
        else:
            order.append(row[key] or "")
    # Whatever the recipe asks for, the order is total and the same for any numbering of shards.
    return (*order, row["id"])


def resolve_partition(
    shard: str, partition: int, runs: list[str], folder: str, run: str, shards: int, dedup: dict[str, Any]
) -> dict[str, Any]:
    """Resolve the components of one partition: write its duplicates and route the removals to their shards."""
    started = time.perf_counter()
    settings = Dedup(**dedup)
    entry = Entry(shard, "select: resolve")
    table = read_partition([Path(path) for path in runs], partition, gathered_schema(settings.signature.bands))
    table = table.sort_by([("component", "ascending"), ("document", "ascending")])
    removals: list[tuple[Removal, dict[str, Any]]] = []
    for rows in _components(table):
        removals += _resolve_component(rows, settings)
    removals.sort(key=lambda pair: pair[0].document)
    with TableWriter(Path(folder) / f"{shard}.parquet", DUPLICATES) as out:
        out.write_rows([row for _, row in removals])
    with RunWriter(Path(run), REMOVED, shards) as removed:
        documents = np.array([removal.document for removal, _ in removals], np.uint64)
        kinds = pa.array([removal.kind for removal, _ in removals], pa.string())
        batch = pa.RecordBatch.from_arrays([pa.array(documents), kinds], schema=REMOVED)
        removed.write(batch, (documents >> np.uint64(32)).astype(np.int64))
    entry.read = table.num_rows
    entry.written = len(removals)
    entry.reject("survived", count=table.num_rows - len(removals))
    for removal, _ in removals:
        entry.notes[removal.kind] = entry.notes.get(removal.kind, 0) + 1
    entry.output("duplicates", out.written())
    entry.seconds = time.perf_counter() - started
    entry.save(Path(folder))
    return entry.__dict__


def _components(table: pa.Table) -> Iterator[list[dict[str, Any]]]:
    labels = table.column("component").to_numpy()
    cuts = [0, *(np.flatnonzero(labels[1:] != labels[:-1]) + 1).tolist(), len(labels)]
    for start, stop in itertools.pairwise(cuts):
        if stop - start > 1:
            yield table.slice(start, stop - start).to_pylist()


def _resolve_component(rows: list[dict[str, Any]], settings: Dedup) -> list[tuple[Removal, dict[str, Any]]]:
    members = [
        Member(
            document=row["document"],
            order=survivor_order(row, settings.survivor),
            shingles=shingle_set(normalize(row["text"]), settings.signature.ngram),
            bands=np.array(row["bands"] if row["comparable"] else [], np.uint64),
            content=row["content_hash"],
            url=normalize_url(row["url"]) if settings.same_url and row["url"] else "",
        )
        for row in rows
    ]
    by_document = {row["document"]: row for row in rows}
    found = []
    for removal in resolve(members, settings.similarity):
        gone, kept = by_document[removal.document], by_document[removal.kept]
        row = {
            "id": gone["id"],
            "kept_id": kept["id"],
            "similarity": removal.similarity,
            "component": gone["component"],
            "kind": removal.kind,
            "url": gone["url"],
            "kept_url": kept["url"],
        }
        found.append((removal, row))
    return found


def write_corpus(
    shard: str,
    shard_index: int,
    documents: str,
    signals: SignalSources,
    signal_types: dict[str, str],
    verdicts: str,
    removed: list[str],
    corpus: str,
    rejects: str,
    columns: list[str],
    duplicates_first: bool,
    inputs: list[dict[str, Any]],
) -> dict[str, Any]:
    """Write one shard's corpus and rejects. A document both rejected and removed counts as what came first."""
    started = time.perf_counter()
    entry = Entry(shard, "select", inputs=inputs)
    schema = corpus_schema([(name, pa.type_for_alias(signal_types[name])) for name in columns])
    removals = read_removals([Path(path) for path in removed], shard_index)
    start = 0
    sources = [
        (Path(documents), DOCUMENTS.names),
        (Path(verdicts), ["passed", "reason", "value", "limit", "detail"]),
        *((Path(path), names) for path, names in signals),
    ]
    corpus_path, rejects_path = (Path(folder) / f"{shard}.parquet" for folder in (corpus, rejects))
    with TableWriter(corpus_path, schema) as out, TableWriter(rejects_path, REJECTS) as rejects_out:
        for document, verdict, *measures in aligned_batches(sources):
            measured = {name: batch.column(name) for batch in measures for name in batch.schema.names}
            kinds = pa.array([removals.get(row) for row in range(start, start + document.num_rows)], pa.string())
            is_duplicate, passed = pc.is_valid(kinds), verdict.column("passed")
            kept = pc.and_(passed, pc.invert(is_duplicate))
            chosen = [document.column(name) for name in DOCUMENTS.names] + [measured[name] for name in columns]
            out.write(pa.RecordBatch.from_arrays(chosen, schema=schema).filter(kept))
            by_duplicate = is_duplicate if duplicates_first else pc.and_(is_duplicate, passed)
            by_rule = pc.and_(pc.invert(passed), pc.invert(by_duplicate))
            rejects_out.write(_reject_rows(document, verdict).filter(by_rule))
            reasons = pc.if_else(
                by_duplicate, pc.binary_join_element_wise("duplicate", kinds, "_"), verdict.column("reason")
            )
            _count_outcomes(entry, reasons, measured["characters"])
            start += document.num_rows
    entry.output("corpus", out.written())
    entry.output("rejects", rejects_out.written())
    entry.seconds = time.perf_counter() - started
    entry.save(Path(corpus))
    return entry.__dict__


def _reject_rows(document: pa.RecordBatch, verdict: pa.RecordBatch) -> pa.RecordBatch:
    stage = pa.array(["select"] * document.num_rows)
    columns = {
        "id": document.column("id"),
        "url": document.column("url"),
        "stage": stage,
        **{name: verdict.column(name) for name in ("reason", "value", "limit", "detail")},
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in REJECTS.names], schema=REJECTS)


def read_removals(runs: list[Path], shard_index: int) -> dict[int, str]:
    """Rows of a shard that resolve removed, with the kind of duplicate that each is."""
    table = read_partition(runs, shard_index, REMOVED)
    rows = (table.column("document").to_numpy() & np.uint64(0xFFFFFFFF)).tolist()
    return dict(zip(rows, table.column("kind").to_pylist(), strict=True))


def _count_outcomes(entry: Entry, reasons: pa.Array, characters: pa.Array) -> None:
    table = pa.table({"reason": reasons, "characters": characters})
    for row in table.group_by("reason").aggregate([("characters", "sum"), ("characters", "count")]).to_pylist():
        count, total = row["characters_count"], row["characters_sum"]
        entry.read += count
        entry.characters_in += total
        if row["reason"] is None:
            entry.written += count
            entry.characters_out += total
        else:
            entry.reject(row["reason"], total, count)
