"""Signals of the text alone: their registry, and `measure`, which gives all of them for a batch of texts."""

from __future__ import annotations

import unicodedata
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from filters.assets import Asset
from filters.characters import character_signals, class_table, count_classes
from filters.ng_words import NgWordMatcher, read_word_list
from filters.repetition import REPEATED_LENGTHS, TOP_LENGTHS, count_ngrams, repetition_signals
from filters.sentences import count_sentences, sentence_signals
from filters.shares import share
from filters.signal import Signal
from filters.text_buffers import code_point_blocks

# Bumped when any value of any signal could change.
RULE_VERSION: int = 2

_INTEGER = pa.int32()
_RATIO = pa.float64()

_QUALITY_PY = "swallow-llm/swallow-corpus at 2d03507, quality.py (Okazaki et al. 2024, arXiv 2404.17733)"
_NGWORD_PY = "swallow-llm/swallow-corpus at 2d03507, ngword.py (Okazaki et al. 2024, arXiv 2404.17733)"
_ACCEPT = "HojiChar 0.18, AcceptJapanese"
_HOJICHAR = "HojiChar 0.18, DiscardRareKuten"
_BOUNDED = "own: Uzushio counts distinct words, HojiChar and Swallow find words inside others"
_SCRIPTS = "Unicode 14 scripts and blocks; Swallow's idea with ー, iteration marks, half-width kana and astral kanji"
_PAPER = "Okazaki et al. 2024, arXiv 2404.17733: repeated n-grams by occurrence, where quality.py counts types"


def _registry() -> dict[str, Signal]:
    characters = [
        ("characters", _INTEGER, "code points of the text, newlines included", _QUALITY_PY),
        (
            "letters",
            _INTEGER,
            "letters and digits of any script: categories L and N, kanji, combining dakuten and handakuten",
            "Unicode 14 general categories",
        ),
        ("before_kana", _INTEGER, "characters before the first kana; all of them without one", _ACCEPT),
        ("japanese_letters", _INTEGER, "hiragana, katakana, kanji and the marks 、，。．！？", _SCRIPTS),
        ("hiragana_ratio", _RATIO, "hiragana, ゝ and ゞ included, over japanese_letters", _SCRIPTS),
        ("katakana_ratio", _RATIO, "katakana, ー, ヽ, ヾ and half-width included, over japanese_letters", _SCRIPTS),
        ("kanji_ratio", _RATIO, "kanji, 々〇〻 and those of planes 2 and 3 included, over japanese_letters", _SCRIPTS),
        ("japanese_ratio", _RATIO, "japanese_letters over characters", _SCRIPTS),
        (
            "swallow_japanese_letters",
            _INTEGER,
            "Japanese letters as Swallow counts: without ー, ゝゞヽヾ, half-width kana and astral kanji",
            _QUALITY_PY,
        ),
        ("swallow_hiragana_ratio", _RATIO, "hiragana (ぁ to ゖ) over swallow_japanese_letters", _QUALITY_PY),
        ("swallow_katakana_ratio", _RATIO, "katakana (ァ to ヺ, no ー) over swallow_japanese_letters", _QUALITY_PY),
        ("swallow_japanese_ratio", _RATIO, "swallow_japanese_letters over characters", _QUALITY_PY),
    ]
    sentences = [
        ("lines", _INTEGER, "lines, empty ones included: newlines + 1", _QUALITY_PY),
        ("sentences", _INTEGER, "matches of [^。．！？!?]+[。．！？!?]? inside the lines", _QUALITY_PY),
        ("mean_sentence_length", _RATIO, "mean code points of a sentence with its end mark", _QUALITY_PY),
        ("mean_kuten_distance", _RATIO, "characters over 。; infinite without one, 0.0 of an empty text", _HOJICHAR),
        ("longest_sentence", _INTEGER, "code points of the longest sentence with its end mark", _QUALITY_PY),
        ("ellipsis_sentence_ratio", _RATIO, "sentences that end in ・ or …, white space aside", _QUALITY_PY),
        ("duplicate_line_ratio", _RATIO, "lines that repeat an earlier one, over all lines", _QUALITY_PY),
        ("duplicate_line_character_ratio", _RATIO, "code points in such lines, over those of all lines", _QUALITY_PY),
        ("duplicate_sentence_ratio", _RATIO, "sentences that repeat an earlier one, over all sentences", _QUALITY_PY),
        (
            "duplicate_sentence_character_ratio",
            _RATIO,
            "code points in such sentences, over those of all sentences",
            _QUALITY_PY,
        ),
    ]
    repetition = [
        (f"top_{n}gram_ratio", _RATIO, f"the most frequent character {n}-gram, over all {n}-grams", _QUALITY_PY)
        for n in TOP_LENGTHS
    ]
    repetition += [
        (
            f"repeated_{n}gram_type_ratio",
            _RATIO,
            f"distinct character {n}-grams that come more than once, over distinct {n}-grams (Swallow's code)",
            _QUALITY_PY,
        )
        for n in REPEATED_LENGTHS
    ]
    repetition += [
        (
            f"repeated_{n}gram_occurrence_ratio",
            _RATIO,
            f"character {n}-grams that repeat an earlier one, over all {n}-grams: (total - distinct) / total",
            _PAPER,
        )
        for n in REPEATED_LENGTHS
    ]
    ng_words = [
        ("ng_word_ratio", _RATIO, "letters in NG words over swallow_japanese_letters; null without a list", _NGWORD_PY),
        ("ng_word_types", _INTEGER, "distinct NG words found; null without a list", _NGWORD_PY),
        (
            "bounded_ng_word_ratio",
            _RATIO,
            "letters in NG words that stand alone in their script, over japanese_letters; null without a list",
            _BOUNDED,
        ),
        ("bounded_ng_word_types", _INTEGER, "distinct NG words that stand alone; null without a list", _BOUNDED),
    ]
    families = {"characters": characters, "sentences": sentences, "repetition": repetition, "ng_words": ng_words}
    return {
        name: Signal(name, type_, family, description, source)
        for family, rows in families.items()
        for name, type_, description, source in rows
    }


