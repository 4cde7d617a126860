"""Fit: examples to a model's two looks, page types and calibration; and texts of pages that a model has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.web.main_text.judge import both_looks, headline_of
from pipeline.web.main_text.model import PAGE_TYPES
from pipeline.web.main_text.page_type import PAGE_FEATURE_COUNT, build_page_features
from pipeline.web.main_text.trees import Trees
from training.boosting import chance_steps, joined, train
from training.examples import Example

FIRST_TREES, FIRST_RATE = 200, 0.12
SECOND_TREES, SECOND_RATE = 250, 0.10
# Trees of one seed err by chance, which the mean of several evens out. The first seed alone judges the pages that it
# is sure of (SURE in choose.py).
FIRST_SEEDS, SECOND_SEEDS = (1, 2, 3, 4), (1, 2, 3, 4, 5)
# A page is chosen by chances whose log odds are this share of what the second trees say, and a shift: blocks of a page
# are right or wrong together, so that expectations by each alone are too sure. Tried by the cross-validation
# (docs/main-text-model.md).
CHOICE_SHARE, CHOICE_SHIFT = 0.5, -0.9
# The same of pages that the first trees are sure of.
SURE_SHARE, SURE_SHIFT = 0.5, -0.45
TYPE_TREES, TYPE_RATE, TYPE_DEPTH = 60, 0.12, 4
# Blocks of one page that are trained on; of longer pages a sample speaks for all.
BLOCKS_A_PAGE = 60
# Part of a page's weight that its blocks share evenly, the rest by their letters.
EVEN_WEIGHT = 0.3
# Pages of fewer blocks weigh less: little can be learnt from them.
FULL_WEIGHT_BLOCKS = 10
# Types on whose pages the headline belongs to the text where the gold leaves it out; on others the gold may be right.
HEADLINE_TYPES = frozenset({None, "article", "documentation", "forum"})
# How much a page counts by its set, and by its type where the set has many: there are few Japanese pages, and few
# English ones of some types; manuals are many and alike.
SET_WEIGHTS = {
    "ja-sites": 2.0,
    "web": 2.0,
    "fixtures": 2.0,
    "zh": 2.0,
    "articles": 1.5,
    "framed": 0.5,
    "shortened": 0.7,
    "crowded": 0.5,
}
TYPE_WEIGHTS = {"product": 2.0}
# The test pages' own types in terms of PAGE_TYPES.
TYPE_NAMES = {"event": "service", "company": "service", "profile": "service", "list": "listing", "minutes": "article"}


def targets(example: Example) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Labels (n,) of an example's blocks and their weights (n,).

    The gold of most sources leaves the headline out; by our convention it is in (docs/gold-convention.md).
    """
    labels = example.labels.copy()
    letters = example.letters.astype(np.float64)
    weights = letters / max(1.0, letters.sum()) + EVEN_WEIGHT / max(1, len(letters))
    weights *= min(1.0, len(letters) / FULL_WEIGHT_BLOCKS)
    weights *= SET_WEIGHTS.get(example.page.set, TYPE_WEIGHTS.get(str(example.page.page_type), 1.0))
    headline = headline_of(example.found)
    if headline >= 0 and labels[headline] < 0.5 and example.page.set != "framed":
        if example.page.page_type in HEADLINE_TYPES:
            labels[headline] = 1
        else:
            weights[headline] = 0
    return labels, weights


def _sample(
    weights: npt.NDArray[np.float64], chooser: np.random.Generator
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Which of a page's blocks (n,) are trained on, and with what weights: blocks are drawn by their weight, and drawn
    ones stand for those of their kind that were not.
    """
    drawn = np.minimum(1.0, BLOCKS_A_PAGE * weights / max(weights.sum(), 1e-9))
    return chooser.random(len(weights)) < drawn, weights / np.maximum(drawn, 1e-9)


def _train(
    examples: Sequence[Example],
    features_of: Callable[[int], npt.NDArray[np.int32]],
    indices: Sequence[int],
    trees: int,
    rate: float,
    seed: int,
) -> Trees:
    """Trees over features_of(index) (f, n) of the examples at `indices`."""
    chooser = np.random.default_rng(seed)
    rows, labels, weights = [], [], []
    for index in indices:
        if not len(examples[index].letters):
            continue
        label, weight = targets(examples[index])
        kept, weight = _sample(weight, chooser)
        rows.append(features_of(index).T[kept].astype(np.float32))
        labels.append(label[kept])
        weights.append(100 * weight[kept])
    return train(np.concatenate(rows), np.concatenate(labels), np.concatenate(weights), trees, rate, seed=seed)


def fit_first(examples: Sequence[Example], indices: Sequence[int], seed: int) -> Trees:
    """Trees of a first look of one seed, from the examples at `indices`."""
    return _train(examples, lambda index: examples[index].features, indices, FIRST_TREES, FIRST_RATE, seed)


def further(members: Sequence[Trees]) -> Trees:
    """All first trees but those of the first seed, with steps for the sums of all."""
    return joined(members[1:], chance_steps(members=len(members)))


def fit_second(
    examples: Sequence[Example], indices: Sequence[int], seen: Mapping[int, npt.NDArray[np.int32]], seed: int
) -> Trees:
    """Trees of a second look of one seed, from chances `seen` by first trees that had not seen the pages' sites."""

    def features(index: int) -> npt.NDArray[np.int32]:
        return both_looks(examples[index].found, seen[index])

    return _train(examples, features, indices, SECOND_TREES, SECOND_RATE, seed)


def second(members: Sequence[Trees]) -> Trees:
    """The second look's trees of all seeds as one."""
    return joined(members, chance_steps(CHOICE_SHARE, CHOICE_SHIFT, len(members)))


def page_features(example: Example, kept: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Features (PAGE_FEATURE_COUNT, 1) of an example's page."""
    out = np.zeros((PAGE_FEATURE_COUNT, 1), dtype=np.int32)
    if len(kept):
        build_page_features(example.found.blocks, example.found.features, kept, out)
    return out


def fit_types(
    examples: Sequence[Example], indices: Sequence[int], kept: dict[int, npt.NDArray[np.uint8]]
) -> tuple[Trees, ...]:
    """One set of trees for each of PAGE_TYPES, each against all others, from pages whose type is known."""
    known = [
        (index, TYPE_NAMES.get(str(examples[index].page.page_type), str(examples[index].page.page_type)))
        for index in indices
        if examples[index].page.page_type and len(examples[index].letters)
    ]
    rows = np.concatenate([page_features(examples[index], kept[index]).T for index, _ in known]).astype(np.float32)
    names = np.array([name for _, name in known])
    even = np.ones(len(known))
    return tuple(
        train(rows, (names == name).astype(np.float32), even, TYPE_TREES, TYPE_RATE, TYPE_DEPTH) for name in PAGE_TYPES
    )
