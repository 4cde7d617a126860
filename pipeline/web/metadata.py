"""Metadata: what a page says of itself: title, author, site, dates, description, its own URL and its language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.page import Page
from pipeline.web.page.elements import TAG_NAMES, TAGS, name_code
from pipeline.web.page.references import resolve_references
from pipeline.web.page.stack import (
    END,
    FIRST_ATTRIBUTE,
    FLAGS,
    FOREIGN,
    IN_TEMPLATE,
    LAST_ATTRIBUTE,
    PARENT,
    START,
    TAG,
)
from pipeline.web.page.tokenizer import BLANK, CODE, REFERENCES, VALUE_END, VALUE_START, short_code
from pipeline.web.page.tree import TEXT_END, TEXT_FLAGS, TEXT_HIDDEN, TEXT_IN_TEMPLATE, TEXT_START
from pipeline.web.structured_data import (
    article_of,
    members,
    page_of,
    plain_line,
    raw_text,
    read_structured_data,
    types_of,
)
from pipeline.web.urls import host

EARLIEST = date(1990, 1, 1)
# Where the day of the fetch is not known: no clock is asked.
LATEST = date(2100, 1, 1)
MAX_TITLE, MAX_SITE_NAME, MAX_AUTHOR, MAX_DESCRIPTION, MAX_URL = 500, 200, 200, 1_000, 2_000
# BCP 47, 4.4.1: the longest tag that is well-formed without extensions.
MAX_LANGUAGE = 35

# Names of meta elements, in lower case, in order of trust: Open Graph, Google Scholar, Dublin Core, Parse.ly, Cxense,
# Sailthru, microdata's itemprop, and those of no vocabulary.
_TITLES = ("citation_title", "dc.title", "dcterms.title", "parsely-title", "sailthru.title", "twitter:title")
_SITES = ("og:site_name", "application-name", "apple-mobile-web-app-title")
_AUTHORS = (
    "author",
    "article:author",
    "citation_author",
    "parsely-author",
    "cxenseparse:author",
    "dc.creator",
    "dcterms.creator",
    "sailthru.author",
)
_PUBLISHED = (
    "article:published_time",
    "og:article:published_time",
    "og:published_time",
    "datepublished",
    "parsely-pub-date",
    "cxenseparse:publishtime",
    "cxenseparse:recs:publishtime",
    "sailthru.date",
    "citation_online_date",
    "citation_publication_date",
    "citation_date",
    "dcterms.issued",
    "dc.date.issued",
    "dcterms.created",
    "dc.date.created",
    "dc.date",
    "dcterms.date",
    "pubdate",
    "publishdate",
    "publish_date",
    "publish-date",
    "release_date",
    "date",
)
_MODIFIED = (
    "article:modified_time",
    "og:article:modified_time",
    "og:updated_time",
    "datemodified",
    "dcterms.modified",
    "dc.date.modified",
    "last-modified",
    "lastmod",
    "revised",
)
_DESCRIPTIONS = ("description", "og:description")

_META, _LINK, _TIME, _ABBR, _TITLE, _BASE, _HTML, _H1, _H2, _H3 = (
    TAGS[name] for name in ("meta", "link", "time", "abbr", "title", "base", "html", "h1", "h2", "h3")
)
# More attributes of such elements, or longer values, are not looked at.
_MOST_ATTRIBUTES, _LONGEST_VALUE = 20_000, 4_000
_IS_WANTED = np.zeros(len(TAG_NAMES), dtype=np.bool_)
_IS_WANTED[[_META, _LINK, _TIME, _ABBR, _TITLE, _BASE, _HTML, _H1, _H2, _H3]] = True
# Of meta elements, then of the others; no name in use shares a code with one of these.
_ATTRIBUTES = (
    *("content", "property", "name", "itemprop", "value"),
    *("rel", "href", "datetime", "title", "class", "pubdate", "lang", "xml:lang"),
)
_CODES = np.array([short_code(name_code(name)) for name in _ATTRIBUTES], dtype=np.int32)
_CLASS, _REL, _ITEMPROP = (short_code(name_code(name)) for name in ("class", "rel", "itemprop"))
_SPACES = re.compile(r"[^\S\u3000]+")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")


# By tag: (element, its attributes of those that are looked at).
_Elements = dict[int, list[tuple[int, dict[str, str]]]]


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a page says of itself; None where it says nothing that can be trusted.

    title (without the site's name), author (names joined by ", "), site_name, description: the page's own letters on
    one line; published_at and modified_at: days as the page writes them, in its own time zone; canonical_url: absolute,
    http or https; declared_language: as written.
    """

    title: str | None
    author: str | None
    site_name: str | None
    published_at: date | None
    modified_at: date | None
    description: str | None
    canonical_url: str | None
    declared_language: str | None


