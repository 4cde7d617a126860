"""Gate: whether a page may be Japanese, from its raw bytes in one compiled scan, before anything is decoded.

It must not refuse a page whose main text is Japanese; what it lets through in other languages only costs time.
"""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.blocks import BLOCK, equal_bytes, find_high, high_bytes, lowest_bit
from pipeline.web.charset import declared_charset, whatwg_name
from pipeline.web.crawl_facts import read_crawl_facts
from pipeline.web.page.lean import lean_njit

# Kana that do without a declaration: a sentence holds more, a language menu or a name in passing fewer.
_ENOUGH_KANA = 5
# One kana for so many other letters outside Latin at least: Japanese address lists have one for some 30, and Chinese
# and Korean pages that quote a Japanese title one for thousands.
_OTHERS_PER_KANA = 200
# The same among the double-byte pairs of legacy charsets, where kana can be another charset's letters by chance:
# Japanese text has one in 2 or 3. EUC-KR's jamo (as in laughter) and GB 2312's kana share EUC-JP's rows.
_CP932_PAIRS_PER_KANA, _EUC_JP_PAIRS_PER_KANA = 20, 10
# Korean laughter and tears repeat two or three jamo; so many different kana stand in any Japanese sentence.
_DIFFERENT_KANA = 5
# Bytes that do not fit the charset, for so many pairs that do: damage is rarer, and other charsets do worse.
_PAIRS_PER_STRAY = 5
_HEAD_BYTES = 8192
_JAPANESE_CHARSETS = ("shift_jis", "euc-jp", "iso-2022-jp")


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether a page may go on, and why: what was counted or declared, or "no_kana"."""

    passed: bool
    evidence: str


# Given as a dtype by its place, it takes numpy a third of the time.
_BYTES, _NUMBERS = np.dtype(np.uint8), np.dtype(np.int64)
_NO_KANA = Gate(False, "no_kana")

# Counters of the scan over a body that may be UTF-8 or ISO-2022-JP.
_KANA, _OTHERS, _HAN, _VALID, _STRAY, _REFERENCES, _REFERENCED_OTHERS, _JIS_KANA = range(8)


@lean_njit
def _is_kana(code: int) -> bool:
    """Whether a code point is kana, full or half width; middle dot and double hyphen stand in Chinese too."""
    return (0x3041 <= code <= 0x30FE and code != 0x30FB and code != 0x30A0) or 0xFF66 <= code <= 0xFF9F


@lean_njit
def _scan(body: npt.NDArray[np.uint8], counts: npt.NDArray[np.int64]) -> None:
    """Count kana and other letters in UTF-8, numeric references and ISO-2022-JP; `counts` (8,) holds zeros before."""
    size = body.size
    position = 0
    while position < size:
        byte = body[position]
        if byte < 0x80 and position + BLOCK < size:
            # Most of a page is plain ASCII: on to what is not, to "&#" or to ESC "$".
            marks = (
                high_bytes(body, position)
                | (equal_bytes(body, position, 0x26) & equal_bytes(body, position + 1, 0x23))
                | (equal_bytes(body, position, 0x1B) & equal_bytes(body, position + 1, 0x24))
            )
            if marks == 0:
                position += BLOCK
                continue
            position += lowest_bit(marks)
            byte = body[position]
        if byte < 0x80:
            if byte == 0x26 and position + 2 < size and body[position + 1] == 0x23:
                position += 2
                hexadecimal = body[position] | 0x20 == 0x78
                if hexadecimal:
                    position += 1
                code = 0
                digits = 0
                while position < size and digits < 7:
                    digit = body[position]
                    if 0x30 <= digit <= 0x39:
                        value = digit - 0x30
                    elif hexadecimal and 0x61 <= digit | 0x20 <= 0x66:
                        value = (digit | 0x20) - 0x57
                    else:
                        break
                    code = code * (16 if hexadecimal else 10) + value
                    position += 1
                    digits += 1
                if _is_kana(code):
                    counts[_REFERENCES] += 1
                elif 0x4E00 <= code <= 0x9FFF or 0xAC00 <= code <= 0xD7A3 or 0x370 <= code <= 0x1FFF:
                    counts[_REFERENCED_OTHERS] += 1
            elif byte == 0x1B and position + 2 < size and body[position + 1] == 0x24:
                mode = body[position + 2]
                position += 3
                if mode == 0x42 or mode == 0x40:
                    while position + 1 < size and body[position] >= 0x20:
                        if (body[position] == 0x24 or body[position] == 0x25) and body[position + 1] >= 0x21:
                            counts[_JIS_KANA] += 1
                        position += 2
            else:
                position += 1
            continue
        length = 0
        if 0xC2 <= byte <= 0xDF:
            length = 2
        elif 0xE0 <= byte <= 0xEF:
            length = 3
        elif 0xF0 <= byte <= 0xF4:
            length = 4
        if length == 0 or position + length > size:
            counts[_STRAY] += 1
            position += 1
            continue
        fits = True
        for offset in range(1, length):
            if body[position + offset] & 0xC0 != 0x80:
                fits = False
        if not fits:
            counts[_STRAY] += 1
            position += 1
            continue
        counts[_VALID] += length
        if length == 2:
            counts[_OTHERS] += byte >= 0xC4
        elif length == 3:
            code = (byte & 0x0F) << 12 | (body[position + 1] & 0x3F) << 6 | (body[position + 2] & 0x3F)
            if _is_kana(code):
                counts[_KANA] += 1
            elif 0x4E00 <= code <= 0x9FFF:
                counts[_OTHERS] += 1
                counts[_HAN] += 1
            elif 0xAC00 <= code <= 0xD7A3 or code < 0x1E00 or 0x1F00 <= code <= 0x1FFF:
                counts[_OTHERS] += 1
        position += length


# Counters of the scan over a body in some legacy charset.
_CP932_KANA, _CP932_PAIRS, _CP932_HALF, _CP932_STRAY, _EUC_KANA, _EUC_PAIRS, _EUC_STRAY, _EUC_DIFFERENT = range(8)


@njit(cache=True, nogil=True)
def _scan_legacy(body: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Count kana and pairs as CP932 and as EUC-JP align them, single half-width kana, and bytes that fit neither."""
    counts = np.zeros(8, dtype=np.int64)
    seen = np.zeros((3, 256), dtype=np.bool_)
    size = body.size
    position = 0
    while position < size:
        byte = body[position]
        if byte < 0x80:
            position = find_high(body, position + 1, size)
            continue
        position += 1
        if 0xA1 <= byte <= 0xDF:
            counts[_CP932_HALF] += 1
            continue
        trail = body[position] if position < size else np.uint8(0)
        if byte in (0x80, 0xA0) or byte > 0xFC or trail < 0x40 or trail == 0x7F or trail > 0xFC:
            counts[_CP932_STRAY] += 1
            continue
        position += 1
        counts[_CP932_PAIRS] += 1
        if byte == 0x82:
            counts[_CP932_KANA] += 0x9F <= trail <= 0xF1
        elif byte == 0x83:
            counts[_CP932_KANA] += trail <= 0x96
    position = 0
    while position < size:
        byte = body[position]
        if byte < 0x80:
            position = find_high(body, position + 1, size)
            continue
        position += 1
        trail = body[position] if position < size else np.uint8(0)
        if byte == 0x8F and 0xA1 <= trail < 0xFF:
            position += 2
            counts[_EUC_PAIRS] += 1
            continue
        if (byte < 0xA1 and byte != 0x8E) or byte == 0xFF or trail < 0xA1 or trail == 0xFF:
            counts[_EUC_STRAY] += 1
            continue
        position += 1
        counts[_EUC_PAIRS] += 1
        if byte == 0xA4:
            kind = 0 if trail <= 0xF3 else -1
        elif byte == 0xA5:
            kind = 1 if trail <= 0xF6 else -1
        else:
            kind = 2 if byte == 0x8E and trail <= 0xDF else -1
        if kind >= 0:
            counts[_EUC_KANA] += 1
            counts[_EUC_DIFFERENT] += not seen[kind, trail]
            seen[kind, trail] = True
    return counts


