"""Write: chosen blocks as text: a line a block, code as it stands, a table's row on one line, ruby read once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.main_text.analysis import Analysis
from pipeline.web.main_text.blocks import BEHIND_TEXT, FIRST_TEXT, OWNER
from pipeline.web.main_text.surroundings import IN_PARENTHESIS, IN_PREFORMATTED, IN_READING
from pipeline.web.page.elements import TAGS
from pipeline.web.page.lean import inlined_njit, lean_njit
from pipeline.web.page.reader import Page
from pipeline.web.page.references import REFERENCE_TABLES, resolve, room
from pipeline.web.page.stack import PARENT, TAG
from pipeline.web.page.tokenizer import HAS_REFERENCES
from pipeline.web.page.tree import (
    KEEPS_NUL,
    TEXT_ELEMENT,
    TEXT_END,
    TEXT_FLAGS,
    TEXT_HIDDEN,
    TEXT_IN_TEMPLATE,
    TEXT_START,
)
from pipeline.web.page.words import WORD, exact_marks_of, load_word, marks_of

TABLES = ("rows", "markdown", "dropped")
RUBY = ("dropped", "parentheses")
_TABLE, _TR, _TD, _TH = (TAGS[name] for name in ("table", "tr", "td", "th"))
_NEWLINE, _TAB, _SPACE, _BAR, _DASH = (ord(letter) for letter in "\n\t |-")
# Bytes that begin no white space.
_NO_BLANK = np.ones(256, dtype=np.uint8)
_NO_BLANK[[0x20, *range(0x09, 0x0E), 0xC2, 0xE2, 0xE3]] = 0
# Letters are looked at by six bytes of a word; ASCII's white space lies below the second constant, in each byte.
_HALF_DOZEN = 6
_BLANKS_END = np.uint64(0x2121212121212121)
_SIX_HIGH_BITS = np.uint64(0x808080808080)
_OPENING, _CLOSING = np.frombuffer("（".encode(), np.uint8), np.frombuffer("）".encode(), np.uint8)


@lean_njit
def _is_blank(out: npt.NDArray[np.uint8], position: int, end: int) -> int:
    """Bytes of the white space at `position`: 1 for ASCII's, 2 for U+00A0, 3 for U+3000 and its kin; 0 if none."""
    letter = out[position]
    if letter == 0x20 or 0x09 <= letter <= 0x0D:
        return 1
    if letter == 0xC2 and position + 1 < end and out[position + 1] == 0xA0:
        return 2
    if letter == 0xE3 and position + 2 < end and out[position + 1] == 0x80 and out[position + 2] == 0x80:
        return 3
    if letter == 0xE2 and position + 2 < end and out[position + 1] == 0x80 and 0x80 <= out[position + 2] <= 0x8A:
        return 3
    return 0


@inlined_njit
def _may_hold_blank(word: np.uint64) -> bool:
    """Whether white space may begin in the lowest six bytes of a word."""
    # U+3000 is E3 80 80; the commonest stops are E3 80 81 and E3 80 82, of which a loose look would take each for it.
    zeros = exact_marks_of(word, 0x80)
    ideographic = marks_of(word, 0xE3) & zeros >> np.uint64(8) & zeros >> np.uint64(16)
    low = (word - _BLANKS_END) & ~word
    return (marks_of(word, 0xC2) | marks_of(word, 0xE2) | ideographic | low) & _SIX_HIGH_BITS != 0


@lean_njit
def _tidy(out: npt.NDArray[np.uint8], start: int, end: int) -> int:
    """Make white space in out[start:end] one space and none at the ends; returns the new end.

    U+3000 stays as the page has it, but for the end.
    """
    write = start
    pending = False
    wide_from = wide_to = 0
    position = start
    while position < end:
        while end - position >= WORD and not pending and wide_to == 0:
            # Letters by the half dozen: the two bytes behind them tell U+3000 from other letters.
            word = load_word(out, position)
            if _may_hold_blank(word):
                break
            # Where nothing was left out before, the letters stand where they belong.
            if write != position:
                for index in range(_HALF_DOZEN):
                    out[write + index] = np.uint8(word & np.uint64(0xFF))
                    word >>= np.uint64(8)
            write += _HALF_DOZEN
            position += _HALF_DOZEN
        letter = out[position]
        blank = 0 if _NO_BLANK[letter] else _is_blank(out, position, end)
        if blank == 3 and out[position] == 0xE3:
            # Runs of U+3000 are letters' width, kept inside of a line.
            if wide_to != position:
                wide_from = position
            wide_to = position + 3
            position += 3
            continue
        if blank:
            pending = True
            position += blank
            continue
        if wide_to > 0:
            # Before the first letter it indents a paragraph.
            for index in range(wide_from, wide_to):
                out[write] = out[index]
                write += 1
        elif pending and write > start:
            out[write] = _SPACE
            write += 1
        pending = False
        wide_from = wide_to = 0
        out[write] = out[position]
        write += 1
        position += 1
    return write


