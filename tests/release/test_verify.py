"""`kamisuki verify` finds a release whole, and each thing that is broken for what it is, with file and row."""

from __future__ import annotations

import datetime
import functools
import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.release.card import write_card
from pipeline.release.keys import row_key
from pipeline.release.lineage import COLUMNS as LINEAGE
from pipeline.release.manifest import (
    Config,
    File,
    FunnelStep,
    LicenseCount,
    Manifest,
    Policy,
    SourceCount,
    read_manifest,
    write_manifest,
)
from pipeline.release.verify import CHECKS, Findings, verify
from pipeline.release.verify.loading import LOADERS, load
from pipeline.release.verify.mixed import OF_MIXES
from pipeline.release.verify.spool import Spool
from pipeline.rewriting.rows import ROWS
from pipeline.takedown_list import make_request, remember_requests
from pipeline.wording import is_seen
from tests.pipeline.conftest import ROOT, run_cli
from tests.release.manifests import DAY, SEED, SHARE, corpus_task, manifest

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("id", "url", "host", "text", "language", "license", "license_tier", "consent")]
    + [("source_ids", pa.list_(pa.string()))]
)
CELLS = {"demo-attribution": "attribution", "demo-none": "none"}


def row(number: int, cell: str, split: str) -> dict[str, Any]:
    cc = cell == "demo-attribution"
    made = {"text": f"日本語の文{number}。"}
    made |= {"language": "ja", "license": "CC-BY-4.0" if cc else None, "license_tier": "attribution" if cc else None}
    return made | {"consent": "unknown", "source_ids": [f"source-{number}"]}


Rows = dict[tuple[str, str, int], list[dict[str, Any]]]


FILES = {"train": 2, "validation": 1}


def named(beginning: str, fits: Callable[[int], bool]) -> str:
    """The first name of those that begin so whose key, by the manifest's seed, fits."""
    return next(name for k in itertools.count() if fits(row_key(name := f"{beginning}-{k}.jp", SEED)))


@functools.cache
def host_of(split: str, number: int) -> str:
    return named(f"{split}-{number}", lambda key: (key < int(SHARE * 2**64)) == (split == "validation"))


@functools.cache
def id_of(cell: str, split: str, index: int, number: int) -> str:
    """An id whose key lies in the file, the ids of one file in ascending order."""
    place = index * 4 + number
    return named(f"{cell}-{split}{index}-{number}", lambda key: key * FILES[split] * 4 >> 64 == place)


def plain_rows() -> Rows:
    """Two cells; train in two files and validation in one; each row where its key says."""
    places = [(split, index) for split, files in FILES.items() for index in range(files)]
    return {(cell, split, index): [row(n, cell, split) | {"id": id_of(cell, split, index, n), "host": host_of(split, n),
             "url": f"https://{host_of(split, n)}/{index}"}
            for n in range(4)] for cell in CELLS for split, index in places}  # fmt: skip


def build(folder: Path, rows: Rows, schema: pa.Schema = SCHEMA, **changed: Any) -> Manifest:
    """A release of these rows with a manifest that says so."""
    files, seen = [], [each for of in rows.values() for each in of]
    for (cell, split, index), of in rows.items():
        count = len([key for key in rows if key[:2] == (cell, split)])
        path = folder / "data" / cell / f"{split}-{index:05}-of-{count:05}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(of, schema=schema), path, row_group_size=3)
        files.append(described(folder, path, cell, split, of))
    licenses: dict[Any, list[int]] = {}
    for each in seen:
        counted = licenses.setdefault((each["license"], each["license_tier"] or "unknown"), [0, 0])
        counted[0] += 1
        counted[1] += len(each["text"] or "")
    characters = sum(count for _, count in licenses.values())
    task = corpus_task(
        columns=[(field.name, str(field.type)) for field in pq.read_schema(folder / files[0].path)],
        rows_in=len(seen) + 2,
        funnel=[{"name": "corpus", "rows": len(seen) + 2, "characters": 1}],
        languages={"ja": len(seen)},
        consent=dict(Counter(each["consent"] for each in seen)),
        licenses=[
            LicenseCount(license=name, tier=tier, rows=n, characters=c) for (name, tier), (n, c) in licenses.items()
        ],
        sources=[SourceCount(source="unknown", rows=len(seen), characters=characters)],
    )
    configs = [Config(name="demo", task="demo", cells=list(CELLS))]
    configs += [Config(name=c, task="demo", values={"license_tier": v}, cells=[c]) for c, v in CELLS.items()]
    made = manifest([task], configs=configs, files=files, **changed)
    write_manifest(folder, made)
    write_card(folder, made)
    return made


