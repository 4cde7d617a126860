"""The manifest of a release: what is in it, where it came from, and what left it. `release.json` of its folder."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline.errors import UsageError
from pipeline.files import atomic_file
from pipeline.release.json_record import InnerPath, Part, read_record
from pipeline.release.nesting import releases_below
from pipeline.storage.places import Place, RemotePath, exists, read_bytes

FORMAT = 1
MANIFEST = "release.json"
CARD = "README.md"
DATA = "data"
# Ids of rows that were taken down, with reason and date; there only when there are some.
TOMBSTONES = "tombstones.parquet"
# What concerns this copy alone and is never pushed: where the release came from, what was made of it, what was pushed.
LOCAL = ".local"


class File(Part):
    """A data file. `path` is within the release, `bytes` are those of the file, `characters` code points of `text`."""

    path: InnerPath
    config: str
    split: str
    rows: int
    characters: int
    bytes: int
    sha256: str


class Config(Part):
    """What one name loads. A config with `values` is a cell and its files lie in `data/NAME/`; others are unions of
    cells. The files of a split are in the order in which they are read."""

    name: str
    task: str
    values: dict[str, str] = Field(default_factory=dict)
    cells: list[str]


class LicenseCount(Part):
    """Rows under one license; `license` is an SPDX id or null, `tier` as the table's column."""

    license: str | None
    tier: str
    rows: int
    characters: int


class SourceCount(Part):
    """Rows of one source: a crawl, or the `source` of ingested files. Dates are those of fetching."""

    source: str
    rows: int
    characters: int
    first: datetime.date | None = None
    last: datetime.date | None = None


class FunnelStep(Part):
    """A line of the funnel as `kamisuki funnel --json` gives it; `removed` lines say what went."""

    name: str
    rows: int
    characters: int | None
    removed: bool = False


class Prompt(Part):
    """What a step of a rewriting asked: messages of role and content. `digest` is the SHA-256 of the prompt's file."""

    step: str
    name: str
    digest: str
    messages: list[tuple[str, str]]


class Rewriting(Part):
    """What a rewriting began with, the table `reads` of the run of recipe `of` (in full: `source_recipe`), and what it
    asked. `fell_back` counts by step the rows that failed there and went on nevertheless."""

    of: str
    reads: str
    source_recipe: dict[str, Any]
    prompts: list[Prompt]
    fell_back: dict[str, int]


class Task(Part):
    """A corpus, or what the steps of one rewriting recipe made. `kind` is corpus or rewritten, `recipe` the recipe in
    full, of a rewriting with the steps that made these rows; `rewriting` is what else made them.

    `left_out` counts rows that the release itself refused, by reason; `waived` are shards that the run did without,
    with their errors; `versions` are those of the libraries and assets that decide the rows.
    """

    name: str
    kind: str
    recipe: dict[str, Any]
    columns: list[tuple[str, str]]
    rows_in: int
    left_out: dict[str, int]
    funnel: list[FunnelStep]
    sources: list[SourceCount]
    licenses: list[LicenseCount]
    languages: dict[str, int]
    consent: dict[str, int]
    waived: dict[str, str]
    versions: dict[str, str]
    rewriting: Rewriting | None = None


class Takedown(Part):
    """One request that was followed: when, why, what kind of names it gave (ids, urls, hosts), how many rows went."""

    date: datetime.date
    reason: str
    by: dict[str, int]
    rows: int


class Policy(Part):
    """What the release lets in: tiers of license (null: all), and pages whose consent is refused."""

    license_tiers: list[str] | None
    refused_consent: bool


class Manifest(Part):
    """The whole. `by` are the columns that cells are cut by, `seed` and `validation` decide order and split.

    `contact` is where people ask that rows be removed: an address of e-mail or of a page, as its maker gave it.
    """

    format: int = FORMAT
    name: str
    date: datetime.date
    contact: str | None = None
    kamisuki: str
    seed: int
    validation: float = Field(ge=0, lt=1)
    by: list[str]
    policy: Policy
    tasks: list[Task]
    configs: list[Config]
    files: list[File]
    takedowns: list[Takedown] = Field(default_factory=list)

    def files_of(self, config: Config, split: str) -> list[File]:
        """The files of a split of a config, cell after cell."""
        return [file for cell in config.cells for file in self.files if file.config == cell and file.split == split]


def read_manifest(release: Place) -> Manifest:
    """The manifest of a release. Raises UsageError where there is none, or none that this version reads."""
    try:
        return read_record(release / MANIFEST, Manifest, FORMAT)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(_no_release(release)) from None


def _no_release(place: Place) -> str:
    """What to tell somebody who took a place for a release: what it is, and what to name in its stead."""
    if isinstance(place, RemotePath) and place.scheme != "s3":
        return f"{place} holds no release: check the URL"
    if isinstance(place, Path) and place.is_file():
        return f"{place} is a file and holds no release: give the folder that has {MANIFEST} in it"
    if exists(place / "run.json"):
        return (
            f"{place} holds no release: it is the OUT folder of a run: make one with kamisuki release {place} --to DIR "
            "and name DIR"
        )
    if below := releases_below(place):
        return f"{place} holds no release itself, but its folders {', '.join(below[:5])} do: give one of them"
    try:
        made = json.loads(read_bytes(place / "derived.json"))
        kind, names = made["kind"], ", ".join(each["name"] for each in made["of"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return f"{place} holds no release: check the path, or make one with kamisuki release OUT --to {place}"
    return f"{place} holds no release but a {kind} made of {names}: name the release itself"


def write_manifest(release: Place, manifest: Manifest) -> None:
    """Write `release.json`: the same manifest gives the same bytes."""
    text = json.dumps(manifest.model_dump(mode="json"), ensure_ascii=False, indent=1, sort_keys=False)
    with atomic_file(release / MANIFEST) as file:
        file.write(text.encode() + b"\n")
