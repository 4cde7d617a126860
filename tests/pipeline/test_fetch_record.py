"""fetch-record: from a row of a release back to the record that it was made of, wherever the file lies."""

from __future__ import annotations

import base64
import datetime
import gzip
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import KamisukiError, UsageError
from pipeline.files import file_digest
from pipeline.release.manifest import TOMBSTONES, File, Manifest, Policy, read_manifest, write_manifest
from pipeline.release.record import COMMON_CRAWL, fetch_record, places_of
from pipeline.release.record_story import page_lines
from pipeline.release_run import ReleaseRun
from pipeline.release_settings import Settings
from pipeline.report.explain import explain_document
from pipeline.runner import InProcessRunner
from pipeline.storage.http import Politeness
from pipeline.storage.places import put
from pipeline.web.warc import NotWarc, read_records
from pipeline.web.warc_raw import RawRecord, payload_digest, read_raw_record
from tests.pipeline.conftest import SAMPLE, Quiet, run_cli
from tests.pipeline.loopback import made_bucket, moto_server, web_server

QUICK = Politeness(wait_seconds=0.01, tries=2)


def released(folder: Path, **tables: pa.Table) -> Path:
    """A release by hand: a file for each table."""
    files = []
    for name, table in tables.items():
        path = folder / "data" / name / "train-00000-of-00001.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table, path, row_group_size=7)
        where = path.relative_to(folder).as_posix()
        facts = {"rows": table.num_rows, "characters": 0, "bytes": path.stat().st_size, "sha256": file_digest(path)}
        files.append(File(path=where, config=name, split="train", **facts))
    policy = Policy(license_tiers=None, refused_consent=False)
    made = {"name": "mine", "date": datetime.date(2026, 11, 26), "kamisuki": "0.1.0", "seed": 1, "validation": 0.0}
    write_manifest(folder, Manifest(**made, by=[], policy=policy, tasks=[], configs=[], files=files))
    return folder


@pytest.fixture(scope="module")
def corpus(sample_run) -> pa.Table:
    return pq.read_table(next((sample_run.out / sample_run.job.tables["corpus"]).glob("*.parquet")))


@pytest.fixture
def release(corpus, tmp_path) -> Path:
    made = {"id": "made", "source_ids": [corpus.column("id")[3].as_py()], "url": "https://a.example/", "lineage": []}
    lost = made | {"id": "lost", "source_ids": ["not-here"]}
    return released(tmp_path / "release", corpus=corpus, rewritten=pa.Table.from_pylist([made, lost]))


def test_every_row_leads_to_its_own_record(release, corpus):
    by_place = {record.offset: record for record in read_records(str(SAMPLE), 8_000_000)}
    rows = corpus.select(["id", "url", "warc_offset", "payload_digest"]).to_pylist()
    for row in rows:
        found = fetch_record(release, row["id"], [str(SAMPLE.parent)], QUICK)
        assert (found.pages[0].record.url, found.pages[0].record.body) == (
            row["url"],
            by_place[row["warc_offset"]].body,
        )
        assert found.row["text"]
        payload = found.pages[0].payload
        assert (payload.holds, payload.computed) == (True, row["payload_digest"])


def test_what_was_rewritten_leads_to_the_page_that_it_was_made_of(release, corpus):
    found = fetch_record(release, "made", [str(SAMPLE)], QUICK)
    assert found.pages[0].record.url == corpus.column("url")[3].as_py() and found.row["id"] == "made"
    with pytest.raises(UsageError, match="made of not-here, which this release does not hold"):
        fetch_record(release, "lost", [str(SAMPLE)], QUICK)