def described(folder: Path, path: Path, cell: str, split: str, rows: list[dict[str, Any]]) -> File:
    data = path.read_bytes()
    return File(
        path=path.relative_to(folder).as_posix(), config=cell, split=split, rows=len(rows), bytes=len(data),
        characters=sum(len(each["text"] or "") for each in rows), sha256=hashlib.sha256(data).hexdigest(),
    )  # fmt: skip


def wrong(found: Findings) -> dict[str, list[str]]:
    return {name: check.problems for name, check in found.checks.items() if check.wrong}


def test_a_whole_release_is_found_whole_and_everything_is_looked_at(tmp_path):
    build(tmp_path, plain_rows())
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "origin.json").write_text("{}")
    found = verify(tmp_path)
    assert wrong(found) == {} and found.whole()
    unlooked = {name for name, check in found.checks.items() if not check.looked_at}
    assert unlooked == {"tombstones", "takedowns", "licenses", "generators", "lineage"}, "none was asked for"


def test_a_whole_rewritten_release_is_found_whole(tmp_path):
    rewritten()(tmp_path)
    found = verify(tmp_path)
    assert wrong(found) == {} and found["generators"].looked_at and found["lineage"].looked_at


OTHER = "data/demo-none/train-0000{}-of-00002.parquet row "
HIS, MINE = id_of("demo-none", "train", 1, 2), id_of("demo-attribution", "train", 0, 0)
THEIRS = id_of("demo-attribution", "train", 1, 1)
DIR = "data/demo-attribution"
FIRST = f"{DIR}/train-00000-of-00002.parquet"


def changed_row(**changed: Any) -> Callable[[Path], None]:
    """A release in which one row is another, and the manifest's figures of files follow."""

    def build_it(folder: Path) -> None:
        rows = plain_rows()
        rows["demo-attribution", "train", 0][1] |= changed
        build(folder, rows)

    return build_it


def edited(**changed: Any) -> Callable[[Path], None]:
    """A release whose manifest says something else, with the card of what it says."""

    def build_it(folder: Path) -> None:
        build(folder, plain_rows())
        made = read_manifest(folder)
        task = made.tasks[0].model_copy(update=changed)
        made = made.model_copy(update={"tasks": [task]})
        write_manifest(folder, made)
        write_card(folder, made)

    return build_it


def other_license() -> list[LicenseCount]:
    whole = {"rows": 12, "characters": 84}
    return [
        LicenseCount(license="CC-BY-4.0", tier="attribution", **whole | {"characters": 85}),
        LicenseCount(license=None, tier="unknown", **whole),
    ]


def other_days(characters: int, first: datetime.date | None) -> list[SourceCount]:
    return [SourceCount(source="unknown", rows=24, characters=characters, first=first)]


def edited_file(**changed: Any) -> Callable[[Path], None]:
    def build_it(folder: Path) -> None:
        build(folder, plain_rows())
        made = read_manifest(folder)
        made.files[0] = made.files[0].model_copy(update=changed)
        write_manifest(folder, made)
        write_card(folder, made)

    return build_it


