"""Which members of candidate components go, and for which survivor: the true similarity decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dedup.walk import BITMAP_WORDS, Groups, State, walk

PAYLOAD = "payload"
EXACT = "exact"
SAME_URL = "same_url"
SAME_CANONICAL = "same_canonical"
NEAR = "near"
KINDS = (PAYLOAD, EXACT, SAME_URL, SAME_CANONICAL, NEAR)
MEASURES = ("jaccard", "containment")

# With how many survivors of one group a member is compared, the most preferred first. A band's bucket holds survivors
# that agree in all rows of a band and are yet no duplicates, so that 10,000 are met in made-up data only; a canonical
# address is often the home page of a whole site, and the copies that it proposes are among the first. Without a cap,
# a million such pages would be 5 x 10^11 comparisons.
MOST_COMPARED = {PAYLOAD: 10_000, EXACT: 10_000, SAME_URL: 10_000, SAME_CANONICAL: 100, NEAR: 10_000}

# load(members) returns (hashes uint64, offsets int64 [len + 1]) of the shingle sets of some members.
Load = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Resolution:
    """What became of each member.

    kept: int64, the survivor in whose place a member goes, -1 where it survives itself. similarity: float64, of a
    removed member to that survivor. kind: int8, an index into the kinds asked for, -1 for survivors. passes: how often
    the members were gone through. left_out: comparisons of survivors that the cap on survivors of a group left out.
    """

    kept: np.ndarray
    similarity: np.ndarray
    kind: np.ndarray
    passes: int
    left_out: int


def resolve(
    load: Load,
    sizes: np.ndarray,
    keys: dict[str, np.ndarray],
    limit: float,
    measure: str = "jaccard",
    budget: int = 25_000_000,
) -> Resolution:
    """Return which of n members go.

    Members are numbered in the order of survivors, the most preferred first; `sizes` (int64 [n]) are those of their
    shingle sets, and `keys` gives for each kind asked for, in the order in which a removal is named, uint64 [n, k] of
    which 0 means none. Members are walked from the first on, and each is compared with the survivors so far that share
    a key with it; it goes for the most preferred one of which any kind holds:

    - `exact`: a content hash is shared and the sets of shingles are equal;
    - `same_url`: a URL is shared, whatever the similarity (recaptures);
    - `payload`, `same_canonical`, `near`: a key of the kind is shared and the similarity is at least `limit`.

    So what a removal names has always survived, and similarity is never passed on along a chain. `measure` is the
    Jaccard index, or the containment, the share of the removed member's shingles that the survivor has. At most
    `budget` shingles of survivors, and as many of those compared with them, are in memory at once: when there are
    more, those who are neither removed nor kept yet wait for another pass, which changes nothing of the result.
    Raises ValueError when limit is not above 0 and at most 1, or a kind or measure is unknown.
    """
    if not 0.0 < limit <= 1.0:
        raise ValueError(f"the limit of similarity must be above 0 and at most 1, not {limit}")
    if measure not in MEASURES or not keys.keys() <= set(KINDS):
        raise ValueError(f"unknown kind or measure among {[*keys, measure]}; known: {[*KINDS, *MEASURES]}")
    count = len(sizes)
    groups = _groups(keys, count)
    state = State(
        np.full(count, -1, np.int64),
        np.zeros(count, np.float64),
        np.full(count, -1, np.int8),
        np.zeros(count, np.int64),
    )
    pending = np.arange(count, dtype=np.int64)
    passes = 0
    while len(pending):
        passes += 1
        pending = _one_pass(load, sizes, groups, state, pending, limit, measure, budget)
    return Resolution(state.kept, state.similarity, state.kind, passes, int(state.left_out[state.kept < 0].sum()))


def _one_pass(
    load: Load,
    sizes: np.ndarray,
    groups: Groups,
    state: State,
    pending: np.ndarray,
    limit: float,
    measure: str,
    budget: int,
) -> np.ndarray:
    """Compare all pending members with as many survivors as the budget holds; return those that must wait."""
    ends = np.cumsum(sizes[pending])
    room = int(min(ends[-1], max(budget, int(sizes[pending].max()))))
    store = np.empty(room, np.uint64)
    slots = np.full(len(sizes), -1, np.int64)
    # Sketches take no more room than sets.
    width = min(len(pending), max(1, budget // BITMAP_WORDS))
    bitmaps = np.empty((width, BITMAP_WORDS), np.uint64)
    edges = np.zeros(width + 1, np.int64)
    filled = np.zeros(len(groups.starts), np.int64)
    seen = np.full(len(sizes), -1, np.int64)
    used = np.zeros(2, np.int64)
    waiting = []
    cuts = [0, *(np.flatnonzero(np.diff(ends // max(budget, 1))) + 1).tolist(), len(pending)]
    for start, stop in pairwise(cuts):
        chunk = pending[start:stop]
        if not len(chunk):
            continue
        hashes, offsets = load(chunk)
        waits = walk(
            chunk, hashes, offsets, store, slots, edges, bitmaps, used, filled, seen, groups, state, limit,
            measure == "containment",
        )  # fmt: skip
        waiting.append(chunk[waits])
    groups.earlier[:] += filled
    return np.concatenate(waiting)


def _groups(keys: dict[str, np.ndarray], count: int) -> Groups:
    """Number the keys that two or more members share; a key is one group whatever its column."""
    columns: list[np.ndarray] = []
    kinds: list[int] = []
    starts: list[np.ndarray] = []
    groups, room = 0, 0
    for index, values in enumerate(keys.values()):
        distinct, where, sharing = np.unique(values.reshape(-1), return_inverse=True, return_counts=True)
        several = (sharing > 1) & (distinct != 0)
        number = np.where(several, np.cumsum(several) - 1 + groups, -1).astype(np.int64)
        columns.append(number[where].reshape(values.shape))
        kinds += [index] * columns[-1].shape[1]
        starts.append(room + np.concatenate([[0], np.cumsum(sharing[several])[:-1]])[: int(several.sum())])
        groups += int(several.sum())
        room += int(sharing[several].sum())
    of_member = np.concatenate([np.empty((count, 0), np.int64), *columns], axis=1)
    names = list(keys)
    return Groups(
        of_member=np.ascontiguousarray(of_member),
        starts=np.concatenate([*starts, np.zeros(0, np.int64)]).astype(np.int64),
        survivors=np.empty(room, np.int64),
        earlier=np.zeros(groups, np.int64),
        kinds=np.array(kinds, np.int8),
        most=np.array([MOST_COMPARED[names[kind]] for kind in kinds], np.int64),
        is_exact=np.array([names[kind] == EXACT for kind in kinds], np.bool_),
        is_url=np.array([names[kind] == SAME_URL for kind in kinds], np.bool_),
    )
