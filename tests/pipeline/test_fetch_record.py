"""fetch-record: from a row of a release back to the record that it was made of, wherever the file lies."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import KamisukiError, UsageError
from pipeline.files import file_digest
from pipeline.release.manifest import TOMBSTONES, File, Manifest, Policy, write_manifest
from pipeline.release.record import COMMON_CRAWL, fetch_record, places_of
from pipeline.storage.http import Politeness
from pipeline.storage.places import put
from pipeline.web.warc import read_records
from tests.pipeline.conftest import SAMPLE, run_cli
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
    rows = corpus.select(["id", "url", "warc_offset"]).to_pylist()
    for row in rows:
        found = fetch_record(release, row["id"], [str(SAMPLE.parent)], QUICK)
        assert (found.pages[0].record.url, found.pages[0].record.body) == (
            row["url"],
            by_place[row["warc_offset"]].body,
        )
        assert found.row["text"]


def test_what_was_rewritten_leads_to_the_page_that_it_was_made_of(release, corpus):
    found = fetch_record(release, "made", [str(SAMPLE)], QUICK)
    assert found.pages[0].record.url == corpus.column("url")[3].as_py() and found.row["id"] == "made"
    with pytest.raises(UsageError, match="made of not-here, which this release does not hold"):
        fetch_record(release, "lost", [str(SAMPLE)], QUICK)


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
    assert "<html" in said("--input", str(SAMPLE), "--page").decode()
    body = fetch_record(release, row["id"], [str(SAMPLE)], QUICK).pages[0].record.body
    assert said("--input", str(SAMPLE), "--raw") == body


def test_the_command_says_what_is_wrong_in_a_line(release, monkeypatch, capsys):
    code, _, error = run_cli(monkeypatch, capsys, "fetch-record", str(release), "nothing")
    assert code == 2 and error.count("\n") == 1 and "check the id" in error


def test_nothing_of_a_row_reaches_the_terminal_as_a_command(corpus, tmp_path, monkeypatch, capsys):
    urls = pa.array(["https://a.example/\x1b]0;owned\x07\u202e"] * corpus.num_rows)
    made = corpus.set_column(corpus.schema.get_field_index("url"), "url", urls)
    release = released(tmp_path / "release", corpus=made)
    key = corpus.column("id")[0].as_py()
    code, printed, _ = run_cli(monkeypatch, capsys, "fetch-record", str(release), key, "--input", str(SAMPLE))
    assert code == 0 and "https://a.example/\\x1b]0;owned\\x07\\u202e" in printed
    assert not {"\x1b", "\x07", "\u202e"} & set(printed)
