"""Score: how well an extracted text matches a page's gold, and how sure a mean over pages is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NGRAM = 5


@dataclass(frozen=True, slots=True)
class Score:
    """Precision, recall and their harmonic mean, each from 0 to 1."""

    precision: float
    recall: float
    f1: float


def _ngrams(text: str) -> Counter[str]:
    letters = "".join(text.split())
    if len(letters) < NGRAM:
        return Counter([letters] if letters else [])
    return Counter(letters[start : start + NGRAM] for start in range(len(letters) - NGRAM + 1))


def score(text: str, gold: str) -> Score:
    """Compare the multisets of character 5-grams of two texts without their white space.

    Two empty texts agree wholly; one empty text agrees with no other.
    """
    found, wanted = _ngrams(text), _ngrams(gold)
    if not found or not wanted:
        same = float(not found and not wanted)
        return Score(same, same, same)
    common = sum((found & wanted).values())
    if not common:
        return Score(0.0, 0.0, 0.0)
    precision, recall = common / found.total(), common / wanted.total()
    return Score(precision, recall, 2 * precision * recall / (precision + recall))


def interval(
    values: npt.ArrayLike, sites: Sequence[str], seed: int = 1, samples: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Bootstrap interval of the mean over pages, whole sites drawn with replacement: pages of one site are alike."""
    numbers = np.asarray(values, dtype=float)
    names, index = np.unique(np.asarray(sites), return_inverse=True)
    sums, counts = np.bincount(index, weights=numbers), np.bincount(index).astype(float)
    drawn = np.random.default_rng(seed).integers(0, len(names), size=(samples, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
