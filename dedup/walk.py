"""The compiled walk of `resolve`: each member against the survivors that share a group with it, in their order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from dedup.similarity import overlap

# 4,096 bits for each survivor: on texts of 2,000 letters nearly all pairs of a Jaccard index below 0.75 are told apart
# from those of 0.8 by them.
BITMAP_WORDS = 64
_BITS = np.uint64(BITMAP_WORDS * 64 - 1)


class Groups(NamedTuple):
    """Which groups each member is in (int64 [n, columns], -1 for none), and room for the survivors of each group.

    Of group g the survivors of this pass stand in `survivors` from `starts[g]` on; `earlier` counts those of earlier
    passes. For each column: its kind, with how many
    survivors of a group to compare, and whether its kind asks for equal sets, or for nothing more than the key.
    """

    of_member: np.ndarray
    starts: np.ndarray
    survivors: np.ndarray
    earlier: np.ndarray
    kinds: np.ndarray
    most: np.ndarray
    is_exact: np.ndarray
    is_url: np.ndarray


class State(NamedTuple):
    """What is known of each member so far, as `resolve.Resolution` says; `left_out` counts by member."""

    kept: np.ndarray
    similarity: np.ndarray
    kind: np.ndarray
    left_out: np.ndarray


@njit(cache=True, nogil=True)
def walk(
    chunk: np.ndarray,
    hashes: np.ndarray,
    offsets: np.ndarray,
    store: np.ndarray,
    slots: np.ndarray,
    edges: np.ndarray,
    bitmaps: np.ndarray,
    used: np.ndarray,
    filled: np.ndarray,
    seen: np.ndarray,
    groups: Groups,
    state: State,
    limit: float,
    containment: bool,
) -> np.ndarray:
    """Go through some members in order; return which of them wait, since they are no duplicates and the store is full.

    `store` holds the sets of this pass's survivors, `slots` where each is, `edges` and `bitmaps` are by slot; `used`
    is the number of slots taken and whether the store is full. `filled` counts the survivors of each group, and
    `seen` names the member with which a survivor was compared last.
    """
    waits = np.zeros(len(chunk), np.bool_)
    bitmap = np.empty(BITMAP_WORDS, np.uint64)
    for row in range(len(chunk)):
        member = chunk[row]
        mine = hashes[offsets[row] : offsets[row + 1]]
        _sketch(mine, bitmap)
        best, left_out = len(slots), 0
        for column in range(groups.of_member.shape[1]):
            group = groups.of_member[member, column]
            if group < 0:
                continue
            start = groups.starts[group]
            most = min(filled[group], max(0, groups.most[column] - groups.earlier[group]))
            for place in range(start, start + most):
                survivor = groups.survivors[place]
                if survivor >= best:
                    break
                if groups.is_url[column]:
                    best = survivor
                    break
                slot = slots[survivor]
                theirs = store[edges[slot] : edges[slot + 1]]
                if groups.is_exact[column]:
                    if _equal(mine, theirs):
                        best = survivor
                elif seen[survivor] != member:
                    seen[survivor] = member
                    if _at_least(mine, bitmap, theirs, bitmaps[slot], limit, containment) >= 0.0:
                        best = survivor
            left_out += filled[group] - most
        if best < len(slots):
            theirs = store[edges[slots[best]] : edges[slots[best] + 1]]
            _remove(member, best, mine, theirs, groups, state, limit, containment)
            continue
        state.left_out[member] += left_out
        if used[1] or used[0] == len(bitmaps) or edges[used[0]] + len(mine) > len(store):
            # Nobody who comes later may survive in this pass: it would not have been compared with this one.
            used[1] = 1
            waits[row] = True
        else:
            _keep(member, mine, bitmap, store, slots, edges, bitmaps, used, filled, groups)
    return waits


@njit(cache=True, nogil=True)
def _keep(
    member: int,
    mine: np.ndarray,
    bitmap: np.ndarray,
    store: np.ndarray,
    slots: np.ndarray,
    edges: np.ndarray,
    bitmaps: np.ndarray,
    used: np.ndarray,
    filled: np.ndarray,
    groups: Groups,
) -> None:
    slot = used[0]
    store[edges[slot] : edges[slot] + len(mine)] = mine
    edges[slot + 1] = edges[slot] + len(mine)
    bitmaps[slot] = bitmap
    slots[member] = slot
    used[0] += 1
    for column in range(groups.of_member.shape[1]):
        group = groups.of_member[member, column]
        if group < 0:
            continue
        end = groups.starts[group] + filled[group]
        # A key that stands in two columns of one member is one membership.
        if filled[group] == 0 or groups.survivors[end - 1] != member:
            groups.survivors[end] = member
            filled[group] += 1


@njit(cache=True, nogil=True)
def _remove(
    member: int,
    best: int,
    mine: np.ndarray,
    theirs: np.ndarray,
    groups: Groups,
    state: State,
    limit: float,
    containment: bool,
) -> None:
    shared = overlap(mine, theirs, 0)
    similarity = _similarity(shared, len(mine), len(theirs), containment)
    state.kept[member] = best
    state.similarity[member] = similarity
    equal = shared == len(mine) == len(theirs)
    for column in range(groups.of_member.shape[1]):
        holds = groups.is_url[column] or (equal if groups.is_exact[column] else similarity >= limit)
        if holds and _shared(groups.of_member, member, best, column, groups.kinds):
            state.kind[member] = groups.kinds[column]
            return


@njit(cache=True, nogil=True)
def _shared(of_member: np.ndarray, member: int, other: int, column: int, kinds: np.ndarray) -> bool:
    """Whether the other member has this member's group of a column in any column of the same kind."""
    group, shared = of_member[member, column], False
    for its in range(of_member.shape[1]):
        shared |= group >= 0 and kinds[its] == kinds[column] and of_member[other, its] == group
    return shared


