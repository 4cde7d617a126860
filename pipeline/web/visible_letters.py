"""Visible letters: a bound on the Japanese letters that any main text of a page can have, before blocks are judged."""

from __future__ import annotations

import numpy as np

from filters.characters import character_signals, class_table, count_classes
from filters.text_buffers import code_points
from pipeline.web.page import Page


def most_japanese_letters(page: Page) -> int:
    """No fewer than the signals `japanese_letters` and `swallow_japanese_letters` of any main text of the page.

    Counted is all text but that of scripts and styles, hidden text too: where a page hides most of its text, the main
    text is taken from there. Formulas stand in scripts; a page that has such keeps them.
    """
    text = page.text_outside(("style",) if b"math/" in page.source else ("script", "style"))
    codes = code_points(text)
    counts = character_signals(count_classes(codes, np.array([0, len(codes)]), class_table()))
    return int(max(counts["japanese_letters"][0], counts["swallow_japanese_letters"][0]))
