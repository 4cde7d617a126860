"""What was made of releases: `derived.json` of an export, a mix or a pack, and a release's own list of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline.errors import UsageError
from pipeline.files import atomic_file, file_digest
from pipeline.release.json_record import InnerPath, Part, read_record
from pipeline.release.manifest import LOCAL, MANIFEST
from pipeline.release.nesting import refuse_nested
from pipeline.release.unfinished import refuse_unfinished
from pipeline.storage.places import Place, RemotePath, exists, first_other, lies_within, read_bytes

FORMAT = 1
DERIVED = "derived.json"
# In the .local of a mix: by the name of each source the release that it was made of, for this machine alone.
MADE_OF = "made-of.json"
# In the release's .local: a line for each thing that was made of it, so that a takedown finds them.
REGISTER = "derived.jsonl"
# Kinds of what several releases go into.
MIX, PACK = "mix", "pack"
MIXED = (MIX, PACK)


class Companion(Part):
    """A file that only makes sense with the data file beside it: its index, or the ids of its documents."""

    path: InnerPath
    bytes: int
    sha256: str


class TallyLine(Part):
    """Rows and tokens of a file of a mix that share a source, an epoch (from 1), a language and a license."""

    source: str
    epoch: int
    language: str | None
    license: str | None
    license_tier: str | None
    rows: int
    tokens: int


class DerivedFile(Part):
    """A data file: its path in the place, rows, tokens where they were counted, bytes, SHA-256, and of which data
    files of the release its rows are (`from` in JSON; of a mix the names of its sources)."""

    path: InnerPath
    rows: int
    tokens: int | None = None
    bytes: int
    sha256: str
    origin: list[str] = Field(alias="from")
    beside: list[Companion] = Field(default_factory=list)
    tally: list[TallyLine] = Field(default_factory=list)


class Origin(Part):
    """A release that rows came from: its name, its place (the last part of a local path), the digest of its
    manifest when they were taken."""

    name: str
    place: str
    manifest_sha256: str


class Derived(Part):
    """The whole record. `finished` is false while files are being made; `taken_out` counts rows removed since."""

    format: int = FORMAT
    kind: str
    of: list[Origin]
    settings: dict[str, Any]
    finished: bool = True
    taken_out: int = 0
    files: list[DerivedFile] = Field(default_factory=list)
    others: list[Companion] = Field(default_factory=list)


def read_derived(place: Place) -> Derived | None:
    """The record of a place, or None where there is none. Raises UsageError for one that cannot be read."""
    try:
        return read_record(place / DERIVED, Derived, FORMAT)
    except FileNotFoundError:
        return None


def derived_at(place: Place) -> Derived | None:
    """The record of a place that is no release; None where there is none, and on web servers."""
    if isinstance(place, RemotePath) and place.scheme != "s3":
        return None
    try:
        return None if exists(place / MANIFEST) else read_derived(place)
    except NotADirectoryError:
        return None


def derived_bytes(record: Derived) -> bytes:
    """The record as `derived.json` holds it: the same record gives the same bytes."""
    return json.dumps(record.model_dump(mode="json", by_alias=True), ensure_ascii=False, indent=1).encode() + b"\n"


def write_derived(place: Place, record: Derived) -> None:
    """Write `derived.json`."""
    with atomic_file(place / DERIVED) as file:
        file.write(derived_bytes(record))


def origin_of(release: Place, name: str, manifest: str = MANIFEST) -> Origin:
    """How a record names a release, or a mix by the record that is its manifest. Paths of this machine stay out."""
    shown = str(release) if isinstance(release, RemotePath) else release.name
    return Origin(
        name=name,
        place=shown,
        manifest_sha256=hashlib.sha256(read_bytes(release / manifest)).hexdigest(),
    )


def register(release: Place, kind: str, place: Place) -> None:
    """Note in the release that rows of it go to a place: before the first file, so that a takedown reaches them all.

    Raises UsageError where the release cannot be written to, or a takedown of it has not ended.
    """
    refuse_unfinished(release)
    path = release / LOCAL / REGISTER
    known = registered(release)
    entry = {"kind": kind, "place": str(place)}
    if entry in known:
        return
    try:
        with atomic_file(path) as file:
            file.writelines(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in [*known, entry])
    except (OSError, UsageError) as error:
        raise UsageError(
            f"{release} cannot be written to ({error}), so that a takedown would not reach what is made of it: "
            "use a copy of the release that is yours"
        ) from None


def registered(release: Place) -> list[dict[str, str]]:
    """What was made of a release: kind and place of each. Raises UsageError for a list that cannot be read."""
    path = release / LOCAL / REGISTER
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        return []
    found = []
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line:
            continue
        try:
            made = json.loads(line)
            found.append({"kind": str(made["kind"]), "place": str(made["place"])})
        except (ValueError, KeyError, TypeError):
            raise UsageError(
                f"{path}, line {number}, is damaged, and names something that was made of {release}: bring the file "
                'back from a copy, or write the line again as {"kind": "jsonl", "place": "FOLDER"}'
            ) from None
    return found


def begin(release_places: Iterable[Place], place: Place, record: Derived) -> Derived | None:
    """Make a place ready for an export: registered, and its record there, unfinished.

    Returns the record of an earlier try with the same settings, None where there was none. Raises UsageError where
    the place holds something else.
    """
    releases = list(release_places)
    for release in releases:
        if lies_within(place, release):
            raise UsageError(f"--to lies in {release}, of which it is made: give the {record.kind} a folder of its own")
    refuse_nested(place)
    try:
        found = read_derived(place)
        other = first_other(place, {LOCAL}) if found is None else None
    except NotADirectoryError:
        raise UsageError(f"{place} is a file: give a new folder with --to") from None
    if other is not None:
        raise UsageError(f"{place} holds {other} already: give a new or empty folder with --to")
    if found is not None and (found.kind, found.of, found.settings) != (record.kind, record.of, record.settings):
        raise UsageError(
            f"{place} holds a {found.kind} that was made otherwise or of another state of the release: "
            "give another --to, or delete it"
        )
    for release in releases:
        register(release, record.kind, place)
    if found is None:
        write_derived(place, record.model_copy(update={"finished": False}))
    return found


def companion(root: Path, path: str) -> Companion:
    """The facts of a local file at a path within a folder."""
    return Companion(path=path, bytes=(root / path).stat().st_size, sha256=file_digest(root / path))


def publish(local: Path, target: Place) -> Companion:
    """Copy a finished local file to its place, whole or not at all, and give its facts under its name."""
    with atomic_file(target) as file, open(local, "rb") as source:
        while block := source.read(1 << 20):
            file.write(block)
    return Companion(path=target.name, bytes=local.stat().st_size, sha256=file_digest(local))
