"""MinHash: signatures of texts in bands, so that similar texts share a band with a known probability."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
import xxhash
from numba import njit

from dedup.shingles import GOLDEN_GAMMA, MIX_FIRST, hash_text, longest, mix, utf8_buffers

# RefinedWeb, the largest published setting, uses 9,000 (Penedo et al. 2023: 450 bands of 20 rows).
MAX_PERMUTATIONS = 10_000

# Values of one pass are of different shingles, so that rows of a band that come of one pass agree together a little
# less often than independent ones: with 20 rows, at J = 0.8 and 400 shingles, a band's chance is 2 % less (of itself).
# That bands of one pass repeat each other less makes up for it: `make bench-dedup-quality` holds the curve of found
# pairs against theory. A row a pass would be exact and take three times as long.
ROWS_OF_A_PASS = 4

# A bin without a shingle. A shingle may have this value too, and is then as good as absent, which costs 1 in 2^32.
_EMPTY = np.uint32(0xFFFFFFFF)

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
        """Number of minima in a signature."""
        return self.bands * self.rows

    @property
    def passes(self) -> int:
        """Passes of one-permutation hashing over a text: the fewest of equal shares, at most `ROWS_OF_A_PASS`."""
        return next(
            count
            for count in range(1, self.rows + 1)
            if self.rows % count == 0 and self.rows // count <= ROWS_OF_A_PASS
        )


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
    return _band_hashes(minima, comparable, parameters.bands), comparable


def signatures(normalised: pa.Array, parameters: MinHashParameters) -> tuple[np.ndarray, np.ndarray]:
    """Return (minima uint32 [n, rows * bands], comparable bool [n]) of normalised texts.

    Value r * bands + b is row r of band b. The share of equal minima of two comparable texts is an unbiased estimate
    of the Jaccard similarity J of their shingles, whatever their lengths. They are made by one-permutation hashing (Li,
    Owen and Zhang 2012), `parameters.passes` times over: a permutation sends all shingles of a text into bins, and the
    least of each bin is a value. Where a bin stays empty, the value is the minimum of all shingles under a permutation
    of that bin's own, as in the fast similarity sketching of Dahlgaard, Knudsen and Thorup (2017). So of two texts,
    either the bin is empty in both, and their values agree with probability J; or the least of their common bin is in
    both texts, with probability J; or it is in one alone, and the values differ. Short texts have many empty bins and
    come to plain MinHash: there is no length at which one kind of signature ends and another begins.

    A permutation sends the upper 32 bits h of a 64-bit shingle hash to (h ^ x) * a modulo 2^32, with x random and a
    random and odd: a bijection, so that it makes no collision of its own. Its bins are ranges of equal length.
    """
    data, offsets = utf8_buffers(normalised)
    xors, multipliers = _permutations(parameters.seed, parameters.passes + parameters.permutations)
    return _sign_all(data, offsets, parameters.ngram, xors, multipliers, parameters.passes)


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
def _sign_all(
    data: np.ndarray, offsets: np.ndarray, ngram: int, xors: np.ndarray, multipliers: np.ndarray, passes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (minima, comparable): the first `passes` permutations fill bins, the others are those of the bins.

    Text by text, so that its shingles never leave the processor's cache.
    """
    texts = len(offsets) - 1
    minima = np.zeros((texts, len(xors) - passes), dtype=np.uint32)
    comparable = np.zeros(texts, dtype=np.bool_)
    most = longest(offsets)
    letters, hashes, scratch = np.empty(most, np.uint64), np.empty(most, np.uint64), np.empty((3, most), np.uint32)
    for row in range(texts):
        count = hash_text(data, offsets[row], offsets[row + 1], ngram, letters, hashes)
        if count > 0:
            comparable[row] = True
            _fill_bins(hashes[:count], xors[:passes], multipliers[:passes], scratch, minima[row])
            _fill_empty(hashes[:count], xors[passes:], multipliers[passes:], minima[row])
    return minima, comparable


@njit(cache=True, nogil=True)
def _fill_bins(
    hashes: np.ndarray, xors: np.ndarray, multipliers: np.ndarray, scratch: np.ndarray, minima: np.ndarray
) -> None:
    """Set `minima` to the least value in each bin, _EMPTY where there is none. `scratch` is uint32 [3, >= hashes]."""
    minima[:] = _EMPTY
    bins = len(minima) // len(xors)
    upper, moved, bin_of = scratch[0, : len(hashes)], scratch[1, : len(hashes)], scratch[2, : len(hashes)]
    for index in range(len(hashes)):
        upper[index] = np.uint32(hashes[index] >> np.uint64(32))
    for turn in range(len(xors)):
        x, a = xors[turn], multipliers[turn]
        for index in range(len(upper)):
            value = np.uint32((upper[index] ^ x) * a)
            moved[index] = value
            # The upper 16 bits times the bins, which are fewer than 2^16: vector instructions on 32-bit lanes.
            bin_of[index] = np.uint32(np.uint32(value >> np.uint32(16)) * np.uint32(bins)) >> np.uint32(16)
        least = minima[turn * bins : (turn + 1) * bins]
        for index in range(len(moved)):
            # Always written, since a branch on chance is what costs time here.
            least[bin_of[index]] = min(least[bin_of[index]], moved[index])


@njit(cache=True, nogil=True)
def _fill_empty(hashes: np.ndarray, xors: np.ndarray, multipliers: np.ndarray, minima: np.ndarray) -> None:
    """Replace each `_EMPTY` by the minimum of all hashes (at least one) under the permutation of its place."""
    empty = np.flatnonzero(minima == _EMPTY)
    if len(empty):
        filled = np.empty(len(empty), dtype=np.uint32)
        _lower(hashes, xors[empty], multipliers[empty], filled)
        minima[empty] = filled


@njit(cache=True, nogil=True)
def _lower(hashes: np.ndarray, xors: np.ndarray, multipliers: np.ndarray, minima: np.ndarray) -> None:
    """Set `minima` to the least value of each permutation over the hashes (at least one)."""
    minima[:] = _EMPTY
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


@njit(cache=True, nogil=True)
def _band_hashes(minima: np.ndarray, comparable: np.ndarray, bands: int) -> np.ndarray:
    hashes = np.zeros((len(minima), bands), dtype=np.uint64)
    for text in range(len(minima)):
        if not comparable[text]:
            continue
        value = hashes[text]
        for band in range(bands):
            value[band] = mix(np.uint64(band) * GOLDEN_GAMMA)
        for start in range(0, minima.shape[1], bands):
            row = minima[text, start : start + bands]
            for band in range(bands):
                moved = (value[band] ^ np.uint64(row[band])) * MIX_FIRST
                value[band] = moved ^ (moved >> np.uint64(32))
        for band in range(bands):
            value[band] = mix(value[band])
    return hashes