def test_each_source_of_a_rewritten_row_is_shown_from_the_run_where_the_release_has_it_not(
    sample_run, corpus, tmp_path, monkeypatch, capsys
):
    ids = corpus.column("id").to_pylist()[:2]
    made = pa.Table.from_pylist([{"id": "made", "source_ids": ids, "url": "https://a.example/", "lineage": []}])
    release = released(tmp_path / "release", rewritten=made)
    with pytest.raises(UsageError, match="which this release does not hold"):
        fetch_record(release, "made", [str(SAMPLE)], QUICK)
    note_origin(release, sample_run)
    found = fetch_record(release, "made", [str(SAMPLE)], QUICK)
    assert [page.row["id"] for page in found.pages] == ids
    code, printed, _ = run_cli(monkeypatch, capsys, "fetch-record", str(release), "made", "--input", str(SAMPLE))
    assert code == 0 and all(f"({key})\n  record: {SAMPLE}" in printed for key in ids)
    assert printed.count("corpus: kept") == 2


def note_origin(release: Path, run: Any, **tables: str) -> None:
    """Say of a release which run it was made of."""
    folder = tables.get("corpus", run.job.tables["corpus"])
    known = {"out": str(run.out), "recipe": "demo", "tables": {"demo": {"folder": folder, "shards": ""}}}
    (release / ".local").mkdir(exist_ok=True)
    (release / ".local" / "origin.json").write_text(json.dumps(known))


def test_the_steps_between_are_those_of_the_run_where_it_is_at_hand_else_of_the_columns(
    release, corpus, sample_run, monkeypatch, capsys
):
    row = next(row for row in corpus.to_pylist() if row["edits"])
    licensed = next(row for row in corpus.to_pylist() if row["license"])

    def told() -> str:
        code, printed, _ = run_cli(monkeypatch, capsys, "fetch-record", str(release), row["id"], "--input", str(SAMPLE))
        assert code == 0
        assert f"license: {row['license'] or 'none found'} ({row['license_tier']})" in printed
        return printed

    by_columns = told()
    assert "by the columns of the row" in by_columns and f"edit: {row['edits'][0]['kind']}" in by_columns
    assert f"{len(row['text'])} characters by {row['extractor']}" in by_columns and "annotate" not in by_columns
    note_origin(release, sample_run)
    by_run = told()
    assert f"by {sample_run.out}:" in by_run and "judge: passed" in by_run
    assert set(explain_document(sample_run.out, row["id"])) <= set(by_run.splitlines())
    # Where the run read the file is known to its plan.
    code, printed, _ = run_cli(monkeypatch, capsys, "fetch-record", str(release), row["url"])
    assert code == 0 and printed.startswith(f"{row['url']} ({row['id']})\n  record: {SAMPLE}")
    note_origin(release, sample_run, corpus="corpus-of-old")
    assert "whose corpus is another by now" in told()
    row = licensed
    found = fetch_record(release, row["id"], [str(SAMPLE)], QUICK)
    evidence = f'{row["license"]} ({row["license_tier"]}), by "{row["license_url"]}" ({row["license_source"]})'
    assert any(evidence in line for line in page_lines(found.pages[0]))


