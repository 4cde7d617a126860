"""Ingest of WET files and Wikipedia's dumps: articles with their address; a broken page costs itself alone."""

from __future__ import annotations

import bz2
import gzip
import io
import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from warcio.warcwriter import WARCWriter

from pipeline.errors import UsageError
from pipeline.formats import wikipedia_xml
from pipeline.formats.rows import BadRow, Row, WrongFormat
from pipeline.formats.wet import read_wet
from pipeline.formats.wikipedia import articles_of_database
from pipeline.formats.wikipedia_cirrus import read_cirrus_dump
from pipeline.formats.wikipedia_xml import read_xml_dump
from pipeline.formats.wikitext import plain_text
from pipeline.ingest_settings import FIELDS
from pipeline.recipe import find_recipe, load_recipe
from pipeline.web.sandbox import Limits, Sandbox
from pipeline.web.warc import read_record_at
from tests.pipeline.conftest import REAL_WARCS, table_rows
from tests.pipeline.test_ingest import COMPRESSIONS, TEXT, ingest, lines, outcomes

HEAD = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="ja">\n  <siteinfo>\n'
    "    <dbname>jawiki</dbname>\n    <base>https://ja.wikipedia.org/wiki/%E3%83%A1%E3%82%A4%E3%83%B3</base>\n"
    "  </siteinfo>\n"
)


def page(title: str, text: str, namespace: int = 0, more: str = "", model: str = "wikitext") -> str:
    return (
        f"  <page>\n    <title>{escape(title)}</title>\n    <ns>{namespace}</ns>\n    <id>7</id>\n"
        f"    {more}<revision>\n      <id>70</id>\n"
        f"      <timestamp>2025-05-13T01:02:03Z</timestamp>\n      <model>{model}</model>\n"
        f'      <text bytes="1" xml:space="preserve">{escape(text)}</text>\n    </revision>\n  </page>\n'
    )


def dump(*pages: str, end: str = "</mediawiki>\n") -> bytes:
    return (HEAD + "".join(pages) + end).encode()


def read(folder: Path, content: bytes, row_bytes: int = 1_000_000) -> list[Row | BadRow]:
    path = folder / "dump"
    path.write_bytes(content)
    return list(read_xml_dump(str(path), row_bytes))


def told(rows: list[Row | BadRow]) -> list[tuple[int, str]]:
    return [(row.number, row.reason if isinstance(row, BadRow) else row.values["text"]) for row in rows]


def test_articles_have_their_text_address_and_revision_and_all_else_its_reason(tmp_path):
    pages = [
        page("紙漉き (仕事)", f"'''紙漉き'''は[[仕事]]。{TEXT}"),
        page("ノート:紙", "話", 1),
        page("手漉き", "#転送 [[紙漉き]]", more='<redirect title="紙漉き" />\n    '),
        page("テンプレート", "{}", model="json"),
        page("空", "{{工事中}}"),
    ]
    path = tmp_path / "jawiki-20250601-pages-articles.xml.bz2"
    path.write_bytes(bz2.compress(dump(*pages)))
    ingest(tmp_path / "out", find_recipe("wikipedia-ja"), [path])
    (document,), rejects, _ = outcomes(tmp_path / "out")
    assert document["text"] == f"紙漉きは仕事。{TEXT}"
    assert document["url"] == "https://ja.wikipedia.org/wiki/%E7%B4%99%E6%BC%89%E3%81%8D_(%E4%BB%95%E4%BA%8B)"
    assert (document["license"], document["license_tier"]) == ("CC-BY-SA-4.0", "share-alike")
    assert document["license_source"].startswith("source: Wikimedia") and document["language"] == "ja"
    assert document["fetched_at"].isoformat() == "2025-05-13T01:02:03+00:00"
    assert json.loads(document["source_metadata"]) == {"revision_id": "70", "wiki": "jawiki"}
    assert (document["source_id"], document["title"], document["warc_offset"]) == ("7", "紙漉き (仕事)", 0)
    assert [(row["warc_offset"], row["reason"]) for row in rejects] == [
        (1, "not_an_article"), (2, "redirect"), (3, "not_an_article"), (4, "no_text"),
    ]  # fmt: skip
    assert all(row["url"].startswith("https://ja.wikipedia.org/wiki/%") for row in rejects)


