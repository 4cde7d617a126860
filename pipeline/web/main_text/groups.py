"""Groups: a page's blocks that stand in the same path of tags and classes, and those that say the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.main_text.blocks import HASH, LETTERS, OWNER


@njit(cache=True, nogil=True)
def _empty_table(count: int) -> npt.NDArray[np.int32]:
    """A hash table with room for twice as many, free slots -1; its size is a power of two."""
    slots = 8
    while slots < 2 * count:
        slots *= 2
    return np.full(slots, -1, dtype=np.int32)


@njit(cache=True, nogil=True)
def group_by_path(blocks: npt.NDArray[np.int32], paths: npt.NDArray[np.uint64], group: npt.NDArray[np.int32]) -> int:
    """Fill group (n,), the number of each block's path, from 0 in their order; returns how many there are."""
    count = blocks.shape[0]
    table = _empty_table(count)
    mask = table.shape[0] - 1
    known = np.empty(count, dtype=np.uint64)
    groups = 0
    for row in range(count):
        owner = blocks[row, OWNER]
        path = paths[owner] if owner >= 0 else np.uint64(1)
        slot = np.int64(path >> np.uint64(17)) & mask
        while table[slot] >= 0 and known[table[slot]] != path:
            slot = (slot + 1) & mask
        if table[slot] < 0:
            table[slot] = groups
            known[groups] = path
            groups += 1
        group[row] = table[slot]
    return groups


@njit(cache=True, nogil=True)
def count_copies(blocks: npt.NDArray[np.int32], copies: npt.NDArray[np.int32]) -> None:
    """Fill copies (n,): how many blocks have each block's letters, itself counted."""
    count = blocks.shape[0]
    table = _empty_table(count)
    mask = table.shape[0] - 1
    first = np.empty(count, dtype=np.int32)
    copies[:] = 0
    for row in range(count):
        slot = (blocks[row, HASH] * 40503) & mask
        while table[slot] >= 0 and not (
            blocks[table[slot], HASH] == blocks[row, HASH] and blocks[table[slot], LETTERS] == blocks[row, LETTERS]
        ):
            slot = (slot + 1) & mask
        if table[slot] < 0:
            table[slot] = row
        first[row] = table[slot]
        copies[first[row]] += 1
    for row in range(count - 1, -1, -1):
        copies[row] = copies[first[row]]