def test_the_rules_of_the_recipe_are_told_where_the_run_is_not_at_hand(sample_run, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    shutil.copytree(sample_run.out, out)
    ReleaseRun(out, tmp_path / "release", Settings(), InProcessRunner(), Quiet()).build()
    shutil.rmtree(out)
    made = read_manifest(tmp_path / "release")
    key = pq.read_table(tmp_path / "release" / made.files[0].path).column("id")[0].as_py()
    code, printed, _ = run_cli(
        monkeypatch, capsys, "fetch-record", str(tmp_path / "release"), key, "--input", str(SAMPLE)
    )
    assert code == 0
    rules = [rule for rule in made.tasks[0].recipe["select"]["rules"] if rule["min"] is not None]
    assert rules and all(f"rule: {rule['signal']}" in printed for rule in rules)


def records() -> list[bytes]:
    """The sound responses of the sample, inflated."""
    data = SAMPLE.read_bytes()
    found = [each for each in read_records(str(SAMPLE), 8_000_000) if each.type == "response" and not each.problem]
    return [gzip.decompress(data[each.offset : each.offset + each.length]) for each in found]


FORMS = {
    "members": lambda found: b"".join(map(gzip.compress, found)),
    "plain": b"".join,
    "one member": lambda found: gzip.compress(b"".join(found)),
}


@pytest.mark.parametrize("form", FORMS)
def test_headers_and_payload_are_the_bytes_of_the_file(form, tmp_path):
    inflated = b"".join(records())
    path = tmp_path / "a.warc.gz"
    path.write_bytes(FORMS[form](records()))
    seen = 0
    for record in read_records(str(path), 8_000_000):
        raw = read_raw_record(str(path), record.offset, record.record_id, 8_000_000)
        whole = raw.header + raw.http_header + raw.payload
        assert whole in inflated and f"WARC-Record-ID: {record.record_id}".encode() in raw.header
        assert raw.header.endswith(b"\r\n\r\n") and raw.http_header.startswith(b"HTTP/1.")
        if record.payload_digest:
            seen += payload_digest(raw, record.payload_digest, record.body).holds is True
    assert seen > 20
    with pytest.raises(NotWarc):
        read_raw_record(str(path), record.offset, "<urn:uuid:of-another>", 8_000_000)


def http_record(payload: bytes, *headers: str) -> RawRecord:
    return RawRecord(b"WARC/1.0\r\n\r\n", "\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode(), payload)


PAGE = "紙を漉く。".encode()
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(PAGE), PAGE)
BASE32 = base64.b32encode(hashlib.sha1(PAGE).digest()).decode()


@pytest.mark.parametrize(
    ("raw", "said", "holds", "of"),
    [
        (http_record(PAGE), f"sha1:{BASE32}", True, "as it is stored"),
        (http_record(PAGE), f"SHA-1: {BASE32.lower()}", True, "as it is stored"),
        (http_record(PAGE), f"sha1:{hashlib.sha1(PAGE).hexdigest()}", True, "as it is stored"),
        (http_record(PAGE), f"sha256:{hashlib.sha256(PAGE).hexdigest()}", True, "as it is stored"),
        (http_record(PAGE), f"md5:{base64.b32encode(hashlib.md5(PAGE).digest()).decode()}", True, "as it is stored"),
        (http_record(CHUNKED, "Transfer-Encoding: chunked"), f"sha1:{BASE32}", True, "without its transfer coding"),
        (http_record(gzip.compress(PAGE), "Content-Encoding: gzip"), f"sha1:{BASE32}", True, "without its codings"),
        (http_record(b"\r\n" + PAGE, f"Content-Length: {len(PAGE)}"), f"sha1:{BASE32}", True, "without an empty line"),
        (http_record(PAGE + b"x"), f"sha1:{BASE32}", False, "as it is stored"),
        (http_record(PAGE), None, None, "as it is stored"),
        (http_record(PAGE), "crc32:00000000", None, "as it is stored"),
        (http_record(PAGE), "sha1:", None, "as it is stored"),
        (http_record(PAGE), "sha1:日本", None, "as it is stored"),
    ],
)
def test_the_digest_of_a_payload_is_computed_and_compared(raw, said, holds, of):
    found = payload_digest(raw, said, PAGE if b"\nContent-Encoding" in raw.http_header else raw.payload)
    assert found.holds is holds and of in found.of
    if said is None:
        assert found.computed == f"sha1:{BASE32}"


def test_a_payload_that_was_changed_is_told_and_fails(corpus, tmp_path, monkeypatch, capsys):
    row = corpus.slice(0, 1).to_pylist()[0]
    start, stop = row["warc_offset"], row["warc_offset"] + row["warc_length"]
    member = bytearray(gzip.decompress(SAMPLE.read_bytes()[start:stop]))
    place = member.rindex(b"<")
    member[place] ^= 1
    made = gzip.compress(bytes(member), mtime=0)
    path = tmp_path / "sample.warc.gz"
    path.write_bytes(made)
    places = {"warc_offset": 0, "warc_length": len(made)}
    changed = pa.Table.from_pylist([row | places], schema=corpus.schema)
    release = released(tmp_path / "release", corpus=changed)
    code, printed, _ = run_cli(monkeypatch, capsys, "fetch-record", str(release), row["id"], "--input", str(path))
    assert code == 1 and f"but {row['payload_digest']} in WARC-Payload-Digest" in printed


def test_a_record_that_shares_its_member_is_read_from_the_whole_file(corpus, tmp_path):
    (tmp_path / "web").mkdir()
    path = tmp_path / "web" / "sample.warc.gz"
    path.write_bytes(FORMS["one member"](records()))
    row = corpus.slice(4, 1).to_pylist()[0]
    record = next(found for found in read_records(str(path), 8_000_000) if found.record_id == row["warc_record_id"])
    places = {"warc_offset": record.offset, "warc_length": record.length}
    release = released(tmp_path / "release", corpus=pa.Table.from_pylist([row | places], schema=corpus.schema))
    said: list[str] = []
    with web_server(path.parent) as (url, _):
        found = fetch_record(release, row["id"], [url], QUICK, said.append)
    assert found.pages[0].record.body == record.body and found.pages[0].payload.holds
    assert len(said) == 1 and "fetching the whole file" in said[0]


def test_the_file_may_lie_on_a_web_server_or_on_s3(release, corpus, tmp_path, monkeypatch):
    row = corpus.slice(5, 1).to_pylist()[0]
    with web_server(SAMPLE.parent) as (url, seen):
        found = fetch_record(release, row["id"], [url], QUICK)
    assert found.pages[0].record.url == row["url"]
    asked = [headers for _, _, headers in seen.requests]
    assert len(asked) == 1 and {name.lower() for name in asked[0]} >= {"range"}
    with moto_server() as port, made_bucket(port, tmp_path / "cache", monkeypatch) as bucket:
        put(SAMPLE, bucket / "crawl" / "sample.warc.gz")
        # The second place is the right one.
        found = fetch_record(release, row["id"], [f"{bucket}/other", f"{bucket}/crawl"], QUICK)
    assert found.pages[0].record.url == row["url"] and found.pages[0].where.startswith(f"{bucket}/crawl")


def test_a_file_under_another_name_a_url_and_a_wrong_file(release, corpus, tmp_path):
    row = corpus.slice(0, 1).to_pylist()[0]
    renamed = tmp_path / "renamed.gz"
    renamed.write_bytes(SAMPLE.read_bytes())
    rest = row["url"].partition("://")[2]
    for key in (row["url"], f"HTTP://{rest}#top"):
        found = fetch_record(release, key, [str(renamed)], QUICK)
        assert found.row["id"] == row["id"] and found.pages[0].record.url == row["url"]
    with pytest.raises(UsageError, match=f"has no row {row['url']}/nowhere: check the URL"):
        fetch_record(release, f"{row['url']}/nowhere", [], QUICK)
    with pytest.raises(UsageError, match="was not found: tried"):
        fetch_record(release, row["id"], [str(tmp_path), str(tmp_path / "nothing")], QUICK)


def test_common_crawls_own_names_need_no_place():
    name = "crawl-data/CC-MAIN-2024-22/segments/1/warc/a.warc.gz"
    assert [str(place) for place in places_of(name, [])] == [f"{COMMON_CRAWL}/{name}"]
    assert list(places_of("mine.warc.gz", [])) == []
    assert [str(place) for place in places_of(name, ["/in"])] == [f"/in/{name}", "/in/a.warc.gz"]


def test_what_cannot_be_shown_says_why(release, corpus, tmp_path):
    row = corpus.slice(0, 1).to_pylist()[0]
    with pytest.raises(UsageError, match="has no row nothing"):
        fetch_record(release, "nothing", [], QUICK)
    with pytest.raises(UsageError, match="was not found: it has no public name: name its folder"):
        fetch_record(release, row["id"], [], QUICK)
    with pytest.raises(UsageError, match=f"tried {tmp_path}/{row['warc_file']}"):
        fetch_record(release, row["id"], [str(tmp_path)], QUICK)
    gone = {"id": ["gone"], "date": [datetime.date(2026, 11, 25)], "reason": ["asked for"]}
    pq.write_table(pa.table(gone), release / TOMBSTONES)
    with pytest.raises(UsageError, match="gone was taken down on 2026-11-25: asked for"):
        fetch_record(release, "gone", [], QUICK)


def test_another_file_under_the_name_is_found_out(corpus, tmp_path):
    other = tmp_path / "sample.warc.gz"
    other.write_bytes(SAMPLE.read_bytes()[200:])
    row = corpus.slice(2, 1).to_pylist()[0]
    release = released(tmp_path / "release", corpus=corpus)
    with pytest.raises(KamisukiError, match="no record of"):
        fetch_record(release, row["id"], [str(other)], QUICK)
    wrong = corpus.set_column(
        corpus.schema.get_field_index("payload_digest"), "payload_digest", pa.array(["sha1:A"] * corpus.num_rows)
    )
    with pytest.raises(KamisukiError, match=r"another record at offset.*payload_digest"):
        fetch_record(released(tmp_path / "wrong", corpus=wrong), row["id"], [str(SAMPLE)], QUICK)


def test_a_row_of_another_file_has_no_record(corpus, tmp_path):
    nulls = pa.nulls(corpus.num_rows, pa.string())
    made = corpus.set_column(corpus.schema.get_field_index("warc_record_id"), "warc_record_id", nulls)
    key = corpus.column("id")[0].as_py()
    with pytest.raises(UsageError, match="came from no WARC record but from row"):
        fetch_record(released(tmp_path / "release", corpus=made), key, [], QUICK)


def test_the_command_prints_the_story_the_page_and_its_bytes(release, corpus, monkeypatch, capfdbinary):
    row = next(row for row in corpus.to_pylist() if row["charset"] != "utf-8" and row["title"])

    def said(*more: str) -> bytes:
        monkeypatch.setattr("sys.argv", ["kamisuki", "fetch-record", str(release), row["id"], *more])
        from pipeline.cli import main

        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code
        return capfdbinary.readouterr().out

    story = said("--input", str(SAMPLE)).decode()
    assert row["url"] in story and row["warc_record_id"] in story and f"charset {row['charset']}" in story
    headers = said("--input", str(SAMPLE), "--headers").decode()
    assert headers.startswith("WARC/1.") and f"WARC-Target-URI: {row['url']}" in headers and "\nHTTP/1.1 200" in headers
    assert "<html" in said("--input", str(SAMPLE), "--page").decode()
    body = fetch_record(release, row["id"], [str(SAMPLE)], QUICK).pages[0].record.body
    assert said("--input", str(SAMPLE), "--raw") == body


def test_the_command_says_what_is_wrong_in_a_line(release, monkeypatch, capsys):
    code, _, error = run_cli(monkeypatch, capsys, "fetch-record", str(release), "nothing")
    assert code == 2 and error.count("\n") == 1 and "check the id" in error
    code, _, error = run_cli(monkeypatch, capsys, "fetch-record", str(release), "nothing", "--raw", "--headers")
    assert code == 2 and "give one of them" in error


def test_nothing_of_a_row_reaches_the_terminal_as_a_command(corpus, tmp_path, monkeypatch, capsys):
    urls = pa.array(["https://a.example/\x1b]0;owned\x07\u202e"] * corpus.num_rows)
    made = corpus.set_column(corpus.schema.get_field_index("url"), "url", urls)
    release = released(tmp_path / "release", corpus=made)
    key = corpus.column("id")[0].as_py()
    code, printed, _ = run_cli(monkeypatch, capsys, "fetch-record", str(release), key, "--input", str(SAMPLE))
    assert code == 0 and "https://a.example/\\x1b]0;owned\\x07\\u202e" in printed
    assert not {"\x1b", "\x07", "\u202e"} & set(printed)
