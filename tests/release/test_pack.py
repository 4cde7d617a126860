"""Compare packs: equal tokens of every corpus, all that others need, and instructions that work as they stand."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml
from datasets import load_dataset
from huggingface_hub import DatasetCard
from tokenizers import Tokenizer

from pipeline.errors import UsageError
from pipeline.release.derived import take_out
from pipeline.release.derived_record import read_derived, registered
from pipeline.release.manifest import read_manifest
from pipeline.release.mixing.card import metadata
from pipeline.release.mixing.pack import parameters
from pipeline.release.mixing.report import budgets_of, largest
from pipeline.release.reading import in_key_order
from tests.pipeline.conftest import run_cli
from tests.release.handmade import bytes_of
from tests.release.mixes import make_releases, pack_of, rows_of_files, write_manifest

CORPORA = [{"name": name, "release": name} for name in ("web", "code", "small")]


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("releases")
    make_releases(folder)
    return folder


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
    code = max(re.findall(r"```python\n(.*?)\n```", page, re.DOTALL), key=len).replace("4096", "64")
    monkeypatch.chdir(place)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    kept: list[list[int]] = []
    code = code.replace("    sequence = next(sequences)", "    kept.append(next(sequences))")
    exec(compile(code, "card", "exec"), {"kept": kept})
    smallest = min(source["tokens"] for source in record.settings["sources"])
    assert len(kept) == smallest // 64 and {len(sequence) for sequence in kept} == {64}
    tokenizer = Tokenizer.from_file(str(place / "tokenizer.json"))
    text = tokenizer.decode([token for sequence in kept for token in sequence], skip_special_tokens=False)
    rows = [each for each in rows_of_files(place, record) if each["source"] == "web"]
    assert "<|endoftext|>".join(each["text"] for each in rows).startswith(text[:400])


def test_training_is_described_by_size_with_the_tokenizers_vocabulary(made, tokenizer_file):
    place, record = made
    vocabulary = Tokenizer.from_file(str(tokenizer_file)).get_vocab_size()
    for size in ("0.13B", "0.4B", "1.7B"):
        found = yaml.safe_load((place / "train" / f"{size}.yaml").read_text())
        assert found["model"]["vocabulary"] == vocabulary
        assert found["model"]["padded_vocabulary"] % 128 == 0 and found["model"]["padded_vocabulary"] >= vocabulary
        assert found["training"]["tokens"] == largest(record)[0].wanted
        assert not set(found["not_found"]) & (found["training"].keys() | found["model"].keys())
        # The shapes make the models that they are named by, with the vocabulary of open-sci-ref.
        assert parameters(size, 50_304) == pytest.approx(float(size[:-1]) * 1e9, rel=0.05)
    lists = yaml.safe_load((place / "evaluations.yaml").read_text())
    assert {"hellaswag", "mmlu", "copa"} <= {task["name"] for task in lists["english"]["tasks"]}
    assert {"JCommonsenseQA", "JSQuAD", "JMMLU"} <= {task["name"] for task in lists["japanese"]["tasks"]}
    assert all(isinstance(task["shots"], int) for part in lists.values() for task in part["tasks"])


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
