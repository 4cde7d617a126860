"""Exports: everything of the release is in them once, as written, for the readers that people use."""

from __future__ import annotations

import gzip
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import KamisukiError, UsageError
from pipeline.export_run import export
from pipeline.progress import Progress
from pipeline.release.derived_record import read_derived, registered, write_derived
from pipeline.release.exports import jsonl, text, tokens
from pipeline.release.exports.sidecar import read_places
from pipeline.release.manifest import write_manifest
from pipeline.release.reading import in_key_order, is_code, slug
from pipeline.release.tokenizer import load_tokenizer
from pipeline.runner import InProcessRunner
from tests.pipeline.conftest import run_cli
from tests.release.handmade import HOSTILE, bytes_of, export_rows, make_release, row

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(HOSTILE)
ROWS = export_rows()


def quiet() -> Progress:
    return Progress(stream=io.StringIO())


def run(release, to, kind, **options):
    return export(release, to, kind, InProcessRunner(), quiet(), **options)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    return folder, make_release(folder, ROWS)


@pytest.mark.parametrize("kind", ["jsonl", "text", "tokens"])
def test_two_exports_are_the_same_bytes_and_are_registered(release, tmp_path, kind, tokenizer_file):
    folder, _ = release
    options = {"tokenizer": tokenizer_file} if kind == "tokens" else {}
    run(folder, tmp_path / "a", kind, **options)
    run(folder, tmp_path / "b", kind, **options)
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")
    assert {"kind": kind, "place": str(tmp_path / "a")} in registered(folder)
    for name, content in bytes_of(tmp_path / "a").items():
        assert str(tmp_path).encode() not in content, name
        assert str(tokenizer_file.parent).encode() not in content, name


@pytest.mark.parametrize("kind", ["jsonl", "text", "tokens"])
def test_the_record_tells_what_is_there_and_an_export_goes_on_where_it_stopped(release, tmp_path, kind, tokenizer_file):
    folder, manifest = release
    options = {"tokenizer": tokenizer_file} if kind == "tokens" else {}
    record = run(folder, tmp_path / "a", kind, **options)
    whole = bytes_of(tmp_path / "a")
    listed = {part.path for file in record.files for part in (file, *file.beside)} | {p.path for p in record.others}
    assert set(whole) == listed | {"derived.json"}
    assert all(len(whole[file.path]) == file.bytes for file in record.files)
    assert {origin for file in record.files for origin in file.origin} == {
        file.path for file in manifest.files if file.rows
    }
    first = [file for file in record.files if file.origin == record.files[0].origin]
    unfinished = record.model_copy(update={"finished": False, "files": first, "others": []})
    write_derived(tmp_path / "a", unfinished)
    assert run(folder, tmp_path / "a", kind, **options) == record
    assert bytes_of(tmp_path / "a") == whole


def read_jsonl(folder):
    for path in sorted(folder.rglob("*.jsonl.gz")):
        for line in gzip.decompress(path.read_bytes()).decode().splitlines():
            yield path.relative_to(folder).as_posix(), json.loads(line)


def test_json_lines_hold_every_row_once_in_llm_jp_folders(release, tmp_path):
    folder, _ = release
    run(folder, tmp_path / "a", "jsonl")
    found = list(read_jsonl(tmp_path / "a"))
    assert {line["meta"]["id"]: line["text"] for _, line in found} == {row["id"]: row["text"] for row in ROWS}
    assert len(found) == len(ROWS)
    assert any(path.startswith("train/ja/wiki_") for path, _ in found)
    assert any(path.startswith("validation/en/cc-main-2026-40") for path, _ in found)
    urls = {row["id"]: row["url"] for row in ROWS}
    assert all(line["meta"]["url"] == urls[line["meta"]["id"]] for _, line in found)


