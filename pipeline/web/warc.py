"""Archive records with their places: read fast where the file is sound, and handed to the careful reader where not.

WARC files in gzip are read fast as long as each member holds exactly one record that is whole. At the first doubt the
careful reader takes over at the member in doubt. So damage costs the records that it hit and no other. Plain and
Zstandard files and the older ARC format are the careful reader's from the start.

Places: a record that has whole gzip members or Zstandard frames to itself lies at `offset` and takes `length` bytes of
the file, as Common Crawl's index says. In a plain file they count the file's bytes too. Records that share one member
(a WARC compressed as a whole) have no place of their own in the file: for them both count bytes of the inflated file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import BinaryIO

from pipeline.web.warc_careful import read_carefully
from pipeline.web.warc_fast import read_sound_members
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
from pipeline.web.warc_record import Record, parse_date

__all__ = [
    "NotWarc",
    "Record",
    "detect_format",
    "open_input",
    "parse_date",
    "read_places",
    "read_record_at",
    "read_records",
]


_LONGEST_MAGIC = 4


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
    with open_input(path) as file:
        found = detect_format(file)
        start: int | None = 0
        if found == Format(GZIP, WARC):
            file.seek(0)
            start = yield from read_sound_members(file, max_body_bytes)
        if start is None:
            return
        source = Source(file, start, found)
        yield from read_carefully(source, max_body_bytes, cache(lambda: _inflated_position(path, start, found)))


def read_record_at(path: str, offset: int, length: int, max_body_bytes: int) -> Record:
    """One record by its place, as read_records gave it or as Common Crawl's index does.

    Raises NotWarc when no record of that length lies there: then the file is not the one that the place is from. Bytes
    between two records, which read_records reports too, come back with a problem, though not always the same one; where
    their place is by chance that of a record too, that is what comes back.
    """
    damaged: Record | None = None
    with open_input(path) as file:
        found = detect_format(file)
        file.seek(offset)
        # A place in the inflated file can by chance be one of damaged bytes in the file, too.
        is_member = found.codec is not None and file.read(_LONGEST_MAGIC).startswith(found.codec.magics)
        ways = [_in_file, _in_inflated_file] if is_member else [_in_inflated_file, _in_file]
        for way in ways if found.codec else [_in_file]:
            record = way(file, found, offset, length, max_body_bytes)
            if record is not None and record.type != "unknown":
                return record
            damaged = damaged or record
    if damaged is not None:
        return damaged
    raise NotWarc(f"no record of {length} bytes at offset {offset}: the file is not the one that was read before")


def read_places(path: str, places: Iterable[tuple[int, int]], max_body_bytes: int) -> Iterator[Record]:
    """The records at places (offset, length) of a WARC in gzip, in order; the rest of the file need not be there.

    A place that holds no record of that length gives one with the problem bad_warc_header.
    """
    with open_input(path) as file:
        for offset, length in places:
            record = _in_file(file, Format(GZIP, WARC), offset, length, max_body_bytes)
            yield record or Record("unknown", offset, length, problem="bad_warc_header")


def _in_file(file: BinaryIO, found: Format, offset: int, length: int, max_body_bytes: int) -> Record | None:
    """The record of a place, read as one of the file."""
    record = next(read_carefully(Source(file, offset, found), max_body_bytes, lambda: 0), None)
    return record if record and (record.offset, record.length) == (offset, length) else None


def _in_inflated_file(file: BinaryIO, found: Format, offset: int, length: int, max_body_bytes: int) -> Record | None:
    """The record of a place, read as one of the inflated file, where several records share a member."""
    source = Source(file, 0, found)
    source.go_to(offset)
    damaged: Record | None = None
    for record in read_carefully(source, max_body_bytes, lambda: 0):
        if (record.offset, record.length) == (offset, length):
            if record.type != "unknown":
                return record
            damaged = damaged or record
        # Damaged members inflate to nothing, so that several records can begin at one position.
        if source.position > offset:
            break
    return damaged


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
