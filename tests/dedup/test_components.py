"""Components are those of a plain union-find over all pairs, whatever the order of the rows."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.components import candidate_edges, components

LARGE = 2**64 - 8
ROWS = st.lists(st.tuples(st.integers(0, 9), st.integers(LARGE, LARGE + 7) | st.integers(0, 9)), max_size=40)
EDGES = st.lists(st.tuples(*[st.integers(LARGE, LARGE + 7) | st.integers(0, 15)] * 2), max_size=20)


def columns(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(rows, dtype=np.uint64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def united(edges: list[tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """Return document -> (smallest of its component, size) for all components of several documents."""
    parent: dict[int, int] = {}

    def root(document: int) -> int:
        while parent.setdefault(document, document) != document:
            document = parent[document]
        return document

    for one, other in edges:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    groups = defaultdict(list)
    for document in parent:
        groups[root(document)].append(document)
    return {document: (min(group), len(group)) for group in groups.values() if len(group) > 1 for document in group}


def found(left: np.ndarray, right: np.ndarray) -> dict[int, tuple[int, int]]:
    members, component, size = components(left, right)
    assert members.tolist() == sorted(set(members.tolist()))
    return dict(zip(members.tolist(), zip(component.tolist(), size.tolist())))


@given(EDGES, st.randoms(use_true_random=False))
def test_components_are_those_of_a_union_find_in_any_order(edges: list[tuple[int, int]], random) -> None:
    expected = united(edges)
    assert found(*columns(edges)) == expected
    turned = [edge[::-1] if random.random() < 0.5 else edge for edge in edges]
    random.shuffle(turned)
    assert found(*columns(turned)) == expected


@given(ROWS)
def test_edges_join_just_the_documents_with_a_common_key(rows: list[tuple[int, int]]) -> None:
    every_pair = [(one, other) for key, one in rows for same, other in rows if key == same]
    assert found(*candidate_edges(*columns(rows))) == united(every_pair)


@given(ROWS, st.randoms(use_true_random=False))
def test_edges_do_not_depend_on_order_or_repetition(rows: list[tuple[int, int]], random) -> None:
    shuffled = rows + rows[::2]
    random.shuffle(shuffled)
    for one, other in zip(candidate_edges(*columns(rows)), candidate_edges(*columns(shuffled))):
        assert np.array_equal(one, other)


@given(ROWS)
def test_a_bucket_gives_a_star_about_its_smallest_document(rows: list[tuple[int, int]]) -> None:
    buckets = defaultdict(set)
    for key, document in rows:
        buckets[key].add(document)
    stars = {(min(bucket), other) for bucket in buckets.values() for other in bucket if other != min(bucket)}
    left, right = candidate_edges(*columns(rows))
    assert left.dtype == right.dtype == np.uint64
    assert list(zip(left.tolist(), right.tolist())) == sorted(stars)


def test_nothing_in_nothing_out() -> None:
    empty = np.empty(0, dtype=np.uint64)
    assert [len(part) for part in candidate_edges(empty, empty)] == [0, 0]
    assert [len(part) for part in components(empty, empty)] == [0, 0, 0]


@pytest.mark.parametrize("function", [candidate_edges, components])
def test_columns_of_different_length_are_an_error(function) -> None:
    with pytest.raises(ValueError, match=r"each key|two ends"):
        function(np.zeros(2, dtype=np.uint64), np.zeros(3, dtype=np.uint64))
