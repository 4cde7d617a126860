"""A store gives back the sets that were put in, from memory or from a file."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.normalise import normalize_array
from dedup.shingle_store import ShingleStore, shingle_sets
from dedup.similarity import shingle_set

TEXTS = st.lists(st.text(st.sampled_from("かがカ漢a "), max_size=12), max_size=8)


@given(TEXTS, st.integers(1, 6))
def test_sets_of_many_texts_are_the_sets_of_each(texts, n) -> None:
    normalised = normalize_array(pa.array(texts, pa.string()))
    hashes, offsets = shingle_sets(normalised, n)
    found = [hashes[start:stop].tolist() for start, stop in pairwise(offsets)]
    assert found == [shingle_set(text, n).tolist() for text in normalised.to_pylist()]


@pytest.mark.parametrize("memory", [0, 700, 10**9])
def test_sets_come_back_in_any_order(tmp_path, memory) -> None:
    random = np.random.default_rng(3)
    sets = [np.unique(random.integers(0, 2**63, size, np.uint64)) for size in (3, 0, 40, 1, 17, 200)]
    with ShingleStore(tmp_path, memory) as store:
        for pair in (sets[:2], sets[2:3], sets[3:]):
            store.add(np.concatenate(pair), np.cumsum([0, *map(len, pair)]).astype(np.int64))
        edges = store.edges()
        assert np.diff(edges).tolist() == [len(each) for each in sets]
        wanted = np.array([5, 0, 4, 1, 2, 3, 5])
        hashes, offsets = store.load(edges[wanted], np.diff(edges)[wanted])
        for place, index in enumerate(wanted):
            assert hashes[offsets[place] : offsets[place + 1]].tolist() == sets[index].tolist()
        assert list(tmp_path.iterdir()) == [], "the file has no name to be left behind"
