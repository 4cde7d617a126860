"""References: HTML's character references, named and numeric, resolved in one compiled pass over a text's bytes."""

from __future__ import annotations

from html.entities import html5
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.web.page.lean import lean_njit
from pipeline.web.page.words import WORD, first_marked, load_word, marks_of, store_word

# 13.2.5.80 Numeric character reference end state: what 0x80 to 0x9F stand for, as in windows-1252; 0 is unchanged.
_WINDOWS_1252 = np.array(
    [
        *(
            0x20AC,
            0,
            0x201A,
            0x0192,
            0x201E,
            0x2026,
            0x2020,
            0x2021,
            0x02C6,
            0x2030,
            0x0160,
            0x2039,
            0x0152,
            0,
            0x017D,
            0,
        ),
        *(0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0),
        *(0x017E, 0x0178),
    ],
    dtype=np.int32,
)
# Bytes written for a byte read: &nGt; (five) becomes six bytes of UTF-8, NUL becomes U+FFFD's three.
GROWTH_NUMERATOR, GROWTH_DENOMINATOR = 6, 5
GROWTH_WITH_NUL = 3


class ReferenceTables(NamedTuple):
    """The standard's names as a tree: letters lead from node to node, and some nodes end a name.

    first_edge (nodes + 1,) where a node's edges begin; letters and children (edges,); value_start and value_end
    (nodes,) the range in values (UTF-8 bytes) of what a name that ends here stands for, empty where none does.
    """

    first_edge: npt.NDArray[np.int32]
    letters: npt.NDArray[np.uint8]
    children: npt.NDArray[np.int32]
    value_start: npt.NDArray[np.int32]
    value_end: npt.NDArray[np.int32]
    values: npt.NDArray[np.uint8]


def _reference_tables() -> ReferenceTables:
    nodes: list[dict[int, int]] = [{}]
    ranges: dict[int, tuple[int, int]] = {}
    values = bytearray()
    for name, value in sorted(html5.items()):
        node = 0
        for letter in name.encode("ascii"):
            if letter not in nodes[node]:
                nodes.append({})
                nodes[node][letter] = len(nodes) - 1
            node = nodes[node][letter]
        start = len(values)
        values += value.encode("utf-8")
        ranges[node] = (start, len(values))
    edges = [(letter, child) for node in nodes for letter, child in node.items()]
    value_ranges = np.array([ranges.get(node, (0, 0)) for node in range(len(nodes))], dtype=np.int32)
    return ReferenceTables(
        np.cumsum([0, *(len(node) for node in nodes)]).astype(np.int32),
        np.array([letter for letter, _ in edges], dtype=np.uint8),
        np.array([child for _, child in edges], dtype=np.int32),
        value_ranges[:, 0].copy(),
        value_ranges[:, 1].copy(),
        np.frombuffer(bytes(values), dtype=np.uint8).copy(),
    )


REFERENCE_TABLES = _reference_tables()


@lean_njit
def _is_alphanumeric(letter: int) -> bool:
    return 0x30 <= letter <= 0x39 or 0x61 <= letter | 0x20 <= 0x7A


@lean_njit
def _write_code_point(code: int, out: npt.NDArray[np.uint8], position: int) -> int:
    """Write a code point's UTF-8 bytes; returns the position behind them."""
    if code < 0x80:
        out[position] = code
        return position + 1
    if code < 0x800:
        out[position] = 0xC0 | code >> 6
        out[position + 1] = 0x80 | code & 0x3F
        return position + 2
    if code < 0x10000:
        out[position] = 0xE0 | code >> 12
        out[position + 1] = 0x80 | code >> 6 & 0x3F
        out[position + 2] = 0x80 | code & 0x3F
        return position + 3
    out[position] = 0xF0 | code >> 18
    out[position + 1] = 0x80 | code >> 12 & 0x3F
    out[position + 2] = 0x80 | code >> 6 & 0x3F
    out[position + 3] = 0x80 | code & 0x3F
    return position + 4


