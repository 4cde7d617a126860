"""Ingest: every row of other people's files is a document or a reject, whatever the files, shards and interruptions."""

from __future__ import annotations

import bz2
import datetime
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.entry_pack import load_entries
from pipeline.errors import UsageError
from pipeline.formats.jsonl import read_json_lines
from pipeline.formats.mapping import columns_of
from pipeline.formats.parquet import read_parquet
from pipeline.formats.rows import BadRow, Row
from pipeline.ingest_settings import Collection, Ingest
from pipeline.recipe import load_recipe
from pipeline.run import Run
from pipeline.runner import InProcessRunner
from pipeline.steps import Incomplete
from tests.pipeline.conftest import Quiet, table_bytes, table_rows

TEXT = "水の中で紙を漉く。冬の朝から晩まで、職人は桶の前に立つ。"
RECIPE = """
name: tiny
ingest:
  format: {format}
  columns: {{url: url, fetched_at: day, license: license, source_id: key}}
  keep: [key]
  sources:
    first: {{files: "first/*", license: CC-BY-SA-4.0, license_evidence: its terms}}
    second: {{files: "*"}}
dedup: null
"""


def recipe(folder: Path, text: str = "", **places: str) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(text or RECIPE.format(**{"format": "jsonl", **places}), encoding="utf-8")
    return path


def ingest(out: Path, file: Path, inputs: list[Path], *overrides: str, **stages: str) -> Run:
    job = Run(load_recipe(file, overrides), out, InProcessRunner(), Quiet())
    stages = stages or {"first": "ingest", "last": "ingest"}
    job.execute([str(path) for path in inputs], **stages)
    return job


def lines(*rows: Any) -> bytes:
    return b"".join(
        (row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode()) + b"\n" for row in rows
    )


def outcomes(out: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Counter[str]]:
    """Documents, rejects and all that the ledger counts; its sums are checked on the way."""
    documents, rejects = table_rows(out, "documents"), table_rows(out, "extract_rejects")
    counts: Counter[str] = Counter()
    for folder in out.glob("documents-*"):
        for entry in load_entries(folder):
            assert entry.balance() == 0
            counts.update({"read": entry.read, "written": entry.written})
            counts.update(entry.rejected)
            counts.update(entry.errors)
    assert counts["written"] == len(documents)
    assert counts["read"] == len(documents) + len(rejects)
    return documents, rejects, counts


BROKEN = {
    b'{"text": null}': "no_text",
    b'{"txt": "a"}': "no_text",
    b'{"text": " \\n "}': "no_text",
    b'{"text": 3}': "wrong_type",
    b'{"text": ["a"]}': "wrong_type",
    b'{"text": true}': "wrong_type",
    b'["text"]': "wrong_type",
    b'"text"': "wrong_type",
    b'{"text": "a"': "broken_json",
    b"text": "broken_json",
    b"[" * 200_000: "broken_json",
    b'{"text": ' + b"9" * 5_000 + b"}": "broken_json",
    b'{"text": "\xff\xfe"}': "not_utf8",
    "{\"text\": \"紙\"}".encode("shift_jis"): "not_utf8",
    b'{"text": "\\ud83d is half"}': "not_utf8",
}  # fmt: skip


