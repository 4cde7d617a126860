"""`kamisuki verify` of mixes, packs and exports: whole ones are found whole, and each check is broken by a test."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UsageError
from pipeline.export_run import export
from pipeline.release.derived import take_out
from pipeline.release.derived_record import DERIVED, MADE_OF, read_derived, write_derived
from pipeline.release.manifest import LOCAL
from pipeline.release.mixing.checksums import write_checksums
from pipeline.release.verify import verify
from pipeline.release.verify.mixed import OF_MIXES
from pipeline.runner import InProcessRunner
from pipeline.takedown_list import remember_requests
from tests.pipeline.conftest import Quiet, run_cli
from tests.release.mixes import mix_of, pack_of, rows_of_files, write_manifest
from tests.release.test_takedown import request

SOURCES = [
    {"name": "web", "release": "web", "weight": 3},
    {"name": "small", "release": "small", "weight": 1, "kind": "replay"},
]


@pytest.fixture(scope="module")
def made(releases, tokenizer_file) -> Path:
    keys = {"tokenizer": str(tokenizer_file), "shard_bytes": 20_000}
    mix = write_manifest(releases / "mix.yaml", name="mix", budgets=["1K", "4K"], sources=SOURCES, **keys)
    corpora = [{"name": name, "release": name} for name in ("web", "small")]
    mix_of(mix, releases / "mix")
    pack_of(write_manifest(releases / "pack.yaml", name="pack", corpora=corpora, **keys), releases / "pack")
    return releases


def test_whole_ones_are_found_whole_and_everything_is_looked_at(made, tmp_path, monkeypatch, capsys):
    for name in ("mix", "pack"):
        found = verify(made / name)
        assert found.whole() and all(check.looked_at for check in found.checks.values()), name
    export(made / "mix", tmp_path / "lines", "jsonl", InProcessRunner(), Quiet())
    assert set(verify(tmp_path / "lines").checks) == {"files", "checksums"} and verify(tmp_path / "lines").whole()
    code, printed, _ = run_cli(monkeypatch, capsys, "verify", str(made / "mix"))
    assert code == 0 and "all checks hold" in printed and all(name in printed for name in OF_MIXES)
    code, _, errors = run_cli(monkeypatch, capsys, "verify", str(made / "mix"), "--load")
    assert code == 2 and "--load is for releases" in errors


def test_a_mix_that_rows_were_taken_out_of_is_whole_and_one_that_is_not_made_is_refused(made, tmp_path):
    place = shutil.copytree(made / "mix", tmp_path / "mix")
    gone = {row["id"] for row in rows_of_files(place, read_derived(place))[::3]}
    assert take_out(place, frozenset(gone)).rows and verify(place).whole()
    write_derived(place, read_derived(place).model_copy(update={"finished": False}))
    with pytest.raises(UsageError, match="give the command that makes it again"):
        verify(place)


FIRST = "data/00-1K/train-00000-of-00001.parquet"
Break = Callable[[Path], Any]


def edited(**settings: Any) -> Break:
    """A record whose settings, or those of all sources, say something else; all else follows it."""

    def edit(place: Path) -> None:
        data = json.loads((place / DERIVED).read_text())
        for source in data["settings"]["sources"]:
            source |= settings
        (place / DERIVED).write_text(json.dumps(data))

    return edit


def rewritten(change: Callable[[pa.Table], pa.Table]) -> Break:
    return lambda place: pq.write_table(change(pq.read_table(place / FIRST, partitioning=None)), place / FIRST)


def column(name: str, values: Callable[[pa.Table], list[Any]]) -> Break:
    def change(rows: pa.Table) -> pa.Table:
        at = rows.schema.get_field_index(name)
        return rows.set_column(at, rows.schema.field(at), pa.array(values(rows), rows.schema.field(at).type))

    return rewritten(change)


def taken_down(place: Path) -> None:
    release = place.parent / "web"
    shutil.copytree(place.parent / "origin" / "web", release)
    (row,) = [row for row in rows_of_files(place, read_derived(place)) if row["source"] == "web" and row["url"]][:1]
    remember_requests(release / LOCAL, [request("url", row["url"])])
    (place / LOCAL / MADE_OF).write_text(json.dumps({"web": str(release)}))


def counted_otherwise(place: Path) -> None:
    record = read_derived(place)
    record.files[0].tally[0].tokens += 1
    write_derived(place, record)


def other_sums(place: Path) -> None:
    record = read_derived(place)
    record.others[0].sha256 = "0" * 64
    write_checksums(place, record)


@pytest.mark.parametrize(
    ("broken", "check", "said"),
    [
        (lambda place: (place / FIRST).unlink(), "files", f"{FIRST}: is missing"),
        (lambda place: (place / "notes.txt").touch(), "files", "notes.txt: the record does not know it"),
        (other_sums, "checksums", "SHA256SUMS: is not what the record says"),
        (lambda place: (place / "tokenizer.json").write_text("{}"), "checksums", "tokenizer.json: has 2 bytes"),
        (rewritten(lambda rows: rows.drop_columns("host")), "schema", "not those of a mix: host"),
        (counted_otherwise, "counts", "are not counted as its rows are"),
        (column("tokens", lambda rows: [1] * rows.num_rows), "counts", "the record says"),
        (column("text", lambda rows: [""] * rows.num_rows), "text", f"{FIRST}: row 0: its text is empty"),
        (rewritten(lambda rows: pa.concat_tables([rows, rows[:1]])), "ids", f": in {FIRST} row 0 and {FIRST} row "),
        (edited(share=0.9), "budgets", "its share is 900"),
        (edited(share=0.01), "budgets", "and a row more than that is"),
        (edited(max_epochs=0.001), "epochs", "is gone through"),
        (taken_down, "takedowns", "was taken down in web"),
        (lambda place: (place / "README.md").write_text("---\nconfigs: []\n---\n"), "configs", "no config finds it"),
        (edited(contact="me@a.example"), "card", "README.md: is not what the record makes"),
    ],
)  # fmt: skip
def test_each_check_finds_what_it_is_for(made, tmp_path, broken, check, said):
    place = shutil.copytree(made / "mix", tmp_path / "mix")
    (tmp_path / "origin").symlink_to(made)
    broken(place)
    found = verify(place)
    assert found[check].wrong and any(said in problem for problem in found[check].problems), found.as_record()


@pytest.mark.parametrize("wrong", [{"steps": None}, {"sources": [{"name": "web"}]}, {"forced": []}])
def test_a_record_whose_settings_are_damaged_is_told(made, tmp_path, wrong):
    place = shutil.copytree(made / "mix", tmp_path / "mix")
    data = json.loads((place / DERIVED).read_text())
    data["settings"] |= wrong
    (place / DERIVED).write_text(json.dumps(data))
    with pytest.raises(UsageError, match=r"settings\..*anew"):
        verify(place)


def test_a_record_of_rows_of_another_source_is_told(made, tmp_path):
    place = shutil.copytree(made / "mix", tmp_path / "mix")
    data = json.loads((place / DERIVED).read_text())
    data["files"][0]["tally"][0]["source"] = "nobody"
    (place / DERIVED).write_text(json.dumps(data))
    with pytest.raises(UsageError, match="nobody is none of its sources"):
        verify(place)


def test_rows_without_tokens_are_found(made, tmp_path):
    place = shutil.copytree(made / "mix", tmp_path / "mix")
    table = pq.read_table(place / FIRST, partitioning=None)
    column = table.schema.get_field_index("tokens")
    nothing = pa.nulls(table.num_rows, table.schema.field(column).type)
    pq.write_table(table.set_column(column, table.schema.field(column), nothing), place / FIRST)
    assert any("lack tokens" in problem for problem in verify(place)["schema"].problems)


@pytest.mark.parametrize("content", ["{", "[1]", '{"web": 3}'])
def test_a_damaged_list_of_releases_is_told(made, tmp_path, content):
    place = shutil.copytree(made / "mix", tmp_path / "mix")
    (place / LOCAL / MADE_OF).write_text(content)
    with pytest.raises(UsageError, match="damaged"):
        verify(place)


def test_a_mix_whose_releases_are_elsewhere_says_so(made, tmp_path, monkeypatch, capsys):
    place = shutil.copytree(made / "mix", tmp_path / "mix")
    (place / LOCAL / MADE_OF).unlink()
    code, printed, _ = run_cli(monkeypatch, capsys, "verify", str(place))
    assert code == 0 and "nothing was there to look at: takedowns" in printed
