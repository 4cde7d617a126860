"""A page that was rewritten, mixed and exported is taken down: no byte of it is left in any of them, by search."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.export_run import export
from pipeline.mix_run import make_mix, make_pack
from pipeline.release.manifest import LOCAL, read_manifest
from pipeline.release.verify import verify
from pipeline.runner import InProcessRunner
from pipeline.takedown_list import comparable_url, make_request
from pipeline.takedown_run import TakedownRun
from tests.pipeline.conftest import Quiet, table_rows
from tests.pipeline.rewriting_runs import model, rewrite, written_recipe
from tests.release.conftest import tokenizer_file  # noqa: F401 - a fixture
from tests.release.made import release
from tests.release.searching import holding
from tests.release.test_takedown import files_of, public, rows_of
from tests.rewriting.scripted_server import ScriptedServer

DAY = datetime.date(2026, 11, 26)
ASKED = "書き直す："
EXPORTS = {
    "lines": {"kind": "jsonl"},
    "lines of the rewritten": {"kind": "jsonl", "config": "rewritten"},
    "text": {"kind": "text"},
    "samples": {"kind": "text", "sizes": "1KB,1MB"},
    "tokens": {"kind": "tokens", "layout": "megatron"},
    "nanotron": {"kind": "tokens", "layout": "nanotron", "config": "rewritten"},
}


@pytest.fixture(scope="module")
def rewritten(sample_run, tmp_path_factory) -> Path:
    """The sample's run, of which a model rewrote all documents, also those that the recipe does not choose."""
    folder = tmp_path_factory.mktemp("rewritten")
    shutil.copytree(sample_run.out, folder / "out")
    (folder / "write-v1.txt").write_text(f"=== user\n{ASKED}{{text}}\n", encoding="utf-8")
    with ScriptedServer(otherwise=model(lambda said: said.removeprefix(ASKED) + "紙を漉く。")) as server:
        steps = [{"name": "written", "ask": {"prompt": "write-v1.txt"}, "checks": ["length"]}]
        rewrite(folder / "out", written_recipe(folder, steps, server.url, name="rewritten", reads="documents"))
    return folder / "out"


@pytest.fixture
def made(rewritten, tokenizer_file, tmp_path) -> Path:  # noqa: F811
    """Its release with what was rewritten, and all that can be made of that."""
    shutil.copytree(rewritten, tmp_path / "out")
    place = tmp_path / "release"
    release(tmp_path / "out", place, rewritten=[("rewritten", None)], shard_bytes=20_000, validation=0)
    for name, options in EXPORTS.items():
        given: dict[str, Any] = dict(options)
        given |= {"tokenizer": tokenizer_file} if given["kind"] == "tokens" else {}
        export(place, tmp_path / name, given.pop("kind"), InProcessRunner(), Quiet(), **given)
    given = {"tokenizer": str(tokenizer_file), "budgets": ["1K", "100K"]}
    sources = [{"name": "as-it-is", "release": "release", "weight": 1},
               {"name": "anew", "release": "release:rewritten", "weight": 1}]  # fmt: skip
    for name, make, more in (
        ("mix", make_mix, {"sources": sources}),
        ("pack", make_pack, {"corpora": [{key: each[key] for key in ("name", "release")} for each in sources]}),
    ):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"name": name, **given, **more}, allow_unicode=True))
        make(path, tmp_path / name, InProcessRunner(), Quiet(), True)
    export(tmp_path / "mix", tmp_path / "of the mix", "tokens", InProcessRunner(), Quiet(), tokenizer=tokenizer_file)
    return tmp_path


