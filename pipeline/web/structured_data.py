"""Structured data: the JSON-LD objects that a page holds, and the article among them with its text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.web.page import Page, read_page
from pipeline.web.page.references import resolve_references

# What no page written for readers or search engines comes near; they bound time and memory on those that are not.
MAX_SCRIPTS = 50
MAX_SCRIPT_BYTES = 2_000_000
MAX_OBJECTS = 500
# Python's decoder recurses: how deep it can go depends on its version and on who calls, this does not.
MAX_DEPTH = 64
_MAX_ANSWERS = 500

_SURROGATES = re.compile("[\ud800-\udfff]")
_STRING = r'"(?:[^"\\]++|\\.)*+"?'
_BRACKETS = re.compile(rf"{_STRING}|[\[{{\]}}]", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"({_STRING})|,(?=\s*+[\]}}])", re.DOTALL)
_BETWEEN = re.compile(r"[\s;,\ufeff]*+")
# XHTML's CDATA and old browsers' comments round a script's text, each perhaps in a comment of JavaScript.
_WRAPPING_START = re.compile(r"(?:[\s\ufeff]|//(?=\s*+<!)|/\*(?=\s*+<!)|<!\[CDATA\[(?:\s*+\*/)?|<!--)*+")
_WRAPPING_END = re.compile(r"(?:/[/*]\s*)?\]\]>(?:\s*\*/)?\s*\Z|(?://\s*)?-->\s*\Z")
_DECODER = json.JSONDecoder(strict=False)

# Names of HTML's elements that stand in articles: other "<...>" is the text's own.
_TAG = re.compile(
    r"</?(?:p|br|div|span|a|b|i|u|em|strong|h[1-6]|ul|ol|li|dl|dt|dd|table|tr|t[dh]|img|figure|figcaption|blockquote|"
    r"section|small|font|hr|pre|code|sup|sub|iframe|script|style)(?:\s[^<>]{0,2000})?/?>",
    re.IGNORECASE,
)
_SPACES = re.compile(r"[^\S\u3000]+")

# https://schema.org/Article and its subtypes, and the post.
_ARTICLES = frozenset(
    (
        "Article",
        "NewsArticle",
        "BlogPosting",
        "TechArticle",
        "ScholarlyArticle",
        "MedicalScholarlyArticle",
        "Report",
        "SocialMediaPosting",
        "LiveBlogPosting",
        "APIReference",
        "AdvertiserContentArticle",
        "SatiricalArticle",
        "AnalysisNewsArticle",
        "AskPublicNewsArticle",
        "BackgroundNewsArticle",
        "OpinionNewsArticle",
        "ReportageNewsArticle",
        "ReviewNewsArticle",
    )
)
_THREADS = frozenset(("Question", "DiscussionForumPosting"))
# What a page may be about if not an article, the nearest to one first.
_OTHERS = ("Recipe", "HowTo", "Review", "Product", "Event", "JobPosting", "Course", "Book", "CreativeWork")
_PAGES = frozenset(("WebPage", "ItemPage", "QAPage", "FAQPage", "AboutPage", "CollectionPage", "MedicalWebPage"))


@dataclass(frozen=True, slots=True)
class StructuredText:
    """An article's headline, and its text as lines joined by LF, without tags and without empty lines."""

    headline: str | None
    text: str


def raw_text(page: Page, element: int, most: int) -> bytes:
    """The bytes between the tags of an element that holds nothing but text (script, title), at most so many."""
    row = page.elements[element]
    start, end = int(row["content"]), int(row["end"])
    closing = page.source.rfind(b"</", start, end)
    if closing >= 0 and page.source[closing + 2 : end].lower().startswith(page.name(element).encode("utf-8")):
        end = closing
    return page.source[start : min(end, start + most)]


def _is_shallow(text: str) -> bool:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return True
    depth = 0
    for match in _BRACKETS.finditer(text):
        if match[0] in ("[", "{"):
            depth += 1
            if depth > MAX_DEPTH:
                return False
        elif match[0] in ("]", "}"):
            depth -= 1
    return True


def _values(text: str) -> Iterator[Any]:
    """The JSON values that stand one behind the other, up to the first that is none."""
    position = 0
    for _ in range(MAX_OBJECTS):
        match = _BETWEEN.match(text, position)
        position = match.end() if match else position
        if position == len(text):
            return
        try:
            value, position = _DECODER.raw_decode(text, position)
        except ValueError:
            # Whoever asks sees that nothing more came: a page's mistake is no news.
            return
        yield value


def _decoded(text: str) -> list[Any]:
    """A script's JSON values, the commonest mistakes mended; none where it is no JSON or nested too deep."""
    start = _WRAPPING_START.match(text)
    text = text[start.end() if start else 0 :].rstrip("; \t\r\n")
    # Searched in the tail alone: the pattern may match anywhere before it is seen not to stand at the end.
    text = text[:-60] + _WRAPPING_END.sub("", text[-60:])
    if not _is_shallow(text):
        return []
    values = list(_values(text))
    if not values and "," in text:
        mended = _TRAILING_COMMA.sub(lambda match: match[1] or "", text)
        values = list(_values(mended))
    if not values and "&quot;" in text:
        resolved = resolve_references(text.encode("utf-8", "replace"), False)
        values = list(_values(resolved)) if _is_shallow(resolved) else []
    return values


