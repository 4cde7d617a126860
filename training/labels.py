"""Labels: which of a page's blocks stand in its gold text, found by aligning the two."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

# A block of this many letters is placed wherever it occurs in the gold; a shorter one only between its neighbours.
LONG = 14
_GRAM = 5
# Occurrences of a block that are looked at.
_TRIES = 50
# Letters by which the places of neighbours may overlap or part.
_SLIP = 2


def squeeze(text: str) -> str:
    """A text without its white space, in small letters: what is compared."""
    return "".join(text.split()).casefold()


class _Gold:
    """A gold text of which parts are taken as they are found."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.taken = np.zeros(len(text) + 1, dtype=bool)
        self.grams: dict[str, list[int]] = {}
        for start in range(len(text) - _GRAM + 1):
            self.grams.setdefault(text[start : start + _GRAM], []).append(start)

    def find(self, wanted: str, expected: int, low: int, high: int) -> int:
        """Where `wanted` stands within low to high, untaken, nearest to `expected`; -1 if nowhere."""
        best = -1
        start = self.text.find(wanted, low, high)
        tries = 0
        while start >= 0 and tries < _TRIES:
            if not self.taken[start : start + len(wanted)].any() and (
                best < 0 or abs(start - expected) < abs(best - expected)
            ):
                best = start
            tries += 1
            start = self.text.find(wanted, start + 1, high)
        return best

    def places(self, wanted: str) -> list[int]:
        """Where `wanted` stands untaken."""
        found: list[int] = []
        start = self.text.find(wanted)
        while start >= 0 and len(found) < _TRIES:
            if not self.taken[start : start + len(wanted)].any():
                found.append(start)
            start = self.text.find(wanted, start + 1)
        return found

    def share(self, wanted: str) -> tuple[float, list[int]]:
        """Share of the 5-grams of `wanted` that stand in untaken gold, and where, each once."""
        places = []
        total = len(wanted) - _GRAM + 1
        last = -1
        for start in range(total):
            found = self.grams.get(wanted[start : start + _GRAM], ())
            # Behind the place of the gram before where there is one.
            index = bisect_left(found, last + 1) if last >= 0 else 0
            candidates = [*found[index : index + 3], *found[:3]]
            place = next((candidate for candidate in candidates if not self.taken[candidate]), -1)
            if place >= 0:
                places.append(place)
                last = place
        return (len(places) / total if total > 0 else 0.0), places


def label_blocks(blocks: Sequence[str], gold: str) -> npt.NDArray[np.float32]:
    """For each block of a page, in its order, the share of it that stands in the gold text, 0 to 1.

    Long blocks are placed first, the longest before the others; short ones then where their neighbours leave room.
    """
    letters = [squeeze(block) for block in blocks]
    rest = _Gold(squeeze(gold))
    labels = np.zeros(len(blocks), dtype=np.float32)
    starts = np.full(len(blocks), -1, dtype=np.int64)
    ends = np.full(len(blocks), -1, dtype=np.int64)
    size = len(rest.text)
    before = np.concatenate([[0], np.cumsum([len(text) for text in letters])])
    scale = size / max(1, before[-1])

    def place(index: int, start: int, end: int) -> None:
        starts[index], ends[index] = start, end
        rest.taken[start:end] = True

    often = Counter(letters)
    long_ones = sorted(
        (index for index, text in enumerate(letters) if len(text) >= LONG), key=lambda index: -len(letters[index])
    )
    partial = []
    repeated = []
    for index in long_ones:
        if often[letters[index]] > 1:
            repeated.append(index)
            continue
        start = rest.find(letters[index], int(before[index] * scale), 0, size)
        if start >= 0:
            labels[index] = 1.0
            place(index, start, start + len(letters[index]))
        else:
            partial.append(index)
    # What a page says more than once (a heading in its list of contents, too) goes where its neighbours are.
    placed = sorted(index for index in long_ones if starts[index] >= 0)

    def misplacement(index: int, start: int) -> tuple[int, int]:
        """Letters by which a place lies outside of the neighbours' own, and by which its gaps to them differ."""
        here = bisect_left(placed, index)
        length = len(letters[index])
        outside, gap = 0, size
        if here > 0:
            other = placed[here - 1]
            outside += max(0, int(ends[other]) - _SLIP - start)
            gap = min(gap, abs(int(before[index] - before[other + 1]) - (start - int(ends[other]))))
        if here < len(placed):
            other = placed[here]
            outside += max(0, start + length - _SLIP - int(starts[other]))
            gap = min(gap, abs(int(before[other] - before[index + 1]) - (int(starts[other]) - start - length)))
        return outside, gap

    for text in dict.fromkeys(letters[index] for index in repeated):
        copies = [index for index in repeated if letters[index] == text]
        places = rest.places(text)
        while copies and places:
            _, index, start = min((misplacement(index, start), index, start) for index in copies for start in places)
            labels[index] = 1.0
            place(index, start, start + len(text))
            insort(placed, index)
            copies.remove(index)
            places = [other for other in places if abs(other - start) >= len(text)]
        partial.extend(copies)
    for index in partial:
        share, places = rest.share(letters[index])
        if share >= 0.3:
            labels[index] = share
            low = int(np.quantile(places, 0.1))
            starts[index], ends[index] = low, int(np.quantile(places, 0.9)) + _GRAM
            for spot in places:
                rest.taken[spot : spot + _GRAM] = True
    # Short ones that stand right before what is placed behind them: headings, which a list of contents, a trail of
    # breadcrumbs or a menu may have named before.
    next_start = size
    for index in range(len(blocks) - 1, -1, -1):
        text = letters[index]
        if starts[index] >= 0:
            next_start = int(starts[index])
        elif text and next_start - len(text) >= 0:
            start = rest.find(text, next_start, max(0, next_start - len(text) - _SLIP), next_start)
            if start >= 0:
                labels[index] = 1.0
                place(index, start, start + len(text))
                next_start = start
    # The others: what their neighbours leave between them, from the top down.
    next_starts = np.full(len(blocks) + 1, size, dtype=np.int64)
    for index in range(len(blocks) - 1, -1, -1):
        next_starts[index] = starts[index] if starts[index] >= 0 else next_starts[index + 1]
    last_end = 0
    for index, text in enumerate(letters):
        if starts[index] >= 0:
            last_end = int(ends[index])
            continue
        if not text or len(text) >= LONG:
            continue
        # Where long neighbours stand in another order than in the gold, nothing lies between them.
        low, high = last_end, int(next_starts[index + 1])
        slack = 3 * LONG
        start = rest.find(text, low, max(0, low - _SLIP), min(size, max(high, low) + _SLIP)) if high >= low else -1
        if start >= 0 and (start - low <= slack or high - start - len(text) <= slack or len(text) >= 6):
            labels[index] = 1.0
            place(index, start, start + len(text))
            last_end = start + len(text)
    return labels