def test_a_broken_page_costs_itself_alone(tmp_path):
    good, other = page("甲", "一つ。"), page("乙", "二つ。")
    assert told(read(tmp_path, dump(good, page("x", "y").replace("</title>", ""), other))) == [
        (0, "一つ。"), (1, "broken_xml"), (2, "二つ。"),
    ]  # fmt: skip
    lost_end = page("x", "y").replace("</page>", "")
    assert told(read(tmp_path, dump(good, lost_end, other)))[1:] == [(1, "broken_xml"), (2, "二つ。")]
    spoilt = dump(good, page("x", "紙"), other).replace(">紙<".encode(), b">\xe7\xb4<")
    assert told(read(tmp_path, spoilt))[1:] == [(1, "not_utf8"), (2, "二つ。")]


@pytest.mark.parametrize("letters", [2_000, 3_000_000])
def test_a_page_too_large_is_counted_and_not_kept(tmp_path, letters):
    large = page("大", "x" * letters)
    found = read(tmp_path, dump(page("甲", "一つ。"), large, page("乙", "二つ。")), row_bytes=1_500)
    assert [row.number for row in found] == [0, 1, 2]
    assert found[1] == BadRow(1, "row_too_large", value=len(large.strip().encode()), limit=1_500)
    assert isinstance(found[2], Row)


