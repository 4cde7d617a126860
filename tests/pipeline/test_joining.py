"""Joining: rounds over files and SciPy in memory write the same members, and a killed run goes on in its round."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.shingles import mix, unmix
from pipeline import joining, sorted_runs
from pipeline.entry_pack import load_entries
from pipeline.errors import KamisukiError
from pipeline.progress import Progress
from pipeline.runner import InProcessRunner
from pipeline.sorted_runs import SortedRunWriter, read_rows
from pipeline.steps import Steps

SHARDS = 3
DOCUMENT = st.builds(lambda shard, row: (shard << 32) + row, st.integers(0, SHARDS - 1), st.integers(0, 9))
EDGES = st.lists(st.tuples(DOCUMENT, DOCUMENT), max_size=50)


class Silent(Progress):
    def say(self, line: str) -> None:
        pass


def steps_in(folder: Path) -> Steps:
    return Steps(folder, InProcessRunner(), Silent(None), 0, lambda: None)


@contextmanager
def limits(in_memory: int, at_once: int):
    before = joining.IN_MEMORY_DOCUMENTS, sorted_runs.ROWS_AT_ONCE, sorted_runs.ROWS_OF_A_BLOCK
    joining.IN_MEMORY_DOCUMENTS, sorted_runs.ROWS_AT_ONCE, sorted_runs.ROWS_OF_A_BLOCK = in_memory, at_once, at_once
    try:
        yield
    finally:
        joining.IN_MEMORY_DOCUMENTS, sorted_runs.ROWS_AT_ONCE, sorted_runs.ROWS_OF_A_BLOCK = before


def write_edges(folder: Path, edges: list[tuple[int, int]], partitions: int, files: int = 2) -> list[str]:
    paths = []
    for number in range(files):
        part = [(max(edge), min(edge)) for edge in edges[number::files] if edge[0] != edge[1]]
        rows = np.array(part, np.uint64).reshape(-1, 2)
        with SortedRunWriter(folder / f"edges-{number}.run", partitions) as out:
            out.write(mix(rows[:, 0]), rows[:, 1])
        paths.append(str(folder / f"edges-{number}.run"))
    return paths


def members(exchange: Path) -> list[list[list[int]]]:
    runs = sorted(joining.members_folder(exchange).glob("*.run"))
    return [read_rows(runs, shard, columns=3).tolist() for shard in range(SHARDS)]


@settings(max_examples=40)
@given(edges=EDGES, partitions=st.integers(1, 3), at_once=st.sampled_from([2, 5, 10**6]))
def test_rounds_and_memory_find_the_same(tmp_path_factory, edges, partitions, at_once):
    folder = tmp_path_factory.mktemp("join")
    runs = write_edges(folder, edges, partitions)
    for name, in_memory in (("memory", 10**9), ("rounds", -1)):
        with limits(in_memory, at_once):
            joining.join(steps_in(folder), folder / name, runs, partitions, SHARDS, len(edges))
    assert members(folder / "rounds") == members(folder / "memory")
    found = {row[0] for rows in members(folder / "memory") for row in rows}
    assert found == {end for edge in edges if edge[0] != edge[1] for end in edge}


def test_a_long_path_takes_few_rounds(tmp_path):
    count = 3000
    order = np.random.default_rng(3).permutation(count).tolist()
    runs = write_edges(tmp_path, list(itertools.pairwise(order)), 2)
    with limits(-1, 10**6):
        joining.join(steps_in(tmp_path), tmp_path / "exchange", runs, 2, SHARDS, count)
    assert members(tmp_path / "exchange")[0] == [[document, 0, count] for document in range(count)]
    assert len(list((tmp_path / "exchange" / "rounds").iterdir())) <= 2 * 12


def test_a_killed_run_goes_on_in_its_round(tmp_path, monkeypatch):
    edges = [(number, number + 1) for number in range(200)]
    runs = write_edges(tmp_path, edges, 2)
    done = []
    original = joining.large_star_part

    def counted(**arguments):
        done.append(arguments["shard"])
        if len(done) == 4:
            raise KeyboardInterrupt
        return original(**arguments)

    monkeypatch.setattr(joining, "large_star_part", counted)
    with limits(-1, 10**6):
        with pytest.raises(KeyboardInterrupt):
            joining.join(steps_in(tmp_path), tmp_path / "exchange", runs, 2, SHARDS, 201)
        joining.join(steps_in(tmp_path), tmp_path / "exchange", runs, 2, SHARDS, 201)
    rounds = len([folder for folder in (tmp_path / "exchange" / "rounds").iterdir() if "large" in folder.name])
    assert len(done) == 2 * rounds + 1, "one task was interrupted, and no finished one done again"
    assert members(tmp_path / "exchange")[0] == [[document, 0, 201] for document in range(201)]
    entries = [entry for path in (tmp_path / "exchange").rglob("rounds/*") for entry in load_entries(path)]
    assert len(entries) == 4 * rounds


@pytest.mark.parametrize(
    ("edges", "message"), [([(5, 1), (5, 2)], "in two stars"), ([(5, 3), (3, 1)], "lies in another star")]
)
def test_stars_that_are_none_are_an_error(tmp_path, edges, message):
    runs = write_edges(tmp_path, edges, 1)
    with pytest.raises(KamisukiError, match=message):
        joining.gather_stars("a", 0, 1, runs, str(tmp_path / "a"), str(tmp_path / "a" / "a.run"))
        joining.label_stars("b", 0, 1, [str(tmp_path / "a" / "a.run")], str(tmp_path / "b"), str(tmp_path / "b.run"))


def test_too_many_rounds_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(joining, "MOST_ROUNDS", 2)
    runs = write_edges(tmp_path, [(number, number + 1) for number in range(300)], 1)
    with limits(-1, 10**6), pytest.raises(KamisukiError, match="not converged after 2 rounds"):
        joining.join(steps_in(tmp_path), tmp_path / "exchange", runs, 1, SHARDS, 301)


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_unmix_undoes_mix(numbers):
    values = np.array(numbers, np.uint64)
    assert np.array_equal(unmix(mix(values)), values)
