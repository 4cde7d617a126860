"""Reader: a page's HTML to a Page, the arrays of its elements, attributes and text nodes, and questions about them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.page.elements import TAG_NAMES, TAGS, name_code
from pipeline.web.page.hidden import is_value
from pipeline.web.page.lean import lean_njit
from pipeline.web.page.references import REFERENCE_TABLES, ReferenceTables, resolve, resolve_references, room
from pipeline.web.page.stack import (
    ELEMENT_COLUMNS,
    FIRST_ATTRIBUTE,
    FLAGS,
    IN_TEMPLATE,
    LAST_ATTRIBUTE,
    PARENT,
    TAG,
)
from pipeline.web.page.tokenizer import (
    ATTRIBUTE_COLUMNS,
    CODE,
    HAS_REFERENCES,
    NAME_END,
    NAME_START,
    PADDING,
    REFERENCES,
    VALUE_END,
    VALUE_START,
    is_word,
    short_code,
)
from pipeline.web.page.tree import (
    AFTER_BREAK,
    CAPPED_ATTRIBUTES,
    CAPPED_DEPTH,
    CAPPED_ELEMENTS,
    CAPPED_TEXTS,
    KEEPS_NUL,
    TEXT_COLUMNS,
    TEXT_END,
    TEXT_FLAGS,
    TEXT_HIDDEN,
    TEXT_START,
    build,
)

_LARGEST_PAGE = 2**31 - 64
# Most pages have no more elements of one kind with one attribute; those of more are gone through twice.
_FEW_ATTRIBUTES = 64

ELEMENT = np.dtype(
    [
        (name, np.int32)
        for name in (
            "tag",
            "parent",
            "start",
            "end",
            "content",
            "first_attribute",
            "last_attribute",
            "depth",
            "flags",
        )
    ]
)
ATTRIBUTE = np.dtype(
    [(name, np.int32) for name in ("name_start", "name_end", "value_start", "value_end", "code", "references")]
)
TEXT_NODE = np.dtype([(name, np.int32) for name in ("element", "start", "end", "flags")])
assert [len(record.names or ()) for record in (ELEMENT, ATTRIBUTE, TEXT_NODE)] == [
    ELEMENT_COLUMNS,
    ATTRIBUTE_COLUMNS,
    TEXT_COLUMNS,
]

_CAPS = {
    CAPPED_ELEMENTS: "elements",
    CAPPED_ATTRIBUTES: "attributes",
    CAPPED_TEXTS: "texts",
    CAPPED_DEPTH: "depth",
}
_CAPPED = [frozenset(name for bit, name in _CAPS.items() if bits & bit) for bits in range(1 << len(_CAPS))]
_SURROGATES = re.compile("[\ud800-\udfff]")
_UTF8_MARK = b"\xef\xbb\xbf"


@lean_njit
def _join(
    source: npt.NDArray[np.uint8],
    texts: npt.NDArray[np.int32],
    left_out: int,
    with_breaks: bool,
    out: npt.NDArray[np.uint8],
    tables: ReferenceTables,
) -> int:
    """Write text nodes without any of the flags `left_out` one behind the other to `out`; returns the end."""
    position = 0
    after_break = 0
    for index in range(texts.shape[0]):
        flags = texts[index, TEXT_FLAGS]
        after_break |= flags & AFTER_BREAK
        if flags & left_out:
            continue
        if with_breaks and after_break and position > 0 and out[position - 1] != 0x0A:
            out[position] = 0x0A
            position += 1
        after_break = 0
        position = resolve(
            source,
            texts[index, TEXT_START],
            texts[index, TEXT_END],
            False,
            flags & HAS_REFERENCES != 0,
            flags & KEEPS_NUL != 0,
            out,
            position,
            tables,
        )
    return position


# What a byte may be in a look for words: a reference's beginning, or a word's first letter, small or capital.
_REFERENCE, _FIRST_LETTER = 1, 2


@lean_njit
def _mark_first_letters(words: bytes, kinds: npt.NDArray[np.uint8]) -> None:
    """Fill kinds (256,) with what each byte may begin, of words in lower case that are parted by spaces."""
    kinds[:] = 0
    kinds[0x26] = _REFERENCE
    for index in range(len(words)):
        if words[index] != 0x20 and (index == 0 or words[index - 1] == 0x20):
            kinds[words[index]] = _FIRST_LETTER
            if 0x61 <= words[index] <= 0x7A:
                kinds[words[index] - 0x20] = _FIRST_LETTER


@lean_njit
def _holds_word(source: npt.NDArray[np.uint8], position: int, end: int, words: bytes) -> bool:
    """Whether one of the words stands at `position`, before `end`, in any case."""
    word_start = 0
    while word_start < len(words):
        length = equal = 0
        while word_start + length < len(words) and words[word_start + length] != 0x20:
            length += 1
        while equal < length and position + equal < end:
            letter, wanted = source[position + equal], words[word_start + equal]
            if letter != wanted and not (0x41 <= letter <= 0x5A and letter | 0x20 == wanted):
                break
            equal += 1
        if equal == length:
            return True
        word_start += length + 1
    return False


@lean_njit
def _holds_any(source: npt.NDArray[np.uint8], start: int, end: int, words: bytes, kinds: npt.NDArray[np.uint8]) -> bool:
    """Whether source[start:end] may hold one of the words, of which `kinds` are the first letters, in any case.

    A reference other than &amp; may stand for any letter.
    """
    for position in range(start, end):
        kind = kinds[source[position]]
        if kind == _REFERENCE:
            if not (end - position > 4 and is_word(source, position + 1, b"amp")):
                return True
        elif kind == _FIRST_LETTER and _holds_word(source, position, end, words):
            return True
    return False


@lean_njit
def _fill_attributes(
    source: npt.NDArray[np.uint8],
    elements: npt.NDArray[np.int32],
    attributes: npt.NDArray[np.int32],
    tag: int,
    code: int,
    name: bytes,
    words: bytes,
    kinds: npt.NDArray[np.uint8],
    found: npt.NDArray[np.int64],
) -> int:
    """Fill found (most, 4) for `_find_attributes`; returns how many there are, of which only so many are written."""
    number = 0
    for element in range(elements.shape[0]):
        if elements[element, TAG] != tag or elements[element, FLAGS] & IN_TEMPLATE:
            continue
        for index in range(elements[element, FIRST_ATTRIBUTE], elements[element, LAST_ATTRIBUTE]):
            if attributes[index, CODE] != code:
                continue
            if not is_value(source, attributes[index, NAME_START], attributes[index, NAME_END], name):
                continue
            start, end = attributes[index, VALUE_START], attributes[index, VALUE_END]
            if len(words) == 0 or _holds_any(source, start, end, words, kinds):
                if number < found.shape[0]:
                    found[number, 0], found[number, 1], found[number, 2] = element, start, end
                    found[number, 3] = attributes[index, REFERENCES]
                number += 1
            break
    return number


@njit(cache=True, nogil=True)
def _find_attributes(
    source: npt.NDArray[np.uint8],
    elements: npt.NDArray[np.int32],
    attributes: npt.NDArray[np.int32],
    tag: int,
    code: int,
    name: bytes,
    words: bytes,
) -> npt.NDArray[np.int64]:
    """(n, 4) element, value's start and end, references, for elements of a tag outside of templates that have it.

    Where words are given, a value that cannot hold one of them does not count.
    """
    kinds = np.empty(256, dtype=np.uint8)
    _mark_first_letters(words, kinds)
    found = np.empty((_FEW_ATTRIBUTES, 4), dtype=np.int64)
    number = _fill_attributes(source, elements, attributes, tag, code, name, words, kinds, found)
    if number > _FEW_ATTRIBUTES:
        found = np.empty((number, 4), dtype=np.int64)
        _fill_attributes(source, elements, attributes, tag, code, name, words, kinds, found)
    return found[:number]


@njit(cache=True, nogil=True)
def has_attribute(
    source: npt.NDArray[np.uint8],
    elements: npt.NDArray[np.int32],
    attributes: npt.NDArray[np.int32],
    tag: int,
    code: int,
    name: bytes,
    words: bytes,
) -> bool:
    """Whether `Page.values` would give anything for these words; the code is the name's `short_code`."""
    kinds = np.empty(256, dtype=np.uint8)
    _mark_first_letters(words, kinds)
    found = np.empty((0, 4), dtype=np.int64)
    return _fill_attributes(source, elements, attributes, tag, code, name, words, kinds, found) > 0


