"""Judge: a page's blocks to those that are its main text, by the first trees, or by all where these are not sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.main_text.analysis import Analysis
from pipeline.web.main_text.blocks import LETTERS, LINK_LETTERS
from pipeline.web.main_text.choose import SURE, choose, leave_out_decoration
from pipeline.web.main_text.feature_names import FEATURE_COUNT, FEATURES
from pipeline.web.main_text.model import PAGE_TYPES, Model
from pipeline.web.main_text.page_type import PAGE_FEATURE_COUNT, build_page_features
from pipeline.web.main_text.second_look import build_second
from pipeline.web.main_text.trees import TreeArrays, Trees, TreeSetArrays, chances_of, likeliest, sum_trees

FROM_HEADLINE = FEATURES.index("from_headline_block")
NO_HEADLINE = -10_000


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """kept (n,) is 1 for blocks of main text; headline is the block that repeats the title (-1 none); expected_f1 is
    from 0 to 1, as calibrated; page_type is one of PAGE_TYPES, None for a page without text; link_ratio is the share of
    the main text's letters that stand in links, headline included, None where no block is kept.
    """

    kept: npt.NDArray[np.uint8]
    headline: int
    expected_f1: float
    page_type: str | None
    link_ratio: float | None


def chances(sums: npt.NDArray[np.int32], trees: Trees, found: Analysis) -> npt.NDArray[np.int32]:
    """Chances (n,) from 0 to CHANCE of a page's blocks, by sums (n,) of leaves and the trees' steps; decoration has
    none.
    """
    out = np.empty(len(sums), dtype=np.int32)
    chances_of(sums, trees.steps, out)
    leave_out_decoration(found.source, found.elements, found.texts, found.blocks, out)
    return out


def both_looks(found: Analysis, first: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Features of the second look (FEATURE_COUNT + SECOND_COUNT, n), from the first trees' chances (n,)."""
    looks = found.looks.copy()
    build_second(found.elements, found.paths, found.blocks, first, looks[FEATURE_COUNT:])
    return looks


def headline_of(found: Analysis) -> int:
    """The block that repeats the page's title, -1 if none does."""
    distance = int(found.features[FROM_HEADLINE, 0]) if len(found.blocks) else NO_HEADLINE
    return -distance if distance != NO_HEADLINE else -1


@njit(cache=True, nogil=True)
def judge_arrays(
    source: npt.NDArray[np.uint8],
    elements: npt.NDArray[np.int32],
    texts: npt.NDArray[np.int32],
    paths: npt.NDArray[np.uint64],
    blocks: npt.NDArray[np.int32],
    looks: npt.NDArray[np.int32],
    first: TreeArrays,
    further: TreeArrays,
    second: TreeArrays,
    types: TreeSetArrays,
    calmed: npt.NDArray[np.int32],
    kept: npt.NDArray[np.uint8],
) -> tuple[int, int, int, int]:
    """Set kept (n,) by the first trees, with `calmed` chances; where they are not sure, by a second look at what they
    and further ones say, which fills its part of `looks`. Returns the expected F1 in thousandths, the number of the
    page's type, and of the kept blocks the letters in links and all letters.

    One compiled call: each one more costs microseconds, of which a page's judgement takes a hundred.
    """
    count = blocks.shape[0]
    sums = np.empty(count, dtype=np.int32)
    seen = np.empty(count, dtype=np.int32)
    features = looks[:FEATURE_COUNT]
    columns, limits, leaves, bias, steps = first
    sum_trees(features, columns, limits, leaves, bias, sums)
    chances_of(sums, steps, seen)
    leave_out_decoration(source, elements, texts, blocks, seen)
    _, expected = choose(blocks, seen, kept)
    if expected < SURE:
        columns, limits, leaves, bias, steps = further
        more = np.empty(count, dtype=np.int32)
        sum_trees(features, columns, limits, leaves, bias, more)
        for row in range(count):
            more[row] += sums[row]
        chances_of(more, steps, seen)
        leave_out_decoration(source, elements, texts, blocks, seen)
        build_second(elements, paths, blocks, seen, looks[FEATURE_COUNT:])
        columns, limits, leaves, bias, steps = second
        sum_trees(looks, columns, limits, leaves, bias, sums)
        chances_of(sums, steps, seen)
        leave_out_decoration(source, elements, texts, blocks, seen)
        _, expected = choose(blocks, seen, kept)
    else:
        for row in range(count):
            seen[row] = calmed[seen[row]]
        choose(blocks, seen, kept)
    page = np.empty((PAGE_FEATURE_COUNT, 1), dtype=np.int32)
    build_page_features(blocks, features, kept, page)
    linked = letters = 0
    for row in range(count):
        if kept[row]:
            linked += blocks[row, LINK_LETTERS]
            letters += blocks[row, LETTERS]
    type_columns, type_limits, type_leaves, type_biases = types
    kind = likeliest(page[:, 0], type_columns, type_limits, type_leaves, type_biases)
    return expected, kind, linked, letters


def judge(found: Analysis, model: Model) -> Judgement:
    """Choose a page's main text."""
    kept = np.zeros(len(found.blocks), dtype=np.uint8)
    if not len(kept):
        return Judgement(kept, -1, 0.0, None, None)
    expected, page_type, linked, letters = judge_arrays(
        found.source,
        found.elements,
        found.texts,
        found.paths,
        found.blocks,
        found.looks,
        model.first.arrays,
        model.further.arrays,
        model.second.arrays,
        model.types.arrays,
        model.calmed,
        kept,
    )
    ratio = linked / letters if letters else None
    return Judgement(kept, headline_of(found), int(model.calibration[expected]) / 1000, PAGE_TYPES[page_type], ratio)
