"""WARC records with their places: a fast reader for sound files, a careful one for every other, and HTTP decoding.

FastWARC reads as long as the books balance: each gzip member must hold exactly the record that was read from it,
which the size in the member's own trailer confirms. At the first doubt, and for the last record of each file, the
careful reader takes over at the record in doubt. So damage costs the records that it hit and no other.

Places: a record that has whole gzip members to itself lies at `offset` and takes `length` bytes of the file, as Common
Crawl's index says. In a plain file they count the file's bytes too. Records that share one gzip member (a WARC
compressed as a whole) have no place of their own in the file: for them both count bytes of the inflated file.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from itertools import chain
from typing import BinaryIO

import brotli
from fastwarc import ArchiveIterator, ZstdReader
from fastwarc.warc import WarcRecordPayloadReader

RECORD_TYPES = frozenset(
    ("warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation")
)
# Real WARC and HTTP headers are below 16 kB; servers refuse longer ones (Apache: 8 kB a field, nginx: 32 kB in all).
MAX_HEADER_BYTES = 65_536
# Raw bytes fed to zlib at once. After damage the search for the next member starts at the piece that failed: small
# pieces keep hostile files linear.
PIECE_BYTES = 8_192
INFLATED_PIECE_BYTES = 262_144
SEARCH_BLOCK_BYTES = 1_048_576

GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP_START = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]")
_RECORD_START = re.compile(rb"WARC/\d\.\d{1,2}\r?\n[A-Za-z-]{1,50}:")
LONGEST_RECORD_START = 62
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_NEWLINES = re.compile(rb"[\r\n]*")
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})(?!\d)")
_CHARSET = re.compile(r"""charset\s*=\s*["']?\s*([^\s"';,]+)""", re.IGNORECASE)
_DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)[T ]?(\d\d):?(\d\d):?(\d\d)(?:[.,]\d+)?\s*(Z|z|[+-]\d\d:?\d\d)?")
_MARKUP_START = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]{0,64}<[A-Za-z!?/]")


class NotWarc(ValueError):
    """The input is no WARC, or has no record at the place; the message says in one line what it is and what to do."""


class _TooLarge(Exception):
    """A body inflates beyond the limit."""


