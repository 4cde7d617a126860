"""Extract: WARC records in, documents and rejects out. The cheapest test that can reject a page comes first."""

from __future__ import annotations

import datetime
import hashlib
import os
import re
import sys
import time
import unicodedata
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from typing import Any, NamedTuple

import xxhash

from filters.characters import kana_ratio
from pipeline.errors import KamisukiError
from pipeline.files import canonical_digest
from pipeline.inputs import input_digest, input_stat, local_input, records_of
from pipeline.ledger import Entry
from pipeline.outcomes import Outcome, OutcomeWriter, Reject
from pipeline.plan import Input, Shard
from pipeline.recipe import KEYS_OF_KAMISUKI, Extract
from pipeline.runner import Stopwatch
from pipeline.selected import selected_of
from pipeline.storage.http import Politeness
from pipeline.storage.places import as_place
from pipeline.web import charset, consent, gate, language, license
from pipeline.web.consent.agents import training_agents
from pipeline.web.crawl_facts import read_crawl_facts
from pipeline.web.extraction import Extraction
from pipeline.web.extractors import TRAFILATURA, Extractor, extractor_version, make_extractor
from pipeline.web.metadata import read_metadata
from pipeline.web.page import read_page
from pipeline.web.sandbox import Limits
from pipeline.web.urls import host
from pipeline.web.visible_letters import most_japanese_letters
from pipeline.web.warc import NotWarc, Record

RULE_VERSION = 11
HTML_TYPES = ("text/html", "application/xhtml+xml")
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


_UUID = re.compile(r"<?(?:urn:uuid:)?\{?([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})\}?>?")


def record_uuid(record_id: str | None) -> str | None:
    """The UUID of a WARC record id in lower case, None where it is none."""
    match = _UUID.fullmatch(record_id or "")
    return match.group(1).lower() if match else None