@njit(cache=True, nogil=True)
def _sketch(shingles: np.ndarray, bitmap: np.ndarray) -> None:
    """Set each bit to whether an odd number of shingles falls on it, so that two sketches differ in no more bits than
    the sets in shingles."""
    bitmap[:] = np.uint64(0)
    for shingle in shingles:
        bit = shingle & _BITS
        bitmap[bit >> np.uint64(6)] ^= np.uint64(1) << (bit & np.uint64(63))


@njit(cache=True, nogil=True)
def _at_least(
    mine: np.ndarray, bitmap: np.ndarray, theirs: np.ndarray, other: np.ndarray, limit: float, containment: bool
) -> float:
    """Return the similarity where it is at least `limit`, and -1.0 else, giving up as soon as that is certain."""
    a, b = len(mine), len(theirs)
    # Overlap o gives o / (a + b - o) >= limit just when o >= limit * (a + b) / (1 + limit). One less than that, so that
    # rounding cannot lose a pair at the limit: the ratio itself decides.
    needed = int(limit * a) - 1 if containment else int(limit * (a + b) / (1.0 + limit)) - 1
    if min(a, b) < needed or _differing_bits(bitmap, other) > a + b - 2 * needed:
        return -1.0
    shared = overlap(mine, theirs, max(needed, 0))
    if shared < 0:
        return -1.0
    similarity = _similarity(shared, a, b, containment)
    return similarity if similarity >= limit else -1.0


@njit(cache=True, nogil=True)
def _differing_bits(one: np.ndarray, other: np.ndarray) -> int:
    count = np.uint64(0)
    for index in range(BITMAP_WORDS):
        x = one[index] ^ other[index]
        # Population count of 64 bits by adding neighbours (Hacker's Delight, 5-1).
        x -= (x >> np.uint64(1)) & np.uint64(0x5555555555555555)
        x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
        x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
        count += (x * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return int(count)


@njit(cache=True, nogil=True)
def _similarity(shared: int, mine: int, theirs: int, containment: bool) -> float:
    whole = mine if containment else mine + theirs - shared
    # Two empty texts are equal; an empty one is in any other.
    return shared / whole if whole else 1.0


@njit(cache=True, nogil=True)
def _equal(mine: np.ndarray, theirs: np.ndarray) -> bool:
    equal = len(mine) == len(theirs)
    for index in range(len(mine) if equal else 0):
        equal &= mine[index] == theirs[index]
    return equal