def edited_release(**changed: Any) -> Callable[[Path], None]:
    def build_it(folder: Path) -> None:
        build(folder, plain_rows())
        made = read_manifest(folder).model_copy(update=changed)
        write_manifest(folder, made)
        write_card(folder, made)

    return build_it


def exchanged(one: tuple[int, int], other: tuple[int, int]) -> Callable[[Path], None]:
    """A release in which two rows of a cell, each given by file and place, lie where the other belongs."""

    def build_it(folder: Path) -> None:
        rows = plain_rows()
        ours, theirs = (rows["demo-attribution", "train", file] for file, _ in (one, other))
        ours[one[1]], theirs[other[1]] = theirs[other[1]], ours[one[1]]
        build(folder, rows)

    return build_it


def renamed(name: str) -> Callable[[Path], None]:
    """A release whose first file has another name, in the manifest too."""

    def build_it(folder: Path) -> None:
        edited_file(path=f"data/demo-attribution/{name}.parquet")(folder)
        (folder / FIRST).rename(folder / "data" / "demo-attribution" / f"{name}.parquet")

    return build_it


def asked_for(kind: Any, value: str) -> Callable[[Path], None]:
    """A release whose list of takedowns names something that is still there."""

    def build_it(folder: Path) -> None:
        build(folder, plain_rows())
        (folder / ".local").mkdir()
        remember_requests(folder / ".local", [make_request(kind, value, datetime.date(2026, 11, 26), "asked for")])

    return build_it


def without_file(folder: Path) -> None:
    build(folder, plain_rows())
    (folder / FIRST).unlink()


def with_a_file_more(folder: Path) -> None:
    build(folder, plain_rows())
    (folder / "data" / "notes.txt").write_text("x")


def flipped_byte(folder: Path) -> None:
    build(folder, plain_rows())
    data = bytearray((folder / FIRST).read_bytes())
    # In the footer's key-value area: the rows still read.
    place = data.rindex(b"parquet-cpp")
    data[place] ^= 1
    (folder / FIRST).write_bytes(bytes(data))


def other_schema(folder: Path) -> None:
    build(folder, plain_rows())
    made = read_manifest(folder)
    of = plain_rows()["demo-attribution", "train", 0]
    pq.write_table(
        pa.Table.from_pylist(of, schema=SCHEMA).append_column("more", pa.nulls(4, pa.int8())), folder / FIRST
    )
    made.files[0] = described(folder, folder / FIRST, "demo-attribution", "train", of)
    write_manifest(folder, made)
    write_card(folder, made)


def not_utf8(folder: Path) -> None:
    build(folder, plain_rows())
    made = read_manifest(folder)
    of = plain_rows()["demo-attribution", "train", 0]
    table = pa.Table.from_pylist(of, schema=SCHEMA)
    bad = pa.array([b"\xff\xfe", *(each["text"].encode() for each in of[1:])], pa.binary()).view(pa.string())
    pq.write_table(table.set_column(table.column_names.index("text"), "text", bad), folder / FIRST)
    made.files[0] = described(folder, folder / FIRST, "demo-attribution", "train", of)
    write_manifest(folder, made)
    write_card(folder, made)


def tombstone(of: str) -> Callable[[Path], None]:
    def build_it(folder: Path) -> None:
        build(folder, plain_rows())
        pq.write_table(pa.table({"id": [of]}), folder / "tombstones.parquet")

    return build_it


def outside_tiers(folder: Path) -> None:
    build(folder, plain_rows(), policy=Policy(license_tiers=["attribution"], refused_consent=False))


