"""Extract: a shard of WARC files to its documents and rejects."""

from __future__ import annotations

import os
import sys
import time
import unicodedata
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, NamedTuple

from pipeline.errors import KamisukiError
from pipeline.extract_settings import KEYS_OF_KAMISUKI, Extract
from pipeline.files import canonical_digest
from pipeline.inputs import input_digest, input_stat, local_input, records_of
from pipeline.ledger import Entry
from pipeline.outcomes import Outcome, OutcomeWriter, Reject
from pipeline.plan import Input, Shard
from pipeline.responses import PageReader, crawl_name
from pipeline.selected import selected_of
from pipeline.storage.http import Politeness
from pipeline.storage.places import as_place
from pipeline.web import language
from pipeline.web.consent.agents import training_agents
from pipeline.web.extractors import TRAFILATURA, extractor_version
from pipeline.web.warc import NotWarc, Record

RULE_VERSION = 19
LIBRARIES = ("backports.zstd", "brotli", "fastwarc", "isal", "webencodings")
# trafilatura's own path ends in justext, courlan, htmldate and the parsers of dates below it.
TRAFILATURA_LIBRARIES = (
    "courlan",
    "dateparser",
    "htmldate",
    "justext",
    "lxml",
    "lxml-html-clean",
    "python-dateutil",
)
# Of a worker without a sandbox: twice what hostile pages of the largest size within the default limits took.
MEMORY_BYTES = 900_000_000
# How many pages wait to be read one after the other, with how many bytes, among how many outcomes.
_PAGES_AT_ONCE, _BYTES_AT_ONCE, _RESPONSES_AT_ONCE = 16, 4_000_000, 1_000


def versions(extractor: str) -> dict[str, str]:
    """The libraries and assets that decide what extract writes with this extractor."""
    libraries = LIBRARIES + (TRAFILATURA_LIBRARIES if extractor == TRAFILATURA else ())
    found = {name: version(name) for name in libraries}
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    assets = {"lid": language.model_digest(), "unicode": unicodedata.unidata_version, "python": python}
    assets["training_agents"] = canonical_digest(sorted(training_agents()))
    return {**found, **assets, "extractor": extractor_version(extractor)}


def deciding(settings: Extract) -> dict[str, Any]:
    """The settings that decide what extract writes.

    Limits of time decide last and by luck of the machine: pages that met one are named in the ledger, and raising one
    is no reason to read the web again. Kamisuki has no sandbox whose memory could be limited, and trafilatura writes
    tables, ruby and headlines in its own way.
    """
    limits = {"cpu_seconds", "wall_seconds"}
    if settings.extractor == TRAFILATURA:
        return settings.model_dump(mode="json", exclude={"limits": limits, **dict.fromkeys(KEYS_OF_KAMISUKI, True)})
    return settings.model_dump(mode="json", exclude={"limits": limits | {"memory_bytes"}})


def memory_bytes(settings: Extract) -> int:
    """What a worker of extract needs, its sandbox included."""
    return MEMORY_BYTES + (settings.limits.memory_bytes if settings.extractor == TRAFILATURA else 0)


def note_input(entry: Entry, item: Input, path: str, stat_before: list[int]) -> None:
    """Note in the ledger what was read of an input. Raises KamisukiError when it changed meanwhile."""
    digest = input_digest(item.path, path)
    if input_stat(path, item.bytes) != stat_before:
        raise KamisukiError(f"{item.path} changed while it was read: run again when it is whole")
    size = item.bytes if selected_of(item.path) else os.path.getsize(path)
    entry.inputs.append({"name": item.name, "bytes": size, "digest": digest})
    entry.notes.setdefault("stat", {})[item.name] = stat_before if path == item.path else [size, 0]
    entry.bytes_in += size


def input_stats(shard: Shard) -> dict[str, list[int] | None]:
    """`input_stat` of each input of a shard by its name; None for one that is missing."""
    found: dict[str, list[int] | None] = {}
    for item in shard.inputs:
        try:
            found[item.name] = input_stat(item.path, item.bytes)
        except FileNotFoundError:
            found[item.name] = None
    return found


class _Unread(NamedTuple):
    """A response that passed the gate, and the crawl that its file has named so far."""

    record: Record
    crawl: str | None


