"""Selection by the columnar index: what is selected, what it costs, and that ranges read what whole files read."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.columnar_index import Speed, index_files, price, select
from pipeline.errors import UsageError
from pipeline.inputs import find_inputs
from pipeline.selected import GAP_KEY, SELECTION, by_file, coalesce
from pipeline.source_settings import Sources
from pipeline.storage import fetch as fetching
from pipeline.web.crawl_facts import as_metadata, read_crawl_facts
from pipeline.web.warc import read_records
from tests.pipeline.conftest import execute, run_cli, table_rows
from tests.pipeline.loopback import every, web_server

CRAWL = "CC-MAIN-2024-51"
QUICK = ("sources.wait_seconds=0.001",)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KAMISUKI_CACHE", str(tmp_path / "cache"))


def index_rows(path: Path, name: str) -> list[dict[str, Any]]:
    """What the index would say of a WARC file: every second page is called Japanese, and a few others stand between."""
    rows = []
    for number, record in enumerate(read_records(str(path), 8_000_000)):
        if record.type == "response" and not record.problem:
            rows.append(
                {
                    "fetch_status": record.http_status,
                    "content_mime_type": record.content_type,
                    "content_mime_detected": "text/html" if record.content_type == "text/html" else None,
                    "content_charset": None,
                    "content_languages": ("jpn", "eng,jpn,deu", None, "jpnx", "eng")[number % 5],
                    "warc_filename": name,
                    "warc_record_offset": record.offset,
                    "warc_record_length": record.length,
                    "url": record.url,
                }
            )
    return rows


@pytest.fixture
def mirror(parts, tmp_path) -> Path:
    """A crawl of the sample's six parts, with its lists and its index in two files."""
    folder = tmp_path / "mirror"
    crawl = folder / "crawl-data" / CRAWL
    crawl.mkdir(parents=True)
    names = [f"crawl-data/{CRAWL}/{path.name}" for path in parts]
    rows = []
    for path, name in zip(parts, names, strict=True):
        (folder / name).write_bytes(path.read_bytes())
        rows += index_rows(path, name)
    (crawl / "warc.paths.gz").write_bytes(gzip.compress("".join(f"{name}\n" for name in names).encode()))
    table = folder / "cc-index/table/cc-main/warc" / f"crawl={CRAWL}"
    listed = []
    schema = pa.schema([("fetch_status", pa.int16()), *((name, pa.string()) for name in list(rows[0])[1:6])]).append(
        pa.field("warc_record_offset", pa.int32())
    )
    schema = schema.append(pa.field("warc_record_length", pa.int32())).append(pa.field("url", pa.string()))
    for number, subset in enumerate(("warc", "warc", "robotstxt")):
        path = table / f"subset={subset}" / f"part-{number:05d}.gz.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        # The index is sorted by URL: captures of one WARC file are spread over its files.
        some = sorted(rows, key=lambda row: str(row["url"]))[number::2] if subset == "warc" else rows
        pq.write_table(pa.Table.from_pylist(some, schema=schema), path, row_group_size=20)
        listed.append(f"{path.relative_to(folder)}\n")
    (crawl / "cc-index-table.paths.gz").write_bytes(gzip.compress("".join(listed).encode()))
    return folder


def test_japanese_html_that_was_fetched_well_is_selected(mirror, parts):
    found = select(CRAWL, Sources(base=str(mirror)))
    wanted = {
        (row["warc_filename"], row["warc_record_offset"], row["warc_record_length"])
        for path in parts
        for row in index_rows(path, f"crawl-data/{CRAWL}/{path.name}")
        if row["fetch_status"] == 200
        and row["content_languages"] in ("jpn", "eng,jpn,deu")
        and (row["content_mime_detected"] or row["content_mime_type"]) in ("text/html", "application/xhtml+xml")
    }
    got = list(zip(*(found.column(name).to_pylist() for name in ("warc_filename", "offset", "length")), strict=True))
    assert set(got) == wanted and len(got) == len(wanted) > 20
    assert got == sorted(got)
    some = select(f"{CRAWL}:1-2", Sources(base=str(mirror)))
    assert set(some.column("warc_filename").to_pylist()) == {f"crawl-data/{CRAWL}/part-{n}.warc.gz" for n in (1, 2)}


@pytest.mark.parametrize("gap", ["--delay=0", "--delay=0.001", "--delay=10"])
def test_ranges_read_what_whole_files_read_while_the_server_misbehaves(mirror, tmp_path, monkeypatch, capsys, gap):
    monkeypatch.setattr(fetching.time, "sleep", lambda seconds: None)
    whole = tmp_path / "whole"
    execute(whole, [CRAWL], overrides=(*QUICK, f"sources.base={mirror}"), last="extract")
    with web_server(mirror, every(3)) as (site, seen):
        code, printed, error = run_cli(
            monkeypatch, capsys, "index", CRAWL, "--to", str(tmp_path / "ja"), "--base", site, "--ranges", gap
        )
        assert code == 0, error
        assert "requests" in printed and "ja.selection.parquet" in printed
        out = tmp_path / "ranges"
        given = [str(tmp_path / "ja.selection.parquet")]
        job = execute(out, given, overrides=(*QUICK, f"sources.base={site}"), last="extract")
        assert execute(out, given, overrides=(*QUICK, f"sources.base={site}"), last="extract").tasks_run == 0
        asked = [headers["Range"] for headers in seen.of("GET", ".warc.gz")]
    selection = pq.read_table(tmp_path / "ja.selection.parquet")
    places = set(
        zip(selection.column("warc_filename").to_pylist(), selection.column("offset").to_pylist(), strict=True)
    )
    for table in ("documents", "extract_rejects"):
        by_place = {(row["warc_file"], row["warc_offset"]): row for row in table_rows(whole, table)}
        found = {(row["warc_file"], row["warc_offset"]): row for row in table_rows(out, table)}
        assert found.keys() <= places
        # The index's word that a page is Japanese is evidence that the file itself lacks: the gate lets more in.
        kept_out = {place for place, row in by_place.items() if row.get("reason") == "no_kana"}
        expected = {place: row for place, row in by_place.items() if place in places - kept_out}
        assert expected or table != "documents"
        assert {place: row for place, row in found.items() if place in expected} == expected
    assert job.tasks_run == 6
    gap_bytes = int(pq.read_schema(tmp_path / "ja.selection.parquet").metadata[GAP_KEY.encode()])
    ranges = sum(len(coalesce(offsets, lengths, gap_bytes)) for _, offsets, lengths in by_file(selection))
    assert (ranges > 20) if gap == "--delay=0" else ranges >= 6 if gap == "--delay=0.001" else ranges == 6
    assert ranges <= len(asked) <= ranges + sum(seen.happened.values())
    # Nothing outside of the ranges was fetched as a whole file.
    assert all(value != "bytes=0-" for value in asked)