def rewritten(schema: pa.Schema | None = None, policy: Policy | None = None, **changed: Any) -> Callable[[Path], None]:
    """A release that a model rewrote, in which one row is another."""

    def build_it(folder: Path) -> None:
        known = {name: kind for name, kind in ROWS if name in LINEAGE}
        asked = dict.fromkeys(known["lineage"].value_type.names) | {"step": "written", "model": "m"}
        made = {"generator": "m", "generator_license": "MIT", "generator_training": "allowed", "lineage": [asked]}
        made |= {"source_license_tier": "attribution"}
        rows = {key: [each | made for each in of] for key, of in plain_rows().items()}
        rows["demo-attribution", "train", 0][1] |= changed
        fields = [field for field in SCHEMA if field.name not in known]
        build(folder, rows, schema or pa.schema([*fields, *known.items()]), **({"policy": policy} if policy else {}))
        manifest = read_manifest(folder)
        asks = {"steps": [{"name": "written", "ask": {"prompt": "p"}}]}
        task = manifest.tasks[0].model_copy(update={"kind": "rewritten", "recipe": asks})
        manifest = manifest.model_copy(update={"tasks": [task]})
        write_manifest(folder, manifest)
        write_card(folder, manifest)

    return build_it


def outside_tiers_by_source(folder: Path) -> None:
    policy = Policy(license_tiers=["attribution", "unknown"], refused_consent=False)
    rewritten(policy=policy, source_license_tier="reserved")(folder)


def edited_card(folder: Path) -> None:
    build(folder, plain_rows())
    with open(folder / "README.md", "a", encoding="utf-8") as file:
        file.write("A word more.\n")


def card_of_another(folder: Path) -> None:
    build(folder, plain_rows())
    text = (folder / "README.md").read_text("utf-8").replace("data/demo-none/train-*", "data/demo-none/train-00000*")
    (folder / "README.md").write_text(text, encoding="utf-8")


def card_with(configs: str) -> Callable[[Path], None]:
    """A card whose metadata say this of configs, as others write them."""

    def broken(folder: Path) -> None:
        build(folder, plain_rows())
        (folder / "README.md").write_text(f"---\nlicense: other\n{configs}\n---\n\n# demo\n", encoding="utf-8")

    return broken


def at(cell: str, file: int, number: int) -> str:
    return f"data/{cell}/train-0000{file}-of-00002.parquet: row {number} ({id_of(cell, 'train', file, number)})"


