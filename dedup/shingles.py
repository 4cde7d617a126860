"""Text made comparable: normalising for comparison only, and one hash for each n-gram of characters (a shingle).

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

# Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014): the increment and the two
# multipliers of SplitMix64. The multipliers serve here as well wherever an odd, well mixed constant is wanted.
GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)
MIX_FIRST = np.uint64(0xBF58476D1CE4E5B9)
MIX_SECOND = np.uint64(0x94D049BB133111EB)
_UNDO_FIRST = np.uint64(pow(int(MIX_FIRST), -1, 2**64))
_UNDO_SECOND = np.uint64(pow(int(MIX_SECOND), -1, 2**64))

# UAX #15, "Stream-Safe Text Format": no language needs more than 30 combining marks in a row. Putting marks in
# canonical order takes time quadratic in the length of a run, so that a page of nothing else would hang a worker.
MARKS_IN_A_ROW = 30

# The planes with characters that NFKC changes or that combine, but for the CJK compatibility ideographs of plane 2.
_TABLE_SIZE = 0x20000
_COMPATIBILITY_IDEOGRAPHS = 0x2F800
_KEEP, _REPLACE, _BY_CONTEXT = 0, 1, 2


class _FoldTable(NamedTuple):
    """What normalising does to each code point of the first two planes; `growth` is the most bytes for one byte."""

    action: np.ndarray
    start: np.ndarray
    length: np.ndarray
    pool: np.ndarray
    mark: np.ndarray
    growth: int


@njit(cache=True, nogil=True)
def mix(value: Any) -> Any:
    """Return the SplitMix64 finaliser of a uint64 or an array of them: a bijection in which every bit moves all."""
    value = (value ^ (value >> np.uint64(30))) * MIX_FIRST
    value = (value ^ (value >> np.uint64(27))) * MIX_SECOND
    return value ^ (value >> np.uint64(31))


def unmix(value: Any) -> Any:
    """Return the uint64 number, or array of them, that `mix` sends to `value`."""
    value = (value ^ (value >> np.uint64(31)) ^ (value >> np.uint64(62))) * _UNDO_SECOND
    value = (value ^ (value >> np.uint64(27)) ^ (value >> np.uint64(54))) * _UNDO_FIRST
    return value ^ (value >> np.uint64(30)) ^ (value >> np.uint64(60))


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


def shingle_hashes(text: pa.Array, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (hashes uint64, offsets int64 [len + 1]): one hash for each window of `n` code points, in text order.

    Text i owns hashes[offsets[i]:offsets[i + 1]]; a text of fewer than `n` code points owns none. The array should
    be normalised; null counts as "". Raises ValueError when n < 1.
    """
    if n < 1:
        raise ValueError(f"a shingle needs at least one character, not {n}")
    data, offsets = utf8_buffers(text)
    hash_offsets = np.zeros(len(offsets), dtype=np.int64)
    np.cumsum(np.maximum(_count_letters(data, offsets) - n + 1, 0), out=hash_offsets[1:])
    hashes = np.empty(int(hash_offsets[-1]), dtype=np.uint64)
    _hash_all(data, offsets, n, hash_offsets, hashes)
    return hashes, hash_offsets


