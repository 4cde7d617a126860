"""MinHash: signatures of texts in bands, so that similar texts share a band with a known probability."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
import xxhash
from numba import njit

from dedup.shingles import GOLDEN_GAMMA, MIX_FIRST, mix, shingle_hashes, utf8_buffers

# RefinedWeb, the largest published setting, uses 9,000 (Penedo et al. 2023: 450 bands of 20 rows).
MAX_PERMUTATIONS = 10_000

# Shingles that share one pass over the permutations: enough to hide the loads and stores of the minima.
_BLOCK = 8


@dataclass(frozen=True)
class MinHashParameters:
    """How signatures are made: `bands` x `rows` permutations over shingles of `ngram` characters.

    Two texts become candidates when all rows of any one band agree. Signatures compare only when every field,
    `seed` included, is the same. Raises ValueError for values that make no signature.
    """

    ngram: int = 5
    bands: int = 40
    rows: int = 20
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("ngram", "bands", "rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"MinHash {name} must be at least 1, not {getattr(self, name)}")
        if self.permutations > MAX_PERMUTATIONS:
            raise ValueError(
                f"MinHash bands x rows must be at most {MAX_PERMUTATIONS:,}, not {self.bands} x {self.rows}"
            )
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"MinHash seed must be from 0 to 2^64 - 1, not {self.seed}")

    @property
    def permutations(self) -> int:
        """Number of hash functions, and of minima in a signature."""
        return self.bands * self.rows


# swallow: doubri as the Swallow corpus runs it, 800 hashes of character 5-grams, a pair at 0.9 found with 99.4 %
# (Okazaki et al. 2024, "Building a Large Japanese Web Corpus"). fineweb: datatrove's default, 14 buckets of 8
# (Penedo et al. 2024), there over words. llm-jp-v4: 20 bands of 10.
PRESETS: dict[str, MinHashParameters] = {
    "swallow": MinHashParameters(ngram=5, bands=40, rows=20),
    "fineweb": MinHashParameters(ngram=5, bands=14, rows=8),
    "llm-jp-v4": MinHashParameters(ngram=5, bands=20, rows=10),
}


def parameters_for_threshold(threshold: float, permutations: int, ngram: int = 5, seed: int = 1) -> MinHashParameters:
    """Return the bands and rows, of at most `permutations`, that err least about `threshold`, as datasketch has it.

    Least is the sum, equally weighted, of the area under the curve of `probability_of_candidate` below the threshold
    (false candidates) and above it (misses). Raises ValueError when threshold is not strictly between 0 and 1 or
    permutations is not from 2 to `MAX_PERMUTATIONS`. Takes seconds for thousands of permutations.
    """
    if not 0.0 < threshold < 1.0:
        raise ValueError(f"MinHash threshold must lie between 0 and 1, not {threshold}")
    if not 2 <= permutations <= MAX_PERMUTATIONS:
        raise ValueError(f"MinHash permutations must be from 2 to {MAX_PERMUTATIONS:,}, not {permutations}")
    bands, rows = _optimal_bands(threshold, permutations)
    return MinHashParameters(ngram=ngram, bands=bands, rows=rows, seed=seed)


def probability_of_candidate(similarity: float, parameters: MinHashParameters) -> float:
    """Return the probability, 1 - (1 - s^rows)^bands, that texts of Jaccard similarity s share a band."""
    return 1.0 - (1.0 - similarity**parameters.rows) ** parameters.bands


def band_hashes(normalised: pa.Array, parameters: MinHashParameters) -> tuple[np.ndarray, np.ndarray]:
    """Return (band hashes uint64 [n, bands], comparable bool [n]) of normalised texts.

    A text of fewer than `ngram` code points has no shingle: it is not comparable and its row is zero. The index of
    the band is part of its hash, so that bands never meet across indexes and all may share one table.
    """
    minima, comparable = signatures(normalised, parameters)
    value = mix(np.arange(parameters.bands, dtype=np.uint64) * GOLDEN_GAMMA)
    for row in range(parameters.rows):
        value = (value ^ minima[:, row :: parameters.rows]) * MIX_FIRST
        value ^= value >> np.uint64(32)
    return mix(value) * comparable[:, np.newaxis], comparable


def signatures(normalised: pa.Array, parameters: MinHashParameters) -> tuple[np.ndarray, np.ndarray]:
    """Return (minima uint32 [n, bands * rows], comparable bool [n]) of normalised texts.

    The share of equal minima of two comparable texts is an unbiased estimate of the Jaccard similarity of their
    shingles. Each of the permutations sends the upper 32 bits h of a 64-bit shingle hash to (h ^ x) * a modulo 2^32,
    with x random and a random and odd: a bijection, so that a permutation makes no collision of its own.
    """
    hashes, offsets = shingle_hashes(normalised, parameters.ngram)
    xors, multipliers = _permutations(parameters.seed, parameters.permutations)
    return _minima(hashes, offsets, xors, multipliers), np.diff(offsets) > 0


def content_hashes(normalised: pa.Array) -> np.ndarray:
    """Return the xxh3_64 (uint64 [n]) of the UTF-8 of each normalised text; null counts as ""."""
    data, offsets = utf8_buffers(normalised)
    view = data.data
    edges = offsets.tolist()
    digests = (xxhash.xxh3_64_intdigest(view[start:stop]) for start, stop in pairwise(edges))
    return np.fromiter(digests, dtype=np.uint64, count=len(edges) - 1)


@lru_cache(maxsize=32)
def _optimal_bands(threshold: float, permutations: int) -> tuple[int, int]:
    # Imported here because it is slow to load and only recipes that name a threshold need it.
    from datasketch import MinHashLSH

    index = MinHashLSH(threshold=threshold, num_perm=permutations)
    return index.b, index.r


@lru_cache(maxsize=8)
def _permutations(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (xors, multipliers), both uint32 [count], from one SplitMix64 sequence."""
    words = mix(np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * GOLDEN_GAMMA)
    return (words >> np.uint64(32)).astype(np.uint32), words.astype(np.uint32) | np.uint32(1)