def test_each_kind_of_bad_line_costs_itself_alone_and_has_its_reason_and_place(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows: list[Any] = []
    for line in BROKEN:
        rows += [line, {"text": TEXT, "key": len(rows)}]
    path.write_bytes(lines(*rows))
    ingest(tmp_path / "out", recipe(tmp_path), [path])
    documents, rejects, counts = outcomes(tmp_path / "out")
    assert [row["warc_offset"] for row in rejects] == list(range(0, len(rows), 2))
    assert [row["reason"] for row in rejects] == list(BROKEN.values())
    assert [row["warc_offset"] for row in documents] == list(range(1, len(rows), 2))
    assert counts["read"] == len(rows)
    assert len({row["id"] for row in documents + rejects}) == len(rows)


def test_a_line_too_large_is_passed_over_without_being_kept(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines({"text": "あ" * 2_000_000}, {"text": TEXT}))
    found = list(read_json_lines(str(path), 1_000))
    size = len(path.read_bytes().split(b"\n")[0]) + 1
    assert found == [BadRow(0, "row_too_large", value=size, limit=1_000), Row(1, {"text": TEXT})]


def test_lines_without_anything_are_no_rows_but_count_as_lines(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + lines({"text": "1"}, b"", b"  \r", {"text": "2"}) + b'{"text": "3"}')
    assert [(row.number, row.values["text"]) for row in read_json_lines(str(path), 1_000)] == [
        (0, "1"), (3, "2"), (4, "3"),
    ]  # fmt: skip


COMPRESSIONS = {"plain": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "zstd": zstd.compress}


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_a_file_reads_the_same_however_it_is_compressed_and_called(tmp_path, kind):
    content = [lines(*({"text": f"{part} {index}"} for index in range(50))) for part in range(3)]
    path = tmp_path / "rows.dat"
    path.write_bytes(b"".join(COMPRESSIONS[kind](part) for part in content))
    found = list(read_json_lines(str(path), 1_000))
    assert [row.values["text"] for row in found] == [f"{part} {index}" for part in range(3) for index in range(50)]


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "zstd"])
@given(cut=st.integers(20, 2_000), seed=st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_what_stands_before_a_cut_is_read_and_the_rest_is_one_error(tmp_path_factory, kind, cut, seed):
    wanted = [f"{index * (seed + 7919) % 10007} {TEXT}" for index in range(300)]
    whole = COMPRESSIONS[kind](lines(*({"text": text} for text in wanted)))
    path = tmp_path_factory.mktemp("cut") / "rows"
    path.write_bytes(whole[: -min(cut, len(whole) - 20)])
    found = list(read_json_lines(str(path), 100_000))
    texts = [row.values["text"] for row in found[:-1] if isinstance(row, Row)]
    assert texts == wanted[: len(texts)] and len(texts) == len(found) - 1
    assert isinstance(found[-1], BadRow) and found[-1].reason == "damaged_input"
    assert found[-1].number == len(texts)


def table(rows: int, **more: Any) -> pa.Table:
    return pa.table({"text": [f"{index} {TEXT}" for index in range(rows)], "key": list(range(rows)), **more})


def test_rows_of_parquet_are_numbered_over_all_row_groups(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(table(1_000), path, row_group_size=300)
    found = list(read_parquet(str(path), ["text"], 1_000))
    assert [(row.number, row.values) for row in found] == [
        (index, {"text": f"{index} {TEXT}"}) for index in range(1_000)
    ]


def test_bad_values_of_parquet_cost_their_rows_alone(tmp_path):
    text = pa.array([b"good", b"\xff\xfe", None, b"good too"], pa.binary())
    times = pa.array([0, 2**62, 0, 1_700_000_000_123_456_789], pa.int64()).cast(pa.timestamp("ns"))
    for name, column in (("binary", text), ("string", pa.Array.from_buffers(pa.string(), 4, text.buffers()))):
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"text": column, "day": times, "url": ["https://a.jp/"] * 4}), path)
        ingest(tmp_path / name, recipe(tmp_path, RECIPE.format(format="parquet").replace(
            "license: license, source_id: key", "content_type: url").replace("[key]", "[day]")), [path])  # fmt: skip
        documents, rejects, _ = outcomes(tmp_path / name)
        assert [(row["warc_offset"], row["reason"]) for row in rejects] == [(1, "not_utf8"), (2, "no_text")]
        assert [(row["warc_offset"], row["text"]) for row in documents] == [(0, "good"), (3, "good too")]
        assert documents[1]["fetched_at"].isoformat() == "2023-11-14T22:13:20.123456+00:00"


