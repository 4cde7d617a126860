"""The inflated bytes of a WARC file, gzip member after member, whatever is broken in it."""

from __future__ import annotations

import io
import re
import zlib
from typing import BinaryIO

from pipeline.web.headers import HEADER_END, MAX_HEADER_BYTES

# Raw bytes fed to zlib at once. After damage the search for the next member starts at the piece that failed: small
# pieces keep hostile files linear.
PIECE_BYTES = 8_192
INFLATED_PIECE_BYTES = 262_144
SEARCH_BLOCK_BYTES = 1_048_576

GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP_START = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]")
RECORD_START = re.compile(rb"WARC/\d\.\d{1,2}\r?\n[A-Za-z-]{1,50}:")
LONGEST_RECORD_START = 62
_NEWLINES = re.compile(rb"[\r\n]*")


class Source:
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
            self.member_end = find_member(self.file, search_from, self.file_end)
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
        found = find_member(self.file, old_end + 1, self.file_end)
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
            if member_opening(self._head()) in (None, b"WARC/"):
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
            found = RECORD_START.search(self.buffer)
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
            end = HEADER_END.search(self.buffer, searched, MAX_HEADER_BYTES)
            if end:
                return end.end()
            searched = max(0, len(self.buffer) - 3)
            if searched >= MAX_HEADER_BYTES or not self.more():
                return 0


def member_opening(head: bytes, size: int = 5) -> bytes | None:
    """The first inflated bytes of a gzip member, fewer when it has fewer; None when it is none."""
    try:
        return zlib.decompressobj(31).decompress(head, size)
    except zlib.error:
        return None


def find_member(file: BinaryIO, start: int, end: int) -> int:
    """Offset of the next gzip member that begins with a WARC record, or `end`."""
    head_bytes = 2_048
    while start < end:
        file.seek(start)
        block = file.read(SEARCH_BLOCK_BYTES + head_bytes)
        for candidate in _GZIP_START.finditer(block, 0, SEARCH_BLOCK_BYTES + 3):
            place = candidate.start()
            if member_opening(block[place : place + head_bytes]) == b"WARC/":
                return min(start + place, end)
        start += SEARCH_BLOCK_BYTES
    return end
