"""Titles: the page's own, without the site's name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from pipeline.web.metadata.elements import TITLE, Elements, first_of
from pipeline.web.metadata.lines import MAX_TITLE, as_key, as_line
from pipeline.web.page import Page
from pipeline.web.page.references import resolve_references
from pipeline.web.structured_data import raw_text

# Names of meta elements, in lower case, in order of trust.
TITLES = ("citation_title", "dc.title", "dcterms.title", "parsely-title", "sailthru.title", "twitter:title")
_SEPARATOR = re.compile(r"\s*[|｜:：»«≫/／•]\s*|\s*[-–—―－−]+\s*")


def _without_site(title: str, sites: set[str]) -> str:
    """A title without the site's name before the first or behind the last separators, where it stands alone there."""
    key = as_key(title)
    if not any(site in key for site in sites):
        return title
    for _ in range(2):
        # Names hold separators too, so that more than the outermost are tried.
        separators = list(_SEPARATOR.finditer(title))
        for match in separators[-4:]:
            if match.start() > 0 and as_key(title[match.end() :]) in sites:
                title = title[: match.start()]
                break
        else:
            for match in separators[:4]:
                if match.end() < len(title) and as_key(title[: match.start()]) in sites:
                    title = title[match.end() :]
                    break
            else:
                return title
    return title


def _title_element(page: Page, elements: Elements) -> str | None:
    for element, _ in elements.get(TITLE, ())[:1]:
        text = raw_text(page, element, 8_000)
        return as_line(resolve_references(text, False) if b"&" in text else text.decode("utf-8", "replace"), MAX_TITLE)
    return None


def choose_title(
    page: Page, elements: Elements, meta: dict[str, list[str]], named: Sequence[str | None], sites: set[str]
) -> str | None:
    """The first title that is not the site's name alone, from og:title, JSON-LD, other meta elements, title."""
    sources: tuple[Callable[[], Iterable[str | None]], ...] = (
        lambda: first_of(meta, ("og:title",)),
        lambda: named,
        lambda: first_of(meta, TITLES),
        lambda: (_title_element(page, elements),),
    )
    fallback = None
    for source in sources:
        for written in source():
            line = as_line(written, MAX_TITLE) if written else None
            if line:
                title = _without_site(line, sites)
                if as_key(title) not in sites:
                    return title
                fallback = fallback or title
    return fallback
