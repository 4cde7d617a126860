"""Archive records with their places: read fast where the file is sound, and handed to the careful reader where not.

FastWARC reads WARC files in gzip as long as the books balance: each gzip member must hold exactly the record that was
read from it, which the size in the member's own trailer confirms. At the first doubt, and for the last record of each
file, the careful reader takes over at the record in doubt. So damage costs the records that it hit and no other. Plain
and Zstandard files and the older ARC format are the careful reader's from the start.

Places: a record that has whole gzip members or Zstandard frames to itself lies at `offset` and takes `length` bytes of
the file, as Common Crawl's index says. In a plain file they count the file's bytes too. Records that share one member
(a WARC compressed as a whole) have no place of their own in the file: for them both count bytes of the inflated file.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import cache
from itertools import chain
from typing import BinaryIO

from fastwarc import ArchiveIterator
from fastwarc.warc import WarcRecordPayloadReader

from pipeline.web.headers import MAX_HEADER_BYTES, first_values
from pipeline.web.warc_careful import read_carefully
from pipeline.web.warc_formats import (
    ARC,
    GZIP,
    GZIP_MAGIC,
    SEARCH_BLOCK_BYTES,
    WARC,
    Codec,
    DamagedMember,
    Format,
    find_member,
    read_dictionary,
    zstd_codec,
)
from pipeline.web.warc_members import Source
from pipeline.web.warc_record import Record, block_bytes_wanted, content_length, make_record, parse_date

__all__ = ["NotWarc", "Record", "detect_format", "open_input", "parse_date", "read_record_at", "read_records"]


class NotWarc(ValueError):
    """The input is no WARC, or has no record at the place; the message says in one line what it is and what to do."""


def open_input(path: str) -> BinaryIO:
    """Open an input for reading; it must be able to seek. The one place that knows where inputs live."""
    return open(path, "rb")


def read_records(path: str, max_body_bytes: int) -> Iterator[Record]:
    """All records of a WARC file, in order, damaged ones with their `problem`.

    Bodies beyond `max_body_bytes` are not kept, nor inflated further. Raises NotWarc when the file is no WARC, OSError
    when it cannot be read.
    """
    with open_input(path) as file, open_input(path) as trailers:
        found = detect_format(file)
        start = 0
        if found == Format(GZIP, WARC):
            file.seek(0)
            start = yield from _read_fast(file, trailers, max_body_bytes)
        source = Source(file, start, found)
        yield from read_carefully(source, max_body_bytes, cache(lambda: _inflated_position(path, start, found)))


def read_record_at(path: str, offset: int, length: int, max_body_bytes: int) -> Record:
    """One record by its place, as read_records gave it or as Common Crawl's index does.

    Raises NotWarc when no record of that length lies there: then the file is not the one that the place is from. Bytes
    between two records, which read_records reports too, come back with a problem, though not always the same one.
    """
    with open_input(path) as file:
        found = detect_format(file)
        record = next(read_carefully(Source(file, offset, found), max_body_bytes, lambda: 0), None)
        if record and (record.offset, record.length) == (offset, length):
            return record
        if found.codec:
            # No record has a member of its own there: the place may be one in the inflated file.
            source = Source(file, 0, found)
            source.go_to(offset)
            for record in read_carefully(source, max_body_bytes, lambda: 0):
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
            header_bytes = len(headers.status_line_bytes or b"") + 4 + 4 * len(pairs)
            header_bytes += sum(map(len, chain.from_iterable(pairs)))
            fields = first_values(pairs)
            size = content_length(fields)
            if size is None or size != raw.content_length:
                return place
            expected_size = header_bytes + size + 4
            wanted = block_bytes_wanted(fields, size, max_body_bytes)
            block = _read_all(raw.reader, wanted) if wanted else b""
            if len(block) < wanted:
                return place
            held = make_record(fields, block, size, max_body_bytes)
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


def _inflated_position(path: str, offset: int, file_format: Format) -> int:
    """Where in the inflated file the member at `offset` begins."""
    with open_input(path) as file:
        source = Source(file, 0, file_format)
        while source.member_start < offset:
            source.drop(len(source.buffer))
            if not source.fill() and source.advance() is None:
                break
        return source.position


def detect_format(file: BinaryIO) -> Format:
    """How a file is compressed and in which dialect it is written. Raises NotWarc when it is no archive at all."""
    file.seek(0)
    head = file.read(SEARCH_BLOCK_BYTES)
    if not head:
        raise NotWarc("the file is empty (0 bytes): fetch it again")
    codec = _codec(file, head)
    for dialect in (WARC, ARC):
        start = head.lstrip(b"\r\n") if codec is None else _first_opening(codec, head, dialect.opening_bytes)
        if dialect.opens(start[: dialect.opening_bytes]):
            return Format(codec, dialect)
    # Something else stands before the first record.
    for dialect in (WARC, ARC):
        for either in (codec or GZIP, None):
            found = Format(either, dialect)
            if find_member(file, 1, len(head), found) < len(head) if either else dialect.start.search(head):
                return found
    raise NotWarc(_describe(head, codec))


def _codec(file: BinaryIO, head: bytes) -> Codec | None:
    if head.startswith(GZIP_MAGIC):
        return GZIP
    codec = zstd_codec(None)
    if not head.startswith(codec.magics):
        return None
    try:
        return zstd_codec(read_dictionary(file))
    except DamagedMember as error:
        raise NotWarc(f"a Zstandard file whose dictionary is damaged ({error}): fetch it again") from None


def _first_opening(codec: Codec, head: bytes, size: int) -> bytes:
    """The first inflated bytes of a file: those of its first member that is not empty."""
    while head.startswith(codec.magics):
        inflater = codec.inflater()
        try:
            opening = inflater.inflate(head, size)
        except DamagedMember:
            return b""
        if opening or not inflater.eof:
            return opening
        head = inflater.unused_data
    return b""


def _describe(head: bytes, codec: Codec | None) -> str:
    if codec is not None:
        start = _first_opening(codec, head, 40)
        if not start:
            return f"a {codec.name} file that is empty or damaged at its start: fetch it again"
        return f"a {codec.name} file that holds no WARC but begins with {start!r}: give a .warc.gz file"
    names = {
        b"\x04\x22\x4d\x18": "compressed with LZ4: convert it with `fastwarc recompress`",
        b"PAR1": "a Parquet file: ingest it as text, not as a WARC",
        b"PK\x03\x04": "a ZIP file: unpack it and give the WARC in it",
    }
    for magic, what in names.items():
        if head.startswith(magic):
            return what
    return f"no WARC: it begins with {head[:40]!r}; give a file whose first line is like WARC/1.0"
