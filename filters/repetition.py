"""Repetition: how often the same run of 2 to 10 characters comes again in a text, counted exactly."""

from __future__ import annotations

import numpy as np
from numba import njit

from dedup.shingles import mix
from filters.open_addressing import table_size
from filters.shares import share

# Swallow corpus v1 (swallow-corpus, quality.py) looks at the most frequent 2- to 4-gram and at repeated 5- to 10-grams.
TOP_LENGTHS = (2, 3, 4)
REPEATED_LENGTHS = (5, 6, 7, 8, 9, 10)

_LONGEST = 10
# What `count_ngrams` says of each length.
_TOTAL, _DISTINCT, _REPEATED, _TOP = 0, 1, 2, 3
_COLUMNS = 4


def repetition_signals(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return the signals of repetition, by name, from what `count_ngrams` gives."""
    signals = {}
    for n in TOP_LENGTHS:
        signals[f"top_{n}gram_ratio"] = share(counts[:, n - 1, _TOP], counts[:, n - 1, _TOTAL])
    for n in REPEATED_LENGTHS:
        repeated, distinct = counts[:, n - 1, _REPEATED], counts[:, n - 1, _DISTINCT]
        signals[f"repeated_{n}gram_type_ratio"] = share(repeated, distinct)
    for n in REPEATED_LENGTHS:
        total, distinct = counts[:, n - 1, _TOTAL], counts[:, n - 1, _DISTINCT]
        signals[f"repeated_{n}gram_occurrence_ratio"] = share(total - distinct, total)
    return signals


@njit(cache=True, nogil=True)
def count_ngrams(codes: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return int64 [rows, 10, 4]: four counts for each length n from 1 to 10.

    They are all n-grams, the distinct ones, the distinct ones that come more than once, and how often the most frequent
    comes; newlines are characters like others.

    Exact, with no hash to collide: an n-gram is named by the numbers of the two (n - 1)-grams that it begins and ends
    with, and two numbers fit into one 64-bit key. An n-gram can come again only where both of these do, so that longer
    ones are looked up at ever fewer places. Numbers are below 2^32: a text must be shorter than that.
    """
    counts = np.zeros((len(starts) - 1, _LONGEST, _COLUMNS), dtype=np.int64)
    longest = 1
    for row in range(len(starts) - 1):
        longest = max(longest, starts[row + 1] - starts[row])
    positions = np.empty(longest, dtype=np.int64)
    numbers = np.empty(longest, dtype=np.uint64)
    keys = np.empty(longest, dtype=np.uint64)
    frequencies = np.empty(longest, dtype=np.int64)
    table = np.zeros(table_size(longest), dtype=np.int64)
    generation = 1
    for row in range(len(starts) - 1):
        size = starts[row + 1] - starts[row]
        for position in range(size):
            positions[position] = position
            numbers[position] = codes[starts[row] + position]
        places = size
        for n in range(1, min(size, _LONGEST) + 1):
            looked_up, distinct = number_ngrams(n, places, positions, numbers, keys, frequencies, table, generation)
            generation += distinct
            total = size - n + 1
            repeated, top = 0, 1
            for number in range(distinct):
                repeated += frequencies[number] > 1
                top = max(top, frequencies[number])
            counts[row, n - 1, _TOTAL] = total
            # Every place that was not looked up has an n-gram of its own.
            counts[row, n - 1, _DISTINCT] = total - looked_up + distinct
            counts[row, n - 1, _REPEATED] = repeated
            counts[row, n - 1, _TOP] = top
            places = 0
            for place in range(looked_up):
                if frequencies[numbers[place]] > 1:
                    positions[places] = positions[place]
                    numbers[places] = numbers[place]
                    places += 1
    return counts


@njit(cache=True, nogil=True)
def number_ngrams(
    n: int,
    places: int,
    positions: np.ndarray,
    numbers: np.ndarray,
    keys: np.ndarray,
    frequencies: np.ndarray,
    table: np.ndarray,
    generation: int,
) -> tuple[int, int]:
    """Replace the numbers of repeated (n - 1)-grams by those of the n-grams that may be repeated.

    On entry the first `places` of `positions` (ascending) and `numbers` say where and which they are; for n = 1 the
    numbers are code points. On return the same holds of the n-grams, numbered from 0 as they first come. Returns how
    many places and how many distinct n-grams there are, with their `frequencies`. `table` holds generation + number;
    what is below `generation` counts as free.
    """
    mask = table_size(places) - 1
    looked_up, distinct = 0, 0
    for place in range(places):
        key = numbers[place]
        if n > 1:
            if place + 1 == places or positions[place + 1] != positions[place] + 1:
                continue
            key = (key << np.uint64(32)) | numbers[place + 1]
        slot = np.int64(mix(key)) & mask
        number = distinct
        while table[slot] >= generation:
            if keys[table[slot] - generation] == key:
                number = table[slot] - generation
                break
            slot = (slot + 1) & mask
        if number == distinct:
            table[slot] = generation + number
            keys[number] = key
            frequencies[number] = 0
            distinct += 1
        frequencies[number] += 1
        positions[looked_up] = positions[place]
        numbers[looked_up] = number
        looked_up += 1
    return looked_up, distinct
