"""Signals: the registry of what is measured about a text, and the function that measures a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from filters.characters import character_signals, class_table, count_classes
from filters.ng_words import NgWordMatcher
from filters.repetition import REPEATED_LENGTHS, TOP_LENGTHS, count_ngrams, repetition_signals
from filters.sentences import count_sentences, sentence_signals
from filters.shares import share
from filters.text_buffers import code_point_blocks

RULE_VERSION = 1

COUNT, RATIO = pa.int32(), pa.float64()
SWALLOW = "Swallow Corpus v1, quality.py (arXiv 2404.17733)"
SWALLOW_WORDS = "Swallow Corpus v1, ngword.py (arXiv 2404.17733)"
OWN = "kamisuki"


@dataclass(frozen=True)
class Signal:
    """One column of the signals table: what it is and where its definition comes from."""

    name: str
    type: pa.DataType
    family: str
    description: str
    source: str


def _signals() -> list[Signal]:
    letters = "characters"
    found = [
        Signal("characters", COUNT, letters, "code points of the text, newlines included", SWALLOW),
        Signal("letters", COUNT, letters, "letters and digits of any script", OWN),
        Signal(
            "japanese_letters",
            COUNT,
            letters,
            "kana, kanji and 、，。．！？, with ー, iteration marks, half-width kana and rare kanji",
            OWN,
        ),
        Signal("hiragana_ratio", RATIO, letters, "hiragana among the Japanese letters", OWN),
        Signal("katakana_ratio", RATIO, letters, "katakana, ー and half-width kana among the Japanese letters", OWN),
        Signal("kanji_ratio", RATIO, letters, "kanji among the Japanese letters", OWN),
        Signal("japanese_ratio", RATIO, letters, "Japanese letters among the characters", OWN),
        Signal(
            "swallow_japanese_letters",
            COUNT,
            letters,
            "Japanese letters as Swallow counts them: no ー, iteration marks, half-width kana or astral kanji",
            SWALLOW,
        ),
        Signal("swallow_hiragana_ratio", RATIO, letters, "hiragana among Swallow's Japanese letters", SWALLOW),
        Signal("swallow_katakana_ratio", RATIO, letters, "katakana among Swallow's Japanese letters", SWALLOW),
        Signal("swallow_japanese_ratio", RATIO, letters, "Swallow's Japanese letters among the characters", SWALLOW),
    ]
    family = "sentences"
    found += [
        Signal("lines", COUNT, family, "lines, empty ones included", SWALLOW),
        Signal("sentences", COUNT, family, "runs of a line up to one of 。．！？!?", SWALLOW),
        Signal("mean_sentence_length", RATIO, family, "characters of a sentence on average", SWALLOW),
        Signal("longest_sentence", COUNT, family, "characters of the longest sentence", SWALLOW),
        Signal("ellipsis_sentence_ratio", RATIO, family, "sentences that end in ・ or …", SWALLOW),
        Signal("duplicate_line_ratio", RATIO, family, "lines that stood in the text before", SWALLOW),
        Signal("duplicate_line_character_ratio", RATIO, family, "characters in such lines among all", SWALLOW),
        Signal("duplicate_sentence_ratio", RATIO, family, "sentences that stood in the text before", SWALLOW),
        Signal("duplicate_sentence_character_ratio", RATIO, family, "characters in such sentences among all", SWALLOW),
    ]
    family = "repetition"
    for n in TOP_LENGTHS:
        text = f"the most frequent {n}-gram of characters among all {n}-grams, newlines included"
        found.append(Signal(f"top_{n}gram_ratio", RATIO, family, text, SWALLOW))
    for n in REPEATED_LENGTHS:
        text = f"distinct {n}-grams that come more than once among the distinct ones, as Swallow's code counts"
        found.append(Signal(f"repeated_{n}gram_type_ratio", RATIO, family, text, SWALLOW))
    for n in REPEATED_LENGTHS:
        text = f"occurrences of {n}-grams beyond each one's first among all {n}-grams"
        found.append(Signal(f"repeated_{n}gram_occurrence_ratio", RATIO, family, text, OWN))
    family = "NG words"
    text = "characters inside NG words for each of Swallow's Japanese letters; null without a word list"
    found.append(Signal("ng_word_ratio", RATIO, family, text, SWALLOW_WORDS))
    found.append(Signal("ng_word_types", COUNT, family, "distinct NG words; null without a word list", OWN))
    return found


SIGNALS: dict[str, Signal] = {signal.name: signal for signal in _signals()}
NG_WORD_SIGNALS = ("ng_word_ratio", "ng_word_types")


def measure(text: pa.Array | pa.ChunkedArray, ng_words: NgWordMatcher | None = None) -> pa.RecordBatch:
    """Measure texts: one typed column a signal, in the order of SIGNALS, and one row a text. A null counts as empty."""
    if isinstance(text, pa.ChunkedArray):
        text = text.combine_chunks()
    blocks = [_measure_block(codes, starts, ng_words) for codes, starts in code_point_blocks(text)]
    arrays = []
    for name, signal in SIGNALS.items():
        if ng_words is None and name in NG_WORD_SIGNALS:
            arrays.append(pa.nulls(len(text), signal.type))
        else:
            values = np.concatenate([block[name] for block in blocks]) if blocks else np.zeros(0)
            arrays.append(pa.array(values).cast(signal.type))
    return pa.RecordBatch.from_arrays(arrays, names=list(SIGNALS))


def _measure_block(codes: np.ndarray, starts: np.ndarray, ng_words: NgWordMatcher | None) -> dict[str, np.ndarray]:
    values = character_signals(count_classes(codes, starts, class_table()))
    values |= sentence_signals(count_sentences(codes, starts))
    values |= repetition_signals(count_ngrams(codes, starts))
    if ng_words is not None:
        letters, kinds = ng_words.match(codes, starts)
        values |= {"ng_word_ratio": share(letters, values["swallow_japanese_letters"]), "ng_word_types": kinds}
    return values
