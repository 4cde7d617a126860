"""Extract: a page's main text, as a reader would copy it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from pipeline.web.main_text.model import Model, committed_model
from pipeline.web.main_text.one_call import main_text
from pipeline.web.math_markup import show_math
from pipeline.web.page import Page, read_page
from pipeline.web.structured_data import article_body, read_structured_data

# Raised with every change that can change a text; the model's own digest stands beside it.
RULE_VERSION = 5


@dataclass(frozen=True, slots=True)
class Text:
    """A page's main text, a line a paragraph, heading, list item or row.

    `expected_f1`, from 0 to 1, is how well such choices agreed with people's, None for what is not of blocks;
    `page_type` is one of PAGE_TYPES, None where there is no text; `source` is "blocks" or "json-ld"; `capped` names
    what of the page was too much to read; `link_ratio` is the share of the chosen blocks' letters that stand in links.
    """

    text: str
    expected_f1: float | None
    page_type: str | None
    source: str
    capped: frozenset[str]
    link_ratio: float | None = None


# A page's own text counts as missing where it has less than this part of what its JSON-LD holds, whose beginning it
# does not show.
_SHOWN_PARTS, _TOLD_PARTS = 3, 2
_BEGINNING = 30


def _letters(text: str) -> str:
    return "".join(text.split())


def told_only(page: Page, text: str) -> str | None:
    """The text of an article that a page does not show but tells of in JSON-LD; None for other pages."""
    if b"articleBody" not in page.source:
        return None
    article = article_body(read_structured_data(page))
    if article is None:
        return None
    told = _letters(article.text)
    if len(_letters(text)) * _SHOWN_PARTS >= len(told) * _TOLD_PARTS:
        return None
    if told[:_BEGINNING] in _letters(page.visible_text()):
        return None
    return "\n".join(line for line in (article.headline, article.text) if line)


@lru_cache(maxsize=1)
def extractor_name() -> str:
    """The extractor with the version of its rules and its model's digest, as the documents table has it."""
    return f"kamisuki {RULE_VERSION} {committed_model().digest}"


def extract(
    html: str | bytes | Page,
    *,
    tables: str = "rows",
    ruby: str = "dropped",
    headline: str = "kept",
    model: Model | None = None,
) -> Text:
    """The main text of a page: its HTML, decoded or in UTF-8, or a Page that was read before.

    tables are written as "rows" (cells parted by tabs), as "markdown", or "dropped"; readings of ruby are "dropped" or
    put in "parentheses"; the page's headline is "kept" where the text begins with it, or "dropped". Never fails on a
    page's content: a page without text gives an empty one. Raises ValueError for another setting.
    """
    page = html if isinstance(html, Page) else read_page(html)
    if headline not in ("kept", "dropped"):
        raise ValueError(f'headline is "kept" or "dropped", not {headline!r}')
    has_nul = b"\0" in page.source
    found = main_text(show_math(page), has_nul, model or committed_model(), tables, ruby, headline == "dropped")
    capped = page.capped | ({"blocks"} if found.capped else frozenset())
    # Most pages have no such script, which is quicker to see than that no letter of theirs begins a word.
    told = told_only(page, found.text) if found.has_json_ld else None
    if told is not None:
        return Text(told, None, "article", "json-ld", capped)
    return Text(found.text, found.expected_f1, found.page_type, "blocks", capped, found.link_ratio)