@dataclass(slots=True)
class Record:
    """One record. `type` is its WARC-Type, or "unknown". `offset` and `length`: see the module's first lines.

    `date` is in UTC. `truncated` is WARC-Truncated, or "cut" when fewer bytes came than were declared. Response
    records carry the HTTP fields: header names are in lower case, with all their values in order; `body` has transfer
    and content encodings undone; `content_type` is in lower case and without parameters. A warcinfo record carries its
    block as `body`. `problem` names why a record cannot be used: cut_record, bad_warc_header (which
    also stands for bytes between records that are no record), bad_http_header, bad_content_encoding, body_too_large.
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
    problem: str | None = None


def open_input(path: str) -> BinaryIO:
    """Open an input for reading; it must be able to seek. The one place that knows where inputs live."""
    return open(path, "rb")


def read_records(path: str, max_body_bytes: int) -> Iterator[Record]:
    """All records of a WARC file, in order, damaged ones with their `problem`.

    Bodies beyond `max_body_bytes` are not kept, nor inflated further. Raises NotWarc when the file is no WARC, OSError
    when it cannot be read.
    """
    with open_input(path) as file, open_input(path) as trailers:
        gzipped = _is_gzipped(file)
        start = 0
        if gzipped:
            file.seek(0)
            start = yield from _read_fast(file, trailers, max_body_bytes)
        source = _Source(file, start, gzipped)
        yield from _read_carefully(source, max_body_bytes, cache(lambda: _inflated_position(path, start)))


def read_record_at(path: str, offset: int, length: int, max_body_bytes: int) -> Record:
    """One record by its place, as read_records gave it or as Common Crawl's index does.

    Raises NotWarc when no record of that length lies there: then the file is not the one that the place is from. Bytes
    between two records, which read_records reports too, come back with a problem, though not always the same one.
    """
    with open_input(path) as file:
        gzipped = _is_gzipped(file)
        record = next(_read_carefully(_Source(file, offset, gzipped), max_body_bytes, lambda: 0), None)
        if record and (record.offset, record.length) == (offset, length):
            return record
        if gzipped:
            # No record has a member of its own there: the place may be one in the inflated file.
            source = _Source(file, 0, gzipped)
            source.go_to(offset)
            for record in _read_carefully(source, max_body_bytes, lambda: 0):
                if (record.offset, record.length) == (offset, length):
                    return record
                # Damaged members inflate to nothing, so that several records can begin at one position.
                if source.position > offset:
                    break
    raise NotWarc(f"no record of {length} bytes at offset {offset}: the file is not the one that was read before")


def _read_fast(file: BinaryIO, trailers: BinaryIO, max_body_bytes: int) -> Generator[Record, None, int]:
    """Records of sound one-record members; returns the offset from which the careful reader must go on."""
    place = expected_size = 0
    held: Record | None = None
    try:
        for raw in ArchiveIterator(file, parse_http=False, max_header_len=MAX_HEADER_BYTES):
            start = raw.stream_pos
            if held is not None:
                if start <= place or not _member_ends(trailers, start, expected_size):
                    return place
                held.length = start - place
                yield held
            place, held = start, None
            headers = raw.headers
            pairs = headers.items_bytes()
            header_bytes = len(headers.status_line_bytes or b"") + 4 + 4 * len(pairs) + sum(map(len, chain(*pairs)))
            fields = _first_values(pairs)
            size = _content_length(fields)
            if size is None or size != raw.content_length:
                return place
            expected_size = header_bytes + size + 4
            wanted = _block_bytes_wanted(fields, size, max_body_bytes)
            block = _read_all(raw.reader, wanted) if wanted else b""
            if len(block) < wanted:
                return place
            held = _record(fields, block, size, max_body_bytes)
            held.offset = place
    except OSError:
        # Either damage, which the careful reader names, or the disk's own error, which it will meet again.
        return place
    return place


def _member_ends(trailers: BinaryIO, position: int, size: int) -> bool:
    """Whether a member of `size` inflated bytes ends at `position` and another begins (RFC 1952: ISIZE, magic)."""
    trailers.seek(position - 4)
    found = trailers.read(7)
    return found[4:] == GZIP_MAGIC and int.from_bytes(found[:4], "little") == size & 0xFFFFFFFF


def _read_all(reader: WarcRecordPayloadReader, size: int) -> bytes:
    block = reader.read(size)
    if len(block) == size or not block:
        return block
    parts, missing = [block], size - len(block)
    while missing and (block := reader.read(missing)):
        parts.append(block)
        missing -= len(block)
    return b"".join(parts)


class _Source:
    """The inflated bytes of a file, member after member; a plain file is one member. Never raises on damaged data.

    `buffer` holds what was inflated and not yet taken, `position` is where it begins, in inflated bytes since the
    source's start (in a plain file: in bytes of the file). `member_start` and `member_end` are offsets in the file.
    """

    def __init__(self, file: BinaryIO, offset: int, gzipped: bool) -> None:
        self.file, self.gzipped = file, gzipped
        self.file_end = file.seek(0, io.SEEK_END)
        self.position = 0 if gzipped else offset
        self.buffer = bytearray()
        self._open_member(offset, b"")

    def _open_member(self, offset: int, pending: bytes) -> None:
        self.member_start, self.member_end = offset, self.file_end
        self.member_position = self.position + len(self.buffer)
        self.ended = self.damaged = False
        self._pending, self._read_position = pending, offset + len(pending)
        self._inflater = zlib.decompressobj(31)
        self.file.seek(self._read_position)

    def fill(self) -> bool:
        """Add bytes of this member to the buffer; False when it has no more."""
        while not self.ended:
            piece = self._inflater.unconsumed_tail or self._next_piece()
            added = self._inflate(piece) if self.gzipped else piece
            if added:
                self.buffer += added
                return True
            if not piece:
                self.ended, self.damaged = True, self.gzipped and not self._inflater.eof
        return False

    def _next_piece(self) -> bytes:
        # Counted from the member's start, so that what a damaged member yields does not hang on how it was reached.
        self._look_ahead(PIECE_BYTES)
        piece, self._pending = self._pending[:PIECE_BYTES], self._pending[PIECE_BYTES:]
        return piece

    def _look_ahead(self, size: int) -> None:
        if len(self._pending) < size:
            more = self.file.read(size - len(self._pending))
            self._read_position += len(more)
            self._pending += more

    def _inflate(self, piece: bytes) -> bytes:
        try:
            inflated = self._inflater.decompress(piece, INFLATED_PIECE_BYTES)
        except zlib.error:
            self.ended = self.damaged = True
            search_from = max(self.member_start + 1, self._read_position - len(self._pending) - len(piece))
            self.member_end = _find_member(self.file, search_from, self.file_end)
            self._read_position, self._pending = self.member_end, b""
            self.file.seek(self.member_end)
            return b""
        if self._inflater.eof:
            self.ended = True
            self._pending = self._inflater.unused_data + self._pending
            self.member_end = self._read_position - len(self._pending)
        return inflated

    def advance(self) -> int | None:
        """Open the next member; returns how many bytes of no gzip data were passed, None at the end of the file."""
        if self.member_end >= self.file_end:
            return None
        old_end = self.member_end
        if self._head().startswith(GZIP_MAGIC):
            self._open_member(old_end, self._pending)
            return 0
        found = _find_member(self.file, old_end + 1, self.file_end)
        if found < self.file_end:
            self._open_member(found, b"")
        else:
            self.member_end = self.file_end
        return found - old_end

    def _head(self) -> bytes:
        """The file's bytes after this member, enough to see what begins there."""
        self._look_ahead(PIECE_BYTES)
        return self._pending

    def more(self) -> bool:
        """As fill, and on into the members that carry on this one's record: some writers cut records into blocks."""
        while not self.fill():
            if not self.gzipped or self.damaged or self.member_end >= self.file_end:
                return False
            if _opening(self._head()) in (None, b"WARC/"):
                return False
            self._open_member(self.member_end, self._pending)
        return True

    def drop(self, size: int) -> None:
        """Forget the first bytes of the buffer."""
        del self.buffer[:size]
        self.position += size

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, fewer only when no more come."""
        while len(self.buffer) < size and self.more():
            continue
        block = bytes(self.buffer[:size])
        self.drop(len(block))
        return block

    def skip(self, size: int) -> int:
        """Pass over up to `size` bytes without keeping them; returns how many there were."""
        left = size
        while left and (self.buffer or self.more()):
            step = min(left, len(self.buffer))
            self.drop(step)
            left -= step
        return size - left

    def skip_newlines(self) -> None:
        """Pass over line ends, so that the buffer begins with something else or the member is at its end."""
        while True:
            newlines = _NEWLINES.match(self.buffer)
            self.drop(newlines.end() if newlines else 0)
            if self.buffer or not self.fill():
                return

    def skip_to_record(self, keep: int) -> bytes:
        """Pass over bytes up to what opens a record, or the member's end; returns the first `keep` of them."""
        kept = bytearray()
        while True:
            found = _RECORD_START.search(self.buffer)
            passed = found.start() if found else max(0, len(self.buffer) - LONGEST_RECORD_START)
            ended = not found and not self.fill()
            if ended:
                passed = len(self.buffer)
            kept += self.buffer[: min(passed, keep - len(kept))]
            self.drop(passed)
            if found or ended:
                return bytes(kept)

    def go_to(self, position: int) -> None:
        """Pass over everything before a position of the inflated file."""
        while self.position < position:
            self.drop(min(len(self.buffer), position - self.position))
            if not self.buffer and not self.fill() and self.advance() is None:
                return

    def header_end(self) -> int:
        """Length of the header at the buffer's start with its empty line; 0 when none ends within MAX_HEADER_BYTES."""
        searched = 0
        while True:
            end = _HEADER_END.search(self.buffer, searched, MAX_HEADER_BYTES)
            if end:
                return end.end()
            searched = max(0, len(self.buffer) - 3)
            if searched >= MAX_HEADER_BYTES or not self.more():
                return 0


