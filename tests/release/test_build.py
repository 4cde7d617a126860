"""A build: every row in one file, no host on both sides, the same bytes however it came about."""

from __future__ import annotations

import datetime
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.release.keys import file_index, parse_file_path, row_keys
from pipeline.release.layout import cell_names, slug
from pipeline.release.manifest import MANIFEST, read_manifest
from pipeline.release.verify import verify
from pipeline.storage.places import put, read_bytes, tree_sizes
from pipeline.takedown_list import make_request, remember_requests
from tests.pipeline.conftest import ENVIRONMENT, run_cli
from tests.pipeline.loopback import made_bucket, moto_server
from tests.release.made import SCHEMA, made_out, made_rows, release

SMALL = {"shard_bytes": 3_000, "validation": 0.1}
SMALL_OPTIONS = ["--shard-bytes", "3000", "--validation", "0.1"]


def data(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.glob("data/*/*"))}


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return made_out(tmp_path_factory.mktemp("run") / "out", made_rows(600))


@pytest.fixture(scope="module")
def built(out, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "release"
    release(out, folder, **SMALL)
    return folder


def test_each_row_lies_in_the_one_file_that_its_cell_split_and_key_say(built):
    manifest = read_manifest(built)
    seen = []
    splits: dict[str, set[str]] = {}
    for file in manifest.files:
        table = pq.read_table(built / file.path)
        cell, split, index, files = parse_file_path(file.path)
        assert table.schema.equals(SCHEMA)
        assert (table.num_rows, cell, split) == (file.rows, file.config, file.split)
        keys = row_keys(table.column("id"), manifest.seed)
        assert (np.diff(keys.astype(object)) > 0).all()
        assert (file_index(keys, files) == index).all()
        assert {slug(tier) for tier in table.column("license_tier").to_pylist()} <= {cell.removeprefix("made-")}
        for host in table.column("host").to_pylist():
            if host:
                splits.setdefault(host, set()).add(split)
        seen += table.column("id").to_pylist()
    wanted = [row["id"] for row in made_rows(600) if row["consent"] != "refused"]
    assert sorted(seen) == sorted(wanted)
    assert all(len(found) == 1 for found in splits.values())
    assert {file.split for file in manifest.files} == {"train", "validation"}
    assert len(manifest.files) > 6


def test_it_is_found_whole(built):
    found = verify(built)
    assert [(check.name, check.problems) for check in found.checks.values() if check.wrong] == []
    assert found["places"].looked_at == sum(file.rows for file in read_manifest(built).files)


def test_the_manifest_accounts_for_every_row(built):
    (task,) = read_manifest(built).tasks
    rows = made_rows(600)
    refused = sum(row["consent"] == "refused" for row in rows)
    assert (task.rows_in, task.left_out) == (600, {"consent_refused": refused})
    assert sum(found.rows for found in task.licenses) == 600 - refused
    assert sum(found.characters for found in task.licenses) == sum(
        len(row["text"]) for row in rows if row["consent"] != "refused"
    )
    assert [(found.source, str(found.first)) for found in task.sources] == [("CC-MAIN-2024-10", "2024-06-01")]
    assert task.waived == {"lost": "in.warc.gz: no WARC"}


def test_nothing_of_the_machine_is_published(built, out):
    for name in ("release.json", "README.md", *data(built)):
        content = (built / name).read_bytes()
        assert str(out.parent).encode() not in content and str(built.parent).encode() not in content, name
    assert "sources" not in read_manifest(built).tasks[0].recipe


def test_the_same_rows_in_other_shards_have_the_same_order(out, built, tmp_path):
    other = made_out(tmp_path / "other", made_rows(600)[::-1], shards=5)
    release(other, tmp_path / "release", **SMALL)

    def ids(folder: Path, cell: str) -> list[str]:
        files = sorted(folder.glob(f"data/{cell}/train-*"))
        return [key for file in files for key in pq.read_table(file).column("id").to_pylist()]

    for cell in ("made-attribution", "made-unknown", "made-none"):
        assert ids(built, cell) == ids(tmp_path / "release", cell)


def test_the_same_command_does_only_what_is_missing_and_ends_with_the_same_bytes(out, tmp_path):
    first = release(out, tmp_path, **SMALL)
    before = data(tmp_path)
    assert first.worked and not release(out, tmp_path, **SMALL).worked
    lost = first.manifest.files[0].path
    (tmp_path / lost).unlink()
    stamps = {name: (tmp_path / name).stat().st_mtime_ns for name in before if name != lost}
    assert release(out, tmp_path, **SMALL).worked
    assert data(tmp_path) == before
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in stamps} == stamps
    with open(tmp_path / "README.md", "a", encoding="utf-8") as file:
        file.write("edited\n")
    assert release(out, tmp_path, **SMALL).worked and verify(tmp_path).whole()


