"""Assets: the files (word lists, models, dictionaries) that decide a signal, each with the digest it was chosen by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


class AssetChanged(ValueError):
    """A file is not what it was when the run began."""


@dataclass(frozen=True)
class Asset:
    """A file by its path, and the SHA-256 of its bytes in hexadecimal digits."""

    path: str
    digest: str

    @classmethod
    def of(cls, path: str | Path) -> Asset:
        """The asset that a path names now. Raises OSError when it cannot be read."""
        return cls(str(path), _digest(Path(path)))

    @classmethod
    def from_record(cls, record: Mapping[str, str]) -> Asset:
        """From the JSON object that a task is given."""
        return cls(record["path"], record["digest"])

    def as_record(self) -> dict[str, str]:
        """As a JSON object."""
        return {"path": self.path, "digest": self.digest}

    def checked(self) -> Path:
        """The path, after a look at the bytes. Raises AssetChanged when they are others than those that were chosen."""
        if _digest(Path(self.path)) != self.digest:
            raise AssetChanged(f"{self.path} changed while the run was at work: run again")
        return Path(self.path)


@lru_cache(maxsize=256)
def _digest_of(path: Path, size: int, modified: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(path: Path) -> str:
    # A model of gigabytes is read once a process, not once a shard, while size and time stand as they were.
    status = path.stat()
    return _digest_of(path, status.st_size, status.st_mtime_ns)
