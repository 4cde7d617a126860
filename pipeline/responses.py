"""Responses: one WARC response to a document row or a reject. The cheapest test that can reject a page comes first."""

from __future__ import annotations

import datetime
import hashlib
import re
import time
from functools import partial

import xxhash

from filters.characters import kana_ratio
from pipeline.extract_settings import Extract
from pipeline.outcomes import Outcome, Reject
from pipeline.runner import Stopwatch
from pipeline.web import charset, gate, language, license
from pipeline.web.consent.page_signals import find_consent
from pipeline.web.crawl_facts import read_crawl_facts
from pipeline.web.extraction import Extraction
from pipeline.web.extractors import Extractor, make_extractor
from pipeline.web.metadata import read_metadata
from pipeline.web.page import read_page
from pipeline.web.sandbox import Limits
from pipeline.web.urls import host
from pipeline.web.visible_letters import most_japanese_letters
from pipeline.web.warc import Record

HTML_TYPES = ("text/html", "application/xhtml+xml")

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
        consent_fact = find_consent(page, record.http_headers, fetched_on)
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


def extractor_of(settings: Extract) -> Extractor:
    """The extractor that a recipe asks for. Sandboxes are started once and used by all shards that a worker gets."""
    limits = settings.limits
    sandbox = Limits(cpu_seconds=limits.cpu_seconds, memory_bytes=limits.memory_bytes, wall_seconds=limits.wall_seconds)
    return make_extractor(settings.extractor, sandbox, settings.tables, settings.ruby, settings.headline)
