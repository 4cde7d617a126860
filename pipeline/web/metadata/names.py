"""Names: who wrote a page and whose site it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pipeline.web.metadata.elements import CLASS, LINK, META, class_words, first_of, naming, words_of
from pipeline.web.metadata.lines import MAX_AUTHOR, MAX_SITE_NAME, as_line
from pipeline.web.metadata.shown import Texts
from pipeline.web.page import Page
from pipeline.web.page.elements import TAGS
from pipeline.web.page.stack import END, PARENT, START, TAG
from pipeline.web.structured_data import members, plain_line, types_of

# Names of meta elements, in lower case, in order of trust.
SITES = ("og:site_name", "application-name", "apple-mobile-web-app-title")
AUTHORS = (
    "author",
    "article:author",
    "citation_author",
    "parsely-author",
    "cxenseparse:author",
    "dc.creator",
    "dcterms.creator",
    "sailthru.author",
)

_BYLINE = re.compile(
    r"\s*(?:(?:(?:posted|written)\s+)?by|author|writer)(?:\s?[:：]\s?|\s+)|"
    r"\s*(?:取材・文|文・写真|(?:この)?記事を書いた人|書いた人|文|著者?|執筆者?|筆者|作者|投稿者|ライター)(?:\s*[:：／/・=＝|｜]\s*|\s+)",
    re.IGNORECASE,
)
_NO_BYLINE = re.compile(r"[。：:]|\d{4}\s?[年/.-]|\d+\s?件")
_BYLINE_ALONE = re.compile(r"\s*(?:by|author|著者|文|執筆者?|投稿者|この記事を書いた人)?\s*[:：]?\s*", re.IGNORECASE)
_NO_NAME = re.compile(r"https?:|www\.|\A[@/]|\.html?\b|\A(?:by|author|著者|文|この記事を書いた人)\Z", re.IGNORECASE)
_AUTHOR_CLASSES = frozenset(("author", "authors", "byline"))
_NOT_AUTHOR = frozenset(
    "avatar image img thumb thumbnail icon photo picture description desc bio box profile comment comments sns social "
    "count archive archives about title heading label more page url website date time related list widget".split()
)

Objects = tuple[dict[str, Any], ...]


def names_in(value: Any, objects: Objects) -> list[str]:
    """The names of a property's persons or organisations, which may stand elsewhere in the page's objects by @id."""
    found: list[str] = []
    for item in members(value)[:20]:
        if isinstance(item, dict) and "name" not in item and isinstance(item.get("@id"), str):
            item = next((other for other in objects if other.get("@id") == item["@id"] and "name" in other), item)
        named = members(item.get("name")) if isinstance(item, dict) else [item]
        found.extend(name for name in map(plain_line, named[:20]) if name)
    return found


def site_names_of(meta: dict[str, list[str]], objects: Objects, article: dict[str, Any]) -> list[str]:
    """The names that a page gives its site: og:site_name, JSON-LD's WebSite and publisher, application-name."""
    names = list(first_of(meta, SITES[:1]))
    for value in objects:
        if "WebSite" in types_of(value):
            names += names_in(value, objects)
    names += names_in(article.get("publisher"), objects)
    names += first_of(meta, SITES[1:])
    return [name for name in (as_line(name, MAX_SITE_NAME) for name in names) if name]


def _without_byline(line: str) -> str:
    byline = _BYLINE.match(line)
    return line[byline.end() :] if byline else line


def join_authors(values: Iterable[str]) -> str | None:
    """Names joined by ", ", each once, as many as MAX_AUTHOR has room for."""
    found: list[str] = []
    for value in values:
        for name in re.split("[、，,;；]", _without_byline(as_line(value, 4 * MAX_AUTHOR) or "")):
            name = name.strip()
            if not name or _NO_NAME.search(name) or name in found:
                continue
            if len(", ".join((*found, name))) > MAX_AUTHOR:
                return ", ".join(found) or None
            found.append(name)
    return ", ".join(found) or None


def shown_authors(page: Page, texts: Texts) -> Iterator[str]:
    """Short texts, or contents, of elements whose rel, itemprop or class says that they name the author."""
    for element, index in naming(page, b"author", b"byline"):
        row = page.elements[element].tolist()
        if row[END] - row[START] > 2_000 or row[TAG] in (META, LINK, TAGS["img"]):
            continue
        _, _, start, end, code, _ = page.attributes[index].tolist()
        words = words_of(page.source[start : min(end, start + 200)].decode("utf-8", "ignore"))
        if code == CLASS and (not words & _AUTHOR_CLASSES or words & _NOT_AUTHOR):
            continue
        if class_words(page, row[PARENT], 3, texts.words) & {"comment", "comments"}:
            continue
        written = page.attribute(element, "content") or texts.within(element)
        first = next((line for line in written.splitlines() if not _BYLINE_ALONE.fullmatch(line)), "")
        text = as_line(first, MAX_AUTHOR)
        if text and len(text) <= 40 and not _NO_BYLINE.search(_without_byline(text)):
            yield text