def test_datasets_loads_the_json_lines(release, tmp_path):
    from datasets import load_dataset

    folder, _ = release
    run(folder, tmp_path / "a", "jsonl")
    loaded = load_dataset(
        "json",
        data_files=[str(path) for path in sorted((tmp_path / "a").rglob("*.jsonl.gz"))],
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    assert {line["meta"]["id"]: line["text"] for line in loaded} == {row["id"]: row["text"] for row in ROWS}


@given(text=ANY_TEXT, title=ANY_TEXT, source=ANY_TEXT)
def test_a_line_is_a_line_for_every_reader(text, title, source):
    line = jsonl.line_of(row(1, text=text, title=title, source=source))
    assert len(line.decode().splitlines()) == 1 and line.endswith(b"\n") and line.count(b"\n") == 1
    read = json.loads(line)
    assert read["text"] == text and read["meta"]["title"] == title


@given(st.lists(ANY_TEXT | st.sampled_from(["CON", "..", "a/b", "ja", "JA", "none", "x" * 300]), unique=True))
def test_different_values_never_share_a_folder_and_none_leaves_it(values):
    slugs = [slug(value) for value in [None, *values]]
    assert len(set(slugs)) == len(slugs)
    assert all(name and name.isascii() and "/" not in name and name.strip(".") and len(name) < 80 for name in slugs)


def test_code_is_known_by_its_language():
    assert [is_code(name) for name in ("Python", "C", "ja", "jpn_Jpan", "zh-Hant", None, "und", "sql")] == [
        True, True, False, False, False, False, False, True,
    ]  # fmt: skip


@given(ANY_TEXT)
def test_an_empty_line_always_and_only_ends_a_document(content):
    block = text.block_of(content).decode()
    letters = {letter for letter in content if not letter.isspace() and letter.isprintable()}
    assert letters <= set(block)
    if block:
        assert block.endswith("\n\n") and "\n\n" not in block[:-2] and not block.startswith("\n")
        assert block.splitlines() == block[:-1].split("\n")


def test_text_holds_the_documents_in_the_order_of_the_release(release, tmp_path):
    folder, _ = release
    record = run(folder, tmp_path / "a", "text")
    texts = {row["id"]: row["text"] for row in ROWS}
    seen = []
    for file in record.files:
        data = (tmp_path / "a" / file.path).read_bytes()
        for identity, start, length in read_places(text.ids_path(tmp_path / "a" / file.path)):
            assert data[start : start + length] == text.block_of(texts[identity])
            seen.append(identity)
    assert sorted(seen) == sorted(key for key, value in texts.items() if text.block_of(value))


def test_samples_are_nested_and_as_large_as_asked(release, tmp_path):
    folder, manifest = release
    record = run(folder, tmp_path / "a", "text", sizes="3KB,1KB,1GB")
    first, second, everything = ((tmp_path / "a" / file.path).read_bytes() for file in record.files)
    assert [file.path for file in record.files] == ["sample-1KB.txt", "sample-3KB.txt", "sample-1GB.txt"]
    assert second.startswith(first) and everything.startswith(second)
    longest = max(len(text.block_of(row["text"])) for row in ROWS)
    assert 1000 <= len(first) < 1000 + longest and 3000 <= len(second) < 3000 + longest
    order = [row["id"] for _, row in in_key_order(folder, manifest, manifest.configs[0], "train", ("id", "text"))]
    places = [identity for identity, _, _ in read_places(tmp_path / "a" / "sample-1GB.ids.parquet")]
    texts = {row["id"]: row["text"] for row in ROWS}
    assert places == [identity for identity in order if text.block_of(texts[identity])]


@pytest.mark.parametrize("layout", ["megatron", "nanotron"])
def test_token_shards_read_back_as_the_tokens_of_the_texts(release, tmp_path, tokenizer_file, layout):
    folder, manifest = release
    record = run(folder, tmp_path / "a", "tokens", tokenizer=tokenizer_file, layout=layout)
    plain = load_tokenizer(tokenizer_file).tokenizer
    texts = {row["id"]: row["text"] for row in ROWS}
    total = 0
    for file in record.files:
        path = tmp_path / "a" / file.path
        ids = [identity for identity, _, _ in read_places(path.with_name(tokens.stem_of(path) + ".ids.parquet"))]
        found = list(_read(path, layout))
        assert len(found) == len(ids) == file.rows and sum(map(len, found)) == file.tokens
        total += len(found)
        for identity, sequence in zip(ids, found, strict=True):
            assert sequence[-1] == 0 and 0 not in sequence[:-1], "a text ended its document"
            assert plain.decode(sequence[:-1], skip_special_tokens=False) == texts[identity]
    assert total == len(ROWS)
    assert len(record.files) == sum(1 for file in manifest.files if file.rows)


def _read(path, layout):
    if layout == "nanotron":
        from datatrove.io import get_datafolder
        from datatrove.pipeline.tokens.merger import get_data_reader, load_doc_ends

        folder = get_datafolder(str(path.parent))
        ends = load_doc_ends(folder.open(path.name + ".index", "rb"))
        for block in get_data_reader(folder.open(path.name, "rb"), ends.tolist(), nb_bytes=2):
            yield np.frombuffer(block, "<u2").tolist()
        return
    # By the format that Megatron's indexed_dataset reads: a header, lengths, pointers and documents.
    index = path.with_suffix(".idx").read_bytes()
    assert index[:9] == b"MMIDIDX\0\0" and int.from_bytes(index[9:17], "little") == 1 and index[17] == 8
    count, documents = np.frombuffer(index, "<i8", 2, 18)
    assert documents == count + 1
    lengths = np.frombuffer(index, "<i4", count, 34)
    pointers = np.frombuffer(index, "<i8", count, 34 + 4 * count)
    assert np.frombuffer(index, "<i8", documents, 34 + 12 * count).tolist() == list(range(documents))
    data = path.read_bytes()
    assert len(data) == 2 * lengths.sum()
    for length, start in zip(lengths, pointers, strict=True):
        yield np.frombuffer(data, "<u2", length, start).tolist()


@pytest.mark.parametrize("layout", ["megatron", "nanotron"])
def test_shards_are_what_datatrove_itself_writes(tmp_path, tokenizer_file, layout):
    from datatrove.data import Document
    from datatrove.pipeline.tokens.megatron_tokenizer import MegatronDocumentTokenizer
    from datatrove.pipeline.tokens.tokenizer import DocumentTokenizer

    rows = [row(number) for number in range(40)]
    ours = load_tokenizer(tokenizer_file)
    shard = tokens.write_shard(tokens.encoded(ours, rows), tmp_path / "ours", "00000_x", layout, ours.token_size, "x")
    plain = tmp_path / "plain.json"
    content = json.loads(tokenizer_file.read_text())
    plain.write_text(json.dumps(content | {"truncation": None, "padding": None}))
    arguments = {"tokenizer_name_or_path": str(plain), "eos_token": "<|endoftext|>"}
    step = (
        MegatronDocumentTokenizer(str(tmp_path / "theirs"), **arguments)
        if layout == "megatron"
        else DocumentTokenizer(str(tmp_path / "theirs"), shuffle_documents=False, **arguments)
    )
    step.run(iter([Document(text=row["text"], id=row["id"]) for row in rows]))
    theirs = {path.name.split(".", 1)[1]: path.read_bytes() for path in (tmp_path / "theirs").iterdir()}
    for suffix in tokens.LAYOUTS[layout]:
        if not suffix.endswith(".metadata"):
            assert (tmp_path / "ours" / f"00000_x{suffix}").read_bytes() == theirs[suffix[1:]]
    assert shard.tokens == sum(map(len, ours.encode([row["text"] for row in rows])))


@settings(max_examples=20)
@given(st.lists(ANY_TEXT, max_size=5))
def test_no_text_ends_its_document(tokenizer_file, texts):
    loaded = load_tokenizer(tokenizer_file)
    for content, found in zip(texts, loaded.encode(texts), strict=True):
        assert found.count(0) == 1 and found[-1] == 0
        assert loaded.tokenizer.decode(found[:-1], skip_special_tokens=False) == content


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("csv", {}, "exports are jsonl, text, tokens"),
        ("jsonl", {"sizes": "1MB"}, "--as text"),
        ("text", {"sizes": "much"}, "write a size as 100MB"),
        ("tokens", {}, "needs --tokenizer"),
        ("jsonl", {"eos": "x"}, "--as tokens"),
        ("jsonl", {"config": "missing"}, "has no config 'missing'; it has: corpus"),
    ],
)
def test_a_mistake_names_the_repair(release, tmp_path, kind, options, said):
    with pytest.raises(UsageError, match=said):
        run(release[0], tmp_path / "a", kind, **options)
    assert not (tmp_path / "a").exists()


