"""Examples: labelled pages as the arrays that a model is trained on and scored with."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
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
    """A labelled page's blocks: features (FEATURE_COUNT, n), labels (n,) from 0 to 1, letters (n,), their texts."""

    page: LabelledPage
    features: npt.NDArray[np.int32]
    labels: npt.NDArray[np.float32]
    letters: npt.NDArray[np.int32]
    texts: tuple[str, ...]
    found: Analysis


def make_example(labelled: LabelledPage) -> Example:
    """Read and describe a page as the pipeline does, and label its blocks."""
    page: Page = read_page(labelled.html)
    found: Analysis = analyse(page)
    texts = tuple(block_texts(page, found))
    return Example(
        labelled, found.features, label_blocks(texts, labelled.gold), found.blocks[:, LETTERS].copy(), texts, found
    )


def make_examples(pages: Sequence[LabelledPage], workers: int = 2) -> list[Example]:
    """Examples of pages, in their order, made in a few processes."""
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(make_example, pages, chunksize=20))