def read_structured_data(page: Page) -> tuple[dict[str, Any], ...]:
    """The JSON-LD objects of a page in its order, members of lists and of @graph each for itself.

    Taken are scripts of type application/ld+json, with or without parameters. Mended are comments and CDATA round
    them, raw control characters in strings, several values in one script, trailing commas and semicolons, and quotes
    written as &quot;; what is no JSON then, or is nested deeper than MAX_DEPTH, is left out. At most MAX_SCRIPTS of
    MAX_SCRIPT_BYTES are read and MAX_OBJECTS returned. Never raises.
    """
    found: list[dict[str, Any]] = []
    scripts = 0
    for element, kind in page.values("script", "type", "ld+json"):
        if kind.partition(";")[0].strip().lower() != "application/ld+json":
            continue
        scripts += 1
        if scripts > MAX_SCRIPTS:
            break
        text = raw_text(page, element, MAX_SCRIPT_BYTES).decode("utf-8", "replace")
        # Nested no deeper than MAX_DEPTH, so that this ends; reversed, as the last is taken first.
        waiting = _decoded(text)[::-1]
        while waiting and len(found) < MAX_OBJECTS:
            value = waiting.pop()
            if isinstance(value, list):
                waiting.extend(value[MAX_OBJECTS::-1])
            elif isinstance(value, dict):
                if not set(value) <= {"@context", "@graph", "@id"}:
                    found.append(value)
                waiting.append(value.get("@graph"))
    return tuple(found)


def types_of(value: dict[str, Any]) -> frozenset[str]:
    """An object's types without their vocabulary: "NewsArticle" of "https://schema.org/NewsArticle"."""
    written = value.get("@type")
    names = written[:20] if isinstance(written, list) else [written]
    return frozenset(re.split("[/:#]", name)[-1] for name in names if isinstance(name, str))


def members(value: Any) -> list[Any]:
    """A property's values, of which JSON-LD may write a single one without a list."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _candidates(objects: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    """The objects, and behind each page or other work what it is mainly about."""
    found: list[dict[str, Any]] = []
    for value in objects:
        found.append(value)
        found.extend(item for item in members(value.get("mainEntity"))[:1] if isinstance(item, dict))
    return found


def article_of(objects: tuple[dict[str, Any], ...]) -> dict[str, Any] | None:
    """The object that a page is about: its first article or post, else question or thread, else another work.

    What a QAPage, a WebPage or the like names as its mainEntity counts as an object too.
    """
    candidates = [(types_of(value), value) for value in _candidates(objects)]
    for wanted in (_ARTICLES, _THREADS, *({name} for name in _OTHERS)):
        for types, value in candidates:
            if types & wanted:
                return value
    return None


def page_of(objects: tuple[dict[str, Any], ...]) -> dict[str, Any] | None:
    """The first object that stands for the page itself (WebPage and its kinds)."""
    return next((value for value in objects if types_of(value) & _PAGES), None)


def plain_line(value: Any) -> str | None:
    """A string of JSON-LD as one line: references resolved, white space collapsed; None of what is none, or empty."""
    if not isinstance(value, str):
        return None
    text = _SURROGATES.sub("\ufffd", value)
    if "&" in text:
        text = resolve_references(text.encode("utf-8"), False)
    return _SPACES.sub(" ", text).strip() or None


def _lines(value: Any) -> list[str]:
    """A body's lines: those that it has, and those that its tags make."""
    if not isinstance(value, str):
        return []
    text = _SURROGATES.sub("\ufffd", value)
    # A body may be HTML, or HTML escaped once more.
    for _ in range(2):
        if _TAG.search(text):
            text = read_page(text).visible_text()
        elif "&" in text:
            text = resolve_references(text.encode("utf-8"), False)
    lines = (_SPACES.sub(" ", line).strip() for line in text.splitlines())
    return [line for line in lines if line]


def _body(value: dict[str, Any]) -> list[str]:
    lines = _lines(value.get("articleBody"))
    if types_of(value) & _THREADS:
        lines = lines or _lines(value.get("text"))
        replies = (*members(value.get("acceptedAnswer")), *members(value.get("suggestedAnswer")))
        for reply in (*replies, *members(value.get("comment")))[:_MAX_ANSWERS]:
            if isinstance(reply, dict):
                lines += _lines(reply.get("text"))
    return lines


def article_body(objects: tuple[dict[str, Any], ...]) -> StructuredText | None:
    """Headline and text of what a page is about; None where its JSON-LD does not hold the text.

    The text is articleBody, of questions and threads also their text and that of answers and comments. Where the
    article has none, the first object that has one is taken.
    """
    article = article_of(objects)
    for value in (*([article] if article else []), *_candidates(objects)):
        lines = _body(value)
        if lines:
            headline = plain_line(value.get("headline")) or plain_line(value.get("name"))
            return StructuredText(headline, "\n".join(lines))
    return None
