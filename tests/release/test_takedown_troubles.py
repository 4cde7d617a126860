"""A takedown whose notes are damaged, or beside which others work: what is not reached is told, and reached later."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import export_run
from pipeline.errors import KamisukiError
from pipeline.export_run import export
from pipeline.release.derived import read_derived
from pipeline.release.derived_record import write_derived
from pipeline.release.manifest import LOCAL, read_manifest
from pipeline.release.unfinished import read_plan
from pipeline.release.verify import verify
from pipeline.release_lock import held
from pipeline.runner import InProcessRunner
from tests.pipeline.conftest import Quiet
from tests.release.made import made_rows, released_and_exported
from tests.release.mixes import mix_of, write_manifest
from tests.release.searching import holding
from tests.release.test_takedown import request, takedown

ROWS = made_rows(40, hosts=4)


@pytest.fixture(scope="module")
def origin(tmp_path_factory) -> Path:
    return released_and_exported(tmp_path_factory.mktemp("origin"), ROWS)


def left(place: Path, *names: str) -> set[str]:
    """In which of the folders beside a release a host still is."""
    return {name for name in names if holding(place.parent / name, ["//h1.example"])}


def test_a_damaged_list_of_what_was_made_is_named_and_the_rest_is_done(place):
    listed = place / LOCAL / "derived.jsonl"
    whole = listed.read_text()
    listed.write_text(whole + '{"kind": "jsonl"}\n')
    _, reached = takedown(place, request("host", "h1.example"))
    assert any(f"{listed}, line 2, is damaged" in line and "bring the file back" in line for line in reached.failed)
    assert read_plan(place) is None and verify(place).whole()
    assert left(place, "release/data", "lines") == {"lines"}
    listed.write_text(whole)
    _, reached = takedown(place)
    assert not reached.failed and left(place, "release/data", "lines") == set()


def test_a_damaged_note_of_other_releases_ends_no_takedown_half_way(place):
    note = next((place.parent / "out" / "releases").glob("*.json"))
    note.write_text("{")
    _, reached = takedown(place, request("host", "h1.example"))
    assert any(str(note.parent) in line for line in reached.failed)
    assert read_plan(place) is None and left(place, "release/data", "lines") == set()


def test_a_mix_that_another_takedown_works_in_is_left_to_the_next(place, tokenizer_file):
    sources = [{"name": "web", "release": str(place), "weight": 1}]
    keys = {"name": "m", "tokenizer": str(tokenizer_file), "budgets": ["1K"], "sources": sources, "max_epochs": 99}
    mix = place.parent / "mix"
    mix_of(write_manifest(place.parent / "mix.yaml", **keys), mix)
    export(mix, place.parent / "mix-lines", "jsonl", InProcessRunner(), Quiet())
    with held(mix):
        _, reached = takedown(place, request("host", "h1.example"))
    assert any(f"mix at {mix}" in line and "another run" in line for line in reached.failed)
    assert left(place, "release/data", "lines", "mix", "mix-lines") == {"mix", "mix-lines"}
    _, reached = takedown(place)
    assert not reached.failed and left(place, "mix", "mix-lines") == set()
    assert verify(mix).whole()


def test_an_export_of_a_release_that_changes_meanwhile_is_not_whole(place, monkeypatch):
    to, real = place.parent / "more", export_run.make_jsonl
    manifest = read_manifest(place)
    to_do = [file for file in manifest.files if file.config in manifest.configs[0].cells]

    def work(**arguments):
        """A task; once the last has read its rows, a host goes out of the release."""
        counts = real(**arguments)
        to_do.remove(arguments["file"])
        if not to_do:
            takedown(place, request("host", "h1.example"))
        return counts

    monkeypatch.setattr(export_run, "make_jsonl", work)
    with pytest.raises(KamisukiError, match=f"changed while {to} was made"):
        export(place, to, "jsonl", InProcessRunner(), Quiet())
    record = read_derived(to)
    assert record is not None and not record.finished
    takedown(place)
    assert left(place, "release/data", "lines", "more") == set()


def test_a_mix_that_is_not_whole_is_cleared_once(place, tokenizer_file):
    sources = [{"name": "web", "release": str(place), "weight": 1}]
    keys = {"name": "m", "tokenizer": str(tokenizer_file), "budgets": ["1K"], "sources": sources, "max_epochs": 99}
    mix = place.parent / "mix"
    record = mix_of(write_manifest(place.parent / "mix.yaml", **keys), mix)
    write_derived(mix, record.model_copy(update={"finished": False}))
    _, reached = takedown(place, request("host", "h1.example"))
    assert any(f"of the mix at {mix}" in line for line in reached.done)
    assert left(place, "mix") == set() and not list(mix.rglob("*.parquet"))
    _, reached = takedown(place)
    assert not reached.failed and not any("mix" in line for line in reached.done)