def _line(text: str, most: int) -> str | None:
    """A text on one line without control characters, cut to so many characters; None where nothing is left."""
    # Cut before, as a value may be the whole page.
    text = _CONTROLS.sub("", text[: 4 * most])
    return _SPACES.sub(" ", text).strip()[:most].rstrip() or None


def _key(text: str) -> str:
    """The form in which two names or titles compare equal."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


# Dates ---------------------------------------------------------------------------------------------------------------

# The year before the first of each era since 1868.
_ERAS = {"明治": 1867, "大正": 1911, "昭和": 1925, "平成": 1988, "令和": 2018}
_KANJI_DIGITS = {letter: value for value, letter in enumerate("〇一二三四五六七八九")} | {"零": 0, "○": 0, "◯": 0}
_KANJI_UNITS = {"十": 10, "百": 100, "千": 1000}
_FULL_WIDTH = str.maketrans("０１２３４５６７８９／．－：　", "0123456789/.-: ")
_IS_FULL_WIDTH = re.compile("[０-９／．－：　]")
_NUMBER = r"(\d{1,4}|[〇○◯零一二三四五六七八九十百千]{1,9}|元)"
_ASIDE = r"(?:\s?[（(][^（()）]{1,12}[)）])?"
_JAPANESE = re.compile(
    rf"(明治|大正|昭和|平成|令和)?\s?{_NUMBER}{_ASIDE}\s?年{_ASIDE}\s?{_NUMBER}\s?月\s?{_NUMBER}\s?日(?!間)"
)
_NUMERIC = re.compile(r"(?<![\d./-])((?:19|20)\d\d)\s?([-/.])\s?(\d{1,2})\s?\2\s?(\d{1,2})(?!\d|[./-]\d)")
_COMPACT = re.compile(r"\s*((?:19|20)\d\d)(\d\d)(\d\d)(?=T|\D|\Z|(?:\d{4}|\d{6})\Z)")
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_ENGLISH = re.compile(rf"\b(?:{_MONTH}\s(\d{{1,2}})(?:st|nd|rd|th)?,?\s|(\d{{1,2}})\s{_MONTH},?\s)(\d{{4}})\b", re.I)


def _number(text: str) -> int:
    """A number in digits of any kind, in kanji with or without 十百千, or 元 for 1."""
    if text == "元":
        return 1
    if text.isdigit():
        return int(text)
    if not any(letter in _KANJI_UNITS for letter in text):
        return int("".join(str(_KANJI_DIGITS[letter]) for letter in text))
    total = digit = 0
    for letter in text:
        if letter in _KANJI_UNITS:
            total += max(digit, 1) * _KANJI_UNITS[letter]
            digit = 0
        else:
            digit = _KANJI_DIGITS[letter]
    return total + digit


def _day(year: int, month: int, day: int) -> date | None:
    if not (1 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= 31):
        return None
    # The last days of a month that has fewer.
    first = date(year, month, 1)
    return date(year, month, day) if day <= 28 or (first + timedelta(days=day - 1)).month == month else None


def _narrow(text: str) -> str:
    """A text with the digits and marks of dates in ASCII, letter for letter."""
    return text.translate(_FULL_WIDTH) if _IS_FULL_WIDTH.search(text) else text


def _dates_in(text: str) -> list[tuple[int, int, date]]:
    """(start, end, day) of the dates in a narrow text that can be read in one way only, with year, month and day."""
    found = []
    for match in _JAPANESE.finditer(text) if "年" in text else ():
        era, year, month, day = match[1], _number(match[2]), _number(match[3]), _number(match[4])
        if era or year >= 1000:
            found.append((match.start(), match.end(), _day(year + _ERAS.get(era, 0), month, day)))
    for match in _NUMERIC.finditer(text):
        found.append((match.start(), match.end(), _day(int(match[1]), int(match[3]), int(match[4]))))
    return sorted((start, end, day) for start, end, day in found if day is not None)


def read_date(text: str) -> date | None:
    """The first day that a text names, of whatever time zone; None where none can be read in one way only.

    Read are ISO 8601 (2024-05-13T10:00:00+09:00, 20240513), 2024/5/13, 2024.5.13, 2024年5月13日, 令和6年5月13日, also
    with 元年, full-width digits and kanji numerals, and English with the month's name; not 03/04/2024 nor 5月13日.
    Only the first 100 characters are looked at.
    """
    text = _narrow(text[:100])
    match = _COMPACT.match(text)
    if match:
        return _day(int(match[1]), int(match[2]), int(match[3]))
    found = _dates_in(text)
    if found:
        return found[0][2]
    match = _ENGLISH.search(text)
    if match is None:
        return None
    month = _MONTHS.index((match[1] or match[4]).lower()) + 1
    return _day(int(match[5]), month, int(match[2] or match[3]))


def _url_date(url: str) -> date | None:
    """The day in a URL's path, as in /2024/05/13/, /2024-05-13-title or /20240513.html."""
    path = re.split("[?#]", url[:MAX_URL], maxsplit=1)[0]
    match = re.search(r"/((?:19|20)\d\d)([/-]?)(\d{2})\2(\d{2})(?=[/._-]|\Z)", path) or re.search(
        r"/((?:19|20)\d\d)(/)(\d)/(\d{1,2})(?=[/._-]|\Z)", path
    )
    return _day(int(match[1]), int(match[3]), int(match[4])) if match else None


