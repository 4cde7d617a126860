"""Which members of a candidate component go, and for which survivor: the true similarity decides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dedup.similarity import jaccard, jaccard_at_least

EXACT = "exact"
SAME_URL = "same_url"
NEAR = "near"


@dataclass(frozen=True, eq=False)
class Member:
    """A document of a candidate component.

    document: its dense id, unique among the members. order: its place among survivors, smaller is preferred; equal
    orders fall to the smaller document. shingles: `similarity.shingle_set` of its normalised text. bands: its uint64
    band keys, none when it is not comparable. content: the content hash of its normalised text. url: its
    normalised URL, empty when it is not to be compared by URL.
    """

    document: int
    order: tuple
    shingles: np.ndarray
    bands: np.ndarray
    content: int
    url: str


@dataclass(frozen=True)
class Removal:
    """A document that goes: `kept` survives in its place, `similarity` is their Jaccard index, `kind` says why."""

    document: int
    kept: int
    similarity: float
    kind: str


def resolve(members: Sequence[Member], limit: float) -> list[Removal]:
    """Return the removals among `members`, sorted by document; all others survive.

    Members are walked from the most preferred on, and each is compared with the survivors so far, so that what a
    removal names has always survived and similarity is never passed on along a chain. A member is removed as

    - `exact`, when a survivor has the same content hash and the same set of shingles;
    - else `same_url`, when a survivor has the same URL, whatever their similarity (recaptures);
    - else `near`, when its similarity to a survivor with which it shares a band is at least `limit`. The most similar
      survivor is named, of equally similar ones the most preferred.

    The result does not depend on the order of the input. A member costs one comparison for each survivor with which it
    shares a band, and only one where it is exact or a recapture. Raises ValueError when limit is not above 0 and at
    most 1, or when a document occurs twice.
    """
    if not 0.0 < limit <= 1.0:
        raise ValueError(f"the limit of similarity must be above 0 and at most 1, not {limit}")
    if len({member.document for member in members}) < len(members):
        raise ValueError("a document may be a member only once")
    survivors = _Survivors()
    removals = []
    for member in sorted(members, key=lambda each: (each.order, each.document)):
        removal = _exact(member, survivors) or _same_url(member, survivors) or _near(member, survivors, limit)
        if removal is None:
            survivors.add(member)
        else:
            removals.append(removal)
    return sorted(removals, key=lambda removal: removal.document)


class _Survivors:
    """The members kept so far, in order, found by content hash, URL and band key."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.by_content: defaultdict[int, list[Member]] = defaultdict(list)
        self.by_url: dict[str, Member] = {}
        self.by_band: defaultdict[int, list[int]] = defaultdict(list)

    def add(self, member: Member) -> None:
        place = len(self.members)
        self.members.append(member)
        self.by_content[member.content].append(member)
        if member.url:
            self.by_url[member.url] = member
        for key in set(member.bands.tolist()):
            self.by_band[key].append(place)

    def sharing_a_band(self, member: Member) -> Iterable[Member]:
        """Return the survivors with a band in common, each once, the most preferred first."""
        places: set[int] = set()
        for key in member.bands.tolist():
            places.update(self.by_band.get(key, ()))
        return (self.members[place] for place in sorted(places))


def _exact(member: Member, survivors: _Survivors) -> Removal | None:
    for kept in survivors.by_content.get(member.content, ()):
        if np.array_equal(member.shingles, kept.shingles):
            return Removal(member.document, kept.document, 1.0, EXACT)
    return None


def _same_url(member: Member, survivors: _Survivors) -> Removal | None:
    kept = survivors.by_url.get(member.url) if member.url else None
    if kept is None:
        return None
    return Removal(member.document, kept.document, jaccard(member.shingles, kept.shingles), SAME_URL)


def _near(member: Member, survivors: _Survivors, limit: float) -> Removal | None:
    best = None
    # Raised to the best so far, so that a survivor that cannot be the most similar one is given up early.
    floor = limit
    for kept in survivors.sharing_a_band(member):
        similarity = jaccard_at_least(member.shingles, kept.shingles, floor)
        if similarity > (best.similarity if best else -1.0):
            best = Removal(member.document, kept.document, similarity, NEAR)
            floor = similarity
            if similarity == 1.0:
                break
    return best
