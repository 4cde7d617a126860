"""CirrusSearch dumps of Wikipedia: JSON lines in pairs, an action and the page whose plain text the search index has.

Files: *-cirrussearch-content.json.gz until 2025, *_content-*.json.bz2 of cirrus_search_index since.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.formats.jsonl import read_json_lines
from pipeline.formats.rows import BadRow, Row
from pipeline.formats.wikipedia import article, articles_of_database, page_url

_ACTIONS = ("index", "create")


def read_cirrus_dump(path: str, row_bytes: int) -> Iterator[Row | BadRow]:
    """The articles of a CirrusSearch dump, numbered by the line of the page. An action without its page is a BadRow.

    Fields: title, url, timestamp, page_id, revision_id, namespace, wiki and text, which is one line; tables and
    captions are not in it.
    """
    action: tuple[int, dict[str, Any]] | None = None
    for line in read_json_lines(path, row_bytes):
        if isinstance(line, Row) and (found := _action(line.values)) is not None:
            if action is not None:
                yield BadRow(action[0], "no_text", "an action without its page")
            action = line.number, found
            continue
        yield _page(line, action[1] if action else {}) if isinstance(line, Row) else line
        action = None
    if action is not None:
        yield BadRow(action[0], "no_text", "an action without its page")


def _action(values: dict[str, Any]) -> dict[str, Any] | None:
    if len(values) == 1 and (name := next(iter(values))) in _ACTIONS:
        return values[name] if isinstance(values[name], dict) else {}
    return None


def _page(line: Row, action: dict[str, Any]) -> Row | BadRow:
    page = line.values
    title, wiki = page.get("title"), page.get("wiki")
    articles = articles_of_database(wiki) if isinstance(wiki, str) else None
    values = {
        "text": page.get("text"),
        "title": title,
        "url": page_url(articles, title) if articles and isinstance(title, str) else None,
        "timestamp": page.get("timestamp"),
        "page_id": page.get("page_id", action.get("_id")),
        "revision_id": page.get("version"),
        "namespace": page.get("namespace"),
        "wiki": wiki,
    }
    # Redirects have no page of their own in the index.
    return article(line.number, values, redirect=False)
