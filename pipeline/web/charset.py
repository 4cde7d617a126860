"""Charset: a page's bytes to text, with the charset, how it was found, and how many letters were lost.

A declaration is a candidate, never an order: Japanese pages are often declared wrongly, by themselves or by their
server. Candidates are decoded with errors replaced, and the most plausible text wins. Letters stay the page's own:
nothing is normalised, so that CP932's U+FF5E and EUC-JP's U+301C both remain.
"""

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import webencodings

from pipeline.web.charset_plausibility import CHINESE_KOREAN, plausibility
from pipeline.web.japanese_codecs import REPLACEMENT, decode_cp932, decode_euc_jp, decode_iso_2022_jp

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
# Above this share of non-ASCII bytes, escapes stand in a text that is in another charset.
_STRAY_SHARE = 0.01
# No EUC-JP sequence holds any of these bytes, and every second letter of a Shift_JIS text does.
_NEVER_EUC = bytes((*range(0x80, 0x8E), *range(0x90, 0xA1), 0xFF))
# EUC-KR comes before GBK, of whose first level its Hangul are a part.
_FALLBACKS = ("euc-kr", "gbk", "big5", "windows-1252")

# The standard's longest label has 19 letters; longer ones are not kept in memory.
_LONGEST_LABEL = 32
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


_AROUND = " \t\r\n\f\"';"


def whatwg_name(label: str) -> str | None:
    """The WHATWG name for a charset label, or None if it is unknown or may not be decoded."""
    if len(label) > _LONGEST_LABEL:
        label = label.strip(_AROUND)
    return _name_of(label) if len(label) <= _LONGEST_LABEL else None


@lru_cache(1_024)
def _name_of(label: str) -> str | None:
    label = label.strip(_AROUND)
    if not label.isascii():
        return None
    label = label.lower()
    encoding = webencodings.lookup(_MORE_LABELS.get(label, label))
    if encoding is None or encoding.name == "replacement":
        return None
    return "windows-1252" if encoding.name == "x-user-defined" else encoding.name


# Of a head in lower case: patterns that fold case take three times as long.
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_META = re.compile(rb"<meta[\s/][^<>]*?charset\s*=\s*[\"']?\s*([\w:.+-]+)")
_XML_DECLARATION = re.compile(rb"\s*<\?xml[^<>]*?encoding\s*=\s*[\"']\s*([\w:.+-]+)")


def declared_charset(body: bytes) -> str | None:
    """The charset that a page's first 4,096 bytes declare, in meta or XML declaration; as `Decoded` names it."""
    head = body[:_PRESCAN_BYTES].lower()
    if b"<!--" in head:
        head = _COMMENT.sub(b"", head)
    metas = _META.finditer(head) if b"charset" in head else ()
    found = chain(metas, filter(None, [_XML_DECLARATION.match(head)]))
    names = filter(None, (whatwg_name(match[1].decode("ascii")) for match in found))
    name = next(names, None)
    # A declaration that can be read as ASCII is not in UTF-16 (WHATWG HTML, "prescan a byte stream").
    return "utf-8" if name in ("utf-16le", "utf-16be") else name and _CANONICAL.get(name, name)


_DECODERS: dict[str, Callable[[bytes], str]] = {
    "cp932": decode_cp932,
    "euc-jp": decode_euc_jp,
    "iso-2022-jp": decode_iso_2022_jp,
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


_LONG_ASCII = re.compile(rb"(?<=[\x00-\x7f]{2})[\x00-\x7f]{6,}")


def _sample(body: bytes) -> bytes:
    """The letters outside ASCII from head and tail of a body, with the trail bytes and line ends around them."""
    letters = _LONG_ASCII.sub(b"\n", body[:_SAMPLE_WINDOW])
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
            scores[charset] = plausibility(_decode_as(sample, charset), charset, charset in declared)
            scores[charset] += _DECLARED_BONUS * declared.count(charset)
            # Big5 and GBK can read EUC-JP without an error, but EUC-JP reads them badly: hear it first.
            if scores[charset] >= _CONVINCING and charset not in CHINESE_KOREAN:
                return charset
        if max(scores.values()) >= _DOUBTFUL:
            break
    return max(scores, key=scores.__getitem__)


def _result(body: bytes, text: str, charset: str, source: str) -> Decoded:
    genuine = body.count(b"\xef\xbf\xbd") if charset == "utf-8" else 0
    return Decoded(text, charset, source, max(0, text.count(REPLACEMENT) - genuine))


def _utf8_with_surrogates(body: bytes) -> str | None:
    """Text of bytes that are UTF-8 but for surrogates: pairs become letters (CESU-8, Unicode TR 26), others U+FFFD."""
    try:
        text = body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        # Broken in another way, which the candidates are for.
        return None
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


_JIS_ESCAPE = re.compile(rb"\x1b(?:\$[@B]|\(I|\$\([@BD])")


def decode(body: bytes, http_charset: str | None = None, crawl_charset: str | None = None) -> Decoded:
    """Text of a page; `http_charset` is the charset parameter of its Content-Type header, if any. Never raises.

    `crawl_charset` is what the crawl detected: a candidate as the declared ones are.

    In this order: a byte order mark; ISO-2022-JP's escape sequences; well-formed UTF-8, or with nothing but surrogates
    wrong in it; a header that says UTF-16 over bytes that look so; then whichever of the declared charsets, UTF-8,
    CP932 and EUC-JP is most plausible and, where none is, GBK, Big5, EUC-KR or windows-1252. The source names the
    declaration that agrees with the
    result ("meta", "header", "crawl"), or "detected". NUL bytes stay; the text can always be encoded as UTF-8.
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
        return _result(body, decode_iso_2022_jp(body), "iso-2022-jp", "escape")
    try:
        # What is well-formed has lost nothing.
        return Decoded(body.decode("utf-8"), "utf-8", "bom" if has_mark else "valid-utf-8", 0)
    except UnicodeDecodeError:
        # Expected of every legacy page, which the candidates below are for.
        if has_escapes and len(body.translate(None, _ASCII_BYTES)) <= _STRAY_SHARE * len(body):
            return _result(body, decode_iso_2022_jp(body), "iso-2022-jp", "escape")
        surrogates = _utf8_with_surrogates(body)
        if surrogates is not None:
            return _result(body, surrogates, "utf-8", "bom" if has_mark else "surrogates")
    meta = declared_charset(body)
    header = header_name and _CANONICAL.get(header_name, header_name)
    # Without escapes there is nothing that ISO-2022-JP could read, and UTF-16 has been ruled out above.
    impossible = {None, "utf-16"} if has_escapes else {None, "utf-16", "iso-2022-jp"}
    crawl_name = whatwg_name(crawl_charset) if crawl_charset else None
    crawl = crawl_name and _CANONICAL.get(crawl_name, crawl_name)
    charset = _choose(body, [name for name in (meta, header, crawl) if name and name not in impossible])
    sources = {crawl: "crawl", header: "header", meta: "meta"}
    source = sources.get(charset, "detected")
    if has_mark and charset == "utf-8":
        source = "bom"
    return _result(body, _decode_as(body, charset), charset, source)