# What stands on the page ---------------------------------------------------------------------------------------------

# Byline and date are short texts: longer ones are prose, in which a date is that of something else.
_LONGEST_LABEL = 240
_LONGEST_DATED = 60
_MOST_DATES = 16
# How far from the headline its date stands, in bytes of the page before its start and behind its end.
_BEFORE_HEADLINE, _BEHIND_HEADLINE = 3_000, 6_000
_MOST_HEADINGS = 8
_MODIFIED_WORD = r"更新|改訂|改定|修正|変更|updated|modified"
_PUBLISHED_WORD = r"公開|投稿|掲載|配信|発行|発表|作成|日付|日時|初出|posted|published|date"
_LABEL = re.compile(
    rf"(?:({_MODIFIED_WORD})|(?:{_PUBLISHED_WORD}))(?:年月日|日時|日付|[日時]| ?on| ?at)?[\s:/・|(（)）\]】>》-]*\Z",
    re.IGNORECASE,
)
_LABEL_BEHIND = re.compile(
    r"\s?(?:[（(][月火水木金土日](?:曜日?)?[)）]|[月火水木金土日]曜日?)?\s?(?:\d{1,2}[:時]\d{1,2}分?(?::\d\d)?)?\s?[にの付]?\s?"
    rf"(?:({_MODIFIED_WORD})|(?:{_PUBLISHED_WORD}))(?!日?時?\s?:)",
    re.IGNORECASE,
)
# Days of other things: answers, members, sales, events, offers.
_NOT_OF_PAGE = re.compile(
    "。|原文|回答|登録|発売|開催|開始|終了|受付|締切|締め切り|期限|期間|予定|有効|まで|から|[~〜～]"
)
_DATE_CLASSES = frozenset("date dates datetime time timestamp published pubdate posted day updated modified".split())
_MODIFIED_CLASSES = frozenset(("updated", "modified", "update", "lastupdated", "lastmodified"))
_OTHER_CLASSES = frozenset(
    "comment comments commentator reply related ranking recent sidebar calendar archive archives blogcard period event "
    "start end widget today".split()
)
_CLASS_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@njit(cache=True, nogil=True)
def _is_numeric_date(source: npt.NDArray[np.uint8], start: int, end: int) -> bool:
    """Whether behind a year, at one of / . - or full-width such, stand a month and the like once more."""
    if source[start] >= 0x80:
        return True
    position = start + 1
    digits = 0
    while position < end and (0x30 <= source[position] <= 0x39 or source[position] == 0x20):
        digits += source[position] != 0x20
        position += 1
    return 1 <= digits <= 2 and position < end and source[position] == source[start]


@njit(cache=True, nogil=True)
def _find_date_texts(
    source: npt.NDArray[np.uint8],
    texts: npt.NDArray[np.int32],
    left_out: int,
    longest: int,
    rows: npt.NDArray[np.int64],
) -> int:
    """Fill `rows` with the numbers of short texts that may hold a date; returns how many there are.

    Looked for are 年 before 月 before 日, and a year's four digits before one of / . - and a month.
    """
    count = 0
    for row in range(texts.shape[0]):
        start, end = texts[row, TEXT_START], texts[row, TEXT_END]
        if texts[row, TEXT_FLAGS] & left_out or end - start > longest:
            continue
        may_hold = False
        digits = letters = 0
        position = start
        while position < end and not may_hold:
            letter = source[position]
            if 0x30 <= letter <= 0x39:
                digits += 1
                position += 1
                continue
            if letter < 0xE0:
                if 0x2D <= letter <= 0x2F:
                    may_hold = digits == 4 and _is_numeric_date(source, position, end)
                position += 1
            else:
                # Three bytes, at the least, that are one letter.
                second, third = source[position + 1], source[position + 2]
                if letter == 0xEF and second == 0xBC:
                    if 0x90 <= third <= 0x99:
                        digits += 1
                        position += 3
                        continue
                    may_hold = digits == 4 and 0x8D <= third <= 0x8F
                elif letter == 0xE5 and second == 0xB9 and third == 0xB4:
                    letters = 1
                elif letter == 0xE6 and second == 0x9C and third == 0x88:
                    letters = 2 if letters >= 1 else 0
                elif letter == 0xE6 and second == 0x97 and third == 0xA5:
                    may_hold = letters == 2
                position += 3
            digits = 0
        if may_hold:
            if count == rows.size:
                break
            rows[count] = row
            count += 1
    return count


