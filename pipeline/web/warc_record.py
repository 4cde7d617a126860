"""WARC records: what is kept of one, and how it is made of its header fields and its block."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from pipeline.web.headers import MAX_HEADER_BYTES, header_end, http_fields
from pipeline.web.http_response import media_type, read_response

RECORD_TYPES = frozenset(
    ("warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation")
)
_DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)[T ]?(\d\d):?(\d\d):?(\d\d)(?:[.,]\d+)?\s*(Z|z|[+-]\d\d:?\d\d)?")


class Held(NamedTuple):
    """An HTTP response that is not taken apart yet: bytes that it is in, and where its header, its body and it end."""

    source: bytes
    header_start: int
    body_start: int
    body_end: int


@dataclass(slots=True)
class Record:
    """One record. `type` is its WARC-Type, or "unknown". `offset` and `length`: see pipeline.web.warc.

    `date` is in UTC. `truncated` is WARC-Truncated, or "cut" when fewer bytes came than were declared. Response
    records carry the HTTP fields: header names are in lower case, with all their values in order; `body` has transfer
    and content encodings undone; `content_type` is in lower case and without parameters. Warcinfo and metadata
    records carry their block as `body`, and so do conversion records (the text of a page in a WET file), with
    `refers_to`, the record that they were made of, and `languages`, their WARC-Identified-Content-Language.
    `concurrent_to` is of metadata records alone, the record that they are about,
    and `crawl_metadata` the block of the one that is about a response (pipeline.web.crawl_facts). `problem` names why a
    record cannot be used: cut_record, bad_warc_header (which also stands for bytes between records that are no
    record), bad_http_header, bad_content_encoding, body_too_large.
    """

    type: str
    offset: int = 0
    length: int = 0
    record_id: str | None = None
    url: str | None = None
    date: datetime | None = None
    payload_digest: str | None = None
    truncated: str | None = None
    http_status: int | None = None
    http_headers: dict[str, list[str]] = field(default_factory=dict)
    body: bytes = b""
    content_type: str | None = None
    http_charset: str | None = None
    http_language: str | None = None
    problem: str | None = None
    concurrent_to: str | None = None
    crawl_metadata: bytes = b""
    refers_to: str | None = None
    languages: str | None = None
    held: Held | None = field(default=None, compare=False, repr=False)

    def hold(self, response: Held) -> None:
        """Let body and HTTP headers be taken from a response when they are asked for first."""
        self.held = response
        del self.body, self.http_headers

    @property
    def body_view(self) -> bytes | memoryview:
        """The body, not copied where it need not be."""
        held = self.held
        return self.body if held is None else memoryview(held.source)[held.body_start : held.body_end]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            # Called for what has no value, which is what `hold` leaves so.
            if name == "body":
                self.body = self.held.source[self.held.body_start : self.held.body_end]
                return self.body
            if name == "http_headers":
                head = self.held.source[self.held.header_start : self.held.body_start]
                self.http_headers = http_fields(head[: header_end(head, len(head))[0]])
                return self.http_headers
            raise AttributeError(name)


def content_length(fields: dict[bytes, bytes]) -> int | None:
    """The declared length of a record's block in bytes; None when it is missing or no length."""
    value = fields.get(b"content-length", b"")
    return int(value) if value.isdigit() and len(value) <= 15 else None


def block_bytes_wanted(fields: dict[bytes, bytes], size: int, max_body_bytes: int) -> int:
    """How much of a record's block is to be kept: nothing of requests and the like."""
    type_name = fields.get(b"warc-type", b"").lower()
    if type_name == b"response":
        # A block too large for its body is read as far as its HTTP header, to say whose it was.
        return size if size <= max_body_bytes + MAX_HEADER_BYTES else MAX_HEADER_BYTES
    if type_name == b"conversion":
        return size if size <= max_body_bytes else 0
    return min(size, MAX_HEADER_BYTES) if type_name in (b"warcinfo", b"metadata") else 0


def make_record(fields: dict[bytes, bytes], block: bytes | memoryview, size: int, max_body_bytes: int) -> Record:
    """A record without its place. `size` is its declared length, `block` as much of it as was kept."""
    type_name = fields.get(b"warc-type", b"").decode("latin-1").lower()
    known_type = type_name if type_name in RECORD_TYPES else "unknown"
    record = Record(known_type, record_id=text_of(fields.get(b"warc-record-id")))
    if type_name == "metadata":
        record.body, record.concurrent_to = bytes(block), text_of(fields.get(b"warc-concurrent-to"))
        return record
    if type_name not in ("response", "warcinfo", "conversion"):
        return record
    record.url = url_of(text_of(fields.get(b"warc-target-uri")))
    record.date = parse_date(text_of(fields.get(b"warc-date")))
    record.payload_digest = text_of(fields.get(b"warc-payload-digest"))
    truncated = text_of(fields.get(b"warc-truncated"))
    record.truncated = truncated.lower() if truncated else None
    if type_name == "warcinfo":
        record.body = bytes(block)
        return record
    declared = fields.get(b"content-type", b"").lower()
    if type_name == "conversion":
        record.content_type = media_type(declared.decode("latin-1"))
        record.refers_to = text_of(fields.get(b"warc-refers-to"))
        record.languages = text_of(fields.get(b"warc-identified-content-language"))
        record.body = bytes(block)
        if size > max_body_bytes:
            record.problem = "body_too_large"
        return record
    if declared and not declared.startswith(b"application/http"):
        # Such as the answers of name servers that Heritrix keeps.
        record.content_type = media_type(declared.decode("latin-1"))
        record.body = bytes(block)
    else:
        response = read_response(block, max_body_bytes)
        record.http_status, record.http_headers = response.status, response.headers
        record.content_type, record.http_charset = response.content_type, response.charset
        record.http_language = ",".join(response.headers.get("content-language", [])) or None
        record.body, record.problem = response.body, response.problem
    if size > max_body_bytes + MAX_HEADER_BYTES or len(record.body) > max_body_bytes:
        record.body, record.problem = b"", "body_too_large"
    return record


def url_of(value: str | None) -> str | None:
    """A WARC-Target-URI without the brackets that some versions put around it."""
    return value.removeprefix("<").removesuffix(">").strip() or None if value else None


def text_of(value: bytes | None) -> str | None:
    """A header's value as text; None when it is empty or not there."""
    return value.decode("utf-8", "replace") or None if value else None


def parse_date(value: str | None) -> datetime | None:
    """A WARC-Date, or another way to write an ISO or RFC 2822 date, in UTC; None when it is none."""
    if not value:
        return None
    value = value.strip()
    try:
        date = datetime.fromisoformat(value)
    except ValueError:
        match = _DATE.fullmatch(value)
        try:
            if match:
                year, month, day, hour, minute, second, zone = match.groups()
                zone = "+00:00" if (zone or "Z") in "Zz" else zone
                date = datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute}:{second}{zone}")
            else:
                date = parsedate_to_datetime(value[:100])
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    try:
        if date.tzinfo is UTC:
            return date
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
