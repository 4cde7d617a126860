"""Inputs, outputs and recipes that are wrong: one clear line, the right exit code, and nothing else is lost."""

from __future__ import annotations

import json
import resource
import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from pipeline.entry_pack import load_entries
from tests.pipeline.conftest import (
    ENVIRONMENT,
    SAMPLE,
    TRAFILATURA,
    command,
    execute,
    run_cli,
    split_sample,
    table_bytes,
    table_rows,
)


def write_pages(path: Path, pages: dict[str, str]) -> Path:
    with open(path, "wb") as file:
        writer = WARCWriter(file, gzip=True)
        for url, html in pages.items():
            headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.1")
            body = BytesIO(html.encode())
            writer.write_record(writer.create_warc_record(url, "response", payload=body, http_headers=headers))
    return path


GOOD = "<html lang=ja><title>紙</title><body><article>" + "".join(
    f"<p>和紙は{n}枚目の簀の上で水をくぐり、繊維がからみあって一枚の紙になります。</p>" for n in range(12)
) + "</article></body></html>"  # fmt: skip


def test_pages_that_cost_too_much_time_or_memory_cost_themselves_alone(tmp_path):
    heavy = "<html lang=ja><body>" + "".join(
        f"<div><p>長い文章の{n}段落目です。</p><a href=x>次</a></div>" for n in range(30_000)
    )
    pages = {
        "https://a.example/1": GOOD,
        "https://a.example/heavy": heavy,
        "https://a.example/2": GOOD.replace("枚目", "番目"),
    }
    path = write_pages(tmp_path / "pages.warc.gz", pages)
    time, memory = "extract.limits.cpu_seconds=0.5", "extract.limits.memory_bytes=60000000"
    execute(tmp_path / "time", [path], overrides=(*TRAFILATURA, time), last="extract")
    execute(tmp_path / "memory", [path], overrides=(*TRAFILATURA, memory), last="extract")
    for out, reason in (("time", "extraction_cpu_limit"), ("memory", "extraction_memory_limit")):
        assert [(row["url"], row["reason"]) for row in table_rows(tmp_path / out, "extract_rejects")] == [
            ("https://a.example/heavy", reason)
        ]
        assert len(table_rows(tmp_path / out, "documents")) == 2
    execute(tmp_path / "ours", [path], overrides=(time, memory), last="extract")
    assert len(table_rows(tmp_path / "ours", "documents")) == 3, "our own extractor reads it in its stride"


BAD_INPUTS = {
    "empty.warc.gz": (b"", "empty"),
    "picture.warc.gz": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "WARC"),
    "page.warc": (b"<!DOCTYPE html><html><body>no WARC</body></html>" * 20, "WARC"),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_a_file_that_is_no_warc_fails_alone_with_one_line_and_can_be_waived(parts, tmp_path, monkeypatch, capsys, name):
    bad = tmp_path / name
    data, word = BAD_INPUTS[name]
    bad.write_bytes(data)
    out = tmp_path / "out"
    arguments = ["run", "demo", "--out", str(out), "--workers", "0", "--input", str(parts[0]), "--input", str(bad)]
    code, _, error = run_cli(monkeypatch, capsys, *arguments)
    assert code == 1
    last = error.strip().splitlines()[-1]
    assert last.startswith("kamisuki: extract: 1 shard failed") and name in last and word in last
    assert "Traceback" not in error
    assert len(list(out.glob("documents-*/part-0.parquet"))) == 1, "the good shard is kept"
    code, printed, _ = run_cli(monkeypatch, capsys, *arguments, "--set", "max_failed_shards=1")
    assert code == 0 and "waived" in printed
    assert table_rows(out, "corpus")
    code, printed, _ = run_cli(monkeypatch, capsys, "status", str(out))
    assert "failed and is waived" in printed and name in printed
    code, printed, _ = run_cli(monkeypatch, capsys, "funnel", str(out))
    assert "waived by max_failed_shards" in printed and name in printed
    code, printed, _ = run_cli(monkeypatch, capsys, "funnel", str(out), "--json")
    (waived,) = json.loads(printed)["waived"].values()
    assert name in waived


