"""Only true duplicates of a survivor go, and what is decided does not depend on the order of arrival."""

from __future__ import annotations

import random
import zlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.minhash import MinHashParameters, band_hashes, content_hashes
from dedup.resolve import Member, Removal, resolve
from dedup.shingles import normalize_array
from dedup.similarity import jaccard, shingle_set

# One row a band: nearly every pair with anything in common becomes a candidate, as resolve must bear.
PARAMETERS = MinHashParameters(ngram=3, bands=8, rows=1)
LETTERS = "国境の長いトンネルを抜けると雪国であった夜の底が白くなった信号所に汽車が止まった"
TEXT = st.one_of(
    st.text(st.sampled_from("かがカ"), max_size=5),
    st.builds(lambda start, stop: LETTERS[start:stop], st.integers(0, 4), st.integers(20, len(LETTERS))),
)
COLLECTION = st.lists(st.tuples(TEXT, st.integers(0, 3), st.integers(0, 4)), max_size=14)
LIMIT = st.sampled_from([0.3, 0.6, 0.8, 1.0])


def members_of(collection: list[tuple[str, int, int]]) -> list[Member]:
    """Return members of (text, rank, url), numbered as they come."""
    texts = normalize_array(pa.array([text for text, _, _ in collection], pa.string()))
    bands, comparable = band_hashes(texts, PARAMETERS)
    contents = content_hashes(texts)
    return [
        Member(
            document=index,
            order=(rank,),
            shingles=shingle_set(texts[index].as_py(), PARAMETERS.ngram),
            bands=bands[index] if comparable[index] else bands[index][:0],
            content=int(contents[index]),
            url=url,
        )
        for index, (_, rank, url) in enumerate(collection)
    ]


def member(document: int, shingles: str, bands: list[int], url: str = "", order: tuple = ()) -> Member:
    """Return a member whose shingles are the letters of a string."""
    values = np.array(sorted(map(ord, set(shingles))), dtype=np.uint64)
    return Member(document, order, values, np.array(bands, dtype=np.uint64), zlib.crc32(shingles.encode()), url)


@settings(max_examples=200)
@given(COLLECTION, LIMIT)
def test_each_removal_names_a_better_survivor_and_the_truth(
    collection: list[tuple[str, int, int]], limit: float
) -> None:
    members = members_of(collection)
    removals = resolve(members, limit)
    gone = [removal.document for removal in removals]
    assert gone == sorted(set(gone))
    for removal in removals:
        lost, kept = members[removal.document], members[removal.kept]
        assert kept.document not in gone
        assert (kept.order, kept.document) < (lost.order, lost.document)
        assert removal.similarity == jaccard(lost.shingles, kept.shingles)
        if removal.kind == "near":
            assert removal.similarity >= limit
            assert np.intersect1d(lost.bands, kept.bands).size
        elif removal.kind == "same_url":
            assert lost.url == kept.url != 0
        else:
            assert removal.kind == "exact"
            assert lost.content == kept.content and removal.similarity == 1.0


@settings(max_examples=200)
@given(COLLECTION, LIMIT)
def test_no_survivor_duplicates_another(collection: list[tuple[str, int, int]], limit: float) -> None:
    members = members_of(collection)
    gone = {removal.document for removal in resolve(members, limit)}
    survivors = [each for each in members if each.document not in gone]
    assert resolve(survivors, limit) == []
    for one in survivors:
        for other in survivors:
            if one.document < other.document:
                assert one.content != other.content
                assert one.url != other.url or one.url == 0
                if np.intersect1d(one.bands, other.bands).size:
                    assert jaccard(one.shingles, other.shingles) < limit


