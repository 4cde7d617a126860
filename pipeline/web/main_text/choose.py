"""Choose: which blocks of a page are its main text, from the chances that the trees give them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.main_text.blocks import (
    ALPHABETIC,
    BEHIND_TEXT,
    DIGITS,
    FIRST_TEXT,
    HAN,
    KANA,
    LETTERS,
    OWNER,
)
from pipeline.web.page.elements import TAGS
from pipeline.web.page.lean import lean_njit
from pipeline.web.page.stack import TAG
from pipeline.web.page.tokenizer import HAS_REFERENCES
from pipeline.web.page.tree import TEXT_END, TEXT_FLAGS, TEXT_START

# Chances are whole numbers from 0 to CHANCE.
CHANCE = 1023
# Letters of a block that count: a book on one line must not overflow what is summed.
_MOST_LETTERS = 1 << 24


# The main run is looked for among blocks whose chance reaches three quarters of the page's threshold, and within it
# those are kept that reach four fifths: tried by the cross-validation (docs/main-text-model.md).
_RUN_PARTS, _RUN_OF = 3, 4
_KEPT_PARTS, _KEPT_OF = 4, 5

# Where the first trees expect so much F1, in thousandths, a page is chosen by what they say, made less sure, and not
# looked at again: there that is as good (docs/main-text-model.md), and most Japanese pages are judged sooner.
SURE = 940

# So many signs without a letter or a digit among them are a line or a pattern, drawn with what a keyboard has; fewer
# may part the scenes of a novel.
_MANY_SIGNS = 40
_PRE = TAGS["pre"]
# Names of references that are signs, as numbers of their letters, and the least number of five letters.
_AMP, _APOS, _GT, _LT, _QUOT = (int.from_bytes(name.encode(), "big") for name in "amp apos gt lt quot".split())
_LONGER_NAME = 1 << 32


@lean_njit
def _may_name_a_letter(source: npt.NDArray[np.uint8], start: int, stop: int) -> bool:
    """Whether source[start:stop] holds a reference by name other than amp, apos, gt, lt and quot."""
    position = start
    while position < stop:
        letter = source[position]
        position += 1
        if letter != 0x26 or position >= stop or not 0x61 <= source[position] | 0x20 <= 0x7A:
            continue
        name = np.int64(0)
        while position < stop and 0x61 <= source[position] | 0x20 <= 0x7A and name < _LONGER_NAME:
            name = name << 8 | np.int64(source[position])
            position += 1
        if name not in (_AMP, _APOS, _GT, _LT, _QUOT):
            return True
    return False


@njit(cache=True, nogil=True)
def leave_out_decoration(
    source: npt.NDArray[np.uint8],
    elements: npt.NDArray[np.int32],
    texts: npt.NDArray[np.int32],
    blocks: npt.NDArray[np.int32],
    chances: npt.NDArray[np.int32],
) -> None:
    """Take the chance (n,) from blocks of many signs and nothing else. Not from preformatted ones, which may be code,
    nor from those with references that may be letters by name.
    """
    for row in range(blocks.shape[0]):
        said = blocks[row, KANA] + blocks[row, HAN] + blocks[row, ALPHABETIC] + blocks[row, DIGITS]
        if said > 0 or blocks[row, LETTERS] < _MANY_SIGNS:
            continue
        owner = blocks[row, OWNER]
        if owner >= 0 and elements[owner, TAG] == _PRE:
            continue
        named = False
        for index in range(blocks[row, FIRST_TEXT], blocks[row, BEHIND_TEXT]):
            if texts[index, TEXT_FLAGS] & HAS_REFERENCES:
                named |= _may_name_a_letter(source, texts[index, TEXT_START], texts[index, TEXT_END])
        if not named:
            chances[row] = 0


@njit(cache=True, nogil=True)
def main_run(blocks: npt.NDArray[np.int32], chances: npt.NDArray[np.int32], threshold: int) -> tuple[int, int]:
    """First block of a page's main run, and the one behind its last: the blocks in a row that have the greatest sum of
    letters times what their chance is above, or below, a part of the threshold.
    """
    best = so_far = np.int64(0)
    first = start = behind = 0
    for row in range(blocks.shape[0]):
        if so_far <= 0:
            so_far, start = np.int64(0), row
        letters = np.int64(min(blocks[row, LETTERS], _MOST_LETTERS))
        so_far += letters * (_RUN_OF * np.int64(chances[row]) - _RUN_PARTS * threshold)
        if so_far > best:
            best, first, behind = so_far, start, row + 1
    return first, behind


@njit(cache=True, nogil=True)
def choose(
    blocks: npt.NDArray[np.int32], chances: npt.NDArray[np.int32], kept: npt.NDArray[np.uint8]
) -> tuple[int, int]:
    """Set kept (n,) to 1 for the blocks whose chance reaches the threshold of the greatest expected F1, and within the
    main run for those that nearly do: a text seldom pauses and goes on.

    chances (n,) are from 0 to CHANCE. Returns the threshold and the expected F1 of what is kept in thousandths: twice
    the letters that are expected right over those kept and those expected to belong, which is where F1 would stand if
    each block were right or wrong by its chance.
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
    first, behind = main_run(blocks, chances, best_threshold)
    for row in range(count):
        kept[row] = chances[row] >= best_threshold
        if not kept[row] and first <= row < behind and _KEPT_OF * chances[row] >= _KEPT_PARTS * best_threshold:
            letters = min(blocks[row, LETTERS], _MOST_LETTERS)
            best_right += letters * chances[row]
            best_whole += letters * CHANCE
            kept[row] = 1
    return best_threshold, int(2000 * best_right // best_whole)