def _attributes(page: Page, element: int) -> dict[bytes, tuple[int, int]]:
    """Where the values of an element's attributes stand, by their names as written; quicker than Page.attribute."""
    row = page.elements[element].tolist()
    found: dict[bytes, tuple[int, int]] = {}
    for name_start, name_end, start, end, _, _ in page.attributes[row[FIRST_ATTRIBUTE] : row[LAST_ATTRIBUTE]].tolist():
        found.setdefault(page.source[name_start:name_end].lower(), (start, end))
    return found


def _words(text: str) -> set[str]:
    """The words of a class, in lower case: entry-date, entry_date and entryDate have two."""
    return {word.lower() for word in _CLASS_WORD.findall(text[:200])}


def _class_words(page: Page, element: int, levels: int) -> set[str]:
    """The words of class, id and itemprop of an element and so many above it."""
    words: set[str] = set()
    for _ in range(levels):
        if element < 0:
            break
        attributes = _attributes(page, element)
        for name in (b"class", b"id", b"itemprop"):
            if name in attributes:
                start, end = attributes[name]
                words |= _words(page.source[start : min(end, start + 200)].decode("utf-8", "ignore"))
        element = int(page.elements[element]["parent"])
    return words


@dataclass(frozen=True, slots=True)
class _Shown:
    """A day that the page shows: where, of what kind ("published", "modified"), and whether words beside it say so."""

    element: int
    offset: int
    day: date
    kind: str
    named: bool


class _Texts:
    """A page's texts for a look at a few of them: what Page.text_of finds anew for each is found once."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.starts = np.ascontiguousarray(page.texts["start"])

    def within(self, element: int) -> str:
        """An element's visible text, the first 12 text nodes of at most 2,000 bytes each."""
        row = self.page.elements[element].tolist()
        first, last = (int(self.starts.searchsorted(offset)) for offset in (row[START], row[END]))
        return "".join(self.text(index) for index in range(first, min(last, first + 12)))

    def text(self, index: int) -> str:
        """A text node's text; empty where it is hidden."""
        _, start, end, flags = self.page.texts[index].tolist()
        if flags & (TEXT_HIDDEN | TEXT_IN_TEMPLATE):
            return ""
        value = self.page.source[start : min(end, start + 2_000)]
        return resolve_references(value, False) if b"&" in value else value.decode("utf-8", "ignore")

    def before(self, index: int) -> str:
        """The text before a text node, if it may be a label: of at most 14 letters, and none a digit."""
        for earlier in range(index - 1, max(index - 7, -1), -1):
            flags = int(self.page.texts[earlier]["flags"])
            if not flags & (BLANK | TEXT_HIDDEN) and (text := self.text(earlier).strip()):
                return "" if len(text) > 14 or re.search(r"\d", text) else text
        return ""

    def dated(self) -> list[int]:
        """The first _MOST_DATES short texts that may hold a date."""
        rows = np.empty(_MOST_DATES, dtype=np.int64)
        count = _find_date_texts(
            np.frombuffer(self.page.source, dtype=np.uint8),
            self.page.texts.view(np.int32).reshape(-1, 4),
            TEXT_HIDDEN | TEXT_IN_TEMPLATE | BLANK,
            _LONGEST_LABEL,
            rows,
        )
        return [int(row) for row in rows[:count]]


def _shown_dates(texts: _Texts, index: int) -> Iterator[_Shown]:
    """The days in a text node, without those that words say are of something else than the page."""
    element, start, _, _ = texts.page.texts[index].tolist()
    text = texts.text(index)
    if len(text) > _LONGEST_DATED or _NOT_OF_PAGE.search(text):
        return
    text = _narrow(text)
    dates = _dates_in(text)
    before = texts.before(index) if dates else ""
    if before and _NOT_OF_PAGE.search(before):
        return
    here = 0
    for (begin, end, day), (following, _, _) in zip(dates, [*dates[1:], (len(text), 0, None)]):
        label = _LABEL.search(text[here:begin]) if begin > here else None
        if label is None and here == 0 and before and not text[:begin].strip():
            label = _LABEL.search(before)
        label = label or _LABEL_BEHIND.match(text[end:following])
        kind = "modified" if label and label[1] else "published"
        yield _Shown(element, start, day, kind, label is not None)
        here = end


def _headline(texts: _Texts, elements: _Elements, title: str | None) -> tuple[int, int] | None:
    """Where the heading that repeats the title stands: the first of h1, else of h2, else of h3."""
    wanted = _key(title or "")
    for tag in (_H1, _H2, _H3) if len(wanted) > 1 else ():
        for element, _ in elements.get(tag, ()):
            heading = _key(texts.within(element))
            if len(heading) > 1 and (heading in wanted or wanted in heading):
                row = texts.page.elements[element].tolist()
                return row[START], row[END]
    return None


