"""Elements: what of a page may be metadata, found in one compiled pass and read into dicts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.page import Page
from pipeline.web.page.elements import TAG_NAMES, TAGS, name_code
from pipeline.web.page.lean import lean_njit
from pipeline.web.page.reader import rows
from pipeline.web.page.references import resolve_references
from pipeline.web.page.stack import FIRST_ATTRIBUTE, FLAGS, FOREIGN, IN_TEMPLATE, LAST_ATTRIBUTE, TAG
from pipeline.web.page.tokenizer import CODE, REFERENCES, VALUE_END, VALUE_START, short_code

META, LINK, TIME, ABBR, TITLE, BASE, HTML, H1, H2, H3 = (
    TAGS[name] for name in ("meta", "link", "time", "abbr", "title", "base", "html", "h1", "h2", "h3")
)
# More attributes of such elements, or longer values, are not looked at.
_MOST_ATTRIBUTES, _LONGEST_VALUE = 20_000, 4_000
_IS_WANTED = np.zeros(len(TAG_NAMES), dtype=np.bool_)
_IS_WANTED[[META, LINK, TIME, ABBR, TITLE, BASE, HTML, H1, H2, H3]] = True
# Of meta elements, then of the others; no name in use shares a code with one of these.
_ATTRIBUTES = (
    *("content", "property", "name", "itemprop", "value"),
    *("rel", "href", "datetime", "title", "class", "pubdate", "lang", "xml:lang"),
)
_CODES = np.array([short_code(name_code(name)) for name in _ATTRIBUTES], dtype=np.int32)
CLASS, ITEMPROP, _REL, _HREF = (short_code(name_code(name)) for name in ("class", "itemprop", "rel", "href"))
# By tag: (element, its attributes of those that are looked at).
Elements = dict[int, list[tuple[int, dict[str, str]]]]
# Where a value stands, and whether it has references.
_Span = tuple[int, int, int]
_MOST_HEADINGS = 8
_CLASS_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@lean_njit
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
    canonical count, of html the first, of base the first href; what stands in a template or in SVG is left out. Values
    longer than _LONGEST_VALUE are cut.
    """
    count = 0
    seen_html = seen_base = False
    headings = np.zeros(4, dtype=np.int64)
    for element in range(elements.shape[0]):
        tag = elements[element, TAG]
        if not is_wanted[tag] or elements[element, FLAGS] & (IN_TEMPLATE | FOREIGN) or (tag == HTML and seen_html):
            continue
        first, last = elements[element, FIRST_ATTRIBUTE], elements[element, LAST_ATTRIBUTE]
        if count + 1 + last - first > rows.shape[0]:
            break
        if tag in (TITLE, H1, H2, H3):
            level = 0 if tag == TITLE else 1 if tag == H1 else 2 if tag == H2 else 3
            headings[level] += 1
            if headings[level] <= _MOST_HEADINGS:
                rows[count, 0], rows[count, 1], rows[count, 2] = element, tag, -1
                count += 1
            continue
        seen_html |= tag == HTML
        canonical = False
        for index in range(first, last):
            if tag == LINK and attributes[index, CODE] == _REL:
                canonical = _holds(source, attributes[index, VALUE_START], attributes[index, VALUE_END], b"canonical")
        if tag == LINK and not canonical:
            continue
        for index in range(first, last):
            # A row becomes an object of Python's, and thousands of those a full collection of garbage.
            if tag == BASE and (seen_base or attributes[index, CODE] != _HREF):
                continue
            for number in range(codes.size):
                if attributes[index, CODE] == codes[number]:
                    rows[count, 0], rows[count, 1], rows[count, 2] = element, tag, number
                    start = attributes[index, VALUE_START]
                    rows[count, 3], rows[count, 4] = start, min(attributes[index, VALUE_END], start + _LONGEST_VALUE)
                    rows[count, 5] = attributes[index, REFERENCES]
                    count += 1
                    seen_base |= tag == BASE
                    break
    has_microdata = False
    for index in range(attributes.shape[0]):
        if attributes[index, CODE] == ITEMPROP:
            has_microdata = True
            break
    return count, has_microdata


@lean_njit
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
            if code not in (CLASS, _REL, ITEMPROP) or not (
                _holds(source, start, end, word) or _holds(source, start, end, other)
            ):
                continue
            if count == rows.shape[0]:
                return count
            rows[count, 0], rows[count, 1] = element, index
            count += 1
    return count