@lru_cache(maxsize=1024)
def _name(name: str) -> tuple[bytes, int]:
    return name.encode("utf-8"), short_code(name_code(name))


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """A page as arrays; offsets are bytes of `source`, its UTF-8 text.

    elements: structured int32 of tag (a number of TAG_NAMES, 0 a name that is not there), parent (-1 at the top),
    start and end (of all its markup), content (behind its start tag), first_attribute and last_attribute (a range of
    attributes, the last not in it), depth (its ancestors, counted), and flags (HIDDEN, IN_TEMPLATE, FOREIGN,
    INTEGRATION_POINT, HIDES_ITSELF).
    attributes: name_start, name_end, value_start, value_end (without quotes), code of the lower-case name, references
    (1 where the value holds "&"). texts: element (-1 at the top), start, end, flags (HAS_REFERENCES, BLANK,
    KEEPS_NUL, TEXT_HIDDEN, TEXT_IN_TEMPLATE, AFTER_BREAK).

    `capped` names what was cut: "elements" and "texts" where the rest of the page was not read, "attributes" where
    some were left out, "depth" where deep elements became children of the deepest kept. `steps` are those made on the
    stack of open elements, a measure of the work that is the same on every machine. `padded` is the source as uint8
    with PADDING zeros behind it, which compiled functions take.
    """

    source: bytes
    elements: npt.NDArray[np.void]
    attributes: npt.NDArray[np.void]
    texts: npt.NDArray[np.void]
    capped: frozenset[str]
    steps: int
    padded: npt.NDArray[np.uint8]

    def find(self, name: str) -> npt.NDArray[np.int64]:
        """Indices of the elements of a name in lower case, in the page's order, without those in templates."""
        tags = self.elements["tag"]
        kept = self.elements["flags"] & IN_TEMPLATE == 0
        if name in TAGS:
            return np.flatnonzero((tags == TAGS[name]) & kept)
        unnumbered = np.flatnonzero((tags == 0) & kept)
        return unnumbered[[self.name(int(element)) == name for element in unnumbered]]

    def name(self, element: int) -> str:
        """An element's name, in lower case."""
        row = self.elements[element]
        if row["tag"]:
            return TAG_NAMES[row["tag"]]
        start = int(row["start"]) + 1
        match = re.compile(rb"[^\t\n\f\r />]*").match(self.source, start, int(row["content"]))
        return _lower(match[0]) if match else ""

    def parent(self, element: int) -> int:
        """The element that an element stands right in, -1 at the top."""
        return int(self.elements.item(element)[PARENT])

    def attribute(self, element: int, name: str) -> str | None:
        """The value of an element's attribute, whose name is given in lower case; None where it has none."""
        row = self.elements.item(element)
        first, last = row[FIRST_ATTRIBUTE], row[LAST_ATTRIBUTE]
        if first == last:
            return None
        wanted, code = _name(name)
        codes = self.attributes["code"][first:last].tolist()
        if code not in codes:
            return None
        for index, own in enumerate(codes, first):
            if own == code:
                name_start, name_end, start, end, _, references = self.attributes.item(index)
                if self.source[name_start:name_end].lower() == wanted:
                    return self._value(start, end, references)
        return None

    def may_hold(self, name: str) -> bool:
        """Whether an element may have an attribute of a name; if not, none has."""
        return bool((self.attributes["code"] == _name(name)[1]).any())

    def attributes_of(self, element: int) -> dict[str, str]:
        """All of an element's attributes; of equal names, which are in lower case, the first counts."""
        row = self.elements[element]
        found: dict[str, str] = {}
        for name_start, name_end, start, end, _, references in self.attributes[
            row["first_attribute"] : row["last_attribute"]
        ].tolist():
            found.setdefault(_lower(self.source[name_start:name_end]), self._value(start, end, references))
        return found

    def values(self, tag: str, name: str, words: str = "") -> Iterator[tuple[int, str]]:
        """(element, value) of every element of a tag that has the attribute, as `find` and `attribute` would.

        Where `words` are given, in lower case and parted by spaces, values that hold none of them in any case may be
        left out: a quick look at the bytes before a closer one.
        """
        wanted, code = _name(name)
        found = _find_attributes(
            self.padded, rows(self.elements), rows(self.attributes), TAGS.get(tag, 0), code, wanted, words.encode()
        )
        for element, start, end, references in found.tolist():
            if tag in TAGS or self.name(element) == tag:
                yield element, self._value(start, end, references)

    def _value(self, start: int, end: int, references: int) -> str:
        value = self.source[start:end]
        if references or b"\0" in value or b"\r" in value:
            return resolve_references(value, True)
        return value.decode("utf-8", "replace")

    def text_of(self, element: int) -> str:
        """All text in an element, hidden or not, with references resolved."""
        row = self.elements[element]
        first, last = np.searchsorted(self.texts["start"], (row["start"], row["end"]))
        return self._joined(self.texts[first:last], 0, False)

    def visible_text(self) -> str:
        """The page's text without what is hidden; text on both sides of a block's tag or br stands on two lines.

        Left out are head's own texts, script, style, template and their kin, and elements that are hidden by the
        attribute hidden, by aria-hidden=true or by display:none in their own style. White space is the page's own.
        """
        return self._joined(self.texts, TEXT_HIDDEN, True)

    def text_outside(self, names: tuple[str, ...]) -> str:
        """All text, hidden or not, that does not stand right in an element of one of these names."""
        tags = np.append(self.elements["tag"], 0)[self.texts["element"]]
        return self._joined(self.texts[~np.isin(tags, [TAGS[name] for name in names])], 0, True)

    def _joined(self, texts: npt.NDArray[np.void], left_out: int, with_breaks: bool) -> str:
        if not texts.size:
            return ""
        length = int((texts["end"] - texts["start"]).sum(dtype=np.int64))
        out = np.empty(room(length, b"\0" in self.source) + texts.size, dtype=np.uint8)
        end = _join(self.padded, rows(texts), left_out, with_breaks, out, REFERENCE_TABLES)
        return out[:end].tobytes().decode("utf-8", "replace")