def _by_class(page: Page, item: _Shown) -> _Shown | None:
    """A day with what the names of its elements say of it; None where they say nothing or that it is another's."""
    words = _class_words(page, item.element, 3)
    if words & _OTHER_CLASSES:
        return None
    if item.named:
        return item
    if words & _DATE_CLASSES or (item.element >= 0 and int(page.elements[item.element]["tag"]) == _TIME):
        modified = words & _MODIFIED_CLASSES and "published" not in words
        return replace(item, kind="modified") if modified else item
    return None


def _shown_days(
    texts: _Texts,
    elements: _Elements,
    title: str | None,
    accepted: Callable[[date], bool],
    kinds: Sequence[str],
) -> dict[str, date]:
    """The days of the kinds asked for, of "published" and "modified", that the page shows.

    Near the headline those that words name come before those of elements for dates; elsewhere words must name them,
    and no two differ. Without a headline the page must show one day alone.
    """
    shown = [item for row in texts.dated() for item in _shown_dates(texts, row) if accepted(item.day)]
    found = [item for item in (_by_class(texts.page, item) for item in shown) if item and item.kind in kinds]
    if not found:
        return {}
    headline = _headline(texts, elements, title)
    days: dict[str, date] = {}
    for kind in kinds:
        items = [item for item in found if item.kind == kind]
        if headline:
            first, last = headline[0] - _BEFORE_HEADLINE, headline[1] + _BEHIND_HEADLINE
            near = [item for item in items if first <= item.offset < last]
            if near:
                days[kind] = min(near, key=lambda item: (not item.named, item.offset)).day
                continue
            items = [item for item in items if item.named]
        if len({item.day for item in items}) == 1:
            days[kind] = items[0].day
    return days


# The columns ---------------------------------------------------------------------------------------------------------

_Objects = tuple[dict[str, Any], ...]


@njit(cache=True, nogil=True)
def _holds(source: npt.NDArray[np.uint8], start: int, end: int, word: bytes) -> bool:
    """Whether source[start:end] holds a word of ASCII letters in lower case, in any case."""
    for position in range(start, end - len(word) + 1):
        equal = 0
        while equal < len(word) and source[position + equal] | 0x20 == word[equal]:
            equal += 1
        if equal == len(word):
            return True
    return False


@njit(cache=True, nogil=True)
def _find_attributes(
    source: npt.NDArray[np.uint8],
    elements: npt.NDArray[np.int32],
    attributes: npt.NDArray[np.int32],
    is_wanted: npt.NDArray[np.bool_],
    codes: npt.NDArray[np.int32],
    rows: npt.NDArray[np.int64],
) -> tuple[int, bool]:
    """Fill rows (n, 6) with what may be metadata; returns how many, and whether any element has itemprop.

    A row is element, tag, attribute's number in codes (-1 for a title or heading itself, of which the first of each
    kind are taken), value's start and end, and whether it has references. Of link elements only those that are
    canonical count, of html the first; what stands in a template or in SVG is left out.
    """
    count = 0
    seen_html = False
    headings = np.zeros(4, dtype=np.int64)
    for element in range(elements.shape[0]):
        tag = elements[element, TAG]
        if not is_wanted[tag] or elements[element, FLAGS] & (IN_TEMPLATE | FOREIGN) or (tag == _HTML and seen_html):
            continue
        first, last = elements[element, FIRST_ATTRIBUTE], elements[element, LAST_ATTRIBUTE]
        if count + 1 + last - first > rows.shape[0]:
            break
        if tag in (_TITLE, _H1, _H2, _H3):
            level = 0 if tag == _TITLE else 1 if tag == _H1 else 2 if tag == _H2 else 3
            headings[level] += 1
            if headings[level] <= _MOST_HEADINGS:
                rows[count, 0], rows[count, 1], rows[count, 2] = element, tag, -1
                count += 1
            continue
        seen_html |= tag == _HTML
        canonical = False
        for index in range(first, last):
            if tag == _LINK and attributes[index, CODE] == _REL:
                canonical = _holds(source, attributes[index, VALUE_START], attributes[index, VALUE_END], b"canonical")
        if tag == _LINK and not canonical:
            continue
        for index in range(first, last):
            for number in range(codes.size):
                if attributes[index, CODE] == codes[number]:
                    rows[count, 0], rows[count, 1], rows[count, 2] = element, tag, number
                    rows[count, 3], rows[count, 4] = attributes[index, VALUE_START], attributes[index, VALUE_END]
                    rows[count, 5] = attributes[index, REFERENCES]
                    count += 1
                    break
    has_microdata = False
    for index in range(attributes.shape[0]):
        if attributes[index, CODE] == _ITEMPROP:
            has_microdata = True
            break
    return count, has_microdata


