"""Dates: the day that a text or a URL names, in the forms in which Japanese pages write them."""

from __future__ import annotations

import re
from datetime import date, timedelta

from pipeline.web.metadata.lines import MAX_URL

EARLIEST = date(1990, 1, 1)
# Where the day of the fetch is not known: no clock is asked.
LATEST = date(2100, 1, 1)

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


def narrow(text: str) -> str:
    """A text with the digits and marks of dates in ASCII, letter for letter."""
    return text.translate(_FULL_WIDTH) if _IS_FULL_WIDTH.search(text) else text


def dates_in(text: str) -> list[tuple[int, int, date]]:
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
    text = narrow(text[:100])
    match = _COMPACT.match(text)
    if match:
        return _day(int(match[1]), int(match[2]), int(match[3]))
    found = dates_in(text)
    if found:
        return found[0][2]
    match = _ENGLISH.search(text)
    if match is None:
        return None
    month = _MONTHS.index((match[1] or match[4]).lower()) + 1
    return _day(int(match[5]), month, int(match[2] or match[3]))


def url_date(url: str) -> date | None:
    """The day in a URL's path, as in /2024/05/13/, /2024-05-13-title or /20240513.html."""
    path = re.split("[?#]", url[:MAX_URL], maxsplit=1)[0]
    match = re.search(r"/((?:19|20)\d\d)([/-]?)(\d{2})\2(\d{2})(?=[/._-]|\Z)", path) or re.search(
        r"/((?:19|20)\d\d)(/)(\d)/(\d{1,2})(?=[/._-]|\Z)", path
    )
    return _day(int(match[1]), int(match[3]), int(match[4])) if match else None
