"""Shown: the texts that stand on a page, and the days among them that are its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pipeline.web.metadata.dates import dates_in, narrow
from pipeline.web.metadata.elements import H1, H2, H3, TIME, Elements, class_words
from pipeline.web.metadata.lines import as_key
from pipeline.web.page import Page
from pipeline.web.page.lean import lean_njit
from pipeline.web.page.reader import rows
from pipeline.web.page.references import resolve_references
from pipeline.web.page.stack import END, START, TAG
from pipeline.web.page.tokenizer import BLANK
from pipeline.web.page.tree import TEXT_END, TEXT_FLAGS, TEXT_HIDDEN, TEXT_IN_TEMPLATE, TEXT_START

# Byline and date are short texts: longer ones are prose, in which a date is that of something else.
_LONGEST_LABEL = 240
_LONGEST_DATED = 60
_MOST_DATES = 16
# How far from the headline its date stands, in bytes of the page before its start and behind its end.
_BEFORE_HEADLINE, _BEHIND_HEADLINE = 3_000, 6_000
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
MODIFIED_CLASSES = frozenset(("updated", "modified", "update", "lastupdated", "lastmodified"))
OTHER_CLASSES = frozenset(
    "comment comments commentator reply related ranking recent sidebar calendar archive archives blogcard period event "
    "start end widget today".split()
)


@lean_njit
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


@lean_njit
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


@dataclass(frozen=True, slots=True)
class _Shown:
    """A day that the page shows: where, of what kind ("published", "modified"), and whether words beside it say so."""

    element: int
    offset: int
    day: date
    kind: str
    named: bool


class Texts:
    """A page's texts for a look at a few of them: what Page.text_of finds anew for each is found once."""

    def __init__(self, page: Page) -> None:
        self.page = page
        # By element, see class_words: a page may name one of many attributes again and again.
        self.words: dict[int, set[str]] = {}

    @cached_property
    def starts(self) -> npt.NDArray[np.int32]:
        """Where the page's text nodes start."""
        return np.ascontiguousarray(self.page.texts["start"])

    def within(self, element: int) -> str:
        """An element's visible text, the first 12 text nodes of at most 2,000 bytes each."""
        row = self.page.elements.item(element)
        first, last = (int(self.starts.searchsorted(offset)) for offset in (row[START], row[END]))
        return "".join(self.text(index) for index in range(first, min(last, first + 12)))

    def text(self, index: int) -> str:
        """A text node's text; empty where it is hidden."""
        _, start, end, flags = self.page.texts.item(index)
        if flags & (TEXT_HIDDEN | TEXT_IN_TEMPLATE):
            return ""
        value = self.page.source[start : min(end, start + 2_000)]
        return resolve_references(value, False) if b"&" in value else value.decode("utf-8", "ignore")

    def before(self, index: int) -> str:
        """The text before a text node, if it may be a label: of at most 14 letters, and none a digit."""
        for earlier in range(index - 1, max(index - 7, -1), -1):
            flags = self.page.texts.item(earlier)[TEXT_FLAGS]
            if not flags & (BLANK | TEXT_HIDDEN) and (text := self.text(earlier).strip()):
                return "" if len(text) > 14 or re.search(r"\d", text) else text
        return ""

    def dated(self) -> list[int]:
        """The first _MOST_DATES short texts that may hold a date."""
        found = np.empty(_MOST_DATES, dtype=np.int64)
        count = _find_date_texts(
            np.frombuffer(self.page.source, dtype=np.uint8),
            rows(self.page.texts),
            TEXT_HIDDEN | TEXT_IN_TEMPLATE | BLANK,
            _LONGEST_LABEL,
            found,
        )
        return [int(row) for row in found[:count]]


def _shown_dates(texts: Texts, index: int) -> Iterator[_Shown]:
    """The days in a text node, without those that words say are of something else than the page."""
    element, start, _, _ = texts.page.texts.item(index)
    text = texts.text(index)
    if len(text) > _LONGEST_DATED or _NOT_OF_PAGE.search(text):
        return
    text = narrow(text)
    dates = dates_in(text)
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


def _headline(texts: Texts, elements: Elements, title: str | None) -> tuple[int, int] | None:
    """Where the heading that repeats the title stands: the first of h1, else of h2, else of h3."""
    wanted = as_key(title or "")
    for tag in (H1, H2, H3) if len(wanted) > 1 else ():
        for element, _ in elements.get(tag, ()):
            heading = as_key(texts.within(element))
            if len(heading) > 1 and (heading in wanted or wanted in heading):
                row = texts.page.elements[element].tolist()
                return row[START], row[END]
    return None


def _by_class(texts: Texts, item: _Shown) -> _Shown | None:
    """A day with what the names of its elements say of it; None where they say nothing or that it is another's."""
    words = class_words(texts.page, item.element, 3, texts.words)
    if words & OTHER_CLASSES:
        return None
    if item.named:
        return item
    if words & _DATE_CLASSES or (item.element >= 0 and texts.page.elements.item(item.element)[TAG] == TIME):
        modified = words & MODIFIED_CLASSES and "published" not in words
        return replace(item, kind="modified") if modified else item
    return None


def shown_days(
    texts: Texts,
    elements: Elements,
    title: str | None,
    accepted: Callable[[date], bool],
    kinds: Sequence[str],
) -> dict[str, date]:
    """The days of the kinds asked for, of "published" and "modified", that the page shows.

    Near the headline those that words name come before those of elements for dates; elsewhere words must name them,
    and no two differ. Without a headline the page must show one day alone.
    """
    shown = [item for row in texts.dated() for item in _shown_dates(texts, row) if accepted(item.day)]
    # Words beside a day settle its kind: what is not asked for then needs no look at its elements.
    asked = [item for item in shown if not item.named or item.kind in kinds]
    found = [item for item in (_by_class(texts, item) for item in asked) if item and item.kind in kinds]
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
