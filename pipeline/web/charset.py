"""Charset: a page's bytes to text, with the charset, how it was found, and how many letters were lost.

A declaration is a candidate, never an order: Japanese pages are often declared wrongly, by themselves or by their
server. Candidates are decoded with errors replaced, and the most plausible text wins. Letters stay the page's own:
nothing is normalised, so that CP932's U+FF5E and EUC-JP's U+301C both remain.
"""

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import webencodings
from numba import njit

REPLACEMENT = "\ufffd"
# HTML looks for a declaration in the first 1,024 bytes; pages that declare later than that are common enough.
_PRESCAN_BYTES = 4096
_ASCII_BYTES = bytes(range(0x80))
# What candidates are judged on: some 8,000 letters decide as well as all of them.
_SAMPLE_WINDOW, _SAMPLE_HEAD, _SAMPLE_TAIL = 1 << 22, 12_288, 4_096
# What a right Japanese charset or UTF-8 reaches, and a wrong one never does: nothing else need be tried.
_CONVINCING = 0.7
# Below this even the best candidate is doubtful, and charsets that nothing names are tried too.
_DOUBTFUL = 0.5
# Enough to decide between near equals, too little to save a wrong declaration.
_DECLARED_BONUS = 0.05
# Kanji speak for a Japanese charset that nothing declares only beside kana, of which sentences have more than kanji.
_KANJI_PER_KANA = 3
# Above this share of non-ASCII bytes, escapes stand in a text that is in another charset.
_STRAY_SHARE = 0.01

_JAPANESE = ("cp932", "euc-jp", "iso-2022-jp")
_CHINESE_KOREAN = ("gbk", "gb18030", "big5", "euc-kr")
# EUC-KR comes before GBK, of whose first level its Hangul are a part.
_FALLBACKS = ("euc-kr", "gbk", "big5", "windows-1252")

# Names that pages use and the WHATWG Encoding standard's table does not know.
_MORE_LABELS = {
    "cp932": "shift_jis",
    "ms-kanji": "shift_jis",
    "shiftjis": "shift_jis",
    "shift_jis-win": "shift_jis",
    "sjis-win": "shift_jis",
    "windows-932": "shift_jis",
    "euc": "euc-jp",
    "eucjp": "euc-jp",
    "euc_jp": "euc-jp",
    "eucjp-ms": "euc-jp",
    "eucjp-win": "euc-jp",
    "cp51932": "euc-jp",
    "jis": "iso-2022-jp",
    "iso2022jp": "iso-2022-jp",
    "iso-2022-jp-ms": "iso-2022-jp",
    "cp50220": "iso-2022-jp",
    "cp50221": "iso-2022-jp",
    "cp936": "gbk",
    "cp949": "euc-kr",
    "cp950": "big5",
}
_CANONICAL = {"shift_jis": "cp932", "utf-16le": "utf-16", "utf-16be": "utf-16"}


@dataclass(frozen=True, slots=True)
class Decoded:
    """A page's text with its charset ("cp932", "utf-16", else the WHATWG name), source and letters lost."""

    text: str
    charset: str
    source: str
    replacements: int


def whatwg_name(label: str) -> str | None:
    """The WHATWG name for a charset label, or None if it is unknown or may not be decoded."""
    label = label.strip(" \t\r\n\f\"';").lower()
    if not label.isascii():
        return None
    encoding = webencodings.lookup(_MORE_LABELS.get(label, label))
    if encoding is None or encoding.name == "replacement":
        return None
    return "windows-1252" if encoding.name == "x-user-defined" else encoding.name


_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_META = re.compile(rb"<meta[\s/][^<>]*?charset\s*=\s*[\"']?\s*([\w:.+-]+)", re.IGNORECASE)
_XML_DECLARATION = re.compile(rb"\s*<\?xml[^<>]*?encoding\s*=\s*[\"']\s*([\w:.+-]+)", re.IGNORECASE)


def declared_charset(body: bytes) -> str | None:
    """The charset that a page's first 4,096 bytes declare, in meta or XML declaration; as `Decoded` names it."""
    head = _COMMENT.sub(b"", body[:_PRESCAN_BYTES])
    found = chain(_META.finditer(head), filter(None, [_XML_DECLARATION.match(head)]))
    names = filter(None, (whatwg_name(match[1].decode("ascii")) for match in found))
    name = next(names, None)
    # A declaration that can be read as ASCII is not in UTF-16 (WHATWG HTML, "prescan a byte stream").
    return "utf-8" if name in ("utf-16le", "utf-16be") else name and _CANONICAL.get(name, name)


