"""Repetition: blocks that stand again and again in a row, as models write that have lost the thread."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.rewriting.checks.check import PairCheck

# Periods from this one on are first looked for by eight characters at every half period.
_GRAM, _SAMPLED_FROM = 8, 20
# A text of many loops has many periods that must be looked at: so many are, from the shortest on.
_MOST_PERIODS = 2_000
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def tandem_repeats(text: str) -> tuple[int, int]:
    """The most times that a block stands in a row, and the characters of the longest block that does at least twice.

    (1, 0) where none does. A block has a letter: rules, indentation and rows of zeros are none.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    letters = np.concatenate(([0], np.cumsum(np.fromiter(map(str.isalpha, text), bool, len(text)))))
    grams = _grams(codes)
    most, longest, looked = 1, 0, 0
    for period in range(1, len(codes) // 2 + 1):
        if period <= longest and len(codes) // period <= most:
            continue
        if period >= _SAMPLED_FROM:
            step = (period - _GRAM) // 2
            here = grams[: len(grams) - period : step]
            if not np.any(here == grams[period::step][: len(here)]):
                continue
            looked += 1
            if looked > _MOST_PERIODS:
                break
        for start, length in _runs(codes[:-period] == codes[period:], period):
            if letters[start + period] == letters[start]:
                continue
            whole = length + period
            most = max(most, whole // period)
            longest = max(longest, whole // 2 // period * period)
    return most, longest


def _grams(codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    """A hash of the eight characters at each place."""
    count = max(0, len(codes) - _GRAM + 1)
    hashes = np.zeros(count, np.uint64)
    for place in range(_GRAM):
        hashes = hashes * _FACTOR + codes[place : place + count].astype(np.uint64)
    return hashes


def _runs(equal: npt.NDArray[np.bool_], least: int) -> list[tuple[int, int]]:
    """Begin and length of the runs of True that are at least so long."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], equal.view(np.int8), [0]))))
    begins, lengths = edges[::2], edges[1::2] - edges[::2]
    kept = lengths >= least
    return list(zip(begins[kept].tolist(), lengths[kept].tolist(), strict=True))


def _repetition(source: str, answer: str) -> tuple[int, int, int]:
    most, longest = tandem_repeats(answer)
    before = most if source == answer else tandem_repeats(source)[0]
    return most, longest, max(0, most - before)


REPETITION = PairCheck(
    "repetition",
    {"most_repeats": pa.int64(), "longest_repetition": pa.int64(), "repeats_added": pa.int64()},
    _repetition,
)
