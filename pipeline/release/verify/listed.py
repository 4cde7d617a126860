"""Whether the files of a place are those that a record lists, with the bytes that it says."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from pipeline.files import file_digest
from pipeline.release.manifest import LOCAL
from pipeline.release.verify.findings import Findings

# The Hub adds the one to what it is given, its clients the other to what they fetch.
_OF_THE_HUB, _OF_ITS_CLIENTS = ".gitattributes", ".cache/"


class Listed(Protocol):
    """What a record says of a file."""

    path: str
    bytes: int
    sha256: str


def check_names(wanted: set[str], there: Iterable[str], besides: set[str], record: str, found: Findings) -> None:
    """Hold the files that are there against those wanted; those `besides` may be there too."""
    check, names = found["files"], set(there)
    check.looked_at = len(wanted)
    for path in sorted(wanted - names):
        check.fail(f"{path}: is missing")
    for path in sorted(names - wanted - besides - {_OF_THE_HUB}):
        if not path.startswith((f"{LOCAL}/", _OF_ITS_CLIENTS)):
            check.fail(f"{path}: the {record} does not know it")


def check_bytes(said: Listed, path: Path, record: str, found: Findings) -> None:
    """Hold the size and the digest of a file that lies at `path` against what a record says of it."""
    check, size = found["checksums"], path.stat().st_size
    check.looked_at += 1
    if size != said.bytes:
        check.fail(f"{said.path}: has {size:,} bytes, the {record} says {said.bytes:,}")
    elif file_digest(path) != said.sha256:
        check.fail(f"{said.path}: its SHA-256 is not the {record}'s")
