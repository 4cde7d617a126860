"""Explain: what happened to one page at every stage, with the values and the limits that decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow.compute as pc

from pipeline.edits import edit_lines
from pipeline.errors import UsageError
from pipeline.files import parquet_rows
from pipeline.formats.rows import WrongFormat
from pipeline.ingest import RowReader, read_rows
from pipeline.inputs import InputMissing, local_input, records_of
from pipeline.ledger import load_entry
from pipeline.outcomes import Outcome, Reject
from pipeline.plan import load_plan
from pipeline.quantile_stage import quantile_table
from pipeline.recipe import Recipe, recorded_recipe
from pipeline.report.status import known_tables
from pipeline.responses import PageReader, crawl_name
from pipeline.run_folder import read_run
from pipeline.select_settings import RuleModel
from pipeline.storage.places import Place
from pipeline.takedown_list import TAKEN_DOWN
from pipeline.web.warc import NotWarc


def _rows(out: Place, folder: str | None, condition: Any, columns: list[str] | None = None) -> list[dict[str, Any]]:
    if folder is None:
        return []
    return list(parquet_rows(out / folder, columns, condition))


def explain(out: Place, url: str, recipe_name: str | None = None) -> Iterator[str]:
    """Lines that tell the story of every capture of a URL. Raises UsageError when no input holds it."""
    name, tables = known_tables(out, recipe_name)
    record = read_run(out) or {}
    recipe = recorded_recipe(out, record, name)
    documents = _rows(out, tables.get("documents"), pc.field("url") == url)
    rejects = _rows(out, tables.get("extract_rejects"), pc.field("url") == url)
    known = {row["id"] for row in documents + rejects}
    unseen: list[Outcome] = []
    first = recipe.ingest or recipe.extract
    if not known or first.rejects_kept < 1:
        found = _read_rows_again(out, url, recipe) if recipe.ingest else _recompute(out, url, recipe)
        unseen = [outcome for outcome in found if _id_of(outcome) not in known]
    if not known and not unseen:
        raise UsageError(f"no record of {url} in the inputs of {out}: check the spelling; the URL must be whole")
    for row in rejects:
        yield from _reject_lines(row, "")
    for outcome in unseen:
        if isinstance(outcome, Reject):
            yield from _reject_lines(outcome._asdict(), " (read again from its input, no row was kept)")
        else:
            yield f"{outcome['url']} ({outcome['id']})"
            size = len(outcome["text"])
            stage = "ingest" if recipe.ingest else "extract"
            yield f"  {stage}: makes a document of {size} characters, but its shard is not done: run again"
    for document in documents:
        yield f"{document['url']} ({document['id']})"
        where = f"offset {document['warc_offset']}, length {document['warc_length']} bytes"
        yield f"  record: {document['warc_file']}, {where}"
        yield from _steps(out, tables, recipe, document)


def explain_document(out: Place, key: str, recipe_name: str | None = None) -> list[str]:
    """What every stage did with the document of an id, a line each; none where OUT has no such document."""
    name, tables = known_tables(out, recipe_name)
    recipe = recorded_recipe(out, read_run(out) or {}, name)
    documents = _rows(out, tables.get("documents"), pc.field("id") == key)
    return [line for document in documents for line in _steps(out, tables, recipe, document)]


def _id_of(outcome: Outcome) -> str:
    return outcome.id if isinstance(outcome, Reject) else str(outcome["id"])


def _recompute(out: Place, url: str, recipe: Recipe) -> Iterator[Outcome]:
    reader = PageReader(recipe.extract, {})
    for shard in load_plan(out / "plan.json"):
        for item in shard.inputs:
            try:
                with local_input(item.path, recipe.sources.politeness()) as path:
                    for record in records_of(item.path, path, recipe.extract.limits.body_bytes):
                        if record.type == "response" and record.url == url:
                            yield reader.read(record, item.name, crawl_name(item.name, None))
            except (NotWarc, InputMissing):
                # The run named this input as failed or missing; the page may stand in another one.
                continue


def _read_rows_again(out: Place, url: str, recipe: Recipe) -> Iterator[Outcome]:
    settings = recipe.ingest
    assert settings is not None
    for shard in load_plan(out / "plan.json"):
        for item in shard.inputs:
            source = settings.source_of(item.path)
            if source is None:
                continue
            reader = RowReader(settings, source, item.name, {})
            try:
                with local_input(item.path, recipe.sources.politeness()) as path:
                    outcomes = map(reader.read, read_rows(path, settings))
                    yield from (one for one in outcomes if (one.url if isinstance(one, Reject) else one["url"]) == url)
            except (WrongFormat, InputMissing):
                # The run named this input as failed or missing; the page may stand in another one.
                continue


def _reject_lines(row: dict[str, Any], note: str) -> Iterator[str]:
    yield f"{row['url']} ({row['id']})"
    yield f"  {row['stage']}: rejected as {row['reason']}{_why(row)}{note}"


def _why(row: dict[str, Any]) -> str:
    parts = []
    value, limit = row["value"], row["limit"]
    if value is not None:
        parts.append(f"value {_number(value, limit)}")
    if limit is not None:
        parts.append(f"limit {_number(limit, value)}")
    if row["detail"]:
        parts.append(str(row["detail"]))
    return ": " + ", ".join(parts) if parts else ""


def _number(value: Any, beside: Any = None) -> str:
    """A number to four digits, or to as many as tell it apart from the one that it is shown beside."""
    if not isinstance(value, float):
        return str(value)
    if not isinstance(beside, float) or beside == value:
        return f"{value:.4g}"
    return next((f"{value:.{n}g}" for n in range(4, 17) if f"{value:.{n}g}" != f"{beside:.{n}g}"), repr(value))


def _judgement(document: dict[str, Any]) -> str:
    if document["page_type"] is None:
        return ""
    return f", page type {document['page_type']}, confidence {_number(document['extraction_confidence'])}"


def _steps(out: Place, tables: dict[str, str], recipe: Recipe, document: dict[str, Any]) -> Iterator[str]:
    key = pc.field("id") == document["id"]
    stage, decoded = "ingest", ""
    if recipe.ingest is None:
        stage = "extract"
        decoded = (
            f"charset {document['charset']} from {document['charset_source']} with {document['charset_replacements']} "
            "replacements; "
        )
    score = document["language_score"]
    language = f"language {document['language']}" + (f" {_number(float(score))}" if score is not None else "")
    yield (
        f"  {stage}: {len(document['text'])} characters by {document['extractor']}{_judgement(document)}; "
        f"{decoded}{language}; license {document['license'] or 'none found'} ({document['license_tier']}); "
        f"consent {document['consent']}"
        + (f" ({document['consent_evidence']})" if document["consent_evidence"] else "")
    )
    values: dict[str, Any] = {}
    for verdicts in _rows(out, tables.get("robots_verdicts"), key):
        yield f"  robots.txt as of the fetch: {_robots(verdicts, 'robots')}"
        yield f"  robots.txt by its newest capture: {_robots(verdicts, 'robots_latest')}"
        values |= verdicts
    measured = False
    for table in recipe.annotate.groups():
        for signals in _rows(out, tables.get(table), key):
            values |= signals
            measured = True
    if measured:
        values = document | values
        for rule in recipe.select.rules:
            if rule.judges() and rule.signal in values:
                yield f"  annotate: {rule.signal} = {_allowed(out, tables, rule, values[rule.signal])}"
    tiers = any(rule.tier for rule in recipe.select.rules)
    for verdict in _rows(out, tables.get("verdicts"), key):
        yield (
            "  judge: passed" + (f", tier {verdict['tier']}" if tiers else "")
            if verdict["passed"]
            else f"  judge: rejected as {verdict['reason']}{_why(verdict)}"
        )
    for candidate in _rows(out, tables.get("candidates"), key):
        yield f"  dedup: a candidate, one of {candidate['size']} in component {candidate['component']}"
    for duplicate in _rows(out, tables.get("duplicates"), key):
        yield (
            f"  resolve: removed as {duplicate['kind']} duplicate of {duplicate['kept_url']} ({duplicate['kept_id']}): "
            f"similarity {duplicate['similarity']:.4f}" + (f", limit {recipe.dedup.similarity}" if recipe.dedup else "")
        )
    stayed_for = _rows(out, tables.get("duplicates"), pc.field("kept_id") == document["id"], ["kept_id", "kind"])
    if stayed_for:
        kinds = Counter(duplicate["kind"] for duplicate in stayed_for)
        yield f"  resolve: stayed for its duplicates: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}"
    if "corpus" in tables:
        kept = _rows(out, tables["corpus"], key, ["id", "edits"])
        for row in kept:
            yield from map("  {}".format, edit_lines(row["edits"]))
        for row in _rows(out, tables["rejects"], key):
            if row["stage"] == "edit":
                yield f"  edit: rejected by what was left, as {row['reason']}{_why(row)}"
            elif row["reason"] == TAKEN_DOWN:
                yield f"  takedown: the list of takedowns names it by {row['detail']}"
        yield "  corpus: kept" if kept else "  corpus: not in it"


def _robots(verdicts: dict[str, Any], name: str) -> str:
    fetched_at = verdicts[f"{name}_fetched_at"]
    when = f", captured {fetched_at:%Y-%m-%d %H:%M}" if fetched_at else ""
    return f"{verdicts[name]} ({verdicts[f'{name}_evidence'] or 'the URL has no site'}{when})"


def _allowed(out: Place, tables: dict[str, str], rule: RuleModel, value: Any) -> str:
    """A value, and what the rule lets pass: of a share of the run the limit that it became."""
    words = {"min": "at least", "max": "at most", "more_than": "more than", "less_than": "less than"}
    words |= {"any_of": "any of", "none_of": "none of"}
    parts, shown, share = [], _number(value), rule.share()
    if share is not None:
        end = rule.end()[0]
        parts.append(f"{end} {share:g} of the run")
        folder = tables.get(quantile_table(rule.signal, share, end))
        found = load_entry(out / folder, "value") if folder else None
        rule = rule.limited(found.notes["value"] if found else None)
    for key, limit in rule.limits().items():
        shown = _number(value, limit)
        parts.append(f"{words[key]} {', '.join(limit) if isinstance(limit, tuple) else _number(limit, value)}")
    return f"{shown} (allowed: {', '.join(parts)})"