@njit(cache=True, nogil=True)
def _find_naming(
    source: npt.NDArray[np.uint8],
    elements: npt.NDArray[np.int32],
    attributes: npt.NDArray[np.int32],
    word: bytes,
    other: bytes,
    rows: npt.NDArray[np.int64],
) -> int:
    """Fill rows (n, 2) with (element, attribute) where class, rel or itemprop holds a word; returns how many."""
    count = 0
    for element in range(elements.shape[0]):
        for index in range(elements[element, FIRST_ATTRIBUTE], elements[element, LAST_ATTRIBUTE]):
            code, start, end = attributes[index, CODE], attributes[index, VALUE_START], attributes[index, VALUE_END]
            if code not in (_CLASS, _REL, _ITEMPROP) or not (
                _holds(source, start, end, word) or _holds(source, start, end, other)
            ):
                continue
            if count == rows.shape[0]:
                return count
            rows[count, 0], rows[count, 1] = element, index
            count += 1
    return count


def _rows(records: npt.NDArray[np.void]) -> npt.NDArray[np.int32]:
    return records.view(np.int32).reshape(-1, records.itemsize // 4)


def _find_elements(page: Page) -> tuple[_Elements, bool]:
    """What may be metadata, see _find_attributes, and whether any element has itemprop."""
    room = min(_MOST_ATTRIBUTES, page.attributes.size + page.elements.size)
    found = np.empty((room, 6), dtype=np.int64)
    source = np.frombuffer(page.source, dtype=np.uint8)
    count, has_microdata = _find_attributes(
        source, _rows(page.elements), _rows(page.attributes), _IS_WANTED, _CODES, found
    )
    elements: _Elements = {}
    last = -1
    attributes: dict[str, str] = {}
    for element, tag, number, start, end, references in found[:count].tolist():
        if element != last:
            last, attributes = element, {}
            elements.setdefault(tag, []).append((element, attributes))
        if number >= 0:
            value = page.source[start : min(end, start + _LONGEST_VALUE)]
            text = resolve_references(value, True) if references else value.decode("utf-8", "replace")
            attributes.setdefault(_ATTRIBUTES[number], text)
    return elements, has_microdata


def _meta(elements: _Elements) -> dict[str, list[str]]:
    """The contents of meta elements by property, name and itemprop in lower case, without empty ones."""
    found: dict[str, list[str]] = {}
    for _, attributes in elements.get(_META, ()):
        # Tools that keep pages write value for content.
        content = attributes.get("content", attributes.get("value"))
        if content and not content.isspace():
            for attribute in ("property", "name", "itemprop"):
                if attribute in attributes:
                    found.setdefault(attributes[attribute].strip().lower(), []).append(content)
    return found


def _first(meta: dict[str, list[str]], names: Iterable[str]) -> Iterator[str]:
    """The first content of each of the names, in their order."""
    return (meta[name][0] for name in names if name in meta)


def _names(value: Any, objects: _Objects) -> list[str]:
    """The names of a property's persons or organisations, which may stand elsewhere in the page's objects by @id."""
    found: list[str] = []
    for item in members(value)[:20]:
        if isinstance(item, dict) and "name" not in item and isinstance(item.get("@id"), str):
            item = next((other for other in objects if other.get("@id") == item["@id"] and "name" in other), item)
        named = members(item.get("name")) if isinstance(item, dict) else [item]
        found.extend(name for name in map(plain_line, named[:20]) if name)
    return found


def _site_names(meta: dict[str, list[str]], objects: _Objects, article: dict[str, Any]) -> list[str]:
    names = list(_first(meta, _SITES[:1]))
    for value in objects:
        if "WebSite" in types_of(value):
            names += _names(value, objects)
    names += _names(article.get("publisher"), objects)
    names += _first(meta, _SITES[1:])
    return [name for name in (_line(name, MAX_SITE_NAME) for name in names) if name]


_SEPARATOR = re.compile(r"\s*[|｜:：»«≫/／•]\s*|\s*[-–—―－−]+\s*")


def _without_site(title: str, sites: set[str]) -> str:
    """A title without the site's name before the first or behind the last separators, where it stands alone there."""
    key = _key(title)
    if not any(site in key for site in sites):
        return title
    for _ in range(2):
        # Names hold separators too, so that more than the outermost are tried.
        separators = list(_SEPARATOR.finditer(title))
        for match in separators[-4:]:
            if match.start() > 0 and _key(title[match.end() :]) in sites:
                title = title[: match.start()]
                break
        else:
            for match in separators[:4]:
                if match.end() < len(title) and _key(title[: match.start()]) in sites:
                    title = title[match.end() :]
                    break
            else:
                return title
    return title


def _title_element(page: Page, elements: _Elements) -> str | None:
    for element, _ in elements.get(_TITLE, ())[:1]:
        text = raw_text(page, element, 8_000)
        return _line(resolve_references(text, False) if b"&" in text else text.decode("utf-8", "replace"), MAX_TITLE)
    return None


def _title(
    page: Page, elements: _Elements, meta: dict[str, list[str]], named: Sequence[str | None], sites: set[str]
) -> str | None:
    """The first title that is not the site's name alone, from og:title, JSON-LD, other meta elements, title."""
    sources: tuple[Callable[[], Iterable[str | None]], ...] = (
        lambda: _first(meta, ("og:title",)),
        lambda: named,
        lambda: _first(meta, _TITLES),
        lambda: (_title_element(page, elements),),
    )
    fallback = None
    for source in sources:
        for written in source():
            line = _line(written, MAX_TITLE) if written else None
            if line:
                title = _without_site(line, sites)
                if _key(title) not in sites:
                    return title
                fallback = fallback or title
    return fallback


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


def _without_byline(line: str) -> str:
    byline = _BYLINE.match(line)
    return line[byline.end() :] if byline else line


def _authors(values: Iterable[str]) -> str | None:
    """Names joined by ", ", each once, as many as MAX_AUTHOR has room for."""
    found: list[str] = []
    for value in values:
        for name in re.split("[、，,;；]", _without_byline(_line(value, 4 * MAX_AUTHOR) or "")):
            name = name.strip()
            if not name or _NO_NAME.search(name) or name in found:
                continue
            if len(", ".join((*found, name))) > MAX_AUTHOR:
                return ", ".join(found) or None
            found.append(name)
    return ", ".join(found) or None


def _naming(page: Page, word: bytes, other: bytes) -> list[list[int]]:
    """(element, attribute) of the first 30 places where a class, rel or itemprop holds one of the words, any case."""
    rows = np.empty((30, 2), dtype=np.int64)
    source = np.frombuffer(page.source, dtype=np.uint8)
    count = _find_naming(source, _rows(page.elements), _rows(page.attributes), word, other, rows)
    return [list(map(int, row)) for row in rows[:count].tolist()]


def _shown_authors(page: Page, texts: _Texts) -> Iterator[str]:
    """Short texts, or contents, of elements whose rel, itemprop or class says that they name the author."""
    for element, index in _naming(page, b"author", b"byline"):
        row = page.elements[element].tolist()
        if row[END] - row[START] > 2_000 or row[TAG] in (_META, _LINK, TAGS["img"]):
            continue
        _, _, start, end, code, _ = page.attributes[index].tolist()
        words = _words(page.source[start : min(end, start + 200)].decode("utf-8", "ignore"))
        if code == _CLASS and (not words & _AUTHOR_CLASSES or words & _NOT_AUTHOR):
            continue
        if _class_words(page, row[PARENT], 3) & {"comment", "comments"}:
            continue
        written = page.attribute(element, "content") or texts.within(element)
        text = _line(next((line for line in written.splitlines() if not _BYLINE_ALONE.fullmatch(line)), ""), MAX_AUTHOR)
        if text and len(text) <= 40 and not _NO_BYLINE.search(_without_byline(text)):
            yield text


def _marked_dates(
    page: Page, elements: _Elements, has_microdata: bool, name: str, classes: frozenset[str]
) -> Iterator[str]:
    """Dates of time elements by itemprop, pubdate or class, of abbr elements of the hAtom format, and of microdata."""
    wanted = name.lower()
    classed: list[str] = []
    marked = [(attributes, attributes.get("datetime")) for _, attributes in elements.get(_TIME, ())]
    marked += [(attributes, attributes.get("title")) for _, attributes in elements.get(_ABBR, ())]
    for attributes, value in marked:
        if value is None:
            continue
        words = _words(attributes.get("class", ""))
        if wanted in attributes.get("itemprop", "").lower().split():
            yield value
        elif words & _OTHER_CLASSES:
            continue
        elif "pubdate" in attributes and name == "datePublished":
            yield value
        elif words & classes and ("published" in words or not words & _MODIFIED_CLASSES) is (name == "datePublished"):
            classed.append(value)
    if has_microdata:
        for element, index in _naming(page, wanted.encode(), wanted.encode()):
            if int(page.attributes[index]["code"]) == _ITEMPROP:
                yield page.attribute(element, "content") or page.attribute(element, "datetime") or ""
    yield from classed[:1]


_PUBLISHED_CLASSES = frozenset(("published", "pubdate", "entry", "post", "posted", "article"))


_WEB = re.compile("https?://", re.IGNORECASE)


def _joined(base: str | None, written: str) -> str | None:
    """A reference as an absolute URL of http or https of at most MAX_URL characters; None where it makes none."""
    written = re.sub(r"[\t\n\r]", "", written[: 2 * MAX_URL]).strip()
    if len(written) > MAX_URL or not written:
        return None
    try:
        url = written if _WEB.match(written) or not base else urljoin(base, written)
        if "[" in url:
            urlsplit(url)
    except ValueError:
        # A bracket in the host that makes no IPv6 address: no URL.
        return None
    return url if _WEB.match(url) and len(url) <= MAX_URL and host(url) and not _CONTROLS.search(url) else None


def _canonical_url(elements: _Elements, meta: dict[str, list[str]], url: str | None) -> str | None:
    """The first reference that makes a URL, of link rel=canonical and og:url, resolved against base and `url`."""
    bases = [attributes["href"] for _, attributes in elements.get(_BASE, ()) if "href" in attributes]
    base = (_joined(url, bases[0]) or url) if bases else url
    links = [
        attributes for _, attributes in elements.get(_LINK, ()) if "canonical" in attributes["rel"].lower().split()
    ]
    for reference in (*(link.get("href", "") for link in links[:5]), *meta.get("og:url", ())[:1]):
        found = _joined(base, reference)
        if found:
            return found
    return None


def declared_language(page: Page) -> str | None:
    """The lang or xml:lang of the html element, as the page wrote it, at most MAX_LANGUAGE characters."""
    for element in page.find("html")[:1].tolist():
        return _language({name: page.attribute(element, name) or "" for name in ("lang", "xml:lang")})
    return None


def _language(attributes: dict[str, str]) -> str | None:
    value = attributes.get("lang") or attributes.get("xml:lang")
    return value.strip()[:MAX_LANGUAGE] or None if value else None


def read_metadata(page: Page, url: str | None, fetched_on: date | None) -> Metadata:
    """What a page, as `read_page` gave it, says of itself; of equal kinds of evidence the first holds.

    title: og:title, JSON-LD's headline, other meta elements, the title element. site_name: og:site_name, JSON-LD's
    WebSite and publisher, application-name. author: JSON-LD, meta elements, what is shown by rel, itemprop or class.
    Dates: JSON-LD, meta elements, time elements and microdata, the URL's path (published), dates shown near the
    headline beside a word (公開, 更新) or in an element named for dates; from EARLIEST to the day after `fetched_on`.
    canonical_url: link rel=canonical, og:url; relative ones from base and `url`. Never raises.
    """
    elements, has_microdata = _find_elements(page)
    meta = _meta(elements)
    objects = read_structured_data(page)
    article = (article_of(objects) or page_of(objects) or {}) if objects else {}
    latest = min(fetched_on, LATEST) + timedelta(days=1) if fetched_on else LATEST

    def first_day(values: Iterable[str | None]) -> date | None:
        days = (read_date(value) for value in values if value)
        return next((day for day in days if day is not None and EARLIEST <= day <= latest), None)

    site_names = _site_names(meta, objects, article)
    hosts = [name for name in ((host(url) if url else None),) if name]
    sites = {_key(name) for name in (*site_names, *hosts, *(name.removeprefix("www.") for name in hosts))}
    title = _title(page, elements, meta, (plain_line(article.get("headline")), plain_line(article.get("name"))), sites)

    stated = [plain_line(article.get(name)) for name in ("datePublished", "dateCreated")]
    published = first_day((*stated, *_first(meta, _PUBLISHED)))
    modified = first_day((plain_line(article.get("dateModified")), *_first(meta, _MODIFIED)))
    published = published or first_day(
        _marked_dates(page, elements, has_microdata, "datePublished", _PUBLISHED_CLASSES)
    )
    modified = modified or first_day(_marked_dates(page, elements, has_microdata, "dateModified", _MODIFIED_CLASSES))
    if published is None and url and (day := _url_date(url)) and EARLIEST <= day <= latest:
        published = day
    texts = _Texts(page)
    kinds = [kind for kind, day in (("published", published), ("modified", modified)) if day is None]
    if kinds:
        shown = _shown_days(texts, elements, title, lambda day: EARLIEST <= day <= latest, kinds)
        published, modified = published or shown.get("published"), modified or shown.get("modified")

    author = _authors(_names(article.get("author"), objects)) or _authors(
        content for name in _AUTHORS for content in meta.get(name, ())[:50]
    )
    described = (*_first(meta, _DESCRIPTIONS), plain_line(article.get("description")) or "")
    return Metadata(
        title=title,
        author=author or next((names for text in _shown_authors(page, texts) if (names := _authors((text,)))), None),
        site_name=next(iter(site_names), None),
        published_at=published,
        modified_at=modified,
        description=next((line for text in described if (line := _line(text, MAX_DESCRIPTION))), None),
        canonical_url=_canonical_url(elements, meta, url),
        declared_language=_language(elements[_HTML][0][1]) if _HTML in elements else None,
    )