def _read_carefully(source: _Source, max_body_bytes: int, base: Callable[[], int]) -> Iterator[Record]:
    """All records from the source on. `base` gives the inflated position of the source's start, when it is needed."""
    while True:
        source.skip_newlines()
        if source.buffer:
            yield _next_record(source, max_body_bytes, base)
            continue
        if source.damaged:
            source.damaged = False
            size = source.member_end - source.member_start
            yield Record("unknown", source.member_start, size, truncated="cut", problem="cut_record")
        gap_start = source.member_end
        gap = source.advance()
        if gap is None:
            return
        if gap:
            yield Record("unknown", gap_start, gap, problem="bad_warc_header")


def _next_record(source: _Source, max_body_bytes: int, base: Callable[[], int]) -> Record:
    member_start, position = source.member_start, source.position
    opens_member = position == source.member_position
    record = _parse_record(source, max_body_bytes)
    source.skip_newlines()
    if source.damaged and not source.buffer:
        source.damaged = False
        record.truncated, record.problem = "cut", record.problem or "cut_record"
    if not source.gzipped:
        record.offset, record.length = position, source.position - position
    elif opens_member and source.ended and not source.buffer:
        record.offset, record.length = member_start, source.member_end - member_start
    else:
        record.offset, record.length = base() + position, source.position - position
    return record


