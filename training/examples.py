"""Examples: labelled pages as the arrays that a model is trained on and scored with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.web.main_text.analysis import Analysis, analyse
from pipeline.web.main_text.blocks import LETTERS
from pipeline.web.main_text.write import block_texts
from pipeline.web.page import Page, read_page
from training.labels import label_blocks
from training.pages import LabelledPage


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled page's blocks: features (FEATURE_COUNT, n), labels (n,) from 0 to 1, letters (n,)."""

    page: LabelledPage
    features: npt.NDArray[np.int32]
    labels: npt.NDArray[np.float32]
    letters: npt.NDArray[np.int32]
    texts: tuple[str, ...]


def make_example(labelled: LabelledPage) -> Example:
    """Read and describe a page as the pipeline does, and label its blocks."""
    page: Page = read_page(labelled.html)
    found: Analysis = analyse(page)
    texts = tuple(block_texts(page, found))
    return Example(labelled, found.features, label_blocks(texts, labelled.gold), found.blocks[:, LETTERS].copy(), texts)
