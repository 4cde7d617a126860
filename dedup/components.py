"""Connected components: of edges in memory by SciPy, and the steps of an algorithm for edges that fit in no memory."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

# Edges that are gathered before they are joined with what is known.
EDGES_AT_ONCE = 8_000_000


def components(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (members, component, size) of the connected components of two or more documents.

    Edge i joins left[i] and right[i], documents of any ids (uint64), fewer than 2^31 different ones. `members` is
    sorted; component[i] is the smallest document in the component of members[i], and size[i] (int64) its number of
    documents. Independent of the order and direction of the edges. Raises ValueError when the arrays differ in length.
    """
    # Imported here since it takes most of a second, and most commands never come here.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if left.shape != right.shape:
        raise ValueError(f"an edge needs two ends: {left.shape} left, {right.shape} right")
    members, dense = np.unique(np.concatenate([left, right]), return_inverse=True)
    ends = dense.astype(np.int32).reshape(2, -1)
    del dense
    graph = coo_array((np.ones(len(left), dtype=np.int8), (ends[0], ends[1])), shape=(len(members), len(members)))
    # SciPy's labels are in no promised order: only which of them are equal is used.
    _, label = connected_components(graph, directed=False) if len(members) else (0, np.zeros(0, dtype=np.int32))
    del graph, ends
    _, first, label, count = np.unique(label, return_index=True, return_inverse=True, return_counts=True)
    size = count[label]
    several = size > 1
    return members[several], members[first[label]][several], size[several]


def components_of_all(
    pieces: Iterable[tuple[np.ndarray, np.ndarray]], at_once: int = EDGES_AT_ONCE
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `components` of edges that come piece by piece, (left, right) each.

    Memory grows with the documents that have an edge and with `at_once`, not with the number of edges: what is known
    of earlier pieces is one edge a document.
    """
    known = np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.int64)
    waiting: list[tuple[np.ndarray, np.ndarray]] = []
    edges = 0
    for piece in pieces:
        waiting.append(piece)
        edges += len(piece[0])
        if edges >= at_once:
            known = _joined(known, waiting)
            waiting, edges = [], 0
    return _joined(known, waiting) if waiting else known


def _joined(
    known: tuple[np.ndarray, np.ndarray, np.ndarray], pieces: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    members, component, _ = known
    return components(
        np.concatenate([component, *(left for left, _ in pieces)]),
        np.concatenate([members, *(right for _, right in pieces)]),
    )


def small_star(
    documents: np.ndarray, neighbours: np.ndarray, leasts: np.ndarray, opens: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return (larger, smaller, changed): each document and its smaller neighbours joined to the least of these.

    Row i says that documents[i] has the neighbour neighbours[i] < documents[i], and leasts[i] is the least neighbour of
    that document; opens[i] is true once for each document. The edges have the same components. `changed` counts
    neighbours that were not the least: with none, each document has one smaller neighbour. This and `large_star` in
    turn end in stars about the least document of each component (Kiveris et al. 2014, "Connected components in
    MapReduce and beyond", who prove O(log^2 n) rounds and see fewer).
    """
    moved = neighbours != leasts
    larger = np.concatenate([neighbours[moved], documents[opens]])
    smaller = np.concatenate([leasts[moved], leasts[opens]])
    return larger, smaller, int(moved.sum())


def large_star(documents: np.ndarray, neighbours: np.ndarray, leasts: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return (larger, smaller, changed): the larger neighbours of each document joined to the least it knows of.

    As in `small_star`, but neighbours[i] may be larger than documents[i], and leasts[i] is the least neighbour. The
    least that a document knows of may be itself. `changed` counts the neighbours that were joined to another one.
    """
    larger = neighbours > documents
    least = np.minimum(documents, leasts)[larger]
    return neighbours[larger], least, int((least != documents[larger]).sum())
