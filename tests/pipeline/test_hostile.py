"""Captures made to hurt, in small: each costs its own page, with the reason that is expected, and no sound one."""

from pathlib import Path

import pytest

from benchmarks.hostile import SOUND, extracted, outcomes, write
from benchmarks.hostile_captures import DOCUMENT, Capture, captures, page
from pipeline.report.status import known_tables
from tests.pipeline.conftest import execute, table_rows

GIVEN = captures(0.02)


@pytest.mark.parametrize("name", GIVEN)
def test_a_hostile_capture_costs_its_own_page_only(name: str, tmp_path: Path) -> None:
    found, _ = extracted([SOUND, GIVEN[name], SOUND], tmp_path)
    assert found == [DOCUMENT, GIVEN[name].outcome, DOCUMENT]


def test_a_whole_run_over_all_of_them_ends_well_and_loses_no_sound_page(tmp_path: Path) -> None:
    path = tmp_path / "hostile.warc.gz"
    mixed = [each for capture in GIVEN.values() for each in (SOUND, capture)] + [SOUND]
    offsets = write(path, mixed)
    execute(tmp_path / "out", [path])
    tables = known_tables(tmp_path / "out", None)[1]
    folders = (tmp_path / "out" / tables[name] for name in ("documents", "extract_rejects"))
    found = outcomes(*folders, offsets, path.stat().st_size)
    assert found == [capture.outcome for capture in mixed]
    assert table_rows(tmp_path / "out", "corpus")


@pytest.mark.parametrize(
    "capture",
    [
        Capture(page("<p>紙の話。" * 700_000), "body_too_large"),
        Capture(page("<div><b>" * 60_000), "too_many_elements"),
    ],
)
def test_limits_are_met(capture: Capture, tmp_path: Path) -> None:
    assert extracted([SOUND, capture, SOUND], tmp_path)[0] == [DOCUMENT, capture.outcome, DOCUMENT]
