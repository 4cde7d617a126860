"""The tasks of rewriting, a shard each: begin with a table of a run, ask or transform, measure, choose."""

from __future__ import annotations

import json
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import KamisukiError
from pipeline.files import TableWriter, aligned_batches, read_batches
from pipeline.ledger import Entry
from pipeline.rewriting.asking import Question, make_question, parameters_of, produce
from pipeline.rewriting.checks import CHECKS
from pipeline.rewriting.client import Budget, Client, ClientSettings, RequestCache
from pipeline.rewriting.code import format_texts
from pipeline.rewriting.judging import Judged, judge_attempts
from pipeline.rewriting.prompts import Prompt
from pipeline.rewriting.recipe import Generator, StepModel
from pipeline.rewriting.rows import LINEAGE, MESSAGES, OF_THE_SOURCE, PRODUCED, ROWS, rewritten_id, schema
from pipeline.schemas import REJECTS
from pipeline.storage.places import Place, as_place
from pipeline.takedown_list import TAKEN_DOWN, Takedowns, read_requests
from pipeline.web.license import strictest

RULE_VERSION = 2
MEMORY_BYTES = 1_500_000_000
# Rows that are asked about together: many requests in flight, and bounded memory.
BATCH_ROWS = 2_048

Fields = list[tuple[str, str]]
Attempts = list[tuple[str | None, str]]


class BudgetSpent(KamisukiError):
    """The budget was spent before all rows were asked. What was answered is kept."""


def begin_shard(
    shard: str, table: str, folder: str, inputs: list[dict[str, Any]], takedowns: str | None = None
) -> dict[str, Any]:
    """Write the rows that rewriting begins with: the documents of one shard of a run's table.

    What the list in the folder `takedowns` names is left out.
    """
    started = time.perf_counter()
    entry = Entry(shard, "rewrite: begin", inputs=inputs)
    taken = [name for name, _ in OF_THE_SOURCE]
    columns = ["id", "text", "license", "license_url", "license_tier", *taken]
    listed = Takedowns(read_requests(as_place(takedowns))) if takedowns is not None else None
    with TableWriter(as_place(folder) / f"{shard}.parquet", schema("rows", ROWS)) as out:
        for batch in read_batches(as_place(table), columns):
            _count(entry, batch.column("text"), batch.num_rows)
            if listed is not None:
                gone = pa.array(listed.find(batch) >= 0)
                lengths = pc.utf8_length(batch.column("text").filter(gone))
                if len(lengths):
                    entry.reject(TAKEN_DOWN, pc.sum(lengths).as_py(), len(lengths))
                batch = batch.filter(pc.invert(gone))
            rows = {name: batch.column(name) for name in ("id", "text", "license", "license_tier", *taken)}
            rows |= {"source_license": rows["license"], "source_license_tier": rows["license_tier"]}
            rows["source_license_url"] = batch.column("license_url")
            rows["source_ids"] = pa.array([[key] for key in rows["id"].to_pylist()], pa.list_(pa.string()))
            _write(out, rows, batch.num_rows)
            entry.written += batch.num_rows
    entry.characters_out = entry.characters_in - sum(entry.characters_rejected.values())
    return _finish(entry, folder, started, rows=out)