def _value(source: bytes, span: _Span) -> str:
    start, end, references = span
    return resolve_references(source[start:end], True) if references else source[start:end].decode("utf-8", "replace")


def _read_meta(source: bytes, spans: dict[str, _Span], wanted: frozenset[str], meta: dict[str, list[str]]) -> None:
    """Add a meta element's content under its property, name and itemprop, as far as these are wanted."""
    # Tools that keep pages write value for content.
    content = spans.get("content") or spans.get("value")
    if content is None or content[0] == content[1]:
        return
    text = None
    for attribute in ("property", "name", "itemprop"):
        if attribute in spans and (name := _value(source, spans[attribute]).strip().lower()) in wanted:
            # Most elements are of no use here: their contents, often long, are not read.
            text = _value(source, content) if text is None else text
            if text and not text.isspace():
                meta.setdefault(name, []).append(text)


def find_elements(page: Page, wanted: frozenset[str]) -> tuple[Elements, dict[str, list[str]], bool]:
    """What may be metadata, see _find_attributes; returns (elements, meta, has_microdata).

    elements: all but meta elements. meta: the contents of meta elements that are not empty, by property, name and
    itemprop in lower case, of the names that are wanted. has_microdata: whether any element has itemprop.
    """
    room = min(_MOST_ATTRIBUTES, page.attributes.size + page.elements.size)
    found = np.empty((room, 6), dtype=np.int64)
    source = np.frombuffer(page.source, dtype=np.uint8)
    count, has_microdata = _find_attributes(
        source, rows(page.elements), rows(page.attributes), _IS_WANTED, _CODES, found
    )
    elements: Elements = {}
    meta: dict[str, list[str]] = {}
    metas: list[dict[str, _Span]] = []
    last = -1
    spans: dict[str, _Span] = {}
    attributes: dict[str, str] = {}
    for element, tag, number, start, end, references in found[:count].tolist():
        if element != last:
            last = element
            if tag == META:
                spans = {}
                metas.append(spans)
            else:
                attributes = {}
                elements.setdefault(tag, []).append((element, attributes))
        if tag == META:
            spans.setdefault(_ATTRIBUTES[number], (start, end, references))
        elif number >= 0 and _ATTRIBUTES[number] not in attributes:
            attributes[_ATTRIBUTES[number]] = _value(page.source, (start, end, references))
    for spans in metas:
        _read_meta(page.source, spans, wanted, meta)
    return elements, meta, has_microdata


def first_of(meta: dict[str, list[str]], names: Iterable[str]) -> Iterator[str]:
    """The first content of each of the names, in their order."""
    return (meta[name][0] for name in names if name in meta)


def _attributes(page: Page, element: int) -> dict[bytes, tuple[int, int]]:
    """Where the values of an element's attributes stand, by their names as written; quicker than Page.attribute."""
    row = page.elements.item(element)
    found: dict[bytes, tuple[int, int]] = {}
    for name_start, name_end, start, end, _, _ in page.attributes[row[FIRST_ATTRIBUTE] : row[LAST_ATTRIBUTE]].tolist():
        found.setdefault(page.source[name_start:name_end].lower(), (start, end))
    return found


def words_of(text: str) -> set[str]:
    """The words of a class, in lower case: entry-date, entry_date and entryDate have two."""
    return {word.lower() for word in _CLASS_WORD.findall(text[:200])}


def class_words(page: Page, element: int, levels: int, known: dict[int, set[str]]) -> set[str]:
    """The words of class, id and itemprop of an element and so many above it; those of each are kept in `known`."""
    words: set[str] = set()
    for _ in range(levels):
        if element < 0:
            break
        own = known.get(element)
        if own is None:
            own = known[element] = set()
            attributes = _attributes(page, element)
            for name in (b"class", b"id", b"itemprop"):
                if name in attributes:
                    start, end = attributes[name]
                    own |= words_of(page.source[start : min(end, start + 200)].decode("utf-8", "ignore"))
        words |= own
        element = page.parent(element)
    return words


def naming(page: Page, word: bytes, other: bytes) -> list[list[int]]:
    """(element, attribute) of the first 30 places where a class, rel or itemprop holds one of the words, any case."""
    places = np.empty((30, 2), dtype=np.int64)
    source = np.frombuffer(page.source, dtype=np.uint8)
    count = _find_naming(source, rows(page.elements), rows(page.attributes), word, other, places)
    found: list[list[int]] = places[:count].tolist()
    return found
