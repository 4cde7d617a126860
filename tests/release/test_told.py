"""What commands around a release say: one line that names the repair, right grammar, and nothing that a terminal
obeys."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import yaml

from pipeline.errors import KamisukiError, UsageError
from pipeline.export_run import export
from pipeline.release.manifest import read_manifest
from pipeline.release.nesting import refuse_nested
from pipeline.release.push.ledger import Target
from pipeline.release.push.patience import Patience
from pipeline.release.push.repository import Repository
from pipeline.runner import InProcessRunner
from pipeline.storage.fetch import Politeness
from pipeline.wording import counted, is_seen, visible_lines
from tests.pipeline.conftest import Quiet, run_cli
from tests.pipeline.loopback import made_bucket, moto_server
from tests.release.buckets import put_all
from tests.release.handmade import bytes_of, make_release, row
from tests.release.hub import serving
from tests.release.made import made_out, made_rows, release
from tests.release.mixes import mix_of, write_manifest
from tests.release.test_push import TOKEN

ROWS = [row(number) for number in range(60)]


@pytest.fixture(scope="module")
def web(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("releases")
    make_release(folder / "web", ROWS)
    return folder / "web"


def mix_keys(web: Path, tokenizer: Path) -> dict[str, object]:
    sources = [{"name": "web", "release": str(web), "weight": 1}]
    return {"name": "m", "tokenizer": str(tokenizer), "budgets": ["500"], "sources": sources}


def command(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    code, printed, errors = run_cli(monkeypatch, capsys, *arguments)
    told = [line for line in errors.splitlines() if line.startswith("kamisuki: ")]
    assert len(told) <= 1 and "Errno" not in errors and "Error:" not in errors
    return code, printed, told[0] if told else ""


def test_a_manifest_that_is_not_there_or_is_the_other_commands(web, tokenizer_file, tmp_path, monkeypatch, capsys):
    mix = mix_keys(web, tokenizer_file)
    corpora = [{"name": name, "release": str(web)} for name in ("one", "two")]
    write_manifest(tmp_path / "mix.yaml", **mix)
    write_manifest(
        tmp_path / "pack.yaml", **{key: mix[key] for key in ("name", "tokenizer", "budgets")}, corpora=corpora
    )
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    for verb, manifest, said in (
        ("mix", "nope.yaml", "there is no such file"),
        ("mix", ".", "Is a directory; it must be a YAML file"),
        ("mix", "bytes.yaml", "no text in UTF-8"),
        ("mix", "pack.yaml", "a manifest for kamisuki compare-pack"),
        ("compare-pack", "mix.yaml", "a manifest for kamisuki mix"),
    ):
        code, _, error = command(monkeypatch, capsys, verb, str(tmp_path / manifest), "--to", str(tmp_path / "to"))
        assert code == 2 and said in error, error
        assert not (tmp_path / "to").exists()


def test_what_is_wrong_with_a_tokenizer_is_said_as_it_was_given(web, tokenizer_file, tmp_path, monkeypatch, capsys):
    for keys, said in (
        ({"tokenizer": "gone.json"}, "tokenizer: "),
        ({"eos": "<nope>"}, "eos: <nope>"),
    ):
        path = write_manifest(tmp_path / "mix.yaml", **mix_keys(web, tokenizer_file) | keys)
        code, _, error = command(monkeypatch, capsys, "mix", str(path), "--to", str(tmp_path / "to"))
        assert code == 2 and said in error and "--" not in error
    options = ["--as", "tokens", "--tokenizer", str(tokenizer_file), "--eos", "<nope>", "--to", str(tmp_path / "to")]
    code, _, error = command(monkeypatch, capsys, "export", str(web), *options)
    assert code == 2 and "--eos <nope>" in error


def test_an_end_of_text_that_cannot_be_found_is_asked_for_in_the_manifest(web, tmp_path, monkeypatch, capsys):
    from tokenizers import Tokenizer, models

    Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]")).save(str(tmp_path / "none.json"))
    path = write_manifest(tmp_path / "mix.yaml", **mix_keys(web, tmp_path / "none.json"))
    code, _, error = command(monkeypatch, capsys, "mix", str(path), "--to", str(tmp_path / "to"))
    assert code == 2 and "name it with eos: TOKEN, or say eos: none" in error


def test_a_data_file_that_is_missing_is_named_with_what_brings_it_back(tmp_path, tokenizer_file, monkeypatch, capsys):
    place = tmp_path / "web"
    manifest = make_release(place, ROWS)
    mix_of(write_manifest(tmp_path / "whole.yaml", **mix_keys(place, tokenizer_file)), tmp_path / "whole")
    lost = manifest.files_of(manifest.configs[0], "train")[0].path
    (place / lost).unlink()
    path = write_manifest(tmp_path / "mix.yaml", **mix_keys(place, tokenizer_file))
    for arguments in (
        ("export", str(place), "--as", "jsonl", "--to", str(tmp_path / "to")),
        ("mix", str(path), "--to", str(tmp_path / "to")),
        ("takedown", str(place), "--ids", "id-00001"),
    ):
        code, _, error = command(monkeypatch, capsys, *arguments, "--workers", "0")
        assert code == 2 and f"{place / lost} is missing" in error and "kamisuki release" in error
        assert not (tmp_path / "to").exists()
    code, printed, _ = command(monkeypatch, capsys, "verify", str(place))
    assert code == 1 and lost in printed
    part = next((tmp_path / "whole").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-1])
    code, _, error = command(
        monkeypatch, capsys, "export", str(tmp_path / "whole"), "--as", "jsonl", "--to", str(tmp_path / "to")
    )
    assert code == 2 and f"{part} has " in error and "in a new folder" in error


def test_a_hub_that_is_not_there_is_named_by_its_address():
    with socket.socket() as taken:
        # Bound and not listened at: nobody answers, and nobody else can take it.
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        lines: list[str] = []
        patience = Patience(lines.append, Politeness(tries=2, wait_seconds=0.01), sleep=lambda seconds: None)
        with pytest.raises(KamisukiError, match=f"{endpoint}.*push again"):
            Repository(Target(endpoint, "me/data", "main"), "token", patience).look()


def test_nothing_is_written_below_a_release_in_a_bucket(tmp_path, monkeypatch):
    make_release(tmp_path / "web", ROWS[:4], files=1)
    with moto_server() as port, made_bucket(port, tmp_path / "cache", monkeypatch) as bucket:
        put_all(bucket / "a" / "web", bytes_of(tmp_path / "web"))
        for to in (bucket / "a" / "web" / "more", bucket / "a" / "web" / "data" / "more" / "still"):
            with pytest.raises(UsageError, match=f"lies in {bucket}/a/web, which holds the release"):
                refuse_nested(to)
            with pytest.raises(UsageError, match=r"outside of it|of its own"):
                export(bucket / "a" / "web", to, "jsonl", InProcessRunner(), Quiet())
        for free in (bucket / "a", bucket / "a" / "web2", bucket):
            refuse_nested(free)
        # A whole bucket is a folder too.
        put_all(bucket, bytes_of(tmp_path / "web"))
        assert read_manifest(bucket).files == read_manifest(tmp_path / "web").files
        export(bucket, tmp_path / "lines", "jsonl", InProcessRunner(), Quiet())
        with pytest.raises(UsageError, match="holds the release"):
            refuse_nested(bucket / "b" / "c")


def test_a_number_stands_with_its_noun():
    assert counted(1, "row") == "1 row" and counted(0, "row") == "0 rows" and counted(2_000, "row") == "2,000 rows"
    assert counted(1, "entry", "entries") == "1 entry" and counted(3, "entry", "entries") == "3 entries"


def test_a_single_row_of_a_single_file_is_said_so(tmp_path, monkeypatch, capsys):
    rows = made_rows(8)
    release(made_out(tmp_path / "out", rows), tmp_path / "web", validation=0)
    export(tmp_path / "web", tmp_path / "lines", "jsonl", InProcessRunner(), Quiet())
    code, printed, _ = command(
        monkeypatch, capsys, "takedown", str(tmp_path / "web"), "--ids", "row-1", "--workers", "0"
    )
    assert code == 0 and "1 row of 1 data file went" in printed and "1 row out of 1 file of the jsonl" in printed


def events(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_verify_push_and_fetch_record_log_their_beginning_and_end(tmp_path, monkeypatch, capsys):
    web = tmp_path / "web"
    release(made_out(tmp_path / "out", made_rows(12)), web)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    log = tmp_path / "log.jsonl"
    with serving() as hub:
        for arguments, wanted in (
            (("verify", str(web)), 0),
            (("push", str(web), "--repo", "me/data", "--endpoint", hub.url, "--dry-run"), 0),
            (("fetch-record", str(web), "no-such-row"), 2),
        ):
            code, _, error = command(monkeypatch, capsys, *arguments, "--log-json", str(log))
            first, last = events(log)[-2:]
            assert (first["event"], first["command"], first["out"]) == ("run_begin", arguments[0], str(web))
            assert (last["event"], last["exit_code"]) == ("run_end", code) and code == wanted
            assert (last["error"] is None) == (not error)
    code, printed, _ = command(monkeypatch, capsys, "verify", str(web), "--log-json", "-")
    assert [json.loads(line)["event"] for line in printed.splitlines()] == ["run_begin", "run_end"]
    code, _, error = command(monkeypatch, capsys, "verify", str(web), "--json", "--log-json", "-")
    assert code == 2 and "give --log-json a file" in error


EVIL = "\x1b]0;owned\x07\x1b[2J\u202egpj.exe\x9b31m"


def test_names_out_of_the_data_do_not_steer_a_terminal(tmp_path, monkeypatch, capsys):
    rows = made_rows(12)
    rows[1] |= {"id": f"id-{EVIL}", "host": f"{EVIL}.example"}
    release(made_out(tmp_path / "out", rows), tmp_path / "web")
    ids = tmp_path / "ids.txt"
    ids.write_text(f"id-{EVIL}\nno-{EVIL}\n", encoding="utf-8")
    for more in (["--dry-run"], []):
        code, printed, errors = run_cli(
            monkeypatch, capsys, "takedown", str(tmp_path / "web"), "--ids", str(ids), *more, "--workers", "0"
        )
        assert code == 0 and "1 row " in printed and "0 rows: id no-" in printed
        assert all(letter == "\n" or is_seen(letter) for letter in printed + errors)
    # An error names what somebody gave.
    write_manifest(tmp_path / "evil.yaml", **{f"name{EVIL}": 1})
    with pytest.raises(UsageError):
        mix_of(tmp_path / "evil.yaml", tmp_path / "to")
    code, printed, errors = run_cli(
        monkeypatch, capsys, "mix", str(tmp_path / "evil.yaml"), "--to", str(tmp_path / "to")
    )
    assert code == 2 and yaml.safe_load((tmp_path / "evil.yaml").read_text()) and "owned" in errors
    assert all(letter == "\n" or is_seen(letter) for letter in printed + errors)
    assert visible_lines("行\n\\d") == "行\n\\d"