_TAG_REST = re.compile(rb"(?:[^>\"']|\"[^\"]*\"|'[^']*')*")
# "jp" is the country, not the language, but a common slip; "jam" is Jamaican Creole.
_LANG = re.compile(rb"[\s\"'/](?:xml:)?lang\s*=\s*[\"']?\s*(?:ja|jp)(?![a-z0-9])", re.IGNORECASE)
_CONTENT_LANGUAGE = re.compile(rb"<meta\s[^<>]{0,300}content-language[^<>]{0,300}")
_CONTENT_JAPANESE = re.compile(rb"content\s*=\s*[\"']?\s*(?:[a-z-]+\s*,\s*)*ja(?![a-z0-9])", re.IGNORECASE)
_HEADER_JAPANESE = re.compile(r"\s*ja(?:[-_][a-z0-9_-]*)?\s*", re.IGNORECASE)


@lean_njit
def _may_name_japanese(head, size):  # type: ignore[no-untyped-def]
    """Whether a head, of `size` bytes with BLOCK + 2 others behind them, may declare Japanese, in any case.

    It then holds "ja" or "jp" as a word, or what each label of a Japanese charset holds one of: "ji", "1j" (of
    windows-31j), "euc", "932" or "022" (of iso-2022-jp and cp50220). A tenth of the time of a closer look.
    """
    for start in range(0, size, BLOCK):
        if (
            (
                (equal_bytes(head, start, 0x65) | equal_bytes(head, start, 0x45))
                & (equal_bytes(head, start + 1, 0x75) | equal_bytes(head, start + 1, 0x55))
                & (equal_bytes(head, start + 2, 0x63) | equal_bytes(head, start + 2, 0x43))
            )
            | (equal_bytes(head, start, 0x39) & equal_bytes(head, start + 1, 0x33) & equal_bytes(head, start + 2, 0x32))
            | (equal_bytes(head, start, 0x30) & equal_bytes(head, start + 1, 0x32) & equal_bytes(head, start + 2, 0x32))
        ):
            return True
        marks = equal_bytes(head, start, 0x6A) | equal_bytes(head, start, 0x4A)
        while marks:
            position = start + lowest_bit(marks)
            marks &= marks - np.uint64(1)
            before = head[position - 1] if position else np.uint8(0)
            following = head[position + 1] | 0x20
            if following == 0x69 or before == 0x31:
                return True
            is_word = not _is_letter_or_digit(before) and not _is_letter_or_digit(head[position + 2])
            if is_word and (following == 0x61 or following == 0x70):
                return True
    return False


