"""Anchors: elements and blocks that show where a page's main text is, and how far every element stands from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.main_text.blocks import COMMAS, LETTERS, LINK_LETTERS, OWNER
from pipeline.web.main_text.surroundings import OWN_LINES, TAG_GROUP_COUNT, WORD_GROUPS
from pipeline.web.page.elements import TAGS
from pipeline.web.page.lean import inlined_njit, lean_njit
from pipeline.web.page.stack import DEPTH, PARENT, TAG

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
# The most anchors that elements are measured from: as many numbers as make a vector of 32 bytes.
ANCHORS = 8


@njit(cache=True, nogil=True)
def common_with(elements: npt.NDArray[np.int32], anchors: npt.NDArray[np.int64], common: npt.NDArray[np.int32]) -> None:
    """Fill common (n + 1, ANCHORS): the innermost element that holds both an element and the k-th anchor.

    n stands for the page, among anchors (of which there are ANCHORS at most) too. Time grows with the elements.
    """
    count = elements.shape[0]
    holds = np.zeros(count, dtype=np.uint8)
    for number in range(anchors.shape[0]):
        index = anchors[number]
        while index >= 0 and index != count:
            holds[index] |= 1 << number
            index = elements[index, PARENT]
    common[count, :] = count
    for index in range(count):
        parent = elements[index, PARENT]
        if parent < 0:
            parent = count
        # A whole row at once, as a processor can.
        for column in range(ANCHORS):
            common[index, column] = common[parent, column]
        if holds[index]:
            for number in range(anchors.shape[0]):
                if holds[index] >> number & 1:
                    common[index, number] = index


@inlined_njit
def steps_between(elements: npt.NDArray[np.int32], below: int, above: int) -> int:
    """How many elements `above` stands above `below`, which it holds or is; n is the page. No more than 100."""
    count = elements.shape[0]
    low = int(np.int64(elements[below, DEPTH])) if below < count else -1
    high = int(np.int64(elements[above, DEPTH])) if above < count else -1
    return min(low - high, 100)


@njit(cache=True, nogil=True)
def find_wider(elements: npt.NDArray[np.int32], blocks_in: npt.NDArray[np.int32], wider: npt.NDArray[np.int32]) -> None:
    """Fill wider (n + 1,): the nearest element above each that has lines of its own and holds more blocks; n if none.

    blocks_in (n + 1,) are the blocks of each subtree.
    """
    count = elements.shape[0]
    own_lines = np.empty(count + 1, dtype=np.int32)
    own_lines[count] = wider[count] = count
    for index in range(count):
        parent = elements[index, PARENT]
        if parent < 0:
            parent = count
        # What is wider than a parent with no more blocks is wider than its child.
        wider[index] = own_lines[parent] if parent == count or blocks_in[parent] > blocks_in[index] else wider[parent]
        own_lines[index] = index if OWN_LINES[elements[index, TAG]] else own_lines[parent]


@lean_njit
def smallest_with(sums: npt.NDArray[np.signedinteger], column: int, size: int, parts: int, whole: int) -> int:
    """The element with the least of column `size` that holds parts tenths of what the page has of `column`."""
    count = sums.shape[0] - 1
    best = count
    if whole > 0:
        for index in range(count):
            if sums[index, column] * 10 >= whole * parts and (best == count or sums[index, size] <= sums[best, size]):
                best = index
    return best


@lean_njit
def best_container(
    elements: npt.NDArray[np.int32],
    distances: npt.NDArray[np.uint8],
    blocks: npt.NDArray[np.int32],
    weights: npt.NDArray[np.int32],
    sums: npt.NDArray[np.int32],
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
