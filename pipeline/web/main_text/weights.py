"""Weights: letters weighed alike in all scripts, and their sums over every element of a page."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.main_text.blocks import COMMAS, HAN, KANA, LETTERS, LINK_LETTERS, SENTENCE_ENDS
from pipeline.web.main_text.feature_names import SCALE
from pipeline.web.page.stack import PARENT

# A sentence-bearing block ("prose") has an end mark, this weight, and less than this share of it in links.
_PROSE_WEIGHT = 36
_PROSE_LINKS = 400
# Sums of a subtree, and room for as many as make a vector of 32 bytes.
SUM_LETTERS, SUM_LINKS, SUM_PROSE, SUM_BLOCKS, SUM_COMMAS = range(5)
_SUMS = 8


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def share(part: int, whole: int) -> np.int32:
    """part in thousandths of the whole, rounded down; 0 of nothing.

    Exact: the quotient of whole numbers below 2**53 is never rounded up to a whole number that it does not reach.
    """
    return np.int32(float(part) * SCALE / float(whole)) if whole > 0 else np.int32(0)


@njit(cache=True, nogil=True)
def weigh(columns: npt.NDArray[np.int32], prose: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The columns (BLOCK_COLUMNS, n) with letters weighed, in links too: a kana, a kanji or a Hangul says as much as
    three other letters. prose (n,) is filled with what blocks that bear sentences say outside of links.
    """
    weighed = columns.copy()
    for row in range(columns.shape[1]):
        weight = columns[LETTERS, row] + 2 * (columns[KANA, row] + columns[HAN, row])
        links = np.int64(columns[LINK_LETTERS, row]) * weight // columns[LETTERS, row]
        weighed[LETTERS, row], weighed[LINK_LETTERS, row] = weight, links
        bears = columns[SENTENCE_ENDS, row] != 0 and weight >= _PROSE_WEIGHT
        prose[row] = weight - links if bears and links * SCALE < weight * _PROSE_LINKS else 0
    return weighed


@njit(cache=True, nogil=True)
def sum_subtrees(
    elements: npt.NDArray[np.int32],
    owners: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
    prose: npt.NDArray[np.int32],
) -> npt.NDArray[np.int32]:
    """Sums (e + 1, _SUMS) over the blocks in every element; the last row stands for the page."""
    count = elements.shape[0]
    sums = np.zeros((count + 1, _SUMS), dtype=np.int32)
    for row in range(owners.shape[0]):
        owner = owners[row]
        sums[owner, SUM_LETTERS] += columns[LETTERS, row]
        sums[owner, SUM_LINKS] += columns[LINK_LETTERS, row]
        sums[owner, SUM_PROSE] += prose[row]
        sums[owner, SUM_BLOCKS] += 1
        sums[owner, SUM_COMMAS] += columns[COMMAS, row]
    for index in range(count - 1, -1, -1):
        parent = elements[index, PARENT]
        if parent < 0:
            parent = count
        for column in range(_SUMS):
            sums[parent, column] += sums[index, column]
    return sums


@njit(cache=True, nogil=True)
def describe_elements(sums: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The features LEVEL of every element (e + 1, _SUMS) that holds a block."""
    described = np.empty((sums.shape[0], _SUMS), dtype=np.int32)
    total_prose = sums[sums.shape[0] - 1, SUM_PROSE]
    for index in range(sums.shape[0]):
        letters, prose = sums[index, SUM_LETTERS], sums[index, SUM_PROSE]
        if letters > 0:
            described[index, 0] = letters
            described[index, 1] = share(sums[index, SUM_LINKS], letters)
            described[index, 2] = share(prose, total_prose)
            described[index, 3] = sums[index, SUM_BLOCKS]
            described[index, 4] = share(prose, letters)
            described[index, 5] = share(sums[index, SUM_COMMAS], letters)
    return described