def _parse_record(source: _Source, max_body_bytes: int) -> Record:
    while len(source.buffer) < 5 and source.more():
        continue
    if not source.buffer.startswith(b"WARC/"):
        source.skip_to_record(0)
        return Record("unknown", problem="bad_warc_header")
    header_bytes = source.header_end()
    if not header_bytes:
        cut = len(source.buffer) < MAX_HEADER_BYTES and not _RECORD_START.search(source.buffer, 5)
        source.drop(5)
        source.skip_to_record(0)
        return Record("unknown", truncated="cut" if cut else None, problem="cut_record" if cut else "bad_warc_header")
    fields = _first_values(_header_pairs(bytes(source.buffer[:header_bytes])))
    source.drop(header_bytes)
    size = _content_length(fields)
    if size is None:
        source.skip_to_record(0)
        record = _record(fields, b"", 0, max_body_bytes)
        record.problem = "bad_warc_header"
        return record
    wanted = _block_bytes_wanted(fields, size, max_body_bytes)
    if not source.gzipped and source.position + size > source.file_end:
        # Believing this length would swallow all records that follow.
        block = source.skip_to_record(wanted)
        complete = False
    else:
        block = source.read(wanted)
        complete = len(block) == wanted and source.skip(size - wanted) == size - wanted
    record = _record(fields, block, size, max_body_bytes)
    if not complete:
        record.truncated, record.problem = "cut", "cut_record"
    return record


def _inflated_position(path: str, offset: int) -> int:
    """Where in the inflated file the member at `offset` begins."""
    with open_input(path) as file:
        source = _Source(file, 0, gzipped=True)
        while source.member_start < offset:
            source.drop(len(source.buffer))
            if not source.fill() and source.advance() is None:
                break
        return source.position


def _opening(head: bytes, size: int = 5) -> bytes | None:
    """The first inflated bytes of a gzip member, fewer when it has fewer; None when it is none."""
    try:
        return zlib.decompressobj(31).decompress(head, size)
    except zlib.error:
        return None