def read_input(item: Input, path: str, entry: Entry, reader: PageReader) -> Iterator[Outcome]:
    """All records of one input as document rows and rejects, in the input's order.

    Pages that pass the gate wait until there are a few of them: the code and the tables that a page needs are then read
    into the processor's cache once for all of these.
    """
    held: list[Reject | _Unread] = []
    pages = size = 0
    for one in _responses(item, path, entry, reader):
        held.append(one)
        if isinstance(one, _Unread):
            pages += 1
            size += len(one.record.body_view)
        if pages == _PAGES_AT_ONCE or size >= _BYTES_AT_ONCE or len(held) == _RESPONSES_AT_ONCE:
            yield from _read_held(held, reader, item.name)
            held = []
            pages = size = 0
    yield from _read_held(held, reader, item.name)


def _read_held(held: list[Reject | _Unread], reader: PageReader, source: str) -> Iterator[Outcome]:
    for one in held:
        yield one if isinstance(one, Reject) else reader.read_page(one.record, source, one.crawl)


def _responses(item: Input, path: str, entry: Entry, reader: PageReader) -> Iterator[Reject | _Unread]:
    """The responses of an input, and records with a problem, up to the gate; all others are counted."""
    crawl = crawl_name(item.name, None)
    seconds, others = 0.0, 0
    clock = time.perf_counter()
    for record in records_of(item.path, path, reader.settings.limits.body_bytes):
        entry.read += 1
        if record.type == "response" or record.problem:
            seconds += time.perf_counter() - clock
            yield reader.reject_unread(record, item.name) or _Unread(record, crawl)
            clock = time.perf_counter()
            continue
        # No capture of a page: counted, and nothing else is to be said of it.
        if record.type == "revisit":
            entry.reject("revisit")
            continue
        others += 1
        if record.type == "warcinfo":
            crawl = crawl_name(item.name, record.body[:10_000].decode("utf-8", "replace")) or crawl
    if others:
        entry.reject("not_a_response", count=others)
    reader.watch.add("read", seconds + time.perf_counter() - clock)


RECORD_ERRORS = frozenset(
    {"cut_record", "bad_warc_header", "bad_http_header", "bad_content_encoding", "body_too_large"}
)


def extract_shard(
    shard: dict[str, Any],
    settings: dict[str, Any],
    documents: str,
    rejects: str,
    fetching: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Extract one shard: `documents` and `rejects` are folders, `fetching` how servers are asked for remote inputs.

    Returns the ledger entry as a record of counts.
    """
    started = time.perf_counter()
    work = Shard(shard["name"], tuple(Input(**item) for item in shard["inputs"]))
    options = Extract(**settings)
    politeness = Politeness(**(fetching or {}))
    entry = Entry(work.name, "extract")
    reader = PageReader(options, entry.steps)
    places = as_place(documents), as_place(rejects)
    with OutcomeWriter(entry, reader.watch, *places, options.rejects_kept, _count_reject) as out:
        for item in work.inputs:
            with local_input(item.path, politeness) as path:
                stat_before = input_stat(path, item.bytes)
                for outcome in _records_of(item, path, entry, reader):
                    out.add(outcome)
                clock = time.perf_counter()
                note_input(entry, item, path, stat_before)
                reader.watch.time("digest", clock)
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(documents))
    return entry.__dict__


def _records_of(item: Input, path: str, entry: Entry, reader: PageReader) -> Iterator[Outcome]:
    try:
        yield from read_input(item, path, entry, reader)
    except NotWarc as error:
        raise KamisukiError(f"{item.path}: {error}") from None


def _count_reject(entry: Entry, reject: Reject) -> None:
    if reject.reason in RECORD_ERRORS:
        entry.fail(reject.reason)
        entry.notes.setdefault("errors", [])
        if len(entry.notes["errors"]) < 20:
            entry.notes["errors"].append({"id": reject.id, "url": reject.url, "reason": reject.reason})
    else:
        entry.reject(reject.reason)
    if reject.reason == "not_html":
        types = entry.notes.setdefault("other_types", {})
        types[reject.detail or ""] = types.get(reject.detail or "", 0) + 1
