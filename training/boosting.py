"""Boosting: CatBoost's oblivious trees, trained from seeds and turned into whole numbers."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from math import ceil, floor, log
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from catboost import CatBoostClassifier, Pool

from pipeline.web.main_text.choose import CHANCE
from pipeline.web.main_text.trees import Trees

DEPTH = 6
# Leaves are stored as whole parts of this many; 200 trees' sums stay far within 32 bits.
LEAF_SCALE = 1 << 14
_NEVER = np.iinfo(np.int32).max


def train(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.float32],
    weights: npt.NDArray[np.float64],
    trees: int,
    rate: float,
    depth: int = DEPTH,
    seed: int = 1,
) -> Trees:
    """Trees that predict labels from 0 to 1 by features (n, f), rows weighted."""
    model = CatBoostClassifier(
        iterations=trees,
        depth=depth,
        learning_rate=rate,
        loss_function="CrossEntropy",
        border_count=64,
        bootstrap_type="Bernoulli",
        subsample=0.6,
        rsm=0.3,
        l2_leaf_reg=3,
        random_seed=seed,
        thread_count=1,
        allow_writing_files=False,
        verbose=False,
    )
    model.fit(Pool(features, labels, weight=weights))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        return whole_numbers(json.loads(path.read_text()), depth)


def joined(members: Sequence[Trees], steps: npt.NDArray[np.int64]) -> Trees:
    """Trees that sum the leaves of all members, with `steps` for such sums."""
    return Trees(
        np.concatenate([trees.features for trees in members]),
        np.concatenate([trees.limits for trees in members]),
        np.concatenate([trees.leaves for trees in members]),
        sum(trees.bias for trees in members),
        steps,
    )


def whole_numbers(model: dict[str, Any], depth: int) -> Trees:
    """Trees of CatBoost's JSON form as whole numbers: features are whole, so a border of 2.5 asks for more than 2."""
    scale, (bias,) = model["scale_and_bias"]
    numbers = [feature["flat_feature_index"] for feature in model["features_info"]["float_features"]]
    trees = model["oblivious_trees"]
    columns = np.zeros((len(trees), depth), dtype=np.int32)
    limits = np.full((len(trees), depth), _NEVER, dtype=np.int32)
    leaves = np.zeros((len(trees), 1 << depth), dtype=np.int32)
    for row, tree in enumerate(trees):
        for level, question in enumerate(tree["splits"] or []):
            columns[row, level] = numbers[question["float_feature_index"]]
            limits[row, level] = floor(question["border"])
        values = [round(value * scale * LEAF_SCALE) for value in tree["leaf_values"]]
        leaves[row, : len(values)] = values
    return Trees(columns, limits, leaves, round(bias * LEAF_SCALE), chance_steps())


def calmed_chances(share: float, shift: float) -> npt.NDArray[np.int32]:
    """By a chance (CHANCE + 1,) the one whose log odds are a share of its own and a shift; 0 stays 0."""
    chance = np.arange(CHANCE + 1)
    odds = share * np.log((chance + 0.5) / (CHANCE + 0.5 - chance)) + shift
    return np.where(chance == 0, 0, np.rint(CHANCE / (1 + np.exp(-odds)))).astype(np.int32)


def chance_steps(share: float = 1.0, shift: float = 0.0, members: int = 1) -> npt.NDArray[np.int64]:
    """Sums of leaves (CHANCE,) of so many members at which a chance rises, where its log odds are a share of their mean
    and a shift.
    """
    odds = [log((chance - 0.5) / (CHANCE + 0.5 - chance)) for chance in range(1, CHANCE + 1)]
    return np.array([ceil(members * LEAF_SCALE * (each - shift) / share) for each in odds], dtype=np.int64)
