"""Extraction: what an extractor makes of a page, or why it makes nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extraction:
    """A page's main text. `extractor` says with versions what gave the text.

    `title` and `date` (of publication, YYYY-MM-DD) are trafilatura's. `page_type`, one of
    pipeline.web.main_text.PAGE_TYPES, `confidence`, the expected F1 from 0 to 1, `link_ratio`, the share of the text's
    letters that stand in links, and `capped`, the names of what of the page was too much to read, are Kamisuki's.
    """

    text: str
    title: str | None
    date: str | None
    extractor: str
    page_type: str | None = None
    confidence: float | None = None
    link_ratio: float | None = None
    capped: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ExtractionFailure:
    """Why a page gave no text.

    `reason` is one of extraction_cpu_limit, extraction_memory_limit, extraction_wall_limit, extractor_crashed,
    extractor_error, no_text.
    """

    reason: str
    detail: str
