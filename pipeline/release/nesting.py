"""Folders in folders: what is written into a release, or into what was made of one, is a stranger there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.storage.places import Place, exists

# The file that says what a folder holds.
MARKS = {"release.json": "release", "derived.json": "export or mix"}


def refuse_nested(to: Place) -> None:
    """Raise UsageError where a folder to write into lies below a release, or below what was made of one."""
    for folder in _above(to):
        for mark, what in MARKS.items():
            if exists(folder / mark):
                raise UsageError(f"--to {to} lies in {folder}, which holds the {what}: give a folder outside of it")


def _above(place: Place) -> Iterator[Place]:
    """The folders that a place lies in, the innermost first; of S3 up to the bucket."""
    if isinstance(place, Path):
        yield from place.absolute().parents
        return
    while "/" in str(place).partition("://")[2]:
        place = place.parent
        yield place


def releases_below(place: Place) -> list[str]:
    """The names of the folders directly in a local folder that hold releases."""
    return sorted(path.parent.name for path in place.glob("*/release.json")) if isinstance(place, Path) else []
