"""A takedown: a release without the rows, all else as it was; finished whatever killed it; for good."""

from __future__ import annotations

import datetime
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.release.manifest import read_manifest
from pipeline.release.verify import verify
from pipeline.runner import InProcessRunner
from pipeline.takedown_list import Request, make_request, read_requests
from pipeline.takedown_run import TakedownRun
from tests.pipeline.conftest import Quiet
from tests.release.handmade import bytes_of
from tests.release.made import made_out, made_rows, release

SMALL = {"shard_bytes": 3_000, "validation": 0.1}
DAY = datetime.date(2026, 11, 26)
COUNT = 180
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
    """A copy of the release that knows a run of its own."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(origin, to)
    path = to / "release" / ".local" / "origin.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"out": str(to / "out")}))
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


@given(some_requests)
@settings(max_examples=25, deadline=None)
def test_what_is_left_is_a_release_without_the_rows_and_all_else_is_as_it_was(origin, tmp_path_factory, requests):
    folder = tmp_path_factory.mktemp("taken")
    place = copied(origin, folder)
    before, had = public(place), rows_of(place)
    takedown(place, *requests)
    gone = named(requests) & had.keys()
    after = public(place)
    assert rows_of(place) == {key: row for key, row in had.items() if key not in gone}
    where = {key: path.relative_to(origin / "release").as_posix() for path in (origin / "release").glob("data/*/*")
             for key in pq.read_table(path)["id"].to_pylist()}  # fmt: skip
    touched = {where[key] for key in gone}
    described = {"README.md", "release.json", "tombstones.parquet"} if gone else set()
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == touched | described
    found = verify(place)
    assert found.whole(), [check.problems for check in found.checks.values() if check.wrong]
    task, recorded = read_manifest(place).tasks[0], read_manifest(place).takedowns
    assert sum(each.rows for each in recorded) == len(gone)
    assert task.left_out.get("taken_down", 0) == len(gone)
    if gone:
        # What the manifest counts is what a build without the rows counts.
        left = [row for row in ROWS if row["id"] not in named(requests)]
        fresh = release(made_out(folder / "clean", left), folder / "fresh", **SMALL).manifest.tasks[0]
        for name in ("licenses", "sources", "languages", "consent", "columns"):
            assert getattr(task, name) == getattr(fresh, name), name
        tombstones = pq.read_table(place / "tombstones.parquet")
        assert set(tombstones["id"].to_pylist()) == gone and tombstones.column_names == ["id", "date", "reason"]
    # For good: no later build lets them back in.
    assert {each.means() for each in read_requests(folder / "out")} == {each.means() for each in requests}
    assert not release(folder / "out", place, **SMALL).worked
    assert rows_of(place).keys() == had.keys() - gone
    release(folder / "out", folder / "elsewhere", **SMALL)
    assert rows_of(folder / "elsewhere").keys() == had.keys() - gone
    release(folder / "out", place, replace=True, seed=5, **SMALL)
    assert rows_of(place).keys() == had.keys() - gone and verify(place).whole()
    assert read_manifest(place).takedowns == recorded
    shutil.rmtree(folder)
