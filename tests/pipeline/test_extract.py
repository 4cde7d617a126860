"""What must hold of a document's row, and of what names the folder that it lies in."""

from __future__ import annotations

import datetime
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.characters import character_signals, class_table, count_classes
from filters.text_buffers import code_points
from pipeline import extract, responses
from pipeline.extract_settings import Extract, ExtractLimits
from pipeline.ledger import Entry
from pipeline.outcomes import Reject
from pipeline.plan import Input
from pipeline.schemas import DOCUMENTS
from pipeline.web import charset
from pipeline.web.crawl_facts import with_crawl_facts
from pipeline.web.extraction import Extraction
from pipeline.web.main_text import PAGE_TYPES, extractor_name
from pipeline.web.main_text import extract as extract_text
from pipeline.web.page import read_page
from pipeline.web.visible_letters import most_japanese_letters
from pipeline.web.warc import read_record_at, read_records
from pipeline.web.warc_record import Record
from tests.pipeline.conftest import ROOT, SAMPLE, execute, table_rows

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
    found = responses.PageReader(settings or Extract(), {}).read(given, "x.warc.gz", None)
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
    assert row["link_ratio"] == 0
    assert row["capped"] is None
    assert row_of(page(HEAD, "<div>" * 2_000))["capped"] == "depth"


def test_trafilatura_leaves_them_empty_but_for_what_the_reader_capped():
    row = row_of(page(HEAD), Extract(extractor="trafilatura"))
    assert row["extractor"].startswith("trafilatura ")
    assert (row["page_type"], row["extraction_confidence"], row["link_ratio"], row["capped"]) == (None,) * 4
    assert row_of(page(HEAD, "<div>" * 2_000), Extract(extractor="trafilatura"))["capped"] == "depth"


@pytest.mark.parametrize(
    ("head", "title", "published_at"),
    [("", "別の題", datetime.date(2023, 3, 4)), (HEAD, "紙を漉く", datetime.date(2024, 1, 13))],
)
def test_the_extractors_own_title_and_date_stand_in_where_there_is_no_other(head, title, published_at):
    reader = responses.PageReader(Extract(), {})
    reader.extract = lambda *given: Extraction(TEXT, "別の題", "2023-03-04", "another 1")
    row = reader.read(page(head), "x.warc.gz", None)
    assert isinstance(row, dict)
    assert (row["title"], row["published_at"]) == (title, published_at)


def test_what_the_crawler_cut_is_flagged_and_dropped_on_request():
    cut = page(HEAD)
    cut.truncated = "length"
    assert row_of(cut)["warc_truncated"] == "length"
    reader = responses.PageReader(Extract(truncated="dropped"), {})
    found = reader.read(cut, "x.warc.gz", None)
    assert isinstance(found, Reject) and (found.reason, found.detail) == ("truncated", "length")
    assert isinstance(reader.read(page(HEAD), "x.warc.gz", None), dict)


def test_no_text_is_a_reject_that_names_what_was_capped():
    found = responses.PageReader(Extract(), {}).read(record(f"<!-- {TEXT} -->{'<div>' * 2_000}"), "x.warc.gz", None)
    assert isinstance(found, Reject)
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


def test_the_link_ratio_counts_letters_in_links():
    """Letters of the text, white space aside: those within an `a` with a target, of all."""
    linked = "春になれば板に張って乾かします。"
    html = HEAD + f"<p>{TEXT}</p><p>冬の朝、水は冷たい。<a href='/kansou'>{linked}</a>道具は洗って陰に干します。</p>"
    row = row_of(page(html))
    assert linked in row["text"]
    letters = len("".join(row["text"].split()))
    assert row["link_ratio"] == pytest.approx(len(linked) / letters)
    assert row_of(page(html.replace("<a href='/kansou'>", "").replace("</a>", "")))["link_ratio"] == 0


def test_rows_hold_what_the_schema_says(sample_run):
    rows = table_rows(sample_run.out, "documents")
    assert {row["page_type"] for row in rows} <= set(PAGE_TYPES)
    assert all(0 <= row["extraction_confidence"] <= 1 for row in rows)
    assert all(row["text"].strip() == row["text"] for row in rows)


PAGES = sorted((ROOT.parent / "shared" / "data" / "dev" / "pages").glob("*/*.html"))


def japanese_letters(text: str) -> int:
    signals = count_signals(text)
    return max(signals["japanese_letters"], signals["swallow_japanese_letters"])


