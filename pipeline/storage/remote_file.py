"""A remote object as a file that can seek: every read is one request for a range, small ones share a block."""

from __future__ import annotations

import io

from pipeline.storage.fetch import Politeness, read_range, remote_size

# Footers and indices are read in small pieces that lie together.
BLOCK_BYTES = 262_144


class RemoteFile(io.RawIOBase):
    """An object of S3 or of a web server, opened for reading."""

    def __init__(self, url: str, politeness: Politeness) -> None:
        self.url = url
        self.politeness = politeness
        self.bytes, self.etag = remote_size(url, self.politeness)
        self._position = 0
        self._block, self._block_start = b"", 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.bytes}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """As of any file."""
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes from the position on."""
        stop = self.bytes if size is None or size < 0 else min(self.bytes, self._position + size)
        start = self._position
        if stop <= start:
            return b""
        if not (self._block_start <= start and stop <= self._block_start + len(self._block)):
            # Near the end the whole tail is taken: readers of Parquet and of run files begin there and go backwards.
            first = min(start, max(0, self.bytes - BLOCK_BYTES))
            last = min(self.bytes, max(stop, start + BLOCK_BYTES)) if stop - start < BLOCK_BYTES else stop
            self._block_start = first if last == self.bytes else start
            self._block = read_range(self.url, self._block_start, last, self.politeness, self.etag)
        found = self._block[start - self._block_start : stop - self._block_start]
        self._position = stop
        return found

    def readinto(self, buffer: object) -> int:
        """As of any raw file."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        found = self.read(len(view))
        view[: len(found)] = found
        return len(found)
