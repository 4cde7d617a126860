"""The group of signals of lines and paragraphs as Gopher and FineWeb measure them; needs no words.

Swallow's lines, which are compared without marks, are in `filters/sentences.py`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit

from filters.copies import count_copies, is_space
from filters.open_addressing import table_size
from filters.shares import share
from filters.signal import Signal
from filters.text_buffers import CODE_POINTS, code_point_blocks

# Bumped when any value of any signal could change.
RULE_VERSION = 2
# FineWeb's short_line_length (Penedo et al. 2024, arXiv 2406.17557).
SHORT_LINE = 30

_QUALITY = "datatrove 0.10, GopherQualityFilter (Rae et al. 2021, arXiv 2112.11446, A1.1)"
_REPETITION = "datatrove 0.10, GopherRepetitionFilter (Rae et al. 2021, arXiv 2112.11446, table A1)"
_FINEWEB = "datatrove 0.10, FineWebQualityFilter (Penedo et al. 2024, arXiv 2406.17557)"

_HPLT = "HPLT (monotextor-slurm): char_avg"

_NEWLINE, _RETURN, _DOT, _DASH = ord("\n"), ord("\r"), ord("."), ord("-")
_ELLIPSIS, _BULLET = ord("…"), ord("•")
(
    _CHARACTERS,
    _PARAGRAPHS,
    _PARAGRAPH_COPIES,
    _PARAGRAPH_COPY_CHARACTERS,
    _LINES,
    _LINE_COPIES,
    _LINE_COPY_CHARACTERS,
    _SPLIT_LINES,
    _BULLETS,
    _ELLIPSES,
    _FULL_LINES,
    _ENDED,
    _SHORT,
    _FULL_COPIES,
    _FULL_COPY_CHARACTERS,
    _NEWLINES,
    _FULL_CHARACTERS,
) = range(17)


def _signals() -> tuple[Signal, ...]:
    number, ratio = pa.int32(), pa.float64()
    rows = (
        ("paragraphs", number, "parts between two newlines or more", _REPETITION),
        ("duplicate_paragraph_ratio", ratio, "paragraphs that repeat an earlier one, over paragraphs", _REPETITION),
        ("duplicate_paragraph_character_ratio", ratio, "code points in such, over characters", _REPETITION),
        ("gopher_duplicate_line_ratio", ratio, "parts between newlines that repeat an earlier one", _REPETITION),
        ("gopher_duplicate_line_character_ratio", ratio, "code points in such, over characters", _REPETITION),
        ("bullet_line_ratio", ratio, "lines (str.splitlines) that begin with • or -, over lines", _QUALITY),
        ("ellipsis_line_ratio", ratio, "lines (str.splitlines) that end in … or ..., over lines", _QUALITY),
        ("full_lines", number, "lines that are not white space alone", _FINEWEB),
        ("mean_full_line_length", ratio, "mean code points of full_lines", _HPLT),
        ("line_end_punctuation_ratio", ratio, "full_lines that end in a mark that ends sentences", _FINEWEB),
        ("short_line_ratio", ratio, f"full_lines of {SHORT_LINE} code points or fewer", _FINEWEB),
        (
            "duplicate_full_line_character_ratio",
            ratio,
            "code points in full_lines that repeat an earlier one, over characters without newlines",
            _FINEWEB,
        ),
    )
    return tuple(Signal(name, kind, "lines", text, source) for name, kind, text, source in rows)


class LineSignals:
    """The group of lines and paragraphs."""

    signals = _signals()
    columns = ("text",)
    memory_bytes = 200_000_000

    def fingerprint(self) -> dict[str, Any]:
        """Rule version, and datatrove, whose marks end sentences."""
        from importlib.metadata import version

        return {"rule_version": RULE_VERSION, "datatrove": version("datatrove")}

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """The signals of each text; a null counts as empty, and ratios of nothing are 0.0."""
        blocks = code_point_blocks(documents.column("text"))
        counted = [np.zeros((0, 17), np.int64), *(_count_lines(*block, sentence_ends()) for block in blocks)]
        counts = np.concatenate(counted)
        characters, lines, full = counts[:, _CHARACTERS], counts[:, _SPLIT_LINES], counts[:, _FULL_LINES]
        values = [
            counts[:, _PARAGRAPHS],
            share(counts[:, _PARAGRAPH_COPIES], counts[:, _PARAGRAPHS]),
            share(counts[:, _PARAGRAPH_COPY_CHARACTERS], characters),
            share(counts[:, _LINE_COPIES], counts[:, _LINES]),
            share(counts[:, _LINE_COPY_CHARACTERS], characters),
            share(counts[:, _BULLETS], lines),
            share(counts[:, _ELLIPSES], lines),
            full,
            share(counts[:, _FULL_CHARACTERS], full),
            share(counts[:, _ENDED], full),
            share(counts[:, _SHORT], full),
            share(counts[:, _FULL_COPY_CHARACTERS], characters - counts[:, _NEWLINES]),
        ]
        columns = [pa.array(value).cast(signal.type) for signal, value in zip(self.signals, values, strict=True)]
        return pa.RecordBatch.from_arrays(columns, names=[signal.name for signal in self.signals])


@lru_cache(maxsize=1)
def sentence_ends() -> np.ndarray:
    """By code point, whether datatrove counts it as the end of a sentence, uint8."""
    from datatrove.utils.text import TERMINAL_PUNCTUATION

    table = np.zeros(CODE_POINTS, np.uint8)
    for mark in TERMINAL_PUNCTUATION:
        table[ord(mark)] = 1
    return table


@njit(cache=True, nogil=True)
def _count_lines(codes: np.ndarray, starts: np.ndarray, ends_sentence: np.ndarray) -> np.ndarray:
    """Return int64 [rows, 17], the counts from which the signals are made. Linear in the text."""
    counts = np.zeros((len(starts) - 1, 17), dtype=np.int64)
    longest = 0
    for row in range(len(starts) - 1):
        longest = max(longest, starts[row + 1] - starts[row])
    begins = np.empty(longest + 1, dtype=np.int64)
    ends = np.empty(longest + 1, dtype=np.int64)
    hashes = np.empty(longest + 1, dtype=np.uint64)
    table = np.zeros(table_size(longest + 1), dtype=np.int64)
    generation = 1
    for row in range(len(starts) - 1):
        text = codes[starts[row] : starts[row + 1]]
        size = len(text)
        if size == 0:
            continue
        count = counts[row]
        count[_CHARACTERS] = size
        begin, stop = 0, size
        while begin < stop and is_space(text[begin]):
            begin += 1
        while stop > begin and is_space(text[stop - 1]):
            stop -= 1
        spans = _parts(text, begin, stop, 2, begins, ends)
        count[_PARAGRAPHS] = spans
        found = count_copies(text, begins, ends, spans, hashes, table, generation)
        count[_PARAGRAPH_COPIES], count[_PARAGRAPH_COPY_CHARACTERS] = found
        generation += spans
        spans = _parts(text, 0, size, 1, begins, ends)
        count[_LINES] = spans
        found = count_copies(text, begins, ends, spans, hashes, table, generation)
        count[_LINE_COPIES], count[_LINE_COPY_CHARACTERS] = found
        generation += spans
        spans = _full_lines(text, begins, ends, ends_sentence, count)
        found = count_copies(text, begins, ends, spans, hashes, table, generation)
        count[_FULL_COPIES], count[_FULL_COPY_CHARACTERS] = found
        generation += spans
        _count_split_lines(text, count)
    return counts


@njit(cache=True, nogil=True)
def _parts(text: np.ndarray, begin: int, stop: int, least: int, begins: np.ndarray, ends: np.ndarray) -> int:
    """Write the spans between runs of `least` newlines or more, empty ones at both ends included; return how many."""
    spans, start, place = 0, begin, begin
    while place < stop:
        if text[place] != _NEWLINE:
            place += 1
            continue
        run = place
        while place < stop and text[place] == _NEWLINE:
            place += 1
        if place - run >= least:
            begins[spans], ends[spans] = start, run
            spans += 1
            start = place
    begins[spans], ends[spans] = start, stop
    return spans + 1


@njit(cache=True, nogil=True)
def _full_lines(
    text: np.ndarray, begins: np.ndarray, ends: np.ndarray, ends_sentence: np.ndarray, count: np.ndarray
) -> int:
    spans, start = 0, 0
    for place in range(len(text) + 1):
        if place < len(text) and text[place] != _NEWLINE:
            continue
        count[_NEWLINES] += place < len(text)
        full = False
        for inner in range(start, place):
            if not is_space(text[inner]):
                full = True
                break
        if full:
            begins[spans], ends[spans] = start, place
            spans += 1
            count[_ENDED] += ends_sentence[text[place - 1]]
            count[_SHORT] += place - start <= SHORT_LINE
            count[_FULL_CHARACTERS] += place - start
        start = place + 1
    count[_FULL_LINES] = spans
    return spans


@njit(cache=True, nogil=True, inline="always")
def _ends_line(code: int) -> bool:
    """Say whether str.splitlines splits at `code`."""
    return 0x0A <= code <= 0x0D or 0x1C <= code <= 0x1E or code in (0x85, 0x2028, 0x2029)


@njit(cache=True, nogil=True)
def _count_split_lines(text: np.ndarray, count: np.ndarray) -> None:
    start, place = 0, 0
    while place <= len(text):
        at_end = place == len(text)
        if not at_end and not _ends_line(text[place]):
            place += 1
            continue
        if not at_end or place > start:
            begin, stop = start, place
            while begin < stop and is_space(text[begin]):
                begin += 1
            while stop > begin and is_space(text[stop - 1]):
                stop -= 1
            count[_SPLIT_LINES] += 1
            count[_BULLETS] += begin < stop and text[begin] in (_BULLET, _DASH)
            dots = 0
            while stop - dots > begin and text[stop - 1 - dots] == _DOT and dots < 3:
                dots += 1
            count[_ELLIPSES] += dots == 3 or (stop > begin and text[stop - 1] == _ELLIPSIS)
        if not at_end and text[place] == _RETURN and place + 1 < len(text) and text[place + 1] == _NEWLINE:
            place += 1
        place += 1
        start = place
