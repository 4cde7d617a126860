"""Counts of words: how many and how long, what they are made of, and how often runs of them come again, compiled.

The definitions are those of datatrove's Gopher and FineWeb filters (0.10), from which FineWeb-2 is made: Rae et al.
2021 (arXiv 2112.11446), table A1; Penedo et al. 2024 (arXiv 2406.17557).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from dedup.shingles import GOLDEN_GAMMA, mix
from filters.copies import same_letters
from filters.open_addressing import table_size
from filters.repetition import number_ngrams

TOP_LENGTHS = (2, 3, 4)
REPEATED_LENGTHS = (5, 6, 7, 8, 9, 10)

# The columns of `count_words`; those of runs of words come behind.
WORDS, PLAIN_WORDS, PLAIN_LETTERS, ALPHABETIC_WORDS, STOP_WORDS, HASHES, ELLIPSES, NEWLINES = range(8)
_FIRST_TOP = 8
_FIRST_REPEATED = _FIRST_TOP + len(TOP_LENGTHS)
_COLUMNS = _FIRST_REPEATED + len(REPEATED_LENGTHS)

# Bits of the table of letters that `count_words` takes.
SYMBOL, ALPHABETIC = 1, 2

_NEWLINE, _HASH, _DOT, _ELLIPSIS = ord("\n"), ord("#"), ord("."), ord("…")


def top_column(length: int) -> int:
    """The column of `count_words` that holds the letters of the most frequent run of `length` words."""
    return _FIRST_TOP + TOP_LENGTHS.index(length)


def repeated_column(length: int) -> int:
    """The column of `count_words` that holds the letters of repeated runs of `length` words."""
    return _FIRST_REPEATED + REPEATED_LENGTHS.index(length)


@njit(cache=True, nogil=True)
def count_words(
    codes: np.ndarray,
    starts: np.ndarray,
    begins: np.ndarray,
    ends: np.ndarray,
    word_starts: np.ndarray,
    table: np.ndarray,
    stop_codes: np.ndarray,
    stop_starts: np.ndarray,
) -> np.ndarray:
    """Return int64 [rows, 17] counts of each text, whose words are spans as `segmenters` gives them.

    table: by code point, SYMBOL and ALPHABETIC bits. stop_codes and stop_starts hold the stop words. Linear in the
    text: what is equal is found by hash and confirmed letter by letter.
    """
    counts = np.zeros((len(starts) - 1, 17), dtype=np.int64)
    most_words, most_letters = 1, 1
    for row in range(len(starts) - 1):
        most_words = max(most_words, word_starts[row + 1] - word_starts[row])
        most_letters = max(most_letters, starts[row + 1] - starts[row])
    kept = np.empty(most_letters, dtype=np.uint32)
    stops = np.empty(most_words + 1, dtype=np.int64)
    prefix = np.empty(most_letters + 1, dtype=np.uint64)
    powers = np.empty(most_letters + 1, dtype=np.uint64)
    powers[0] = 1
    for index in range(most_letters):
        powers[index + 1] = powers[index] * GOLDEN_GAMMA
    numbers = np.empty(most_words, dtype=np.uint64)
    grams = np.empty(most_words, dtype=np.uint64)
    positions = np.empty(most_words, dtype=np.int64)
    keys = np.empty(most_words, dtype=np.uint64)
    frequencies = np.empty(most_words, dtype=np.int64)
    firsts = np.empty(most_words, dtype=np.int64)
    slots = np.zeros(table_size(most_words), dtype=np.int64)
    generation = 1
    for row in range(len(starts) - 1):
        _count_marks(codes[starts[row] : starts[row + 1]], counts[row])
        first_word = word_starts[row]
        words = word_starts[row + 1] - first_word
        size = 0
        stops[0] = 0
        prefix[0] = 0
        for word in range(words):
            plain, alphabetic = False, False
            for place in range(begins[first_word + word], ends[first_word + word]):
                code = codes[place]
                kinds = table[code]
                plain |= not kinds & 1
                alphabetic |= kinds & 2 > 0
                kept[size] = code
                prefix[size + 1] = prefix[size] * GOLDEN_GAMMA + np.uint64(code) + np.uint64(1)
                size += 1
            stops[word + 1] = size
            counts[row, WORDS] += 1
            counts[row, ALPHABETIC_WORDS] += alphabetic
            if plain:
                counts[row, PLAIN_WORDS] += 1
                counts[row, PLAIN_LETTERS] += size - stops[word]
        # Words by number, as they first come.
        mask = table_size(words) - 1
        distinct = 0
        for word in range(words):
            begin, stop = stops[word], stops[word + 1]
            slot = np.int64(_hash(prefix, powers, begin, stop)) & mask
            number = distinct
            while slots[slot] >= generation:
                other = firsts[slots[slot] - generation]
                if same_letters(kept, begin, stop, stops[other], stops[other + 1]):
                    number = slots[slot] - generation
                    break
                slot = (slot + 1) & mask
            if number == distinct:
                slots[slot] = generation + number
                firsts[number] = word
                distinct += 1
                counts[row, STOP_WORDS] += _is_listed(kept, begin, stop, stop_codes, stop_starts)
            numbers[word] = number
        generation += distinct
        generation = _top_runs(
            words, stops, numbers, grams, positions, keys, frequencies, slots, generation, counts[row]
        )
        for length in range(5, 11):
            letters, generation = _repeated_letters(
                length, words, kept, stops, prefix, powers, firsts, slots, generation
            )
            counts[row, _FIRST_REPEATED + length - 5] = letters
    return counts


@njit(cache=True, nogil=True)
def _count_marks(text: np.ndarray, counts: np.ndarray) -> None:
    dots = 0
    for code in text:
        counts[NEWLINES] += code == _NEWLINE
        counts[HASHES] += code == _HASH
        counts[ELLIPSES] += code == _ELLIPSIS
        dots = dots + 1 if code == _DOT else 0
        if dots == 3:
            counts[ELLIPSES] += 1
            dots = 0


@njit(cache=True, nogil=True, inline="always")
def _hash(prefix: np.ndarray, powers: np.ndarray, begin: int, stop: int) -> np.uint64:
    return mix(prefix[stop] - prefix[begin] * powers[stop - begin] + np.uint64(stop - begin))


@njit(cache=True, nogil=True)
def _is_listed(kept: np.ndarray, begin: int, stop: int, codes: np.ndarray, starts: np.ndarray) -> bool:
    for word in range(len(starts) - 1):
        if starts[word + 1] - starts[word] == stop - begin:
            same = True
            for step in range(stop - begin):
                same &= kept[begin + step] == codes[starts[word] + step]
            if same:
                return True
    return False


@njit(cache=True, nogil=True)
def _top_runs(
    words: int,
    stops: np.ndarray,
    numbers: np.ndarray,
    grams: np.ndarray,
    positions: np.ndarray,
    keys: np.ndarray,
    frequencies: np.ndarray,
    slots: np.ndarray,
    generation: int,
    counts: np.ndarray,
) -> int:
    """Set the letters, with a space between words, of the most frequent runs of 2 to 4 words; of equals the first."""
    for word in range(words):
        positions[word] = word
        grams[word] = numbers[word]
    places = words
    for length in range(1, 5):
        if words < length:
            break
        looked_up, distinct = number_ngrams(length, places, positions, grams, keys, frequencies, slots, generation)
        generation += distinct
        if length > 1:
            most, chosen = 1, -1
            for number in range(distinct):
                if frequencies[number] > most:
                    most, chosen = frequencies[number], number
            first = np.int64(0)
            if chosen >= 0:
                for place in range(looked_up):
                    if np.int64(grams[place]) == chosen:
                        first = positions[place]
                        break
            counts[_FIRST_TOP + length - 2] = (stops[first + length] - stops[first] + length - 1) * most
        places = 0
        for place in range(looked_up):
            if frequencies[grams[place]] > 1:
                positions[places] = positions[place]
                grams[places] = grams[place]
                places += 1
    return generation


@njit(cache=True, nogil=True)
def _repeated_letters(
    length: int,
    words: int,
    kept: np.ndarray,
    stops: np.ndarray,
    prefix: np.ndarray,
    powers: np.ndarray,
    firsts: np.ndarray,
    slots: np.ndarray,
    generation: int,
) -> tuple[int, int]:
    """The letters of runs of `length` words that came before, from the left and without overlap; and the generation.

    Runs are compared by their letters, wherever the words in them part.
    """
    mask = table_size(words) - 1
    letters, distinct, word = 0, 0, 0
    while word + length <= words:
        begin, stop = stops[word], stops[word + length]
        slot = np.int64(_hash(prefix, powers, begin, stop)) & mask
        repeated = False
        while slots[slot] >= generation:
            other = firsts[slots[slot] - generation]
            if same_letters(kept, begin, stop, stops[other], stops[other + length]):
                repeated = True
                break
            slot = (slot + 1) & mask
        if repeated:
            letters += stop - begin
            word += length
        else:
            slots[slot] = generation + distinct
            firsts[distinct] = word
            distinct += 1
            word += 1
    return letters, generation + distinct
