"""A takedown: a release without the rows, all else as it was; finished whatever killed it; for good."""

from __future__ import annotations

import datetime
import multiprocessing
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.export_run import export
from pipeline.release.derived_record import register
from pipeline.release.manifest import read_manifest
from pipeline.release.push.contents import read_contents
from pipeline.release.verify import verify
from pipeline.runner import InProcessRunner
from pipeline.takedown_list import Request, make_request, read_requests
from pipeline.takedown_run import TakedownRun
from tests.pipeline.conftest import Quiet
from tests.release.handmade import bytes_of
from tests.release.made import made_out, made_rows, release

SMALL = {"shard_bytes": 6_000, "validation": 0.1}
DAY = datetime.date(2026, 11, 26)
COUNT = 120
ROWS = made_rows(COUNT)


def request(kind: Any, value: str, **more: Any) -> Request:
    return make_request(kind, value, DAY, "asked for", **more)


def takedown(place: Path, *requests: Request) -> Any:
    return TakedownRun(place, InProcessRunner(), Quiet()).execute(requests)


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for path in sorted(folder.glob("data/*/*")) for row in pq.read_table(path).to_pylist()}


def public(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in bytes_of(folder).items() if not name.startswith(".local/")}


@pytest.fixture(scope="module")
def origin(tmp_path_factory) -> Path:
    """A run and its release, to be copied."""
    folder = tmp_path_factory.mktemp("origin")
    release(made_out(folder / "out", ROWS), folder / "release", **SMALL)
    return folder


def copied(origin: Path, to: Path) -> Path:
    """A copy of a folder with a release, its run and what was made of it, which know of each other only."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(origin, to)
    for path in to.rglob(".local/*.json*"):
        path.write_text(path.read_text().replace(str(origin), str(to)))
    return to / "release"


def named(requests: list[Request]) -> set[str]:
    """The ids that requests of this module's kinds name, said once more in the plainest way."""
    found = set()
    for each in requests:
        for row in ROWS:
            host = row["url"].split("/")[2]
            if each.value in (row["id"], row["url"], host):
                found.add(row["id"])
    return found


some_requests = st.lists(
    st.one_of(
        st.integers(0, 45).map(lambda n: request("host", f"h{n}.example")),
        st.integers(0, COUNT + 5).map(lambda n: request("id", f"row-{n}")),
        st.integers(0, COUNT + 5).map(lambda n: request("url", f"https://h{n % 40}.example/{n}")),
    ),
    min_size=1,
    max_size=6,
)


def files_of(folder: Path) -> dict[str, str]:
    """By id the data file in which a row lies."""
    return {
        key: path.relative_to(folder).as_posix()
        for path in folder.glob("data/*/*")
        for key in pq.read_table(path)["id"].to_pylist()
    }


@given(some_requests)
@settings(max_examples=10, deadline=None)
def test_what_is_left_is_a_release_without_the_rows_and_all_else_is_as_it_was(origin, tmp_path_factory, requests):
    place = copied(origin, tmp_path_factory.mktemp("taken"))
    before, had, where = public(place), rows_of(place), files_of(place)
    takedown(place, *requests)
    gone = named(requests) & had.keys()
    after = public(place)
    assert rows_of(place) == {key: row for key, row in had.items() if key not in gone}
    described = {"README.md", "release.json", "tombstones.parquet"} if gone else set()
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {where[key] for key in gone} | described
    found = verify(place)
    assert found.whole(), [check.problems for check in found.checks.values() if check.wrong]
    manifest = read_manifest(place)
    assert sum(each.rows for each in manifest.takedowns) == len(gone)
    assert manifest.tasks[0].left_out.get("taken_down", 0) == len(gone)
    if gone:
        tombstones = pq.read_table(place / "tombstones.parquet")
        assert set(tombstones["id"].to_pylist()) == gone and tombstones.column_names == ["id", "date", "reason"]
    shutil.rmtree(place.parent)


