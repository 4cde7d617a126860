"""Lines and sentences: how many, how long, how they end, and how much of them is said before."""

from __future__ import annotations

import numpy as np
from numba import njit

from dedup.shingles import GOLDEN_GAMMA, mix
from filters.open_addressing import table_size
from filters.shares import share

# The columns of `count_sentences`.
_LINES, _LINE_CHARACTERS, _LINE_COPIES, _LINE_COPY_CHARACTERS = 0, 1, 2, 3
_SENTENCES, _SENTENCE_CHARACTERS, _SENTENCE_COPIES, _SENTENCE_COPY_CHARACTERS = 4, 5, 6, 7
_LONGEST, _ELLIPSES = 8, 9
_COLUMNS = 10

_NEWLINE = ord("\n")


def sentence_signals(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return the signals of lines and sentences, by name, from what `count_sentences` gives."""
    lines, sentences = counts[:, _LINES], counts[:, _SENTENCES]
    return {
        "lines": lines,
        "sentences": sentences,
        "mean_sentence_length": share(counts[:, _SENTENCE_CHARACTERS], sentences),
        "longest_sentence": counts[:, _LONGEST],
        "ellipsis_sentence_ratio": share(counts[:, _ELLIPSES], sentences),
        "duplicate_line_ratio": share(counts[:, _LINE_COPIES], lines),
        "duplicate_line_character_ratio": share(counts[:, _LINE_COPY_CHARACTERS], counts[:, _LINE_CHARACTERS]),
        "duplicate_sentence_ratio": share(counts[:, _SENTENCE_COPIES], sentences),
        "duplicate_sentence_character_ratio": share(
            counts[:, _SENTENCE_COPY_CHARACTERS], counts[:, _SENTENCE_CHARACTERS]
        ),
    }


@njit(cache=True, nogil=True)
def count_sentences(codes: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return int64 [rows, 10], the counts from which `sentence_signals` are made.

    The definitions are Swallow's (swallow-corpus, quality.py): lines are what newlines part, sentences are the matches
    of [^。．！？!?]+[。．！？!?]? in a line, and a line is compared as its sentences in a row, so that one of
    terminators only is empty. Expected time is linear in the text: copies are found by hash and confirmed letter by
    letter.
    """
    counts = np.zeros((len(starts) - 1, _COLUMNS), dtype=np.int64)
    longest = 0
    for row in range(len(starts) - 1):
        longest = max(longest, starts[row + 1] - starts[row])
    # The letters that belong to a sentence, without gaps: lines and sentences are spans of these.
    kept = np.empty(longest, dtype=np.uint32)
    line_stops = np.empty(longest + 1, dtype=np.int64)
    sentence_stops = np.empty(longest, dtype=np.int64)
    hashes = np.empty(longest + 1, dtype=np.uint64)
    table = np.zeros(table_size(longest + 1), dtype=np.int64)
    generation = 1
    for row in range(len(starts) - 1):
        size, lines, sentences = _split(codes[starts[row] : starts[row + 1]], kept, line_stops, sentence_stops)
        counts[row, _LINES] = lines
        counts[row, _SENTENCES] = sentences
        counts[row, _LINE_CHARACTERS] = size
        counts[row, _SENTENCE_CHARACTERS] = size
        begin = 0
        for index in range(sentences):
            stop = sentence_stops[index]
            counts[row, _LONGEST] = max(counts[row, _LONGEST], stop - begin)
            counts[row, _ELLIPSES] += _ends_in_ellipsis(kept, begin, stop)
            begin = stop
        copies, characters = _copies(kept, line_stops, lines, hashes, table, generation)
        counts[row, _LINE_COPIES] = copies
        counts[row, _LINE_COPY_CHARACTERS] = characters
        generation += lines
        copies, characters = _copies(kept, sentence_stops, sentences, hashes, table, generation)
        counts[row, _SENTENCE_COPIES] = copies
        counts[row, _SENTENCE_COPY_CHARACTERS] = characters
        generation += sentences
    return counts


@njit(cache=True, nogil=True)
def _split(
    codes: np.ndarray, kept: np.ndarray, line_stops: np.ndarray, sentence_stops: np.ndarray
) -> tuple[int, int, int]:
    """Write the letters of all sentences to `kept` and where lines and sentences stop in it; return the three sizes."""
    size, lines, sentences, begin = 0, 0, 0, 0
    for code in codes:
        if code == _NEWLINE:
            if size > begin:
                sentence_stops[sentences] = size
                sentences += 1
                begin = size
            line_stops[lines] = size
            lines += 1
        elif not _is_terminator(code):
            kept[size] = code
            size += 1
        elif size > begin:
            kept[size] = code
            size += 1
            sentence_stops[sentences] = size
            sentences += 1
            begin = size
    if size > begin:
        sentence_stops[sentences] = size
        sentences += 1
    line_stops[lines] = size
    return size, lines + 1, sentences


@njit(cache=True, nogil=True, inline="always")
def _is_terminator(code: int) -> bool:
    """Say whether `code` is one of 。．！？!? ."""
    return code in (0x3002, 0xFF0E, 0xFF01, 0xFF1F, 0x21, 0x3F)


@njit(cache=True, nogil=True)
def _ends_in_ellipsis(kept: np.ndarray, begin: int, stop: int) -> bool:
    while stop > begin and _is_space(kept[stop - 1]):
        stop -= 1
    return stop > begin and kept[stop - 1] in (0x2026, 0x30FB)


@njit(cache=True, nogil=True, inline="always")
def _is_space(code: int) -> bool:
    """Say whether Python's str.strip takes `code` away: Unicode White_Space and the separators U+001C-001F."""
    if code < 0x80:
        return code == 0x20 or 0x09 <= code <= 0x0D or 0x1C <= code <= 0x1F
    return 0x2000 <= code <= 0x200A or code in (0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)


@njit(cache=True, nogil=True)
def _copies(
    kept: np.ndarray, stops: np.ndarray, spans: int, hashes: np.ndarray, table: np.ndarray, generation: int
) -> tuple[int, int]:
    """Return how many of the consecutive spans of `kept` are copies of an earlier one, and their code points.

    `table` holds generation + index of a span. Entries below `generation` are those of earlier calls and count as
    free, so that it is never cleared; the next call needs a generation of at least `generation + spans`.
    """
    mask = table_size(spans) - 1
    copies, characters, begin = 0, 0, 0
    for index in range(spans):
        stop = stops[index]
        value = np.uint64(stop - begin)
        for position in range(begin, stop):
            value = (value ^ np.uint64(kept[position])) * GOLDEN_GAMMA
            value ^= value >> np.uint64(32)
        value = mix(value)
        slot = np.int64(value) & mask
        is_copy = False
        while table[slot] >= generation:
            other = table[slot] - generation
            if hashes[other] == value and _equal(kept, begin, stop, stops[other - 1] if other else 0, stops[other]):
                is_copy = True
                break
            slot = (slot + 1) & mask
        if is_copy:
            copies += 1
            characters += stop - begin
        else:
            hashes[index] = value
            table[slot] = generation + index
        begin = stop
    return copies, characters


@njit(cache=True, nogil=True)
def _equal(kept: np.ndarray, begin: int, stop: int, other_begin: int, other_stop: int) -> bool:
    if stop - begin != other_stop - other_begin:
        return False
    step = 0
    while begin + step < stop and kept[begin + step] == kept[other_begin + step]:
        step += 1
    return begin + step == stop