def document_id(record: Record, source: str) -> str:
    """The record id's UUID where there is one, else 32 hexadecimal digits of source, URL, date and payload digest."""
    known = record_uuid(record.record_id)
    if known is not None:
        return known
    digest = record.payload_digest or xxhash.xxh3_128_hexdigest(record.body)
    parts = (source, record.url or "", record.date.isoformat() if record.date else "", digest)
    return hashlib.blake2b("\n".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def crawl_name(source: str, warcinfo: str | None) -> str | None:
    """The crawl's name, CC-MAIN-2024-22, from the WARC's own warcinfo record, else from the input's name."""
    match = re.search(r"CC-(?:MAIN|NEWS)-\d{4}(?:-\d{2})?\b", warcinfo or "") or re.search(
        r"crawl-data/(CC-[A-Z]+-\d{4}-\d{2})/", source
    )
    return match.group(match.lastindex or 0) if match else None


class PageReader:
    """Turns one WARC record into a document row or a reject; holds the settings and their extractor."""

    def __init__(self, settings: Extract, steps: dict[str, float]) -> None:
        self.settings = settings
        self.extract = extractor_of(settings)
        self.watch = Stopwatch(steps)

    def read(self, record: Record, source: str, crawl: str | None) -> Outcome:
        """A document row, or the reason why the response makes none. `source` is the input's name."""
        return self.reject_unread(record, source) or self.read_page(record, source, crawl)

    def reject_unread(self, record: Record, source: str) -> Reject | None:
        """The reason why a response makes no document, where it shows before its page is parsed."""
        reject = partial(_reject, record, source)
        if record.problem:
            return reject(record.problem)
        if record.http_status != 200:
            return reject("http_status", value=record.http_status)
        if record.content_type not in HTML_TYPES:
            return reject("not_html", detail=record.content_type)
        if record.truncated and self.settings.truncated == "dropped":
            return reject("truncated", detail=record.truncated)
        clock = time.perf_counter()
        passed = gate.may_be_japanese(
            record.body_view, record.http_charset, record.http_language, record.crawl_metadata
        )
        self.watch.time("gate", clock)
        if passed.passed:
            return None
        return reject("no_kana", detail=None if passed.evidence == "no_kana" else passed.evidence)

    def read_page(self, record: Record, source: str, crawl: str | None) -> Outcome:
        """A document row of a response that `reject_unread` lets pass, or the reason why its page makes none."""
        reject = partial(_reject, record, source)
        clock = time.perf_counter()
        crawl_charset = read_crawl_facts(record.crawl_metadata).charset
        decoded = charset.decode(record.body, record.http_charset, crawl_charset)
        clock = self.watch.time("decode", clock)
        if decoded.text.count("<") > self.settings.limits.elements:
            elements = count_start_tags(decoded.text)
            if elements > self.settings.limits.elements:
                return reject("too_many_elements", elements, self.settings.limits.elements)
        page = read_page(decoded.text)
        clock = self.watch.time("page", clock)
        least = self.settings.visible_japanese_letters
        if least is not None and (letters := most_japanese_letters(page)) < least:
            return reject("too_few_japanese_letters_visible", letters, least)
        fetched_on = record.date.date() if record.date else None
        main = self.extract(page, decoded.text, record.url, fetched_on.isoformat() if fetched_on else None)
        clock = self.watch.time("main text", clock)
        if not isinstance(main, Extraction):
            return reject(main.reason, detail=main.detail)
        label, score = language.identify(main.text)
        kana = kana_ratio(main.text)
        clock = self.watch.time("language", clock)
        accepted = self.settings.language
        if not (label == "ja" and score >= accepted.min_score and kana > 0) and kana < accepted.kana_ratio:
            return reject("not_japanese", kana, accepted.kana_ratio, f"lid.176 {label} {score:.3f}")
        license_fact = license.find_license(page, record.http_headers, record.url)
        consent_fact = consent.find_consent(page, record.http_headers, fetched_on)
        clock = self.watch.time("license and consent", clock)
        facts = read_metadata(page, record.url, fetched_on)
        self.watch.time("metadata", clock)
        published_at = facts.published_at
        if published_at is None and main.date:
            published_at = datetime.date.fromisoformat(main.date)
        return {
            "id": document_id(record, source),
            "url": record.url,
            "host": host(record.url) if record.url else None,
            "title": facts.title or main.title,
            "text": main.text,
            "crawl": crawl,
            "fetched_at": record.date,
            "warc_file": source,
            "warc_offset": record.offset,
            "warc_length": record.length,
            "warc_record_id": record.record_id,
            "warc_truncated": record.truncated,
            "payload_digest": record.payload_digest,
            "http_status": record.http_status,
            "content_type": record.content_type,
            "charset": decoded.charset,
            "charset_source": decoded.source,
            "charset_replacements": decoded.replacements,
            "declared_language": facts.declared_language,
            "language": label,
            "language_score": score,
            "author": facts.author,
            "site_name": facts.site_name,
            "published_at": published_at,
            "modified_at": facts.modified_at,
            "description": facts.description,
            "canonical_url": facts.canonical_url,
            "license": license_fact.license,
            "license_url": license_fact.url,
            "license_source": license_fact.source,
            "license_tier": license_fact.tier,
            "license_disagreement": license_fact.disagreement,
            "license_compatible_with": license_fact.compatible_with,
            "consent": consent_fact.verdict,
            "consent_evidence": consent_fact.evidence,
            "extractor": main.extractor,
            "page_type": main.page_type,
            "extraction_confidence": main.confidence,
            "link_ratio": main.link_ratio,
            "capped": ", ".join(sorted(page.capped | main.capped)) or None,
            "source": None,
            "source_id": None,
            "source_metadata": None,
        }


def _reject(
    record: Record,
    source: str,
    reason: str,
    value: float | None = None,
    limit: float | None = None,
    detail: str | None = None,
) -> Reject:
    key = document_id(record, source)
    return Reject(key, record.url, reason, value, limit, detail, source, record.offset, record.length)


def count_start_tags(text: str) -> int:
    """About how many start tags a page has: each `<` less the ones of end tags, comments and instructions."""
    return text.count("<") - text.count("</") - text.count("<!") - text.count("<?")


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


def extractor_of(settings: Extract) -> Extractor:
    """The extractor that a recipe asks for. Sandboxes are started once and used by all shards that a worker gets."""
    limits = settings.limits
    sandbox = Limits(cpu_seconds=limits.cpu_seconds, memory_bytes=limits.memory_bytes, wall_seconds=limits.wall_seconds)
    return make_extractor(settings.extractor, sandbox, settings.tables, settings.ruby, settings.headline)


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
