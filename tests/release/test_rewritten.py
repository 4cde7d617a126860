"""Releases of what a model rewrote: each part with its own columns, never what may not be there, told in the card."""

from __future__ import annotations

import datetime
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard
from huggingface_hub.utils import close_session

from pipeline.errors import UsageError
from pipeline.export_run import export
from pipeline.files import read_json, write_json
from pipeline.release.manifest import read_manifest
from pipeline.release.verify import verify
from pipeline.release.verify.loading import load
from pipeline.rewriting.rows import ROWS
from pipeline.runner import InProcessRunner
from pipeline.takedown_list import make_request, remember_requests
from tests.pipeline.conftest import ENVIRONMENT, Quiet
from tests.pipeline.rewriting_runs import model, rewrite, written_recipe
from tests.release.hub import serving
from tests.release.made import made_out, made_rows, release
from tests.release.test_build import KILLED, data
from tests.release.test_push import held, published, push
from tests.rewriting.scripted_server import ScriptedServer

SMALL = {"shard_bytes": 3_000, "validation": 0.2}
GENERATOR = {"model": "m", "license": "LicenseRef-Model", "license_tier": "non-commercial", "training": "named"}
CLOSED = GENERATOR | {"training": "forbidden"}
PROMPT = "=== user\n書き直す：{text}\n"
ROWS_MADE = made_rows(120)


def answer(said: str) -> str:
    """What the model writes: the text with a sentence more, much too short for some, nothing for others."""
    text = said.removeprefix("書き直す：")
    number = int(text.removeprefix("文章").partition("。")[0])
    return "短" if number % 10 == 3 else "" if number % 10 == 4 else f"{text}紙を漉く。"


def steps(**more: Any) -> list[dict[str, Any]]:
    """A step that asks and goes on with the source where the answer is too short; then one that drops the longest."""
    written = {"name": "written", "ask": {"prompt": "write-v1.txt"}, "checks": ["length"], "otherwise": "source"}
    written["rules"] = [{"signal": "length_ratio", "min": 0.5, "source": "our own choice"}]
    short = {"name": "short", "checks": ["length"], "rules": [{"signal": "characters", "max": 34}]}
    return [written | more, short]


def rewritten(
    out: Path, folder: Path, name: str, generator: dict[str, str], chain: list[dict[str, Any]],
    says: Callable[[str], str] = answer,
) -> None:  # fmt: skip
    """Rewrite the corpus of OUT by a recipe that is written to `folder`."""
    folder.mkdir()
    (folder / "write-v1.txt").write_text(PROMPT, encoding="utf-8")
    with ScriptedServer(otherwise=model(says)) as server:
        recipe = written_recipe(folder, chain, server.url, name=name, reads="corpus", generator=generator)
        rewrite(out, recipe)


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rewritten")
    made_out(folder / "out", ROWS_MADE)
    rewritten(folder / "out", folder / "open", "open", GENERATOR, steps())
    rewritten(folder / "out", folder / "closed", "closed", CLOSED, steps())
    scored = {"name": "scored", "ask": {"prompt": "write-v1.txt", "answer": "score"}, "otherwise": "keep"}
    rewritten(
        folder / "out", folder / "labels", "labels", CLOSED | {"model": "judge"}, [scored], lambda said: "理由。[[2]]"
    )
    return folder / "out"