@njit(cache=True, nogil=True)
def _minima(hashes: np.ndarray, offsets: np.ndarray, xors: np.ndarray, multipliers: np.ndarray) -> np.ndarray:
    minima = np.zeros((len(offsets) - 1, len(xors)), dtype=np.uint32)
    for row in range(len(offsets) - 1):
        if offsets[row + 1] > offsets[row]:
            _lower(hashes[offsets[row] : offsets[row + 1]], xors, multipliers, minima[row])
    return minima


@njit(cache=True, nogil=True)
def _lower(hashes: np.ndarray, xors: np.ndarray, multipliers: np.ndarray, minima: np.ndarray) -> None:
    """Set `minima` to the least value of each permutation over the hashes (at least one)."""
    minima[:] = np.uint32(0xFFFFFFFF)
    block = np.empty(_BLOCK, dtype=np.uint32)
    for start in range(0, len(hashes), _BLOCK):
        for index in range(_BLOCK):
            # The last block is filled up with its last shingle: a minimum does not mind repeats.
            block[index] = np.uint32(hashes[min(start + index, len(hashes) - 1)] >> np.uint64(32))
        b0, b1, b2, b3, b4, b5, b6, b7 = block
        for index in range(len(minima)):
            x, a = xors[index], multipliers[index]
            # Written out as a tree of minima, in this form the loop becomes vector instructions on 32-bit lanes.
            least = min(
                min(
                    min(np.uint32((b0 ^ x) * a), np.uint32((b1 ^ x) * a)),
                    min(np.uint32((b2 ^ x) * a), np.uint32((b3 ^ x) * a)),
                ),
                min(
                    min(np.uint32((b4 ^ x) * a), np.uint32((b5 ^ x) * a)),
                    min(np.uint32((b6 ^ x) * a), np.uint32((b7 ^ x) * a)),
                ),
            )
            minima[index] = min(minima[index], least)
