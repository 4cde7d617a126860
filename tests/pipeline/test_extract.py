"""What must hold of a document's row, and of what names the folder that it lies in."""

from __future__ import annotations

import datetime

import pytest

from pipeline import extract
from pipeline.recipe import Extract, ExtractLimits
from pipeline.schemas import DOCUMENTS
from pipeline.web.extraction import Extraction
from pipeline.web.main_text import PAGE_TYPES, extractor_name
from pipeline.web.warc_record import Record
from tests.pipeline.conftest import SAMPLE, execute, table_rows

TEXT = "和紙は簀の上で水をくぐり、繊維がからみあって一枚の紙になります。職人は冬の朝から紙を漉きます。" * 3
HEAD = """<title>紙を漉く | 紙の里</title><meta property="og:site_name" content="紙の里">
<meta name=description content="冬の谷で紙を漉く。"><link rel=canonical href="/washi">
<script type="application/ld+json">{"@type": "NewsArticle", "headline": "紙を漉く", "author": {"name": "里見花"},
"datePublished": "2024-01-13T09:00:00+09:00", "dateModified": "2024-02-01"}</script>"""


def record(html: str) -> Record:
    return Record(
        type="response",
        record_id="<urn:uuid:00000000-0000-4000-8000-000000000001>",
        url="https://kami.example/washi?from=top",
        date=datetime.datetime(2024, 5, 17, 3, tzinfo=datetime.UTC),
        http_status=200,
        body=html.encode(),
        content_type="text/html",
        http_charset="utf-8",
    )


def page(head: str, after: str = "") -> Record:
    return record(f"<html lang=ja-JP><head>{head}</head><body><article><p>{TEXT}</p></article>{after}</body></html>")


def row_of(given: Record, settings: Extract | None = None) -> dict:
    found = extract.PageReader(settings or Extract(), {}).read(given, "x.warc.gz", None)
    assert isinstance(found, dict), found
    assert list(found) and found.keys() == set(DOCUMENTS.names)
    return found


@pytest.mark.parametrize("extractor", ["kamisuki", "trafilatura"])
def test_what_a_page_says_of_itself_is_the_same_for_both_extractors(extractor):
    row = row_of(page(HEAD), Extract(extractor=extractor))
    assert row["title"] == "紙を漉く"
    assert row["author"] == "里見花"
    assert row["site_name"] == "紙の里"
    assert row["published_at"] == datetime.date(2024, 1, 13)
    assert row["modified_at"] == datetime.date(2024, 2, 1)
    assert row["description"] == "冬の谷で紙を漉く。"
    assert row["canonical_url"] == "https://kami.example/washi"
    assert row["declared_language"] == "ja-JP"
    assert TEXT in row["text"]


def test_our_extractor_fills_the_columns_of_its_judgement():
    row = row_of(page(HEAD))
    assert row["extractor"] == extractor_name()
    assert row["page_type"] in PAGE_TYPES
    assert 0 < row["extraction_confidence"] <= 1
    assert row["capped"] is None
    assert row_of(page(HEAD, "<div>" * 2_000))["capped"] == "depth"


def test_trafilatura_leaves_them_empty_but_for_what_the_reader_capped():
    row = row_of(page(HEAD), Extract(extractor="trafilatura"))
    assert row["extractor"].startswith("trafilatura ")
    assert (row["page_type"], row["extraction_confidence"], row["capped"]) == (None, None, None)
    assert row_of(page(HEAD, "<div>" * 2_000), Extract(extractor="trafilatura"))["capped"] == "depth"


@pytest.mark.parametrize(
    ("head", "title", "published_at"),
    [("", "別の題", datetime.date(2023, 3, 4)), (HEAD, "紙を漉く", datetime.date(2024, 1, 13))],
)
def test_the_extractors_own_title_and_date_stand_in_where_there_is_no_other(head, title, published_at):
    reader = extract.PageReader(Extract(), {})
    reader.extract = lambda *given: Extraction(TEXT, "別の題", "2023-03-04", "another 1")
    row = reader.read(page(head), "x.warc.gz", None)
    assert isinstance(row, dict)
    assert (row["title"], row["published_at"]) == (title, published_at)


def test_what_the_crawler_cut_is_flagged_and_dropped_on_request():
    cut = page(HEAD)
    cut.truncated = "length"
    assert row_of(cut)["warc_truncated"] == "length"
    reader = extract.PageReader(Extract(truncated="dropped"), {})
    found = reader.read(cut, "x.warc.gz", None)
    assert isinstance(found, extract.Reject) and (found.reason, found.detail) == ("truncated", "length")
    assert isinstance(reader.read(page(HEAD), "x.warc.gz", None), dict)


def test_no_text_is_a_reject_that_names_what_was_capped():
    found = extract.PageReader(Extract(), {}).read(record(f"<!-- {TEXT} -->{'<div>' * 2_000}"), "x.warc.gz", None)
    assert isinstance(found, extract.Reject)
    assert (found.reason, found.detail) == ("no_text", "capped: depth")


def test_trafilaturas_libraries_and_limits_decide_only_where_it_is_the_extractor():
    ours, theirs = extract.versions("kamisuki"), extract.versions("trafilatura")
    assert ours["extractor"] == extractor_name()
    assert theirs["extractor"].startswith("trafilatura ")
    assert theirs.keys() - ours.keys() == set(extract.TRAFILATURA_LIBRARIES)
    small = ExtractLimits(memory_bytes=1_000_000_000)
    assert extract.deciding(Extract(limits=small)) == extract.deciding(Extract())
    assert extract.deciding(Extract(extractor="trafilatura", limits=small)) != extract.deciding(
        Extract(extractor="trafilatura")
    )
    assert extract.memory_bytes(Extract()) < extract.memory_bytes(Extract(extractor="trafilatura"))


def test_each_setting_of_the_extractor_has_a_folder_of_its_own(tmp_path):
    settings = ["", "tables=dropped", "ruby=parentheses", "headline=dropped", "extractor=trafilatura"]
    folders, texts = {}, {}
    for setting in settings:
        overrides = (f"extract.{setting}",) if setting else ()
        folders[setting] = execute(tmp_path, [SAMPLE], overrides=overrides, last="extract").tables["documents"]
        texts[setting] = {row["id"]: row for row in table_rows(tmp_path, "documents")}
    assert len(set(folders.values())) == len(settings)
    again = execute(tmp_path, [SAMPLE], overrides=("extract.limits.memory_bytes=1000000000",), last="extract")
    assert again.tables["documents"] == folders[""] and again.tasks_run == 0
    assert {row["extractor"] for row in texts[""].values()} == {extractor_name()}
    assert texts["headline=dropped"].keys() == texts[""].keys()
    shorter = [key for key, row in texts["headline=dropped"].items() if len(row["text"]) < len(texts[""][key]["text"])]
    assert len(shorter) > len(texts[""]) / 2


def test_rows_hold_what_the_schema_says(sample_run):
    rows = table_rows(sample_run.out, "documents")
    assert {row["page_type"] for row in rows} <= set(PAGE_TYPES)
    assert all(0 <= row["extraction_confidence"] <= 1 for row in rows)
    assert all(row["text"].strip() == row["text"] for row in rows)
