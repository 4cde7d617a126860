"""Both extractors answer in one form; ours needs no other process."""

import subprocess

import pytest

from pipeline.web import extractors, main_text
from pipeline.web.extraction import Extraction, ExtractionFailure
from pipeline.web.extractors import extractor_version, kamisuki, make_extractor, trafilatura
from pipeline.web.main_text import PAGE_TYPES, Text, extractor_name
from pipeline.web.page import read_page
from pipeline.web.sandbox import Limits

LINES = [
    "この谷で紙が漉かれるようになった時期ははっきりしない。寺に残る文書に、年貢として紙を納めたという一行がある。",
    "原料は楮の皮で、冬に刈り取って蒸し、皮をはいで川の水にさらす。雪の上に広げると、日の光で白くなるという。",
    "漉き手は簀桁を揺すり、水の中の繊維をからませる。揺すり方ひとつで、紙の厚さも強さも変わってしまう。",
    "春になると紙は板に張られ、庭先に並ぶ。乾いた紙は一枚ずつはがされ、傷を改めてから町の問屋へ送られた。",
]
ARTICLE = f"""<!DOCTYPE html><html lang=ja><head><title>紙を漉くということ</title></head><body>
<nav><a href="/">入口</a> <a href="/map">地図</a></nav><article><h1>紙を漉くということ</h1>
<p>{LINES[0]}</p><p>ここでは<ruby>楮<rp>（</rp><rt>こうぞ</rt><rp>）</rp></ruby>を使う。{LINES[1]}</p><p>{LINES[2]}</p>
<table><tr><th>月</th><th>枚数</th></tr><tr><td>一月に漉いた枚数</td><td>八百枚</td></tr>
<tr><td>二月に漉いた枚数</td><td>七百枚</td></tr></table><p>{LINES[3]}</p></article>
<footer><a href="/about">この資料室について</a></footer></body></html>"""


def of(html: str, **settings: str) -> Extraction | ExtractionFailure:
    return kamisuki(**settings)(read_page(html), html, None, None)


def text_of(html: str, **settings: str) -> str:
    found = of(html, **settings)
    assert isinstance(found, Extraction)
    return found.text


def test_both_find_the_article_and_name_themselves() -> None:
    page = read_page(ARTICLE)
    for name in ("kamisuki", "trafilatura"):
        extract_page = make_extractor(name, Limits(), "rows", "dropped", "kept")
        found = extract_page(page, ARTICLE, "https://kami.example/", "2024-05-17")
        assert isinstance(found, Extraction)
        assert all(line in found.text for line in LINES)
        assert "この資料室について" not in found.text
        assert found.extractor == extractor_version(name)


def test_ours_says_what_type_of_page_it_saw_and_how_far_to_trust_it() -> None:
    found = of(ARTICLE)
    assert isinstance(found, Extraction)
    assert found.page_type in PAGE_TYPES
    assert found.confidence is not None and 0.5 < found.confidence <= 1
    assert (found.title, found.date, found.capped) == (None, None, frozenset())


def test_trafilatura_says_neither() -> None:
    found = trafilatura(Limits())(read_page(ARTICLE), ARTICLE, None, None)
    assert isinstance(found, Extraction)
    assert (found.page_type, found.confidence, found.capped) == (None, None, frozenset())
    assert found.title == "紙を漉くということ"


def test_ours_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    make_extractor("kamisuki", Limits(), "rows", "dropped", "kept")
    assert isinstance(of(ARTICLE), Extraction)
    make_extractor("trafilatura", Limits(), "rows", "dropped", "kept")
    with pytest.raises(AssertionError, match="started"):
        trafilatura(Limits(wall_seconds=77.0))(read_page(ARTICLE), ARTICLE, None, None)


def test_one_sandbox_serves_all_extractors_of_the_same_limits() -> None:
    limits = Limits(cpu_seconds=8.0)
    for _ in range(2):
        assert isinstance(trafilatura(limits)(read_page(ARTICLE), ARTICLE, None, None), Extraction)
    assert extractors._sandbox(limits)._pages == 2


@pytest.mark.parametrize(
    "html", ["", "<title>紙</title>", "<script>var a = '紙を漉く'</script>", "<p> \u3000\n&nbsp;</p>"]
)
def test_a_page_without_text_is_a_failure(html: str) -> None:
    assert of(html) == ExtractionFailure("no_text", "")


def test_what_was_capped_is_named() -> None:
    deep = "<div>" * 2_000
    assert of(deep) == ExtractionFailure("no_text", "capped: depth")
    found = of(ARTICLE.replace("<footer>", f"{deep}<footer>"))
    assert isinstance(found, Extraction) and found.capped == {"depth"}


def test_tables_ruby_and_headline_are_as_asked_for() -> None:
    assert "一月に漉いた枚数\t八百枚" in text_of(ARTICLE)
    assert "| 一月に漉いた枚数 | 八百枚 |" in text_of(ARTICLE, tables="markdown")
    assert "八百枚" not in text_of(ARTICLE, tables="dropped")
    assert "ここでは楮を使う" in text_of(ARTICLE)
    assert "ここでは楮（こうぞ）を使う" in text_of(ARTICLE, ruby="parentheses")
    assert text_of(ARTICLE).startswith("紙を漉くということ\n")
    assert text_of(ARTICLE, headline="dropped").startswith(LINES[0])


def test_text_that_stood_only_in_json_ld_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Text("紙を漉く。", 0.9, "article", "json-ld", frozenset())
    monkeypatch.setattr(main_text, "extract", lambda page, **settings: answer)
    found = of(ARTICLE)
    assert isinstance(found, Extraction) and found.extractor == f"{extractor_name()} json-ld"


def test_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown extractor 'readability'"):
        make_extractor("readability", Limits(), "rows", "dropped", "kept")
