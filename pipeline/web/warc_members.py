"""The inflated bytes of an archive file, gzip member or Zstandard frame after the other, whatever is broken in it."""

from __future__ import annotations

import io
import re
from typing import BinaryIO

from pipeline.web.headers import MAX_HEADER_BYTES
from pipeline.web.warc_formats import DamagedMember, Format, Inflater, find_member

# Raw bytes inflated at once. After damage the search for the next member starts at the piece that failed: small
# pieces keep hostile files linear.
PIECE_BYTES = 8_192
INFLATED_PIECE_BYTES = 262_144
_NEWLINES = re.compile(rb"[\r\n]*")


class Source:
    """The inflated bytes of a file, member after member; a plain file is one member. Never raises on damaged data.

    `buffer` holds what was inflated and not yet taken, `position` is where it begins, in inflated bytes since the
    source's start (in a plain file: in bytes of the file). `member_start` and `member_end` are offsets in the file.
    """

    def __init__(self, file: BinaryIO, offset: int, file_format: Format) -> None:
        self.file, self.format = file, file_format
        self.codec, self.dialect = file_format.codec, file_format.dialect
        self.file_end = file.seek(0, io.SEEK_END)
        self.position = 0 if self.codec else offset
        self.buffer = bytearray()
        self._open_member(offset, b"")

    def _open_member(self, offset: int, pending: bytes) -> None:
        self.member_start, self.member_end = offset, self.file_end
        self.member_position = self.position + len(self.buffer)
        self.ended = self.damaged = False
        self._pending, self._read_position = pending, offset + len(pending)
        self._inflater: Inflater | None = self.codec.inflater() if self.codec else None
        self.file.seek(self._read_position)

    def fill(self) -> bool:
        """Add bytes of this member to the buffer; False when it has no more."""
        while not self.ended:
            inflater = self._inflater
            more_inside = inflater is not None and inflater.holds_input
            piece = b"" if more_inside else self._next_piece()
            added = self._inflate(inflater, piece) if inflater else piece
            if added:
                self.buffer += added
                return True
            if not piece and not more_inside:
                self.ended, self.damaged = True, inflater is not None and not inflater.eof
        return False

    def _next_piece(self) -> bytes:
        # Counted from the member's start, so that what a damaged member yields does not hang on how it was reached.
        self._look_ahead(PIECE_BYTES)
        piece, self._pending = self._pending[:PIECE_BYTES], self._pending[PIECE_BYTES:]
        self._piece_start = self._read_position - len(self._pending) - len(piece)
        return piece

    def _look_ahead(self, size: int) -> None:
        if len(self._pending) < size:
            more = self.file.read(size - len(self._pending))
            self._read_position += len(more)
            self._pending += more

    def _inflate(self, inflater: Inflater, piece: bytes) -> bytes:
        try:
            inflated = inflater.inflate(piece, INFLATED_PIECE_BYTES)
        except DamagedMember:
            self.ended = self.damaged = True
            search_from = max(self.member_start + 1, self._piece_start)
            self.member_end = find_member(self.file, search_from, self.file_end, self.format)
            self._read_position, self._pending = self.member_end, b""
            self.file.seek(self.member_end)
            return b""
        if inflater.eof:
            self.ended = True
            self._pending = inflater.unused_data + self._pending
            self.member_end = self._read_position - len(self._pending)
        return inflated

    def advance(self) -> int | None:
        """Open the next member; returns how many bytes of no member were passed, None at the end of the file."""
        if self.member_end >= self.file_end:
            return None
        old_end = self.member_end
        self._look_ahead(PIECE_BYTES)
        if self.codec and self._pending.startswith(self.codec.magics):
            self._open_member(old_end, self._pending)
            return 0
        found = find_member(self.file, old_end + 1, self.file_end, self.format)
        if found < self.file_end:
            self._open_member(found, b"")
        else:
            self.member_end = self.file_end
        return found - old_end

    def more(self) -> bool:
        """As fill, and on into the members that carry on this one's record: some writers cut records into blocks."""
        while not self.fill():
            if not self.codec or self.damaged or self.member_end >= self.file_end:
                return False
            self._look_ahead(self.codec.head_bytes)
            opening = self.codec.opening(self._pending[: self.codec.head_bytes], self.dialect.opening_bytes)
            if opening is None or self.dialect.opens(opening):
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
            found = self.dialect.start.search(self.buffer)
            passed = found.start() if found else max(0, len(self.buffer) - self.dialect.longest_start)
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
        """Length of the header at the buffer's start with its last line; 0 when none ends within MAX_HEADER_BYTES."""
        searched = 0
        while True:
            end = self.dialect.header_end.search(self.buffer, searched, MAX_HEADER_BYTES)
            if end:
                return end.end()
            searched = max(0, len(self.buffer) - 3)
            if searched >= MAX_HEADER_BYTES or not self.more():
                return 0
