"""The fast reader: records of a gzipped WARC file whose every member holds one sound record, as crawlers write them.

ISA-L inflates in a third less time than zlib, and a member that is inflated whole can be held against its record's
header: header, block of the declared length and two line ends, and nothing else. At the first member that is anything
else this reader stops, and the careful one goes on there.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from isal import isal_zlib
from isal.igzip_lib import IsalError

from pipeline.web.blocks import find_letter
from pipeline.web.headers import MAX_HEADER_BYTES, first_values, header_end, header_pairs
from pipeline.web.page.lean import lean_njit
from pipeline.web.usual_record import read_usual_record, room_for_places
from pipeline.web.warc_record import Record, block_bytes_wanted, content_length, make_record

_CHUNK_BYTES = 1 << 20
# Where no member seems to begin for so long, a piece of the second size is fed.
_MOST_PIECE_BYTES, _PIECE_BYTES = 65_536, 16_384
# Deflate is the only method of gzip, and no crawler sets a flag. The bytes can stand within a member by chance.
_MEMBER_START = np.frombuffer(b"\x1f\x8b\x08\x00", dtype=np.uint8)
# Of a chunk so many starts are noted; the smallest records of crawlers take some 300 bytes.
_MOST_STARTS = 8_192
# Inflated bytes taken at once, so that a bomb is noticed before it is in memory.
_INFLATED_PIECE_BYTES = 1 << 20
_RECORD_END = b"\r\n\r\n"


@lean_njit
def find_starts(chunk, letters, starts):  # type: ignore[no-untyped-def]
    """Fill `starts` with where the letters, of which there are four and the first comes once, stand; their number.

    Those for which `starts` has no room are left out.
    """
    count = 0
    position = 0
    last = chunk.shape[0] - 3
    while position < last and count < starts.shape[0]:
        position = find_letter(chunk, position, last, letters[0])
        if (
            position < last
            and chunk[position + 1] == letters[1]
            and chunk[position + 2] == letters[2]
            and chunk[position + 3] == letters[3]
        ):
            starts[count] = position
            count += 1
        position += 1
    return count


class _Unsound(Exception):
    """A member is not what this reader takes."""


class _Members:
    """The members of a gzip file from its start on, one after the other, inflated whole."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._bytes = b""
        self._chunk = memoryview(b"")
        self._at = 0
        self._chunk_start = 0
        self._starts = np.empty(_MOST_STARTS, dtype=np.int64)
        self._ahead: list[int] = []

    @property
    def position(self) -> int:
        """Offset in the file of what comes next."""
        return self._chunk_start + self._at

    def _read_on(self) -> None:
        self._chunk_start += self._at
        self._bytes, self._at = self._file.read(_CHUNK_BYTES), 0
        self._chunk = memoryview(self._bytes)
        found = find_starts(np.frombuffer(self._bytes, dtype=np.uint8), _MEMBER_START, self._starts)
        # The last first, so that those passed are taken from the list's end.
        self._ahead = self._starts[:found][::-1].tolist()

    def _piece(self) -> memoryview:
        """The bytes up to where the next member seems to begin: of bytes fed beyond a member's end a copy is made.

        Empty at the file's end.
        """
        if self._at == len(self._bytes):
            self._read_on()
        start, ahead = self._at, self._ahead
        while ahead and ahead[-1] <= start:
            ahead.pop()
        is_near = ahead and ahead[-1] - start <= _MOST_PIECE_BYTES
        self._at = ahead[-1] if is_near else min(len(self._bytes), start + _PIECE_BYTES)
        return self._chunk[start : self._at]

    def next(self, limit: int) -> tuple[bytes, int] | None:
        """The next member's first `limit` bytes, or some more, and its whole size; None at the file's end.

        Raises _Unsound.
        """
        piece = self._piece()
        if not piece:
            return None
        inflater = isal_zlib.decompressobj(31)
        try:
            first = inflater.decompress(piece, _INFLATED_PIECE_BYTES)
            if inflater.eof:
                self._at -= len(inflater.unused_data)
                return first, len(first)
            parts, size = [first], len(first)
            kept = size
            while not inflater.eof:
                more = inflater.unconsumed_tail or self._piece()
                if not more:
                    raise _Unsound
                part = inflater.decompress(more, _INFLATED_PIECE_BYTES)
                size += len(part)
                if kept < limit:
                    parts.append(part)
                    kept += len(part)
        except IsalError:  # type: ignore[misc]  # isal's stubs call it an instance
            raise _Unsound from None
        self._at -= len(inflater.unused_data)
        return b"".join(parts), size


def read_sound_members(file: BinaryIO, max_body_bytes: int) -> Generator[Record, None, int | None]:
    """Records from the file's start on; returns None at the file's end, else from where the careful reader must go on.

    That is the record before the first unsound member, held back until then: what follows a record may be its own end.
    """
    members = _Members(file)
    limit = max_body_bytes + 2 * MAX_HEADER_BYTES
    room = room_for_places()
    held: Record | None = None
    place = 0
    while True:
        try:
            member = members.next(limit)
            if member is None:
                break
            record = _record(*member, max_body_bytes, room)
        except _Unsound:
            return held.offset if held else place
        end = members.position
        record.offset, record.length = place, end - place
        place = end
        if held:
            yield held
        held = record
    if held:
        yield held
    return None


def _record(member: bytes, size: int, max_body_bytes: int, room: npt.NDArray[np.int64]) -> Record:
    """The one record of a member, of which `size` bytes there were. Raises _Unsound."""
    if len(member) == size:
        record = read_usual_record(member, max_body_bytes, room)
        if record is not None:
            return record
    end = header_end(member, MAX_HEADER_BYTES)
    if end is None or not member.startswith(b"WARC/"):
        raise _Unsound
    start = end[1]
    fields = first_values(header_pairs(member[: end[0]]))
    length = content_length(fields)
    if length is None or size != start + length + 4 or (len(member) == size and not member.endswith(_RECORD_END)):
        raise _Unsound
    wanted = block_bytes_wanted(fields, length, max_body_bytes)
    return make_record(fields, memoryview(member)[start : start + wanted], length, max_body_bytes)
