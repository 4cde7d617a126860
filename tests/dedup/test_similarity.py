"""The similarity of two texts is the Jaccard index of their sets of n-grams."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.similarity import jaccard, jaccard_at_least, shingle_set

# Few letters, so that random texts share shingles.
TEXT = st.text(st.sampled_from("かがカガ𠮷a"), max_size=40)


def shingles_of(text: str, n: int) -> set[str]:
    return {text[i : i + n] for i in range(len(text) - n + 1)} if len(text) >= n else {text} - {""}


def true_jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0


@given(TEXT, TEXT, st.integers(1, 6))
def test_jaccard_is_that_of_the_sets_of_shingles(one: str, other: str, n: int) -> None:
    a, b = shingle_set(one, n), shingle_set(other, n)
    expected = true_jaccard(shingles_of(one, n), shingles_of(other, n))
    assert jaccard(a, b) == jaccard(b, a) == expected


@given(TEXT, TEXT, st.integers(1, 6), st.floats(0.01, 1.0))
def test_giving_up_early_never_changes_the_verdict(one: str, other: str, n: int, limit: float) -> None:
    a, b = shingle_set(one, n), shingle_set(other, n)
    similarity = jaccard(a, b)
    assert jaccard_at_least(a, b, limit) == (similarity if similarity >= limit else -1.0)
    if similarity > 0:
        assert jaccard_at_least(a, b, similarity) == similarity


@given(TEXT, st.integers(1, 6))
def test_a_set_is_sorted_and_without_repeats(text: str, n: int) -> None:
    shingles = shingle_set(text, n)
    assert shingles.dtype == np.uint64
    assert (shingles[1:] > shingles[:-1]).all()
    assert len(shingles) == len(shingles_of(text, n))


def test_short_texts_are_compared_whole() -> None:
    assert jaccard(shingle_set("はい", 5), shingle_set("はい", 5)) == 1.0
    assert jaccard(shingle_set("はい", 5), shingle_set("はは", 5)) == 0.0
    assert jaccard(shingle_set("はい", 5), shingle_set("はいはいは", 5)) == 0.0
    assert jaccard(shingle_set("", 5), shingle_set("", 5)) == 1.0
    assert jaccard(shingle_set("", 5), shingle_set("は", 5)) == 0.0


def test_hostile_strings_are_no_error() -> None:
    assert len(shingle_set("\ud800" * 3, 5)) == 1
    assert len(shingle_set("\x00" * 100, 5)) == 1


def test_a_shingle_has_at_least_one_character() -> None:
    with pytest.raises(ValueError, match="at least one"):
        shingle_set("あ", 0)