def _find_member(file: BinaryIO, start: int, end: int) -> int:
    """Offset of the next gzip member that begins with a WARC record, or `end`."""
    head_bytes = 2_048
    while start < end:
        file.seek(start)
        block = file.read(SEARCH_BLOCK_BYTES + head_bytes)
        for candidate in _GZIP_START.finditer(block, 0, SEARCH_BLOCK_BYTES + 3):
            place = candidate.start()
            if _opening(block[place : place + head_bytes]) == b"WARC/":
                return min(start + place, end)
        start += SEARCH_BLOCK_BYTES
    return end


def _is_gzipped(file: BinaryIO) -> bool:
    """Whether a WARC file is compressed. Raises NotWarc when it is no WARC at all."""
    head = file.read(PIECE_BYTES)
    if not head:
        raise NotWarc("the file is empty (0 bytes): fetch it again")
    opening = _opening(head)
    if opening == b"WARC/":
        return True
    if head.lstrip(b"\r\n").startswith(b"WARC/"):
        return False
    head += file.read(SEARCH_BLOCK_BYTES)
    if _find_member(file, 1, len(head)) < len(head):
        return True
    if _RECORD_START.search(head):
        return False
    raise NotWarc(_describe(head, opening))


def _describe(head: bytes, opening: bytes | None) -> str:
    if opening is not None:
        start = _opening(head[:PIECE_BYTES], 40) or opening
        if not start:
            return "a gzip file that is empty or damaged at its start: fetch it again"
        if start.startswith(b"filedesc:"):
            return "an ARC file in gzip: convert it with `warcio recompress`"
        return f"a gzip file that holds no WARC but begins with {start!r}: give a .warc.gz file"
    names = {
        b"\x28\xb5\x2f\xfd": "compressed with Zstandard: convert it with `fastwarc recompress`",
        b"\x04\x22\x4d\x18": "compressed with LZ4: convert it with `fastwarc recompress`",
        b"filedesc:": "an ARC file: convert it with `warcio recompress`",
        b"PAR1": "a Parquet file: ingest it as text, not as a WARC",
        b"PK\x03\x04": "a ZIP file: unpack it and give the WARC in it",
        GZIP_MAGIC: "a gzip file that is damaged at its start: fetch it again",
    }
    for magic, what in names.items():
        if head.startswith(magic):
            return what
    return f"no WARC: it begins with {head[:40]!r}; give a file whose first line is like WARC/1.0"