def test_no_byte_of_a_page_is_left_where_it_was_rewritten_mixed_and_exported(made, tokenizer_file):  # noqa: F811
    place, made_of_it = made / "release", [*EXPORTS, "mix", "pack", "of the mix"]
    rows = rows_of(place)
    both = [row for row in rows.values() if (row.get("source_ids") or [""])[0] in rows]
    row = max(both, key=lambda row: len(row["text"]))
    (identity,) = row["source_ids"]
    others = "\n".join(each["text"] for each in rows_of(place).values() if each["url"] != row["url"])
    needles = [line for line in row["text"].splitlines() if len(line) > 12 and line not in others][:20]
    before = {name: holding(made / name, needles, tokenizer_file) for name in ["release", "out/answers", *made_of_it]}
    assert len(needles) > 2 and all(before.values()), before
    had, where = public(place), files_of(place)
    removed, reached = TakedownRun(place, InProcessRunner(), Quiet()).execute(
        [make_request("url", row["url"], DAY, f"asked for, see {row['url']}")]
    )
    assert not reached.failed and sum(removed.rows.values()) == 2
    for name in before:
        assert holding(made / name, needles, tokenizer_file) == set(), name
    # Who asked for it is not told either, but in the lists that are not published.
    address = [row["url"].partition("://")[2]]
    for name in [*made_of_it, "out/answers"]:
        assert holding(made / name, address, tokenizer_file) == set(), name
    assert {name.partition("/")[0] for name in holding(place, address)} == {LOCAL}
    touched = {where[identity], where[row["id"]]} | {"README.md", "release.json", "tombstones.parquet"}
    after = public(place)
    assert {name for name in had.keys() | after.keys() if had.get(name) != after.get(name)} == touched
    found = verify(place)
    assert found.whole(), [check.problems for check in found.checks.values() if check.wrong]
    assert [task.left_out["taken_down"] for task in read_manifest(place).tasks] == [1, 1]
    assert any("gc" in line for line in reached.still_there)
    # And it does not come back, neither from the corpus nor from the rewritten table, which still have it.
    assert not release(made / "out", place, rewritten=[("rewritten", None)], shard_bytes=20_000, validation=0).worked
    release(made / "out", made / "again", rewritten=[("rewritten", None)])
    assert holding(made / "again", needles) == set()
    assert rows_of(made / "again").keys() == rows_of(place).keys()


def test_what_was_made_of_a_page_goes_where_only_the_run_knows_that_the_page_is_named(rewritten, tmp_path):
    """By the canonical URL that the page gave of itself, in a release without the page."""
    shutil.copytree(rewritten, tmp_path / "out")
    pages = {row["id"]: row for row in table_rows(tmp_path / "out", "documents")}
    place = tmp_path / "release"
    release(tmp_path / "out", place, rewritten=[("rewritten", None)], corpus=False)
    had = rows_of(place)

    def addresses(row: dict[str, Any]) -> set[str]:
        page = pages[row["source_ids"][0]]
        return {comparable_url(url) for url in (page["url"], page["canonical_url"]) if url}

    row = next(row for row in had.values() if len(addresses(row)) == 2)
    canonical = pages[row["source_ids"][0]]["canonical_url"]
    asked = [make_request("url", canonical, DAY, "asked for")]
    wanted = {key for key, row in had.items() if comparable_url(canonical) not in addresses(row)}
    assert len(wanted) < len(had)
    removed, _ = TakedownRun(place, InProcessRunner(), Quiet()).execute(asked)
    assert rows_of(place).keys() == wanted and verify(place).whole()
    assert [each.reason for each in removed.rows] == ["asked for"]
    release(tmp_path / "out", tmp_path / "later", rewritten=[("rewritten", None)], corpus=False)
    assert rows_of(tmp_path / "later").keys() == wanted


def test_a_page_that_was_not_chosen_goes_with_what_was_made_of_it(rewritten, tmp_path):
    shutil.copytree(rewritten, tmp_path / "out")
    place = tmp_path / "release"
    release(tmp_path / "out", place, rewritten=[("rewritten", None)])
    had = rows_of(place)
    pages = table_rows(tmp_path / "out", "documents")
    row, line = next(
        (row, line)
        for row in had.values()
        if row.get("source_ids") and row["source_ids"][0] not in had
        for line in [max(row["text"].splitlines(), key=len)]
        if sum(line in page["text"] for page in pages) == 1
    )
    same = {key for key, each in had.items() if comparable_url(each["url"]) == comparable_url(row["url"])}
    assert holding(tmp_path / "out" / "answers", [line]) and holding(place, [line])
    TakedownRun(place, InProcessRunner(), Quiet()).execute([make_request("url", row["url"], DAY, "x")])
    assert rows_of(place).keys() == had.keys() - same and verify(place).whole()
    assert not holding(tmp_path / "out" / "answers", [line])
