"""Plain text for training tokenizers: documents with an empty line between them, and samples by size.

A document's lines stand one below the other, none of them empty, so that an empty line always and only ends a
document. Letters that split lines become line ends and other control characters go: SentencePiece and others stop at
them or read them as ends of a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.release.exports.sidecar import SUFFIX as IDS
from pipeline.release.exports.sidecar import Places, read_places

SUFFIX = ".txt"
COLUMNS = ("id", "text")
# C0 and C1 without tab; what str.splitlines splits at has become a line end before.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def block_of(text: str) -> bytes:
    """A document as a block: its lines that are not empty, and an empty one. Nothing for a text without any."""
    lines = [line for line in (_CONTROL.sub("", line).rstrip() for line in text.splitlines()) if line]
    return ("\n".join(lines) + "\n\n").encode() if lines else b""


def size_named(text: str, option: str) -> int:
    """Bytes that a size names: 100MB, 1.5GB (decimal, as disks are sold). Raises UsageError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?B)", text.strip(), re.IGNORECASE)
    size = int(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if size <= 0:
        raise UsageError(f"{option} {text}: write a size as 100MB or 1GB")
    return size


def write_text(rows: Iterable[dict[str, Any]], path: Path) -> int:
    """Write documents as blocks, with their ids beside the file. Returns how many there are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    places = Places()
    with open(path, "xb") as file:
        for row in rows:
            block = block_of(row["text"] or "")
            if block:
                file.write(block)
                places.add(row["id"], len(block))
    places.write(ids_path(path))
    return len(places.ids)


def ids_path(path: Path) -> Path:
    """Where the ids of a text file lie."""
    return path.with_name(path.name.removesuffix(SUFFIX) + IDS)


def without(path: Path, ids: frozenset[str], target: Path) -> int:
    """Write a file and its ids again without some documents, which nothing fills up. Returns how many went."""
    places, removed = Places(), 0
    with open(path, "rb") as source, open(target, "xb") as file:
        for identity, _, length in read_places(ids_path(path)):
            block = source.read(length)
            if identity in ids:
                removed += 1
            else:
                file.write(block)
                places.add(identity, length)
    places.write(ids_path(target))
    return removed
