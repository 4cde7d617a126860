"""Select: judge every document by the rules and, once duplicates are resolved (resolve.py), write the corpus."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.rules import judge
from pipeline.cleaning import make_cleaners
from pipeline.edits import Editor, Judge, edit_batch, make_judge, no_edits
from pipeline.exchange import Runs, run_places
from pipeline.files import TableWriter, aligned_batches
from pipeline.ledger import Entry
from pipeline.repeats import make_cutter
from pipeline.resolve import read_outcomes
from pipeline.schemas import (
    CLUSTER_COLUMNS,
    DOCUMENTS,
    EDITED,
    REJECTS,
    ROBOTS_COLUMNS,
    ROBOTS_VERDICTS,
    SELECTABLE_DOCUMENT_COLUMNS,
    VERDICTS,
    corpus_schema,
)
from pipeline.select_settings import Select
from pipeline.storage.places import as_place
from pipeline.takedown_list import TAKEN_DOWN, Takedowns, read_requests

RULE_VERSION = 5
MEMORY_BYTES = 1_500_000_000
# Files of signals, and the columns to read of each.
SignalSources = list[tuple[str, list[str]]]


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
    chosen = Select(**select)
    rules = chosen.active_rules()
    document_columns = [rule.signal for rule in rules if rule.signal in SELECTABLE_DOCUMENT_COLUMNS]
    sources = [
        (as_place(documents), sorted({"id", *document_columns})),
        *((as_place(path), columns) for path, columns in signals),
    ]
    with TableWriter(as_place(folder) / f"{shard}.parquet", VERDICTS) as out:
        for batches in aligned_batches(sources):
            columns = {name: batch.column(name) for batch in batches for name in batch.schema.names}
            found = judge(pa.RecordBatch.from_pydict(columns), rules, chosen.best_tier)
            rows = [columns["id"], found.passed, found.tier, found.reason, found.value, found.limit, found.value_text]
            batch = pa.RecordBatch.from_arrays(rows, schema=VERDICTS)
            out.write(batch)
            _count_verdicts(entry, batch, columns["characters"])
    entry.output("verdicts", out.written())
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
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


def write_corpus(
    shard: str,
    shard_index: int,
    documents: str,
    signals: SignalSources,
    signal_types: dict[str, str],
    verdicts: str,
    outcomes: Runs | None,
    editing: dict[str, Any] | None,
    corpus: str,
    rejects: str,
    columns: list[str],
    tokens: list[str],
    duplicates_first: bool,
    rehydrate: dict[int, int],
    inputs: list[dict[str, Any]],
    takedowns: str | None = None,
) -> dict[str, Any]:
    """Write one shard's corpus and rejects. A document both rejected and removed counts as what came first.

    What the list in the folder `takedowns` names is rejected whatever else it is; copies that were removed for one that
    is named stay removed.

    `outcomes` are the run files of resolve, `editing` what `make_editors` takes; None: a recipe has no such step.
    `tokens` are signals of which the ledger keeps sums: by signal those that went in, by reason those that did not come
    out, those that edits took, and those that came out, under "".
    """
    started = time.perf_counter()
    entry = Entry(shard, "select", inputs=inputs)
    schema = corpus_schema([(name, pa.type_for_alias(signal_types[name])) for name in columns])
    resolved = read_outcomes(run_places(outcomes), shard_index) if outcomes is not None else None
    editors = make_editors(shard_index, **editing) if editing is not None else None
    listed = Takedowns(read_requests(as_place(takedowns))) if takedowns is not None else None
    start = 0
    sources = [
        (as_place(documents), DOCUMENTS.names),
        (as_place(verdicts), ["passed", "tier", "reason", "value", "limit", "detail"]),
        *((as_place(path), names) for path, names in signals),
    ]
    corpus_path, rejects_path = (as_place(folder) / f"{shard}.parquet" for folder in (corpus, rejects))
    with TableWriter(corpus_path, schema) as out, TableWriter(rejects_path, REJECTS) as rejects_out:
        for document, verdict, *measures in aligned_batches(sources):
            measured = {name: batch.column(name) for batch in measures for name in batch.schema.names}
            kinds, clusters = _fates(document, start, resolved, rehydrate)
            if listed is not None:
                verdict, kinds = _without_listed(listed, document, verdict, kinds)
            is_duplicate, passed = pc.is_valid(kinds), verdict.column("passed")
            by_duplicate = is_duplicate if duplicates_first else pc.and_(is_duplicate, passed)
            by_rule = pc.and_(pc.invert(passed), pc.invert(by_duplicate))
            rejects_out.write(_reject_rows(document, verdict, "select").filter(by_rule))
            reasons = pc.if_else(
                by_duplicate, pc.binary_join_element_wise("duplicate", kinds, "_"), verdict.column("reason")
            )
            stays, edits = pc.and_(passed, pc.invert(is_duplicate)), no_edits(document.num_rows)
            tiers, went_in = verdict.column("tier"), measured
            if editors is not None:
                edited = edit_batch(*editors, document, measured, stays)
                document, measured, edits = edited.document, edited.measured, edited.edits
                rejects_out.write(_reject_rows(document, edited.verdict, "edit").filter(edited.fails))
                reasons = pc.if_else(edited.fails, edited.verdict.column("reason"), reasons)
                stays = pc.and_(stays, pc.invert(edited.fails))
                tiers = pc.coalesce(edited.verdict.column("tier"), tiers)
                _count_edits(entry, edited.gone)
            chosen = [document.column(name) for name in DOCUMENTS.names] + [*clusters, edits, tiers]
            chosen += [_robots_column(name, measured, document.num_rows) for name in ROBOTS_COLUMNS]
            chosen += [measured[name] for name in columns]
            out.write(pa.RecordBatch.from_arrays(chosen, schema=schema).filter(stays))
            _count_outcomes(entry, reasons, measured["characters"])
            for name in tokens:
                _count_tokens(
                    entry.notes.setdefault("tokens", {}).setdefault(name, {}), reasons, went_in[name], measured[name]
                )
            start += document.num_rows
    entry.output("corpus", out.written())
    entry.output("rejects", rejects_out.written())
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(corpus))
    return entry.__dict__


def _without_listed(
    listed: Takedowns, document: pa.RecordBatch, verdict: pa.RecordBatch, kinds: pa.Array
) -> tuple[pa.RecordBatch, pa.Array]:
    """Verdicts and kinds of duplicates in which all that the list names is rejected as taken down, and nothing else."""
    numbers = listed.find(document)
    gone = pa.array(numbers >= 0)
    by = [f"{listed.requests[number].kind} {listed.requests[number].value}" for number in numbers[numbers >= 0]]
    said: dict[str, Any] = {"passed": False, "reason": TAKEN_DOWN}
    columns = [
        pc.if_else(gone, pa.scalar(said.get(field.name), field.type), verdict.column(field.name))
        for field in verdict.schema
        if field.name != "detail"
    ]
    detail = pc.replace_with_mask(verdict.column("detail"), gone, pa.array(by, pa.string()))
    schema = pa.schema([field for field in verdict.schema if field.name != "detail"])
    changed = pa.RecordBatch.from_arrays(columns, schema=schema).append_column("detail", detail)
    return changed, pc.if_else(gone, pa.scalar(None, pa.string()), kinds)


def make_editors(
    shard_index: int,
    select: dict[str, Any],
    groups: list[tuple[str, dict[str, Any]]],
    repeats: dict[str, Any] | None,
    clean: dict[str, Any] | None,
) -> tuple[list[Editor], Judge]:
    """What edits the texts of a shard, in order, and what judges them again."""
    editors: list[Editor] = []
    if repeats is not None:
        editors.append(make_cutter(shard_index, **repeats))
    if clean is not None:
        editors += make_cleaners(clean)
    return editors, make_judge(select, groups)


def _count_edits(entry: Entry, gone: Mapping[str, tuple[int, int]]) -> None:
    """Add to the ledger what edits took: characters that went in and neither came out nor went with a document."""
    for kind, (documents, characters) in gone.items():
        noted = entry.notes.setdefault(kind, {"documents": 0, "characters": 0})
        noted["documents"] += documents
        noted["characters"] += characters
        entry.characters_in += characters
        entry.reject(EDITED, characters, count=0)


def _robots_column(name: str, measured: dict[str, pa.Array], rows: int) -> pa.Array:
    """A column of the robots verdicts; nulls where no captures of robots.txt were given."""
    return measured[name] if name in measured else pa.nulls(rows, ROBOTS_VERDICTS.field(name).type)


def _reject_rows(document: pa.RecordBatch, verdict: pa.RecordBatch, stage: str) -> pa.RecordBatch:
    columns = {
        "id": document.column("id"),
        "url": document.column("url"),
        "stage": pa.array([stage] * document.num_rows, pa.string()),
        **{name: verdict.column(name) for name in ("reason", "value", "limit", "detail")},
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in REJECTS.names], schema=REJECTS)


def _fates(
    document: pa.RecordBatch,
    start: int,
    resolved: tuple[dict[int, str], dict[int, int]] | None,
    rehydrate: Mapping[int, int],
) -> tuple[pa.Array, list[pa.Array]]:
    """Of each row of a batch the kind of duplicate that it is, null for none, and its columns of clusters."""
    count = document.num_rows
    if resolved is None:
        return pa.nulls(count, pa.string()), [pa.nulls(count, kind) for _, kind in CLUSTER_COLUMNS]
    removed, sizes = resolved
    places = range(start, start + count)
    size = np.array([sizes.get(row, 1) for row in places], np.int64)
    clusters = [document.column("id"), pa.array(size), pa.array(repeats(size, rehydrate))]
    return pa.array([removed.get(row) for row in places], pa.string()), clusters


def repeats(cluster_size: np.ndarray, rehydrate: Mapping[int, int]) -> np.ndarray:
    """How often a document is to be read, int32: what `rehydrate` says of the largest size not above its cluster's."""
    bounds = sorted(rehydrate)
    times = np.array([rehydrate[bound] for bound in bounds], np.int32)
    return times[np.searchsorted(bounds, cluster_size, side="right") - 1]


def _count_tokens(sums: dict[str, int], reasons: pa.Array, went_in: pa.Array, came_out: pa.Array) -> None:
    """Add up tokens as the ledger does characters: "in" = the sum of all others."""
    table = pa.table({"reason": pc.fill_null(reasons, ""), "tokens": came_out})
    by_reason = table.group_by("reason").aggregate([("tokens", "sum")])
    found = {row["reason"]: row["tokens_sum"] or 0 for row in by_reason.to_pylist()}
    found["in"] = pc.sum(went_in).as_py() or 0
    found[EDITED] = found["in"] - sum(value for name, value in found.items() if name != "in")
    for name, value in found.items():
        sums[name] = sums.get(name, 0) + value


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
