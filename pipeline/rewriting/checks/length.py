"""Length, scripts and language: how much of which writing a rewrite has beside its source."""

from __future__ import annotations

import re

import pyarrow as pa

from pipeline.rewriting.checks.check import PairCheck

_KANA = re.compile("[ぁ-ゖゝゞァ-ヺー-ヿㇰ-ㇿｦ-ﾟ]")
_KANJI = re.compile("[々〇㐀-䶿一-鿿豈-﫿\U00020000-\U000323af]")
_LATIN = re.compile("[A-Za-zÀ-ÖØ-öø-ɏＡ-Ｚａ-ｚ]")
_HANGUL = re.compile("[가-힣ᄀ-ᇿㄱ-ㆎ]")


def shares(text: str) -> tuple[float, float, float, float, float] | None:
    """Shares of kana, kanji, Latin, Hangul and other letters among all letters; None without letters."""
    counts = [len(pattern.findall(text)) for pattern in (_KANA, _KANJI, _LATIN, _HANGUL)]
    # Half-width sound marks and 〇 are of Japanese writing and no letters to Python: all is never below the sum.
    everything = max(sum(map(str.isalpha, text)), sum(counts))
    if everything == 0:
        return None
    kana, kanji, latin, hangul = (count / everything for count in counts)
    return kana, kanji, latin, hangul, max(0.0, 1 - kana - kanji - latin - hangul)


def _length(source: str, answer: str) -> tuple[int, float | None]:
    before, after = len(source.strip()), len(answer.strip())
    return len(answer), after / before if before else 1.0 if after == 0 else None


def _language(source: str, answer: str) -> tuple[float | None, ...]:
    before, after = shares(source), shares(answer)
    if after is None:
        return None, None, None, 0.0 if before is None else 1.0
    drift = 1.0 if before is None else sum(abs(a - b) for a, b in zip(before, after, strict=True)) / 2
    return after[0] + after[1], after[0], after[2], min(1.0, drift)


LENGTH = PairCheck("length", {"characters": pa.int64(), "length_ratio": pa.float64()}, _length)
LANGUAGE = PairCheck(
    "language",
    {name: pa.float64() for name in ("japanese_ratio", "kana_ratio", "latin_ratio", "script_drift")},
    _language,
)