def ask_shard(
    shard: str,
    rows: str,
    folder: str,
    cache: str,
    step: dict[str, Any],
    prompt: dict[str, Any],
    model: str,
    attempt: int,
    previous: Attempts,
    client: dict[str, Any],
    budget: dict[str, Any],
    inputs: list[dict[str, Any]],
) -> dict[str, Any]:
    """Ask about each row, or about those that all attempts before failed, and write what the answers say.

    Raises BudgetSpent when the budget did not reach; answers are in `cache` then, and asking again goes on from there.
    """
    started = time.perf_counter()
    entry = Entry(shard, "rewrite: ask", inputs=inputs)
    chosen, words = StepModel(**step), Prompt(**{**prompt, "messages": tuple(map(tuple, prompt["messages"]))})
    assert chosen.ask is not None
    settings, purse = ClientSettings(**client), Budget(**budget)
    outcomes: Counter[str] = Counter()
    tokens = Counter({"in": 0, "out": 0, "in_paid": 0, "out_paid": 0, "requests": 0, "from_cache": 0})
    names = [name for name, _ in PRODUCED]
    Path(cache).parent.mkdir(parents=True, exist_ok=True)
    with (
        RequestCache(Path(cache)) as known,
        Client(settings, known, purse) as asked,
        TableWriter(as_place(folder) / f"{shard}.parquet", schema("produced", PRODUCED)) as out,
    ):
        for batch, attempts in _with_attempts(rows, previous):
            again = judge_attempts(batch, attempts, chosen.active_rules()).failed if attempts else None
            questions: list[Question | None] = [
                make_question(chosen.ask, words, model, row["text"], row["title"], row["url"], attempt)
                if again is None or again[place]
                else None
                for place, row in enumerate(batch.select(["text", "title", "url"]).to_pylist())
            ]

            def answers(requests: Any) -> Any:
                for answer in asked.answer_all(requests):
                    tokens["requests"] += 1
                    tokens["from_cache"] += answer.from_cache
                    for way, count in (("in", answer.tokens_in), ("out", answer.tokens_out)):
                        tokens[way] += count
                        tokens[f"{way}_paid"] += 0 if answer.from_cache else count
                    yield answer

            # Before anything is asked: no answer is kept of which is not known whom it is about.
            known.note_documents(
                (source, request.key)
                for sources, question in zip(batch.column("source_ids").to_pylist(), questions, strict=True)
                for request in (question.requests if question else ())
                for source in sources
            )
            produced = produce(chosen.ask, questions, answers)
            outcomes.update(row["reason"] or "answered" for row in produced if row["asked"])
            if outcomes["budget_spent"]:
                raise BudgetSpent(
                    f"the budget is spent after {purse.spent_tokens:,} tokens; what was answered is kept: run again "
                    "with a larger one to go on"
                )
            keys = batch.column("id").to_pylist()
            found = [{**row, "id": key} for key, row in zip(keys, produced, strict=True)]
            out.write_rows([{name: row[name] for name in names} for row in found])
            _count(entry, batch.column("text"), batch.num_rows)
    entry.written = entry.read
    entry.notes = {"outcomes": dict(outcomes), "tokens": dict(tokens)}
    return _finish(entry, folder, started, produced=out)


def transform_shard(
    shard: str, rows: str, folder: str, step: dict[str, Any], language: str, inputs: list[dict[str, Any]]
) -> dict[str, Any]:
    """Run a tool over each row's text and write what came of it."""
    started = time.perf_counter()
    entry = Entry(shard, "rewrite: transform", inputs=inputs)
    empty = dict.fromkeys(name for name, _ in PRODUCED)
    outcomes: Counter[str] = Counter()
    with TableWriter(as_place(folder) / f"{shard}.parquet", schema("produced", PRODUCED)) as out:
        for batch in read_batches(as_place(rows), ["id", "text"], BATCH_ROWS):
            texts = batch.column("text").to_pylist()
            found = format_texts(texts, language)
            produced = [
                {**empty, "id": key, "asked": True, "messages": [], "parts": 1, "tokens_in": 0, "tokens_out": 0}
                | {"text": each.text, "reason": each.reason, "note": each.detail}
                for key, each in zip(batch.column("id").to_pylist(), found, strict=True)
            ]
            outcomes.update(row["reason"] or "transformed" for row in produced)
            out.write_rows(produced)
            _count(entry, batch.column("text"), batch.num_rows)
    entry.written = entry.read
    entry.notes = {"outcomes": dict(outcomes)}
    return _finish(entry, folder, started, produced=out)


def measure_shard(
    shard: str,
    rows: str,
    produced: str | None,
    folder: str,
    checks: list[str],
    language: str,
    inputs: list[dict[str, Any]],
) -> dict[str, Any]:
    """Measure by checks what a step made of each row beside the text before it; null where it made nothing."""
    started = time.perf_counter()
    entry = Entry(shard, "rewrite: measure", inputs=inputs)
    chosen = [CHECKS[name] for name in checks]
    fields = [("id", pa.string()), *((name, kind) for check in chosen for name, kind in check.columns.items())]
    sources = [
        (as_place(rows), ["id", "text"]),
        *([(as_place(produced), ["text", "asked", "reason"])] if produced else []),
    ]
    with TableWriter(as_place(folder) / f"{shard}.parquet", schema("measured", fields)) as out:
        for batch, *more in aligned_batches(sources, BATCH_ROWS):
            before = batch.column("text").to_pylist()
            after = (
                [
                    new if new is not None else old
                    for new, old in zip(more[0].column("text").to_pylist(), before, strict=True)
                ]
                if more
                else before
            )
            usable = (
                pc.and_(more[0].column("asked"), more[0].column("reason").is_null())
                if more
                else pa.array([True] * batch.num_rows)
            )
            columns = [batch.column("id")]
            places = pa.array([place for place, fine in enumerate(usable.to_pylist()) if fine], pa.int64())
            back = pc.index_in(pa.array(range(batch.num_rows), pa.int64()), value_set=places)
            for check in chosen:
                picked = places.to_pylist()
                measured = check.measure(
                    [before[place] for place in picked], [after[place] for place in picked], {"language": language}
                )
                columns += [measured.column(name).cast(kind).take(back) for name, kind in check.columns.items()]
            out.write(pa.RecordBatch.from_arrays(columns, schema=out.schema))
            _count(entry, batch.column("text"), batch.num_rows)
    entry.written = entry.read
    entry.characters_out = entry.characters_in
    return _finish(entry, folder, started, measured=out)


