"""Numbers and dates: those of the source that a rewrite lost, and those that it has from nowhere."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation

import pyarrow as pa

from pipeline.rewriting.checks.check import PairCheck, listed

_DIGITS = {digit: str(value) for value, digit in enumerate("〇一二三四五六七八九")} | {"零": "0"}
_SMALL = {"十": 10, "百": 100, "千": 1000}
_LARGE = {"万": 10**4, "億": 10**8, "兆": 10**12}
# First years of eras; since 1873, when Japan's calendar became the Gregorian.
_ERAS = {"明治": 1868, "大正": 1912, "昭和": 1926, "平成": 1989, "令和": 2019}

_KANJI_NUMBER = "[〇零一二三四五六七八九十百千万億兆]"
# Numerals of kanji count where a unit follows or where there are several: 一般 and 十分 have none.
_UNITS = (
    "年|月|日|時|分|秒|歳|才|人|名|円|個|回|件|台|本|枚|位|章|条|項|号|階|丁目|番地"
    "|世紀|週間|か月|カ月|ヶ月|倍|割|パーセント|%"
)
_KANJI = re.compile(
    rf"第({_KANJI_NUMBER}+)|(?<![\d〇零一二三四五六七八九十百千万億兆])(?:({_KANJI_NUMBER}+)(?={_UNITS})|({_KANJI_NUMBER}{{3,}}))"
)
_WORDS = re.compile("一(?:人|回|時|日|本|枚|位|番|名|個|件|年中|月並)|十分|万一|千万|百人一首|四六時|一二|二三|七五三")
_CIRCLED = re.compile("[①-⓿❶-➓㉑-㉟㊱-㊿]")
_LIST_MARK = re.compile(r"^[ \t>*#-]*[(（]?\d{1,3}[.)）、．:：](?=[ \t\D])|^[ \t]*(?:Q|A|問|答)\d{1,3}\b", re.MULTILINE)
_ERA = re.compile(rf"({'|'.join(_ERAS)})(元|\d{{1,2}})年")
# At most so many digits: what is longer is no quantity, and int() is slow on it.
_NUMBER = re.compile(
    r"(?<![\d.])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)*(?:[十百千万億兆]+(?:\d{1,4}(?:\.\d+)?[十百千万億兆]*)*)?"
)
_PART = re.compile(r"(\d+(?:\.\d+)?)|([十百千万億兆])")


def numbers(text: str) -> list[str]:
    """The numbers of a text in order, each in one form: ２０２４ and 二〇二四 are 2024, 3万5千 is 35000, 09 is 9.

    Marks of lists are none. A year of an era is followed by the year of the calendar.
    """
    plain = _LIST_MARK.sub(" ", unicodedata.normalize("NFKC", _CIRCLED.sub(" ", text)))
    plain = _KANJI.sub(_of_kanji, _WORDS.sub(" ", plain))
    plain = _ERA.sub(_with_year, plain)
    return [_one_form(found[0]) for found in _NUMBER.finditer(plain)]


def _of_kanji(found: re.Match[str]) -> str:
    numeral = found[1] or found[2] or found[3]
    return found[0].replace(numeral, _value_of_kanji(numeral))


def _value_of_kanji(numeral: str) -> str:
    if all(letter in _DIGITS for letter in numeral):
        return "".join(_DIGITS[letter] for letter in numeral)
    return _one_form("".join(_DIGITS.get(letter, letter) for letter in numeral))


def _with_year(found: re.Match[str]) -> str:
    year = 1 if found[2] == "元" else int(found[2])
    return f"{found[1]}{year}年 {_ERAS[found[1]] + year - 1}年"


def _one_form(written: str) -> str:
    """A number as digits with units of ten in one form; what is no number, as 1.2.3, as it stands."""
    written = written.replace(",", "")
    if len(written) > 40 or written.count(".") > 1:
        return written
    try:
        whole, section, digits = Decimal(0), Decimal(0), None
        for number, unit in _PART.findall(written):
            if number:
                digits = Decimal(number)
            elif unit in _SMALL:
                section += (Decimal(1) if digits is None else digits) * _SMALL[unit]
                digits = None
            else:
                section += digits or Decimal(0)
                whole += (section or Decimal(1)) * _LARGE[unit]
                section, digits = Decimal(0), None
        value = whole + section + (digits or Decimal(0))
        return f"{value.normalize():f}"
    except (InvalidOperation, ValueError):
        return written


def _numbers(source: str, answer: str) -> tuple[int, int, float | None, int, str | None]:
    before, after = list(dict.fromkeys(numbers(source))), list(dict.fromkeys(numbers(answer)))
    known, said = set(before), set(after)
    lost = [number for number in before if number not in said]
    invented = [number for number in after if number not in known]
    kept = 1 - len(lost) / len(before) if before else None
    return len(before), len(lost), kept, len(invented), listed(invented)


NUMBERS = PairCheck(
    "numbers",
    {
        "source_numbers": pa.int64(),
        "lost_numbers": pa.int64(),
        "kept_numbers_ratio": pa.float64(),
        "invented_numbers": pa.int64(),
        "invented_numbers_list": pa.string(),
    },
    _numbers,
)
