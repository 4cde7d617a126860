"""A WARC record as it was stored: its headers and its payload byte for byte, and whether the payload's digest holds."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.web.headers import MAX_HEADER_BYTES, header_end, http_fields
from pipeline.web.http_response import has_extra_line, join_chunks
from pipeline.web.warc import NotWarc, detect_format, open_input
from pipeline.web.warc_members import Source
from pipeline.web.warc_record import content_length

# Names that crawlers write before the colon of a digest (WARC 1.1, 5.8 and 5.9), and hashlib's for them.
_ALGORITHMS = {"sha1": "sha1", "sha-1": "sha1", "sha256": "sha256", "sha-256": "sha256", "sha512": "sha512"}
_ALGORITHMS |= {"sha-512": "sha512", "md5": "md5"}


@dataclass(frozen=True)
class RawRecord:
    """The header of a record, that of the HTTP message in it (empty where it holds none), and what is behind them."""

    header: bytes
    http_header: bytes
    payload: bytes


@dataclass(frozen=True)
class PayloadDigest:
    """The digest that was computed of a payload, and what the record says it is.

    `of` says what was hashed. `holds` is None where the record says none, or one in a way that is not known.
    """

    computed: str
    said: str | None
    of: str
    holds: bool | None


def read_raw_record(path: str, offset: int, record_id: str | None, most_bytes: int) -> RawRecord:
    """The record of a place, as `read_record_at` found it there, with at most `most_bytes` of its payload.

    Raises NotWarc where no record of that id lies there.
    """
    with open_input(path) as file:
        found = detect_format(file)
        for in_file in (True, False):
            source = Source(file, offset if in_file else 0, found)
            if not in_file:
                source.go_to(offset)
            source.skip_newlines()
            if not source.buffer:
                source.advance()
            header = bytes(source.buffer[: source.header_end()])
            fields = found.dialect.fields(header) if header else None
            if not fields or fields.get(b"warc-record-id", b"").decode("utf-8", "replace") != (record_id or ""):
                continue
            source.drop(len(header))
            return _parts(header, fields, source.read(min(content_length(fields) or 0, most_bytes + MAX_HEADER_BYTES)))
    raise NotWarc(f"no record {record_id} at offset {offset}")


def _parts(header: bytes, fields: dict[bytes, bytes], block: bytes) -> RawRecord:
    is_http = fields.get(b"content-type", b"application/http").lower().startswith(b"application/http")
    end = header_end(block, MAX_HEADER_BYTES) if is_http and block.startswith(b"HTTP/") else None
    return RawRecord(header, block[: end[1]], block[end[1] :]) if end else RawRecord(header, b"", block)


def payload_digest(raw: RawRecord, said: str | None, body: bytes) -> PayloadDigest:
    """Compute the digest of a payload and hold it against what the record says; `body` is the payload decoded.

    The payload of an HTTP message is what its transfer codings hold (WARC 1.1, 4); crawlers that store a message
    otherwise hash it as they stored it, so that what they may have hashed is tried in turn.
    """
    label, _, value = (said or "").partition(":")
    algorithm = _ALGORITHMS.get(label.strip().lower(), "")
    wanted = _digest_bytes(value.strip(), algorithm) if algorithm else None
    hashed = [(of, hashlib.new(algorithm or "sha1", data).digest()) for of, data in _payloads(raw, body)]
    of, digest = next(((of, digest) for of, digest in hashed if digest == wanted), hashed[0])
    computed = f"{algorithm or 'sha1'}:{base64.b32encode(digest).decode().rstrip('=')}"
    return PayloadDigest(computed, said, of, None if wanted is None else digest == wanted)


def _payloads(raw: RawRecord, body: bytes) -> Iterator[tuple[str, bytes]]:
    yield "the payload as it is stored", raw.payload
    if raw.http_header:
        headers = http_fields(raw.http_header)
        stored = raw.payload
        if has_extra_line(headers, stored):
            stored = stored[2:]
            yield "the payload without an empty line before it", stored
        yield "the payload without its transfer coding", join_chunks(stored)
    yield "the payload without its codings", body


def _digest_bytes(value: str, algorithm: str) -> bytes | None:
    """A digest's bytes, in hexadecimal digits or in Base32 with or without padding; None where it is neither."""
    size = hashlib.new(algorithm).digest_size
    value = value.rstrip("=")
    try:
        found = (
            bytes.fromhex(value) if len(value) == 2 * size else base64.b32decode(value + "=" * (-len(value) % 8), True)
        )
    except (ValueError, binascii.Error):
        return None
    return found if len(found) == size else None