def test_nothing_lets_the_rows_back_in_and_the_manifest_counts_what_a_build_without_them_counts(origin, tmp_path):
    place = copied(origin, tmp_path / "taken")
    out = tmp_path / "taken" / "out"
    requests = [request("host", "h3.example"), request("url", "https://h5.example/5"), request("id", "row-8")]
    had = rows_of(place)
    takedown(place, *requests)
    left = had.keys() - named(requests)
    manifest = read_manifest(place)
    clean = made_out(tmp_path / "clean", [row for row in ROWS if row["id"] not in named(requests)])
    fresh = release(clean, tmp_path / "fresh", **SMALL).manifest.tasks[0]
    for name in ("licenses", "sources", "languages", "consent", "columns"):
        assert getattr(manifest.tasks[0], name) == getattr(fresh, name), name
    assert {each.means() for each in read_requests(out)} == {each.means() for each in requests}
    assert not release(out, place, **SMALL).worked
    release(out, tmp_path / "elsewhere", **SMALL)
    assert rows_of(tmp_path / "elsewhere").keys() == left
    (place / manifest.files[0].path).unlink()
    assert release(out, place, **SMALL).manifest.takedowns == manifest.takedowns
    assert rows_of(place).keys() == left
    # Also where nothing but the tombstones says so.
    for path in (out / "takedowns.jsonl", place / ".local" / "takedowns.jsonl"):
        path.unlink()
    release(out, place, replace=True, seed=5, **SMALL)
    assert rows_of(place).keys() == left and verify(place).whole()
    assert read_manifest(place).takedowns == manifest.takedowns


def killed_before(place: Path, step: int, requests: list[Request]) -> None:
    """Run a takedown in this process and end it, as kill -9 does, before the `step`th change of a file's name."""
    count = 0

    def stopping(real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == step:
                os._exit(137)
            return real(*arguments, **named)

        return call

    for name in ("replace", "unlink", "rmdir"):
        setattr(os, name, stopping(getattr(os, name)))
    takedown(place, *requests)


def test_a_takedown_that_was_killed_anywhere_is_finished_by_the_next(tmp_path):
    """All steps with KAMISUKI_EVERY_KILL=1; some of them else."""
    rows = made_rows(40, hosts=4)
    release(made_out(tmp_path / "made" / "out", rows), tmp_path / "made" / "release", shard_bytes=2_000)
    export(tmp_path / "made" / "release", tmp_path / "made" / "export", "jsonl", InProcessRunner(), Quiet())
    requests = [request("host", "h1.example"), request("id", "row-2")]
    straight = copied(tmp_path / "made", tmp_path / "straight")
    takedown(straight, *requests)
    expected, exported = public(straight), bytes_of(tmp_path / "straight" / "export")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipeline.takedown_run", "tests.release.test_takedown"])
    step, stride, refused = 1, int(os.environ.get("KAMISUKI_EVERY_KILL", 9)), 0
    while True:
        place = copied(tmp_path / "made", tmp_path / "again")
        process = context.Process(target=killed_before, args=(place, step, requests))
        process.start()
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == 137
        begun = (place / ".local" / "taking-down" / "plan.json").exists()
        if begun:
            refused += 1
            for refusing in (verify, read_contents, lambda place: register(place, "jsonl", tmp_path / "x")):
                with pytest.raises(UsageError, match=r"kamisuki takedown .* finishes it"):
                    refusing(place)
            with pytest.raises(UsageError, match=r"kamisuki takedown .* finishes it"):
                release(place.parent / "out", place, shard_bytes=2_000)
        # The next one need not know what the killed one was asked, once that was noted.
        takedown(place, *([] if begun else requests))
        assert public(place) == expected, step
        assert bytes_of(tmp_path / "again" / "export") == exported, step
        assert not (place / ".local" / "taking-down").exists() and verify(place).whole()
        assert rows_of(tmp_path / "again" / "release").keys() == rows_of(straight).keys()
        step += stride
    assert refused > 2