def test_a_warc_cut_in_the_middle_gives_all_that_stands_before_the_cut(tmp_path):
    data = SAMPLE.read_bytes()
    (tmp_path / "cut.warc.gz").write_bytes(data[: len(data) // 2])
    job = execute(tmp_path / "out", [tmp_path / "cut.warc.gz"])
    (entry,) = load_entries(job.execute([], last="extract")["documents"].folder)
    assert entry.errors["cut_record"] == 1 and entry.balance() == 0
    assert len(table_rows(tmp_path / "out", "documents")) > 20


def test_an_input_that_vanishes_before_it_is_read_is_named(parts, tmp_path, monkeypatch, capsys):
    copies = split_sample(tmp_path / "in", 2)
    code, _, error = run_cli(
        monkeypatch, capsys, "run", "demo", "--out", str(tmp_path / "out"), "--input", "/nowhere/x.warc.gz"
    )
    assert code == 2 and error.strip() == "kamisuki: input '/nowhere/x.warc.gz' does not exist"
    execute(tmp_path / "out", copies[:1], last="extract")
    copies[1].unlink()
    code, _, error = run_cli(
        monkeypatch, capsys, "run", "demo", "--out", str(tmp_path / "out"), "--input", str(copies[1])
    )
    assert code == 2 and "does not exist" in error


def test_an_output_that_cannot_be_written_is_one_line(parts, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    code, _, error = run_cli(
        monkeypatch, capsys, "run", "demo", "--out", str(tmp_path / "file" / "out"), "--input", str(parts[0])
    )
    assert code == 2 and error.startswith("kamisuki: cannot write to the output folder") and error.count("\n") == 1


def test_a_disk_that_is_full_is_one_line_and_the_next_run_goes_on(parts, reference, tmp_path):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))

    full = subprocess.run(
        command(tmp_path, parts, "--workers", "0"), env=ENVIRONMENT, capture_output=True, text=True, preexec_fn=limit
    )
    assert full.returncode == 1
    last = full.stderr.strip().splitlines()[-1]
    assert last.startswith("kamisuki: ") and "no space left for the output" in last and "Traceback" not in full.stderr
    assert not list(tmp_path.rglob(".*.tmp"))
    execute(tmp_path, parts)
    assert table_bytes(tmp_path) == reference


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nobody"], "no recipe 'nobody'"),
        (["run", "demo", "--set", "select.rules.kana.min=3"], "no rule on 'kana'"),
        (["run", "demo", "--from", "select", "--until", "extract"], "comes after"),
        (["run", "demo", "--from", "filter"], "unknown stage 'filter'"),
        (["run", "demo", "--workers", "0", "--ray-address", "x"], "give one of them"),
        (["run", "demo"], "no input given"),
        (["status"], "holds no run"),
        (["path"], "holds no run"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, arguments, message):
    out = str(tmp_path / "out")
    where = ["--out", out] if arguments[0] == "run" else [out]
    code, _, error = run_cli(monkeypatch, capsys, *arguments[:1], *arguments[1:], *where)
    assert code == 2 and message in error and error.count("\n") == 1


def test_an_unknown_signal_in_a_recipe_is_named_with_its_line(tmp_path, monkeypatch, capsys):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("name: mine\nselect:\n  rules:\n    - {signal: kana_share, min: 0.2}\n")
    code, _, error = run_cli(monkeypatch, capsys, "run", str(recipe), "--out", str(tmp_path / "out"))
    assert code == 2 and f"{recipe}:4:" in error and "unknown signal 'kana_share'" in error


def test_damaged_state_is_named(parts, tmp_path, monkeypatch, capsys):
    execute(tmp_path, parts[:1])
    entry = next(tmp_path.glob("signals-*/*.ledger.json"))
    whole = entry.read_text()
    entry.write_text("{")
    arguments = ["run", "demo", "--out", str(tmp_path), "--workers", "0"]
    code, _, error = run_cli(monkeypatch, capsys, *arguments)
    assert code == 1 and "damaged" in error and entry.name in error
    broken = json.loads(whole)
    entry.write_text(json.dumps({**broken, "read": broken["read"] + 1}))
    code, _, error = run_cli(monkeypatch, capsys, *arguments)
    assert code == 1 and "does not add up" in error
