"""Whether the files that a record names are there: looked at before work on them begins, which could not end."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.errors import UsageError
from pipeline.release.manifest import DATA, File
from pipeline.storage.places import Place, tree_sizes

RELEASE = "kamisuki release, as it was given before, makes it again"
MIXED = "the command that made it does so again in a new folder"


def refuse_missing(place: Place, files: Iterable[File], repair: str = RELEASE) -> None:
    """Raise UsageError where a data file is missing or has another size than its record says; `repair` is in it."""
    there = tree_sizes(place / DATA)
    for file in files:
        size = there.get(file.path.removeprefix(f"{DATA}/"))
        if size != file.bytes:
            what = "is missing" if size is None else f"has {size:,} bytes, and its record says {file.bytes:,}"
            raise UsageError(
                f"{place / file.path} {what}: bring it back from a copy, or {repair}; kamisuki verify {place} "
                "says what else is wrong"
            )
