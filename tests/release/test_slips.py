"""Slips of the hand around a release: wrong folders, wrong names, damage. Each is told with its repair."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.release.derived_record import Derived, Origin, write_derived
from pipeline.release.manifest import CARD, LOCAL, MANIFEST, read_manifest
from pipeline.release.unfinished import Plan, read_plan, write_plan
from pipeline.release.verify import verify
from pipeline.release_run import ReleaseRun
from pipeline.release_settings import Settings
from pipeline.runner import InProcessRunner
from pipeline.takedown_list import read_requests
from tests.pipeline.conftest import Quiet, run_cli
from tests.release.handmade import bytes_of
from tests.release.made import made_out, made_rows, release, released_and_exported
from tests.release.searching import holding
from tests.release.test_takedown import request, rows_of, takedown

ROWS = made_rows(40, hosts=4)


@pytest.fixture(scope="module")
def origin(tmp_path_factory) -> Path:
    return released_and_exported(tmp_path_factory.mktemp("origin"), ROWS)


def test_what_is_no_release_is_called_by_its_name(place):
    out, lines, file = place.parent / "out", place.parent / "lines", place / CARD
    for wrong, said in (
        (out, rf"OUT folder of a run.*kamisuki release {out} --to"),
        (lines, "holds no release but a jsonl made of release"),
        (file, rf"is a file.*{MANIFEST}"),
        (place.parent, f"its folders {place.name} do: give one of them"),
        (place.parent / "relaese", "check the path"),
    ):
        with pytest.raises(UsageError, match=said):
            read_manifest(wrong)


def test_nothing_is_written_into_a_release_or_among_other_files(place, tmp_path, monkeypatch, capsys):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "README.md").write_text("my own")
    before, out = bytes_of(tmp_path), str(place.parent / "out")
    for to, said in (
        (place, "of its own"),
        (place / "lines", "of its own"),
        (mine, "holds README.md"),
        (mine / "README.md", "is a file"),
    ):
        code, _, errors = run_cli(
            monkeypatch, capsys, "export", str(place), "--to", str(to), "--as", "jsonl", "--workers", "0"
        )
        assert code == 2 and said in errors and errors.count("\n") == 1
    for to, said in ((mine, "holds README.md"), (mine / "README.md", "is a file"), ("", "names nothing")):
        code, _, errors = run_cli(monkeypatch, capsys, "release", out, "--to", str(to), "--workers", "0")
        assert code == 2 and said in errors
    after = {name: content for name, content in bytes_of(tmp_path).items() if not name.endswith(".lock")}
    assert after == {name: content for name, content in before.items() if not name.endswith(".lock")}
    code, printed, _ = run_cli(monkeypatch, capsys, "release", out, "--to", str(mine), "--workers", "0", "--replace")
    assert code == 0 and "in all" in printed and verify(mine).whole()


def test_a_build_in_the_place_of_another_keeps_its_name_and_who_is_asked(tmp_path):
    out = made_out(tmp_path / "out", ROWS)
    place = tmp_path / "release"
    ReleaseRun(out, place, Settings(), InProcessRunner(), Quiet(), name="mine", contact="me@a.example").build()
    release(out, place, seed=3, replace=True)
    found = read_manifest(place)
    assert (found.name, found.contact, found.seed) == ("mine", "me@a.example", 3)


def test_a_request_without_a_row_is_named_and_so_is_that_nothing_is_listed(place, monkeypatch, capsys):
    def run(*options: str) -> str:
        code, printed, _ = run_cli(monkeypatch, capsys, "takedown", str(place), *options, "--workers", "0")
        assert code == 0
        return printed

    assert "nothing is listed" in run()
    printed = run("--hosts", "h1.example", "--urls", "https://h2.example/nowhere", "--dry-run")
    assert "rows would go: host h1.example" in printed and "0 rows: url https://h2.example/nowhere" in printed
    assert "0 rows: host" not in printed and "on the list" not in printed
    log = place.parent / "log.jsonl"
    printed = run("--ids", "nobody", "--log-json", str(log))
    assert "0 rows: id nobody" in printed and "on the list" in printed
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [each["command"] for each in events if each["event"] == "run_begin"] == ["takedown"]
    assert events[-1]["event"] == "run_end" and events[-1]["exit_code"] == 0


@pytest.mark.parametrize(
    ("data", "said"),
    [("{", "anew"), ('{"format": 99}', "newer version"), ('{"format": 0}', "anew"), ('{"format": 1}', "anew")],
)
def test_a_record_that_cannot_be_read_says_what_to_do(tmp_path, data, said):
    (tmp_path / MANIFEST).write_text(data)
    with pytest.raises(UsageError, match=said):
        read_manifest(tmp_path)


def test_nothing_is_written_below_a_release_or_below_what_was_made_of_one(place, monkeypatch, capsys):
    other = place.parent / "other"
    release(place.parent / "out", other)
    before = bytes_of(other)
    for to in (other / "data" / "more", place.parent / "lines" / "more"):
        for command in (["release", str(place.parent / "out")], ["export", str(place), "--as", "jsonl"]):
            code, _, errors = run_cli(monkeypatch, capsys, *command, "--to", str(to), "--workers", "0")
            assert code == 2 and "give a folder outside of it" in errors
            assert not to.exists()
    assert bytes_of(other) == before


def test_a_missing_file_is_not_taken_for_a_name(place, monkeypatch, capsys):
    for option in ("--hosts", "--ids", "--urls"):
        code, _, errors = run_cli(monkeypatch, capsys, "takedown", str(place), option, "gone.txt", "--workers", "0")
        assert code == 2 and f"{option} gone.txt" in errors
    assert not read_requests(place / LOCAL)


def test_a_mix_is_refused_by_push_before_a_token_is_asked_for(tmp_path, monkeypatch, capsys):
    origin = Origin(name="web", place="web", manifest_sha256="0" * 64)
    write_derived(tmp_path, Derived(kind="mix", of=[origin], settings={}))
    code, _, errors = run_cli(monkeypatch, capsys, "push", str(tmp_path), "--repo", "me/mix", "--dry-run")
    assert code == 2 and "push web" in errors and "hf upload OWNER/NAME" in errors
    code, _, errors = run_cli(monkeypatch, capsys, "push", str(tmp_path / "none"), "--repo", "me/mix", "--dry-run")
    assert code == 2 and "holds no release" in errors


def test_a_takedown_of_a_damaged_release_does_not_begin(place):
    file = place / read_manifest(place).files[0].path
    content = file.read_bytes()
    for damaged in (None, content[:-1]):
        file.unlink() if damaged is None else file.write_bytes(damaged)
        with pytest.raises(UsageError, match=rf"{file.name} (is missing|has .* bytes).*kamisuki release"):
            takedown(place, request("host", "h1.example"))
        assert read_plan(place) is None
    assert not read_requests(place / LOCAL)


def test_a_takedown_that_cannot_end_does_so_after_a_build_in_its_place(place):
    had = rows_of(place)
    write_plan(place, Plan(folder="gone", requests=[request("host", "h1.example")]))
    shutil.rmtree(place / "data")
    (place / MANIFEST).unlink()
    with pytest.raises(UsageError, match="--replace"):
        release(place.parent / "out", place, shard_bytes=6_000)
    release(place.parent / "out", place, shard_bytes=6_000, replace=True)
    left = {key: row for key, row in had.items() if "//h1." not in row["url"]}
    assert rows_of(place).keys() == left.keys() != had.keys()
    # What was made of the release holds the rows still, until the takedown has ended.
    assert holding(place.parent / "lines", ["//h1."])
    with pytest.raises(UsageError, match="kamisuki takedown"):
        verify(place)
    takedown(place)
    assert not holding(place.parent / "lines", ["//h1."]) and holding(place.parent / "lines", ["//h2."])
    assert rows_of(place).keys() == left.keys()
    assert read_plan(place) is None and verify(place).whole()
