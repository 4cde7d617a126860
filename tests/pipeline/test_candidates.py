"""Buckets of one key: joined by one edge less than they have documents, and named when they are large."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dedup.components import components
from dedup.shingles import unmix
from pipeline import candidates
from pipeline.ledger import load_entry
from pipeline.sorted_runs import SortedRunWriter, pieces_of
from pipeline.steps import keep_steps

ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 9)), max_size=60)


def reduce(folder: Path, rows: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Edges (larger, smaller) among the documents (shard, row) of each key."""
    runs = []
    for shard in (0, 1):
        part = np.array([(key, (at << 32) + row) for key, at, row in rows if at == shard], np.uint64).reshape(-1, 2)
        with SortedRunWriter(folder / f"shard-{shard}.run", 1) as out:
            out.write(part[:, 0], part[:, 1])
        runs.append(str(folder / f"shard-{shard}.run"))
    candidates.reduce_keys("part-0", 0, 1, runs, str(folder), str(folder / "edges.out"))
    pieces = pieces_of([folder / "edges.out"], None)
    edges = np.concatenate([np.empty((0, 2), np.uint64), *(piece.read() for piece in pieces)])
    return unmix(np.ascontiguousarray(edges[:, 0])), np.ascontiguousarray(edges[:, 1])


@given(ROWS)
def test_edges_join_just_the_documents_with_a_common_key(tmp_path_factory, rows):
    larger, smaller = reduce(tmp_path_factory.mktemp("reduce"), rows)
    assert (larger > smaller).all()
    buckets: dict[int, set[int]] = {}
    for key, at, row in rows:
        buckets.setdefault(key, set()).add((at << 32) + row)
    pairs = [(one, other) for bucket in buckets.values() for one in bucket for other in bucket if one < other]
    every = np.array(pairs, np.uint64).reshape(-1, 2)
    for found, expected in zip(components(larger, smaller), components(every[:, 0], every[:, 1])):
        assert np.array_equal(found, expected)
    assert len(larger) <= sum(len(bucket) - 1 for bucket in buckets.values())


def test_buckets_over_the_cap_are_counted_and_named_and_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "BUCKET_CAP", 3)
    rows = [(1, 0, row) for row in range(4)] + [(2, 1, row) for row in range(6)] + [(3, 0, row) for row in range(3)]
    larger, _ = reduce(tmp_path, rows)
    assert len(larger) == 3 + 5
    entry = load_entry(tmp_path, "part-0")
    assert entry
    assert (entry.read, entry.written, entry.rejected) == (13, 8, {"no_new_edge": 5})
    assert {name: entry.notes[name] for name in ("buckets", "buckets_over_cap", "largest_bucket")} == {
        "buckets": 3,
        "buckets_over_cap": 2,
        "largest_bucket": 6,
    }
    assert entry.notes["documents_in_buckets_over_cap"] == 10
    first = {"key": "0000000000000002", "documents": 6, "such_as": [f"shard-1, row {row}" for row in range(3)]}
    assert entry.notes["largest_over_cap"][0] == first
    assert [bucket["documents"] for bucket in entry.notes["largest_over_cap"]] == [6, 4]


def test_what_partitions_note_is_kept_together(tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "BUCKET_CAP", 1)
    for place, count in (("one", 3), ("other", 5)):
        (tmp_path / "scratch" / place).mkdir(parents=True)
        reduce(tmp_path / "scratch" / place, [(7, 0, row) for row in range(count)])
    keep_steps(tmp_path, tmp_path / "scratch")
    notes = json.loads((tmp_path / "steps.json").read_text())["dedup: edges"]["notes"]
    assert (notes["buckets_over_cap"], notes["largest_bucket"], len(notes["largest_over_cap"])) == (2, 5, 2)