ROW_ID = id_of("demo-attribution", "train", 0, 1)
ROW = at("demo-attribution", 0, 1)
BROKEN: dict[str, list[tuple[Callable[[Path], None], str]]] = {
    "files": [
        (without_file, f"{FIRST}: is missing"),
        (with_a_file_more, "data/notes.txt: the manifest does not know it"),
    ],
    "checksums": [
        (flipped_byte, f"{FIRST}: its SHA-256"),
        (edited_file(bytes=7), f"{FIRST}: has"),
        (edited_file(sha256="0" * 64), f"{FIRST}: its SHA-256"),
    ],
    "schema": [(other_schema, f"{FIRST}: its columns are not those of demo: more int8")],
    "counts": [
        (edited_file(rows=5), f"{FIRST}: has 4 rows, the manifest says 5"),
        (edited_file(characters=1), f"{FIRST}: has 28 characters, the manifest says 1"),
    ],
    "sums": [
        (edited(rows_in=3), "demo: 3 rows in are not 24 here and 2 left out"),
        (edited(left_out={}), "demo: 26 rows in are not 24 here and 0 left out"),
        (edited(funnel=[FunnelStep(name="corpus", rows=9, characters=None)]), "demo: its funnel ends with 9 rows"),
        (edited(languages={"ja": 23}), "demo: languages: ja has 24 rows, the manifest says 23"),
        (edited(consent={"unknown": 24, "refused": 1}), "demo: consent: refused has 0 rows"),
        (edited(licenses=[]), "demo: licenses: ('CC-BY-4.0', 'attribution') has 12 rows, the manifest says 0"),
        (edited(licenses=other_license()), "demo: licenses: ('CC-BY-4.0', 'attribution') has 84 characters, the"),
        (edited(sources=other_days(9, None)), "demo: sources: unknown has 168 characters, the manifest says 9"),
        (edited(sources=other_days(168, DAY)), "demo: sources: unknown has no first day, the manifest says 2026-11-26"),
    ],
    "ids": [
        (changed_row(id=HIS), f"{HIS}: in {FIRST} row 1 and {OTHER.format(1)}2"),
        (changed_row(id=MINE), f"{MINE}: in {FIRST} row 0 and {FIRST} row 1"),
        (changed_row(id=None), f"{FIRST}: row 1 (): has no id"),
    ],
    "text": [
        (changed_row(text=""), f"{FIRST}: row 1: its text is empty"),
        (changed_row(text=" \n　"), f"{FIRST}: row 1: its text is empty"),
        (changed_row(text=None), f"{FIRST}: row 1: its text is empty"),
        (not_utf8, f"{FIRST}: rows from 0 on: "),
    ],
    "cells": [
        (changed_row(license_tier="share-alike"), f"{ROW}: its license_tier is")],
    "places": [
        (exchanged((0, 1), (0, 2)), f"{FIRST}: row 2 ({ROW_ID}): its key comes before that of the row before it"),
        (exchanged((0, 1), (1, 1)), f"{FIRST}: row 1 ({THEIRS}): its key belongs to file 1 of 2"),
        (changed_row(host=host_of("validation", 77)), f"{ROW}: it belongs to validation"),
        (edited_release(seed=SEED + 1), "data/demo-"),
        (renamed("train-00000-of-00003"), f"{DIR}/train-00001-of-00002.parquet: other files of its split are of 3"),
        (renamed("train-00002-of-00002"), f"{DIR}/train-00002-of-00002.parquet: a split of 2 files has no such file"),
        (renamed("train-0"), f"{DIR}/train-0.parquet is not the path of a data file"),
        (edited_file(split="validation"), f"{FIRST}: the manifest says that it is of demo-attribution, validation"),
    ],
    "consent": [(changed_row(consent="refused"), f"{ROW}: refuses training")],
    "licenses": [
        (outside_tiers, at("demo-none", 0, 0) + ": its license tier"),
        (outside_tiers_by_source, f"{ROW}: its source's license tier"),
    ],
    "generators": [
        (rewritten(generator_training="forbidden"), f"{ROW}: may not be trained"),
    ],
    "lineage": [
        (rewritten(lineage=[]), f"{ROW}: does not say what the model was asked"),
        (rewritten(source_ids=[]), f"{ROW}: names no source"),
        (rewritten(generator=None), f"{ROW}: names questions but no model"),
        (rewritten(generator_license=None), f"{ROW}: does not say under which"),
        (rewritten(SCHEMA), "demo: its rows have no generator, generator_license, generator_training, lineage"),
    ],
    "hosts": [(changed_row(host=host_of("validation", 3)), f"host {host_of('validation', 3)}: 2 splits: ")],
    "tombstones": [
        (tombstone(HIS), at("demo-none", 1, 2) + ": was taken down"),
        (tombstone("source-2"), at("demo-attribution", 0, 2) + ": was made of a row that was taken down"),
    ],
    "takedowns": [
        (asked_for("id", HIS), at("demo-none", 1, 2) + ": a request for takedown names it"),
        (asked_for("id", "source-2"), at("demo-attribution", 0, 2) + ": a request for takedown names it"),
        (asked_for("host", host_of("train", 1).upper()), ROW + ": a request for takedown names it"),
    ],
    "card": [(edited_card, "README.md: is not what the manifest makes")],
    "configs": [
        (card_of_another, "data/demo-none/train-00001-of-00002.parquet: no config finds it"),
        (card_with("configs: [{config_name: all, data_files: 'data/*/*.parquet'}]"), "README.md: its configs were"),
        (card_with("configs: [{config_name: all}]"), "README.md: its configs were edited"),
        (card_with("configs: 7"), "README.md: its configs were edited"),
    ],
}  # fmt: skip
# What cannot be broken alone: rows that cannot be read are not counted either, and a card that finds less was edited.
BESIDE = {
    "files": {"sums", "configs"},
    "checksums": set(),
    "schema": {"sums"},
    "text": {"counts", "sums"},
    "cells": {"sums"},
    "consent": {"sums"},
    "configs": {"card"},
    "counts": {"sums"},
    "ids": {"places"},
    "hosts": {"places"},
    "places": {"configs", "hosts"},
}