@lean_njit
def _close_row(out: npt.NDArray[np.uint8], position: int, cells: int, heading: bool) -> int:
    """End a row of Markdown, and draw the line below a table's first row; returns the new end."""
    out[position] = _SPACE
    out[position + 1] = _BAR
    position += 2
    if heading:
        out[position] = _NEWLINE
        out[position + 1] = _BAR
        position += 2
        for _ in range(cells):
            out[position] = _SPACE
            for index in range(1, 4):
                out[position + index] = _DASH
            out[position + 4] = _SPACE
            out[position + 5] = _BAR
            position += 6
    return position


@lean_njit
def _table_of(elements: npt.NDArray[np.int32], row: int) -> int:
    """The table that a row stands in, -1 if none."""
    index = elements[row, PARENT]
    while index >= 0 and elements[index, TAG] != _TABLE:
        index = elements[index, PARENT]
    return index


@lean_njit
def _strip_lines(out: npt.NDArray[np.uint8], start: int, end: int) -> tuple[int, int]:
    """The range of verbatim text without blank lines before it and without white space behind."""
    while end > start and (out[end - 1] == 0x20 or 0x09 <= out[end - 1] <= 0x0D):
        end -= 1
    line = position = start
    while position < end and (out[position] == 0x20 or 0x09 <= out[position] <= 0x0D):
        if out[position] == _NEWLINE:
            line = position + 1
        position += 1
    return line, end


@njit(cache=True, nogil=True)
def find_cells(
    elements: npt.NDArray[np.int32],
    blocks: npt.NDArray[np.int32],
    cells: npt.NDArray[np.int32],
    ordinals: npt.NDArray[np.int32],
    single: npt.NDArray[np.uint8],
) -> None:
    """Fill cells (n,) with each element's nearest td or th within its table, ordinals (n,) with a cell's place in its
    row, and single (n,) with 1 for rows of two cells or more none of which holds two blocks: rows of data, not layout.
    """
    count = elements.shape[0]
    blocks_in = np.zeros(count, dtype=np.int32)
    for index in range(count):
        tag = elements[index, TAG]
        parent = elements[index, PARENT]
        ordinals[index] = 0
        single[index] = 1 if tag == _TR else 0
        if tag in (_TD, _TH):
            cells[index] = index
            if parent >= 0:
                ordinals[index] = blocks_in[parent]
                blocks_in[parent] += 1
        elif tag == _TABLE or parent < 0:
            cells[index] = -1
        else:
            cells[index] = cells[parent]
    for index in range(count):
        if elements[index, TAG] == _TR and blocks_in[index] < 2:
            single[index] = 0
        blocks_in[index] = 0
    for row in range(blocks.shape[0]):
        owner = blocks[row, OWNER]
        cell = cells[owner] if owner >= 0 else -1
        # A table within a cell makes that cell's row one of layout.
        while cell >= 0:
            blocks_in[cell] += 1
            parent = elements[cell, PARENT]
            if blocks_in[cell] == 2 and parent >= 0:
                single[parent] = 0
            outer = parent
            while outer >= 0 and elements[outer, TAG] != _TABLE:
                outer = elements[outer, PARENT]
            cell = cells[elements[outer, PARENT]] if outer >= 0 and elements[outer, PARENT] >= 0 else -1
            if blocks_in[cell] > 1:
                break


