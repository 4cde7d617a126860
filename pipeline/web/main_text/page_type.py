"""Page type: what a page is as a whole (article, forum …), from what its chosen blocks and all blocks are like."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.main_text.blocks import LETTERS
from pipeline.web.main_text.feature_names import FEATURES, SCALE
from pipeline.web.main_text.surroundings import FAR, SURROUNDINGS

# Features of a block that describe its page, and those whose mean over letters does.
_OF_PAGE = tuple(index for index, name in enumerate(FEATURES) if name.startswith("page_"))
_MEAN = tuple(
    FEATURES.index(name)
    for name in (
        "letters",
        "digits",
        "punctuation",
        "symbols",
        "link_share",
        "control_share",
        "strong_share",
        "path_blocks",
        "path_mean_letters",
        "letters_a_sentence",
        "is_prose",
        "copies",
    )
)
_FIRST_SURROUNDING = FEATURES.index(f"{SURROUNDINGS[0]}")
PAGE_FEATURES: tuple[str, ...] = (
    *(FEATURES[index] for index in _OF_PAGE),
    *(f"{which}_{FEATURES[index]}" for which in ("kept", "all") for index in _MEAN),
    *(f"{which}_{name}" for which in ("kept", "all") for name in SURROUNDINGS),
    "kept_blocks",
    "kept_letters",
    "kept_share",
)
PAGE_FEATURE_COUNT = len(PAGE_FEATURES)
_PAGE_COLUMNS, _MEAN_COLUMNS = np.array(_OF_PAGE), np.array(_MEAN)
_SURROUNDING_COUNT = len(SURROUNDINGS)


@njit(cache=True, nogil=True)
def build_page_features(
    blocks: npt.NDArray[np.int32],
    features: npt.NDArray[np.int32],
    kept: npt.NDArray[np.uint8],
    out: npt.NDArray[np.int32],
) -> None:
    """Fill out (PAGE_FEATURE_COUNT, 1) from blocks (n, BLOCK_COLUMNS), n > 0, their features and which were kept."""
    count = blocks.shape[0]
    position = 0
    for column in _PAGE_COLUMNS:
        out[position, 0] = features[column, 0]
        position += 1
    # Letters of each block, and those of the kept ones: both sums of a feature are taken in one go.
    letters = np.empty(count, dtype=np.int64)
    kept_of = np.empty(count, dtype=np.int64)
    kept_letters = all_letters = kept_blocks = 0
    for row in range(count):
        letters[row] = blocks[row, LETTERS]
        kept_of[row] = letters[row] if kept[row] else 0
        all_letters += letters[row]
        kept_letters += kept_of[row]
        kept_blocks += int(kept[row])
    kept_whole, whole = max(kept_letters, 1), max(all_letters, 1)
    for column in _MEAN_COLUMNS:
        of_feature = features[column]
        kept_total = total = np.int64(0)
        for row in range(count):
            kept_total += of_feature[row] * kept_of[row]
            total += of_feature[row] * letters[row]
        out[position, 0] = min(int(kept_total // kept_whole), 1 << 30)
        out[position + len(_MEAN), 0] = min(int(total // whole), 1 << 30)
        position += 1
    position += len(_MEAN)
    for column in range(_SURROUNDING_COUNT):
        of_feature = features[_FIRST_SURROUNDING + column]
        kept_total = total = np.int64(0)
        for row in range(count):
            near = np.int64(of_feature[row] < FAR)
            kept_total += near * kept_of[row]
            total += near * letters[row]
        out[position, 0] = kept_total * SCALE // kept_whole
        out[position + _SURROUNDING_COUNT, 0] = total * SCALE // whole
        position += 1
    position += _SURROUNDING_COUNT
    out[position, 0] = kept_blocks
    out[position + 1, 0] = min(kept_letters, 1 << 30)
    out[position + 2, 0] = kept_letters * SCALE // max(all_letters, 1)
