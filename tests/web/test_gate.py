"""What must hold of the gate: Japanese main text always passes, declared or not; other languages do not."""

import random
import re
from pathlib import Path

import pytest
import webencodings.labels
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.charset import _MORE_LABELS, whatwg_name
from pipeline.web.gate import may_be_japanese

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "dev"
NEEDS_DATA = pytest.mark.skipif(not DATA.is_dir(), reason="the shared test data is not here")

JAPANESE = "<html><body><p>毎朝、川沿いの道を歩いて学校に通った。春には桜が咲き、トンボが飛んでいた。</p></body></html>"
CHINESE = "这是一个中文网页。我们在这里介绍日本的历史和文化，现在有很多学生学习日语，他们认为很有意思。"
TAIWANESE = "這是一個中文網頁。我們在這裡介紹日本的歷史和文化，現在有很多學生學習日語，大人和不少人都在中學上課。"
KOREAN = "이것은 한국어 페이지입니다. 우리는 일본의 역사와 문화를 소개합니다. 정말 재미있어요 ㅋㅋㅋ ㅠㅠ"
RUSSIAN = "Это русская страница. В ней мы рассказываем о Японии, её истории и культуре. Все вопросы — Владимиру."
FRENCH = "Les élèves français étaient déjà très fatigués à l’école « Émile Zola », où ça sentait l’œuf brûlé."
JAPANESE_ENCODINGS = ["utf-8", "utf-8-sig", "cp932", "euc_jp", "iso2022_jp", "utf-16"]


@pytest.mark.parametrize("encoding", JAPANESE_ENCODINGS)
def test_a_japanese_paragraph_passes_without_any_declaration(encoding: str) -> None:
    assert may_be_japanese(JAPANESE.encode(encoding)).passed


@given(
    st.text(st.sampled_from("あいうえおかがきくのはをにたですアイウンー、。漢字日本語"), min_size=40),
    st.sampled_from(JAPANESE_ENCODINGS),
)
def test_kana_among_kanji_pass_in_any_encoding(text: str, encoding: str) -> None:
    assert may_be_japanese(f"<p>{text}とても楽しかったです。</p>".encode(encoding)).passed


@pytest.mark.parametrize(
    ("text", "encodings"),
    [
        (CHINESE, ["utf-8", "gb2312", "gbk", "gb18030"]),
        (TAIWANESE, ["utf-8", "big5", "gb18030", "big5hkscs"]),
        (KOREAN, ["utf-8", "euc_kr", "cp949", "iso2022_kr"]),
        (RUSSIAN, ["utf-8", "cp1251", "koi8-r", "cp866", "iso8859-5", "mac-cyrillic"]),
        (FRENCH, ["utf-8", "cp1252", "mac-roman", "cp850"]),
        ("Plain English, nothing but it. &amp; &#8212; &#x2019;", ["ascii", "utf-16"]),
    ],
)
def test_other_languages_are_refused_in_their_encodings(text: str, encodings: list[str]) -> None:
    for encoding in encodings:
        page = f"<html lang=en><body>{text * 40}</body></html>".encode(encoding, "ignore")
        assert may_be_japanese(page) == may_be_japanese(b""), encoding


def test_what_was_counted_is_the_evidence() -> None:
    assert may_be_japanese("ひらがなカナ".encode()).evidence == "utf-8 kana 6"
    assert may_be_japanese("ひらがなの漢字".encode("cp932")).evidence == "cp932 kana 5 of 7 pairs"
    assert may_be_japanese("ひらがなの漢字".encode("euc_jp")).evidence == "euc-jp kana 5 of 7 pairs"
    assert may_be_japanese("ひらがなカナ".encode("iso2022_jp")).evidence == "iso-2022-jp kana 6"
    assert may_be_japanese("ひらがなカナ".encode("utf-16")).evidence == "utf-16 kana 6"
    assert may_be_japanese("ひらがなカナ".encode("utf-16-be"), "utf-16be").evidence == "no_kana"
    assert may_be_japanese("<p>ひらがなカナ</p>".encode("utf-16-be"), "utf-16be").evidence == "utf-16 kana 6"
    assert may_be_japanese(b"").evidence == "no_kana"


