"""From equal band keys to candidate components: buckets give edges, edges give connected components."""

from __future__ import annotations

import numpy as np


def candidate_edges(keys: np.ndarray, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges (left, right) that join all documents with an equal key, sorted and each once.

    Row i of the input, in any order and repeated at will, says that documents[i] has keys[i]. A bucket of k documents
    gives at most k - 1 edges: from its smallest document, `left`, to each other, `right`. The edges have the dtype of
    `documents`. Raises ValueError when the two arrays differ in length.
    """
    if keys.shape != documents.shape:
        raise ValueError(f"each key needs one document: {keys.shape} keys, {documents.shape} documents")
    order = np.lexsort((documents, keys))
    keys, documents = keys[order], documents[order]
    opens = np.ones(len(keys), dtype=np.bool_)
    opens[1:] = keys[1:] != keys[:-1]
    bucket = np.cumsum(opens) - 1
    left = documents[np.flatnonzero(opens)[bucket]]
    # In a sorted bucket the rows of its smallest document come first, so that this drops exactly the self-edges.
    joined = left != documents
    left, right = left[joined], documents[joined]
    order = np.lexsort((right, left))
    left, right = left[order], right[order]
    distinct = np.ones(len(left), dtype=np.bool_)
    distinct[1:] = (left[1:] != left[:-1]) | (right[1:] != right[:-1])
    return left[distinct], right[distinct]


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
    ends = dense.reshape(2, -1)
    graph = coo_array((np.ones(len(left), dtype=np.int8), (ends[0], ends[1])), shape=(len(members), len(members)))
    # SciPy's labels are in no promised order: only which of them are equal is used.
    _, label = connected_components(graph, directed=False) if len(members) else (0, np.zeros(0, dtype=np.int32))
    _, first, label, count = np.unique(label, return_index=True, return_inverse=True, return_counts=True)
    size = count[label]
    several = size > 1
    return members[several], members[first[label]][several], size[several]
