"""Surroundings: how far above every element of a page a nav, an article or a class of some kind stands."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.web.main_text.words import FOUND, GROUPS, LETTER_CLASSES, MOVES, WORD_GROUPS, word_groups
from pipeline.web.page.elements import BREAKS_LINE, FOREIGN_TAG, NOT_SHOWN, TAG_NAMES, TAG_TABLES, TAGS, name_code
from pipeline.web.page.lean import lean_njit
from pipeline.web.page.stack import FIRST_ATTRIBUTE, FLAGS, HIDDEN, LAST_ATTRIBUTE, PARENT, TAG
from pipeline.web.page.tokenizer import CODE, VALUE_END, VALUE_START, short_code
from pipeline.web.page.tree import FOREIGN

# Elements whose distance above a block is a feature; those of one group count as one.
TAG_GROUPS: dict[str, str] = {
    "nav": "nav menu",
    "header": "header",
    "footer": "footer",
    "aside": "aside",
    "article": "article",
    "main": "main",
    "section": "section",
    "form": "form",
    "table": "table",
    "cell": "td th",
    "list": "ul ol dir",
    "item": "li",
    "definition": "dl dt dd",
    "figure": "figure figcaption caption",
    "quote": "blockquote",
    "preformatted": "pre listing xmp plaintext",
    "top_heading": "h1",
    "heading": "h2 h3 h4 h5 h6",
    "paragraph": "p",
    "link": "a",
    "control": "button select option optgroup label textarea fieldset legend",
    "noscript": "noscript",
    "details": "details summary",
    "address": "address",
    "strong": "b strong em i u font big mark",
    "small": "small sub sup time",
    "code": "code kbd samp tt var",
    "ruby": "ruby",
    # What hides itself, whatever its tag.
    "hidden": "",
}
# Distances are counted in elements and go no further than this; FAR says that there is none.
FAR = 24
_HIDDEN_GROUP = list(TAG_GROUPS).index("hidden")
_HEADING_MARK_GROUP = list(WORD_GROUPS).index("heading_mark")
SURROUNDINGS = (*(f"tag_{name}" for name in TAG_GROUPS), *(f"word_{name}" for name in WORD_GROUPS))
TAG_GROUP_COUNT = len(TAG_GROUPS)
# Room for as many distances as make whole vectors of 32 bytes: an element's are then copied without a rest.
DISTANCE_COLUMNS = -(-len(SURROUNDINGS) // 32) * 32

# Bits of what an element and those above it make of the text in it.
IN_LINK, IN_READING, IN_PARENTHESIS, IN_PREFORMATTED, IN_CELL, IN_STRONG, IN_CONTROL, UNSHOWN, HEADING_MARK = (
    1 << bit for bit in range(9)
)

_CLASS, _ID, _ROLE, _ITEMPROP = (short_code(name_code(name)) for name in ("class", "id", "role", "itemprop"))
_HASH = np.uint64(0x9E3779B97F4A7C15)


def _tag_tables() -> tuple[npt.NDArray[np.int8], npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """By tag number: its group (-1 none), the bits of its text, and whether it stands on lines of its own."""
    groups = np.full(len(TAG_NAMES), -1, dtype=np.int8)
    for group, names in enumerate(TAG_GROUPS.values()):
        for name in names.split():
            groups[TAGS[name]] = group
    bits = np.zeros(len(TAG_NAMES), dtype=np.uint16)
    for bit, names in (
        (IN_LINK, "a"),
        (IN_READING, "rt rtc"),
        (IN_PARENTHESIS, "rp"),
        (IN_PREFORMATTED, TAG_GROUPS["preformatted"]),
        (IN_CELL, "td th"),
        (IN_STRONG, TAG_GROUPS["strong"]),
        (IN_CONTROL, TAG_GROUPS["control"]),
    ):
        for name in names.split():
            bits[TAGS[name]] |= bit
    bits[TAG_TABLES.flags[: len(TAG_NAMES)] & NOT_SHOWN != 0] |= UNSHOWN
    own_lines = (TAG_TABLES.flags[: len(TAG_NAMES)] & BREAKS_LINE != 0).astype(np.uint8)
    own_lines[TAGS["br"]] = 0
    return groups, bits, own_lines


TAG_GROUP, TAG_BITS, OWN_LINES = _tag_tables()
# Of SVG's and MathML's elements no more is known than whether their text is shown.
_FOREIGN_BITS = np.where(TAG_TABLES.flags[FOREIGN_TAG : FOREIGN_TAG + len(TAG_NAMES)] & NOT_SHOWN, UNSHOWN, 0).astype(
    np.uint16
)


@lean_njit
def describe(
    source: npt.NDArray[np.uint8],
    elements: npt.NDArray[np.int32],
    attributes: npt.NDArray[np.int32],
    distances: npt.NDArray[np.uint8],
    bits: npt.NDArray[np.uint16],
    owners: npt.NDArray[np.int32],
    paths: npt.NDArray[np.uint64],
) -> None:
    """Fill, for n elements: distances (n, DISTANCE_COLUMNS) to the nearest element at or above it of each kind, bits
    (n,) of its text, owners (n,) the nearest element at or above it with lines of its own (-1 none), and paths (n,) a
    hash of the tags and classes from the top down to the owner, digits left out.
    """
    for index in range(elements.shape[0]):
        parent = elements[index, PARENT]
        tag = elements[index, TAG]
        foreign_bits = np.uint16(0)
        if elements[index, FLAGS] & FOREIGN:
            foreign_bits = _FOREIGN_BITS[tag]
            tag = 0
        if parent >= 0:
            for column in range(DISTANCE_COLUMNS):
                distance = distances[parent, column]
                distances[index, column] = distance + (1 if distance < FAR - 1 else 0)
            bits[index] = bits[parent]
            path = paths[parent]
            owner = owners[parent]
        else:
            for column in range(DISTANCE_COLUMNS):
                distances[index, column] = FAR
            bits[index] = 0
            path = np.uint64(0)
            owner = np.int32(-1)
        bits[index] |= TAG_BITS[tag] | foreign_bits
        if OWN_LINES[tag]:
            owner = np.int32(index)
            path = (path ^ np.uint64(tag + 1)) * _HASH
            path ^= path >> np.uint64(29)
        owners[index] = owner
        if TAG_GROUP[tag] >= 0:
            distances[index, TAG_GROUP[tag]] = 0
        if elements[index, FLAGS] & HIDDEN and (parent < 0 or not elements[parent, FLAGS] & HIDDEN):
            distances[index, _HIDDEN_GROUP] = 0
        for attribute in range(elements[index, FIRST_ATTRIBUTE], elements[index, LAST_ATTRIBUTE]):
            code = attributes[attribute, CODE]
            if code != _CLASS and code != _ID and code != _ROLE and code != _ITEMPROP:
                continue
            start, end = attributes[attribute, VALUE_START], attributes[attribute, VALUE_END]
            groups = word_groups(source, start, end, MOVES, FOUND, LETTER_CLASSES)
            if groups:
                if groups >> np.uint32(_HEADING_MARK_GROUP) & np.uint32(1):
                    bits[index] |= HEADING_MARK
                for group in range(GROUPS):
                    if groups >> np.uint32(group) & np.uint32(1):
                        distances[index, TAG_GROUP_COUNT + group] = 0
            if code == _CLASS and OWN_LINES[tag]:
                for position in range(start, min(end, start + 200)):
                    letter = source[position]
                    if not 0x30 <= letter <= 0x39:
                        path = (path ^ np.uint64(letter)) * _HASH
                path ^= path >> np.uint64(29)
        paths[index] = path
