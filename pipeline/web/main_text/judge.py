"""Judge: a page's blocks to those that are its main text, by the model's two looks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.web.main_text.analysis import Analysis
from pipeline.web.main_text.choose import choose
from pipeline.web.main_text.features import FEATURE_COUNT, FEATURES
from pipeline.web.main_text.model import PAGE_TYPES, Model
from pipeline.web.main_text.page_type import PAGE_FEATURE_COUNT, build_page_features
from pipeline.web.main_text.second_look import SECOND_COUNT, build_second
from pipeline.web.main_text.trees import Trees, chances_of, sum_trees

_FROM_HEADLINE = FEATURES.index("from_headline_block")
_NO_HEADLINE = -10_000


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """kept (n,) is 1 for blocks of main text; headline is the block that repeats the title (-1 none); expected_f1 is
    from 0 to 1, as calibrated; page_type is one of PAGE_TYPES, None for a page without text.
    """

    kept: npt.NDArray[np.uint8]
    headline: int
    expected_f1: float
    page_type: str | None


def chances(trees: Trees, features: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """What trees say of each column of features (f, n): chances (n,) from 0 to CHANCE."""
    sums = np.empty(features.shape[1], dtype=np.int32)
    sum_trees(features, trees.features, trees.limits, trees.leaves, trees.bias, sums)
    out = np.empty(features.shape[1], dtype=np.int32)
    chances_of(sums, trees.steps, out)
    return out


def both_looks(found: Analysis, first: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Features of the second look (FEATURE_COUNT + SECOND_COUNT, n), from the first trees' chances (n,)."""
    features = np.empty((FEATURE_COUNT + SECOND_COUNT, len(found.blocks)), dtype=np.int32)
    features[:FEATURE_COUNT] = found.features
    build_second(found.elements, found.paths, found.blocks, first, features[FEATURE_COUNT:])
    return features


def headline_of(found: Analysis) -> int:
    """The block that repeats the page's title, -1 if none does."""
    distance = int(found.features[_FROM_HEADLINE, 0]) if len(found.blocks) else _NO_HEADLINE
    return -distance if distance != _NO_HEADLINE else -1


def judge(found: Analysis, model: Model) -> Judgement:
    """Choose a page's main text."""
    kept = np.zeros(len(found.blocks), dtype=np.uint8)
    if not len(kept):
        return Judgement(kept, -1, 0.0, None)
    first = chances(model.first, found.features)
    second = chances(model.second, both_looks(found, first))
    _, expected = choose(found.blocks, second, kept)
    page = np.empty((PAGE_FEATURE_COUNT, 1), dtype=np.int32)
    build_page_features(found.blocks, found.features, kept, page)
    likeliest, page_type = -(1 << 60), None
    for name, trees in zip(PAGE_TYPES, model.types):
        total = np.empty(1, dtype=np.int32)
        sum_trees(page, trees.features, trees.limits, trees.leaves, trees.bias, total)
        if total[0] > likeliest:
            likeliest, page_type = int(total[0]), name
    return Judgement(kept, headline_of(found), int(model.calibration[expected]) / 1000, page_type)