def test_mistakes_about_tokenizers_name_the_repair(release, tmp_path, tokenizer_file):
    with pytest.raises(UsageError, match="has no such token"):
        run(release[0], tmp_path / "a", "tokens", tokenizer=tokenizer_file, eos="</s>")
    with pytest.raises(UsageError, match="no such file"):
        run(release[0], tmp_path / "a", "tokens", tokenizer=tmp_path / "missing.json")
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(UsageError, match="cannot be read as a tokenizer"):
        run(release[0], tmp_path / "a", "tokens", tokenizer=tmp_path / "broken.json")
    content = json.loads(tokenizer_file.read_text())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] != "<|endoftext|>"]
    content["model"]["vocab"]["<other>"] = content["model"]["vocab"].pop("<|endoftext|>")
    (tmp_path / "endless.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match="--eos"):
        run(release[0], tmp_path / "a", "tokens", tokenizer=tmp_path / "endless.json")


def test_another_export_is_never_written_over(release, tmp_path):
    run(release[0], tmp_path / "a", "jsonl")
    with pytest.raises(UsageError, match="give another --to"):
        run(release[0], tmp_path / "a", "text")
    record = read_derived(tmp_path / "a")
    assert record is not None and record.kind == "jsonl"


def test_the_command_says_what_was_made(release, tmp_path, monkeypatch, capsys):
    arguments = ("export", str(release[0]), "--to", str(tmp_path / "a"), "--as", "jsonl", "--workers", "0")
    code, out, err = run_cli(monkeypatch, capsys, *arguments)
    assert code == 0 and "train/ja/wiki_" in out and f"export: {tmp_path / 'a'}" in out and "shards" in err
    code, _, err = run_cli(monkeypatch, capsys, *arguments)
    assert code == 0 and "nothing to do" in err
    code, _, err = run_cli(monkeypatch, capsys, *arguments[:-3], "csv")
    assert code == 2 and len(err.splitlines()) == 1


@pytest.mark.parametrize("kind", ["jsonl", "text", "tokens"])
def test_a_file_with_fewer_rows_than_the_manifest_says_is_no_silent_loss(tmp_path, kind, tokenizer_file):
    made = make_release(tmp_path / "release", ROWS)
    made.files[0].rows += 1
    write_manifest(tmp_path / "release", made)
    options = {"tokenizer": tokenizer_file} if kind == "tokens" else {}
    with pytest.raises(KamisukiError, match=r"rows and the manifest says .* see kamisuki verify"):
        run(tmp_path / "release", tmp_path / "export", kind, **options)
    assert not read_derived(tmp_path / "export").finished


def test_rows_without_a_text_to_write_are_counted(tmp_path):
    make_release(tmp_path / "release", [row(1), row(2, id="nothing", text="\x00\x1f \n")])
    said = io.StringIO()
    export(tmp_path / "release", tmp_path / "export", "text", InProcessRunner(), Progress(stream=said))
    assert "1 of 2 rows left out: without text" in said.getvalue()