def test_another_release_is_not_overwritten_unless_it_is_asked_for(out, tmp_path):
    release(out, tmp_path, **SMALL)
    with pytest.raises(UsageError, match="--replace"):
        release(out, tmp_path, seed=1, **SMALL)
    release(out, tmp_path, replace=True, seed=1, **SMALL)
    assert read_manifest(tmp_path).seed == 1
    assert {file.path for file in read_manifest(tmp_path).files} == set(data(tmp_path))


def test_a_damaged_note_of_the_origin_is_mended_by_what_its_error_says(out, built, tmp_path):
    release(out, tmp_path, **SMALL)
    (tmp_path / ".local" / "origin.json").write_text("{")
    with pytest.raises(UsageError, match="damaged: give --replace"):
        release(out, tmp_path, **SMALL)
    assert release(out, tmp_path, replace=True, **SMALL).worked
    assert data(tmp_path) == data(built)


def test_policy_keeps_only_what_it_names(out, tmp_path):
    manifest = release(out, tmp_path, license_tiers=("attribution",), refused_consent=True).manifest
    assert {config.name for config in manifest.configs} == {"made", "made-attribution"}
    assert sum(file.rows for file in manifest.files) == 200
    assert manifest.tasks[0].left_out == {"license_tier": 400}


def test_what_the_list_of_the_run_names_is_left_out_of_a_corpus_that_still_has_it(tmp_path):
    rows = made_rows(90)
    day = datetime.date(2026, 11, 26)
    remember_requests(made_out(tmp_path / "out", rows), [make_request("host", "h1.example", day, "asked by letter")])
    manifest = release(tmp_path / "out", tmp_path / "release", **SMALL).manifest
    listed = {row["id"] for row in rows if row["url"].startswith("https://h1.example/")}
    refused = {row["id"] for row in rows if row["consent"] == "refused"} - listed
    assert listed and manifest.tasks[0].left_out == {"consent_refused": len(refused), "taken_down": len(listed)}
    ids = {key for path in (tmp_path / "release").glob("data/*/*") for key in pq.read_table(path)["id"].to_pylist()}
    assert ids == {row["id"] for row in rows} - listed - refused
    assert not release(tmp_path / "out", tmp_path / "release", **SMALL).worked
    # A release that stands and a list that grew since: its rows are there.
    remember_requests(tmp_path / "out", [make_request("id", "row-5", day, "asked again")])
    with pytest.raises(UsageError, match=r"kamisuki takedown .* takes them out; or give --replace"):
        release(tmp_path / "out", tmp_path / "release", **SMALL)
    release(tmp_path / "out", tmp_path / "release", replace=True, **SMALL)
    assert read_manifest(tmp_path / "release").tasks[0].left_out["taken_down"] == len(listed) + 1


def test_several_axes_give_cells_and_a_config_for_each_value(out, tmp_path):
    manifest = release(out, tmp_path, by=("license_tier", "tier")).manifest
    names = {config.name: config for config in manifest.configs}
    assert len(names["made"].cells) == 6 and len(names["made-tier-top"].cells) == 3
    assert names["made-attribution-top"].values == {"license_tier": "attribution", "tier": "top"}


# The command, which kills itself where the first file of a name is about to stand, or has just come to stand.
KILLED = """
import fnmatch, os, signal, sys
from pipeline import files
from pipeline.cli import app
pattern, moment = sys.argv.pop(1), sys.argv.pop(1)
replace = os.replace
def kill(source, target):
    hit = fnmatch.fnmatch(str(target), pattern)
    if not hit or moment == "after":
        replace(source, target)
    if hit:
        os.kill(os.getpid(), signal.SIGKILL)
files.os.replace = kill
app()
"""


