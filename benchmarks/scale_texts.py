"""Texts of any number of made-up documents, each from its number alone, with known clusters of near duplicates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numba import njit

from dedup.shingles import GOLDEN_GAMMA, mix

LETTERS = 400
LARGEST = 100_000
# Sizes of clusters are drawn from a power law with this exponent, up to MOST.
EXPONENT = 2.5
MOST = 10_000
# In one of four clusters, members are too far from each other to be duplicates, and near enough to meet.
FAR_CLUSTERS = 4
# Changed letters: up to 4 leave any two at a Jaccard index of 356/436 = 0.817 or more; 12 or more leave 336/456 = 0.737
# or less from the first one's text, unless many of them share n-grams.
NEAR_EDITS, LEAST_FAR_EDITS, FAR_EDITS = 4, 12, 8


@dataclass(frozen=True, eq=False)
class Plan:
    """Which document belongs to which cluster: places 0 to n - 1 in clusters' order, documents spread over them."""

    documents: int
    ends: np.ndarray
    step: int

    def clusters(self, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The cluster of each document, and whether it is the cluster's first member."""
        places = (documents.astype(np.int64) * self.step) % self.documents
        cluster = np.searchsorted(self.ends, places, side="right")
        first = np.where(cluster > 0, self.ends[cluster - 1], 0)
        return cluster, places == first

    def sizes(self) -> np.ndarray:
        return np.diff(self.ends, prepend=0)

    def far(self, clusters: np.ndarray) -> np.ndarray:
        """Whether the members of a cluster are no duplicates. The largest cluster, 0, is of near ones."""
        return clusters % FAR_CLUSTERS == 1


def make_plan(documents: int, seed: int = 1) -> Plan:
    random = np.random.default_rng(seed)
    drawn = random.zipf(EXPONENT, documents)
    sizes = np.concatenate([[min(LARGEST, documents)], drawn[drawn <= MOST]])
    ends = np.cumsum(sizes)
    ends = np.append(ends[ends < documents], documents)
    step = int(documents * 0.618) | 1
    while np.gcd(step, documents) != 1:
        step += 2
    return Plan(documents, ends, step)


def texts(plan: Plan, documents: np.ndarray) -> pa.Array:
    """The texts of documents by their numbers, as a string array."""
    cluster, first = plan.clusters(documents)
    written = _write(documents, cluster, first, plan.far(cluster))
    offsets = np.arange(len(documents) + 1, dtype=np.int32) * np.int32(3 * LETTERS)
    return pa.StringArray.from_buffers(len(documents), pa.py_buffer(offsets), pa.py_buffer(written))


@njit(cache=True)
def _write(documents: np.ndarray, clusters: np.ndarray, first: np.ndarray, far: np.ndarray) -> np.ndarray:
    written = np.empty(len(documents) * 3 * LETTERS, dtype=np.uint8)
    letters = np.empty(LETTERS, dtype=np.uint32)
    for row in range(len(documents)):
        state = mix(np.uint64(clusters[row]) * GOLDEN_GAMMA + np.uint64(1))
        for start in range(0, LETTERS, 4):
            word = mix(state + np.uint64(start) * GOLDEN_GAMMA)
            for index in range(4):
                letters[start + index] = np.uint32(word >> np.uint64(16 * index)) & np.uint32(0xFFF)
        state = mix(~(np.uint64(documents[row]) * GOLDEN_GAMMA))
        edits = 0
        if not first[row]:
            edits = LEAST_FAR_EDITS + state % FAR_EDITS if far[row] else state % (NEAR_EDITS + 1)
        for turn in range(edits):
            word = mix(state + np.uint64(turn + 1) * GOLDEN_GAMMA)
            letters[np.int64((word >> np.uint64(32)) % np.uint64(LETTERS))] = np.uint32(word) & np.uint32(0xFFF)
        place = row * 3 * LETTERS
        for index in range(LETTERS):
            code = np.uint32(0x4E00) + letters[index]
            written[place] = 0xE0 | (code >> np.uint32(12))
            written[place + 1] = 0x80 | ((code >> np.uint32(6)) & np.uint32(0x3F))
            written[place + 2] = 0x80 | (code & np.uint32(0x3F))
            place += 3
    return written
