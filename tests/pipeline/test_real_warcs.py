"""Real crawls, broken and odd ones included: all of it is accounted for and the pages with gold become documents."""

import json
from collections import Counter

import pytest

from pipeline.entry_pack import load_entries
from pipeline.web.gate import may_be_japanese
from pipeline.web.warc import read_record_at, read_records
from tests.pipeline.conftest import REAL_WARCS, SampleRun, execute, table_rows

pytestmark = pytest.mark.skipif(not REAL_WARCS.exists(), reason="the real WARC files are not on this machine")


@pytest.fixture(scope="module")
def real_run(tmp_path_factory) -> SampleRun:
    out = tmp_path_factory.mktemp("real") / "out"
    job = execute(out, sorted(REAL_WARCS.iterdir()), "swallow-v2")
    return SampleRun(out, job, job.execute([], last="extract"))


def test_every_record_of_every_file_is_accounted_for(real_run):
    entries = load_entries(real_run.done["documents"].folder)
    assert sum(len(entry.inputs) for entry in entries) == len(list(REAL_WARCS.iterdir()))
    assert all(entry.balance() == 0 for entry in entries)
    records = sum(1 for path in REAL_WARCS.iterdir() for _ in read_records(str(path), 8_000_000))
    assert sum(entry.read for entry in entries) == records


def test_japanese_pages_with_gold_are_documents(real_run):
    manifest = json.loads((REAL_WARCS.parent / "manifest.json").read_text(encoding="utf-8"))
    gold = {row["warc_url"] for row in manifest["files"] if row.get("lang") == "ja" and row.get("gold")}
    found = {row["url"] for row in real_run.rows("documents")}
    missing = {row["url"]: row["reason"] for row in real_run.rows("extract_rejects") if row["url"] in gold - found}
    assert len(gold) == 57
    assert len(gold & found) >= 55, missing
    assert missing.keys() == gold - found, "each page that is no document has its reason"


def test_each_document_can_be_read_again_by_its_place(real_run):
    by_name = {path.name: path for path in REAL_WARCS.iterdir()}
    rows = real_run.rows("documents")
    for row in rows[:: max(1, len(rows) // 25)]:
        place = str(by_name[row["warc_file"]])
        record = read_record_at(place, row["warc_offset"], row["warc_length"], 8_000_000)
        assert (record.url, record.record_id) == (row["url"], row["warc_record_id"])
        assert may_be_japanese(record.body, record.http_charset).passed


def test_ids_are_unique_but_for_records_that_stand_twice(real_run):
    counted = Counter(row["id"] for row in table_rows(real_run.out, "corpus"))
    assert counted and max(counted.values()) == 1
