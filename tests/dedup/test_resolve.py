"""Only true duplicates of a survivor go, and what is decided does not depend on the order of arrival."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.minhash import MinHashParameters, band_hashes, content_hashes
from dedup.normalise import normalize_array
from dedup.resolve import EXACT, KINDS, NEAR, PAYLOAD, SAME_CANONICAL, SAME_URL, Resolution, resolve
from dedup.similarity import jaccard, shingle_set

# One row a band: nearly every pair with anything in common becomes a candidate, as resolve must bear.
PARAMETERS = MinHashParameters(ngram=3, bands=8, rows=1)
LETTERS = "国境の長いトンネルを抜けると雪国であった夜の底が白くなった信号所に汽車が止まった"
TEXT = st.one_of(
    st.text(st.sampled_from("かがカ"), max_size=5),
    st.builds(lambda start, stop: LETTERS[start:stop], st.integers(0, 4), st.integers(20, len(LETTERS))),
)
ADDRESS = st.integers(0, 4)
COLLECTION = st.lists(st.tuples(TEXT, ADDRESS, ADDRESS, ADDRESS), max_size=14)
LIMIT = st.sampled_from([0.3, 0.6, 0.8, 1.0])
MEASURE = st.sampled_from(["jaccard", "containment"])
ORDER = st.permutations(KINDS).flatmap(lambda kinds: st.integers(1, len(kinds)).map(lambda n: tuple(kinds[:n])))
# From a single set to all of them in memory at once.
BUDGET = st.sampled_from([1, 30, 100, 10_000])


@dataclass
class Members:
    """Members in the order of survivors, with all that may propose a pair."""

    sets: list[np.ndarray]
    keys: dict[str, np.ndarray] = field(default_factory=dict)

    def resolve(self, limit: float, kinds: tuple[str, ...] = KINDS, measure: str = "jaccard", budget=10_000):
        def load(wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            sets = [self.sets[index] for index in wanted.tolist()]
            offsets = np.cumsum([0, *(len(each) for each in sets)]).astype(np.int64)
            return np.concatenate([np.zeros(0, np.uint64), *sets]), offsets

        sizes = np.array([len(each) for each in self.sets], np.int64)
        return resolve(load, sizes, {kind: self.keys[kind] for kind in kinds}, limit, measure, budget)

    def without(self, gone: set[int]) -> Members:
        stay = [index for index in range(len(self.sets)) if index not in gone]
        return Members([self.sets[i] for i in stay], {kind: values[stay] for kind, values in self.keys.items()})

    def share(self, kind: str, one: int, other: int) -> bool:
        return bool((set(self.keys[kind][one].tolist()) & set(self.keys[kind][other].tolist())) - {0})


def members_of(collection: list[tuple[str, int, int, int]]) -> Members:
    """Members of (text, URL, canonical URL, payload), the most preferred first; 0 is none."""
    texts = normalize_array(pa.array([text for text, *_ in collection], pa.string()))
    urls, canonicals, payloads = (np.array([row[place] for row in collection], np.uint64) for place in (1, 2, 3))
    keys = {
        NEAR: band_hashes(texts, PARAMETERS)[0],
        EXACT: content_hashes(texts).reshape(-1, 1),
        SAME_URL: urls.reshape(-1, 1),
        SAME_CANONICAL: np.stack([urls, canonicals], axis=1),
        PAYLOAD: payloads.reshape(-1, 1),
    }
    return Members([shingle_set(text.as_py(), PARAMETERS.ngram) for text in texts], keys)


def made(*rows: tuple[str, list[int], int]) -> Members:
    """Members of (letters that are the shingles, band keys, URL)."""
    sets = [np.array(sorted(map(ord, set(letters))), np.uint64) for letters, _, _ in rows]
    widest = max(len(bands) for _, bands, _ in rows)
    bands = np.array([[*bands, *[0] * (widest - len(bands))] for _, bands, _ in rows], np.uint64).reshape(len(rows), -1)
    urls = np.array([[url] for *_, url in rows], np.uint64)
    contents = np.array([[zlib.crc32(letters.encode())] for letters, _, _ in rows], np.uint64)
    return Members(sets, {EXACT: contents, SAME_URL: urls, NEAR: bands})


def found(resolution: Resolution, kinds: tuple[str, ...]) -> list[tuple[int, int, float, str]]:
    """The removals as (member, kept, similarity, kind)."""
    return [
        (member, int(kept), float(resolution.similarity[member]), kinds[resolution.kind[member]])
        for member, kept in enumerate(resolution.kept.tolist())
        if kept >= 0
    ]


THREE = (EXACT, SAME_URL, NEAR)


def similarity(mine: np.ndarray, theirs: np.ndarray, measure: str) -> float:
    if measure == "jaccard":
        return jaccard(mine, theirs)
    return len(np.intersect1d(mine, theirs)) / len(mine) if len(mine) else 1.0


def by_hand(members: Members, limit: float, kinds: tuple[str, ...], measure: str) -> list[tuple[int, int, float, str]]:
    """What resolve promises, one pair after the other."""
    survivors: list[int] = []
    removals = []
    for member, mine in enumerate(members.sets):
        for kept in survivors:
            value = similarity(mine, members.sets[kept], measure)
            holds = dict.fromkeys(kinds, value >= limit)
            holds |= {SAME_URL: True, EXACT: np.array_equal(mine, members.sets[kept])}
            named = [kind for kind in kinds if holds[kind] and members.share(kind, member, kept)]
            if named:
                removals.append((member, kept, value, named[0]))
                break
        else:
            survivors.append(member)
    return removals


@settings(max_examples=300)
@given(COLLECTION, LIMIT, ORDER, MEASURE, BUDGET)
def test_the_walk_is_what_comparing_pair_by_pair_gives(collection, limit, kinds, measure, budget) -> None:
    members = members_of(collection)
    resolution = members.resolve(limit, kinds, measure, budget)
    assert found(resolution, kinds) == by_hand(members, limit, kinds, measure)
    assert resolution.left_out == 0


@settings(max_examples=200)
@given(COLLECTION, LIMIT, ORDER, MEASURE, BUDGET)
def test_who_survives_survives_again(collection, limit, kinds, measure, budget) -> None:
    members = members_of(collection)
    gone = {member for member, *_ in found(members.resolve(limit, kinds, measure, budget), kinds)}
    assert found(members.without(gone).resolve(limit, kinds, measure, budget), kinds) == []


@settings(max_examples=200)
@given(COLLECTION, LIMIT, ORDER, MEASURE)
def test_nothing_goes_under_the_limit_but_recaptures(collection, limit, kinds, measure) -> None:
    removals = found(members_of(collection).resolve(limit, kinds, measure), kinds)
    gone = {member for member, *_ in removals}
    for member, kept, value, kind in removals:
        assert kept < member and kept not in gone
        assert kind == SAME_URL or value >= limit


def test_a_member_is_found_among_survivors_of_every_pass() -> None:
    # 60 texts of nothing in common, then a copy of each: with room for 7 sets at a time it takes many passes.
    rows = [("".join(chr(0x4E00 + 20 * n + k) for k in range(20)), [n + 1], 0) for n in range(60)]
    members = made(*rows, *rows[::-1])
    resolution = members.resolve(0.8, THREE, budget=140)
    assert resolution.passes > 5
    assert resolution.kept.tolist() == [-1] * 60 + list(range(60))[::-1]


def test_similarity_is_not_passed_on_along_a_chain() -> None:
    members = made(("あいうえおかきくけこ", [7], 0), ("あいうえおかきくけさ", [7], 0), ("あいうえおかきくしさ", [7], 0))
    first, middle, last = members.sets
    assert jaccard(middle, last) > 0.8 > jaccard(first, last)
    assert found(members.resolve(0.8, THREE), THREE) == [(1, 0, 9 / 11, NEAR)]


def test_of_several_survivors_the_most_preferred_is_named() -> None:
    members = made(("あいうえおかさ", [1], 0), ("きいうえおく", [2], 0), ("あいうえおく", [2, 1], 0))
    assert jaccard(members.sets[1], members.sets[2]) > jaccard(members.sets[0], members.sets[2])
    assert found(members.resolve(0.6, THREE), THREE) == [(2, 0, 5 / 8, NEAR)]


def test_a_recapture_goes_even_when_its_text_is_another() -> None:
    members = made(("新しい記事", [1], 5), ("古くて別物", [2], 5))
    assert found(members.resolve(0.8, THREE), THREE) == [(1, 0, 0.0, SAME_URL)]


def test_a_canonical_url_alone_removes_nothing() -> None:
    members = members_of([("春はあけぼのやうやう白くなりゆく", 1, 3, 0), ("夏は夜月のころはさらなり闇もなほ", 2, 3, 0)])
    assert found(members.resolve(0.3), KINDS) == []
    copy = members_of([("春はあけぼのやうやう白くなりゆく", 1, 0, 0), ("春はあけぼのやうやう白くなりゆく。", 2, 1, 0)])
    assert found(copy.resolve(0.8, (SAME_CANONICAL,)), (SAME_CANONICAL,)) == [(1, 0, 14 / 15, SAME_CANONICAL)]


def test_pages_without_a_key_to_compare_are_not_compared() -> None:
    assert found(made(("春", [], 0), ("秋", [], 0)).resolve(0.8, THREE), THREE) == []


@pytest.mark.parametrize("kinds", [(EXACT, SAME_URL, NEAR), (NEAR, SAME_URL, EXACT), (SAME_URL, EXACT, NEAR)])
def test_a_removal_is_named_by_the_first_kind_that_holds(kinds) -> None:
    members = made(("あいうえお", [1], 5), ("あいうえお", [1], 5))
    assert found(members.resolve(0.5, kinds), kinds) == [(1, 0, 1.0, kinds[0])]
    members = made(("あいうえお", [1], 5), ("あいうえか", [1], 5))
    assert found(members.resolve(0.5, kinds), kinds)[0][3] == next(kind for kind in kinds if kind != EXACT)


def test_a_content_hash_or_a_band_alone_removes_nothing() -> None:
    members = made(("春はあけぼの", [1, 2], 0), ("夏は夜", [1, 2], 0))
    members.keys[EXACT][:] = 7
    assert found(members.resolve(0.5, THREE), THREE) == []


def test_short_texts_go_only_when_they_are_equal() -> None:
    members = members_of([(text, 0, 0, 0) for text in ("はい", "いや", "はい", "は", "")])
    assert found(members.resolve(0.8), KINDS) == [(2, 0, 1.0, EXACT)]


def test_a_page_that_a_longer_one_holds_goes_by_containment_and_not_the_longer_one() -> None:
    short, long = "あいうえおかきくけこ", "あいうえおかきくけこさしすせそたちつてと"
    assert found(made((long, [1], 0), (short, [1], 0)).resolve(0.9, THREE, "containment"), THREE) == [(1, 0, 1.0, NEAR)]
    assert found(made((short, [1], 0), (long, [1], 0)).resolve(0.9, THREE, "containment"), THREE) == []
    assert found(made((long, [1], 0), (short, [1], 0)).resolve(0.9, THREE), THREE) == []


def test_a_cluster_of_many_near_identical_pages_is_compared_page_by_page_with_its_survivor() -> None:
    # 50,000 members would be 1.2 billion pairs: this ends soon only because nearly all meet one survivor first.
    base = np.arange(50, dtype=np.uint64)
    sets = [np.sort(np.append(base, np.uint64(1_000 + index))) for index in range(50_000)]
    bands = np.tile(np.arange(1, 41, dtype=np.uint64), (50_000, 1))
    resolution = Members(sets, {NEAR: bands}).resolve(0.8, (NEAR,), budget=1_000_000)
    assert resolution.kept.tolist() == [-1] + [0] * 49_999
    assert resolution.passes == 1


@pytest.mark.parametrize("budget", [200, 10**6])
def test_comparisons_that_the_cap_leaves_out_are_counted(budget) -> None:
    # 300 pages of one canonical address and nothing in common; the last is a copy of the 200th.
    sets = [np.arange(10 * index, 10 * index + 10, dtype=np.uint64) for index in range(300)]
    members = Members([*sets, sets[200]], {SAME_CANONICAL: np.full((301, 1), 9, np.uint64)})
    resolution = members.resolve(0.8, (SAME_CANONICAL,), budget=budget)
    assert resolution.left_out == sum(max(0, index - 100) for index in range(301))
    assert (resolution.kept == -1).all()


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.1, float("nan")])
def test_a_limit_outside_its_range_is_an_error(limit: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        made(("春", [], 0)).resolve(limit, THREE)


def test_an_unknown_measure_or_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown"):
        made(("春", [], 0)).resolve(0.8, THREE, "cosine")
    with pytest.raises(ValueError, match="unknown"):
        resolve(lambda _: (np.zeros(0), np.zeros(1)), np.zeros(0, np.int64), {"similar": np.zeros((0, 1))}, 0.8)
