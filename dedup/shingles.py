"""One hash for each n-gram of characters (a shingle) of normalised texts, and the mixing of numbers behind it."""

from __future__ import annotations

from typing import Any

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
    one, two, three, six, twelve = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(6), np.uint64(12)
    payload = np.uint64(0x3F)
    # Unsigned places, as they spare the test for negative ones at every access.
    at, end, found = np.uint64(start), np.uint64(stop), np.uint64(0)
    while at < end:
        # The marker bits of the first byte stay in, so that forms of different lengths cannot give the same value.
        first = np.uint64(data[at])
        if first < np.uint64(0x80):
            letters[found] = first
            at, found = at + one, found + one
            continue
        if at + two < end:
            # Nearly all Japanese letters; what follows would come to the same.
            second, third = np.uint64(data[at + one]), np.uint64(data[at + two])
            wrong = (first & np.uint64(0xF0)) ^ np.uint64(0xE0)
            wrong |= ((second & np.uint64(0xC0)) ^ np.uint64(0x80)) | ((third & np.uint64(0xC0)) ^ np.uint64(0x80))
            if wrong == 0:
                letters[found] = first << twelve | (second & payload) << six | third & payload
                at, found = at + three, found + one
                continue
        if first & np.uint64(0xC0) == np.uint64(0x80) and found > 0:
            letters[found - one] = letters[found - one] << six | first & payload
        else:
            letters[found] = first
            found += one
        at += one
    count = int(found)
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
    letters = np.empty(longest(offsets), dtype=np.uint64)
    for row in range(len(offsets) - 1):
        hash_text(data, offsets[row], offsets[row + 1], n, letters, hashes[hash_offsets[row] : hash_offsets[row + 1]])


@njit(cache=True, nogil=True)
def longest(offsets: np.ndarray) -> int:
    """Return the greatest distance of two neighbouring offsets, 0 where there is none."""
    most = 0
    for row in range(len(offsets) - 1):
        most = max(most, offsets[row + 1] - offsets[row])
    return most


@njit(cache=True, nogil=True)
def hash_text(data: np.ndarray, start: int, stop: int, n: int, letters: np.ndarray, hashes: np.ndarray) -> int:
    """Write the hash of each window of `n` code points of data[start:stop] to `hashes`; return how many.

    `letters` is room for stop - start values, and `hashes` has room for all windows: as many again do.
    """
    return _hash_windows(letters, _read_letters(data, start, stop, letters), n, hashes)
