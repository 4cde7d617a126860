"""Extractors: a page's main text, by our own reader in this process or by trafilatura in its sandbox."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from functools import lru_cache

from pipeline.web import main_text
from pipeline.web.extraction import Extraction, ExtractionFailure
from pipeline.web.page import Page
from pipeline.web.sandbox import EXTRACTOR_VERSION, Limits, Sandbox

# What a page is given as: read, as decoded HTML, with its URL, and with the day of its fetch (YYYY-MM-DD).
Extractor = Callable[[Page, str, str | None, str | None], Extraction | ExtractionFailure]

KAMISUKI, TRAFILATURA = "kamisuki", "trafilatura"


def make_extractor(name: str, limits: Limits, tables: str, ruby: str, headline: str) -> Extractor:
    """The extractor of this name: "kamisuki", which takes the last three, or "trafilatura", which takes `limits`.

    Nothing is started before the first page. Raises ValueError for another name.
    """
    if name == KAMISUKI:
        return kamisuki(tables, ruby, headline)
    if name == TRAFILATURA:
        return trafilatura(limits)
    raise ValueError(f"unknown extractor {name!r}: give {KAMISUKI} or {TRAFILATURA}")


def extractor_version(name: str) -> str:
    """What decides an extractor's texts, the libraries below it aside."""
    return main_text.extractor_name() if name == KAMISUKI else f"{TRAFILATURA} {EXTRACTOR_VERSION}"


def kamisuki(tables: str = "rows", ruby: str = "dropped", headline: str = "kept") -> Extractor:
    """Our own: time and memory grow with the page alone, so that it needs no limits and no process of its own."""

    def extract_page(page: Page, html: str, url: str | None, fetched_on: str | None) -> Extraction | ExtractionFailure:
        found = main_text.extract(page, tables=tables, ruby=ruby, headline=headline)
        if not found.text.strip():
            return ExtractionFailure("no_text", f"capped: {', '.join(sorted(found.capped))}" if found.capped else "")
        return Extraction(
            text=found.text,
            title=None,
            date=None,
            extractor=main_text.extractor_name() + ("" if found.source == "blocks" else f" {found.source}"),
            page_type=found.page_type,
            confidence=found.expected_f1,
            link_ratio=found.link_ratio,
            capped=found.capped,
        )

    return extract_page


def trafilatura(limits: Limits) -> Extractor:
    """Somebody else's: in a child process with limits, one for all extractors of these limits in this process."""

    def extract_page(page: Page, html: str, url: str | None, fetched_on: str | None) -> Extraction | ExtractionFailure:
        return _sandbox(limits).extract(html, url, fetched_on)

    return extract_page


@lru_cache
def _sandbox(limits: Limits) -> Sandbox:
    sandbox = Sandbox(limits)
    atexit.register(sandbox.close)
    return sandbox