# --- EUC-JP and ISO-2022-JP with the vendors' letters -------------------------------------------------------------


def _pair_in_cp932(row: int, cell: int) -> bytes:
    """The Shift_JIS bytes of JIS X 0208 row and cell, both counted from 0."""
    lead = 0x81 + row // 2
    trail = cell + (0x9F if row % 2 else 0x40)
    return bytes((lead if lead < 0xA0 else lead + 0x40, trail if row % 2 or trail < 0x7F else trail + 1))


def _vendor_letters() -> dict[bytes, str]:
    """EUC-JP sequences that Python's euc_jp lacks: NEC row 13, NEC's IBM rows 89-92, IBM's letters behind 8F.

    The two-byte ones are CP51932's, the three-byte ones (8F F3 F3 to 8F F4 FE) are eucJP-ms's: IBM's extension in
    its own order, without the letters of JIS X 0212.
    """
    letters = {}
    for row in (12, 88, 89, 90, 91):
        for cell in range(94):
            letter = _pair_in_cp932(row, cell).decode("cp932", "ignore")
            if len(letter) == 1:
                letters[bytes((0xA1 + row, 0xA1 + cell))] = letter
    trails = [*range(0x40, 0x7F), *range(0x80, 0xFD)]
    ibm = bytes(byte for lead in (0xFA, 0xFB) for trail in trails for byte in (lead, trail)).decode("cp932")
    ibm += bytes(byte for trail in range(0x40, 0x4C) for byte in (0xFC, trail)).decode("cp932")
    # eucJP-ms also lacks the NOT and the broken bar here, and keeps the numero sign, which JIS X 0212 has as well.
    missing = [letter for letter in ibm if letter == "№" or not letter.encode("euc_jp", "ignore")]
    missing = [letter for letter in missing if letter not in "￢￤"]
    for index, letter in enumerate(missing):
        row, cell = divmod(0xF3 * 94 + 0xF3 - 0xA1 + index, 94)
        letters[bytes((0x8F, row, 0xA1 + cell))] = letter
    return letters


_VENDOR_LETTERS = _vendor_letters()
_EUC_ERRORS = "kamisuki.euc-jp"


