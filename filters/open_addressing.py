"""The size of the hash tables of compiled measures, which serve all documents of a block without being cleared.

A table is an int64 array that holds generation + index of an entry. Each use takes a generation above all that was
written before, so that what earlier uses left counts as free. A use with few entries takes only the beginning of the
table, which stays in a core's cache.
"""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True)
def table_size(entries: int) -> int:
    """Return the slots for that many entries: a power of two of at least 16, and never more than half full."""
    size = 16
    while size < 2 * entries:
        size *= 2
    return size
