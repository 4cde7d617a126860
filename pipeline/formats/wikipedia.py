"""Wikipedia: what both of its dumps have in common: the address of a page, and which pages are articles."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from pipeline.formats.rows import BadRow, Row

# What MediaWiki leaves as it is in a path (wfUrlencode), beside letters, digits and -_.~
_SAFE = ";@$!*(),/~:"
# Names of databases by project (https://meta.wikimedia.org/wiki/Help:Database_names): jawiki, zh_yuewiktionary.
_DATABASE = re.compile(r"([a-z_]+?)(wiki|wiktionary|wikibooks|wikinews|wikiquote|wikisource|wikiversity|wikivoyage)")


def page_url(articles: str, title: str) -> str:
    """The address of a page below the address of a wiki's articles, as https://ja.wikipedia.org/wiki/."""
    return articles + quote(title.replace(" ", "_"), safe=_SAFE)


def articles_of_base(base: str | None) -> str | None:
    """The address of a wiki's articles by that of its main page, which a dump's siteinfo has."""
    start, found, _ = (base or "").partition("/wiki/")
    return start + found if found else None


def articles_of_database(wiki: str | None) -> str | None:
    """The address of a wiki's articles by the name of its database, as jawiki; None for a name of another kind."""
    match = _DATABASE.fullmatch(wiki or "")
    if match is None:
        return None
    project = "wikipedia" if match[2] == "wiki" else match[2]
    return f"https://{match[1].replace('_', '-')}.{project}.org/wiki/"


def article(number: int, values: dict[str, Any], redirect: bool) -> Row | BadRow:
    """A page as a row, if it is an article: of namespace 0, and no redirect."""
    known = {"url": values.get("url"), "title": values.get("title")}
    if values.get("namespace") not in (0, "0"):
        return BadRow(number, "not_an_article", f"namespace {values.get('namespace')}", known=known)
    if redirect:
        return BadRow(number, "redirect", known=known)
    return Row(number, values)
