"""The true similarity of two texts: the Jaccard index of their sets of shingles."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import njit

from dedup.shingles import shingle_hashes


def shingle_set(normalised: str, n: int) -> np.ndarray:
    """Return the sorted unique shingle hashes (uint64) of a normalised text, from windows of `n` code points.

    A text shorter than `n` is one shingle as a whole, so that short texts are compared exactly; an empty text has
    none. Raises ValueError when n < 1.
    """
    text = pa.array([normalised.encode("utf-8", errors="surrogatepass")], pa.large_binary()).view(pa.large_string())
    hashes, _ = shingle_hashes(text, min(n, len(normalised) or n))
    hashes.sort()
    first = np.ones(len(hashes), dtype=np.bool_)
    first[1:] = hashes[1:] != hashes[:-1]
    return hashes[first]


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Return |a ∩ b| / |a ∪ b| of two sets as `shingle_set` gives them; 1.0 when both are empty."""
    return _ratio(overlap(a, b, 0), len(a), len(b))


def jaccard_at_least(a: np.ndarray, b: np.ndarray, limit: float) -> float:
    """Return `jaccard(a, b)` where it is at least `limit`, and -1.0 else, giving up as soon as that is certain."""
    # Overlap o gives o / (|a| + |b| - o) >= limit just when o >= limit * (|a| + |b|) / (1 + limit). One less than
    # that, so that rounding cannot lose a pair at the limit: the ratio itself decides.
    needed = int(limit * (len(a) + len(b)) / (1.0 + limit)) - 1
    shared = overlap(a, b, max(needed, 0))
    if shared < 0:
        return -1.0
    similarity = _ratio(shared, len(a), len(b))
    return similarity if similarity >= limit else -1.0


def _ratio(overlap: int, size_a: int, size_b: int) -> float:
    union = size_a + size_b - overlap
    return overlap / union if union else 1.0


@njit(cache=True, nogil=True)
def overlap(a: np.ndarray, b: np.ndarray, needed: int) -> int:
    """Return the size of the intersection of two sorted sets, or -1 once it cannot reach `needed`."""
    i, j, shared = 0, 0, 0
    while i < len(a) and j < len(b):
        if shared + min(len(a) - i, len(b) - j) < needed:
            return -1
        left, right = a[i], b[j]
        shared += left == right
        i += left <= right
        j += right <= left
    return shared
