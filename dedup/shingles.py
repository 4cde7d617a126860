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

# UAX #15, "Stream-Safe Text Format": no language needs more than 30 combining marks in a row. Putting marks in
# canonical order takes time quadratic in the length of a run, so that a page of nothing else would hang a worker.
MARKS_IN_A_ROW = 30

# The planes with characters that NFKC changes or that combine, but for the CJK compatibility ideographs of plane 2.
_TABLE_SIZE = 0x20000
_COMPATIBILITY_IDEOGRAPHS = 0x2F800
_KEEP, _REPLACE, _BY_CONTEXT = 0, 1, 2


class _FoldTable(NamedTuple):
    """What normalising does to each code point of the first two planes."""

    action: np.ndarray
    start: np.ndarray
    length: np.ndarray
    pool: np.ndarray
    mark: np.ndarray


@njit(cache=True, nogil=True)
def mix(value: Any) -> Any:
    """Return the SplitMix64 finaliser of a uint64 or an array of them: a bijection in which every bit moves all."""
    value = (value ^ (value >> np.uint64(30))) * MIX_FIRST
    value = (value ^ (value >> np.uint64(27))) * MIX_SECOND
    return value ^ (value >> np.uint64(31))


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
    table = _fold_table()
    sizes = _measure(data, offsets, table)
    by_context: dict[int, bytes] = {}
    for row in np.flatnonzero(sizes < 0).tolist():
        original = data[offsets[row] : offsets[row + 1]].tobytes().decode("utf-8", errors="replace")
        by_context[row] = normalize(original).encode("utf-8")
        sizes[row] = len(by_context[row])
    new_offsets = np.zeros(len(offsets), dtype=np.int64)
    np.cumsum(sizes, out=new_offsets[1:])
    copied = np.ones(len(sizes), dtype=np.bool_)
    copied[list(by_context)] = False
    written = np.empty(int(new_offsets[-1]), dtype=np.uint8)
    _write(data, offsets, copied, table, new_offsets, written)
    for row, folded in by_context.items():
        written[new_offsets[row] : new_offsets[row + 1]] = np.frombuffer(folded, dtype=np.uint8)
    buffers = [None, pa.py_buffer(new_offsets), pa.py_buffer(written)]
    return pa.Array.from_buffers(pa.large_string(), len(text), buffers)


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
        while position < stop and (data[position] & 0xC0) == 0x80:
            letter = (letter << np.uint64(6)) | np.uint64(data[position] & 0x3F)
            position += 1
        # Scrambled, because differences of neighbouring code points are small and would cancel in a polynomial.
        letter = (letter + np.uint64(1)) * GOLDEN_GAMMA
        letters[count] = letter ^ (letter >> np.uint64(32))
        count += 1
    return count


@njit(cache=True, nogil=True)
def _hash_windows(letters: np.ndarray, count: int, n: int, hashes: np.ndarray) -> int:
    """Write the hash of each window of `n` of the first `count` letters to `hashes`; return how many (0 if count < n).

    The hash is a polynomial in `MIX_FIRST` modulo 2^64, rolled from window to window, then mixed.
    """
    if count < n:
        return 0
    # The length of the window is part of the hash: a whole short text must differ from a window of a long one.
    length_part = np.uint64(n) * GOLDEN_GAMMA
    leaving = np.uint64(1)
    window = np.uint64(0)
    for position in range(n):
        leaving *= MIX_FIRST
        window = window * MIX_FIRST + letters[position]
    hashes[0] = mix(window + length_part)
    for position in range(n, count):
        window = window * MIX_FIRST + letters[position] - letters[position - n] * leaving
        hashes[position - n + 1] = mix(window + length_part)
    return count - n + 1


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
            pool += replacement
    return _FoldTable(action, start, length, np.frombuffer(bytes(pool), dtype=np.uint8), mark)


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
def _measure(data: np.ndarray, offsets: np.ndarray, table: _FoldTable) -> np.ndarray:
    """Return the bytes of each text after folding, -1 where context decides or the bytes are not UTF-8."""
    sizes = np.zeros(len(offsets) - 1, dtype=np.int64)
    for row in range(len(offsets) - 1):
        position, stop, size = offsets[row], offsets[row + 1], 0
        while position < stop:
            code, width = _decode(data, position, stop)
            if width == 0 or code >= _COMPATIBILITY_IDEOGRAPHS:
                size = -1
                break
            what = table.action[code] if code < _TABLE_SIZE else _KEEP
            if what == _BY_CONTEXT:
                size = -1
                break
            size += width if what == _KEEP else table.length[code]
            position += width
        sizes[row] = size
    return sizes


@njit(cache=True, nogil=True)
def _write(
    data: np.ndarray,
    offsets: np.ndarray,
    copied: np.ndarray,
    table: _FoldTable,
    new_offsets: np.ndarray,
    written: np.ndarray,
) -> None:
    for row in range(len(offsets) - 1):
        if not copied[row]:
            continue
        position, stop, target = offsets[row], offsets[row + 1], new_offsets[row]
        while position < stop:
            code, width = _decode(data, position, stop)
            if code >= _TABLE_SIZE or table.action[code] == _KEEP:
                for index in range(width):
                    written[target + index] = data[position + index]
                target += width
            else:
                for index in range(table.length[code]):
                    written[target + index] = table.pool[table.start[code] + index]
                target += table.length[code]
            position += width


@njit(cache=True, nogil=True)
def _count_letters(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    counts = np.zeros(len(offsets) - 1, dtype=np.int64)
    for row in range(len(offsets) - 1):
        count = 0
        for position in range(offsets[row], offsets[row + 1]):
            # A stray continuation byte at the very start stands for a letter, as in `_read_letters`.
            count += (data[position] & 0xC0) != 0x80 or position == offsets[row]
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
