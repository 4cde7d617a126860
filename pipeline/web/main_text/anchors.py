"""Anchors: elements and blocks that show where a page's main text is, and how far every element stands from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.main_text.blocks import COMMAS, LETTERS, LINK_LETTERS, OWNER
from pipeline.web.main_text.surroundings import OWN_LINES, TAG_GROUP_COUNT, WORD_GROUPS
from pipeline.web.page.elements import TAGS
from pipeline.web.page.stack import PARENT, TAG

_NAMES = list(WORD_GROUPS)
# Words that speak for and against an element's being the main text, as in the published idea of Readability.
_FOR = np.array([_NAMES.index(name) for name in ("article", "content", "entry", "body", "lead")], dtype=np.int64)
_AGAINST = np.array(
    [
        _NAMES.index(name)
        for name in ("navigation", "footer", "sidebar", "related", "share", "comment", "advertisement", "meta", "pager")
    ],
    dtype=np.int64,
)
_FORM, _LIST_ITEM, _UL, _OL = TAGS["form"], TAGS["li"], TAGS["ul"], TAGS["ol"]
# The weight from which a block speaks for what encloses it, and beyond which it speaks no louder.
_SPEAKING, _LOUDEST = 42, 300
_REACH = 5


@njit(cache=True, nogil=True)
def measure_from(
    elements: npt.NDArray[np.int32], anchor: int, up: npt.NDArray[np.int32], common: npt.NDArray[np.int32]
) -> None:
    """For an element (or the page, whose number is n), fill up and common, both (n + 1,).

    common is the innermost element that holds both it and the anchor, n for the page; up is how many elements above
    each that stands. Distances go no further than 100.
    """
    count = elements.shape[0]
    for index in range(count + 1):
        common[index] = -1
    index = anchor
    while index != count:
        common[index] = index
        up[index] = 0
        index = elements[index, PARENT]
        if index < 0:
            index = count
    common[count] = count
    up[count] = 0
    for index in range(count):
        if common[index] < 0:
            parent = elements[index, PARENT]
            if parent < 0:
                parent = count
            common[index] = common[parent]
            up[index] = min(up[parent] + 1, 100)


@njit(cache=True, nogil=True)
def heights_above(elements: npt.NDArray[np.int32], anchor: int, heights: npt.NDArray[np.int32]) -> None:
    """Fill heights (n + 1,) for the elements that hold the anchor: how many elements above it they stand."""
    count = elements.shape[0]
    step, index = 0, anchor
    while True:
        heights[index] = min(step, 100)
        if index == count:
            return
        step += 1
        index = elements[index, PARENT]
        if index < 0:
            index = count


@njit(cache=True, nogil=True)
def smallest_with(sums: npt.NDArray[np.int64], column: int, size: int, parts: int, whole: int) -> int:
    """The element with the least of column `size` that holds parts tenths of what the page has of `column`."""
    count = sums.shape[0] - 1
    best = count
    if whole > 0:
        for index in range(count):
            if sums[index, column] * 10 >= whole * parts and (best == count or sums[index, size] <= sums[best, size]):
                best = index
    return best


@njit(cache=True, nogil=True)
def best_container(
    elements: npt.NDArray[np.int32],
    distances: npt.NDArray[np.uint8],
    blocks: npt.NDArray[np.int32],
    weights: npt.NDArray[np.int64],
    sums: npt.NDArray[np.int64],
    letters: int,
    links: int,
    scores: npt.NDArray[np.int64],
) -> int:
    """The element that blocks of running text speak for most, the nearer the louder; n if none does.

    weights (blocks,) say how much each block says; sums (n + 1, columns) over subtrees; scores (n + 1,) are filled.
    """
    count = elements.shape[0]
    for index in range(count + 1):
        scores[index] = 0
    for row in range(blocks.shape[0]):
        weight = weights[row]
        if weight < _SPEAKING or 2 * blocks[row, LINK_LETTERS] > blocks[row, LETTERS]:
            continue
        points = 100 + 100 * min(blocks[row, COMMAS], 10) + min(weight, _LOUDEST)
        element = blocks[row, OWNER]
        level = 0
        while element >= 0 and level < _REACH:
            if OWN_LINES[elements[element, TAG]]:
                level += 1
                # The block's own element says little where a paragraph is one; the one around it is meant.
                divisor = 2 if level == 1 else 1 if level == 2 else 2 if level == 3 else 3 * level
                scores[element] += points // divisor
            element = elements[element, PARENT]
    best, best_score = count, 0
    for index in range(count):
        score = scores[index]
        if score == 0:
            continue
        for group in _FOR:
            if distances[index, TAG_GROUP_COUNT + group] == 0:
                score += 250
                break
        for group in _AGAINST:
            if distances[index, TAG_GROUP_COUNT + group] == 0:
                score -= 400
                break
        tag = elements[index, TAG]
        if tag in (_FORM, _LIST_ITEM, _UL, _OL):
            score -= 300
        if score > 0 and sums[index, letters] > 0:
            score = score * (sums[index, letters] - sums[index, links]) // sums[index, letters]
        scores[index] = score
        if score > best_score:
            best, best_score = index, score
    return best
