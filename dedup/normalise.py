"""Text made comparable: what copies of a text may differ in is evened out, for comparison only.

What is made here is compared and never stored as text: NFKC turns ㈱ into (株) and drops the distinction of
wide and narrow forms, which is right for finding copies and harmful in a corpus.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit

from dedup.shingles import utf8_buffers

# UAX #15, "Stream-Safe Text Format": no language needs more than 30 combining marks in a row. Putting marks in
# canonical order takes time quadratic in the length of a run, so that a page of nothing else would hang a worker.
MARKS_IN_A_ROW = 30

# The planes with characters that NFKC changes or that combine, but for the CJK compatibility ideographs of plane 2.
_TABLE_SIZE = 0x20000
_COMPATIBILITY_IDEOGRAPHS = 0x2F800
_KEEP, _REPLACE, _BY_CONTEXT = 0, 1, 2
# Characters of the first plane whose form is at most three bytes are written without a branch: a word has these bytes
# and, in its upper eight bits, their number. Words from this one on are no such form.
_PACKED_SIZE = 0x10000
_NOT_PACKED = 0xFF000000


class _FoldTable(NamedTuple):
    """What normalising does to each code point of the first two planes; `growth` is the most bytes for one byte."""

    packed: np.ndarray
    action: np.ndarray
    start: np.ndarray
    length: np.ndarray
    pool: np.ndarray
    mark: np.ndarray
    growth: int


def normalize(text: str) -> str:
    """Return `text` as it is compared: NFKC, without white space (what `str.isspace` says), case kept.

    Voiced sound marks stay letters of their own right: ｶﾞ and か + U+3099 become ガ and が, never カ or か. A run of
    combining marks is cut at `MARKS_IN_A_ROW`. Idempotent, and linear in the length of the text.
    """
    # Twice, since NFKC itself makes spaces (´ becomes a space and an accent), and what then moves up may combine.
    return _fold_once(_fold_once(text))


def normalize_array(text: pa.Array) -> pa.Array:
    """Return `normalize` of every string of a string or large_string array, as large_string; null becomes "".

    Bytes that are not UTF-8 count as U+FFFD. One compiled pass copies all text whose characters can be replaced one
    by one; only texts with combining marks, half-width sound marks and the like go through `unicodedata`.
    """
    data, offsets = utf8_buffers(text)
    written, new_offsets, context = _fold(data, offsets, _fold_table())
    if context.any():
        by_context = {
            row: normalize(data[offsets[row] : offsets[row + 1]].tobytes().decode("utf-8", errors="replace")).encode()
            for row in np.flatnonzero(context).tolist()
        }
        written, new_offsets = _with_rows(written, new_offsets, by_context)
    buffers = [None, pa.py_buffer(new_offsets), pa.py_buffer(written)]
    return pa.Array.from_buffers(pa.large_string(), len(text), buffers)


def _with_rows(written: np.ndarray, offsets: np.ndarray, rows: dict[int, bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Return (bytes, offsets) with these rows, empty so far, filled in."""
    sizes = np.diff(offsets)
    sizes[list(rows)] = [len(content) for content in rows.values()]
    new_offsets = np.zeros(len(offsets), dtype=np.int64)
    np.cumsum(sizes, out=new_offsets[1:])
    filled = np.empty(int(new_offsets[-1]), dtype=np.uint8)
    _copy_rows(written, offsets, new_offsets, filled)
    for row, content in rows.items():
        filled[new_offsets[row] : new_offsets[row + 1]] = np.frombuffer(content, dtype=np.uint8)
    return filled, new_offsets


def _fold_once(text: str) -> str:
    return unicodedata.normalize("NFKC", _cut_mark_runs("".join(text.split())))


def _cut_mark_runs(text: str) -> str:
    if text.isascii():
        return text
    letters = np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), dtype=np.uint32)
    keep = _within_mark_runs(letters, _fold_table().mark)
    return text if keep.all() else letters[keep].tobytes().decode("utf-32-le", errors="surrogatepass")


