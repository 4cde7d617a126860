"""Where rows stand in a mix: whatever the sources, shares hold in every beginning, and parts fit together."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.exchange import key_partition
from pipeline.release.mixing.counting import RANGES, Counts
from pipeline.release.mixing.manifest import MixManifest, PackManifest, load_manifest, tokens_name
from pipeline.release.mixing.placing import Lane, LaneFile, picks
from pipeline.release.mixing.rows import SCHEMA
from tests.pipeline import test_docs as docs
from tests.pipeline.conftest import ROOT
from tests.release.mixes import write_manifest


def lane_of(name: str, files: list[list[tuple[int, int]]], share: float, first: int, known: dict[str, Counts]) -> Lane:
    """A source whose files have rows of key and tokens."""
    by_range = np.zeros(RANGES, np.int64)
    made = []
    for number, rows in enumerate(files):
        rows = sorted(rows)
        keys = np.array([key for key, _ in rows], np.uint64)
        tokens = np.array([count for _, count in rows], np.int64)
        ranges = key_partition(keys, RANGES)
        np.add.at(by_range, ranges, tokens)
        place = f"{name}/{number}"
        known[place] = Counts(keys, tokens, np.searchsorted(ranges, np.arange(RANGES + 1)))
        begin, end = (int(ranges[0]), int(ranges[-1])) if rows else (RANGES - 1, RANGES - 2)
        made.append(LaneFile(place, place, len(rows), begin, end))
    return Lane(name, share, first, tuple(by_range.tolist()), tuple(made))


ROWS = st.lists(
    st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 50)), min_size=1, max_size=12, unique_by=lambda row: row[0]
).filter(lambda rows: any(count for _, count in rows))
SOURCES = st.lists(st.tuples(ROWS, ROWS, st.integers(1, 20), st.integers(0, RANGES - 1)), min_size=1, max_size=4)


def mixed(lanes, known, low, high):
    """Rows from a place to another in order: lane, file, row, tokens, epoch, place."""
    found = [
        (float(place), pick.lane, pick.file, int(row), int(tokens), pick.epoch)
        for pick in picks(lanes, low, high, known.__getitem__)
        for row, place, tokens in zip(pick.rows, pick.places, pick.tokens, strict=True)
    ]
    return sorted(found)


@settings(max_examples=60, deadline=None)
@given(sources=SOURCES, total=st.integers(1, 1500), cuts=st.lists(st.integers(0, 1500), max_size=4))
def test_every_beginning_holds_the_shares_and_parts_fit_together(sources, total, cuts):
    known: dict[str, Counts] = {}
    weights = sum(weight for _, _, weight, _ in sources)
    lanes = tuple(
        lane_of(f"s{number}", [one, other], weight / weights, first, known)
        for number, (one, other, weight, first) in enumerate(sources)
    )
    whole = mixed(lanes, known, 0, total)
    longest = [max(max(known[file.counts].tokens, default=0) for file in lane.files) for lane in lanes]
    used = [0] * len(lanes)
    for _, lane, _, _, tokens, _ in whole:
        used[lane] += tokens
        for number, source in enumerate(lanes):
            off = used[number] - source.share * sum(used)
            assert -source.share * sum(longest) - 1e-6 <= off <= longest[number] + 1e-6
    for number, source in enumerate(lanes):
        assert source.share * total - 1e-6 <= used[number] < source.share * total + longest[number]
    bounds = sorted({0, total, *(cut for cut in cuts if cut < total)})
    parts = [row for low, high in pairwise(bounds) for row in mixed(lanes, known, low, high)]
    assert parts == whole, "a budget is not the beginning of a larger one"

    for number, source in enumerate(lanes):
        mine = [(file, row) for _, lane, file, row, _, _ in whole if lane == number]
        epochs = [epoch for _, lane, _, _, _, epoch in whole if lane == number]
        there = sum(int((known[file.counts].tokens > 0).sum()) for file in source.files)
        assert epochs == [1 + place // there for place in range(len(mine))], "an epoch began before the last was over"
        first = mine[:there]
        assert len(set(first)) == len(first), "a row came twice in an epoch"
        assert mine == [first[place % there] for place in range(len(mine))], "an epoch has another order"


def test_rows_come_in_the_order_of_their_keys_from_where_the_seed_says():
    known: dict[str, Counts] = {}
    step = 2**64 // 16
    files = [[(index * step, 10) for index in range(0, 16, 2)], [(index * step, 10) for index in range(1, 16, 2)]]
    lane = lane_of("s", files, 1.0, RANGES * 5 // 16, known)
    order = [row * 2 + file for _, _, file, row, _, _ in mixed((lane,), known, 0, 160)]
    assert order == [(5 + index) % 16 for index in range(16)]


GOOD = {
    "name": "mine",
    "tokenizer": "t.json",
    "budgets": ["1B", "10B"],
    "sources": [{"name": "web", "release": "web", "weight": 3}, {"name": "old", "release": "old:x", "weight": 1}],
}


def test_a_manifest_is_read_with_paths_beside_it(tmp_path):
    made = load_manifest(write_manifest(tmp_path / "mix.yaml", **GOOD), MixManifest)
    assert made.steps() == (10**9, 10**10)
    assert made.tokenizer == str(tmp_path / "t.json")
    assert made.sources[0].place() == (tmp_path / "web", None)
    assert made.sources[1].place() == (tmp_path / "old", "x")
    assert made.source_shares() == [Fraction(3, 4), Fraction(1, 4)]
    assert made.max_epochs == 4


def test_kinds_may_have_shares_of_the_whole(tmp_path):
    sources = [
        {"name": "a", "release": "a", "weight": 1},
        {"name": "b", "release": "b", "weight": 3},
        {"name": "c", "release": "s3://bucket/c:one", "weight": 5, "kind": "code"},
        {"name": "r", "release": "r", "weight": 2, "kind": "replay"},
    ]
    shares = {"code": 0.2, "replay": 0.1}
    made = load_manifest(write_manifest(tmp_path / "m", **GOOD | {"sources": sources, "shares": shares}), MixManifest)
    assert made.source_shares() == [Fraction(7, 40), Fraction(21, 40), Fraction(1, 5), Fraction(1, 10)]
    place, config = made.sources[2].place()
    assert (str(place), config) == ("s3://bucket/c", "one")


def test_tokens_of_sources_are_a_budget(tmp_path):
    sources = [{"name": "a", "release": "a", "tokens": "1.5K"}, {"name": "b", "release": "b", "tokens": 500}]
    path = write_manifest(tmp_path / "m", name="x", tokenizer="t", sources=sources)
    made = load_manifest(path, MixManifest)
    assert made.steps() == (2000,) and made.source_shares() == [Fraction(3, 4), Fraction(1, 4)]


SOURCE = {"name": "a", "release": "a", "weight": 1}


@pytest.mark.parametrize(
    ("model", "text", "message"),
    [
        (MixManifest, "budgets: [2K, 1K]", r":3: budgets.1: budgets are nested.*smallest first"),
        (MixManifest, "budgets: [2X]", r":3: budgets.0: 2X is no number of tokens: write it as 500M"),
        (MixManifest, "budgets: [0]", r":3: budgets.0: 0 is no number of tokens"),
        (MixManifest, "budgets: [true]", r"budgets.0: write a number of tokens"),
        (MixManifest, "seed: 1", r"budgets: is required where sources have weights"),
        (MixManifest, "budgets: [1K]\nmore: 1", r":4: more: unknown key.*; allowed here: .*sources"),
        (MixManifest, "budgets: [1K]\nshares: {code: 0.1}", r":4: shares.code: no source is of this kind; .*text"),
        (MixManifest, "budgets: [1K]\nshares: {text: 0.1}", r":4: shares: all kinds have a share.* 0.1"),
        (MixManifest, "budgets: [1K]\nmax_epochs: 0", r":4: max_epochs: "),
        (MixManifest, "budgets: [1K]\nname: x", "stands twice"),
        (PackManifest, "budgets: [1K]", r"sources: this is a manifest for kamisuki mix: .* write corpora"),
    ],
)
def test_a_mistake_names_its_line(tmp_path, model, text, message):
    path = tmp_path / "mix.yaml"
    path.write_text(f"name: x\ntokenizer: t\n{text}\nsources:\n- {{name: a, release: a, weight: 1}}\n")
    with pytest.raises(UsageError, match=message):
        load_manifest(path, model)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"weight": None}, "give it a weight, or the tokens"),
        ({"tokens": "1K"}, "give it a weight, or the tokens"),
        ({"weight": None, "tokens": "1K"}, "all sources have a weight, or all have tokens"),
        ({"name": "../x"}, "sources.*name"),
        ({"name": "A"}, "sources.*name: A stands twice"),
        ({"weight": -1}, "sources.b.weight"),
    ],
)
def test_a_source_that_makes_no_mix_is_named(tmp_path, source, message):
    second = {key: value for key, value in (SOURCE | {"name": "b"} | source).items() if value is not None}
    path = write_manifest(tmp_path / "m", name="x", tokenizer="t", budgets=["1K"], sources=[SOURCE, second])
    with pytest.raises(UsageError, match=message):
        load_manifest(path, MixManifest)


@given(count=st.integers(1, 10**14))
def test_a_number_of_tokens_is_written_as_it_is_read(count):
    source = {"name": "a", "release": "a", "tokens": tokens_name(count)}
    assert MixManifest.model_validate({"name": "x", "tokenizer": "t", "sources": [source]}).steps() == (count,)


DOCS = (ROOT / "docs" / "mixing.md").read_text(encoding="utf-8")


def keys_of(model) -> dict[str, object]:
    """Keys of a manifest as the page writes them, with their defaults."""
    found: dict[str, object] = {}
    for name, field in model.model_fields.items():
        found[name] = None if field.is_required() else field.get_default(call_default_factory=True)
        if name in ("sources", "corpora"):
            inner = get_args(field.annotation)[0]
            found |= {
                f"{name}.{key}": None if part.is_required() else part.default
                for key, part in inner.model_fields.items()
            }
    return found


@pytest.mark.parametrize(("model", "heading"), [(MixManifest, "## A mix"), (PackManifest, "## A compare pack")])
def test_the_page_tells_every_key_with_its_default_and_its_manifest_loads(tmp_path, model, heading):
    text = docs.section(DOCS, heading)
    told = docs.rows(text)
    for key, default in keys_of(model).items():
        if model is PackManifest and key in keys_of(MixManifest) and key != "max_epochs":
            assert f"`{key}`" in text
            continue
        shown = told[key][0].strip("`")
        assert (json.loads(shown) if shown[:1] in tuple("[{0123456789n") else shown or None) == (
            list(default) if isinstance(default, tuple) else default
        ), key
    (example,) = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    (tmp_path / "m.yaml").write_text(example, encoding="utf-8")
    made = load_manifest(tmp_path / "m.yaml", model)
    if model is MixManifest:
        assert [float(share) for share in made.source_shares()] == [0.525, 0.175, 0.2, 0.1]


def test_the_page_tells_every_column():
    told = re.findall(r"`(\w+)`", " ".join(line.split("|")[1] for line in DOCS.splitlines() if line.startswith("| `")))
    assert [name for name in SCHEMA.names if name not in told] == []