@pytest.mark.parametrize("form", ["&#{:d};", "&#x{:x};", "&#X{:X};", "&#{:d}", "&#0{:d};"])
def test_numeric_references_count(form: str) -> None:
    body = "".join(form.format(ord(letter)) for letter in "ひらがなカナ").encode()
    assert may_be_japanese(body).evidence == "references 6"
    assert not may_be_japanese(body[: len(body) // 6 * 4]).passed


def test_half_width_katakana_count() -> None:
    assert may_be_japanese("ﾄｯﾌﾟﾍﾟｰｼﾞ".encode()).passed
    assert may_be_japanese("ﾄｯﾌﾟﾍﾟｰｼﾞ".encode("cp932"), "shift_jis").passed


FEW = "日本語サイト"


@pytest.mark.parametrize(
    ("head", "charset", "language"),
    [
        ("<html lang=ja>", None, None),
        ("<HTML LANG='ja-JP'>", None, None),
        ('<html prefix="og: a>b" lang="ja">', None, None),
        ('<html xml:lang="ja">', None, None),
        ('<html lang="jp">', None, None),
        ("<!doctype html>\n<html class=x\nlang = ja >", None, None),
        ('<meta http-equiv="content-language" content="ja">', None, None),
        ('<meta content="en, ja" http-equiv="Content-Language">', None, None),
        ('<meta charset="x-sjis">', None, None),
        ("", "EUC-JP", None),
        ("", None, "ja"),
        ("", None, "en, ja-JP"),
    ],
)
def test_a_declaration_lets_few_kana_pass(head: str, charset: str | None, language: str | None) -> None:
    assert may_be_japanese((head + FEW).encode(), charset, language).passed
    assert not may_be_japanese((head + "English only").encode(), charset, language).passed


JAPANESE_LABELS = sorted(
    label
    for label in {*webencodings.labels.LABELS, *_MORE_LABELS}
    if whatwg_name(label) in ("shift_jis", "euc-jp", "iso-2022-jp")
)


@given(st.sampled_from(JAPANESE_LABELS), st.booleans(), st.integers(0, 70))
def test_every_label_of_a_japanese_charset_is_a_declaration(label: str, upper: bool, shift: int) -> None:
    declared = f'{" " * shift}<meta charset="{label.upper() if upper else label}">'
    assert may_be_japanese((declared + "日本").encode()).evidence.startswith("charset=")


@pytest.mark.parametrize(
    ("head", "charset", "language"),
    [
        ("", None, None),
        ('<html lang="jam">', None, None),
        ("<html lang=en>", None, None),
        ('<html data-lang="ja">', None, None),
        ('<html lang="en"><a lang="ja" hreflang="ja">', None, None),
        ("<html lang=", None, None),
        ("", None, "jam"),
        ("", "utf-8", "en"),
        ("", "nonsense\ud800", "\ud800"),
    ],
)
def test_few_kana_do_not_pass_without_a_declaration(head: str, charset: str | None, language: str | None) -> None:
    assert not may_be_japanese((head + FEW).encode(), charset, language).passed


def test_a_language_menu_or_a_title_in_passing_is_not_japanese() -> None:
    menu = '<a lang="ja" href="/ja/">日本語</a> <a lang="zh" href="/zh/">中文</a>'
    assert not may_be_japanese(f"<html lang=en><p>An English page.</p>{menu}".encode()).passed
    quoting = CHINESE * 60 + "《となりのトトロ》"
    assert not may_be_japanese(quoting.encode()).passed
    assert not may_be_japanese((KOREAN * 60 + "となりのトトロ").encode()).passed


@pytest.mark.parametrize("encoding", JAPANESE_ENCODINGS)
def test_damage_does_not_matter(encoding: str) -> None:
    body = bytearray((JAPANESE * 5).encode(encoding))
    for place in range(40, len(body), 97):
        body[place] = 0xFF
    assert may_be_japanese(bytes(body)).passed


def test_random_bytes_are_refused() -> None:
    assert not any(may_be_japanese(random.Random(seed).randbytes(20_000)).passed for seed in range(20))


@given(st.binary(max_size=200), st.none() | st.text(max_size=8), st.none() | st.text(max_size=8))
def test_any_bytes_are_taken(body: bytes, charset: str | None, language: str | None) -> None:
    gate = may_be_japanese(body, charset, language)
    assert gate.passed is (gate.evidence != "no_kana")


@given(st.binary(max_size=30), st.integers(0, 70))
def test_where_a_page_begins_in_a_block_of_bytes_does_not_matter(body: bytes, shift: int) -> None:
    kana = "ひらがなカナ".encode()
    assert may_be_japanese(b"<" * shift + kana + b"<" + body).passed == may_be_japanese(kana + b"<" + body).passed


def undeclared(body: bytes) -> bytes:
    return re.sub(rb"(?:encoding|charset|lang)\s*=\s*[\"']?[\w-]+[\"']?", b"", body)


@NEEDS_DATA
@pytest.mark.parametrize(("folder", "japanese"), [("ja", True), ("other", False)])
def test_real_pages_without_their_declarations(folder: str, japanese: bool) -> None:
    for path in sorted((DATA / "pages" / folder).glob("*.html")):
        assert may_be_japanese(undeclared(path.read_bytes())).passed is japanese, path.name


@NEEDS_DATA
@pytest.mark.parametrize("encoding", JAPANESE_ENCODINGS)
def test_real_main_texts_in_every_encoding(encoding: str) -> None:
    for path in sorted((DATA / "pages" / "ja").glob("*.txt")):
        assert may_be_japanese(path.read_text("utf-8").encode(encoding, "ignore")).passed, path.name


@NEEDS_DATA
@pytest.mark.parametrize(
    ("folder", "japanese"),
    [("CP932", True), ("SHIFT_JIS", True), ("EUC-JP", True), ("Big5", False), ("EUC-KR", False)],
)
def test_real_feeds(folder: str, japanese: bool) -> None:
    for path in sorted((DATA / "charset" / folder).iterdir()):
        assert may_be_japanese(undeclared(path.read_bytes())).passed is japanese, path.name