@lean_njit
def _write_blocks(
    source: npt.NDArray[np.uint8],
    elements: npt.NDArray[np.int32],
    texts: npt.NDArray[np.int32],
    bits: npt.NDArray[np.uint16],
    blocks: npt.NDArray[np.int32],
    kept: npt.NDArray[np.uint8],
    table_style: int,
    readings: bool,
    out: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
    cells: npt.NDArray[np.int32],
    ordinals: npt.NDArray[np.int32],
    single: npt.NDArray[np.uint8],
) -> int:
    """What write_blocks does; the last three are find_cells', empty for pages without cells."""
    has_cells = cells.size > 0
    position = 0
    open_row = -1
    open_ordinal = 0
    last_table = -1
    for row in range(blocks.shape[0]):
        ends[row] = position
        if not kept[row]:
            continue
        owner = blocks[row, OWNER]
        cell = cells[owner] if has_cells and owner >= 0 else -1
        table_row = elements[cell, PARENT] if cell >= 0 else -1
        if table_row >= 0 and not single[table_row]:
            table_row = -1
        if table_row >= 0 and table_style == 2:
            continue
        before = position
        if table_row >= 0 and table_row == open_row:
            for _ in range(ordinals[cell] - open_ordinal):
                if table_style == 1:
                    out[position] = _SPACE
                    out[position + 1] = _BAR
                    out[position + 2] = _SPACE
                    position += 3
                else:
                    out[position] = _TAB
                    position += 1
        else:
            if open_row >= 0 and table_style == 1:
                table = _table_of(elements, open_row)
                position = _close_row(out, position, open_ordinal + 1, table != last_table)
                last_table = table
            if position > 0:
                out[position] = _NEWLINE
                position += 1
            if table_row >= 0 and table_style == 1:
                out[position] = _BAR
                out[position + 1] = _SPACE
                position += 2
        start = position
        verbatim = False
        in_reading = False
        for index in range(blocks[row, FIRST_TEXT], blocks[row, BEHIND_TEXT]):
            flags = texts[index, TEXT_FLAGS]
            if flags & (TEXT_HIDDEN | TEXT_IN_TEMPLATE):
                continue
            element = texts[index, TEXT_ELEMENT]
            own_bits = bits[element] if element >= 0 else 0
            if own_bits & IN_PARENTHESIS:
                continue
            reading = own_bits & IN_READING != 0
            if reading and not readings:
                continue
            if reading != in_reading:
                for letter in _OPENING if reading else _CLOSING:
                    out[position] = letter
                    position += 1
                in_reading = reading
            if own_bits & IN_PREFORMATTED:
                verbatim = True
            position = resolve(
                source,
                texts[index, TEXT_START],
                texts[index, TEXT_END],
                False,
                flags & HAS_REFERENCES != 0,
                flags & KEEPS_NUL != 0,
                out,
                position,
                REFERENCE_TABLES,
            )
        if in_reading:
            for letter in _CLOSING:
                out[position] = letter
                position += 1
        if verbatim:
            first, end = _strip_lines(out, start, position)
            for index in range(first, end):
                out[start + index - first] = out[index]
            position = start + end - first
        else:
            position = _tidy(out, start, position)
        if position == start:
            position = before
            continue
        open_row = table_row
        open_ordinal = ordinals[cell] if table_row >= 0 else 0
        ends[row] = position
    if open_row >= 0 and table_style == 1:
        position = _close_row(out, position, open_ordinal + 1, _table_of(elements, open_row) != last_table)
    return position


@njit(cache=True, nogil=True)
def separators(blocks: int, elements: int, readings: int) -> int:
    """Bytes that stand between texts at most: a few behind a block and a cell, and two parentheses round a reading."""
    return 16 * (blocks + elements) + 6 * readings + 64


@njit(cache=True, nogil=True)
def write_blocks(
    source: npt.NDArray[np.uint8],
    elements: npt.NDArray[np.int32],
    texts: npt.NDArray[np.int32],
    bits: npt.NDArray[np.uint16],
    blocks: npt.NDArray[np.int32],
    kept: npt.NDArray[np.uint8],
    table_style: int,
    readings: bool,
    out: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
) -> int:
    """Write the blocks whose `kept` is 1 to `out` as UTF-8 and return the end; ends (n,) is where each block ends.

    table_style is an index of TABLES. `out` needs room for the texts' references and 16 bytes a block more.
    """
    element_count = elements.shape[0]
    has_cells = False
    for index in range(element_count):
        if elements[index, TAG] == _TD or elements[index, TAG] == _TH:
            has_cells = True
            break
    cells = np.empty(element_count if has_cells else 0, dtype=np.int32)
    ordinals = np.empty(cells.size, dtype=np.int32)
    single = np.empty(cells.size, dtype=np.uint8)
    if has_cells:
        find_cells(elements, blocks, cells, ordinals, single)
    return _write_blocks(
        source, elements, texts, bits, blocks, kept, table_style, readings, out, ends, cells, ordinals, single
    )


def written(
    page: Page, found: Analysis, kept: npt.NDArray[np.uint8], tables: str = "rows", ruby: str = "dropped"
) -> tuple[bytes, npt.NDArray[np.int64]]:
    """The chosen blocks of a page as UTF-8, and where each block ends in it; kept (n,) is 1 for those to write."""
    readings = RUBY.index(ruby) == 1
    # The analysis' source, not the page's: formulas stand behind the page's own bytes.
    room_needed = room(len(found.source), b"\0" in page.source)
    room_needed += separators(len(kept), len(found.elements), len(found.texts) if readings else 0)
    out = np.empty(room_needed, dtype=np.uint8)
    ends = np.empty(len(kept), dtype=np.int64)
    end = write_blocks(
        found.source,
        found.elements,
        found.texts,
        found.bits,
        found.blocks,
        kept,
        TABLES.index(tables),
        readings,
        out,
        ends,
    )
    return out[:end].tobytes(), ends


def block_texts(page: Page, found: Analysis) -> list[str]:
    """Every block's own text, stripped."""
    text, ends = written(page, found, np.ones(len(found.blocks), dtype=np.uint8))
    starts = [0, *ends[:-1].tolist()]
    return [text[start:end].decode("utf-8", "replace").strip() for start, end in zip(starts, ends.tolist())]