@lean_njit
def _is_letter_or_digit(byte: int) -> bool:
    return 0x61 <= byte | 0x20 <= 0x7A or 0x30 <= byte <= 0x39


def _japanese_charset(name: str | None) -> str | None:
    return name if name in (*_JAPANESE_CHARSETS, "cp932") else None


def _declaration(head: bytes, http_charset: str | None, http_language: str | None, crawl_metadata: bytes) -> str | None:
    """What says that a page is Japanese: header, html element, meta, charset or the crawl; None if nothing does.

    `head` is the page's first _HEAD_BYTES.
    """
    if http_language and any(map(_HEADER_JAPANESE.fullmatch, http_language.split(","))):
        return "content-language=ja"
    by_header = _japanese_charset(http_charset and whatwg_name(http_charset))
    if _may_name_japanese(np.frombuffer(head + bytes(BLOCK + 2), dtype=np.uint8), len(head)):
        lower = head.lower()
        start = lower.find(b"<html")
        if start >= 0:
            tag = _TAG_REST.match(head, start + 5)
            if tag is not None and _LANG.search(tag[0]):
                return "lang=ja"
        meta = _CONTENT_LANGUAGE.search(lower) if b"content-language" in lower else None
        if meta is not None and _CONTENT_JAPANESE.search(meta[0]):
            return "content-language=ja"
        by_header = by_header or _japanese_charset(declared_charset(head))
    if by_header:
        return f"charset={by_header}"
    crawl = read_crawl_facts(crawl_metadata)
    if crawl.japanese:
        return "languages-cld2=ja"
    if crawl.charset and whatwg_name(crawl.charset) in _JAPANESE_CHARSETS:
        return f"charset-detected={whatwg_name(crawl.charset)}"
    return None


