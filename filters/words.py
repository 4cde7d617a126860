"""The group of signals that need words: Gopher's and FineWeb's measures, over MeCab's words or runs of one script."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from filters import word_counts
from filters.segmenters import Segmenter
from filters.shares import share
from filters.signal import Signal
from filters.text_buffers import CODE_POINTS, code_point_blocks, code_points
from filters.word_counts import REPEATED_LENGTHS, TOP_LENGTHS, count_words, repeated_column, top_column

# Bumped when any value of any signal could change.
RULE_VERSION = 1

# FineWeb-2's stop words for jpn_Jpan (huggingface/fineweb-2, configs/jpn_Jpan.yml).
STOP_WORDS = ("の", "に", "を", "は", "た", "て", "が", "と", "で", "年", "し", "・", "月", "れ", "さ")

_GOPHER_QUALITY = "datatrove 0.10, GopherQualityFilter (Rae et al. 2021, arXiv 2112.11446, A1.1)"
_GOPHER_REPETITION = "datatrove 0.10, GopherRepetitionFilter (Rae et al. 2021, arXiv 2112.11446, table A1)"
_FINEWEB = "datatrove 0.10, FineWebQualityFilter (Penedo et al. 2024, arXiv 2406.17557)"


def word_signals(prefix: str = "") -> tuple[Signal, ...]:
    """The signals of the group, their names behind `prefix`."""
    rows: list[tuple[str, pa.DataType, str, str]] = [
        ("words", pa.int32(), "words, marks of punctuation included", _GOPHER_QUALITY),
        ("plain_words", pa.int32(), "words that are not punctuation alone", _GOPHER_QUALITY),
        ("mean_word_length", pa.float64(), "mean code points of plain_words", _GOPHER_QUALITY),
        ("alphabetic_word_ratio", pa.float64(), "words with a letter (str.isalpha), over words", _GOPHER_QUALITY),
        ("stop_word_types", pa.int32(), "distinct stop words found, of annotate.words.stop_words", _GOPHER_QUALITY),
        ("hash_word_ratio", pa.float64(), "# over words", _GOPHER_QUALITY),
        ("ellipsis_word_ratio", pa.float64(), "… and ... over words", _GOPHER_QUALITY),
        ("newline_word_ratio", pa.float64(), "newlines over words", _FINEWEB),
    ]
    rows += [
        (
            f"top_{n}word_ratio",
            pa.float64(),
            f"code points of all of the most frequent run of {n} words, spaces between them counted, over characters",
            _GOPHER_REPETITION,
        )
        for n in TOP_LENGTHS
    ]
    rows += [
        (
            f"repeated_{n}word_ratio",
            pa.float64(),
            f"code points in runs of {n} words that came before, without overlap, over characters",
            _GOPHER_REPETITION,
        )
        for n in REPEATED_LENGTHS
    ]
    return tuple(Signal(prefix + name, kind, "words", text, source) for name, kind, text, source in rows)


@lru_cache(maxsize=1)
def letter_table() -> np.ndarray:
    """By code point, uint8: SYMBOL for datatrove's punctuation, ALPHABETIC for what str.isalpha says."""
    from datatrove.utils.text import PUNCTUATION_SET

    table = np.zeros(CODE_POINTS, np.uint8)
    for code in range(0x110000):
        if chr(code).isalpha():
            table[code] |= word_counts.ALPHABETIC
    for mark in PUNCTUATION_SET:
        table[ord(mark)] |= word_counts.SYMBOL
    return table


class WordSignals:
    """The group over the words of a segmenter."""

    columns = ("text",)

    def __init__(self, segmenter: Segmenter, stop_words: Sequence[str] = STOP_WORDS, prefix: str = "") -> None:
        self.segmenter = segmenter
        self.signals = word_signals(prefix)
        self.memory_bytes = 400_000_000
        self._stop_words = tuple(stop_words)
        spelled = [code_points(word) for word in self._stop_words]
        self._stop_codes = np.concatenate([np.zeros(0, np.uint32), *spelled])
        self._stop_starts = np.cumsum([0, *map(len, spelled)]).astype(np.int64)

    def fingerprint(self) -> dict[str, Any]:
        """Rule version, the segmenter with its dictionary, stop words, and datatrove, whose punctuation counts."""
        from importlib.metadata import version

        return {
            "rule_version": RULE_VERSION,
            "segmenter": self.segmenter.fingerprint(),
            "stop_words": list(self._stop_words),
            "datatrove": version("datatrove"),
        }

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """The signals of each text; a null counts as empty, and ratios of nothing are 0.0."""
        column = documents.column("text")
        texts = column.fill_null("").to_pylist()
        counts = [np.zeros((0, 17), np.int64)]
        lengths = [np.zeros(0, np.int64)]
        row = 0
        for codes, starts in code_point_blocks(column):
            rows = len(starts) - 1
            spans = self.segmenter.spans(texts[row : row + rows], codes, starts)
            counts.append(count_words(codes, starts, *spans, letter_table(), self._stop_codes, self._stop_starts))
            lengths.append(np.diff(starts))
            row += rows
        values = _values(np.concatenate(counts), np.concatenate(lengths))
        columns = [pa.array(value).cast(signal.type) for signal, value in zip(self.signals, values, strict=True)]
        return pa.RecordBatch.from_arrays(columns, names=[signal.name for signal in self.signals])


def _values(counts: np.ndarray, characters: np.ndarray) -> list[np.ndarray]:
    """The values of `word_signals`, in their order."""
    words, plain = counts[:, word_counts.WORDS], counts[:, word_counts.PLAIN_WORDS]
    values = [
        words,
        plain,
        share(counts[:, word_counts.PLAIN_LETTERS], plain),
        share(counts[:, word_counts.ALPHABETIC_WORDS], words),
        counts[:, word_counts.STOP_WORDS],
        *(share(counts[:, column], words) for column in (word_counts.HASHES, word_counts.ELLIPSES)),
        share(counts[:, word_counts.NEWLINES], words),
    ]
    values += [share(counts[:, top_column(n)], characters) for n in TOP_LENGTHS]
    values += [share(counts[:, repeated_column(n)], characters) for n in REPEATED_LENGTHS]
    return values
