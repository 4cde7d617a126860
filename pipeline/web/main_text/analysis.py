"""Analysis: a page's blocks with their features, in the arrays that the model and the writer take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.main_text.blocks import BLOCK_COLUMNS, MAX_BLOCKS, find_blocks, settle_hidden
from pipeline.web.main_text.feature_names import FEATURE_COUNT
from pipeline.web.main_text.features import build_features
from pipeline.web.main_text.second_look import SECOND_COUNT
from pipeline.web.main_text.surroundings import DISTANCE_COLUMNS, describe
from pipeline.web.math_markup import show_math
from pipeline.web.page.elements import TAGS, name_code
from pipeline.web.page.reader import Page, has_attribute, rows
from pipeline.web.page.tokenizer import short_code

_SCRIPT, _TYPE_CODE = TAGS["script"], short_code(name_code("type"))


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """Blocks (n, BLOCK_COLUMNS) and features of a page, and what their making needed.

    source is the page's bytes with zeros behind; elements (e, 9) and texts (t, 4) as the reader's; bits (e,), paths
    (e,) and distances (e, DISTANCE_COLUMNS) by element; looks (FEATURE_COUNT + SECOND_COUNT, n) are the features, and
    behind them room for those of the second look, so that nothing is copied;
    `capped` says that blocks were left out, `unhidden` that hidden text was taken for shown by a script, and
    `has_json_ld` that a script may hold JSON-LD.
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
    has_json_ld: bool

    @property
    def features(self) -> npt.NDArray[np.int32]:
        """What is known of each block before it is judged, (FEATURE_COUNT, n)."""
        return self.looks[:FEATURE_COUNT]


@njit(cache=True, nogil=True)
def analyse_arrays(
    source: npt.NDArray[np.uint8],
    size: int,
    elements: npt.NDArray[np.int32],
    attributes: npt.NDArray[np.int32],
    texts_as_read: npt.NDArray[np.int32],
) -> tuple[
    npt.NDArray[np.int32],
    npt.NDArray[np.uint16],
    npt.NDArray[np.uint8],
    npt.NDArray[np.uint64],
    npt.NDArray[np.int32],
    npt.NDArray[np.int32],
    bool,
    bool,
    bool,
]:
    """The fields of an Analysis from texts on; one compiled call, as each one more costs microseconds."""
    count = elements.shape[0]
    distances = np.empty((count, DISTANCE_COLUMNS), dtype=np.uint8)
    bits = np.empty(count, dtype=np.uint16)
    owners = np.empty(count, dtype=np.int32)
    paths = np.empty(count, dtype=np.uint64)
    describe(source, elements, attributes, distances, bits, owners, paths)
    texts = texts_as_read.copy()
    unhidden = settle_hidden(elements, texts, bits, owners)
    room = np.empty((min(MAX_BLOCKS, size), BLOCK_COLUMNS), dtype=np.int32)
    found, capped = find_blocks(source, texts, bits, owners, room)
    blocks = room[:found].copy()
    looks = np.empty((FEATURE_COUNT + SECOND_COUNT, found), dtype=np.int32)
    build_features(source, elements, attributes, texts, distances, paths, blocks, looks[:FEATURE_COUNT])
    has_json_ld = has_attribute(source, elements, attributes, _SCRIPT, _TYPE_CODE, b"type", b"ld+json")
    return texts, bits, distances, paths, blocks, looks, capped, unhidden, has_json_ld


def analyse(page: Page) -> Analysis:
    """Find and describe a page's blocks, formulas among them as TeX. Time and memory grow linearly with the page."""
    page = show_math(page)
    elements = rows(page.elements)
    return Analysis(
        page.padded,
        elements,
        *analyse_arrays(page.padded, len(page.source), elements, rows(page.attributes), rows(page.texts)),
    )
