"""Position: features of a block by the blocks around it, the blocks of its path, the page and its place there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.main_text.blocks import LETTERS, LINK_LETTERS, SENTENCE_ENDS
from pipeline.web.main_text.feature_names import NEIGHBOUR, NEIGHBOURS
from pipeline.web.main_text.weights import SUM_BLOCKS, SUM_LETTERS, SUM_LINKS, SUM_PROSE, share
from pipeline.web.page.elements import TAG_NAMES, TAGS
from pipeline.web.page.stack import TAG

_NEIGHBOUR_COUNT = len(NEIGHBOUR)
_WINDOW_SIZE = 8
# Elements that are counted, by what they count as; 0 is none of these.
_COUNTED = ("li", "td th", "p", "article", "main", "input button select textarea")
_COUNTED_COUNT = len(_COUNTED)
_COUNTED_AS = np.zeros(len(TAG_NAMES), dtype=np.uint8)
for _number, _names in enumerate(_COUNTED):
    _COUNTED_AS[[TAGS[_name] for _name in _names.split()]] = _number + 1


@njit(cache=True, nogil=True)
def describe_neighbours(
    owners: npt.NDArray[np.int32],
    group: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
    link_shares: npt.NDArray[np.int32],
    out: npt.NDArray[np.int32],
) -> None:
    """The blocks before and behind each: out (2 * NEIGHBOURS * len(NEIGHBOUR), n)."""
    count = owners.shape[0]
    feature = 0
    for side in (-1, 1):
        for step in range(1, NEIGHBOURS + 1):
            shift = side * step
            out[feature : feature + _NEIGHBOUR_COUNT] = -1
            for row in range(max(0, -shift), min(count, count - shift)):
                other = row + shift
                out[feature, row] = columns[LETTERS, other]
                out[feature + 1, row] = link_shares[other]
                out[feature + 2, row] = columns[SENTENCE_ENDS, other]
                out[feature + 3, row] = 1 if owners[other] == owners[row] else 0
                out[feature + 4, row] = 1 if group[other] == group[row] else 0
            feature += _NEIGHBOUR_COUNT


@njit(cache=True, nogil=True)
def describe_windows(columns: npt.NDArray[np.int32], out: npt.NDArray[np.int32]) -> None:
    """The eight blocks before each and the eight behind: out (2 * len(WINDOW), n)."""
    count = columns.shape[1]
    sums = np.zeros((3, count + 1), dtype=np.int32)
    letters, links, ends = sums[0], sums[1], sums[2]
    for row in range(count):
        letters[row + 1] = letters[row] + columns[LETTERS, row]
        links[row + 1] = links[row] + columns[LINK_LETTERS, row]
        ends[row + 1] = ends[row] + columns[SENTENCE_ENDS, row]
    for row in range(count):
        first, last = max(0, row - _WINDOW_SIZE), min(count, row + 1 + _WINDOW_SIZE)
        out[0, row] = letters[row] - letters[first]
        out[1, row] = share(links[row] - links[first], letters[row] - letters[first])
        out[2, row] = ends[row] - ends[first]
        out[3, row] = letters[last] - letters[row + 1]
        out[4, row] = share(links[last] - links[row + 1], letters[last] - letters[row + 1])
        out[5, row] = ends[last] - ends[row + 1]


@njit(cache=True, nogil=True)
def describe_page(
    elements: npt.NDArray[np.int32],
    prose: npt.NDArray[np.int32],
    sums: npt.NDArray[np.int32],
    out: npt.NDArray[np.int32],
) -> None:
    """The page, the same of each block: out (len(PAGE), n)."""
    counts = np.zeros(_COUNTED_COUNT + 1, dtype=np.int32)
    for index in range(elements.shape[0]):
        counts[_COUNTED_AS[elements[index, TAG]]] += 1
    page = sums[elements.shape[0]]
    longest = np.int32(0)
    for row in range(prose.shape[0]):
        longest = max(longest, prose[row])
    out[0] = page[SUM_LETTERS]
    out[1] = page[SUM_BLOCKS]
    out[2] = share(page[SUM_LINKS], page[SUM_LETTERS])
    out[3] = page[SUM_PROSE]
    out[4] = share(page[SUM_PROSE], page[SUM_LETTERS])
    out[5] = longest
    for number in range(_COUNTED_COUNT):
        out[6 + number] = counts[number + 1]
    out[6 + _COUNTED_COUNT] = elements.shape[0]


@njit(cache=True, nogil=True)
def describe_paths(
    group: npt.NDArray[np.int32],
    groups: int,
    columns: npt.NDArray[np.int32],
    prose: npt.NDArray[np.int32],
    total_prose: int,
    out: npt.NDArray[np.int32],
) -> None:
    """The blocks of the same path as each: out (len(PATH), n)."""
    count = group.shape[0]
    sums = np.zeros((groups, 4), dtype=np.int32)
    first, last = np.full(groups, -1, dtype=np.int32), np.empty(groups, dtype=np.int32)
    for row in range(count):
        here = group[row]
        sums[here, SUM_LETTERS] += columns[LETTERS, row]
        sums[here, SUM_LINKS] += columns[LINK_LETTERS, row]
        sums[here, SUM_PROSE] += prose[row]
        sums[here, SUM_BLOCKS] += 1
        last[here] = row
        if first[here] < 0:
            first[here] = row
    described = np.empty((groups, 5), dtype=np.int32)
    for here in range(groups):
        letters = sums[here, SUM_LETTERS]
        described[here, 0] = sums[here, SUM_BLOCKS]
        described[here, 1] = letters
        described[here, 2] = share(sums[here, SUM_LINKS], letters)
        described[here, 3] = share(sums[here, SUM_PROSE], total_prose)
        described[here, 4] = letters // sums[here, SUM_BLOCKS]
    for row in range(count):
        here = group[row]
        for column in range(5):
            out[column, row] = described[here, column]
        out[5, row] = row - first[here]
        out[6, row] = last[here] - row


@njit(cache=True, nogil=True)
def describe_position(
    columns: npt.NDArray[np.int32],
    prose: npt.NDArray[np.int32],
    total_letters: int,
    total_prose: int,
    out: npt.NDArray[np.int32],
) -> None:
    """Where each block stands in the page: out (len(POSITION), n)."""
    count = prose.shape[0]
    letters_before = prose_before = 0
    last_prose = -1000
    for row in range(count):
        out[0, row] = share(row, count)
        out[1, row] = share(letters_before, total_letters)
        out[2, row] = share(prose_before, total_prose)
        letters_before += int(columns[LETTERS, row])
        prose_before += int(prose[row])
        out[3, row] = share(total_prose - prose_before, total_prose)
        if prose[row] > 0:
            last_prose = row
        out[4, row] = min(row - last_prose, 1000)
        out[6, row] = row
        out[7, row] = count - row
    next_prose = 100_000
    for row in range(count - 1, -1, -1):
        if prose[row] > 0:
            next_prose = row
        out[5, row] = min(next_prose - row, 1000)
