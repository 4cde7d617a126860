"""Candidates: one compiled look at a page's attributes and texts for what may speak of a license."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.web.page import Page
from pipeline.web.page.elements import name_code
from pipeline.web.page.lean import lean_njit
from pipeline.web.page.reader import rows
from pipeline.web.page.stack import FIRST_ATTRIBUTE, FLAGS, IN_TEMPLATE, LAST_ATTRIBUTE
from pipeline.web.page.tokenizer import CODE, VALUE_END, VALUE_START, short_code
from pipeline.web.page.tree import TEXT_END, TEXT_FLAGS, TEXT_HIDDEN, TEXT_START

# A page names its license once or a few times: of more, the first and the last (its foot) are looked at.
MOST_CLAIMS = 200
MOST_TEXTS = 100
# How far into an address its host may begin and end, and into a relation or a name what it says.
_HOST_BYTES = 48
_RELATION_BYTES = 400

_RELATIONS = np.array([short_code(name_code(name)) for name in ("rel", "property", "itemprop", "name")], dtype=np.int64)
_HREF = short_code(name_code("href"))

# What every statement about a license holds at least one of, as written or in lower case.
_LICENSE_ANCHORS = (
    "licen",
    "creative",
    "public d",
    "public-d",
    "gfdl",
    "cc by",
    "cc-by",
    "ccby",
    "cc0",
    "cc-0",
    "cc zero",
    "cc表",
    "cc 表",
    "cc帰",
    "cc 帰",
    "pdl1",
    "pdl 1",
    "japan standard",
    "ｃｃ",
    "ＣＣ",
    "ライセ",
    "クリエイティ",
    "パブリック",
    "標準利用規約",
    "データ利用規約",
    "許諾契約",
    "著作権を",
    "著作権は",
)
# The same for a reservation of rights.
_RESERVATION_ANCHORS = (
    "reserved",
    "reproduc",
    "prohibit",
    "permission",
    "無断",
    "許可な",
    "許可無",
    "許諾な",
    "承諾な",
    "転載",
    "複製を",
    "留保",
    "著作権所有",
    "著作権を所有",
)
_LONGEST_ANCHOR = 24
LICENSE, RESERVED = 1, 2
_HOSTS = ("creativecommons", "digital.go.jp", "kantei.go.jp")


def _code_point(letters: bytes) -> int:
    return ord(letters.decode("utf-8")[0])


def _anchor_tables(
    words: tuple[str, ...],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """First anchor of each code point below U+10000 (-1: none), the anchors' bytes, and their lengths.

    Anchors are sorted by their first letter, so that those that begin alike follow each other.
    """
    encoded = sorted((word.encode("utf-8") for word in words), key=_code_point)
    first = np.full(1 << 16, -1, dtype=np.int32)
    letters = np.zeros((len(encoded), _LONGEST_ANCHOR), dtype=np.uint8)
    lengths = np.array([len(word) for word in encoded], dtype=np.int32)
    for index, word in enumerate(encoded):
        letters[index, : len(word)] = np.frombuffer(word, dtype=np.uint8)
        point = _code_point(word)
        if first[point] < 0:
            first[point] = index
            if point < 0x80:
                first[ord(chr(point).upper())] = index
    return first, letters, lengths


_ANCHORS = _anchor_tables(_LICENSE_ANCHORS)
_RESERVED_ANCHORS = _anchor_tables(_RESERVATION_ANCHORS)
# Whether an anchor, or "&", begins with a code point of these low bits: a table that stays in the fastest cache and
# settles most letters.
_LOW_BITS = 0xFFF
_BEGINS = np.zeros(_LOW_BITS + 1, dtype=np.bool_)
_BEGINS[np.flatnonzero((_ANCHORS[0] >= 0) | (_RESERVED_ANCHORS[0] >= 0)) & _LOW_BITS] = True
_BEGINS[ord("&")] = True
_HOST_ANCHORS = _anchor_tables(_HOSTS)


@lean_njit
def _stands_at(source, position, end, first, letters, lengths):  # type: ignore[no-untyped-def]
    """Whether an anchor from number `first` on, with the same first letter, stands at a position."""
    index = first
    while index < letters.shape[0] and letters[index, 0] == letters[first, 0]:
        length = lengths[index]
        if position + length <= end:
            equal = 0
            while equal < length:
                letter = source[position + equal]
                if letter != letters[index, equal] and not (
                    0x41 <= letter <= 0x5A and letter | 0x20 == letters[index, equal]
                ):
                    break
                equal += 1
            if equal == length:
                return True
        index += 1
    return False


@lean_njit
def _is_written_kana(source, position, end):  # type: ignore[no-untyped-def]
    """Whether a reference by number to a code point from U+2710 (10000) on may stand at a "&"."""
    if position + 6 > end or source[position + 1] != 0x23:
        return False
    is_hexadecimal = source[position + 2] | 0x20 == 0x78
    for index in range(position + 2 + is_hexadecimal, position + 7 if not is_hexadecimal else position + 6):
        if index >= end or not (0x30 <= source[index] <= 0x39 or (is_hexadecimal and source[index] > 0x40)):
            return False
    return True


@lean_njit
def _anchors_in(source, start, end, begins, anchors, reserved):  # type: ignore[no-untyped-def]
    """LICENSE, RESERVED or both, for the anchors that source[start:end] holds; a code point is looked at once."""
    found = 0
    position = start
    while position < end:
        letter = source[position]
        step = 1
        point = np.int64(letter)
        if letter >= 0x80:
            if not (0xE0 <= letter < 0xF0 and position + 2 < end):
                position += 1
                continue
            point = (
                np.int64(letter & 0x0F) << 12
                | np.int64(source[position + 1] & 0x3F) << 6
                | np.int64(source[position + 2] & 0x3F)
            )
            step = 3
        if begins[point & _LOW_BITS]:
            if letter == 0x26 and _is_written_kana(source, position, end):
                return LICENSE | RESERVED
            first = anchors[0][point]
            if first >= 0 and _stands_at(source, position, end, first, anchors[1], anchors[2]):
                found |= LICENSE
            first = reserved[0][point]
            if first >= 0 and _stands_at(source, position, end, first, reserved[1], reserved[2]):
                found |= RESERVED
        position += step
    return found


@lean_njit
def _find_texts(source, texts, begins, first, letters, lengths, first_reserved, reserved, reserved_lengths, rows):  # type: ignore[no-untyped-def]
    """Fill `rows` with (text, LICENSE, RESERVED or both) for the visible texts that hold an anchor."""
    count = 0
    for row in range(texts.shape[0]):
        if texts[row, TEXT_FLAGS] & TEXT_HIDDEN:
            continue
        start, end = texts[row, TEXT_START], texts[row, TEXT_END]
        found = _anchors_in(
            source, start, end, begins, (first, letters, lengths), (first_reserved, reserved, reserved_lengths)
        )
        if found:
            rows[count, 0], rows[count, 1] = row, found
            count += 1
    return count


@lean_njit
def _find_claims(source, elements, attributes, relations, href, first, letters, lengths, rows):  # type: ignore[no-untyped-def]
    """Fill `rows` with (element, attribute) that may name a license: a relation or name, or a link to a known host."""
    count = 0
    for element in range(elements.shape[0]):
        if elements[element, FLAGS] & IN_TEMPLATE:
            continue
        for index in range(elements[element, FIRST_ATTRIBUTE], elements[element, LAST_ATTRIBUTE]):
            code = attributes[index, CODE]
            start, end = attributes[index, VALUE_START], attributes[index, VALUE_END]
            found = False
            if code == href:
                end = min(end, start + _HOST_BYTES)
                for position in range(start, end):
                    letter = source[position]
                    anchor = first[letter]
                    if letter == 0x26 or (anchor >= 0 and _stands_at(source, position, end, anchor, letters, lengths)):
                        found = True
                        break
            elif code == relations[0] or code == relations[1] or code == relations[2] or code == relations[3]:
                end = min(end, start + _RELATION_BYTES)
                for position in range(start, end):
                    letter = source[position] | 0x20
                    # "license", "licence", "rights", "copyright", or a letter written as a reference.
                    if source[position] == 0x26 or (
                        letter == 0x69
                        and position > start
                        and position + 3 < end
                        and (
                            (source[position - 1] | 0x20 == 0x6C and source[position + 1] | 0x20 == 0x63)
                            or (
                                source[position - 1] | 0x20 == 0x72
                                and source[position + 1] | 0x20 == 0x67
                                and source[position + 2] | 0x20 == 0x68
                            )
                        )
                    ):
                        found = True
                        break
            if found:
                rows[count, 0], rows[count, 1] = element, index
                count += 1
    return count


@dataclass(frozen=True, slots=True)
class Candidates:
    """Where a page may speak of a license: elements by the attribute that says so; and text nodes, each with LICENSE,
    RESERVED or both, by what their words may be about.
    """

    claims: list[int]
    links: list[int]
    texts: list[tuple[int, int]]


def _ends(found: list[Any], most: int) -> list[Any]:
    return found if len(found) <= most else found[: most // 2] + found[-(most - most // 2) :]


def find_candidates(page: Page) -> Candidates:
    """Elements whose rel, property, itemprop or name may say license, links to known hosts, and texts with anchors.

    Of more than MOST_CLAIMS or MOST_TEXTS the first and the last are given.
    """
    source, texts = page.padded, rows(page.texts)
    found = np.empty((texts.shape[0], 2), dtype=np.int32)
    count = _find_texts(source, texts, _BEGINS, *_ANCHORS, *_RESERVED_ANCHORS, found)
    pairs = np.empty((page.attributes.size, 2), dtype=np.int32)
    number = _find_claims(source, rows(page.elements), rows(page.attributes), _RELATIONS, _HREF, *_HOST_ANCHORS, pairs)
    claims, links = [], []
    if number:
        chosen = pairs[:number]
        is_link = page.attributes["code"][chosen[:, 1]] == _HREF
        claims = list(dict.fromkeys(chosen[~is_link, 0].tolist()))
        links = list(dict.fromkeys(chosen[is_link, 0].tolist()))
    return Candidates(
        _ends(claims, MOST_CLAIMS),
        _ends(links, MOST_CLAIMS),
        _ends([(row, kind) for row, kind in found[:count].tolist()], MOST_TEXTS),
    )
