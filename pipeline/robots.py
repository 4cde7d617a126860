"""Robots: records of robots.txt WARC files in, a table of what each site answered and when out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from pipeline.errors import KamisukiError
from pipeline.extract import note_input
from pipeline.files import TableWriter
from pipeline.inputs import input_stat, local_input
from pipeline.ledger import Entry
from pipeline.plan import Input, Shard
from pipeline.responses import HTML_TYPES
from pipeline.schemas import ROBOTS
from pipeline.storage.http import Politeness
from pipeline.storage.places import as_place
from pipeline.web.consent.robots_txt import MAX_BYTES, decode_robots_txt
from pipeline.web.urls import path_and_query, site
from pipeline.web.warc import NotWarc, Record, read_records

RULE_VERSION = 1
MEMORY_BYTES = 900_000_000
LIBRARIES = ("brotli", "fastwarc", "isal")
# Only 500 KiB of a robots.txt count, but one that is larger must be read to be cut.
BODY_BYTES = 8_000_000
ROWS_IN_MEMORY = 500
CHARACTERS_IN_MEMORY = 16_000_000
ROBOTS_PATH = "/robots.txt"


def versions() -> dict[str, str]:
    """The libraries that decide what the stage writes."""
    return {name: version(name) for name in LIBRARIES}


def robots_row(record: Record, source: str) -> dict[str, Any] | None:
    """A row of the robots table; None for a record without a web URL.

    Pages under other paths are kept, since Common Crawl's robots.txt files hold what a robots.txt redirects to; of
    such a page that is HTML only the fact is kept.
    """
    place = site(record.url) if record.url else None
    if record.url is None or place is None:
        return None
    scheme, host, port = place
    path = path_and_query(record.url)
    is_page = path != ROBOTS_PATH and record.content_type in HTML_TYPES
    location = record.http_headers.get("location")
    has_rules = record.http_status is not None and 200 <= record.http_status < 300
    return {
        "scheme": scheme,
        "host": host,
        "port": port,
        "path": path,
        "fetched_at": record.date,
        "http_status": record.http_status,
        "content_type": record.content_type,
        "location": location[0] if location else None,
        "text": "" if is_page or not has_rules else decode_robots_txt(record.body),
        "cut": len(record.body) > MAX_BYTES or record.truncated is not None,
        "problem": record.problem,
        "warc_file": source,
        "warc_offset": record.offset,
        "warc_record_id": record.record_id,
    }


def _rows(item: Input, path: str, entry: Entry) -> Iterator[dict[str, Any]]:
    try:
        for record in read_records(path, BODY_BYTES):
            entry.read += 1
            if record.type != "response" and not record.problem:
                entry.reject("not_a_response")
                continue
            row = robots_row(record, item.name)
            if row is not None:
                yield row
            elif record.problem:
                entry.fail(record.problem)
            else:
                entry.reject("no_web_url")
    except NotWarc as error:
        raise KamisukiError(f"{item.path}: {error}") from None


def read_robots_shard(shard: dict[str, Any], folder: str, fetching: dict[str, Any] | None = None) -> dict[str, Any]:
    """Read one shard of robots.txt WARC files into `folder`. Returns the ledger entry as a record of counts."""
    started = time.perf_counter()
    work = Shard(shard["name"], tuple(Input(**item) for item in shard["inputs"]))
    entry = Entry(work.name, "robots")
    politeness = Politeness(**(fetching or {}))
    with TableWriter(as_place(folder) / f"{work.name}.parquet", ROBOTS) as out:
        rows: list[dict[str, Any]] = []
        held = 0
        for item in work.inputs:
            with local_input(item.path, politeness) as path:
                stat_before = input_stat(path, item.bytes)
                for row in _rows(item, path, entry):
                    entry.written += 1
                    entry.characters_out += len(row["text"])
                    held += len(row["text"])
                    rows.append(row)
                    if held >= CHARACTERS_IN_MEMORY or len(rows) >= ROWS_IN_MEMORY:
                        out.write_rows(rows)
                        rows, held = [], 0
                note_input(entry, item, path, stat_before)
        out.write_rows(rows)
    entry.output("robots", out.written())
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__
