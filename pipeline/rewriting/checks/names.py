"""Proper names: those of the source that a rewrite lost, and those that it has from nowhere."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.metadata import version
from typing import Any

import fugashi
import ipadic
import pyarrow as pa

from pipeline.rewriting.checks.check import PairCheck, listed

# MeCab's lattice takes some hundred bytes a letter.
_LONGEST_LINE = 10_000
_KATAKANA = re.compile("[ァ-ヺー]{3,}")
_KANJI = re.compile("[々一-鿿]{2,}")
_SUFFIXED = re.compile(
    "([々一-鿿]{1,6}?)(?:さん|氏|先生|教授|博士|社長|首相|大統領|知事|選手|監督|株式会社|大学|高校|病院|神社|空港|駅)"
)
# A word of Latin letters that begins with a capital, not at the begin of a sentence, or has two capitals.
_LATIN = re.compile(r"(?<![A-Za-z0-9])(?:[A-Z][A-Za-z0-9]*[A-Z0-9][A-Za-z0-9]*|(?<=[^\s.!?:;\"'(「] )[A-Z][a-z]{2,})")
_LATIN_IN_JAPANESE = re.compile(r"(?<=[ぁ-ヿ一-鿿、。「（])[A-Z][A-Za-z]{2,}")


def names(text: str) -> list[str]:
    """The proper names of a text in order, each once, as their forms tell them.

    Proper nouns of ipadic with kanji or three katakana, runs of katakana that ipadic does not know as common words,
    kanji before a title or the kind of an institution, and Latin words with capitals. Names in hiragana are not seen.
    """
    plain = unicodedata.normalize("NFKC", text)
    found: dict[str, None] = {}
    for line in plain.split("\n"):
        for start in range(0, len(line), _LONGEST_LINE):
            found.update(dict.fromkeys(_of_dictionary(line[start : start + _LONGEST_LINE])))
    for pattern in (_LATIN, _LATIN_IN_JAPANESE):
        found.update(dict.fromkeys(pattern.findall(plain)))
    for run in _SUFFIXED.findall(plain):
        if len(run) >= 2 and _is_name(run):
            found[run] = None
    return list(found)


def _of_dictionary(line: str) -> list[str]:
    # MeCab reads C strings.
    words = _tagger()(line.replace("\0", " ").encode("utf-8", "replace").decode())
    found = []
    for word in words:
        surface, feature = word.surface, word.feature
        proper = len(feature) > 1 and feature[1] == "固有名詞"
        if _KATAKANA.fullmatch(surface):
            if proper or word.is_unk:
                found.append(surface)
        elif proper and _KANJI.fullmatch(surface):
            found.append(surface)
    return found


def _is_name(run: str) -> bool:
    """Whether ipadic takes a run of kanji for a name or does not know it."""
    return any(word.is_unk or word.feature[1] == "固有名詞" for word in _tagger()(run))


@cache
def _tagger() -> Any:
    return fugashi.GenericTagger(ipadic.MECAB_ARGS)


def _traces(text: str) -> str:
    """The text as names are looked for in it: without white space, dots between names and long marks at ends."""
    return re.sub(r"[\s・･=＝]|ー(?![ァ-ヺ])", "", unicodedata.normalize("NFKC", text)).casefold()


def _names(source: str, answer: str) -> tuple[int, int, float | None, int, str | None]:
    before, after = names(source), names(answer)
    known, said = _traces(source), _traces(answer)
    lost = [name for name in before if _traces(name) not in said]
    invented = [name for name in after if _traces(name) not in known]
    kept = 1 - len(lost) / len(before) if before else None
    return len(before), len(lost), kept, len(invented), listed(invented)


NAMES = PairCheck(
    "names",
    {
        "source_names": pa.int64(),
        "lost_names": pa.int64(),
        "kept_names_ratio": pa.float64(),
        "invented_names": pa.int64(),
        "invented_names_list": pa.string(),
    },
    _names,
    versions=lambda: {name: version(name) for name in ("fugashi", "ipadic")},
)
