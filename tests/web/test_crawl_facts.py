"""What the crawl's metadata record says reaches its response, decides doubtful pages and refuses none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.charset import decode
from pipeline.web.crawl_facts import CrawlFacts, read_crawl_facts, with_crawl_facts
from pipeline.web.gate import may_be_japanese
from pipeline.web.warc_record import Record

TEXT = "和紙は簀の上で水をくぐり、繊維がからみあって一枚の紙になります。"
LIST_OF_NAMES = "山田紙店　鈴木製紙　東京都千代田区　電話番号"


def block(code: str = "ja", covered: float = 0.98, charset: str = "Shift_JIS") -> bytes:
    languages = {"reliable": True, "text-bytes": 500, "languages": [{"code": code, "text-covered": covered}]}
    lines = ("fetchTimeMs: 170", f"charset-detected: {charset}", f"languages-cld2: {json.dumps(languages)}", "")
    return "\r\n".join(lines).encode()


def test_languages_and_charset_are_read():
    assert read_crawl_facts(block()) == CrawlFacts(True, "Shift_JIS")
    assert read_crawl_facts(block("zh", charset="UTF-8")) == CrawlFacts(False, "UTF-8")
    assert not read_crawl_facts(block(covered=0.03)).japanese


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"fetchTimeMs: 12\r\n",
        b"languages-cld2: {",
        b"languages-cld2: [1]",
        b'languages-cld2: {"languages": [{"code": "ja"}]}',
        b"languages-cld2: " + b'{"languages":' * 100_000 + b'"ja"',
        b'languages-cld2: {"languages": [{"code": "ja", "text-covered": ' + b"9" * 400 + b"}]}",
    ],
)
def test_malformed_facts_say_nothing(value: bytes) -> None:
    assert read_crawl_facts(value) == CrawlFacts()


@given(st.binary(max_size=300))
def test_any_block_is_taken(value: bytes) -> None:
    read_crawl_facts(value)
    read_crawl_facts(b"languages-cld2: " + value + b"\r\ncharset-detected: " + value)


def test_facts_decide_a_doubtful_page_and_refuse_none() -> None:
    names = LIST_OF_NAMES.encode()
    assert not may_be_japanese(names).passed
    assert may_be_japanese(names, crawl_metadata=block(charset="UTF-8")).evidence.startswith("languages-cld2=ja")
    japanese = names.decode().encode("cp932")
    assert may_be_japanese(japanese, crawl_metadata=block("zh")).evidence.startswith("charset-detected=shift_jis")
    assert not may_be_japanese(names, crawl_metadata=block("zh", charset="UTF-8")).passed
    assert not may_be_japanese(b"<p>no such letter", crawl_metadata=block()).passed
    assert may_be_japanese(TEXT.encode(), crawl_metadata=block("zh", charset="GB2312")).passed


def test_the_detected_charset_is_a_candidate_like_any_other() -> None:
    # Kanji alone: nothing in the bytes says whether they are EUC-JP or Chinese.
    raw = LIST_OF_NAMES.replace("　", "").encode("euc-jp")
    assert decode(raw, None, "EUC-JP").text == LIST_OF_NAMES.replace("　", "")
    assert decode(raw, None, "EUC-JP").source == "crawl"
    wrong = decode((TEXT * 3).encode("cp932"), None, "EUC-JP")
    assert (wrong.text, wrong.source) == (TEXT * 3, "detected")


def record(kind: str, key: str | None, about: str | None = None) -> Record:
    return Record(kind, record_id=key, concurrent_to=about, body=block() if kind == "metadata" else b"")


def test_facts_go_to_the_response_that_they_are_about_only() -> None:
    given_records = [
        record("warcinfo", "w"),
        record("request", "q1"),
        record("response", "r1"),
        record("metadata", "m1", "r1"),
        record("response", "r2"),
        record("response", "r3"),
        record("metadata", "m2", "r2"),
        record("response", None),
        record("metadata", "m3", None),
        record("response", "r4"),
    ]
    found = list(with_crawl_facts(given_records))
    assert found == given_records
    assert [one.record_id for one in found if one.crawl_metadata] == ["r1"]
