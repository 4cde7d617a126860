"""Trees: a model of oblivious trees (every level asks one question), evaluated on whole numbers.

Whole numbers make every machine give the same bytes; one question a level lets a processor ask it of many blocks at
once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

# Blocks that go through all trees together, so that what they need stays near the processor.
_BATCH = 256


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """t trees of depth d: features and limits (t, d), leaves (t, 2**d), bias, and
    steps (CHANCE,) at which a chance rises.

    A block goes to leaf number sum of 2**level for each level at which its feature is greater than the limit.
    """

    features: npt.NDArray[np.int32]
    limits: npt.NDArray[np.int32]
    leaves: npt.NDArray[np.int32]
    bias: int
    steps: npt.NDArray[np.int64]


@njit(cache=True, nogil=True)
def sum_trees(
    features: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
    limits: npt.NDArray[np.int32],
    leaves: npt.NDArray[np.int32],
    bias: int,
    sums: npt.NDArray[np.int32],
) -> None:
    """sums (n,) of the leaves that each column of features (f, n) reaches, and the bias."""
    count = features.shape[1]
    depth = columns.shape[1]
    leaf = np.empty(_BATCH, dtype=np.int32)
    for first in range(0, count, _BATCH):
        size = min(_BATCH, count - first)
        for item in range(size):
            sums[first + item] = bias
        for tree in range(columns.shape[0]):
            row = features[columns[tree, 0], first : first + size]
            limit = limits[tree, 0]
            for item in range(size):
                leaf[item] = np.int32(row[item] > limit)
            for level in range(1, depth):
                row = features[columns[tree, level], first : first + size]
                limit = limits[tree, level]
                for item in range(size):
                    leaf[item] |= np.int32(row[item] > limit) << np.int32(level)
            for item in range(size):
                sums[first + item] += leaves[tree, leaf[item]]


@njit(cache=True, nogil=True)
def chances_of(sums: npt.NDArray[np.int32], steps: npt.NDArray[np.int64], chances: npt.NDArray[np.int32]) -> None:
    """chances (n,) from 0 to CHANCE: how many of the rising steps each sum has reached."""
    for row in range(sums.shape[0]):
        low, high = 0, steps.shape[0]
        while low < high:
            middle = (low + high) // 2
            if sums[row] >= steps[middle]:
                low = middle + 1
            else:
                high = middle
        chances[row] = low
