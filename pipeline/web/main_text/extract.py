"""Extract: a page's main text, as a reader would copy it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from pipeline.web.main_text.analysis import analyse
from pipeline.web.main_text.judge import judge
from pipeline.web.main_text.model import Model, committed_model
from pipeline.web.main_text.write import written
from pipeline.web.page import Page, read_page

# Raised with every change that can change a text; the model's own digest stands beside it.
RULE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Text:
    """A page's main text, a line a paragraph, heading, list item or row.

    `expected_f1`, from 0 to 1, is how well such choices agreed with people's; `page_type` is one of PAGE_TYPES, None
    where there is no text; `source` is "blocks" or "json-ld"; `capped` names what of the page was too much to read.
    """

    text: str
    expected_f1: float
    page_type: str | None
    source: str
    capped: frozenset[str]


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
    found = analyse(page)
    judged = judge(found, model or committed_model())
    if headline == "dropped" and judged.headline >= 0:
        judged.kept[judged.headline] = 0
    elif headline not in ("kept", "dropped"):
        raise ValueError(f'headline is "kept" or "dropped", not {headline!r}')
    text, _ = written(page, found, judged.kept, tables, ruby)
    capped = page.capped | ({"blocks"} if found.capped else frozenset())
    return Text(text.decode("utf-8", "replace"), judged.expected_f1, judged.page_type, "blocks", capped)
