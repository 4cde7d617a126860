"""Similarity: what a rewrite shares with its source, and whether it only took away."""

from __future__ import annotations

import pyarrow as pa

from dedup.normalise import normalize
from dedup.similarity import overlap, shingle_set
from pipeline.rewriting.checks.check import FAILED, PASSED, PairCheck

# Five characters: what the deduplication compares texts by.
SHINGLE = 5
# How far ahead the next kept span is looked for by its first characters.
_AHEAD = 4_000


def _similarity(source: str, answer: str) -> tuple[float, float | None, float | None]:
    before, after = (shingle_set(normalize(text), SHINGLE) for text in (source, answer))
    shared = overlap(before, after, 0)
    union = len(before) + len(after) - shared
    return (
        shared / union if union else 1.0,
        shared / len(after) if len(after) else None,
        shared / len(before) if len(before) else None,
    )


def kept_spans(source: str, answer: str) -> int | None:
    """In how many spans of the source, in order, the answer stands there; None where it does not. White space is free.

    The count is an upper bound: the fewest are not searched for.
    """
    source, answer = "".join(source.split()), "".join(answer.split())
    earliest = _greedy(source, answer, (1,), len(source))
    if earliest is None:
        return None
    longer = _greedy(source, answer, (32, 8, 3, 1), _AHEAD)
    return earliest if longer is None else min(earliest, longer)


def _greedy(source: str, answer: str, widths: tuple[int, ...], ahead: int) -> int | None:
    """Spans of the answer found one behind the other, each by its first characters; None where the source ends."""
    spans = here = place = 0
    while place < len(answer):
        if spans and here < len(source) and source[here] == answer[place]:
            here, place = here + 1, place + 1
            continue
        for width in widths:
            found = source.find(answer[place : place + width], here, here + ahead)
            if found >= 0:
                break
        else:
            return None
        spans, here, place = spans + 1, found + 1, place + 1
    return spans


def _deletion_only(source: str, answer: str) -> tuple[str, int | None]:
    spans = kept_spans(source, answer)
    return (FAILED, None) if spans is None else (PASSED, spans)


SIMILARITY = PairCheck(
    "similarity", {name: pa.float64() for name in ("similarity", "copied_ratio", "covered_ratio")}, _similarity
)
DELETION_ONLY = PairCheck("deletion_only", {"deletion_only": pa.string(), "kept_spans": pa.int64()}, _deletion_only)
