"""Which releases were made of a run: `OUT/releases`, a file each, so that a takedown of one can name the others."""

from __future__ import annotations

from pipeline.files import canonical_digest, read_json, write_json
from pipeline.storage.places import Place, as_place, exists, file_sizes, folder_exists

RELEASES = "releases"


def note_release(out: Place, release: Place) -> None:
    """Note in a run that a release is made of it. Raises OSError or KamisukiError where that cannot be written."""
    path = out / RELEASES / f"{canonical_digest(str(release))}.json"
    if not exists(path):
        write_json(path, {"place": str(release)})


def releases_of(out: Place) -> list[Place]:
    """The releases of a run that are where they were made."""
    noted = [read_json(out / RELEASES / name) for name in sorted(file_sizes(out / RELEASES)) if name.endswith(".json")]
    return [place for place in (as_place(each["place"]) for each in noted) if folder_exists(place)]