def _euc_jp_error(error: UnicodeError) -> tuple[str, int]:
    """Codec error handler: a vendor's letter, or one replacement for the sequence that has no letter."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    sequence = error.object[error.start : error.start + 3]
    length = 3 if sequence[0] == 0x8F else 2
    trails = sequence[1:length]
    # An unassigned but well-formed sequence goes as a whole: half of it would shift every pair that follows.
    if sequence[0] < 0x8F or len(trails) < length - 1 or min(trails) < 0xA1 or max(sequence[:length]) == 0xFF:
        length = 1
    return _VENDOR_LETTERS.get(sequence[:length], REPLACEMENT), error.start + length


codecs.register_error(_EUC_ERRORS, _euc_jp_error)


def _pair_values() -> npt.NDArray[np.int8]:
    """(94, 94) how likely an EUC-JP pair is in Japanese text: kana 3, common kanji and signs 1, rare -1, none -3."""
    values = np.full((94, 94), -1, dtype=np.int8)
    values[15:47] = 1
    values[[0, 2]] = 1
    values[3:5] = 3
    for row in range(94):
        for cell in range(94):
            if bytes((0xA1 + row, 0xA1 + cell)).decode("euc_jp", _EUC_ERRORS) == REPLACEMENT:
                values[row, cell] = -3
    return values


_PAIR_VALUES = _pair_values()
_BROKEN = 0x80
# No EUC-JP sequence holds any of these bytes, and every second letter of a Shift_JIS text does.
_NEVER_EUC = bytes((*range(0x80, 0x8E), *range(0x90, 0xA1), 0xFF))


@njit(cache=True, nogil=True)
def _realign(body: npt.NDArray[np.uint8], values: npt.NDArray[np.int8]) -> None:  # pragma: no cover - compiled
    """Mark, in place, the byte that is one too many in each odd run of EUC-JP bytes, where the rest reads best."""
    position = 0
    while position < body.size:
        byte = body[position]
        if byte == 0x8E:
            position += 2
            continue
        if byte == 0x8F:
            position += 3
            continue
        if byte < 0xA1 or byte == 0xFF:
            position += 1
            continue
        end = position
        while end < body.size and body[end] >= 0xA1 and body[end] != 0xFF:
            end += 1
        if (end - position) % 2:
            # Pairs stand at position + 0, 2, ... before the odd byte, and one further on behind it.
            score = 0
            for at in range(position + 1, end - 1, 2):
                score += values[body[at] - 0xA1, body[at + 1] - 0xA1]
            best, best_score = position, score
            for at in range(position, end - 1, 2):
                score += values[body[at] - 0xA1, body[at + 1] - 0xA1]
                score -= values[body[at + 1] - 0xA1, body[at + 2] - 0xA1]
                if score > best_score:
                    best, best_score = at + 2, score
            body[best] = _BROKEN
        position = end


def _decode_euc_jp(body: bytes) -> str:
    text = body.decode("euc_jp", _EUC_ERRORS)
    if REPLACEMENT not in text:
        return text
    # In EUC-JP one broken byte shifts all pairs up to the next ASCII letter, unless the odd byte is found.
    realigned = np.frombuffer(body, dtype=np.uint8).copy()
    _realign(realigned, _PAIR_VALUES)
    return realigned.tobytes().decode("euc_jp", _EUC_ERRORS)


def _decode_cp932(body: bytes) -> str:
    text = body.decode("cp932", "replace")
    # Python reads the bytes A0, FD, FE and FF, which CP932 does not assign, as these private letters.
    for letter in "\uf8f0\uf8f1\uf8f2\uf8f3":
        text = text.replace(letter, REPLACEMENT)
    return text


_ESCAPE = re.compile(rb"\x1b(\$[@B]|\([BJI]|\$\([@BD])")
_TO_EUC = bytes(byte + 0x80 if 0x21 <= byte <= 0x7E else byte if byte < 0x21 else _BROKEN for byte in range(256))
# JIS X 0201 Roman is ASCII but for these two.
_ROMAN = str.maketrans("\\~", "¥‾")
_LINE_END = re.compile(rb"[\r\n]")


def _decode_iso_2022_jp(body: bytes) -> str:
    marks = list(_ESCAPE.finditer(body))
    texts = [body[: marks[0].start() if marks else None].decode("ascii", "replace")]
    ends = [*(mark.start() for mark in marks[1:]), len(body)]
    for mark, end in zip(marks, ends):
        section, mode = body[mark.end() : end], mark[1]
        if mode == b"(B":
            texts.append(section.decode("ascii", "replace"))
            continue
        if mode == b"(J":
            texts.append(section.decode("ascii", "replace").translate(_ROMAN))
            continue
        # A line ends in ASCII (RFC 1468): where the closing escape is lost, the damage stops there.
        line_end = _LINE_END.search(section)
        cut = line_end.start() if line_end else len(section)
        letters = section[:cut].translate(_TO_EUC)
        if mode == b"(I":
            letters = re.sub(rb"([\xa1-\xdf])", b"\x8e\\1", letters)
        elif mode == b"$(D":
            letters = re.sub(rb"([\xa1-\xfe]{2})", b"\x8f\\1", letters)
        texts.append(_decode_euc_jp(letters))
        texts.append(section[cut:].decode("ascii", "replace"))
    return "".join(texts)


_DECODERS: dict[str, Callable[[bytes], str]] = {
    "cp932": _decode_cp932,
    "euc-jp": _decode_euc_jp,
    "iso-2022-jp": _decode_iso_2022_jp,
}


def _decode_as(body: bytes, charset: str) -> str:
    """Text of a body in a charset that `declared_charset` or the fallbacks named, errors replaced."""
    if charset in _DECODERS:
        return _DECODERS[charset](body)
    # The standard's decoder for GBK is that of GB18030, its superset.
    if charset == "gbk":
        return body.decode("gb18030", "replace")
    encoding = webencodings.lookup(charset)
    return encoding.codec_info.decode(body, "replace")[0]


# --- How plausible a text is --------------------------------------------------------------------------------------

_ASCII, _KANA, _PUNCTUATION, _ALPHABET, _HALFWIDTH, _BAD, _OTHER = range(7)


def _kinds() -> npt.NDArray[np.uint8]:
    """(65536,) the kind of each letter of the Basic Multilingual Plane."""
    kinds = np.full(0x10000, _OTHER, dtype=np.uint8)
    spans = [
        (_ASCII, [(0x00, 0x7F)]),
        (_BAD, [(0x80, 0x9F), (0xE000, 0xF8FF), (0xFFFD, 0xFFFD)]),
        (_ALPHABET, [(0xC0, 0x1FFF)]),
        (_PUNCTUATION, [(0xA0, 0xBF), (0x2010, 0x205E), (0x2122, 0x2122), (0x3000, 0x301F)]),
        (_PUNCTUATION, [(0x30FB, 0x30FB), (0xFF01, 0xFF60), (0xFFE0, 0xFFE6)]),
        (_KANA, [(0x3041, 0x3096), (0x309B, 0x309E), (0x30A1, 0x30FA), (0x30FC, 0x30FE)]),
        (_HALFWIDTH, [(0xFF61, 0xFF9F)]),
    ]
    for kind, ranges in spans:
        for first, last in ranges:
            kinds[first : last + 1] = kind
    return kinds


def _common(codec: str, leads: range, trails: range) -> npt.NDArray[np.bool_]:
    """(65536,) the letters that a national standard gives its first level, as common ones."""
    common = np.zeros(0x10000, dtype=np.bool_)
    for lead in leads:
        for letter in bytes(byte for trail in trails for byte in (lead, trail)).decode(codec, "ignore"):
            common[ord(letter)] = True
    return common & (_KINDS == _OTHER)


_KINDS = _kinds()
# First levels: JIS X 0208 rows 16-47, GB 2312 rows 16-55, Big5 A440-C67E, and all Hangul of KS X 1001.
_JIS_COMMON = _common("euc_jp", range(0xB0, 0xD0), range(0xA1, 0xFF))
_GB_COMMON = _common("gb2312", range(0xB0, 0xD8), range(0xA1, 0xFF))
_COMMON = {
    "gbk": _GB_COMMON,
    "gb18030": _GB_COMMON,
    "big5": _common("big5", range(0xA4, 0xC6), range(0x40, 0x7F))
    | _common("big5", range(0xA4, 0xC6), range(0xA1, 0xFF)),
    "euc-kr": _common("euc_kr", range(0xB0, 0xC9), range(0xA1, 0xFF)),
}


def _plausibility(text: str, charset: str, declared: bool) -> float:
    """From -2 to 1: how well a text looks as if its charset were right, over its letters outside ASCII.

    The weights are hand-set; what they must tell apart is pinned by the tests. Kana speak for Japanese charsets only:
    GB 2312 holds them in the same rows as EUC-JP, so that EUC-JP read as GBK has them too.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), dtype=np.uint32)
    codes = np.minimum(codes[codes > 0x7F], 0xFFFF).astype(np.uint16)
    if codes.size == 0:
        return 0.0
    if charset == "utf-8":
        # Bytes that make UTF-8 sequences by chance are rare: well-formedness is all the evidence that is needed.
        return 1.0 - 2.0 * float(np.count_nonzero(codes == 0xFFFD)) / codes.size
    counts = np.bincount(_KINDS[codes], minlength=7).tolist()
    home = _COMMON.get(charset, _JIS_COMMON)
    common = int(np.count_nonzero(home[codes]))
    value = 0.4 * counts[_PUNCTUATION] - 1.0 * counts[_BAD] - 0.5 * (counts[_OTHER] - common)
    if charset in _JAPANESE:
        supported = common if declared else min(common, _KANJI_PER_KANA * counts[_KANA])
        halfwidth = min(counts[_HALFWIDTH], 2 * counts[_KANA])
        value += counts[_KANA] + 0.8 * supported + 0.5 * halfwidth - 0.6 * (counts[_HALFWIDTH] - halfwidth)
    elif charset in _CHINESE_KOREAN:
        # Hangul lie within GBK's first level too, but never the other way round as densely.
        value += (0.9 if charset == "euc-kr" else 0.8) * common - 0.6 * counts[_HALFWIDTH]
    else:
        value += 0.5 * counts[_ALPHABET] - 0.5 * common
    return value / codes.size


