"""Pairs: how much of a page's title, first headings and description every block says, by pairs of letters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.main_text.blocks import BEHIND_TEXT, FIRST_TEXT, LETTERS
from pipeline.web.page.elements import TAGS, name_code
from pipeline.web.page.lean import inlined_njit, lean_njit
from pipeline.web.page.stack import FIRST_ATTRIBUTE, LAST_ATTRIBUTE, TAG
from pipeline.web.page.tokenizer import CODE, VALUE_END, VALUE_START, short_code
from pipeline.web.page.tree import TEXT_ELEMENT, TEXT_END, TEXT_START

# A pair of letters has a slot in a table of bytes, with a bit for each of what it may stand in.
_SLOTS = 8192
_IN_TITLE, _IN_HEADING, _IN_DESCRIPTION = 1, 2, 4
# Three counts of a text are kept in one number, each of so many bits: a product puts a slot's bits into their places.
_WIDTH = 20
_COUNT = (1 << _WIDTH) - 1
_SPREAD = 1 | 1 << _WIDTH - 1 | 1 << 2 * _WIDTH - 2
_SPREAD_BITS = 1 | 1 << _WIDTH | 1 << 2 * _WIDTH
# Columns of what is said: pairs of a block, and how many of them are the title's, the headings', the description's.
PAIRS, TITLE_PAIRS, HEADING_PAIRS, DESCRIPTION_PAIRS = range(4)

# Bytes that are looked at, and pairs from which no more is.
_MOST_OF_TITLE, _MOST_OF_DESCRIPTION, _MOST_OF_TEXT = 1000, 2000, 1500
_HEADINGS_ENOUGH, _DESCRIPTIONS_ENOUGH = 300, 600
# Blocks of more letters are no headline; they are looked at only where a page has a description to compare with.
_LONGEST_HEADLINE = 400

_TITLE, _META = TAGS["title"], TAGS["meta"]
_NAME, _PROPERTY, _CONTENT = (short_code(name_code(name)) for name in ("name", "property", "content"))


@inlined_njit
def _letter(source: npt.NDArray[np.uint8], position: int, stop: int) -> tuple[int, int]:
    """The letter at `position`, its bytes put together, in lower case if it is ASCII's; and the position behind."""
    code = int(np.int64(source[position]))
    position += 1
    if code >= 0xC0:
        while position < stop and source[position] & 0xC0 == 0x80:
            code = code << 6 | int(np.int64(source[position])) & 0x3F
            position += 1
    elif 0x41 <= code <= 0x5A:
        code |= 0x20
    return code, position


@inlined_njit
def _slot(last: int, code: int) -> int:
    return ((last * 31 + code) * 0x9E3779B1 >> 16) & (_SLOTS - 1)


@lean_njit
def _mark(
    source: npt.NDArray[np.uint8], start: int, stop: int, bits: npt.NDArray[np.uint8], bit: int, last: int
) -> tuple[int, int]:
    """Set a bit for each pair of letters in source[start:stop]; returns how many there are, and the last letter.

    `last` is the letter before, -1 for none; white space parts no pair.
    """
    pairs = 0
    position = start
    while position < stop:
        if source[position] <= 0x20:
            position += 1
            continue
        code, position = _letter(source, position, stop)
        if last >= 0:
            bits[_slot(last, code)] |= bit
            pairs += 1
        last = code
    return pairs, last


@lean_njit
def _count(
    source: npt.NDArray[np.uint8],
    start: int,
    stop: int,
    bits: npt.NDArray[np.uint8],
    last: int,
    said: npt.NDArray[np.int32],
) -> int:
    """Add the pairs of letters in source[start:stop], and those that have each bit, to said (4,); the last letter."""
    pairs = found = 0
    position = start
    while position < stop:
        if source[position] <= 0x20:
            position += 1
            continue
        code, position = _letter(source, position, stop)
        if last >= 0:
            pairs += 1
            found += int(np.int64(bits[_slot(last, code)])) * _SPREAD & _SPREAD_BITS
        last = code
    said[PAIRS] += pairs
    said[TITLE_PAIRS] += found & _COUNT
    said[HEADING_PAIRS] += found >> _WIDTH & _COUNT
    said[DESCRIPTION_PAIRS] += found >> 2 * _WIDTH
    return last


