"""Trees: a model of oblivious trees (every level asks one question), evaluated on whole numbers.

Whole numbers make every machine give the same bytes; one question a level lets a processor ask it of many blocks at
once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.page.lean import lean_njit

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
    leaves: npt.NDArray[np.signedinteger]
    bias: int
    steps: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TreeSets:
    """k sets of t trees of depth d: features and limits (k, t, d), leaves (k, t, 2**d), biases (k,)."""

    features: npt.NDArray[np.int32]
    limits: npt.NDArray[np.int32]
    leaves: npt.NDArray[np.signedinteger]
    biases: npt.NDArray[np.int32]


def tree_sets(sets: Sequence[Trees]) -> TreeSets:
    """Sets of trees of one depth as one; to those of fewer trees some are added whose leaves are 0."""
    most = max(len(trees.features) for trees in sets)

    def stacked(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        return np.stack([np.pad(array, ((0, most - len(array)), (0, 0))) for array in arrays])

    return TreeSets(
        stacked([trees.features for trees in sets]),
        stacked([trees.limits for trees in sets]),
        stacked([trees.leaves for trees in sets]),
        np.array([trees.bias for trees in sets], dtype=np.int32),
    )


@njit(cache=True, nogil=True)
def sum_trees(
    features: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
    limits: npt.NDArray[np.int32],
    leaves: npt.NDArray[np.signedinteger],
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
            for item in range(size):
                leaf[item] = 0
            level = depth
            if depth % 2:
                level -= 1
                row = features[columns[tree, level], first : first + size]
                limit = limits[tree, level]
                for item in range(size):
                    leaf[item] = row[item] > limit
            # Two levels at once, the highest first: doubling stays in 32 bits, which shifting by a level does not.
            while level > 0:
                level -= 2
                upper = features[columns[tree, level + 1], first : first + size]
                lower = features[columns[tree, level], first : first + size]
                upper_limit, lower_limit = limits[tree, level + 1], limits[tree, level]
                for item in range(size):
                    leaf[item] = (
                        4 * leaf[item] + 2 * np.int32(upper[item] > upper_limit) + np.int32(lower[item] > lower_limit)
                    )
            reached = leaves[tree]
            for item in range(size):
                sums[first + item] += reached[np.uint32(leaf[item])]


@lean_njit
def likeliest(
    features: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
    limits: npt.NDArray[np.int32],
    leaves: npt.NDArray[np.signedinteger],
    biases: npt.NDArray[np.int32],
) -> int:
    """The set of trees, of those of TreeSets, that sums to most for features (f,); the first of equal ones."""
    best, greatest = 0, np.int64(0)
    for number in range(biases.shape[0]):
        total = np.int64(biases[number])
        for tree in range(columns.shape[1]):
            leaf = 0
            for level in range(columns.shape[2]):
                leaf |= int(features[columns[number, tree, level]] > limits[number, tree, level]) << level
            total += leaves[number, tree, leaf]
        if number == 0 or total > greatest:
            best, greatest = number, total
    return best


@lean_njit
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