SIGNALS: dict[str, Signal] = _registry()
NG_WORD_SIGNALS = tuple(name for name, signal in SIGNALS.items() if signal.family == "ng_words")


def measure(text: pa.Array | pa.ChunkedArray, ng_words: NgWordMatcher | None = None) -> pa.RecordBatch:
    """Return the signals of each text, one typed column a signal in the order of `SIGNALS`, rows in order.

    `text` is string or large_string. A null counts as empty, and ratios of nothing are 0.0. Without `ng_words`
    the signals of that family are null. Each row depends on its own text alone. Raises TypeError for other arrays and
    pyarrow.ArrowInvalid for a text of 2^31 characters or more.
    """
    chunks = text.chunks if isinstance(text, pa.ChunkedArray) else [text]
    if isinstance(text, pa.ChunkedArray) and not chunks:
        chunks = [pa.array([], text.type)]
    # No text at all goes through the same counters, so that an empty batch has the columns of a full one.
    blocks = [(np.empty(0, dtype=np.uint32), np.zeros(1, dtype=np.int64))]
    counts = [
        (
            count_classes(codes, starts, class_table()),
            count_sentences(codes, starts),
            count_ngrams(codes, starts),
            _count_ng_words(ng_words, codes, starts),
        )
        for codes, starts in chain(blocks, *(code_point_blocks(chunk) for chunk in chunks))
    ]
    of_characters, of_sentences, of_ngrams, of_ng_words = (np.concatenate(parts) for parts in zip(*counts))
    values = character_signals(of_characters) | sentence_signals(of_sentences) | repetition_signals(of_ngrams)
    values["ng_word_ratio"] = share(of_ng_words[:, 0], values["swallow_japanese_letters"])
    values["ng_word_types"] = of_ng_words[:, 1]
    values["bounded_ng_word_ratio"] = share(of_ng_words[:, 2], values["japanese_letters"])
    values["bounded_ng_word_types"] = of_ng_words[:, 3]
    columns = []
    for signal in SIGNALS.values():
        if ng_words is None and signal.name in NG_WORD_SIGNALS:
            columns.append(pa.nulls(len(of_ng_words), signal.type))
        else:
            columns.append(pa.array(values[signal.name]).cast(signal.type))
    return pa.RecordBatch.from_arrays(columns, names=list(SIGNALS))


class TextSignals:
    """The group of what a text alone says, at the cost of one pass over its code points; NG words from `ng_words`."""

    signals = tuple(SIGNALS.values())
    columns = ("text",)
    memory_bytes = 200_000_000

    def __init__(self, ng_words: tuple[Asset, ...] = ()) -> None:
        self._ng_words = ng_words
        self._matcher: NgWordMatcher | None = None

    def fingerprint(self) -> dict[str, Any]:
        """Rule version, the contents of the word lists, and the Unicode tables behind letters."""
        lists = [words.digest for words in self._ng_words]
        return {"rule_version": RULE_VERSION, "unicode": unicodedata.unidata_version, "ng_words": lists}

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """See the function `measure`. Raises AssetChanged when a word list is not what it was."""
        if self._ng_words and self._matcher is None:
            self._matcher = NgWordMatcher(word for asset in self._ng_words for word in read_word_list(asset.checked()))
        return measure(documents.column("text"), self._matcher)


def _count_ng_words(ng_words: NgWordMatcher | None, codes: np.ndarray, starts: np.ndarray) -> np.ndarray:
    if ng_words is None:
        return np.zeros((len(starts) - 1, 6), dtype=np.int64)
    return ng_words.count(codes, starts)