def choose_shard(
    shard: str,
    rows: str,
    attempts: Attempts,
    folder: str,
    rejects: str,
    step: dict[str, Any],
    prompt: dict[str, Any] | None,
    generator: dict[str, Any] | None,
    fields: Fields,
    inputs: list[dict[str, Any]],
) -> dict[str, Any]:
    """Write the rows that go on from a step, with the columns it measured as STEP_COLUMN, and those that do not.

    `fields` are the names and types of the columns of the rows after the step.
    """
    started = time.perf_counter()
    entry = Entry(shard, "rewrite: choose", inputs=inputs)
    chosen = StepModel(**step)
    model = Generator(**generator) if generator and chosen.ask else None
    typed = [(name, dict(ROWS)[name] if name in dict(ROWS) else pa.type_for_alias(kind)) for name, kind in fields]
    writer = TableWriter(as_place(folder) / f"{shard}.parquet", schema("rewritten", typed))
    with writer as out, TableWriter(as_place(rejects) / f"{shard}.parquet", REJECTS) as rejects_out:
        for batch, found in _with_attempts(rows, attempts):
            judged = judge_attempts(batch, found, chosen.active_rules())
            columns = _after(chosen, batch, found, judged, prompt, model)
            goes = judged.failed & (chosen.otherwise == "drop")
            if chosen.otherwise == "keep":
                # There is nothing to keep of a row that no attempt gave a text for.
                goes = goes | (judged.failed & _unusable(found, judged))
            rejects_out.write(_rejects(chosen.name, batch, judged).filter(pa.array(goes)))
            stays = pa.array(~goes)
            out.write(
                pa.RecordBatch.from_arrays([columns[name] for name, _ in fields], schema=out.schema).filter(stays)
            )
            lengths = pc.utf8_length(batch.column("text")).to_pylist()
            for gone, reason, length in zip(goes.tolist(), judged.reason.to_pylist(), lengths, strict=True):
                if gone:
                    entry.reject(reason, length)
            _count(entry, batch.column("text"), batch.num_rows)
            entry.written += int((~goes).sum())
            entry.notes["fell_back"] = entry.notes.get("fell_back", 0) + int((judged.failed & ~goes).sum())
            entry.characters_out += pc.sum(pc.utf8_length(columns["text"].filter(stays))).as_py() or 0
    entry.output("rejects", rejects_out.written())
    return _finish(entry, folder, started, rewritten=out)


def _after(
    step: StepModel,
    rows: pa.RecordBatch,
    attempts: list[tuple[pa.RecordBatch, pa.RecordBatch]],
    judged: Judged,
    prompt: dict[str, Any] | None,
    model: Generator | None,
) -> dict[str, pa.Array]:
    """The columns of the rows behind a step."""
    columns = {name: rows.column(name) for name in rows.schema.names}
    pick = partial(_picked, judged=judged)
    measured = {
        name: pick([of.column(name) for _, of in attempts]) for name in attempts[0][1].schema.names if name != "id"
    }
    produced = {
        name: pick([of.column(name) for of, _ in attempts]) for name in attempts[0][0].schema.names if name != "id"
    }
    columns |= {f"{step.name}_{name}": column for name, column in measured.items()}
    back = pa.array(judged.failed) if step.otherwise == "source" else pa.array([False] * rows.num_rows)
    failed = pa.array(judged.failed)
    noted = columns["fell_back"].to_pylist()
    columns["fell_back"] = pa.array(
        [
            [*(names or []), *([step.name] if fell else [])]
            for names, fell in zip(noted, failed.to_pylist(), strict=True)
        ],
        pa.list_(pa.string()),
    )
    if step.ask is not None:
        columns |= {f"{step.name}_score": produced["score"], f"{step.name}_note": produced["note"]}
    if not step.changes_text():
        return columns
    columns["text"] = pc.if_else(back, columns["text"], pc.coalesce(produced["text"], columns["text"]))
    written = pc.and_(pc.invert(back), produced["text"].is_valid()).to_pylist()
    if model is None:
        return columns
    assert prompt is not None and step.ask is not None
    columns["messages"] = _chosen(written, produced["messages"], columns["messages"], MESSAGES)
    lineage, keys = [], []
    for place, (old, key) in enumerate(zip(columns["lineage"].to_pylist(), columns["id"].to_pylist(), strict=True)):
        attempt = int(judged.attempt[place]) + 1
        made = {"step": step.name, "prompt": prompt["name"], "prompt_digest": prompt["digest"], "model": model.model}
        made |= {"parameters": json.dumps(parameters_of(step.ask, attempt), sort_keys=True), "attempt": attempt}
        keys.append(rewritten_id(key, json.dumps(made, sort_keys=True)) if written[place] else key)
        made |= {name: produced[name][place].as_py() for name in ("tokens_in", "tokens_out")}
        lineage.append([*(old or []), made] if written[place] else old)
    columns |= {"id": pa.array(keys, pa.string()), "lineage": pa.array(lineage, LINEAGE)}
    mask = pa.array(written)
    for name, value in (
        ("generator", model.model),
        ("generator_license", model.license),
        ("generator_training", model.training),
    ):
        columns[name] = pc.if_else(mask, value, columns[name])
    tiers = [strictest([tier or "unknown", model.license_tier]) for tier in columns["license_tier"].to_pylist()]
    by_model = [new != old for new, old in zip(tiers, columns["license_tier"].to_pylist(), strict=True)]
    columns["license"] = pc.if_else(pc.and_(mask, pa.array(by_model)), model.license, columns["license"])
    columns["license_tier"] = pc.if_else(mask, pa.array(tiers, pa.string()), columns["license_tier"])
    return columns


