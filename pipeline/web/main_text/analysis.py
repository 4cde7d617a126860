"""Analysis: a page's blocks with their features, in the arrays that the model and the writer take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.web.main_text.blocks import BLOCK_COLUMNS, MAX_BLOCKS, find_blocks, settle_hidden
from pipeline.web.main_text.features import FEATURE_COUNT, build_features
from pipeline.web.main_text.second_look import SECOND_COUNT
from pipeline.web.main_text.surroundings import DISTANCE_COLUMNS, describe
from pipeline.web.math_markup import show_math
from pipeline.web.page.reader import Page, rows


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """Blocks (n, BLOCK_COLUMNS) and features of a page, and what their making needed.

    source is the page's bytes with zeros behind; elements (e, 9) and texts (t, 4) as the reader's; bits (e,), paths
    (e,) and distances (e, DISTANCE_COLUMNS) by element; looks (FEATURE_COUNT + SECOND_COUNT, n) are the features, and
    behind them room for those of the second look, so that nothing is copied;
    `capped` says that blocks were left out, `unhidden` that hidden text was taken for shown by a script.
    """

    source: npt.NDArray[np.uint8]
    elements: npt.NDArray[np.int32]
    texts: npt.NDArray[np.int32]
    bits: npt.NDArray[np.uint16]
    distances: npt.NDArray[np.uint8]
    paths: npt.NDArray[np.uint64]
    blocks: npt.NDArray[np.int32]
    looks: npt.NDArray[np.int32]
    capped: bool
    unhidden: bool

    @property
    def features(self) -> npt.NDArray[np.int32]:
        """What is known of each block before it is judged, (FEATURE_COUNT, n)."""
        return self.looks[:FEATURE_COUNT]


def analyse(page: Page) -> Analysis:
    """Find and describe a page's blocks, formulas among them as TeX. Time and memory grow linearly with the page."""
    page = show_math(page)
    source, elements, attributes = page.padded, rows(page.elements), rows(page.attributes)
    count = elements.shape[0]
    distances = np.empty((count, DISTANCE_COLUMNS), dtype=np.uint8)
    bits = np.empty(count, dtype=np.uint16)
    owners = np.empty(count, dtype=np.int32)
    paths = np.empty(count, dtype=np.uint64)
    describe(source, elements, attributes, distances, bits, owners, paths)
    texts = rows(page.texts).copy()
    unhidden = settle_hidden(elements, texts, bits, owners)
    blocks = np.empty((min(MAX_BLOCKS, len(page.source)), BLOCK_COLUMNS), dtype=np.int32)
    found, capped = find_blocks(source, texts, bits, owners, blocks)
    blocks = blocks[:found].copy()
    looks = np.empty((FEATURE_COUNT + SECOND_COUNT, found), dtype=np.int32)
    build_features(source, elements, attributes, texts, distances, paths, blocks, looks[:FEATURE_COUNT])
    return Analysis(source, elements, texts, bits, distances, paths, blocks, looks, capped, unhidden)