@lru_cache(maxsize=1)
def _fold_table() -> _FoldTable:
    """Build the table from the interpreter's Unicode data (0.2 s, once in a process)."""
    characters = [chr(code) for code in range(_TABLE_SIZE)]
    pairs = (unicodedata.decomposition(character).split() for character in characters)
    # A character that may merge with the one before it: the second half of a canonical pair, or a Hangul vowel or tail.
    joining = {chr(int(pair[1], 16)) for pair in pairs if len(pair) == 2 and not pair[0].startswith("<")}
    joining.update(map(chr, range(0x1161, 0x1176)), map(chr, range(0x11A7, 0x11C3)))
    packed = np.full(_PACKED_SIZE, _NOT_PACKED, dtype=np.uint32)
    action = np.zeros(_TABLE_SIZE, dtype=np.uint8)
    start = np.zeros(_TABLE_SIZE, dtype=np.int32)
    length = np.zeros(_TABLE_SIZE, dtype=np.int32)
    mark = np.zeros(_TABLE_SIZE, dtype=np.bool_)
    pool = bytearray()
    growth = 1
    for code, character in enumerate(characters):
        if 0xD800 <= code <= 0xDFFF:
            action[code] = _BY_CONTEXT
            continue
        mark[code] = unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) != 0
        folded = "".join(unicodedata.normalize("NFKC", character).split())
        replacement = folded.encode("utf-8")
        if any(part in joining or unicodedata.combining(part) for part in folded):
            action[code] = _BY_CONTEXT
            continue
        if folded != character:
            action[code], start[code], length[code] = _REPLACE, len(pool), len(replacement)
            growth = max(growth, -(-len(replacement) // len(character.encode("utf-8"))))
            pool += replacement
        if code < _PACKED_SIZE and len(replacement) <= 3:
            packed[code] = int.from_bytes(replacement, "little") | len(replacement) << 24
    return _FoldTable(packed, action, start, length, np.frombuffer(bytes(pool), dtype=np.uint8), mark, growth)


@njit(cache=True, nogil=True)
def _within_mark_runs(letters: np.ndarray, mark: np.ndarray) -> np.ndarray:
    keep = np.ones(len(letters), dtype=np.bool_)
    run = 0
    for position in range(len(letters)):
        letter = letters[position]
        run = run + 1 if letter < _TABLE_SIZE and mark[letter] else 0
        keep[position] = run <= MARKS_IN_A_ROW
    return keep


@njit(cache=True, nogil=True)
def _decode(data: np.ndarray, position: int, stop: int) -> tuple[int, int]:
    """Return (code point, bytes) of the UTF-8 character at `position`; 0 bytes when it is not valid."""
    first = int(data[position])
    if first < 0x80:
        return first, 1
    if first < 0xC2 or first > 0xF4:
        return 0, 0
    width = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    if position + width > stop:
        return 0, 0
    code = first & (0x7F >> width)
    for index in range(position + 1, position + width):
        following = int(data[index])
        if (following & 0xC0) != 0x80:
            return 0, 0
        code = (code << 6) | (following & 0x3F)
    if (width == 3 and (code < 0x800 or 0xD800 <= code <= 0xDFFF)) or (width == 4 and not 0x10000 <= code <= 0x10FFFF):
        return 0, 0
    return code, width


@njit(cache=True, nogil=True)
def _fold(data: np.ndarray, offsets: np.ndarray, table: _FoldTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (bytes, offsets, context) of folded texts; one that needs its context, or is not UTF-8, is left empty."""
    rows = len(offsets) - 1
    new_offsets = np.zeros(rows + 1, dtype=np.int64)
    context = np.zeros(rows, dtype=np.bool_)
    # A packed form is written with three bytes, however few of them count.
    slack = 3
    written = np.empty(offsets[rows] - offsets[0] + slack, dtype=np.uint8)
    target = 0
    for row in range(rows):
        position, stop, start = offsets[row], offsets[row + 1], target
        room = target + (stop - position) * table.growth + slack
        if room > len(written):
            larger = np.empty(room + offsets[rows] - offsets[0], dtype=np.uint8)
            larger[:target] = written[:target]
            written = larger
        while position < stop:
            position, target = _fold_packed(data, position, stop, written, target, table.packed)
            if position >= stop:
                break
            code, width = _decode(data, position, stop)
            what = table.action[code] if code < _TABLE_SIZE else _KEEP
            if width == 0 or what == _BY_CONTEXT or code >= _COMPATIBILITY_IDEOGRAPHS:
                context[row] = True
                target = start
                break
            if what == _REPLACE:
                for index in range(table.start[code], table.start[code] + table.length[code]):
                    written[target] = table.pool[index]
                    target += 1
            else:
                for index in range(position, position + width):
                    written[target] = data[index]
                    target += 1
            position += width
        new_offsets[row + 1] = target
    return written[:target], new_offsets, context


@njit(cache=True, nogil=True)
def _fold_packed(
    data: np.ndarray, position: int, stop: int, written: np.ndarray, target: int, packed: np.ndarray
) -> tuple[Any, Any]:
    """Fold characters of one or three bytes up to one that is no packed form; return (position, target) there.

    Unsigned places spare the test for negative ones at every access, and nothing is branched on but the number of
    bytes: half of the time of this loop would go to wrong guesses at what comes next.
    """
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    at, out, last = np.uint64(position), np.uint64(target), np.uint64(max(stop - 2, 0))
    while at < last:
        first = np.uint32(data[at])
        if first < np.uint32(0x80):
            code, width = first, one
        else:
            second, third = np.uint32(data[at + one]), np.uint32(data[at + two])
            code = (
                (first & np.uint32(0x0F)) << np.uint32(12)
                | (second & np.uint32(0x3F)) << np.uint32(6)
                | third & np.uint32(0x3F)
            )
            wrong = (first & np.uint32(0xF0)) ^ np.uint32(0xE0)
            wrong |= ((second & np.uint32(0xC0)) ^ np.uint32(0x80)) | ((third & np.uint32(0xC0)) ^ np.uint32(0x80))
            if wrong != 0 or code < np.uint32(0x800):
                break
            width = three
        form = packed[code]
        if form >= np.uint32(_NOT_PACKED):
            break
        written[out] = np.uint8(form & np.uint32(0xFF))
        written[out + one] = np.uint8((form >> np.uint32(8)) & np.uint32(0xFF))
        written[out + two] = np.uint8((form >> np.uint32(16)) & np.uint32(0xFF))
        out += np.uint64(form >> np.uint32(24))
        at += width
    return np.int64(at), np.int64(out)


@njit(cache=True, nogil=True)
def _copy_rows(data: np.ndarray, offsets: np.ndarray, new_offsets: np.ndarray, copied: np.ndarray) -> None:
    for row in range(len(offsets) - 1):
        size = offsets[row + 1] - offsets[row]
        copied[new_offsets[row] : new_offsets[row] + size] = data[offsets[row] : offsets[row + 1]]
