"""Signatures estimate the Jaccard similarity without bias, and bands are shared as often as the curve says."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from datasketch import MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.minhash import (
    MAX_PERMUTATIONS,
    PRESETS,
    MinHashParameters,
    band_hashes,
    content_hashes,
    parameters_for_threshold,
    probability_of_candidate,
    signatures,
)
from dedup.similarity import jaccard, shingle_set

SMALL = MinHashParameters(ngram=3, bands=4, rows=2)
JAPANESE = st.text(st.sampled_from("あいうえおかがきぎ漢字日本語ー、。𠮷"), max_size=12)


def text_pairs(count: int, letters: int, similarity: float, seed: int) -> list[tuple[str, str]]:
    """Return pairs of random kanji that begin alike, so that about `similarity` of their 5-grams are shared."""
    generator = np.random.default_rng(seed)

    def kanji(length: int) -> str:
        return "".join(map(chr, generator.integers(0x4E00, 0x9FA0, length)))

    shared = round((letters - 4) * 2 * similarity / (1 + similarity)) + 4
    pairs = []
    for _ in range(count):
        start = kanji(shared)
        pairs.append((start + kanji(letters - shared), start + kanji(letters - shared)))
    return pairs


def true_similarities(pairs: list[tuple[str, str]]) -> np.ndarray:
    return np.array([jaccard(shingle_set(one, 5), shingle_set(other, 5)) for one, other in pairs])


@settings(max_examples=50)
@given(st.lists(st.one_of(st.none(), JAPANESE), max_size=8), st.integers(0, 8))
def test_band_hashes_do_not_depend_on_the_batch(texts: list[str | None], cut: int) -> None:
    array = pa.array(texts, pa.large_string())
    hashes, comparable = band_hashes(array, SMALL)
    assert hashes.shape == (len(texts), SMALL.bands) and hashes.dtype == np.uint64
    for part in (slice(None, cut), slice(cut, None)):
        for kind in (pa.string(), pa.large_string()):
            piece_hashes, piece_comparable = band_hashes(array.cast(kind)[part], SMALL)
            assert np.array_equal(piece_hashes, hashes[part])
            assert np.array_equal(piece_comparable, comparable[part])


@given(st.lists(st.one_of(st.none(), JAPANESE), max_size=8))
def test_texts_shorter_than_a_shingle_are_not_comparable(texts: list[str | None]) -> None:
    hashes, comparable = band_hashes(pa.array(texts, pa.string()), SMALL)
    assert comparable.tolist() == [len(text or "") >= SMALL.ngram for text in texts]
    assert not hashes[~comparable].any()
    assert hashes[comparable].all()


@given(JAPANESE.filter(lambda text: len(text) >= 3), st.integers(2, 5))
def test_only_the_set_of_shingles_counts(text: str, times: int) -> None:
    # Repeated often enough that each window over a seam occurs already in the doubled text.
    once, again = text * 2, text * (times + 1)
    hashes, _ = band_hashes(pa.array([once, again]), SMALL)
    assert np.array_equal(hashes[0], hashes[1])


def test_equal_rows_in_different_bands_have_different_hashes() -> None:
    # A text of one shingle only has minima of its own in each band; all the same, no band may meet another one.
    texts = pa.array([chr(0x4E00 + index) * 5 for index in range(2000)])
    hashes, _ = band_hashes(texts, MinHashParameters(ngram=5, bands=40, rows=1))
    assert len(np.unique(hashes)) == hashes.size


def test_band_hashes_differ_with_each_parameter() -> None:
    text = pa.array(["国境の長いトンネルを抜けると雪国であった。"])
    plain, _ = band_hashes(text, SMALL)
    for other in (replace(SMALL, seed=2), replace(SMALL, ngram=4), replace(SMALL, rows=3)):
        assert not np.intersect1d(plain, band_hashes(text, other)[0]).size


def band_hashes_in_integers(text: str, parameters: MinHashParameters) -> list[int]:
    """Return the band hashes of one text by the definition, in Python's integers of any size."""
    golden, first, second, word = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 2**64 - 1

    def mix(value: int) -> int:
        value = ((value ^ value >> 30) * first) & word
        value = ((value ^ value >> 27) * second) & word
        return value ^ value >> 31

    letters = []
    for character in text:
        lead, *rest = character.encode()
        letter = lead
        for byte in rest:
            letter = letter << 6 | byte & 0x3F
        letter = ((letter + 1) * golden) & word
        letters.append(letter ^ letter >> 32)
    n = parameters.ngram
    shingles = []
    for start in range(len(letters) - n + 1):
        window = sum(letter * first ** (n - 1 - place) for place, letter in enumerate(letters[start : start + n]))
        shingles.append(mix((window + n * golden) & word) >> 32)

    def permuted(index: int) -> list[int]:
        drawn = mix((parameters.seed + (index + 1) * golden) & word)
        return [((h ^ drawn >> 32) * (drawn & 0xFFFFFFFF | 1)) & 0xFFFFFFFF for h in shingles]

    bins = parameters.permutations // parameters.passes
    minima = []
    for place in range(parameters.permutations):
        values = [value for value in permuted(place // bins) if (value >> 16) * bins >> 16 == place % bins]
        minima.append(min(values or permuted(parameters.passes + place)))
    hashes = []
    for band in range(parameters.bands):
        value = mix((band * golden) & word)
        for minimum in minima[band :: parameters.bands]:
            value = ((value ^ minimum) * first) & word
            value ^= value >> 32
        hashes.append(mix(value))
    return hashes


@pytest.mark.parametrize("parameters", [SMALL, MinHashParameters(ngram=1, bands=3, rows=5, seed=2**64 - 1)])
@pytest.mark.parametrize(
    "text", ["国境の長いトンネルを抜けると雪国であった。", "𠮷野家abcé", "ああああああああああああ"]
)
def test_band_hashes_follow_their_definition(text: str, parameters: MinHashParameters) -> None:
    hashes, _ = band_hashes(pa.array(["別の文である。", text]), parameters)
    assert hashes[1].tolist() == band_hashes_in_integers(text, parameters)


def test_band_hashes_are_the_same_on_every_machine() -> None:
    # Stored signatures are compared with later ones: whoever changes this raises the rule version of the stage.
    hashes, _ = band_hashes(pa.array(["国境の長いトンネルを抜けると雪国であった。", "短文"]), PRESETS["swallow"])
    assert hashlib.sha256(hashes.astype("<u8").tobytes()).hexdigest()[:16] == "98105370a4a38491"


@pytest.mark.parametrize(("letters", "seed"), [(400, 1), (2000, 2)])
@pytest.mark.parametrize("similarity", [0.5, 0.8, 0.9])
def test_estimates_are_as_good_as_theory_allows(letters: int, seed: int, similarity: float) -> None:
    parameters = PRESETS["swallow"]
    pairs = text_pairs(150, letters, similarity, seed)
    truth = true_similarities(pairs)
    one, _ = signatures(pa.array([pair[0] for pair in pairs]), parameters)
    other, _ = signatures(pa.array([pair[1] for pair in pairs]), parameters)
    error = (one == other).mean(axis=1) - truth
    deviation = np.sqrt((truth * (1 - truth)).mean() / parameters.permutations)
    # The relative error of a measured deviation of 150 pairs is 1 / sqrt(300): 1.25 is more than four of these.
    assert np.sqrt((error**2).mean()) < 1.25 * deviation
    assert abs(error.mean()) < 4.5 * deviation / np.sqrt(len(pairs))


@pytest.mark.parametrize(
    ("preset", "similarity"),
    [("swallow", 0.75), ("swallow", 0.8), ("swallow", 0.87), ("fineweb", 0.6), ("fineweb", 0.75), ("llm-jp-v4", 0.75)],
)
def test_bands_are_shared_as_often_as_the_curve_says(preset: str, similarity: float) -> None:
    parameters = PRESETS[preset]
    pairs = text_pairs(400, 400, similarity, seed=5)
    one, _ = band_hashes(pa.array([pair[0] for pair in pairs]), parameters)
    other, _ = band_hashes(pa.array([pair[1] for pair in pairs]), parameters)
    found = (one == other).any(axis=1).sum()
    chances = np.array([probability_of_candidate(truth, parameters) for truth in true_similarities(pairs)])
    assert abs(found - chances.sum()) < 4 * np.sqrt((chances * (1 - chances)).sum())


@pytest.mark.parametrize(
    ("preset", "similarity", "chance"),
    [("swallow", 0.7, 0.031), ("swallow", 0.8, 0.371), ("swallow", 0.9, 0.994), ("fineweb", 0.8, 0.924)],
)
def test_the_curve_has_the_published_values(preset: str, similarity: float, chance: float) -> None:
    assert probability_of_candidate(similarity, PRESETS[preset]) == pytest.approx(chance, abs=0.0006)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_curve_rises_from_never_to_always(preset: str) -> None:
    chances = [probability_of_candidate(step / 100, PRESETS[preset]) for step in range(101)]
    assert chances[0] == 0.0 and chances[-1] == 1.0
    assert chances == sorted(chances)


@pytest.mark.parametrize(("threshold", "permutations"), [(0.5, 64), (0.8, 128), (0.9, 256)])
def test_parameters_for_a_threshold_are_those_of_datasketch(threshold: float, permutations: int) -> None:
    parameters = parameters_for_threshold(threshold, permutations, ngram=7, seed=9)
    index = MinHashLSH(threshold=threshold, num_perm=permutations)
    assert parameters == MinHashParameters(ngram=7, bands=index.b, rows=index.r, seed=9)
    assert parameters.permutations <= permutations
    assert probability_of_candidate(threshold - 0.25, parameters) < 0.3
    assert probability_of_candidate(min(threshold + 0.09, 0.99), parameters) > 0.7


@pytest.mark.parametrize(
    "bad",
    [{"ngram": 0}, {"bands": 0}, {"rows": -1}, {"bands": 101, "rows": 100}, {"seed": -1}, {"seed": 2**64}],
)
def test_parameters_that_make_no_signature_are_errors(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="MinHash"):
        MinHashParameters(**bad)


@pytest.mark.parametrize(("threshold", "permutations"), [(0.0, 128), (1.0, 128), (0.8, 1), (0.8, MAX_PERMUTATIONS + 1)])
def test_thresholds_that_make_no_bands_are_errors(threshold: float, permutations: int) -> None:
    with pytest.raises(ValueError, match="MinHash"):
        parameters_for_threshold(threshold, permutations)


@given(st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]))), max_size=6))
def test_content_hashes_are_those_of_the_utf8(texts: list[str | None]) -> None:
    expected = [xxhash.xxh3_64_intdigest((text or "").encode()) for text in texts]
    array = pa.array(texts, pa.string())
    assert content_hashes(array).tolist() == expected
    assert content_hashes(array.cast(pa.large_string())[1:]).tolist() == expected[1:]