def _has_many_nuls(body: npt.NDArray[np.uint8]) -> bool:
    return int(body.size - np.count_nonzero(body)) * 16 > body.size


def _utf_16_kana(body: npt.NDArray[np.uint8], mark: bytes, http_charset: str | None) -> int:
    """Kana in a body that a byte order mark, its first two bytes, or the HTTP header says to be UTF-16; else 0."""
    name = http_charset and whatwg_name(http_charset)
    if mark == b"\xff\xfe" or (name == "utf-16le" and _has_many_nuls(body)):
        order = "<u2"
    elif mark == b"\xfe\xff" or (name == "utf-16be" and _has_many_nuls(body)):
        order = ">u2"
    else:
        return 0
    units = body[: body.size // 2 * 2].view(order)
    return int(np.count_nonzero((units >= 0x3041) & (units <= 0x30FE) & (units != 0x30FB)))


def may_be_japanese(
    body: bytes | memoryview,
    http_charset: str | None = None,
    http_language: str | None = None,
    crawl_metadata: bytes = b"",
) -> Gate:
    """Whether a page may be Japanese, from its bytes, its Content-Type charset and Content-Language headers, and the
    block of the crawl's metadata record about it.

    Five kana suffice in UTF-8, UTF-16, ISO-2022-JP or as numeric references, unless they drown in other scripts. In
    CP932 and EUC-JP they must also be dense among the double-byte pairs, since kana can be there by chance. A
    declaration (html lang, Content-Language, a Japanese charset, what the crawl detected) lets one kana or kanji do.
    Linear time, never raises.
    """
    array = np.frombuffer(body, _BYTES)
    counted = np.zeros(8, _NUMBERS)
    _scan(array, counted)
    counts = counted.tolist()
    jis = counts[_JIS_KANA]
    if jis >= _ENOUGH_KANA:
        return Gate(True, f"iso-2022-jp kana {jis}")
    # Where most of the bytes outside ASCII are UTF-8, reading them as a legacy charset shows kana that are none,
    # and the other way round.
    legacy = _scan_legacy(array).tolist() if counts[_STRAY] * 4 > counts[_VALID] else [0] * 8
    found, pairs = legacy[_CP932_KANA], legacy[_CP932_PAIRS]
    if found >= _ENOUGH_KANA and found * _CP932_PAIRS_PER_KANA >= pairs >= legacy[_CP932_STRAY] * _PAIRS_PER_STRAY:
        return Gate(True, f"cp932 kana {found} of {pairs} pairs")
    found, pairs = legacy[_EUC_KANA], legacy[_EUC_PAIRS]
    dense = found * _EUC_JP_PAIRS_PER_KANA >= pairs >= legacy[_EUC_STRAY] * _PAIRS_PER_STRAY
    if dense and legacy[_EUC_DIFFERENT] >= _DIFFERENT_KANA:
        return Gate(True, f"euc-jp kana {found} of {pairs} pairs")
    kana = counts[_KANA] + counts[_REFERENCES]
    others = counts[_OTHERS] + counts[_REFERENCED_OTHERS]
    if kana >= _ENOUGH_KANA and kana * _OTHERS_PER_KANA >= others:
        if counts[_KANA] >= counts[_REFERENCES]:
            return Gate(True, f"utf-8 kana {counts[_KANA]}")
        return Gate(True, f"references {counts[_REFERENCES]}")
    wide = _utf_16_kana(array, bytes(body[:2]), http_charset)
    if wide >= _ENOUGH_KANA:
        return Gate(True, f"utf-16 kana {wide}")
    letters = kana + counts[_HAN] + jis + wide
    letters += max(legacy[_CP932_PAIRS] + legacy[_CP932_HALF], legacy[_EUC_PAIRS])
    if letters:
        declaration = _declaration(bytes(body[:_HEAD_BYTES]), http_charset, http_language, crawl_metadata)
        if declaration is not None:
            return Gate(True, f"{declaration} with {letters} letters")
    return _NO_KANA
