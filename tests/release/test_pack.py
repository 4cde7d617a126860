"""Compare packs: equal tokens of every corpus, all that others need, and instructions that work as they stand."""

from __future__ import annotations

import csv
import re
import subprocess

import numpy as np
import pytest
import yaml
from datasets import load_dataset
from huggingface_hub import DatasetCard
from tokenizers import Tokenizer

from pipeline.errors import UsageError
from pipeline.export_run import export
from pipeline.release.derived import take_out
from pipeline.release.derived_record import read_derived, registered, write_derived
from pipeline.release.manifest import read_manifest
from pipeline.release.mixing.as_release import read_contents
from pipeline.release.mixing.card import metadata
from pipeline.release.mixing.evaluations import evaluations
from pipeline.release.mixing.report import budgets_of, largest
from pipeline.release.mixing.training import MODELS
from pipeline.release.reading import in_key_order
from pipeline.release.tokenizer import load_tokenizer
from pipeline.runner import InProcessRunner
from tests.pipeline.conftest import run_cli
from tests.release.handmade import bytes_of
from tests.release.mixes import mix_of, pack_of, quiet, rows_of_files, write_manifest

CORPORA = [{"name": name, "release": name} for name in ("web", "code", "small")]


@pytest.fixture(scope="module")
def manifest(releases, tokenizer_file):
    keys = {"tokenizer": str(tokenizer_file), "corpora": CORPORA, "shard_bytes": 20_000}
    return write_manifest(releases / "pack.yaml", name="compare", **keys)


@pytest.fixture(scope="module")
def made(releases, manifest):
    return releases / "pack", pack_of(manifest, releases / "pack")


def test_all_corpora_have_the_tokens_of_the_smallest(made, releases):
    place, record = made
    smallest = min(source["tokens"] for source in record.settings["sources"])
    assert [budget.wanted for budget in largest(record)] == [smallest] * 3
    for budget in largest(record):
        rows = [each for each in rows_of_files(place, record) if each["source"] == budget.corpus]
        assert len({each["id"] for each in rows}) == len(rows), "a row stands twice"
        assert 0 <= budget.tokens - smallest < max(each["tokens"] for each in rows)
        assert {"kind": "pack", "place": str(place)} in registered(releases / budget.corpus)
    made_small = [each["id"] for each in rows_of_files(place, record) if each["source"] == "small"]
    there = read_manifest(releases / "small")
    assert sorted(made_small) == sorted(
        each["id"] for _, each in in_key_order(releases / "small", there, there.configs[0], "train", ("id",))
    )


def test_corpora_that_share_pages_have_them_in_the_same_order(releases, manifest, tmp_path):
    keys = yaml.safe_load(manifest.read_text())
    twice = [{"name": "one", "release": "web"}, {"name": "part", "release": "web:corpus-unknown"}]
    path = write_manifest(releases / "same.yaml", **keys | {"corpora": twice, "budgets": ["1K", "2K"]})
    record = pack_of(path, tmp_path / "pack")
    rows = rows_of_files(tmp_path / "pack", record)
    one, part = ([each["id"] for each in rows if each["source"] == name] for name in ("one", "part"))
    shared = [identity for identity in one if identity in set(part)]
    assert len(shared) > 10 and part[: len(shared)] == shared
    assert [budget.config for budget in budgets_of(record)] == ["one-1K", "one-2K", "part-1K", "part-2K"]


def test_more_tokens_than_a_corpus_has_are_refused(releases, manifest, tmp_path):
    keys = yaml.safe_load(manifest.read_text()) | {"budgets": ["5K"]}
    path = write_manifest(releases / "more.yaml", **keys)
    with pytest.raises(
        UsageError, match=r"small has 1,104 tokens; 5K takes 5,000 of it, .* max_epochs is 1: .*--force"
    ):
        pack_of(path, tmp_path / "pack")
    record = pack_of(path, tmp_path / "pack", force=True)
    assert all(budget.tokens >= 5000 for budget in largest(record))


def test_everybody_checks_and_reads_the_same(made, monkeypatch, tmp_path):
    place, record = made
    page = (place / "README.md").read_text(encoding="utf-8")
    assert DatasetCard(page).data.to_dict() == metadata(record)
    check = re.search(r"```sh\n(.*?)\n```", page, re.DOTALL)[1]
    found = subprocess.run(check.split(), cwd=place, capture_output=True, text=True)
    assert found.returncode == 0 and found.stdout.count(": OK") == len(record.files) + len(record.others)
    code = max(re.findall(r"```python\n(.*?)\n```", page, re.DOTALL), key=len).replace("= 1104, 4096", "= 1104, 64")
    monkeypatch.chdir(place)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    kept: list[list[int]] = []
    exec(compile(f"{code}\n    kept.append(sequence)", "card", "exec"), {"kept": kept})
    smallest = min(source["tokens"] for source in record.settings["sources"])
    assert len(kept) == smallest // 64 and {len(sequence) for sequence in kept} == {64}
    tokenizer = Tokenizer.from_file(str(place / "tokenizer.json"))
    text = tokenizer.decode([token for sequence in kept for token in sequence], skip_special_tokens=False)
    rows = [each for each in rows_of_files(place, record) if each["source"] == "web"]
    assert "<|endoftext|>".join(each["text"] for each in rows).startswith(text[:400])


