"""Components are those of a plain union-find over all pairs, whatever the order of the rows."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.components import components, components_of_all, large_star, small_star

LARGE = 2**64 - 8
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


@given(EDGES, st.lists(st.integers(0, 20)), st.integers(1, 8))
def test_edges_may_come_piece_by_piece(edges: list[tuple[int, int]], cuts: list[int], at_once: int) -> None:
    places = [0, *sorted(min(cut, len(edges)) for cut in cuts), len(edges)]
    pieces = [columns(edges[start:stop]) for start, stop in itertools.pairwise(places)]
    for whole, joined in zip(components(*columns(edges)), components_of_all(pieces, at_once)):
        assert np.array_equal(whole, joined)


@given(EDGES)
def test_stars_in_turn_come_to_an_end_with_the_same_components(edges: list[tuple[int, int]]) -> None:
    """The steps over all documents at once; tests/pipeline/test_joining.py holds them over files."""
    now = {(max(edge), min(edge)) for edge in edges if edge[0] != edge[1]}
    for _ in range(20):
        larger, smaller, one = small_star(*neighbourhood(now, both=False))
        now = set(zip(larger.tolist(), smaller.tolist()))
        assert all(least < document for document, least in now)
        larger, smaller, other = large_star(*neighbourhood(now, both=True)[:3])
        now = set(zip(larger.tolist(), smaller.tolist()))
        if one == other == 0:
            break
    else:
        pytest.fail("no end after 20 rounds")
    expected = united(edges)
    assert now == {(document, least) for document, (least, _) in expected.items() if document != least}


def neighbourhood(edges: set[tuple[int, int]], both: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rows = sorted(edges | {(smaller, larger) for larger, smaller in edges} if both else edges)
    documents, neighbours = columns(rows)
    least = {document: min(other for one, other in rows if one == document) for document, _ in rows}
    leasts = np.array([least[document] for document, _ in rows], np.uint64)
    opens = np.array([index == 0 or rows[index - 1][0] != rows[index][0] for index in range(len(rows))], np.bool_)
    return documents, neighbours, leasts, opens


def test_nothing_in_nothing_out() -> None:
    empty = np.empty(0, dtype=np.uint64)
    assert [len(part) for part in components(empty, empty)] == [0, 0, 0]
    assert [len(part) for part in components_of_all([])] == [0, 0, 0]


def test_columns_of_different_length_are_an_error() -> None:
    with pytest.raises(ValueError, match="two ends"):
        components(np.zeros(2, dtype=np.uint64), np.zeros(3, dtype=np.uint64))
