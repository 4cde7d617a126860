"""What is told of a row of a release and the records behind it: where it came from, what it declared, what was done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.edits import edit_lines
from pipeline.release.card.choices import filters_of
from pipeline.release.manifest import Task
from pipeline.release.record import Found, Page


def row_lines(found: Found) -> Iterator[str]:
    """The row, and how it was rewritten where it was."""
    row = found.row
    yield f"{row['url']} ({row['id']})"
    for step in row.get("lineage") or []:
        yield f"  {step['step']}: by {step['model']} with prompt {step['prompt']}, attempt {step['attempt']}"
    if row.get("generator"):
        training = row.get("generator_training")
        yield f"  generator: {row['generator']}, license {row.get('generator_license')}, training on it {training}"
    if any(page.row is not row for page in found.pages):
        yield f"  made of: {', '.join(row['source_ids'])}"


def page_lines(page: Page) -> Iterator[str]:
    """The record of a page, whether it is the one that was read, and what the page declared."""
    row, record, payload = page.row, page.record, page.payload
    yield f"  record: {page.where}, offset {row['warc_offset']}, length {row['warc_length']} bytes"
    yield f"  id: {record.record_id}, as the row says"
    if payload.holds is None:
        why = f"the record's {payload.said} cannot be compared" if payload.said else "the record names none"
        yield f"  payload: {payload.computed} computed of {payload.of}; {why}"
    else:
        if not payload.holds:
            told = f"but {payload.said} in WARC-Payload-Digest: the payload is not what was fetched"
        elif "payload_digest" in row:
            told = "as WARC-Payload-Digest and the row say"
        else:
            told = "as WARC-Payload-Digest says"
        yield f"  payload: {payload.computed} computed of {payload.of}, {told}"
    if record.truncated:
        yield f"  cut: the record is not whole ({record.truncated})"
    size = f"{len(record.body):,} bytes"
    yield f"  response: status {record.http_status}, {record.content_type}, {size}, fetched {record.date}"
    yield f"  license: {_license(row)}"
    evidence = row.get("consent_evidence") or "nothing was said of training"
    yield f"  consent: {row.get('consent') or 'unknown'} ({evidence})"


def _license(row: dict[str, Any]) -> str:
    prefix = "source_" if "source_license" in row else ""
    license_, tier, url = (row.get(f"{prefix}license{name}") for name in ("", "_tier", "_url"))
    told = f"{license_ or 'none found'} ({tier or 'unknown'})"
    if url:
        told += f', by "{url}"'
    if row.get("license_source"):
        told += f" ({row['license_source']})"
    return told + (f", but also declared: {row['license_disagreement']}" if row.get("license_disagreement") else "")


def column_lines(page: Page, task: Task | None) -> Iterator[str]:
    """What was done to a page, by the columns of its row and the recipe of its task."""
    row = page.row
    if "extractor" in row:
        kind = (
            f", page type {row['page_type']}, confidence {row['extraction_confidence']:.2f}" if row["page_type"] else ""
        )
        yield (
            f"  extract: {len(row['text'])} characters by {row['extractor']}{kind}; charset {row['charset']} from "
            f"{row['charset_source']} with {row['charset_replacements']} replacements; language {row['language']}"
        )
    for name in ("robots", "robots_latest"):
        if row.get(name):
            yield f"  {name}: {row[name]} ({row[f'{name}_evidence']})"
    if task is not None and task.kind == "corpus":
        for rule in filters_of(task):
            if rule.keeps != ["off"]:
                value = f" = {row[rule.signal]}" if row.get(rule.signal) is not None else ""
                yield f"  rule: {rule.signal}{value} (allowed: {', '.join(rule.keeps)})"
    if row.get("tier"):
        yield f"  judge: passed, tier {row['tier']}"
    if row.get("duplicate_cluster"):
        kinds = (task.recipe.get("dedup") or {}).get("kinds") if task else None
        by = f" by {', '.join(kinds)}" if kinds else ""
        size = row["duplicate_cluster_size"]
        yield f"  dedup{by}: " + (f"stayed of a cluster of {size}" if size > 1 else "no duplicate of it was found")
    yield from map("  {}".format, edit_lines(row.get("edits") or []))


def header_lines(page: Page) -> Iterator[str]:
    """The header of the record and that of the HTTP message in it, as they were stored."""
    for header in (page.raw.header, page.raw.http_header):
        for line in header.rstrip(b"\r\n").split(b"\n") if header else []:
            try:
                yield line.removesuffix(b"\r").decode("utf-8")
            except UnicodeDecodeError:
                yield line.removesuffix(b"\r").decode("latin-1")
        yield ""