def test_a_build_killed_again_and_again_ends_with_the_same_bytes(out, built, tmp_path):
    options = ["release", str(out), "--to", str(tmp_path), "--workers", "0", *SMALL_OPTIONS]
    for pattern, moment in (
        ("*/.local/ledger/*/count/*.json", "after"),
        ("*/.local/exchange/*/*.run", "before"),
        ("*/data/*/*.parquet", "after"),
    ):
        command = [sys.executable, "-c", KILLED, pattern, moment, *options]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
    last = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *options], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert last.returncode == 0, last.stderr
    assert data(tmp_path) == data(built)
    assert not list(tmp_path.rglob("*.tmp")) and not (tmp_path / ".local" / "exchange").exists()


def test_a_run_on_s3_is_released_on_s3_with_the_same_bytes(out, built, tmp_path, monkeypatch):
    with moto_server() as port, made_bucket(port, tmp_path / "cache", monkeypatch) as bucket:
        for path in sorted(out.rglob("*.*")):
            if path.is_file():
                put(path, bucket / "out" / path.relative_to(out).as_posix())
        place = bucket / "mine"
        assert release(bucket / "out", place, **SMALL).worked
        assert not release(bucket / "out", place, **SMALL).worked
        names = [name for name in tree_sizes(place) if name.startswith("data/")]
        assert {name: read_bytes(place / name) for name in sorted(names)} == data(built)


def test_readers_load_it(built):
    rows = sum(file.rows for file in read_manifest(built).files)
    every = str(built / "data" / "*" / "*.parquet")
    assert duckdb.sql(f"SELECT count(DISTINCT id) FROM '{every}'").fetchall() == [(rows,)]
    assert polars.read_parquet(every).height == rows


def test_datasets_loads_it_by_its_card_whole_and_streaming(built, tmp_path):
    import datasets

    whole = datasets.load_dataset(str(built), "made", split="train", cache_dir=str(tmp_path))
    manifest = read_manifest(built)
    files = manifest.files_of(manifest.configs[0], "train")
    assert whole.num_rows == sum(file.rows for file in files)
    streamed = datasets.load_dataset(str(built), "made", split="train", streaming=True)
    assert [row["id"] for row in streamed] == whole["id"]


def test_a_dry_run_prints_cells_and_writes_no_data(out, tmp_path, monkeypatch, capsys):
    code, printed, _ = run_cli(
        monkeypatch, capsys, "release", str(out), "--to", str(tmp_path), "--dry-run", "--workers", "0"
    )
    assert code == 0 and "made-attribution" in printed and "consent_refused" in printed
    assert not (tmp_path / "data").exists() and not (tmp_path / MANIFEST).exists()


@pytest.mark.parametrize("wrong", [("--by", "host"), ("--validation", "1"), ("--license-tiers", "free")])
def test_wrong_options_are_told_in_one_line(wrong, out, tmp_path, monkeypatch, capsys):
    code, _, errors = run_cli(monkeypatch, capsys, "release", str(out), "--to", str(tmp_path), *wrong)
    assert code == 2 and errors.startswith("kamisuki: ") and errors.count("\n") == 1


def test_two_values_that_would_share_a_folder_are_an_error_that_names_both():
    with pytest.raises(UsageError, match=r"'a b'.*'a/b'|'a/b'.*'a b'"):
        cell_names("made", [("a b",), ("a/b",)])
    with pytest.raises(UsageError, match="no value"):
        cell_names("made", [(None,), ("none",)])


@given(st.text(), st.integers(1, 5_000))
@settings(max_examples=200)
def test_names_are_safe_and_files_part_the_keys(value, files):
    assert set(slug(value)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    keys = np.sort(row_keys(pa.array([f"{value.encode('utf-8', 'replace').decode()}{n}" for n in range(50)]), 7))
    places = file_index(keys, files)
    assert (np.diff(places) >= 0).all() and places.min() >= 0 and places.max() < files


def test_files_are_even():
    counts = np.bincount(file_index(row_keys(pa.array([f"id-{n}" for n in range(100_000)]), 3), 10))
    assert counts.min() > 0.96 * 10_000 and counts.max() < 1.04 * 10_000
