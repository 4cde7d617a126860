"""What goes into a mix and where: sources with their releases, their counted tokens, and the files of each budget."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pipeline.errors import UsageError
from pipeline.ledger import Entry
from pipeline.release.at_hand import refuse_missing
from pipeline.release.derived_record import Origin, origin_of
from pipeline.release.keys import TRAIN
from pipeline.release.manifest import Config, File, Manifest, read_manifest
from pipeline.release.mixing import counting
from pipeline.release.mixing.manifest import Source
from pipeline.release.mixing.placing import Lane, LaneFile
from pipeline.release.reading import chosen_config
from pipeline.storage.places import Place


@dataclass(frozen=True)
class Taken:
    """A source with its release as it was found, the training files of its config, and the most epochs that it may be
    gone through."""

    source: Source
    place: Place
    origin: Origin
    manifest: Manifest
    config: Config
    files: list[File]
    max_epochs: float


@dataclass(frozen=True)
class Measured:
    """A source whose tokens are counted: as it goes into a mix, its rows with text, and those without."""

    lane: Lane
    rows: int
    empty: int


@dataclass(frozen=True)
class Stream:
    """What is mixed together: lanes with their exact shares, the folder of its files, and the budgets."""

    name: str
    folder: str
    lanes: tuple[Lane, ...]
    shares: tuple[Fraction, ...]
    budgets: tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """What a budget adds to the one below it: places from `low` to before `high` in files of its own."""

    stream: Stream
    budget: int
    folder: str
    low: int
    files: int

    def paths(self) -> list[tuple[str, int, int]]:
        """Each file with the places of its rows, from, to before."""
        width = self.budget - self.low
        return [
            (
                f"{self.folder}/{TRAIN}-{index:05d}-of-{self.files:05d}.parquet",
                self.low + width * index // self.files,
                self.low + width * (index + 1) // self.files,
            )
            for index in range(self.files)
        ]


def find_source(source: Source, max_epochs: float, to: Place) -> Taken:
    """A source with its release. Raises UsageError where there is nothing to mix."""
    place, config = source.place()
    if str(to) == str(place):
        raise UsageError(f"--to is the release {place} itself: give the mix a folder of its own")
    manifest = read_manifest(place)
    origin = origin_of(place, manifest.name)
    chosen = chosen_config(manifest, config)
    files = manifest.files_of(chosen, TRAIN)
    if not files:
        raise UsageError(f"{source.name}: config {chosen.name} of {place} has no training split: choose another config")
    refuse_missing(place, files)
    return Taken(source, place, origin, manifest, chosen, files, max_epochs)


def measured_of(taken: Taken, entries: list[Entry], folder: str, share: float, first: int) -> Measured:
    """A source as its counted files make it: `share` of its tokens, beginning with range `first` of its keys."""
    by_range = np.zeros(counting.RANGES, np.int64)
    files = []
    for file, entry in zip(taken.files, entries, strict=True):
        start, found = entry.notes["first_range"], entry.notes["tokens"]
        by_range[start : start + len(found)] += np.array(found, np.int64)
        counts = f"{folder}/{entry.outputs['counts']['file']}"
        places = (str(taken.place / file.path), str(taken.place / counts))
        files.append(LaneFile(*places, file.rows, start, start + len(found) - 1))
    lane = Lane(taken.source.name, share, first, tuple(by_range.tolist()), tuple(files))
    empty = sum(entry.notes.get("empty", 0) for entry in entries)
    return Measured(lane, sum(file.rows for file in taken.files) - empty, empty)


def origins_of(taken: list[Taken]) -> list[Origin]:
    """The releases, each once."""
    return list({str(each.place): each.origin for each in taken}.values())
