"""One call: from a page's arrays to its main text, in a single compiled function.

What `analyse`, `judge` and `written` do one after the other, whose results are looked at where a model is made. Each
call into compiled code costs microseconds for its arguments and results, and more where the page before has left the
processor's cache to others.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.main_text.analysis import analyse_arrays
from pipeline.web.main_text.judge import FROM_HEADLINE, NO_HEADLINE, judge_arrays
from pipeline.web.main_text.model import PAGE_TYPES, Model
from pipeline.web.main_text.write import RUBY, TABLES, separators, write_blocks
from pipeline.web.page import Page
from pipeline.web.page.reader import rows
from pipeline.web.page.references import room


class MainText(NamedTuple):
    """A page's main text and what is known of it: see Analysis and Judgement, whose fields these are."""

    text: str
    expected_f1: float
    page_type: str | None
    link_ratio: float | None
    capped: bool
    has_json_ld: bool


@njit(cache=True, nogil=True)
def _main_text(
    source: npt.NDArray[np.uint8],
    size: int,
    elements: npt.NDArray[np.int32],
    attributes: npt.NDArray[np.int32],
    texts_as_read: npt.NDArray[np.int32],
    drops_headline: bool,
    table_style: int,
    readings: bool,
    room_for_texts: int,
    *trees: Any,
) -> tuple[npt.NDArray[np.uint8], int, int, int, int, int, bool, bool]:
    """The text as UTF-8 in an array, where it ends there, blocks, expected F1 in thousandths, the page type's number,
    letters in links and all letters, and whether blocks were left out and a script may hold JSON-LD.

    `trees` are the arrays of the model's Trees and of the types' TreeSets, and `calmed`: numba takes arrays one by one
    in less time than in tuples.
    """
    texts, bits, _, paths, blocks, looks, capped, _, has_json_ld = analyse_arrays(
        source, size, elements, attributes, texts_as_read
    )
    count = blocks.shape[0]
    if not count:
        return np.empty(0, dtype=np.uint8), 0, 0, 0, 0, 0, capped, has_json_ld
    kept = np.zeros(count, dtype=np.uint8)
    expected, kind, linked, letters = judge_arrays(
        source,
        elements,
        texts,
        paths,
        blocks,
        looks,
        trees[:5],
        trees[5:10],
        trees[10:15],
        trees[15:19],
        trees[19],
        kept,
    )
    if drops_headline and looks[FROM_HEADLINE, 0] != NO_HEADLINE:
        kept[-looks[FROM_HEADLINE, 0]] = 0
    out = np.empty(
        room_for_texts + separators(count, elements.shape[0], texts.shape[0] if readings else 0), dtype=np.uint8
    )
    ends = np.empty(count, dtype=np.int64)
    end = write_blocks(source, elements, texts, bits, blocks, kept, table_style, readings, out, ends)
    return out, end, expected, kind, linked, letters, capped, has_json_ld


def main_text(page: Page, has_nul: bool, model: Model, tables: str, ruby: str, drops_headline: bool) -> MainText:
    """The main text of a page whose formulas are texts; `has_nul` says whether the page as read held NUL bytes."""
    out, end, expected, kind, linked, letters, capped, has_json_ld = _main_text(
        page.padded,
        len(page.source),
        rows(page.elements),
        rows(page.attributes),
        rows(page.texts),
        drops_headline,
        TABLES.index(tables),
        RUBY.index(ruby) == 1,
        room(len(page.padded), has_nul),
        *model.first.arrays,
        *model.further.arrays,
        *model.second.arrays,
        *model.types.arrays,
        model.calmed,
    )
    if not out.size:
        return MainText("", 0.0, None, None, capped, has_json_ld)
    text = str(out[:end].data, "utf-8", "replace")
    ratio = linked / letters if letters else None
    return MainText(text, int(model.calibration[expected]) / 1000, PAGE_TYPES[kind], ratio, capped, has_json_ld)