def test_every_check_is_broken_by_a_test_and_documented():
    assert BROKEN.keys() == CHECKS.keys()
    page = (ROOT / "docs" / "card-and-verify.md").read_text(encoding="utf-8").partition("## Checks")[2]
    of_releases, _, of_mixes = page.partition("## Mixes")
    assert re.findall(r"^\| `(\w+)` \|", of_releases, re.MULTILINE) == list(CHECKS)
    assert re.findall(r"^\| `(\w+)` \|", of_mixes, re.MULTILINE) == list(OF_MIXES)


@pytest.mark.parametrize(
    ("check", "broken", "problem"), [(name, *case) for name, cases in BROKEN.items() for case in cases]
)
def test_what_is_broken_is_found_for_what_it_is(tmp_path, check, broken, problem):
    broken(tmp_path)
    found = wrong(verify(tmp_path))
    assert any(line.startswith(problem) for line in found[check]), found
    assert found.keys() - {check} <= BESIDE.get(check, set())


def test_what_others_wrote_is_printed_as_what_it_is_and_obeyed_by_nothing(tmp_path, monkeypatch, capsys):
    hostile = "\x1b[2J\u202e[bold]\x07\n\u2028/b.jp"
    changed_row(id=hostile, consent="refused", license_tier=None)(tmp_path)
    (tmp_path / "data" / hostile.replace("/", "")).write_text("x")
    code, printed, _ = run_cli(monkeypatch, capsys, "verify", str(tmp_path))
    assert code == 1 and all(is_seen(character) for character in printed if character != "\n")
    shown = r"\x1b[2J\u202e[bold]\x07\n\u2028"
    assert f"consent: {FIRST}: row 1 ({shown}/b.jp): refuses training" in printed
    assert f"files: data/{shown}b.jp: the manifest does not know it" in printed
    code, printed, _ = run_cli(monkeypatch, capsys, "verify", str(tmp_path), "--json")
    problems = [problem for check in json.loads(printed)["checks"] for problem in check["problems"]]
    assert len(problems) > 4 and all(map(is_seen, "".join(problems)))


def test_refused_rows_are_right_where_the_release_lets_them_in(tmp_path):
    rows = plain_rows()
    rows["demo-attribution", "train", 0][1]["consent"] = "refused"
    build(tmp_path, rows, policy=Policy(license_tiers=None, refused_consent=True))
    assert wrong(verify(tmp_path)) == {}


def test_equal_hashes_of_other_names_are_no_duplicates(tmp_path, monkeypatch):
    import pipeline.release.verify.rows as module

    build(tmp_path, plain_rows())
    monkeypatch.setattr(module, "_hashes", lambda names: np.full(len(names), 7, np.uint64))
    assert wrong(verify(tmp_path)) == {}


def test_the_spool_finds_what_was_added_twice(tmp_path):
    hashes = np.random.default_rng(1).integers(0, 2**64, 1000, np.uint64)
    spool = Spool(tmp_path / "spool")
    spool.add(hashes, 3, np.arange(1000))
    spool.add(hashes[[5, 900]], 70_000, np.array([2**33, 4]))
    assert sorted(spool.groups()) == [[(3, 5), (70_000, 2**33)], [(3, 900), (70_000, 4)]]