@given(COLLECTION, LIMIT, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(collection: list[tuple[str, int, int]], limit: float, shuffler) -> None:
    members = members_of(collection)
    shuffled = members.copy()
    shuffler.shuffle(shuffled)
    assert resolve(shuffled, limit) == resolve(members, limit)


@given(COLLECTION, LIMIT)
def test_a_near_duplicate_goes_to_its_most_similar_survivor(
    collection: list[tuple[str, int, int]], limit: float
) -> None:
    members = members_of(collection)
    removals = {removal.document: removal for removal in resolve(members, limit)}
    survivors = sorted(
        (each for each in members if each.document not in removals), key=lambda each: (each.order, each.document)
    )
    for removal in removals.values():
        if removal.kind != "near":
            continue
        lost = members[removal.document]
        place = (lost.order, lost.document)
        rivals = [each for each in survivors if (each.order, each.document) < place]
        rivals = [each for each in rivals if np.intersect1d(each.bands, lost.bands).size]
        assert removal.kept == max(rivals, key=lambda each: jaccard(each.shingles, lost.shingles)).document


def test_similarity_is_not_passed_on_along_a_chain() -> None:
    first = member(1, "あいうえおかきくけこ", [7], order=(1,))
    middle = member(2, "あいうえおかきくけさ", [7], order=(2,))
    last = member(3, "あいうえおかきくしさ", [7], order=(3,))
    assert jaccard(middle.shingles, last.shingles) > 0.8 > jaccard(first.shingles, last.shingles)
    assert resolve([first, middle, last], 0.8) == [Removal(2, 1, 9 / 11, "near")]


def test_of_equally_similar_survivors_the_most_preferred_is_named() -> None:
    first, second = member(8, "あいうえおか", [1], order=(1,)), member(3, "きいうえおく", [2], order=(2,))
    last = member(5, "あいうえおく", [1, 2], order=(3,))
    assert jaccard(first.shingles, last.shingles) == jaccard(second.shingles, last.shingles)
    assert resolve([last, second, first], 0.7) == [Removal(5, 8, 5 / 7, "near")]


def test_a_recapture_goes_even_when_its_text_is_another() -> None:
    newest = member(9, "新しい記事", [1], url="http://a.example/5", order=(-2024,))
    oldest = member(4, "古くて別物", [2], url="http://a.example/5", order=(-2019,))
    assert resolve([oldest, newest], 0.8) == [Removal(4, 9, 0.0, "same_url")]


def test_pages_without_a_url_to_compare_are_not_recaptures() -> None:
    assert resolve([member(1, "春", [1]), member(2, "秋", [2])], 0.8) == []


def test_exact_comes_before_same_url_and_that_before_near() -> None:
    kept = member(1, "あいうえお", [1], url="http://a.example/5")
    same, other = "http://a.example/5", "http://a.example/6"
    for text, url, kind in (
        ("あいうえお", same, "exact"),
        ("あいうえか", same, "same_url"),
        ("あいうえか", other, "near"),
    ):
        assert [removal.kind for removal in resolve([kept, member(2, text, [1], url=url)], 0.5)] == [kind]


def test_a_content_hash_alone_removes_nothing() -> None:
    one, other = member(1, "春はあけぼの", []), member(2, "夏は夜", [])
    clash = Member(2, (), other.shingles, other.bands, one.content, 0)
    assert resolve([one, clash], 0.5) == []


def test_a_shared_band_alone_removes_nothing() -> None:
    assert resolve([member(1, "春はあけぼの", [1, 2]), member(2, "夏は夜", [1, 2])], 0.5) == []


def test_short_texts_go_only_when_they_are_equal() -> None:
    parameters = MinHashParameters(ngram=5)
    texts = pa.array(["はい。", "いや。", "はい。", "はい", ""])
    bands, comparable = band_hashes(texts, parameters)
    assert not comparable.any()
    members = [
        Member(index, (), shingle_set(text, 5), bands[index][:0], int(content), 0)
        for index, (text, content) in enumerate(zip(texts.to_pylist(), content_hashes(texts)))
    ]
    assert resolve(members, 0.8) == [Removal(2, 0, 1.0, "exact")]


def test_many_identical_pages_are_each_compared_once() -> None:
    # 50,000 members would be 1.2 billion pairs: this ends only because identical ones meet one survivor.
    shingles, bands = np.arange(50, dtype=np.uint64), np.arange(40, dtype=np.uint64)
    members = [Member(index, (index * 7919 % 50_000,), shingles, bands, 1, 0) for index in range(50_000)]
    random.Random(1).shuffle(members)
    removals = resolve(members, 0.8)
    assert len(removals) == 49_999
    assert {(removal.kept, removal.kind) for removal in removals} == {(0, "exact")}


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.1, float("nan")])
def test_a_limit_outside_its_range_is_an_error(limit: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        resolve([], limit)


def test_a_document_that_occurs_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="only once"):
        resolve([member(1, "春", []), member(1, "秋", [])], 0.8)