@lean_njit
def _mark_title(
    source: npt.NDArray[np.uint8],
    elements: npt.NDArray[np.int32],
    texts: npt.NDArray[np.int32],
    bits: npt.NDArray[np.uint8],
) -> int:
    for index in range(texts.shape[0]):
        element = texts[index, TEXT_ELEMENT]
        if element >= 0 and elements[element, TAG] == _TITLE:
            start = texts[index, TEXT_START]
            pairs, _ = _mark(source, start, min(texts[index, TEXT_END], start + _MOST_OF_TITLE), bits, _IN_TITLE, -1)
            return pairs
    return 0


@lean_njit
def _ends_with_description(source: npt.NDArray[np.uint8], start: int, stop: int) -> bool:
    """Whether a meta element's name is description, or og:description and the like."""
    word = b"description"
    if stop - start < len(word):
        return False
    equal = 0
    while equal < len(word) and source[stop - len(word) + equal] | 0x20 == word[equal]:
        equal += 1
    return equal == len(word)


@lean_njit
def _mark_descriptions(
    source: npt.NDArray[np.uint8],
    elements: npt.NDArray[np.int32],
    attributes: npt.NDArray[np.int32],
    bits: npt.NDArray[np.uint8],
) -> int:
    pairs = 0
    for index in range(elements.shape[0]):
        if elements[index, TAG] != _META:
            continue
        content = -1
        described = False
        for attribute in range(elements[index, FIRST_ATTRIBUTE], elements[index, LAST_ATTRIBUTE]):
            code = attributes[attribute, CODE]
            if code == _CONTENT:
                content = attribute
            elif code in (_NAME, _PROPERTY):
                described = described or _ends_with_description(
                    source, attributes[attribute, VALUE_START], attributes[attribute, VALUE_END]
                )
        if described and content >= 0 and pairs < _DESCRIPTIONS_ENOUGH:
            start, stop = attributes[content, VALUE_START], attributes[content, VALUE_END]
            more, _ = _mark(source, start, min(stop, start + _MOST_OF_DESCRIPTION), bits, _IN_DESCRIPTION, -1)
            pairs += more
    return pairs


@lean_njit
def _mark_headings(
    source: npt.NDArray[np.uint8],
    texts: npt.NDArray[np.int32],
    blocks: npt.NDArray[np.int32],
    is_heading: npt.NDArray[np.uint8],
    bits: npt.NDArray[np.uint8],
) -> int:
    pairs = 0
    for row in range(blocks.shape[0]):
        if not is_heading[row] or pairs >= _HEADINGS_ENOUGH:
            continue
        last = -1
        for index in range(blocks[row, FIRST_TEXT], blocks[row, BEHIND_TEXT]):
            more, last = _mark(source, texts[index, TEXT_START], texts[index, TEXT_END], bits, _IN_HEADING, last)
            pairs += more
    return pairs


@njit(cache=True, nogil=True)
def count_pairs(
    source: npt.NDArray[np.uint8],
    elements: npt.NDArray[np.int32],
    attributes: npt.NDArray[np.int32],
    texts: npt.NDArray[np.int32],
    blocks: npt.NDArray[np.int32],
    is_heading: npt.NDArray[np.uint8],
    said: npt.NDArray[np.int32],
) -> tuple[int, int]:
    """Fill said (n, 4) for blocks (n, BLOCK_COLUMNS); returns how many pairs the title has, and the first headings.

    is_heading (n,) is 1 for blocks in a heading of the first level.
    """
    bits = np.zeros(_SLOTS, dtype=np.uint8)
    title_pairs = _mark_title(source, elements, texts, bits)
    heading_pairs = _mark_headings(source, texts, blocks, is_heading, bits)
    description_pairs = _mark_descriptions(source, elements, attributes, bits)
    said[:] = 0
    for row in range(blocks.shape[0]):
        if blocks[row, LETTERS] > _LONGEST_HEADLINE and description_pairs == 0:
            continue
        last = -1
        for index in range(blocks[row, FIRST_TEXT], blocks[row, BEHIND_TEXT]):
            start = texts[index, TEXT_START]
            last = _count(source, start, min(texts[index, TEXT_END], start + _MOST_OF_TEXT), bits, last, said[row])
    return title_pairs, heading_pairs
