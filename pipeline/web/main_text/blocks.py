"""Blocks: a page's visible text cut where a reader sees a line end, with counts of what each block is made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.main_text.letters import (
    ALPHABETIC_LETTER,
    CLOSING,
    COMMA_MARK,
    DIGIT_LETTER,
    END_MARK,
    HAN_LETTER,
    KANA_LETTER,
    NO_LETTER,
    OPENING,
    OTHER,
    kind_of,
)
from pipeline.web.main_text.surroundings import (
    HEADING_MARK,
    IN_CONTROL,
    IN_LINK,
    IN_PARENTHESIS,
    IN_READING,
    IN_STRONG,
    UNSHOWN,
)
from pipeline.web.page.lean import inlined_njit, lean_njit
from pipeline.web.page.references import numeric_reference
from pipeline.web.page.stack import FLAGS, HIDDEN
from pipeline.web.page.tokenizer import BLANK
from pipeline.web.page.tree import (
    AFTER_BREAK,
    TEXT_ELEMENT,
    TEXT_END,
    TEXT_FLAGS,
    TEXT_HIDDEN,
    TEXT_IN_TEMPLATE,
    TEXT_START,
)

# Columns of a block. Letters are code points that are no white space; a reference counts as one, a numeric one as the
# letter that it is.
(
    FIRST_TEXT,
    BEHIND_TEXT,
    OWNER,
    LETTERS,
    KANA,
    HAN,
    DIGITS,
    ALPHABETIC,
    PUNCTUATION,
    SENTENCE_ENDS,
    COMMAS,
    WORDS,
    LINK_LETTERS,
    LINKS,
    STRONG_LETTERS,
    CONTROL_LETTERS,
    CAPITALS,
    FIRST_LETTER,
    LAST_LETTER,
    SYMBOLS,
    HASH,
    LAST_END,
) = range(22)
BLOCK_COLUMNS = 22
# More blocks than this are not scored: nothing that people read has so many.
MAX_BLOCKS = 20_000

# A page that hides this many times what it shows is one whose script shows it.
_HIDDEN_TIMES = 2


@lean_njit
def settle_hidden(
    elements: npt.NDArray[np.int32],
    texts: npt.NDArray[np.int32],
    bits: npt.NDArray[np.uint16],
    owners: npt.NDArray[np.int32],
) -> bool:
    """Flag as hidden what marks a heading, and take the flag from lines that a page hides as a whole: readers open
    tabs, answers and the rest of a text by hand. What is hidden within a line stays so.

    Some programs send a page's text hidden, to be put in its place by a script: where twice as much is hidden as is
    shown, all hidden text is the page's, which is returned.
    """
    shown = hidden = 0
    for index in range(texts.shape[0]):
        flags, element = texts[index, TEXT_FLAGS], texts[index, TEXT_ELEMENT]
        own_bits = bits[element] if element >= 0 else 0
        if own_bits & HEADING_MARK:
            texts[index, TEXT_FLAGS] |= TEXT_HIDDEN
        elif not flags & (BLANK | TEXT_IN_TEMPLATE) and not own_bits & UNSHOWN:
            size = texts[index, TEXT_END] - texts[index, TEXT_START]
            if flags & TEXT_HIDDEN:
                hidden += size
            else:
                shown += size
    all_shown = hidden > _HIDDEN_TIMES * shown
    last_owner = -2
    for index in range(texts.shape[0]):
        element = texts[index, TEXT_ELEMENT]
        if element < 0 or not texts[index, TEXT_FLAGS] & TEXT_HIDDEN:
            last_owner = -2
            continue
        owner = owners[element]
        whole_lines = owner >= 0 and elements[owner, FLAGS] & HIDDEN
        if not bits[element] & (UNSHOWN | HEADING_MARK) and (all_shown or whole_lines):
            texts[index, TEXT_FLAGS] &= ~TEXT_HIDDEN
            # The reader marks a break before every hidden text that follows one.
            if owner == last_owner:
                texts[index, TEXT_FLAGS] &= ~AFTER_BREAK
            last_owner = owner
    return all_shown


@inlined_njit
def _is_wide_space(code: int) -> bool:
    """Whether a code point from U+0800 on is white space, of whatever width, or a mark that nobody sees."""
    # Most letters are told from white space by the first test.
    return (code <= 0x3000 and (code == 0x3000 or 0x2000 <= code <= 0x200F or 0x2028 <= code <= 0x2029)) or (
        code == 0xFEFF
    )


@lean_njit
def _fill_blocks(
    source: npt.NDArray[np.uint8],
    texts: npt.NDArray[np.int32],
    bits: npt.NDArray[np.uint16],
    owners: npt.NDArray[np.int32],
    blocks: npt.NDArray[np.int32],
    kinds: npt.NDArray[np.int32],
) -> tuple[int, bool]:
    """What find_blocks does; kinds (OTHER + 1,) is where each text's letters are counted by kind."""
    count = 0
    open_block = False
    after_break = True
    spaced = True
    after_end = False
    last_link = -2
    indented_from = -1
    for index in range(texts.shape[0]):
        flags = texts[index, TEXT_FLAGS]
        if flags & AFTER_BREAK:
            after_break = True
        if flags & (TEXT_HIDDEN | TEXT_IN_TEMPLATE):
            continue
        element = texts[index, TEXT_ELEMENT]
        own_bits = bits[element] if element >= 0 else 0
        if own_bits & (IN_READING | IN_PARENTHESIS):
            continue
        if after_break:
            open_block = False
            after_break = False
            indented_from = -1
        row = count - 1
        if flags & BLANK:
            spaced = True
            if after_end and open_block:
                blocks[row, SENTENCE_ENDS] += 1
                blocks[row, LAST_END] = 0
                after_end = False
            continue
        # What the text adds to its block is written when the text ends.
        letters = before = np.int64(blocks[row, LETTERS]) if open_block else np.int64(0)
        letters_hash = np.int64(blocks[row, HASH]) if open_block else np.int64(0)
        kind = NO_LETTER
        words = ends = capitals = 0
        kinds[:] = 0
        position, stop = texts[index, TEXT_START], texts[index, TEXT_END]
        while position < stop:
            code = np.int64(source[position])
            if code <= 0x20:
                position += 1
                spaced = True
                if after_end and open_block:
                    ends += 1
                    blocks[row, LAST_END] = 0
                    after_end = False
                continue
            if code < 0x80:
                position += 1
                if code == 0x26:
                    if (
                        position + 4 < stop
                        and source[position] == 0x6E
                        and source[position + 1] == 0x62
                        and source[position + 2] == 0x73
                        and source[position + 3] == 0x70
                    ):
                        position += 4
                        if position < stop and source[position] == 0x3B:
                            position += 1
                        spaced = True
                        continue
                    number, behind = 0, 0
                    if position < stop and source[position] == 0x23:
                        number, behind = numeric_reference(source, position - 1, stop)
                    if behind > 0:
                        code, position = np.int64(number), behind
                        if number <= 0x20 or number == 0xA0 or _is_wide_space(number):
                            spaced = True
                            if number <= 0x20 and after_end and open_block:
                                ends += 1
                                blocks[row, LAST_END] = 0
                                after_end = False
                            continue
                    else:
                        behind = position
                        while (
                            behind < stop
                            and behind < position + 12
                            and source[behind] != 0x3B
                            and source[behind] > 0x22
                        ):
                            behind += 1
                        if behind < stop and source[behind] == 0x3B:
                            position = behind + 1
            elif code < 0xE0:
                code = (code & 0x1F) << 6 | np.int64(source[position + 1]) & 0x3F
                position += 2
                if code == 0xA0:
                    spaced = True
                    continue
            elif code < 0xF0:
                code = (
                    (code & 0x0F) << 12
                    | (np.int64(source[position + 1]) & 0x3F) << 6
                    | np.int64(source[position + 2]) & 0x3F
                )
                position += 3
                if _is_wide_space(int(code)):
                    spaced = True
                    if code == 0x3000 and not open_block and indented_from < 0:
                        indented_from = index
                    continue
            else:
                code = (
                    (code & 0x07) << 18
                    | (np.int64(source[position + 1]) & 0x3F) << 12
                    | (np.int64(source[position + 2]) & 0x3F) << 6
                    | np.int64(source[position + 3]) & 0x3F
                )
                position += 4
            if not open_block:
                if count == blocks.shape[0]:
                    return count, True
                for column in range(BLOCK_COLUMNS):
                    blocks[count, column] = 0
                # A paragraph's indent may stand in a text of its own.
                blocks[count, FIRST_TEXT] = indented_from if indented_from >= 0 else index
                blocks[count, OWNER] = owners[element] if element >= 0 else -1
                row = count
                count += 1
                open_block = True
                spaced = True
                after_end = False
                last_link = -2
            kind = kind_of(int(code))
            if letters == 0:
                blocks[row, FIRST_LETTER] = kind
            letters += 1
            # Cut to its width when it is written, as nothing above that width comes down.
            letters_hash = letters_hash * 31 + code
            words += int(spaced)
            spaced = False
            kinds[kind] += 1
            capitals += int(0x41 <= code <= 0x5A)
            after_end = False
            if kind == END_MARK:
                # An ASCII mark ends a sentence where white space or the block's end follows.
                if code >= 0x80:
                    ends += 1
                else:
                    after_end = True
                    blocks[row, LAST_END] = letters
        if open_block:
            blocks[row, SENTENCE_ENDS] += ends
        if letters == before:
            continue
        blocks[row, BEHIND_TEXT] = index + 1
        blocks[row, LETTERS] = letters
        blocks[row, HASH] = letters_hash & 0x3FFFFFFF
        blocks[row, LAST_LETTER] = kind
        blocks[row, WORDS] += words
        blocks[row, CAPITALS] += capitals
        blocks[row, KANA] += kinds[KANA_LETTER]
        blocks[row, HAN] += kinds[HAN_LETTER]
        blocks[row, ALPHABETIC] += kinds[ALPHABETIC_LETTER]
        blocks[row, DIGITS] += kinds[DIGIT_LETTER]
        blocks[row, COMMAS] += kinds[COMMA_MARK]
        blocks[row, PUNCTUATION] += kinds[END_MARK] + kinds[COMMA_MARK] + kinds[OPENING] + kinds[CLOSING]
        blocks[row, SYMBOLS] += kinds[OTHER]
        if own_bits & IN_LINK:
            blocks[row, LINK_LETTERS] += letters - before
            if element != last_link:
                blocks[row, LINKS] += 1
                last_link = element
        if own_bits & IN_STRONG:
            blocks[row, STRONG_LETTERS] += letters - before
        if own_bits & IN_CONTROL:
            blocks[row, CONTROL_LETTERS] += letters - before
    for row in range(count):
        if blocks[row, LAST_END] == blocks[row, LETTERS] and blocks[row, LAST_END] > 0:
            blocks[row, SENTENCE_ENDS] += 1
    return count, False


@njit(cache=True, nogil=True)
def find_blocks(
    source: npt.NDArray[np.uint8],
    texts: npt.NDArray[np.int32],
    bits: npt.NDArray[np.uint16],
    owners: npt.NDArray[np.int32],
    blocks: npt.NDArray[np.int32],
) -> tuple[int, bool]:
    """Fill a row a block; returns how many there are, and whether there was no room for more.

    texts (n, 4) as the page reader's; bits and owners by element, as `describe` gives them. Texts without a letter make
    no block of their own. Readings of ruby are not counted.
    """
    return _fill_blocks(source, texts, bits, owners, blocks, np.empty(OTHER + 1, dtype=np.int32))