def count_signals(text: str) -> dict[str, int]:
    codes = code_points(text)
    counted = character_signals(count_classes(codes, np.array([0, len(codes)]), class_table()))
    return {name: int(values[0]) for name, values in counted.items() if name.endswith("japanese_letters")}


PIECES = """<p>紙を漉く。
<div hidden>隠れた紙
<ruby>紙<rt>かみ</ruby>
<table><tr><td>紙<td>楮</table>
&#x7d19;
<noscript>紙屋</noscript>
<template>紙</template>
<title>紙の里</title>
<h1>紙の里</h1>
<li>墨
<script type='math/tex'>紙</script>
<math><mi>紙</mi></math>
<img alt=紙の写真>
<textarea>筆
<pre>紙
<select><option>紙
<iframe>紙</iframe>
<svg><title>紙</title></svg>
</div>
<nav>紙の店
和和和和和和和和和和和和和和和""".split("\n")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25))
def test_no_main_text_has_more_japanese_letters_than_its_page(pieces):
    page = read_page("".join(pieces))
    for tables, ruby in (("rows", "parentheses"), ("markdown", "dropped")):
        assert japanese_letters(extract_text(page, tables=tables, ruby=ruby).text) <= most_japanese_letters(page)


@pytest.mark.skipif(not PAGES, reason="the shared test data is absent")
def test_no_real_page_has_fewer_japanese_letters_than_its_main_text():
    for path in PAGES:
        page = read_page(charset.decode(path.read_bytes()).text)
        assert japanese_letters(extract_text(page, ruby="parentheses").text) <= most_japanese_letters(page), path.name


def test_pages_of_too_few_letters_are_dropped_early_and_no_other(tmp_path):
    outs = {least: tmp_path / str(least) for least in ("null", "150")}
    found = {}
    for least, out in outs.items():
        out.mkdir()
        execute(out, [SAMPLE], overrides=(f"extract.visible_japanese_letters={least}",))
        found[least] = {name: table_rows(out, name) for name in ("corpus", "extract_rejects", "documents")}
    # The demo's own rule asks for 150 letters.
    assert {row["id"] for row in found["150"]["corpus"]} == {row["id"] for row in found["null"]["corpus"]}
    early = [row for row in found["150"]["extract_rejects"] if row["reason"] == "too_few_japanese_letters_visible"]
    assert early and all(row["value"] < row["limit"] == 150 for row in early)
    texts = {row["id"]: row["text"] for row in found["null"]["documents"]}
    assert all(japanese_letters(texts.get(row["id"], "")) <= row["value"] for row in early)


def test_other_types_are_counted_and_can_be_found_again(sample_run):
    rows = [row for row in sample_run.rows("extract_rejects") if row["reason"] == "not_html"]
    counted = sample_run.done["documents"].entries["sample"].notes["other_types"]
    assert rows and Counter(row["detail"] or "" for row in rows) == Counter(counted)
    for row in rows:
        found = read_record_at(str(SAMPLE), row["warc_offset"], row["warc_length"], 8_000_000)
        assert (found.url, found.content_type, row["warc_file"]) == (row["url"], row["detail"], SAMPLE.name)


@pytest.mark.parametrize("limits", [(1, 4_000_000, 1_000), (3, 4_000_000, 1_000), (16, 1, 1_000), (16, 4_000_000, 5)])
def test_pages_read_a_few_at_a_time_come_out_as_each_by_itself_and_in_order(monkeypatch, limits):
    for name, limit in zip(("_PAGES_AT_ONCE", "_BYTES_AT_ONCE", "_RESPONSES_AT_ONCE"), limits, strict=True):
        monkeypatch.setattr(extract, name, limit)
    reader, entry = responses.PageReader(Extract(), {}), Entry("sample", "extract")
    item = Input(str(SAMPLE), SAMPLE.name, SAMPLE.stat().st_size)
    found = list(extract.read_input(item, str(SAMPLE), entry, reader))
    crawl, alone = None, []
    for one in with_crawl_facts(read_records(str(SAMPLE), Extract().limits.body_bytes)):
        if one.type == "warcinfo":
            crawl = responses.crawl_name(SAMPLE.name, one.body.decode()) or crawl
        elif one.type == "response" or one.problem:
            alone.append(reader.read(one, SAMPLE.name, crawl))
    assert found == alone and any(isinstance(one, dict) for one in found)
    assert entry.read == len(found) + sum(entry.rejected.values())