@lean_njit
def numeric_reference(source: npt.NDArray[np.uint8], start: int, end: int) -> tuple[int, int]:
    """Code point of the reference whose "&#" stands at `start`, and where it ends; end 0 if it is none."""
    position = start + 2
    hexadecimal = position < end and source[position] | 0x20 == 0x78
    if hexadecimal:
        position += 1
    first_digit = position
    code = 0
    while position < end:
        letter = int(source[position])
        if 0x30 <= letter <= 0x39:
            digit = letter - 0x30
        elif hexadecimal and 0x61 <= letter | 0x20 <= 0x66:
            digit = (letter | 0x20) - 0x57
        else:
            break
        code = min(code * (16 if hexadecimal else 10) + digit, 0x110000)
        position += 1
    if position == first_digit:
        return 0, 0
    if position < end and source[position] == 0x3B:
        position += 1
    if 0x80 <= code <= 0x9F and _WINDOWS_1252[code - 0x80] != 0:
        code = _WINDOWS_1252[code - 0x80]
    elif code == 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        code = 0xFFFD
    return code, position


@lean_njit
def _named(
    source: npt.NDArray[np.uint8], start: int, end: int, in_attribute: bool, tables: ReferenceTables
) -> tuple[int, int]:
    """Node of the longest name behind the "&" at `start`, and where it ends; end 0 if none stands there."""
    node = 0
    found = 0
    found_end = 0
    position = start + 1
    while position < end:
        letter = source[position]
        child = -1
        for edge in range(tables.first_edge[node], tables.first_edge[node + 1]):
            if tables.letters[edge] == letter:
                child = tables.children[edge]
                break
        if child < 0:
            break
        node = child
        position += 1
        if tables.value_end[node] > 0:
            found, found_end = node, position
    # In an attribute "&copy=1" is a query's parameter: history's rule of 13.2.5.73.
    if (
        found_end > 0
        and in_attribute
        and source[found_end - 1] != 0x3B
        and found_end < end
        and (source[found_end] == 0x3D or _is_alphanumeric(source[found_end]))
    ):
        return 0, 0
    return found, found_end


@lean_njit
def resolve(
    source: npt.NDArray[np.uint8],
    start: int,
    end: int,
    in_attribute: bool,
    references: bool,
    keep_nul: bool,
    out: npt.NDArray[np.uint8],
    position: int,
    tables: ReferenceTables,
) -> int:
    """Write source[start:end] to `out` from `position`, references resolved and line ends made LF; returns the end.

    NUL becomes U+FFFD where `keep_nul`, else it is dropped, as HTML does with it in text. `out` needs room for 6/5 of
    the bytes and eight more, three times the bytes where they hold NUL.
    """
    while start < end:
        if end - start >= WORD:
            # Most letters stand for themselves.
            word = load_word(source, start)
            marks = marks_of(word, 0x26) | marks_of(word, 0x0D) | marks_of(word, 0)
            store_word(out, position, word)
            if not marks:
                position += WORD
                start += WORD
                continue
            plain = first_marked(marks)
            position += plain
            start += plain
        letter = source[start]
        if letter == 0x26 and references and start + 1 < end:
            following = source[start + 1]
            if following == 0x23:
                code, after = numeric_reference(source, start, end)
                if after > 0:
                    position = _write_code_point(code, out, position)
                    start = after
                    continue
            elif _is_alphanumeric(following):
                node, after = _named(source, start, end, in_attribute, tables)
                if after > 0:
                    for index in range(tables.value_start[node], tables.value_end[node]):
                        out[position] = tables.values[index]
                        position += 1
                    start = after
                    continue
        elif letter == 0x0D:
            letter = np.uint8(0x0A)
            if start + 1 < end and source[start + 1] == 0x0A:
                start += 1
        elif letter == 0:
            start += 1
            if keep_nul:
                position = _write_code_point(0xFFFD, out, position)
            continue
        out[position] = letter
        position += 1
        start += 1
    return position


def room(length: int, nul: bool) -> int:
    """Bytes that `resolve` may write for so many read."""
    return (GROWTH_WITH_NUL * length if nul else length * GROWTH_NUMERATOR // GROWTH_DENOMINATOR) + 8


def resolve_references(value: bytes, in_attribute: bool) -> str:
    """A text or an attribute's value with its references resolved; what is not UTF-8 becomes U+FFFD."""
    source = np.frombuffer(value, dtype=np.uint8)
    out = np.empty(room(len(value), b"\0" in value), dtype=np.uint8)
    end = resolve(source, 0, len(value), in_attribute, True, in_attribute, out, 0, REFERENCE_TABLES)
    return out[:end].tobytes().decode("utf-8", "replace")