def _picked(columns: list[pa.Array], judged: Judged) -> pa.Array:
    """Of each row the value of the attempt that counts."""
    found = columns[0]
    for number, column in enumerate(columns[1:], 1):
        found = _chosen((judged.attempt == number).tolist(), column, found, column.type)
    return found


def _chosen(mask: list[bool], new: pa.Array, old: pa.Array, kind: pa.DataType) -> pa.Array:
    if not pa.types.is_nested(kind):
        return pc.if_else(pa.array(mask), new, old)
    pairs = zip(mask, new.to_pylist(), old.to_pylist(), strict=True)
    return pa.array([one if take else other for take, one, other in pairs], kind)


def _unusable(attempts: list[tuple[pa.RecordBatch, pa.RecordBatch]], judged: Judged) -> Any:
    reasons = _picked([produced.column("reason") for produced, _ in attempts], judged)
    return reasons.is_valid().to_numpy(zero_copy_only=False)


def _with_attempts(rows: str, attempts: Attempts) -> Any:
    """Batches of rows with what each attempt produced and measured of them, in order."""
    sources: list[tuple[Place, list[str] | None]] = [(as_place(rows), None)]
    for produced, measured in attempts:
        sources += [(as_place(produced), None)] if produced else []
        sources += [(as_place(measured), None)]
    for batch, *more in aligned_batches(sources, BATCH_ROWS):
        found = []
        for produced, _ in attempts:
            made = more.pop(0) if produced else nothing_produced(batch)
            found.append((made, more.pop(0)))
        yield batch, found


def nothing_produced(rows: pa.RecordBatch) -> pa.RecordBatch:
    """What a step that only measures produces: nothing, without a reason."""
    columns = {name: pa.nulls(rows.num_rows, kind) for name, kind in PRODUCED}
    columns |= {"id": rows.column("id"), "asked": pa.array([True] * rows.num_rows)}
    return pa.RecordBatch.from_arrays([columns[name] for name, _ in PRODUCED], schema=schema("produced", PRODUCED))


def _rejects(step: str, rows: pa.RecordBatch, judged: Judged) -> pa.RecordBatch:
    columns = {"id": rows.column("id"), "url": rows.column("url"), "reason": judged.reason, "value": judged.value}
    columns |= {"stage": pa.array([f"rewrite: {step}"] * rows.num_rows, pa.string())}
    columns |= {"limit": judged.limit, "detail": judged.detail}
    return pa.RecordBatch.from_arrays([columns[name] for name in REJECTS.names], schema=REJECTS)


def _write(out: TableWriter, columns: dict[str, Any], rows: int) -> None:
    arrays = [columns[field.name] if field.name in columns else pa.nulls(rows, field.type) for field in out.schema]
    out.write(pa.RecordBatch.from_arrays(arrays, schema=out.schema))


def _count(entry: Entry, texts: pa.Array, rows: int) -> None:
    entry.read += rows
    entry.characters_in += pc.sum(pc.utf8_length(texts)).as_py() or 0


def _finish(entry: Entry, folder: str, started: float, **tables: TableWriter) -> dict[str, Any]:
    for table, out in tables.items():
        entry.output(table, out.written())
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__
