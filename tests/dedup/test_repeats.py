"""Repeats: lines are counted once a document, cut in runs only, and what is left is what was between them."""

import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.normalise import normalize
from dedup.repeats import SEPARATORS, documents_of, in_runs, runs_of, units

LINES = st.sampled_from(["", " ", "紙", "ガラス", "ｶﾞﾗｽ", "カラス", "水 を汲む", "水を汲む", "ＡＢＣ", "abc"])
TEXTS = st.lists(st.lists(LINES, max_size=8).map("\n".join), max_size=6)


@given(TEXTS, st.sampled_from(sorted(SEPARATORS)), st.integers(0, 4))
def test_a_unit_counts_once_for_each_document_that_has_it(texts, unit, least):
    found = units(pa.array(texts, pa.string()), unit)
    hashes, documents = documents_of(found, least)
    expected = Counter()
    for text in texts:
        expected.update({normalize(part) for part in re.split(SEPARATORS[unit], text)})
    named = {normalize(part): None for text in texts for part in re.split(SEPARATORS[unit], text)}
    code = {part: int(units(pa.array([part]), "line").hashes[0]) for part in named}
    counted = {code[part]: count for part, count in expected.items() if len(part) >= max(1, least)}
    assert dict(zip(hashes.tolist(), documents.tolist())) == counted


def test_dakuten_and_white_space():
    found = units(pa.array(["ガラス\nｶﾞﾗｽ\nガ ラ ス\nカラス"]), "line").hashes
    assert len(set(found[:3].tolist())) == 1 and found[3] != found[0]


@given(st.lists(st.lists(st.booleans(), max_size=12), max_size=6), st.integers(1, 4))
def test_only_runs_of_so_many_are_cut(documents, least):
    offsets = np.cumsum([0, *map(len, documents)])
    frequent = np.array([value for document in documents for value in document], np.bool_)
    gone = in_runs(frequent, offsets, least)
    for document, low, high in zip(documents, offsets[:-1], offsets[1:]):
        marks = "".join("x" if value else "-" for value in document)
        expected = re.sub("x+", lambda run: ("G" if len(run[0]) >= least else "x") * len(run[0]), marks)
        assert [mark == "G" for mark in expected] == gone[low:high].tolist()


@pytest.mark.parametrize("unit", sorted(SEPARATORS))
@given(data=st.data())
def test_what_is_left_are_the_other_units_with_what_lay_between_them(unit, data):
    text = data.draw(st.text(alphabet="紙水\n", max_size=30))
    parts = re.split(SEPARATORS[unit], text)
    gone = data.draw(st.lists(st.booleans(), min_size=len(parts), max_size=len(parts)))
    left = text
    for start, end, first, last in reversed(runs_of(text, unit, gone)):
        assert all(gone[first:last]) and (last == len(gone) or not gone[last]) and (first == 0 or not gone[first - 1])
        left = left[:start] + left[end:]
    kept = [part for part, is_gone in zip(parts, gone) if not is_gone]
    assert (re.split(SEPARATORS[unit], left) if kept else []) == kept
    assert kept or left == ""