def utf8_buffers(text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return (bytes uint8, offsets int64 [len + 1]) of a string or large_string array without copying its text.

    A null becomes an empty string. Raises TypeError for arrays of another type.
    """
    if not isinstance(text, pa.Array) or not (pa.types.is_string(text.type) or pa.types.is_large_string(text.type)):
        raise TypeError(f"expected an Arrow array of strings, not {getattr(text, 'type', type(text).__name__)}")
    if text.null_count:
        text = text.fill_null("")
    _, offset_buffer, data_buffer = text.buffers()
    kind = np.int64 if pa.types.is_large_string(text.type) else np.int32
    if offset_buffer is None or offset_buffer.size == 0:
        offsets = np.zeros(1, dtype=np.int64)
    else:
        offsets = np.frombuffer(offset_buffer, dtype=kind)[text.offset : text.offset + len(text) + 1].astype(np.int64)
    data = np.empty(0, np.uint8) if data_buffer is None else np.frombuffer(data_buffer, dtype=np.uint8)
    # Always the same type for the compiled functions, which else would be compiled once more for writable bytes.
    data.flags.writeable = False
    return data, offsets


@njit(cache=True, nogil=True)
def _read_letters(data: np.ndarray, start: int, stop: int, letters: np.ndarray) -> int:
    """Write one scrambled 64-bit value for each code point of UTF-8 data[start:stop] to `letters`; return how many.

    Equal code points give equal values and different ones different values. Never reads outside the range, whatever
    the bytes. `letters` must have room for stop - start values.
    """
    count = 0
    position = start
    while position < stop:
        # The marker bits of the first byte stay in, so that forms of different lengths cannot give the same value.
        letter = np.uint64(data[position])
        position += 1
        if (
            (letter & 0xF0) == 0xE0
            and position + 1 < stop
            and (data[position] & 0xC0) == 0x80
            and (data[position + 1] & 0xC0) == 0x80
        ):
            # Nearly all Japanese letters; the loop below would come to the same.
            first, second = np.uint64(data[position] & 0x3F), np.uint64(data[position + 1] & 0x3F)
            letter = (letter << np.uint64(12)) | (first << np.uint64(6)) | second
            position += 2
        while position < stop and (data[position] & 0xC0) == 0x80:
            letter = (letter << np.uint64(6)) | np.uint64(data[position] & 0x3F)
            position += 1
        letters[count] = letter
        count += 1
    # In a loop of its own, which becomes vector instructions. Scrambled, because differences of neighbouring code
    # points are small and would cancel in a polynomial.
    for index in range(count):
        letter = (letters[index] + np.uint64(1)) * GOLDEN_GAMMA
        letters[index] = letter ^ (letter >> np.uint64(32))
    return count


@njit(cache=True, nogil=True)
def _hash_windows(letters: np.ndarray, count: int, n: int, hashes: np.ndarray) -> int:
    """Write the hash of each window of `n` of the first `count` letters to `hashes`; return how many (0 if count < n).

    The hash is a polynomial in `MIX_FIRST` modulo 2^64, then mixed. Each letter of the window is a pass over all
    windows, since such passes become vector instructions and a hash rolled from window to window cannot.
    """
    windows = count - n + 1
    if windows <= 0:
        return 0
    # The length of the window is part of the hash: a whole short text must differ from a window of a long one.
    length_part = np.uint64(n) * GOLDEN_GAMMA
    hashes[:windows] = letters[:windows]
    for place in range(1, n):
        moved = letters[place : place + windows]
        for index in range(windows):
            hashes[index] = hashes[index] * MIX_FIRST + moved[index]
    for index in range(windows):
        hashes[index] = mix(hashes[index] + length_part)
    return windows


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
        if any(part in joining or unicodedata.combining(part) for part in folded):
            action[code] = _BY_CONTEXT
        elif folded != character:
            replacement = folded.encode("utf-8")
            action[code], start[code], length[code] = _REPLACE, len(pool), len(replacement)
            growth = max(growth, -(-len(replacement) // len(character.encode("utf-8"))))
            pool += replacement
    return _FoldTable(action, start, length, np.frombuffer(bytes(pool), dtype=np.uint8), mark, growth)


@njit(cache=True, nogil=True)
def _within_mark_runs(letters: np.ndarray, mark: np.ndarray) -> np.ndarray:
    keep = np.ones(len(letters), dtype=np.bool_)
    run = 0
    for position in range(len(letters)):
        letter = letters[position]
        run = run + 1 if letter < _TABLE_SIZE and mark[letter] else 0
        keep[position] = run <= MARKS_IN_A_ROW
    return keep


@njit(cache=True, nogil=True, inline="always")
def _decode(data: np.ndarray, position: int, stop: int) -> tuple[int, int]:
    """Return (code point, bytes) of the UTF-8 character at `position`; 0 bytes when it is not valid."""
    first = int(data[position])
    if first < 0x80:
        return first, 1
    if 0xE0 < first < 0xF0 and first != 0xED and position + 2 < stop:
        # Nearly all Japanese letters; what follows would say the same, more slowly.
        second, third = int(data[position + 1]), int(data[position + 2])
        if second & 0xC0 == 0x80 and third & 0xC0 == 0x80:
            return (first & 0x0F) << 12 | (second & 0x3F) << 6 | third & 0x3F, 3
        return 0, 0
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
    written = np.empty(offsets[rows] - offsets[0], dtype=np.uint8)
    target = 0
    for row in range(rows):
        position, stop, start = offsets[row], offsets[row + 1], target
        room = target + (stop - position) * table.growth
        if room > len(written):
            larger = np.empty(room + offsets[rows] - offsets[0], dtype=np.uint8)
            larger[:target] = written[:target]
            written = larger
        while position < stop:
            first = data[position]
            if first < 0x80:
                code, width = int(first), 1
            else:
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
def _copy_rows(data: np.ndarray, offsets: np.ndarray, new_offsets: np.ndarray, copied: np.ndarray) -> None:
    for row in range(len(offsets) - 1):
        size = offsets[row + 1] - offsets[row]
        copied[new_offsets[row] : new_offsets[row] + size] = data[offsets[row] : offsets[row + 1]]


@njit(cache=True, nogil=True)
def _count_letters(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    counts = np.zeros(len(offsets) - 1, dtype=np.int64)
    for row in range(len(offsets) - 1):
        part = data[offsets[row] : offsets[row + 1]]
        # A stray continuation byte at the very start stands for a letter, as in `_read_letters`.
        count = int(len(part) > 0 and (part[0] & 0xC0) == 0x80)
        for index in range(len(part)):
            count += (part[index] & 0xC0) != 0x80
        counts[row] = count
    return counts


@njit(cache=True, nogil=True)
def _hash_all(data: np.ndarray, offsets: np.ndarray, n: int, hash_offsets: np.ndarray, hashes: np.ndarray) -> None:
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    letters = np.empty(longest, dtype=np.uint64)
    for row in range(len(offsets) - 1):
        count = _read_letters(data, offsets[row], offsets[row + 1], letters)
        _hash_windows(letters, count, n, hashes[hash_offsets[row] : hash_offsets[row + 1]])