@pytest.fixture(scope="module")
def built(out, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "release"
    release(out, folder, rewritten=[("open", None)], **SMALL)
    return folder


def rows_of(folder: Path, task: str) -> list[dict[str, Any]]:
    manifest = read_manifest(folder)
    config = next(config for config in manifest.configs if config.name == task)
    return [
        row | {"split": file.split}
        for cell in config.cells
        for file in manifest.files
        if file.config == cell
        for row in pq.read_table(folder / file.path).to_pylist()
    ]


def test_a_rewritten_part_has_its_own_columns_and_each_row_the_split_of_its_source(built):
    manifest = read_manifest(built)
    assert [(task.name, task.kind) for task in manifest.tasks] == [("made", "corpus"), ("open", "rewritten")]
    own = {name for name, _ in ROWS}
    assert own <= {name for name, _ in manifest.tasks[1].columns} and "open" in {c.name for c in manifest.configs}
    assert not {"source_ids", "lineage"} & {name for name, _ in manifest.tasks[0].columns}
    split = {row["id"]: row["split"] for row in rows_of(built, "made")}
    rows = rows_of(built, "open")
    assert len(rows) > 60 and {row["split"] for row in rows} == {"train", "validation"}
    assert all(row["split"] == split[row["source_ids"][0]] for row in rows)
    assert any(row["host"] is None and row["split"] == "validation" for row in rows), "by the id of the source"
    assert {row["generator"] for row in rows} == {"m", None}


def test_every_row_is_accounted_for_and_verify_finds_the_release_whole(built):
    task = read_manifest(built).tasks[1]
    refused = sum(row["consent"] == "refused" for row in rows_made_short())
    assert task.left_out == {"consent_refused": refused}
    assert task.rows_in == len(rows_made_short()) == task.funnel[-1].rows
    went = {step.name: step.rows for step in task.funnel if step.removed}
    assert went == {"short: too_many_characters": len(ROWS_MADE) - len(rows_made_short())}
    assert task.rewriting and task.rewriting.fell_back == {"written": 24, "short": 0}
    found = verify(built)
    assert found.whole(), found.as_record()
    assert found["lineage"].looked_at and found["generators"].looked_at
    assert all(check.looked_at and not check.problems for check in load(built, read_manifest(built)))


def rows_made_short() -> list[dict[str, Any]]:
    """The rows of the corpus whose text is short enough for the last step, as the model or they themselves have it."""
    fell = [int(row["id"].removeprefix("row-")) % 10 in (3, 4) for row in ROWS_MADE]
    ends = ["" if gone else "紙を漉く。" for gone in fell]
    return [row for row, end in zip(ROWS_MADE, ends, strict=True) if len(row["text"] + end) <= 34]


def test_the_card_says_who_wrote_by_which_prompt_and_what_each_check_removed(built):
    text = (built / "README.md").read_text()
    front = DatasetCard(text).data.to_dict()
    assert front["language_creators"] == ["found", "machine-generated"]
    section = text.partition("\n## Rewriting\n")[2].partition("\n## ")[0]
    assert "LicenseRef-Model" in section and "under a name that the license asks for" in section
    assert PROMPT.removeprefix("=== user\n") in section
    gone = len(ROWS_MADE) - len(rows_made_short())
    assert f"| `short` | measures | length | is dropped | −{gone} | 0 | {len(rows_made_short())} |" in section
    filters = text.partition("\n## Filters\n")[2].partition("\n## ")[0]
    assert f"too_many_characters | {gone} |" in filters


def test_what_may_not_be_trained_with_never_comes_in(out, tmp_path):
    parts = [("closed", None), ("labels", None)]
    manifest = release(out, tmp_path, rewritten=parts, refused_consent=True, **SMALL).manifest
    written = len(ROWS_MADE) - 24
    assert [task.left_out for task in manifest.tasks[1:]] == [
        {"generator_forbids_training": written - (len(ROWS_MADE) - len(rows_made_short()))},
        # The texts are the sources' own, but the model's scores stand beside them.
        {"generator_forbids_training": len(ROWS_MADE)},
    ]
    rows = rows_of(tmp_path, "closed")
    assert len(rows) == 24 and {row["generator"] for row in rows} == {None}
    assert not [file for file in manifest.files if file.config.startswith("labels")]
    assert verify(tmp_path).whole()


def test_a_row_is_left_out_where_its_source_is(out, tmp_path):
    tiers = ("attribution", "non-commercial")
    release(out, tmp_path / "release", rewritten=[("open", None)], license_tiers=tiers, **SMALL)
    rows = rows_of(tmp_path / "release", "open")
    assert {row["source_license_tier"] for row in rows} == {"attribution"} and len(rows) > 10
    assert {row["license_tier"] for row in rows} == {"non-commercial", "attribution"}
    assert {row["source_ids"][0] for row in rows} <= {row["id"] for row in rows_of(tmp_path / "release", "made")}
    task = read_manifest(tmp_path / "release").tasks[1]
    assert set(task.left_out) == {"consent_refused", "license_tier"}
    # The model's tier alone lets in nothing of a source that it does not.
    release(out, tmp_path / "nc", rewritten=[("open", None)], corpus=False, license_tiers=("non-commercial",))
    assert read_manifest(tmp_path / "nc").tasks[0].left_out["source_license_tier"] > 10
    assert rows_of(tmp_path / "nc", "open") == []


def test_rewritten_rows_alone_and_behind_an_earlier_step(out, tmp_path):
    manifest = release(out, tmp_path, rewritten=[("open", "written")], corpus=False, **SMALL).manifest
    (task,) = manifest.tasks
    assert (task.name, task.rows_in) == ("open-written", len(ROWS_MADE))
    assert [step["name"] for step in task.recipe["steps"]] == ["written"]
    assert task.rewriting and task.rewriting.source_recipe["name"] == "made"
    assert "The recipe of the run that was rewritten" in (tmp_path / "README.md").read_text()
    assert verify(tmp_path).whole()


def test_what_is_not_of_the_run_as_it_is_now_is_refused(tmp_path):
    own = {"canonical_url": "https://own.example/9"}
    rows = [row | (own if row["id"] == "row-9" else {}) for row in made_rows(20)]
    folder = made_out(tmp_path / "out", rows)
    rewritten(folder, tmp_path / "mine", "mine", GENERATOR, steps())
    for wrong, said in (
        ([("other", None)], "no rewriting 'other' ran in .*; there are: mine"),
        ([("mine", "other")], "no step 'other'; it has: written, short"),
        ([("mine", None), ("mine", None)], "two parts of the release would be called mine"),
    ):
        with pytest.raises(UsageError, match=said):
            release(folder, tmp_path / "release", rewritten=wrong)
    with pytest.raises(UsageError, match="name them with --with"):
        release(folder, tmp_path / "release", corpus=False)
    # Rows keep every name of their page by which it may be asked for, however long ago they were rewritten.
    day = datetime.date(2026, 11, 26)
    asked = [("id", "row-5"), ("url", "https://h6.example/6"), ("host", "h8.example"), ("url", "https://own.example/9")]
    remember_requests(folder, [make_request(kind, value, day, "asked by letter") for kind, value in asked])
    listed = release(folder, tmp_path / "listed", rewritten=[("mine", None)], corpus=False).manifest
    assert listed.tasks[0].left_out["taken_down"] == len(asked)
    (folder / "takedowns.jsonl").unlink()
    record = read_json(folder / "run.json")
    os.rename(folder / "corpus-made", folder / "corpus-anew")
    record["recipes"]["made"]["tables"]["corpus"] = "corpus-anew"
    write_json(folder / "run.json", record)
    with pytest.raises(UsageError, match="another corpus of made than stands"):
        release(folder, tmp_path / "release", rewritten=[("mine", None)])
    # The prompt lies where it lay: rewriting again asks nobody, and its rows are those of the corpus as it is.
    rewritten(folder, tmp_path / "again", "mine", GENERATOR, steps())
    assert release(folder, tmp_path / "release", rewritten=[("mine", None)]).worked


@pytest.mark.slow
def test_a_kill_and_two_workers_end_with_the_same_bytes(out, built, tmp_path):
    options = ["release", str(out), "--to", str(tmp_path), "--with", "open"]
    options += ["--shard-bytes", "3000", "--validation", "0.2"]
    killed = [sys.executable, "-c", KILLED, "*/data/open-*/*.parquet", "after", *options, "--workers", "0"]
    assert subprocess.run(killed, env=ENVIRONMENT, capture_output=True).returncode == -signal.SIGKILL
    command = [sys.executable, "-m", "pipeline.cli", *options, "--workers", "2"]
    assert subprocess.run(command, env=ENVIRONMENT).returncode == 0
    assert data(tmp_path) == data(built)


def test_exports_and_pushes_hold_the_rewritten_part(built, tmp_path):
    export(built, tmp_path / "lines", "jsonl", InProcessRunner(), Quiet(), config="open")
    lines = [
        json.loads(line)
        for path in sorted((tmp_path / "lines").rglob("*.jsonl.gz"))
        for line in gzip.decompress(path.read_bytes()).decode().splitlines()
    ]
    rows = {row["id"]: row for row in rows_of(built, "open")}
    assert {line["meta"]["id"]: line["text"] for line in lines} == {key: row["text"] for key, row in rows.items()}
    assert all(line["meta"]["source_ids"] == rows[line["meta"]["id"]]["source_ids"] for line in lines)
    shutil.copytree(built, tmp_path / "release")
    with serving() as hub:
        push(tmp_path / "release", hub)
        assert held(hub) == published(built)
    close_session()
