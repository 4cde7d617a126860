"""Trees: a model of oblivious trees (every level asks one question), evaluated on whole numbers.

Whole numbers make every machine give the same bytes; one question a level lets a processor ask it of many blocks at
once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.page.lean import inlined_njit, lean_njit

# Blocks that go through all trees together, so that what they need stays near the processor.
_BATCH = 256
# Trees of this depth, which the committed model's are, ask all their questions of so many blocks in one loop.
_USUAL_DEPTH, _MANY, _SOME = 6, 64, 32


# The fields of Trees, and of TreeSets, in their order.
TreeArrays = tuple[
    npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.signedinteger], int, npt.NDArray[np.int64]
]
TreeSetArrays = tuple[
    npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.signedinteger], npt.NDArray[np.int32]
]


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

    @property
    def arrays(self) -> TreeArrays:
        """All of it, as compiled functions take it."""
        return self.features, self.limits, self.leaves, self.bias, self.steps


def sums_of(trees: Trees, features: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Sums (n,) of the leaves that each column of features (f, n) reaches."""
    out = np.empty(features.shape[1], dtype=np.int32)
    sum_trees(features, trees.features, trees.limits, trees.leaves, trees.bias, out)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class TreeSets:
    """k sets of t trees of depth d: features and limits (k, t, d), leaves (k, t, 2**d), biases (k,)."""

    features: npt.NDArray[np.int32]
    limits: npt.NDArray[np.int32]
    leaves: npt.NDArray[np.signedinteger]
    biases: npt.NDArray[np.int32]

    @property
    def arrays(self) -> TreeSetArrays:
        """All of it, as compiled functions take it."""
        return self.features, self.limits, self.leaves, self.biases


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


def _sums_of_lanes(lanes: int) -> Callable[..., None]:
    """What sum_trees does, for trees of _USUAL_DEPTH and so many blocks from `first` on."""

    @inlined_njit
    def reach(
        features: npt.NDArray[np.int32],
        columns: npt.NDArray[np.int32],
        limits: npt.NDArray[np.int32],
        tree: int,
        first: int,
        leaf: npt.NDArray[np.int32],
    ) -> None:
        behind = first + lanes
        row0, row1, row2 = (
            features[columns[tree, 0], first:behind],
            features[columns[tree, 1], first:behind],
            features[columns[tree, 2], first:behind],
        )
        row3, row4, row5 = (
            features[columns[tree, 3], first:behind],
            features[columns[tree, 4], first:behind],
            features[columns[tree, 5], first:behind],
        )
        limit0, limit1, limit2 = limits[tree, 0], limits[tree, 1], limits[tree, 2]
        limit3, limit4, limit5 = limits[tree, 3], limits[tree, 4], limits[tree, 5]
        for item in range(lanes):
            # Products stay in 32 bits, which shifts do not.
            leaf[item] = (
                np.int32(row0[item] > limit0)
                + 2 * np.int32(row1[item] > limit1)
                + 4 * np.int32(row2[item] > limit2)
                + 8 * np.int32(row3[item] > limit3)
                + 16 * np.int32(row4[item] > limit4)
                + 32 * np.int32(row5[item] > limit5)
            )

    @njit(cache=True, nogil=True)
    def sum_lanes(
        features: npt.NDArray[np.int32],
        columns: npt.NDArray[np.int32],
        limits: npt.NDArray[np.int32],
        leaves: npt.NDArray[np.signedinteger],
        bias: int,
        sums: npt.NDArray[np.int32],
        first: int,
    ) -> None:
        total = np.empty(lanes, dtype=np.int32)
        leaf0, leaf1 = np.empty(lanes, dtype=np.int32), np.empty(lanes, dtype=np.int32)
        leaf2, leaf3 = np.empty(lanes, dtype=np.int32), np.empty(lanes, dtype=np.int32)
        for item in range(lanes):
            total[item] = bias
        # Four trees at once: the sums are taken up and put down a fourth of the times.
        whole = columns.shape[0] // 4 * 4
        for tree in range(0, whole, 4):
            reach(features, columns, limits, tree, first, leaf0)
            reach(features, columns, limits, tree + 1, first, leaf1)
            reach(features, columns, limits, tree + 2, first, leaf2)
            reach(features, columns, limits, tree + 3, first, leaf3)
            reached0, reached1, reached2, reached3 = leaves[tree], leaves[tree + 1], leaves[tree + 2], leaves[tree + 3]
            for item in range(lanes):
                total[item] += (
                    np.int32(reached0[np.uint32(leaf0[item])])
                    + np.int32(reached1[np.uint32(leaf1[item])])
                    + np.int32(reached2[np.uint32(leaf2[item])])
                    + np.int32(reached3[np.uint32(leaf3[item])])
                )
        for tree in range(whole, columns.shape[0]):
            reach(features, columns, limits, tree, first, leaf0)
            reached0 = leaves[tree]
            for item in range(lanes):
                total[item] += reached0[np.uint32(leaf0[item])]
        for item in range(lanes):
            sums[first + item] = total[item]

    return sum_lanes


_sum_many, _sum_some = _sums_of_lanes(_MANY), _sums_of_lanes(_SOME)


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
    if depth == _USUAL_DEPTH and count >= _SOME:
        # The last of a page's blocks go with some before them a second time, so that no loop has a rest.
        position = 0
        while position < count:
            if count - position > _SOME and count >= _MANY:
                _sum_many(features, columns, limits, leaves, bias, sums, min(position, count - _MANY))
                position += _MANY
            else:
                _sum_some(features, columns, limits, leaves, bias, sums, min(position, count - _SOME))
                position += _SOME
        return
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
        # Halving without a branch, which a processor could not foresee.
        low, length = 0, steps.shape[0]
        while length > 1:
            half = length // 2
            low += half * int(sums[row] >= steps[low + half - 1])
            length -= half
        chances[row] = low + (1 if length > 0 and sums[row] >= steps[low] else 0)