def test_a_selection_from_a_folder_needs_no_copy(mirror, tmp_path, monkeypatch, capsys):
    code, _, error = run_cli(
        monkeypatch, capsys, "index", CRAWL, "--to", str(tmp_path / "ja"), "--base", str(mirror), "--ranges"
    )
    assert code == 0, error
    out = tmp_path / "out"
    execute(out, [str(tmp_path / "ja.selection.parquet")], overrides=(f"sources.base={mirror}",), last="extract")
    assert table_rows(out, "documents")
    assert not (tmp_path / "cache" / "inputs").exists()
    with pytest.raises(UsageError, match="another OUT"):
        execute(out, [CRAWL], overrides=(f"sources.base={mirror}",), last="extract")


def test_the_cheaper_way_is_chosen_unless_another_is_asked_for(mirror, tmp_path, monkeypatch, capsys):
    def index(*more: str) -> str:
        code, printed, error = run_cli(
            monkeypatch, capsys, "index", CRAWL, "--to", str(tmp_path / "ja"), "--base", str(mirror), *more
        )
        assert code == 0, error
        return printed

    assert "ja.selection.parquet" in index("--rate", "0.001", "--delay", "0")
    printed = index("--whole", "--rate", "0.001", "--delay", "0")
    assert "ja.paths" in printed and "asked for" in printed
    assert [str(place) for place in find_inputs([str(tmp_path / "ja.paths")], Sources(base="s3://commoncrawl"))] == [
        f"s3://commoncrawl/crawl-data/{CRAWL}/part-{number}.warc.gz" for number in range(6)
    ]
    code, _, error = run_cli(monkeypatch, capsys, "index", CRAWL, "--to", str(tmp_path / "x"), "--ranges", "--whole")
    assert code == 2 and "one of them" in error


@pytest.mark.parametrize("crawl", ["CC-MAIN-2018-34", "CC-MAIN-2013-20", "CC-MAIN-2018-34:0-3"])
def test_a_crawl_without_languages_is_one_clear_error(mirror, crawl):
    with pytest.raises(UsageError, match=r"CC-MAIN-2018-39.*--input CC-MAIN") as error:
        index_files(crawl, Sources(base=str(mirror)))
    assert "\n" not in str(error.value)


def test_an_index_without_the_column_is_one_clear_error(mirror):
    for path in mirror.rglob("*.parquet"):
        pq.write_table(pq.read_table(path).drop_columns(["content_languages"]), path)
    with pytest.raises(UsageError, match="content_languages"):
        select(CRAWL, Sources(base=str(mirror)))


@given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 300)), min_size=1, max_size=40), st.integers(0, 1_000))
def test_ranges_cover_all_records_and_are_farther_apart_than_the_gap(steps, gap):
    lengths = np.array([length for _, length in steps])
    offsets = np.cumsum([step for step, _ in steps]) + np.concatenate([[0], np.cumsum(lengths)[:-1]])
    ranges = coalesce(offsets, lengths, gap)
    for offset, length in zip(offsets, lengths, strict=True):
        assert sum(start <= offset and offset + length <= stop for start, stop in ranges) == 1
    assert all(later[0] - earlier[1] > gap for earlier, later in itertools.pairwise(ranges))
    assert ranges[0][0] == offsets[0] and ranges[-1][1] == offsets[-1] + lengths[-1]
    table = pa.table([["x"] * len(steps), offsets, lengths, [None] * len(steps), [None] * len(steps)], schema=SELECTION)
    speed = Speed(1_000.0, gap / 1_000, 1)
    assert speed.gap_bytes in (gap, gap - 1)
    by_range, whole = price(table, speed)
    assert by_range.bytes <= whole.bytes and by_range.requests >= whole.requests == 1
    # Two ranges as one never take less time: what lies between costs more than a request.
    assert by_range.seconds <= speed.seconds(1, ranges[-1][1] - ranges[0][0]) + 1e-6


def test_what_the_index_says_is_read_as_the_crawls_metadata_is():
    assert read_crawl_facts(as_metadata("eng,jpn", "Shift_JIS")).japanese
    assert read_crawl_facts(as_metadata("eng,jpn", "Shift_JIS")).charset == "Shift_JIS"
    assert not read_crawl_facts(as_metadata("eng,jpnx", None)).japanese
    assert read_crawl_facts(as_metadata(None, None)) == read_crawl_facts(b"")
