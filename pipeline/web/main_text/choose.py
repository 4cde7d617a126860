"""Choose: which blocks of a page are its main text, from the chances that the trees give them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.main_text.blocks import LETTERS

# Chances are whole numbers from 0 to CHANCE.
CHANCE = 1023
# Letters of a block that count: a book on one line must not overflow what is summed.
_MOST_LETTERS = 1 << 24


@njit(cache=True, nogil=True)
def choose(
    blocks: npt.NDArray[np.int32], chances: npt.NDArray[np.int32], kept: npt.NDArray[np.uint8]
) -> tuple[int, int]:
    """Set kept (n,) to 1 for the blocks whose chance reaches the threshold of the greatest expected F1.

    chances (n,) are from 0 to CHANCE. Returns the threshold and the expected F1 in thousandths: twice the letters
    that are expected right over those kept and those expected to belong, which is where F1 would stand if each block
    were right or wrong by its chance.
    """
    count = blocks.shape[0]
    letters_at = np.zeros(CHANCE + 1, dtype=np.int64)
    total = np.int64(0)
    for row in range(count):
        letters = min(blocks[row, LETTERS], _MOST_LETTERS)
        letters_at[chances[row]] += letters
        total += letters * chances[row]
    best_threshold = CHANCE + 1
    best_right, best_whole = np.int64(0), np.int64(1)
    right = kept_letters = np.int64(0)
    for chance in range(CHANCE, 0, -1):
        if letters_at[chance] == 0:
            continue
        right += letters_at[chance] * chance
        kept_letters += letters_at[chance]
        whole = kept_letters * CHANCE + total
        if float(right) * float(best_whole) > float(best_right) * float(whole):
            best_threshold, best_right, best_whole = chance, right, whole
    for row in range(count):
        kept[row] = 1 if chances[row] >= best_threshold else 0
    return best_threshold, int(2000 * best_right // best_whole)