def test_a_damaged_row_group_costs_its_rows_one_by_one(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(table(3_000), path, row_group_size=1_000, compression="zstd", use_dictionary=False)
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    damaged = bytearray(path.read_bytes())
    middle = column.data_page_offset + column.total_compressed_size // 2
    damaged[middle : middle + 64] = bytes(64)
    path.write_bytes(damaged)
    found = list(read_parquet(str(path), ["text"], 1_000))
    assert [row.number for row in found] == list(range(3_000))
    bad = [row for row in found if isinstance(row, BadRow)]
    assert {row.reason for row in bad} == {"damaged_input"}
    assert bad and {row.number // 1_000 for row in bad} == {1}


@pytest.mark.parametrize(
    ("content", "format", "message"),
    [
        (b"PAR1 and no more", "parquet", "rows: no whole Parquet file"),
        (b"", "parquet", "rows: no whole Parquet file"),
        (b'{"text": "a"}\n', "parquet", "rows: no whole Parquet file"),
        ("parquet", "jsonl", "set ingest.format to parquet"),
        ("cut", "parquet", "rows: no whole Parquet file"),
        ("parquet", "parquet", "no column is called 'day'; there are: text, key, url"),
    ],
)
def test_a_file_of_another_format_fails_its_shard_with_what_to_do(tmp_path, content, format, message):
    path = tmp_path / "rows"
    if isinstance(content, str):
        pq.write_table(table(5, url=["u"] * 5), path)
        content = path.read_bytes()[: -10 if content == "cut" else None]
    path.write_bytes(content)
    with pytest.raises(Incomplete, match=message):
        ingest(tmp_path / "out", recipe(tmp_path, format=format), [path])


def write_parts(folder: Path, parts: int) -> list[Path]:
    """Forty rows, every fourth of them broken, dealt out to files of different names, sizes and compressions."""
    kinds = list(COMPRESSIONS.values())
    paths = []
    broken = list(BROKEN)
    for part in range(parts):
        rows = [
            broken[index % len(broken)] if index % 4 == 0 else
            {"text": f"{index} {TEXT}", "url": f"https://a.jp/{index}", "day": "2024-05-13", "key": index}
            for index in range(part, 40, parts)
        ]  # fmt: skip
        path = folder / ("first" if part % 2 else "second") / f"rows-{part}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(kinds[part % 4](lines(*rows)))
        paths.append(path)
    return paths


def as_set(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(json.dumps(row, sort_keys=True, default=str) for row in rows)


@pytest.mark.parametrize("documents_bytes", [1, 2_000, 100_000_000])
def test_any_packing_of_files_into_shards_gives_the_same_rows(tmp_path, documents_bytes, monkeypatch):
    monkeypatch.setattr("pipeline.plan.LEAST_SHARDS", 1)
    paths = write_parts(tmp_path, 7)
    ingest(tmp_path / "one", recipe(tmp_path), paths, "shards.documents_bytes=1", "shards.yield_ratio=1000000")
    job = ingest(tmp_path / "other", recipe(tmp_path), paths, f"shards.documents_bytes={documents_bytes}",
                 "shards.yield_ratio=1")  # fmt: skip
    assert (len(job.shards) == 1) == (documents_bytes > 2_000)
    one, other = outcomes(tmp_path / "one"), outcomes(tmp_path / "other")
    assert as_set(one[0]) == as_set(other[0]) and as_set(one[1]) == as_set(other[1])
    assert one[2] == other[2] and one[2]["read"] == 40


def test_a_run_that_was_interrupted_gives_the_bytes_of_one_that_was_not(tmp_path, monkeypatch):
    paths = write_parts(tmp_path, 5)
    whole = ingest(tmp_path / "whole", recipe(tmp_path), paths)
    from pipeline import ingest as stage

    read, seen = stage.read_rows, []

    def break_off(path: str, options: Ingest) -> Any:
        for row in read(path, options):
            seen.append(row)
            if len(seen) == 21:
                raise KeyboardInterrupt
            yield row

    monkeypatch.setattr(stage, "read_rows", break_off)
    with pytest.raises(KeyboardInterrupt):
        ingest(tmp_path / "resumed", recipe(tmp_path), paths)
    left = len(list((tmp_path / "resumed").rglob("*.ledger.json")))
    assert 0 < left < 5
    monkeypatch.setattr(stage, "read_rows", read)
    job = ingest(tmp_path / "resumed", recipe(tmp_path), [])
    assert job.tasks_run == 5 - left and whole.tasks_run == 5
    assert table_bytes(tmp_path / "resumed") == table_bytes(tmp_path / "whole")
    assert ingest(tmp_path / "resumed", recipe(tmp_path), []).tasks_run == 0


def test_license_and_source_come_from_the_row_then_from_the_folder(tmp_path):
    rows = [{"text": TEXT, "license": "MIT"}, {"text": TEXT}, {"text": TEXT, "license": ["MIT", "GPL-3.0-only"]},
            {"text": TEXT, "license": ["MIT", "LicenseRef-odd"]}, {"text": TEXT, "license": {"a": 1}}]  # fmt: skip
    paths = [tmp_path / folder / "rows.jsonl" for folder in ("first", "elsewhere")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(lines(*rows))
    job = ingest(tmp_path / "out", recipe(tmp_path), paths)
    documents, _, _ = outcomes(tmp_path / "out")
    assert len({row["id"] for row in documents}) == 10, "the same rows of two files are two documents"
    by_source: dict[str, list[Any]] = {}
    for row in documents:
        by_source.setdefault(row["source"], []).append((row["license"], row["license_tier"], row["license_source"]))
    own = [("MIT", "attribution", "row: license"), ("GPL-3.0-only AND MIT", "share-alike", "row: license"),
           ("LicenseRef-odd AND MIT", "unknown", "row: license")]  # fmt: skip
    default = ("CC-BY-SA-4.0", "share-alike", "source: its terms")
    # A license that cannot be read is not the folder's either.
    assert by_source["first"] == [own[0], default, own[1], own[2], (None, "unknown", None)]
    assert by_source["second"] == [own[0], (None, "unknown", None), own[1], own[2], (None, "unknown", None)]
    (entry,) = [entry for entry in load_entries(tmp_path / "out" / job.tables["documents"]) if "first" in entry.shard]
    assert entry.notes["unusable"] == {"license": 1}


def test_a_file_of_no_source_ends_the_command_before_anything_is_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines({"text": TEXT}))
    with pytest.raises(UsageError, match=r"belongs to no source of ingest.sources \(first: first/\*\)"):
        ingest(tmp_path / "out", recipe(tmp_path, RECIPE.format(format="jsonl").replace("second: {files: \"*\"}", "")),
               [path])  # fmt: skip
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_ids_are_those_of_warc_records_else_of_url_date_and_text_else_of_the_row(tmp_path):
    record = "<urn:uuid:0D5E2B34-0000-4AAA-8BBB-123456789ABC>"
    page = {"text": TEXT, "url": "https://a.jp/", "day": "2024-05-13T01:02:03Z"}
    rows = [{**page, "license": record}, page, {"text": TEXT}, {**page, "license": "no id"}]
    text = RECIPE.format(format="jsonl").replace("license: license", "warc_record_id: license")
    (tmp_path / "a").mkdir()
    ids = []
    for name, order in (("a/rows.jsonl", rows), ("moved.jsonl", rows[::-1])):
        path = tmp_path / name
        path.write_bytes(lines(*order))
        ingest(tmp_path / f"out-{path.stem}", recipe(tmp_path, text), [path])
        found = [row["id"] for row in table_rows(tmp_path / f"out-{path.stem}", "documents")]
        ids.append(found if order is rows else found[::-1])
    assert ids[0][0] == "0d5e2b34-0000-4aaa-8bbb-123456789abc"
    assert ids[0][:2] == ids[1][:2], "what the web tells of a page decides, not where its row lies"
    assert ids[0][2] != ids[1][2]
    assert ids[0][1] == ids[0][3] and len(set(ids[0])) == 3


@given(st.integers(0, 4_000_000_000))
def test_counts_since_1970_are_read_in_any_unit(seconds):
    options = Ingest(format="jsonl", columns={"fetched_at": "t"}, sources={"a": Collection()})
    wanted = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=seconds)
    for factor in (1, 10**3, 10**6, 10**9) if seconds > 100_000_000 else (1,):
        assert columns_of({"t": seconds * factor}, options, Collection()).values["fetched_at"] == wanted


@given(st.dictionaries(st.sampled_from(["url", "day", "key", "license", "score"]), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)))  # fmt: skip
def test_no_value_of_a_field_costs_a_document(values):
    options = Ingest(
        format="jsonl", keep=("key", "day"), sources={"a": Collection()},
        columns={"url": "url", "fetched_at": "day", "published_at": "day", "source_id": "key", "license": "license",
                 "language_score": "score"},
    )  # fmt: skip
    found = columns_of(values, options, Collection())
    from pipeline.schemas import DOCUMENTS

    batch = pa.RecordBatch.from_pylist([dict.fromkeys(DOCUMENTS.names) | found.values], schema=DOCUMENTS)
    batch.validate(full=True)
    assert not set(found.unusable) & set(found.values)
    json.loads(found.values["source_metadata"])


def test_only_japanese_texts_pass_where_the_recipe_asks_for_them(tmp_path):
    path = tmp_path / "rows.jsonl"
    texts = [
        TEXT,
        "Nothing but English stands here.",
        "全漢字文章也許是中文文章",
        "Some English with の in it, and more of it.",
    ]
    path.write_bytes(lines(*({"text": text} for text in texts)))
    ingest(tmp_path / "out", recipe(tmp_path), [path], "ingest.language={}")
    documents, rejects, _ = outcomes(tmp_path / "out")
    assert [row["text"] for row in documents] == [TEXT]
    assert documents[0]["language"] == "ja" and documents[0]["language_score"] > 0.5
    assert [row["reason"] for row in rejects] == ["no_kana", "no_kana", "not_japanese"]


def test_every_later_stage_runs_on_what_was_ingested(tmp_path):
    near = [f"{TEXT}職人{number}人が春を待つ。" for number in (1, 2)]
    sentences = "".join(
        f"{month}月には{month * 7}枚の紙が仕上がり、村の子らが板に張って庭に並べた。" for month in range(1, 13)
    )
    rows = [{"text": sentences + text, "url": f"https://a.jp/{index}", "day": "2024-05-13"}
            for index, text in enumerate([near[0], near[1], near[0]])]  # fmt: skip
    rows.append({"text": TEXT, "url": "https://b.jp/short"})
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in ("text", "url", "day", "key", "license")
                             }), path)  # fmt: skip
    text = RECIPE.format(format="parquet").replace(
        "dedup: null",
        """
dedup: {kinds: [exact, near], signature: {preset: fineweb}}
select: {rules: [{signal: characters, min: 100}, {signal: source, any_of: [second]}], columns: [characters], clean: {}}
""",
    )
    job = ingest(tmp_path / "out", recipe(tmp_path, text), [path], first="extract", last="select")
    documents = {row["id"]: row for row in table_rows(tmp_path / "out", "documents")}
    corpus, rejects = table_rows(tmp_path / "out", "corpus"), table_rows(tmp_path / "out", "rejects")
    assert len(corpus) == 1 and corpus[0]["source"] == "second" and corpus[0]["characters"] > 100
    removed = table_rows(tmp_path / "out", "duplicates")
    assert {row["id"] for row in corpus + rejects + removed} == documents.keys()
    assert Counter([row["reason"] for row in rejects] + [f"duplicate_{row['kind']}" for row in removed]) == {
        "too_few_characters": 1, "duplicate_exact": 1, "duplicate_near": 1,
    }  # fmt: skip
    assert set(job.tables) >= {"documents", "signals", "signatures", "corpus"}


