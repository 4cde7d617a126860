"""Letters: what kind of letter a code point is, read from a table: tests of each kind in turn cost more."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.web.page.lean import inlined_njit

NO_LETTER, KANA_LETTER, HAN_LETTER, ALPHABETIC_LETTER, DIGIT_LETTER, END_MARK, COMMA_MARK, OPENING, CLOSING, OTHER = (
    range(10)
)

# Ranges of code points of each kind, both ends included (Unicode 15.1, Blocks.txt); of two that hold a code point the
# later counts.
_RANGES: tuple[tuple[int, str], ...] = (
    (ALPHABETIC_LETTER, "AZ az \u00c0\u1fff \u2c00\u2ddf \u3105\u312f \u3131\u318e \u31a0\u31bf \ua000\uabff"),
    (ALPHABETIC_LETTER, "\ud7b0\ud7fb \ufb00\ufdff \ufe70\ufefc \uff21\uff5a \uffa0\uffdc"),
    (DIGIT_LETTER, "09 \uff10\uff19"),
    # Ideographs, those that are there for other character sets' sake (﨑), 々, 〆, 〇, and Hangul.
    (HAN_LETTER, "\u4e00\u9fff \u3400\u4dbf \uf900\ufaff \u3005\u3007 \uac00\ud7a3"),
    (KANA_LETTER, "\u3041\u30ff \u31f0\u31ff \uff66\uff9f"),
    (OTHER, "\u30fb\u30fb"),
    (END_MARK, "!! ?? .. 。。 ！！ ？？ ．． ｡｡ …… \u0964\u0964 \u06d4\u06d4 \u061f\u061f"),
    (COMMA_MARK, ",, ;; :: 、、 ，， ､､ \u060c\u060c"),
    (OPENING, "(( [[ {{ 「「 『『 【【 （（ 〈〈 《《"),
    (CLOSING, ")) ]] }} 」」 』』 】】 ）） 〉〉 》》"),
)


def _tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """For code points below 2**16: the number of their page of 256, and the kinds of each page's, equal pages once."""
    kinds = np.full(1 << 16, OTHER, dtype=np.uint8)
    for kind, ranges in _RANGES:
        for ends in ranges.split():
            kinds[ord(ends[0]) : ord(ends[1]) + 1] = kind
    pages: dict[bytes, int] = {}
    numbers = [pages.setdefault(page.tobytes(), len(pages)) for page in kinds.reshape(256, 256)]
    return np.array(numbers, dtype=np.uint8), np.frombuffer(b"".join(pages), dtype=np.uint8)


_PAGES, _KINDS = _tables()


@inlined_njit
def kind_of(code: int) -> int:
    """What kind of letter a code point is; white space is none."""
    if code < 0x10000:
        return int(np.int64(_KINDS[int(np.int64(_PAGES[code >> 8])) << 8 | code & 0xFF]))
    # Planes 2 and 3 are ideographs'.
    return HAN_LETTER if 0x20000 <= code <= 0x3FFFF else OTHER
