"""Files are whole or absent, and the same rows make the same bytes."""

import errno
import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import files
from pipeline.files import TableWriter, aligned_batches, atomic_file, canonical_digest, read_json, write_json

SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), ("n", pa.int64())])


def rows(count: int, width: int = 40) -> list[dict]:
    return [{"id": f"{n:05d}", "text": "紙" * (n % width), "n": n} for n in range(count)]


def test_a_failed_write_leaves_neither_a_file_nor_a_temporary(tmp_path):
    with pytest.raises(RuntimeError), atomic_file(tmp_path / "a.json") as file:
        file.write(b"half")
        raise RuntimeError("stopped")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", {"紙": 1})
    with pytest.raises(RuntimeError), atomic_file(tmp_path / "a.json") as file:
        file.write(b"half")
        raise RuntimeError("stopped")
    assert read_json(tmp_path / "a.json") == {"紙": 1}


def test_a_disk_that_fills_in_the_middle_of_a_table_is_an_oserror_and_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"), TableWriter(tmp_path / "t.parquet", SCHEMA) as out:
        out.write_rows(rows(10))
    assert list(tmp_path.iterdir()) == []


@given(cuts=st.lists(st.integers(0, 300), max_size=6), group=st.sampled_from([500, 4_000, 16_000_000]))
def test_the_same_rows_give_the_same_bytes_however_they_are_handed_in(tmp_path_factory, cuts, group):
    folder = tmp_path_factory.mktemp("tables")
    everything = rows(300)
    edges = [0, *sorted(cuts), 300]
    original = files.ROW_GROUP_BYTES
    files.ROW_GROUP_BYTES = group
    try:
        with TableWriter(folder / "whole.parquet", SCHEMA) as out:
            out.write_rows(everything)
        with TableWriter(folder / "pieces.parquet", SCHEMA) as pieces:
            for start, stop in itertools.pairwise(edges):
                pieces.write_rows(everything[start:stop])
    finally:
        files.ROW_GROUP_BYTES = original
    assert (folder / "whole.parquet").read_bytes() == (folder / "pieces.parquet").read_bytes()
    assert pq.read_table(folder / "whole.parquet").to_pylist() == everything
    assert out.written().rows == 300


def test_row_groups_are_cut_by_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROW_GROUP_BYTES", 2_000)
    with TableWriter(tmp_path / "t.parquet", SCHEMA) as out:
        out.write_rows(rows(300))
    assert pq.ParquetFile(tmp_path / "t.parquet").num_row_groups > 5


@given(st.integers(1, 250), st.integers(1, 90))
def test_aligned_batches_hold_the_same_rows_of_files_with_other_row_groups(tmp_path_factory, count, size):
    folder = tmp_path_factory.mktemp("aligned")
    table = pa.Table.from_pylist(rows(count), schema=SCHEMA)
    pq.write_table(table, folder / "a.parquet", row_group_size=7)
    pq.write_table(table, folder / "b.parquet", row_group_size=64)
    sources = [(folder / "a.parquet", ["id"]), (folder / "b.parquet", ["n"])]
    batches = list(aligned_batches(sources, rows=size))
    assert [left.num_rows for left, _ in batches] == [right.num_rows for _, right in batches]
    assert all(left.num_rows <= min(size, 7) for left, _ in batches), "no more than one row group of the first file"
    ids = [value for left, _ in batches for value in left.column("id").to_pylist()]
    numbers = np.concatenate([right.column("n").to_numpy() for _, right in batches])
    assert ids == [f"{n:05d}" for n in numbers]
    assert len(ids) == count


def test_tables_that_do_not_fit_together_are_refused(tmp_path):
    for name, count in (("a", 3), ("b", 4)):
        pq.write_table(pa.Table.from_pylist(rows(count), schema=SCHEMA), tmp_path / f"{name}.parquet")
    with pytest.raises(ValueError, match="differ in rows"):
        list(aligned_batches([(tmp_path / "a.parquet", ["id"]), (tmp_path / "b.parquet", ["id"])]))


def test_a_digest_depends_on_values_not_on_the_order_of_keys():
    assert canonical_digest({"a": 1, "b": [2]}) == canonical_digest({"b": [2], "a": 1})
    assert canonical_digest({"a": 1}) != canonical_digest({"a": 1.5})


def test_leftovers_of_killed_writers_are_removed_and_nothing_else(tmp_path: Path):
    (tmp_path / ".x.parquet.1.ab.tmp").write_bytes(b"half")
    (tmp_path / "x.parquet").write_bytes(b"whole")
    assert files.remove_temporaries(tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]