_LONG_ASCII = re.compile(rb"([\x00-\x7f]{2})[\x00-\x7f]{6,}")


def _sample(body: bytes) -> bytes:
    """The letters outside ASCII from head and tail of a body, with the trail bytes and line ends around them."""
    letters = _LONG_ASCII.sub(rb"\1\n", body[:_SAMPLE_WINDOW])
    if len(letters) <= _SAMPLE_HEAD + _SAMPLE_TAIL:
        return letters
    return letters[:_SAMPLE_HEAD] + b"\n" + letters[-_SAMPLE_TAIL:].partition(b"\n")[2]


def _may_be_euc_jp(sample: bytes) -> bool:
    """Whether at most a tenth of the bytes outside ASCII are impossible in EUC-JP, at a fraction of decoding's cost."""
    letters = sample.translate(None, _ASCII_BYTES)
    return 10 * (len(letters) - len(letters.translate(None, _NEVER_EUC))) <= len(letters)


def _choose(body: bytes, declared: list[str]) -> str:
    """The most plausible charset of a body that is not wholly UTF-8; an earlier candidate wins a tie."""
    sample = _sample(body)
    scores: dict[str, float] = {}
    for group in ((*declared, "utf-8", "cp932", "euc-jp"), _FALLBACKS):
        for charset in group:
            if charset in scores or (charset == "euc-jp" and not _may_be_euc_jp(sample)):
                continue
            scores[charset] = _plausibility(_decode_as(sample, charset), charset, charset in declared)
            scores[charset] += _DECLARED_BONUS * declared.count(charset)
            # Big5 and GBK can read EUC-JP without an error, but EUC-JP reads them badly: hear it first.
            if scores[charset] >= _CONVINCING and charset not in _CHINESE_KOREAN:
                return charset
        if max(scores.values()) >= _DOUBTFUL:
            break
    return max(scores, key=scores.__getitem__)