# What models are named by or said to have, in weights, with the vocabulary that they had.
KNOWN = {
    "open-sci-ref-0.13b": (50_304, 0.13e9, 0.05),
    "open-sci-ref-0.4b": (50_304, 0.4e9, 0.05),
    "open-sci-ref-1.7b": (50_304, 1.7e9, 0.05),
    "dclm-400m-1x": (50_432, 411_616_256, 0),
    "dclm-1b-1x": (50_432, 1_439_795_200, 0),
}


def test_training_is_described_by_model_with_the_tokenizers_vocabulary(made, tokenizer_file):
    place, record = made
    vocabulary = Tokenizer.from_file(str(tokenizer_file)).get_vocab_size()
    assert MODELS.keys() == KNOWN.keys()
    for name, (theirs, weights, tolerance) in KNOWN.items():
        found = yaml.safe_load((place / "train" / f"{name}.yaml").read_text())
        assert found["model"]["vocabulary"] == vocabulary
        assert found["model"]["padded_vocabulary"] % 128 == 0 and found["model"]["padded_vocabulary"] >= vocabulary
        assert found["training"]["tokens"] == largest(record)[0].wanted
        assert not set(found["not_found"]) & (found["training"].keys() | found["model"].keys())
        assert MODELS[name].parameters(theirs) == pytest.approx(weights, rel=tolerance)


def test_evaluations_are_listed_and_have_a_line_for_each_result(made):
    place, _ = made
    suites = yaml.safe_load((place / "evaluations.yaml").read_text())["suites"]
    assert suites == evaluations()
    names = {suite["suite"]: [task["name"] for task in suite["tasks"]] for suite in suites}
    # DCLM's CORE is a mean over 22 tasks.
    assert {suite: len(tasks) for suite, tasks in names.items()} == {"open-sci-ref": 13, "dclm-core": 22, "swallow": 10}
    assert all(len(set(tasks)) == len(tasks) for tasks in names.values())
    assert all(isinstance(task["shots"], int) and suite["source"] for suite in suites for task in suite["tasks"])
    with open(place / "results.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(MODELS) * 3 * 45
    assert {line["corpus"] for line in lines} == {"web", "code", "small"}
    assert {(line["suite"], line["task"]) for line in lines} == {(s, task) for s in names for task in names[s]}


def test_a_mix_is_exported_for_trainers_in_its_order_and_a_takedown_reaches_both(
    made, releases, tokenizer_file, tmp_path
):
    source = {"name": "small", "release": "small", "weight": 1}
    keys = {"name": "m", "tokenizer": str(tokenizer_file), "budgets": ["1K", "3K"], "sources": [source]}
    mix = tmp_path / "mix"
    record = mix_of(write_manifest(releases / "mixed.yaml", **keys), mix)
    rows = rows_of_files(mix, record)
    assert max(each["epoch"] for each in rows) == 3
    loaded = load_tokenizer(tokenizer_file)
    for config, budget in zip(("1K", "3K"), budgets_of(record), strict=True):
        shards = export(mix, tmp_path / config, "tokens", InProcessRunner(), quiet(), config, tokenizer=tokenizer_file)
        tokens = [np.fromfile(tmp_path / config / file.path, np.uint16) for file in shards.files]
        wanted = [token for text in loaded.encode([each["text"] for each in rows[: budget.rows]]) for token in text]
        assert np.concatenate(tokens).tolist() == wanted and len(wanted) == budget.tokens
    lines = export(mix, tmp_path / "lines", "jsonl", InProcessRunner(), quiet())
    assert sum(file.rows for file in lines.files) == len(rows)
    with pytest.raises(UsageError, match="--sizes is for releases"):
        export(mix, tmp_path / "text", "text", InProcessRunner(), quiet(), sizes="1KB")
    mix_of(releases / "mixed.yaml", mix)
    assert [made["place"] for made in registered(mix)] == [str(tmp_path / name) for name in ("1K", "3K", "lines")]
    gone = rows[0]["id"]
    for place in (mix, *(tmp_path / name for name in ("1K", "3K", "lines"))):
        assert take_out(place, frozenset({gone})).rows >= 1
    tokens = np.concatenate([np.fromfile(tmp_path / "3K" / file.path, np.uint16) for file in shards.files])
    left = [each["text"] for each in rows if each["id"] != gone]
    assert tokens.tolist() == [token for text in loaded.encode(left) for token in text]
    pack = read_derived(releases / "pack")
    assert read_contents(releases / "pack")[0].configs[0].name == largest(pack)[0].config
    write_derived(mix, record.model_copy(update={"finished": False}))
    with pytest.raises(UsageError, match="is not whole"):
        export(mix, tmp_path / "late", "jsonl", InProcessRunner(), quiet())


def test_rows_taken_out_leave_the_pack_checked(releases, manifest, tmp_path, monkeypatch, capsys):
    arguments = ("compare-pack", str(manifest), "--to", str(tmp_path / "pack"), "--workers", "0")
    code, output, errors = run_cli(monkeypatch, capsys, *arguments)
    assert code == 0 and "small-1104" in output, errors
    before = bytes_of(tmp_path / "pack")
    record = read_derived(tmp_path / "pack")
    gone = next(each["id"] for each in rows_of_files(tmp_path / "pack", record) if each["source"] == "code")
    assert take_out(tmp_path / "pack", frozenset({gone})).rows == 1
    after = bytes_of(tmp_path / "pack")
    changed = {name for name in before if before[name] != after[name]}
    assert changed > {"README.md", "derived.json", "SHA256SUMS"} and len(changed) == 4
    found = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "pack", capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
    loaded = load_dataset(str(tmp_path / "pack"), "code-1104", split="train", cache_dir=str(tmp_path / "cache"))
    assert gone not in loaded["id"][:]
