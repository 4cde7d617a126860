"""Lines and sentences: how many, how long, how they end, and how much of them is said before."""

from __future__ import annotations

import numpy as np
from numba import njit

from filters.copies import count_copies, is_space
from filters.open_addressing import table_size
from filters.shares import share

# The columns of `count_sentences`.
_LINES, _LINE_CHARACTERS, _LINE_COPIES, _LINE_COPY_CHARACTERS = 0, 1, 2, 3
_SENTENCES, _SENTENCE_CHARACTERS, _SENTENCE_COPIES, _SENTENCE_COPY_CHARACTERS = 4, 5, 6, 7
_LONGEST, _ELLIPSES, _KUTEN, _CHARACTERS = 8, 9, 10, 11
_COLUMNS = 12

_NEWLINE, _FULL_STOP = ord("\n"), ord("。")


def sentence_signals(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return the signals of lines and sentences, by name, from what `count_sentences` gives."""
    lines, sentences = counts[:, _LINES], counts[:, _SENTENCES]
    return {
        "lines": lines,
        "sentences": sentences,
        "mean_sentence_length": share(counts[:, _SENTENCE_CHARACTERS], sentences),
        "mean_kuten_distance": _kuten_distance(counts),
        "longest_sentence": counts[:, _LONGEST],
        "ellipsis_sentence_ratio": share(counts[:, _ELLIPSES], sentences),
        "duplicate_line_ratio": share(counts[:, _LINE_COPIES], lines),
        "duplicate_line_character_ratio": share(counts[:, _LINE_COPY_CHARACTERS], counts[:, _LINE_CHARACTERS]),
        "duplicate_sentence_ratio": share(counts[:, _SENTENCE_COPIES], sentences),
        "duplicate_sentence_character_ratio": share(
            counts[:, _SENTENCE_COPY_CHARACTERS], counts[:, _SENTENCE_CHARACTERS]
        ),
    }


def _kuten_distance(counts: np.ndarray) -> np.ndarray:
    distance = share(counts[:, _CHARACTERS], counts[:, _KUTEN])
    distance[(counts[:, _KUTEN] == 0) & (counts[:, _CHARACTERS] > 0)] = np.inf
    return distance


@njit(cache=True, nogil=True)
def count_sentences(codes: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return int64 [rows, 12], the counts from which `sentence_signals` are made.

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
    # Stops stand behind a 0, so that the one before is where a span begins.
    line_stops = np.zeros(longest + 2, dtype=np.int64)
    sentence_stops = np.zeros(longest + 1, dtype=np.int64)
    hashes = np.empty(longest + 1, dtype=np.uint64)
    table = np.zeros(table_size(longest + 1), dtype=np.int64)
    generation = 1
    for row in range(len(starts) - 1):
        size, lines, sentences = _split(codes[starts[row] : starts[row + 1]], kept, line_stops[1:], sentence_stops[1:])
        counts[row, _LINES] = lines
        counts[row, _CHARACTERS] = starts[row + 1] - starts[row]
        for place in range(starts[row], starts[row + 1]):
            counts[row, _KUTEN] += codes[place] == _FULL_STOP
        counts[row, _SENTENCES] = sentences
        counts[row, _LINE_CHARACTERS] = size
        counts[row, _SENTENCE_CHARACTERS] = size
        for index in range(sentences):
            begin, stop = sentence_stops[index], sentence_stops[index + 1]
            counts[row, _LONGEST] = max(counts[row, _LONGEST], stop - begin)
            counts[row, _ELLIPSES] += _ends_in_ellipsis(kept, begin, stop)
        copies, characters = count_copies(kept, line_stops, line_stops[1:], lines, hashes, table, generation)
        counts[row, _LINE_COPIES] = copies
        counts[row, _LINE_COPY_CHARACTERS] = characters
        generation += lines
        copies, characters = count_copies(
            kept, sentence_stops, sentence_stops[1:], sentences, hashes, table, generation
        )
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
    while stop > begin and is_space(kept[stop - 1]):
        stop -= 1
    return stop > begin and kept[stop - 1] in (0x2026, 0x30FB)