def test_explain_tells_of_rows_and_reads_those_again_that_were_not_kept(tmp_path):
    from pipeline.report.explain import explain

    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines({"text": TEXT, "url": "https://a.jp/1"}, {"text": 3, "url": "https://a.jp/2"}))
    ingest(tmp_path / "out", recipe(tmp_path), [path], "ingest.rejects_kept=0")
    assert table_rows(tmp_path / "out", "extract_rejects") == []
    told = "\n".join(explain(tmp_path / "out", "https://a.jp/1"))
    assert "rows.jsonl, offset 0" in told and f"ingest: {len(TEXT)} characters by ingest jsonl" in told
    told = "\n".join(explain(tmp_path / "out", "https://a.jp/2"))
    assert "ingest: rejected as wrong_type" in told and "read again" in told


@pytest.mark.parametrize(("last", "message"), [("extract", "has no stage extract: it begins with ingest")])
def test_a_recipe_that_ingests_does_not_extract(tmp_path, last, message):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines({"text": TEXT}))
    with pytest.raises(UsageError, match=message):
        ingest(tmp_path / "out", recipe(tmp_path), [path], first="extract", last=last)


def test_a_gzip_with_zeros_behind_is_whole(tmp_path):
    # Tapes and some copies pad with zeros; gzip passes over them.
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(lines({"text": "1"})) + bytes(512))
    assert list(read_json_lines(str(path), 100)) == [Row(0, {"text": "1"})]
