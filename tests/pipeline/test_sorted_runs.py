"""Sorted runs: every row comes back once, in its group, however small the pieces that are read at a time."""

from __future__ import annotations

import itertools
import os
import resource
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import sorted_runs
from pipeline.exchange import key_partition
from pipeline.sorted_runs import SortedRunWriter, groups, read_rows

WORD = st.integers(0, 2**64 - 1)
# Keys that lie side by side, at both ends and in the middle, so that ranges are cut down to single keys.
KEY = st.integers(0, 3) | st.integers(2**63 - 2, 2**63 + 1) | st.integers(2**64 - 3, 2**64 - 1) | WORD
ROWS = st.lists(st.tuples(KEY, st.integers(0, 30) | WORD), max_size=60)
SIZES = {"block": st.sampled_from([1, 7, 10**6]), "at_once": st.sampled_from([1, 3, 10**6])}


def write_runs(folder: Path, rows: list[tuple[int, int]], partitions: int, files: int) -> list[Path]:
    paths = []
    for number in range(files):
        with SortedRunWriter(folder / f"{number}.run", partitions) as out:
            part = np.array(rows[number::files], np.uint64).reshape(-1, 2)
            for start in range(0, len(part), 9):
                out.write(part[start : start + 9, 0], part[start : start + 9, 1])
        paths.append(folder / f"{number}.run")
    return paths


@given(rows=ROWS, partitions=st.integers(1, 5), files=st.integers(1, 3), **SIZES)
def test_groups_hold_each_row_with_the_least_of_its_key(tmp_path_factory, rows, partitions, files, block, at_once):
    before = sorted_runs.ROWS_OF_A_BLOCK, sorted_runs.ROWS_AT_ONCE
    sorted_runs.ROWS_OF_A_BLOCK, sorted_runs.ROWS_AT_ONCE = block, at_once
    try:
        paths = write_runs(tmp_path_factory.mktemp("runs"), rows, partitions, files)
        expected = defaultdict(set)
        for key, value in rows:
            expected[key].add(value)
        found, opened = defaultdict(set), []
        for partition in range(partitions):
            for group in groups(paths, partition):
                assert len(group.keys) <= at_once
                assert (key_partition(group.keys, partitions) == partition).all()
                assert group.leasts().tolist() == [min(expected[key]) for key in group.keys.tolist()]
                opened += group.keys[group.starts].tolist() if group.opens else []
                sizes = dict(zip(group.keys[group.starts].tolist(), group.size.tolist(), strict=True))
                for key, value in zip(group.keys.tolist(), group.values.tolist()):
                    found[key].add(value)
                    assert sizes[key] >= len(expected[key])
                    if len(set(rows)) == len(rows) or at_once > len(rows):
                        assert sizes[key] == len(expected[key])
        assert found == expected
        assert sorted(opened) == sorted(expected)
        read = [tuple(row) for partition in range(partitions) for row in read_rows(paths, partition).tolist()]
        assert sorted(set(read)) == sorted(set(rows))
        assert all(one[0] <= other[0] for one, other in itertools.pairwise(read))
    finally:
        sorted_runs.ROWS_OF_A_BLOCK, sorted_runs.ROWS_AT_ONCE = before


def test_a_row_takes_two_numbers_and_a_footer(tmp_path):
    rows = [(key << 50, key) for key in range(1000)]
    (path,) = write_runs(tmp_path, rows, 4, 1)
    assert path.stat().st_size == 1000 * 16 + 5 * 8 + sorted_runs.TAIL.size


def test_a_file_that_was_cut_is_named(tmp_path):
    (path,) = write_runs(tmp_path, [(1, 2)], 1, 1)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match=r"0\.run: not a file of sorted runs"):
        list(groups([path], 0))


def test_a_writer_that_fails_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError), SortedRunWriter(tmp_path / "a.run", 1) as out:
        out.write(np.zeros(1, np.uint64), np.zeros(1, np.uint64))
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_there_may_be_more_run_files_than_a_process_may_open(tmp_path, monkeypatch):
    rows = [(key, value) for key in range(40) for value in range(3)]
    paths = write_runs(tmp_path, rows, 1, 120)
    monkeypatch.setattr(sorted_runs, "ROWS_AT_ONCE", 7)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 20, hard))
    try:
        found = [
            (key, value)
            for group in groups(paths, 0)
            for key, value in zip(group.keys.tolist(), group.values.tolist(), strict=True)
        ]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert sorted(found) == rows