def test_the_command_prints_checks_and_exits_with_1_where_one_fails(tmp_path, monkeypatch, capsys):
    build(tmp_path, plain_rows())
    code, printed, _ = run_cli(monkeypatch, capsys, "verify", str(tmp_path))
    assert code == 0 and all(name in printed for name in CHECKS)
    (tmp_path / FIRST).unlink()
    code, printed, _ = run_cli(monkeypatch, capsys, "verify", str(tmp_path))
    assert code == 1 and f"files: {FIRST}: is missing" in printed
    code, printed, _ = run_cli(monkeypatch, capsys, "verify", str(tmp_path), "--json")
    record = json.loads(printed)
    assert code == 1 and record["whole"] is False and [c["name"] for c in record["checks"]] == list(CHECKS)
    code, _, error = run_cli(monkeypatch, capsys, "verify", str(tmp_path / "nothing"))
    assert code == 2 and "holds no release" in error


def test_the_card_of_a_release_loads_it(tmp_path, monkeypatch):
    """What the card's metadata say is what datasets, DuckDB, Polars and pyarrow load, whole and as a stream."""
    import duckdb
    import polars
    import pyarrow.dataset as ds
    from datasets import load_dataset

    made = build(tmp_path / "release", plain_rows())
    ids = {each["id"] for (_, split, _), of in plain_rows().items() if split == "train" for each in of}
    place, cache = str(tmp_path / "release"), str(tmp_path / "cache")
    whole = load_dataset(place, split="train", cache_dir=cache)
    assert set(whole["id"]) == ids and len(whole) == len(ids)
    assert {each["id"] for each in load_dataset(place, "demo", split="train", streaming=True)} == ids
    one = load_dataset(place, "demo-none", cache_dir=cache)
    assert {name: len(rows) for name, rows in one.items()} == {"train": 8, "validation": 4}
    files = [f"{place}/{file.path}" for file in made.files_of(made.configs[0], "train")]
    assert {found for (found,) in duckdb.read_parquet(files).select("id").fetchall()} == ids
    assert set(polars.scan_parquet(files).select("id").collect()["id"]) == ids
    assert set(ds.dataset(files).to_table(["id"]).column("id").to_pylist()) == ids


def test_every_loader_reads_the_rows_of_the_files_and_a_lost_one_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    made = build(tmp_path, plain_rows())
    found = load(tmp_path, made)
    assert [check.name for check in found] == [f"load: {name}" for name in LOADERS]
    assert [(check.looked_at, check.problems) for check in found] == [(24, [])] * len(LOADERS)

    # A card that finds one file less: by the manifest's files all is there, by the card it is not.
    card_of_another(tmp_path)
    found = load(tmp_path, made)
    assert {check.name for check in found if check.wrong} == {"load: datasets", "load: datasets stream"}
    (tmp_path / "README.md").write_text("---\nconfigs: 1\n---\n", encoding="utf-8")
    assert all(check.wrong for check in load(tmp_path, made) if "datasets" in check.name)


def test_the_command_loads_a_release(tmp_path, monkeypatch, capsys):
    build(tmp_path, plain_rows())
    code, printed, _ = run_cli(monkeypatch, capsys, "verify", str(tmp_path), "--load", "--json")
    assert code == 0 and {f"load: {name}" for name in LOADERS} <= {
        check["name"] for check in json.loads(printed)["checks"]
    }
    code, _, error = run_cli(monkeypatch, capsys, "verify", "s3://somewhere/else", "--load")
    assert code == 2 and "--load loads from a folder" in error


def test_the_python_of_the_card_runs(tmp_path):
    build(tmp_path / "release", plain_rows())
    snippets = re.findall(
        r"^```python\n(.*?)^```", (tmp_path / "release" / "README.md").read_text("utf-8"), re.M | re.S
    )
    assert len(snippets) == 2
    environment = {**os.environ, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    for code in snippets:
        code, places = re.subn(r"(hf://datasets/)?OWNER/NAME", str(tmp_path / "release"), code)
        assert places == 1
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "demo-a" in done.stdout
