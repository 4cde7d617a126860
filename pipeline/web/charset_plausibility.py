"""How plausible a text is: whether its letters are those that a page in the charset would have."""

import numpy as np
import numpy.typing as npt

# Kanji speak for a Japanese charset that nothing declares only beside kana, of which sentences have more than kanji.
_KANJI_PER_KANA = 3
_JAPANESE = ("cp932", "euc-jp", "iso-2022-jp")
CHINESE_KOREAN = ("gbk", "gb18030", "big5", "euc-kr")
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


def plausibility(text: str, charset: str, declared: bool) -> float:
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
    elif charset in CHINESE_KOREAN:
        # Hangul lie within GBK's first level too, but never the other way round as densely.
        value += (0.9 if charset == "euc-kr" else 0.8) * common - 0.6 * counts[_HALFWIDTH]
    else:
        value += 0.5 * counts[_ALPHABET] - 0.5 * common
    return value / codes.size
