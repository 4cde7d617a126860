"""Small reads of object storage: several at a time, the same rows in the same order, no more ahead than is allowed."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import sorted_runs
from pipeline.sorted_runs import SortedRunWriter, groups, pieces_of, read_rows, rows_of
from pipeline.storage import reading_ahead, s3
from pipeline.storage.places import READERS, RemotePath
from pipeline.storage.reading_ahead import AHEAD_BYTES, read_ahead
from tests.pipeline.loopback import made_bucket, moto_server, s3_proxy

FILES, PARTITIONS = 6, 3


class Together:
    """Keeps back what asks for a run file until another asks too: who asks one after the other waits for long."""

    def __init__(self) -> None:
        self._met, self._lock, self._here = threading.Event(), threading.Lock(), 0

    def forget(self) -> None:
        """Wait anew."""
        self._met.clear()

    def __call__(self, number: int, method: str, path: str) -> None:
        if method != "GET" or ".run" not in path:
            return
        with self._lock:
            self._here += 1
            if self._here > 1:
                self._met.set()
        self._met.wait(20)
        with self._lock:
            self._here -= 1


def write_runs(folder: Path | RemotePath) -> list[Path | RemotePath]:
    """Run files as the tasks of a step leave them, the first longer than what comes with its end."""
    paths = []
    for number in range(FILES):
        keys = np.random.default_rng(number).integers(0, 2**64, 300 if number else 60_000, np.uint64)
        paths.append(folder / f"{number}.run")
        with SortedRunWriter(paths[-1], PARTITIONS) as out:
            out.write(keys, keys >> np.uint64(1))
    return paths


def test_sorted_runs_on_s3_are_read_several_at_a_time_and_give_the_same_rows(tmp_path, monkeypatch):
    near, together = write_runs(tmp_path), Together()
    with (
        moto_server() as port,
        s3_proxy(port, together) as (url, seen),
        made_bucket(port, tmp_path / "cache", monkeypatch) as bucket,
    ):
        far = write_runs(bucket)
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        s3._client_of.cache_clear()
        for read in (
            lambda paths: read_rows(paths, 1).tolist(),
            lambda paths: [group.values.tolist() for group in groups(paths, 2)],
            lambda paths: [rows.tolist() for rows in rows_of(pieces_of(paths, None))],
        ):
            together.forget()
            seen.most_at_once = 0
            assert read(far) == read(near)
            assert 1 < seen.most_at_once <= READERS
        # Size, end and piece of each file, three times.
        assert len(seen.requests) == 3 * 3 * FILES
        monkeypatch.setattr(sorted_runs, "ROWS_AT_ONCE", 2_000)
        assert [part.values.tolist() for part in groups(far, 0)] == [part.values.tolist() for part in groups(near, 0)]


@given(sizes=st.lists(st.sampled_from([0, 1, AHEAD_BYTES // 3, AHEAD_BYTES, 2 * AHEAD_BYTES]), max_size=60))
def test_no_more_is_ahead_than_is_allowed_and_the_order_is_kept(sizes):
    lock = threading.Lock()
    begun: list[int] = []
    taken = 0

    def read(number: int) -> int:
        with lock:
            begun.append(number)
            ahead = [index for index in begun if index >= taken]
            assert len(ahead) <= READERS + 1
            held = sum(sizes[index] for index in ahead)
            assert len(ahead) <= 2 or held <= AHEAD_BYTES + max(sizes[index] for index in ahead)
        return number

    found = []
    for number in read_ahead(range(len(sizes)), read, True, sizes.__getitem__):
        found.append(number)
        with lock:
            taken = number + 1
    assert found == list(range(len(sizes)))


def test_an_error_comes_in_its_place_and_what_waits_behind_it_is_not_read():
    begun = []

    def read(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise FileNotFoundError(number)
        return number

    found = []
    with pytest.raises(FileNotFoundError):
        for number in read_ahead(range(1_000), read, True):
            found.append(number)
    assert found == [0, 1, 2]
    assert len(begun) <= 3 + READERS + 1


def test_local_files_are_read_as_they_are_taken():
    begun = []
    found = read_ahead(range(9), lambda number: begun.append(number), False)
    next(found)
    assert begun == [0]
    assert reading_ahead.are_remote([Path("a"), RemotePath("s3://b/c")])
    assert not reading_ahead.are_remote([Path("a")])