@given(cut=st.integers(1, 400), compressed=st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_dump_that_is_cut_gives_the_pages_before_and_one_error(tmp_path_factory, cut, compressed):
    content = dump(*(page(f"頁{number}", f"{number}枚目。") for number in range(5)))
    content = bz2.compress(content) if compressed else content
    found = told(read(tmp_path_factory.mktemp("cut"), content[: -max(cut, 2)]))
    assert found[:-1] == [(number, f"{number}枚目。") for number in range(len(found) - 1)]
    assert found[-1] == (len(found) - 1, "damaged_input")


def test_what_is_no_dump_is_named(tmp_path):
    for content in (b"", b"<html><page></page></html>", b"PAR1"):
        with pytest.raises(WrongFormat, match="no XML dump of a wiki"):
            read(tmp_path, content)


def test_wikitext_that_the_parser_cannot_master_costs_one_page_and_some_time(tmp_path, monkeypatch):
    script = Path(wikipedia_xml.__file__).with_name("wikitext.py")
    with Sandbox(Limits(cpu_seconds=1.0), script) as sandbox:
        monkeypatch.setattr(wikipedia_xml, "parser", lambda: sandbox)
        found = told(read(tmp_path, dump(page("悪", "<b>" * 100_000), page("乙", "二つ。"))))
    assert found == [(0, "extraction_cpu_limit"), (1, "二つ。")]


WIKITEXT = [
        ("'''紙'''は[[和紙|紙]]で、[[パルプ]]から''作る''。", "紙は紙で、パルプから作る。"),
        ("水<ref>山田</ref>と<ref name=a />火<!-- 内緒 -->。", "水と火。"),
        ("<ruby>漉<rp>（</rp><rt>す</rt><rp>）</rp></ruby>く。", "漉く。"),
        ("{{読み仮名|紙漉き|かみすき}}と{{Ruby|紙|かみ}}。", "紙漉きと紙。"),
        ("紙（{{読み仮名_ruby不使用|甲|こう}}、{{lang-en|paper}}）", "紙（甲（こう）、paper）"),
        ("{{lang|fr|papier}}と{{仮リンク|紙屋|en|Papermaker}}と{{要出典範囲|噂|date=2020年}}。", "papierと紙屋と噂。"),
        ("紙（{{IPAlink}}）は{{要出典|date=2020年}}白い。{{DEFAULTSORT:かみ}}", "紙は白い。"),
        ("紙（{{lang-x}}、和紙）", "紙（和紙）"),
        ("[[ファイル:a.jpg|thumb|[[紙]]の絵]]本文[[Category:紙]][[en:Paper]]\n__目次非表示__", "本文"),
        ("[[:Category:紙]]と[[:en:Paper|英語の頁]]", "Category:紙と英語の頁"),
        ("[http://a.jp 紙の里]と[http://b.jp]とhttp://c.jp/", "紙の里ととhttp://c.jp/"),
        ("一行目<br />二行目\n\n\n三行目", "一行目\n二行目\n三行目"),
        ("* 一\n** 二\n# 三\n; 四\n: 五", "一\n二\n三\n四\n五"),
        ('{| class="wikitable"\n|+ 生産\n! 月 !! 枚\n|-\n| 一月 || 八百\n|-\n| [[二月]]\n| 九百<ref>x</ref>\n|}',
         "生産\n月\t枚\n一月\t八百\n二月\t九百"),
        ("<math>E = mc^2</math>とH<sub>2</sub>O", "$E = mc^2$とH2O"),
        ('<syntaxhighlight lang="python">\ndef __init__():\n    return "[[a]]"\n</syntaxhighlight>',
         'def __init__():\n    return "[[a]]"'),
        ("<code>f()</code>と__init__(、)", "f()と__init__"),
        ("&lt;b&gt; &amp;nbsp; &#x7D19;&nbsp;紙", "<b> &nbsp; 紙 紙"),
        ("== 一 ==\n=== 空 ===\n{{工事中}}\n== 二 ==\n=== 深い ===\n字\n== 脚注 ==\n<references />{{Reflist}}",
         "二\n深い\n字"),
        ("<gallery>\nファイル:a.jpg|絵\n</gallery>字", "字"),
        ("<nowiki>[[そのまま]]</nowiki>", "[[そのまま]]"),
]  # fmt: skip


@pytest.mark.parametrize(("wikitext", "text"), WIKITEXT)
def test_what_becomes_of_wikitext(wikitext, text):
    assert plain_text(wikitext) == text


@given(st.lists(st.sampled_from(
    ["{{", "}}", "[[", "]]", "{|", "|}", "|-", "\n", "|", "'''", "==", "<ref>", "</ref>", "<b>", "紙", " ", "* ",
     "<!--", "-->", "&amp;", "&#0;", "http://a.jp", "[", "]", "<nowiki>", "{{{", "}}}", "\x01", "\x02", "\t", "a="]
), max_size=40).map("".join))  # fmt: skip
@settings(deadline=None)
def test_any_wikitext_gives_lines_without_marks_of_our_own(wikitext):
    text = plain_text(wikitext)
    assert not set(text) & {"\x01", "\x02"}
    assert all(line.strip() or "nowiki" in wikitext for line in text.split("\n")) or text == ""
    assert plain_text("") == ""


def test_addresses_of_wikis_by_the_names_of_their_databases():
    assert articles_of_database("jawiki") == "https://ja.wikipedia.org/wiki/"
    assert articles_of_database("zh_yuewiktionary") == "https://zh-yue.wiktionary.org/wiki/"
    assert articles_of_database("commonswikix") is None and articles_of_database(None) is None


CIRRUS: dict[str, Any] = {
    "title": "紙漉き", "text": TEXT, "timestamp": "2025-05-13T01:02:03Z", "namespace": 0, "wiki": "jawiki",
    "version": 70, "language": "ja", "text_bytes": 80, "opening_text": "水の中で",
}  # fmt: skip


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_pages_of_the_search_index_are_articles_too(tmp_path, kind):
    action = {"index": {"_type": "_doc", "_id": "7"}}
    rows = [action, CIRRUS, action, {**CIRRUS, "namespace": 14}, action, action, {**CIRRUS, "text": None}, action, b"{"]
    path = tmp_path / "jawiki_content"
    path.write_bytes(COMPRESSIONS[kind](lines(*rows, action)))
    ingest(tmp_path / "out", find_recipe("wikipedia-ja"), [path], "ingest.format=wikipedia_cirrus")
    (document,), rejects, _ = outcomes(tmp_path / "out")
    assert (document["text"], document["source_id"], document["warc_offset"]) == (TEXT, "7", 1)
    assert document["url"] == "https://ja.wikipedia.org/wiki/%E7%B4%99%E6%BC%89%E3%81%8D"
    assert json.loads(document["source_metadata"]) == {"revision_id": 70, "wiki": "jawiki"}
    assert [(row["warc_offset"], row["reason"]) for row in rejects] == [
        (3, "not_an_article"), (4, "no_text"), (6, "no_text"), (8, "broken_json"), (9, "no_text"),
    ]  # fmt: skip


def wet(*texts: bytes, gzipped: bool = True) -> bytes:
    stream = io.BytesIO()
    writer = WARCWriter(stream, gzip=gzipped)
    about = b"isPartOf: CC-MAIN-2024-22\r\npublisher: Common Crawl\r\n"
    writer.write_record(writer.create_warc_record(
        "", "warcinfo", payload=io.BytesIO(about), warc_content_type="application/warc-fields"))  # fmt: skip
    for number, text in enumerate(texts):
        headers = {
            "WARC-Date": "2024-05-13T01:02:03Z", "WARC-Identified-Content-Language": "jpn,eng",
            "WARC-Record-ID": f"<urn:uuid:00000000-0000-0000-0000-{number:012}>", "WARC-Refers-To": "<urn:uuid:page>",
        }  # fmt: skip
        writer.write_record(writer.create_warc_record(
            f"https://a.jp/{number}", "conversion", payload=io.BytesIO(text), warc_content_type="text/plain",
            warc_headers_dict=headers, http_headers=None))  # fmt: skip
    return stream.getvalue()


@pytest.mark.parametrize("gzipped", [True, False])
def test_records_of_wet_files_are_documents_under_their_own_ids(tmp_path, gzipped):
    path = tmp_path / "a.warc.wet.gz"
    path.write_bytes(wet(TEXT.encode(), b"English alone.", b"\xff\xfe", b" \n", TEXT.encode(), gzipped=gzipped))
    ingest(tmp_path / "out", find_recipe("wet"), [path])
    documents, rejects, counts = outcomes(tmp_path / "out")
    assert [row["id"][-1] for row in documents] == ["0", "4"] and {row["text"] for row in documents} == {TEXT}
    assert documents[0]["url"] == "https://a.jp/0" and documents[0]["crawl"] == "CC-MAIN-2024-22"
    assert json.loads(documents[0]["source_metadata"]) == {"refers_to": "<urn:uuid:page>", "languages": "jpn,eng"}
    assert [row["reason"] for row in rejects] == ["not_a_conversion", "no_kana", "not_utf8", "no_text"]
    assert counts["read"] == 6
    for row in documents:
        record = read_record_at(str(path), row["warc_offset"], row["warc_length"], 1_000)
        assert record.record_id == row["warc_record_id"] and record.body == TEXT.encode()


def test_a_wet_file_that_is_cut_loses_one_record(tmp_path):
    path = tmp_path / "a.warc.wet.gz"
    path.write_bytes(wet(TEXT.encode(), TEXT.encode() * 50)[:-40])
    found = list(read_wet(str(path), 100_000))
    assert [row.reason if isinstance(row, BadRow) else "text" for row in found] == [
        "not_a_conversion", "text", "cut_record",
    ]  # fmt: skip
    path.write_bytes(wet(TEXT.encode(), TEXT.encode() * 50))
    assert [row.reason for row in read_wet(str(path), 1_000) if isinstance(row, BadRow)][1:] == ["body_too_large"]
    path.write_bytes(gzip.compress(b"no archive"))
    with pytest.raises(WrongFormat):
        list(read_wet(str(path), 1_000))


@pytest.mark.skipif(not REAL_WARCS.is_dir(), reason="the shared test data are not here")
def test_common_crawls_own_wet_file(tmp_path):
    path = REAL_WARCS / "whirlwind.warc.wet.gz"
    ingest(tmp_path / "out", find_recipe("wet"), [path], "ingest.language=null")
    (row,) = table_rows(tmp_path / "out", "documents")
    assert row["url"] == "https://an.wikipedia.org/wiki/Escopete" and row["crawl"] == "CC-MAIN-2024-22"
    assert "Escopete" in row["text"] and row["id"] == "ba729a40-ff84-4085-8d48-0a5b2ee0c42d"


def test_recipes_may_name_only_the_fields_that_a_format_has(tmp_path):
    path = tmp_path / "dump"
    path.write_bytes(dump(page("甲", "一つ。")))
    (row,) = read_xml_dump(str(path), 100_000)
    assert isinstance(row, Row) and set(row.values) == set(FIELDS["wikipedia_xml"])
    path.write_bytes(lines(CIRRUS))
    (row,) = read_cirrus_dump(str(path), 100_000)
    assert isinstance(row, Row) and set(row.values) == set(FIELDS["wikipedia_cirrus"])
    path.write_bytes(wet(b"x"))
    row = list(read_wet(str(path), 100_000))[1]
    assert isinstance(row, Row) and set(row.values) == set(FIELDS["wet"])
    with pytest.raises(UsageError, match="wet has no field 'link'; it has: text, url, date"):
        load_recipe(find_recipe("wet"), ("ingest.columns.url=link",))
