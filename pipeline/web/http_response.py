"""HTTP responses: a stored response to its status, header fields and body, the body's encodings undone."""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import dataclass, field

import brotli
from fastwarc import ZstdReader

from pipeline.web.headers import MAX_HEADER_BYTES, header_end, http_fields

# Where a header is looked for first, without copying the page behind it.
_USUAL_HEADER_BYTES = 4_096
# Raw bytes fed to zlib at once: the rest is copied at the end of each gzip member, and a body can have thousands.
_PIECE_BYTES = 8_192
# Inflated bytes taken from Brotli at once, so that a bomb is noticed before it is in memory.
_INFLATED_PIECE_BYTES = 262_144

_STATUS = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})(?!\d)")
_CHARSET = re.compile(r"""charset\s*=\s*["']?\s*([^\s"';,]+)""", re.IGNORECASE)
_MARKUP_START = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]{0,64}<[A-Za-z!?/]")


class _TooLarge(Exception):
    """A body inflates beyond the limit."""


@dataclass(slots=True)
class HttpResponse:
    """One response. Header names are in lower case, with all their values in order.

    `body` has transfer and content encodings undone; `content_type` is in lower case and without parameters, `charset`
    is its charset parameter, in lower case. `problem` names why there is no body: bad_http_header,
    bad_content_encoding, body_too_large.
    """

    status: int | None = None
    headers: dict[str, list[str]] = field(default_factory=dict)
    content_type: str | None = None
    charset: str | None = None
    body: bytes = b""
    problem: str | None = None


def read_response(block: bytes | memoryview, max_body_bytes: int) -> HttpResponse:
    """A response from its bytes: status line, header and body. Damage becomes its `problem`.

    A body that inflates beyond `max_body_bytes` is not inflated further.
    """
    status = _STATUS.match(block)
    head = bytes(block[:_USUAL_HEADER_BYTES])
    end = header_end(head, MAX_HEADER_BYTES)
    if not end and len(block) > _USUAL_HEADER_BYTES:
        head = bytes(block[:MAX_HEADER_BYTES])
        end = header_end(head, MAX_HEADER_BYTES)
    if not status or (not end and len(block) >= MAX_HEADER_BYTES):
        return HttpResponse(problem="bad_http_header")
    header, body = (head[: end[0]], bytes(block[end[1] :])) if end else (head, b"")
    headers = http_fields(header)
    response = HttpResponse(int(status.group(1)), headers)
    if has_extra_line(headers, body):
        body = body[2:]
    # Of several content types the last one counts (MIME Sniffing Standard, 5.1).
    for content_type in headers.get("content-type", []):
        if "/" in content_type:
            response.content_type, response.charset = content_type_of(content_type)
    if "chunked" in ",".join(headers.get("transfer-encoding", [])).lower():
        body = join_chunks(body)
    encodings = ",".join(headers.get("content-encoding", [])).lower().split(",")
    try:
        # Three layers are one more than any honest server makes.
        for encoding in [name.strip() for name in encodings[::-1] if name.strip()][:3]:
            body = _decode_body(body, encoding, max_body_bytes)
    except _TooLarge:
        response.problem = "body_too_large"
        return response
    except (zlib.error, brotli.error, OSError):
        response.problem = "bad_content_encoding"
        return response
    response.body = body
    return response


def has_extra_line(headers: dict[str, list[str]], body: bytes) -> bool:
    """Whether the archive's writer put an empty line too many behind the header, as in all of CC-MAIN-2018-34.

    The declared length is then two bytes short, or a mark of a charset comes behind the line.
    """
    if not body.startswith(b"\r\n"):
        return False
    behind = body[2:5]
    if behind == b"\xef\xbb\xbf" or behind[:2] in (b"\xfe\xff", b"\xff\xfe"):
        return True
    return any(value.strip() == str(len(body) - 2) for value in headers.get("content-length", []))


def media_type(value: str) -> str | None:
    """The type and subtype of a Content-Type, in lower case and without parameters; None when it is empty."""
    return value.split(";", 1)[0].strip().lower() or None


def content_type_of(value: str) -> tuple[str | None, str | None]:
    """The media type of a Content-Type and its charset parameter, both in lower case."""
    charset = _CHARSET.search(value)
    return media_type(value), charset.group(1).lower() if charset else None


def join_chunks(raw: bytes) -> bytes:
    """Undo chunked transfer encoding; the bytes as they are when they are not chunked, as many crawlers store them."""
    joined = bytearray()
    position = 0
    while position < len(raw):
        line_end = raw.find(b"\n", position, position + 1_024)
        if line_end < 0 and joined and len(raw) - position < 1_024:
            # Cut within the size of a chunk.
            break
        size_text = raw[position:line_end].split(b";", 1)[0].strip()
        if line_end < 0 or not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", size_text):
            return raw
        size = int(size_text, 16)
        if size == 0:
            break
        joined += raw[line_end + 1 : line_end + 1 + size]
        position = line_end + 1 + size
        if raw.startswith(b"\r\n", position):
            position += 2
        elif raw.startswith(b"\n", position):
            position += 1
        elif raw[position : position + 2] not in (b"", b"\r"):
            return raw
    return bytes(joined)


def _decode_body(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo one content encoding; bytes that plainly do not have it are returned as they are.

    An encoded body that ends early gives what came. Raises _TooLarge, and zlib.error, brotli.error or OSError when the
    bytes are damaged.
    """
    if not body or _MARKUP_START.match(body):
        return body
    if encoding in ("gzip", "x-gzip"):
        return _inflate_body(body, 31, limit) if body.startswith(b"\x1f\x8b") else body
    if encoding == "deflate":
        try:
            return _inflate_body(body, 15, limit)
        except zlib.error:
            # Many servers send deflate without the zlib wrapper that the name stands for (RFC 9110, 8.4.1.2).
            return _inflate_body(body, -15, limit)
    if encoding == "br":
        return _inflate_brotli(body, limit)
    if encoding == "zstd":
        inflated = ZstdReader(io.BytesIO(body)).read(limit + 1)
        if len(inflated) > limit:
            raise _TooLarge
        return inflated
    if encoding in ("compress", "x-compress"):
        raise OSError("LZW-compressed body")
    return body


def _inflate_body(body: bytes, window: int, limit: int) -> bytes:
    inflated = bytearray()
    inflater = zlib.decompressobj(window)
    for start in range(0, len(body), _PIECE_BYTES):
        piece = body[start : start + _PIECE_BYTES]
        while piece:
            inflated += inflater.decompress(piece, limit + 1 - len(inflated))
            if len(inflated) > limit:
                raise _TooLarge
            piece = inflater.unconsumed_tail
            if inflater.eof:
                piece = inflater.unused_data
                if window != 31 or not piece.startswith(b"\x1f\x8b"):
                    return bytes(inflated)
                inflater = zlib.decompressobj(window)
    return bytes(inflated)


def _inflate_brotli(body: bytes, limit: int) -> bytes:
    inflated = bytearray()
    decompressor = brotli.Decompressor()
    piece = body
    while not decompressor.is_finished():
        added = decompressor.process(piece, output_buffer_limit=min(_INFLATED_PIECE_BYTES, limit + 1))
        piece = b""
        inflated += added
        if len(inflated) > limit:
            raise _TooLarge
        if not added and decompressor.can_accept_more_data():
            break
    return bytes(inflated)