def _lower(name: bytes) -> str:
    # bytes.lower folds ASCII only, as HTML does.
    return name.lower().replace(b"\0", b"\xef\xbf\xbd").decode("utf-8", "replace")


def rows(records: npt.NDArray[np.void]) -> npt.NDArray[np.int32]:
    """A page's elements, attributes or texts (n,) as the int32 array (n, columns) that compiled functions take."""
    return np.ndarray((records.size, records.itemsize // 4), np.int32, records)


def padded_bytes(source: bytes) -> npt.NDArray[np.uint8]:
    """A page's bytes as uint8, with PADDING zeros behind them."""
    return np.frombuffer(source + bytes(PADDING), dtype=np.uint8)


def read_page(html: str | bytes) -> Page:
    """Read a page: text, or UTF-8 bytes, of any content. Time and memory grow linearly with its size.

    Lone surrogates in text, and bytes that are not UTF-8, become U+FFFD. Raises ValueError at 2 GiB.
    """
    if isinstance(html, str):
        try:
            source = html.encode("utf-8")
        except UnicodeEncodeError:
            source = _SURROGATES.sub("\ufffd", html).encode("utf-8")
    else:
        source = html
    size = len(source)
    if size > _LARGEST_PAGE:
        raise ValueError(f"a page of {size:,} bytes: at most {_LARGEST_PAGE:,} can be read")
    padded = padded_bytes(source)
    elements, attributes, texts, capped, steps = build(
        padded, size, len(_UTF8_MARK) if source.startswith(_UTF8_MARK) else 0
    )
    return Page(
        source,
        np.ndarray(len(elements), ELEMENT, elements),
        np.ndarray(len(attributes), ATTRIBUTE, attributes),
        np.ndarray(len(texts), TEXT_NODE, texts),
        _CAPPED[capped],
        steps,
        padded,
    )
