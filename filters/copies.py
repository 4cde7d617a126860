"""Copies: which spans of a text were there before in it, found by hash and confirmed letter by letter."""

from __future__ import annotations

import numpy as np
from numba import njit

from dedup.shingles import GOLDEN_GAMMA, mix
from filters.open_addressing import table_size


@njit(cache=True, nogil=True)
def count_copies(
    codes: np.ndarray,
    begins: np.ndarray,
    ends: np.ndarray,
    spans: int,
    hashes: np.ndarray,
    table: np.ndarray,
    generation: int,
) -> tuple[int, int]:
    """Return how many of the first `spans` spans begins[i] to ends[i] copy an earlier one, and their code points.

    `table` holds generation + index of a span. Entries below `generation` are those of earlier calls and count as
    free, so that it is never cleared; the next call needs a generation of at least `generation + spans`.
    """
    mask = table_size(spans) - 1
    copies, characters = 0, 0
    for index in range(spans):
        begin, stop = begins[index], ends[index]
        value = np.uint64(stop - begin)
        for position in range(begin, stop):
            value = (value ^ np.uint64(codes[position])) * GOLDEN_GAMMA
            value ^= value >> np.uint64(32)
        value = mix(value)
        slot = np.int64(value) & mask
        is_copy = False
        while table[slot] >= generation:
            other = table[slot] - generation
            if hashes[other] == value and same_letters(codes, begin, stop, begins[other], ends[other]):
                is_copy = True
                break
            slot = (slot + 1) & mask
        if is_copy:
            copies += 1
            characters += stop - begin
        else:
            hashes[index] = value
            table[slot] = generation + index
    return copies, characters


@njit(cache=True, nogil=True)
def same_letters(codes: np.ndarray, begin: int, stop: int, other_begin: int, other_stop: int) -> bool:
    """Say whether two spans of `codes` hold the same."""
    if stop - begin != other_stop - other_begin:
        return False
    step = 0
    while begin + step < stop and codes[begin + step] == codes[other_begin + step]:
        step += 1
    return begin + step == stop


@njit(cache=True, nogil=True, inline="always")
def is_space(code: int) -> bool:
    """Say whether Python's str.strip takes `code` away: Unicode White_Space and the separators U+001C-001F."""
    if code < 0x80:
        return code == 0x20 or 0x09 <= code <= 0x0D or 0x1C <= code <= 0x1F
    return 0x2000 <= code <= 0x200A or code in (0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)