def _header_pairs(header: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values of the lines after a header's first; a line that begins with white space carries on the last."""
    pairs: list[tuple[bytes, bytes]] = []
    folded: list[bytes] = []
    for line in header.split(b"\n")[1:]:
        if line[:1] in (b" ", b"\t") and pairs:
            folded.append(line.strip())
            continue
        if folded:
            pairs[-1] = (pairs[-1][0], b" ".join([pairs[-1][1], *folded]))
            folded = []
        name, colon, value = line.partition(b":")
        if colon:
            pairs.append((name.strip(), value.strip()))
    if folded:
        pairs[-1] = (pairs[-1][0], b" ".join([pairs[-1][1], *folded]))
    return pairs


def _first_values(pairs: list[tuple[bytes, bytes]] | tuple[tuple[bytes, bytes], ...]) -> dict[bytes, bytes]:
    return {name.lower(): value for name, value in reversed(pairs)}


def _content_length(fields: dict[bytes, bytes]) -> int | None:
    value = fields.get(b"content-length", b"")
    return int(value) if value.isdigit() and len(value) <= 15 else None


def _block_bytes_wanted(fields: dict[bytes, bytes], size: int, max_body_bytes: int) -> int:
    """How much of a record's block is to be kept: of other records than responses only what warcinfo says."""
    type_name = fields.get(b"warc-type", b"").lower()
    if type_name == b"response":
        # A block too large for its body is read as far as its HTTP header, to say whose it was.
        return size if size <= max_body_bytes + MAX_HEADER_BYTES else MAX_HEADER_BYTES
    return min(size, MAX_HEADER_BYTES) if type_name == b"warcinfo" else 0


def _text(value: bytes | None) -> str | None:
    return value.decode("utf-8", "replace") or None if value else None


def _record(fields: dict[bytes, bytes], block: bytes, size: int, max_body_bytes: int) -> Record:
    """A record without its place. `size` is its declared length, `block` as much of it as was kept."""
    type_name = fields.get(b"warc-type", b"").decode("latin-1").lower()
    known_type = type_name if type_name in RECORD_TYPES else "unknown"
    record = Record(known_type, record_id=_text(fields.get(b"warc-record-id")))
    if type_name not in ("response", "warcinfo"):
        return record
    url = _text(fields.get(b"warc-target-uri"))
    record.url = url.removeprefix("<").removesuffix(">").strip() or None if url else None
    record.date = parse_date(_text(fields.get(b"warc-date")))
    record.payload_digest = _text(fields.get(b"warc-payload-digest"))
    truncated = _text(fields.get(b"warc-truncated"))
    record.truncated = truncated.lower() if truncated else None
    if type_name == "warcinfo":
        record.body = block
        return record
    declared = fields.get(b"content-type", b"").lower()
    if declared and not declared.startswith(b"application/http"):
        # Such as the answers of name servers that Heritrix keeps.
        record.content_type = _media_type(declared.decode("latin-1"))
        record.body = block
    else:
        _read_http(record, block, max_body_bytes)
    if size > max_body_bytes + MAX_HEADER_BYTES or len(record.body) > max_body_bytes:
        record.body, record.problem = b"", "body_too_large"
    return record


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
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def _media_type(value: str) -> str | None:
    return value.split(";", 1)[0].strip().lower() or None


def _read_http(record: Record, block: bytes, max_body_bytes: int) -> None:
    """Fill in the HTTP fields of a response from its block."""
    status = _STATUS.match(block)
    end = _HEADER_END.search(block, 0, MAX_HEADER_BYTES)
    if not status or (not end and len(block) >= MAX_HEADER_BYTES):
        record.problem = "bad_http_header"
        return
    header, body = (block[: end.start()], block[end.end() :]) if end else (block, b"")
    record.http_status = int(status.group(1))
    headers = record.http_headers
    for name, value in _header_pairs(header):
        headers.setdefault(name.decode("latin-1").lower(), []).append(_decode_value(value))
    # Of several content types the last one counts (MIME Sniffing Standard, 5.1).
    for media_type in headers.get("content-type", []):
        if "/" in media_type:
            record.content_type = _media_type(media_type)
            charset = _CHARSET.search(media_type)
            record.http_charset = charset.group(1).lower() if charset else None
    if any("chunked" in value.lower() for value in headers.get("transfer-encoding", [])):
        body = _join_chunks(body)
    encodings = ",".join(headers.get("content-encoding", [])).lower().split(",")
    try:
        # Three layers are one more than any honest server makes.
        for encoding in [name.strip() for name in encodings[::-1] if name.strip()][:3]:
            body = _decode_body(body, encoding, max_body_bytes)
    except _TooLarge:
        record.problem = "body_too_large"
        return
    except (zlib.error, brotli.error, OSError):
        record.problem = "bad_content_encoding"
        return
    record.body = body


def _decode_value(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _join_chunks(raw: bytes) -> bytes:
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
    for start in range(0, len(body), PIECE_BYTES):
        piece = body[start : start + PIECE_BYTES]
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
        added = decompressor.process(piece, output_buffer_limit=min(INFLATED_PIECE_BYTES, limit + 1))
        piece = b""
        inflated += added
        if len(inflated) > limit:
            raise _TooLarge
        if not added and decompressor.can_accept_more_data():
            break
    return bytes(inflated)