def _result(body: bytes, text: str, charset: str, source: str) -> Decoded:
    genuine = body.count(b"\xef\xbf\xbd") if charset == "utf-8" else 0
    return Decoded(text, charset, source, max(0, text.count(REPLACEMENT) - genuine))


_JIS_ESCAPE = re.compile(rb"\x1b(?:\$[@B]|\(I|\$\([@BD])")


def decode(body: bytes, http_charset: str | None = None) -> Decoded:
    """Text of a page; `http_charset` is the charset parameter of its Content-Type header, if any. Never raises.

    In this order: a byte order mark; ISO-2022-JP's escape sequences; well-formed UTF-8; a header that says UTF-16
    over bytes that look so; then whichever of the declared charsets, UTF-8, CP932 and EUC-JP is most plausible
    and, where none is, GBK, Big5, EUC-KR or windows-1252. The source names the declaration that agrees with the
    result ("meta", "header"), or "detected". NUL bytes stay; the text can always be encoded as UTF-8.
    Other charsets, as Cyrillic ones, are found where they are declared only. Takes time linear in the body's length.
    """
    for mark, codec in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if body.startswith(mark):
            return _result(body, body[2:].decode(codec, "replace"), "utf-16", "bom")
    has_mark = body.startswith(codecs.BOM_UTF8)
    if has_mark:
        body = body[3:]
    header_name = whatwg_name(http_charset) if http_charset else None
    if header_name in ("utf-16le", "utf-16be") and body.count(0) * 16 > len(body):
        return _result(body, body.decode(f"{header_name[:-2]}-{header_name[-2:]}", "replace"), "utf-16", "header")
    has_escapes = b"\x1b" in body and _JIS_ESCAPE.search(body) is not None
    if has_escapes and body.isascii():
        return _result(body, _decode_iso_2022_jp(body), "iso-2022-jp", "escape")
    try:
        return _result(body, body.decode("utf-8"), "utf-8", "bom" if has_mark else "valid-utf-8")
    except UnicodeDecodeError:
        # Expected of every legacy page, which the candidates below are for.
        if has_escapes and len(body.translate(None, _ASCII_BYTES)) <= _STRAY_SHARE * len(body):
            return _result(body, _decode_iso_2022_jp(body), "iso-2022-jp", "escape")
    meta = declared_charset(body)
    header = header_name and _CANONICAL.get(header_name, header_name)
    # Without escapes there is nothing that ISO-2022-JP could read, and UTF-16 has been ruled out above.
    impossible = {None, "utf-16"} if has_escapes else {None, "utf-16", "iso-2022-jp"}
    charset = _choose(body, [name for name in (meta, header) if name and name not in impossible])
    source = "meta" if charset == meta else "header" if charset == header else "detected"
    if has_mark and charset == "utf-8":
        source = "bom"
    return _result(body, _decode_as(body, charset), charset, source)
