"""Where each row stands in a mix: found from sums of tokens alone, so that any part of it can be made by itself.

A row of a source comes after the tokens of that source that come before it; divided by the source's share, that is its
place among all tokens of the mix. The rows of all sources in the order of their places hold, up to any of them, each
source's share to within a row of each source, and the rows before a budget are the beginning of every larger one.

A source's rows come in the order of their keys, which is a shuffle; the seed says where in it the mix begins. Each
further epoch goes through them in the same order: so what is repeated lies a whole epoch apart, which a new shuffle
could not promise, and it lies beside other rows of the other sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import xxhash

from pipeline.release.mixing.counting import RANGES, Counts


@dataclass(frozen=True)
class LaneFile:
    """A data file of a source: its place, that of its counts, its rows, and the ranges of keys it has rows of."""

    data: str
    counts: str
    rows: int
    first: int
    last: int


@dataclass(frozen=True)
class Lane:
    """A source as it goes into a mix: `share` of its tokens, `tokens` by range of keys, `first` the range it begins
    with."""

    name: str
    share: float
    first: int
    tokens: tuple[int, ...]
    files: tuple[LaneFile, ...]

    @property
    def total(self) -> int:
        """Tokens of the source."""
        return sum(self.tokens)


@dataclass(frozen=True)
class Pick:
    """Rows of one data file in rising order, int64 [n], with their places (float64), tokens and epoch (from 1)."""

    lane: int
    file: int
    rows: np.ndarray
    places: np.ndarray
    tokens: np.ndarray
    epoch: int


def first_range(seed: int, name: str) -> int:
    """The range of keys that a source begins with; `name` is empty where all sources begin alike."""
    return int(xxhash.xxh64_intdigest(name.encode(), seed)) % RANGES


def segments(lane: Lane, low: float, high: float) -> Iterator[tuple[int, int, int, int]]:
    """What of a source may have places from `low` to below `high`: epoch (from 0), ranges of keys from, to before, and
    the tokens of the source that come before them. In order; keys rise within a segment."""
    rotated = np.roll(np.array(lane.tokens, np.int64), -lane.first)
    starts = np.concatenate([[0], np.cumsum(rotated)])
    total = int(starts[-1])
    wrap = RANGES - lane.first
    for epoch in range(max(0, int(low * lane.share) // total - 1), int(high * lane.share) // total + 2):
        before = epoch * total + starts
        found = np.flatnonzero((rotated > 0) & (before[:-1] / lane.share < high) & (before[1:] / lane.share >= low))
        if not len(found):
            continue
        begin, stop = int(found[0]), int(found[-1]) + 1
        for start, end, shift in ((begin, min(stop, wrap), lane.first), (max(begin, wrap), stop, -wrap)):
            if start < end:
                yield epoch, start + shift, end + shift, int(before[start])


def picks(lanes: tuple[Lane, ...], low: float, high: float, counts_of: Callable[[str], Counts]) -> Iterator[Pick]:
    """The rows whose places are from `low` to below `high`, by source, epoch and data file."""
    for number, lane in enumerate(lanes):
        for epoch, first, stop, before in segments(lane, low, high):
            yield from _of_segment(number, lane, epoch, first, stop, before, low, high, counts_of)


def _of_segment(
    number: int, lane: Lane, epoch: int, first: int, stop: int, before: int, low: float, high: float,
    counts_of: Callable[[str], Counts],
) -> Iterator[Pick]:  # fmt: skip
    touched = [index for index, file in enumerate(lane.files) if file.first < stop and file.last >= first]
    keys, tokens, files, rows = [], [], [], []
    for index in touched:
        counts = counts_of(lane.files[index].counts)
        part = counts.rows_of(first, stop)
        keys.append(counts.keys[part])
        tokens.append(counts.tokens[part])
        files.append(np.full(part.stop - part.start, index))
        rows.append(np.arange(part.start, part.stop))
    if not touched:
        return
    file, row = np.concatenate(files), np.concatenate(rows)
    order = np.lexsort((row, file, np.concatenate(keys)))
    file, row, size = file[order], row[order], np.concatenate(tokens)[order]
    place = (before + np.cumsum(size) - size) / lane.share
    inside = (place >= low) & (place < high) & (size > 0)
    for index in touched:
        mine = inside & (file == index)
        if mine.any():
            yield Pick(number, index, row[mine], place[mine], size[mine], epoch + 1)
