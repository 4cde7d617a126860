"""What must hold of JSON-LD: what real pages write is read, what hostile ones write costs little and never raises."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.page import read_page
from pipeline.web.structured_data import (
    MAX_DEPTH,
    MAX_OBJECTS,
    StructuredText,
    article_body,
    article_of,
    page_of,
    read_structured_data,
    types_of,
)

FIXTURES = Path(__file__).parent / "main_text"
ARTICLE = {"@context": "https://schema.org", "@type": "NewsArticle", "headline": "移動図書館、峠を越えて"}


def script(text: str, kind: str = "application/ld+json") -> str:
    return f'<head><script type="{kind}">{text}</script></head><body>本文'


def objects(text: str, kind: str = "application/ld+json") -> tuple[dict[str, Any], ...]:
    return read_structured_data(read_page(script(text, kind)))


def body(*values: Any) -> StructuredText | None:
    return article_body(objects(json.dumps(values, ensure_ascii=False)))


WRITTEN = json.dumps(ARTICLE, ensure_ascii=False)


@pytest.mark.parametrize(
    "text",
    [
        WRITTEN,
        f"\ufeff\n{WRITTEN}\n;",
        f"<!-- {WRITTEN} -->",
        f"<![CDATA[\n{WRITTEN}\n]]>",
        f"//<![CDATA[\n{WRITTEN}\n//]]>",
        f"/*<![CDATA[*/{WRITTEN}/*]]>*/",
        f"/* <![CDATA[ */ {WRITTEN}; /* ]]> */",
        f"[{WRITTEN}]",
        f"[[{WRITTEN},],]",
        WRITTEN.replace('"}', '", }'),
        WRITTEN.replace('"', "&quot;"),
        f"{WRITTEN}\n{{",
    ],
)
def test_mistakes_that_pages_make_are_mended(text: str) -> None:
    assert objects(text) == (ARTICLE,)


@pytest.mark.parametrize("kind", ["Application/LD+JSON", "application/ld+json; charset=utf-8", " application/ld+json "])
def test_the_type_may_be_written_otherwise(kind: str) -> None:
    assert objects(WRITTEN, kind) == (ARTICLE,)


@pytest.mark.parametrize("kind", ["application/json", "application/ld+json-x", "text/javascript", ""])
def test_scripts_of_other_types_are_none(kind: str) -> None:
    assert objects(WRITTEN, kind) == ()


def test_line_breaks_and_tabs_in_strings_are_read() -> None:
    assert (
        objects('{"@type":"Article","articleBody":"一行目\n二行目\tおわり"}')[0]["articleBody"]
        == "一行目\n二行目\tおわり"
    )


def test_commas_in_strings_are_the_texts_own() -> None:
    assert objects('{"@type":"Article","headline":"a, ]b, }",}')[0]["headline"] == "a, ]b, }"


def test_members_of_graphs_and_lists_stand_for_themselves() -> None:
    graph = {"@context": "https://schema.org", "@graph": [{"@type": "WebSite", "name": "峠の新聞"}, [ARTICLE], "x", 1]}
    assert objects(json.dumps([graph, ARTICLE, None])) == ({"@type": "WebSite", "name": "峠の新聞"}, ARTICLE, ARTICLE)


def test_scripts_in_templates_are_none() -> None:
    assert read_structured_data(read_page(f"<template>{script(WRITTEN)}</template>")) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        "紙",
        '{"@type":',
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * (MAX_DEPTH + 1) + "{}" + "]" * (MAX_DEPTH + 1),
        "9" * 5_000,
        '"' + '\\"' * 100_000,
        ",\n" * 100_000,
        "<!--" * 50_000,
        "//" * 50_000 + "]]>",
        "[1," + " " * 100_000,
    ],
)
def test_what_is_no_json_gives_nothing(text: str) -> None:
    assert objects(text) == ()


def test_objects_are_bounded() -> None:
    assert len(objects(json.dumps([{"name": number} for number in range(3 * MAX_OBJECTS)]))) == MAX_OBJECTS
    assert len(objects("{}" + '{"a":1}' * 3 * MAX_OBJECTS)) <= MAX_OBJECTS


def test_depth_does_not_hang_on_the_caller() -> None:
    nested = "[" * (MAX_DEPTH - 1) + WRITTEN + "]" * (MAX_DEPTH - 1)

    def deeper(levels: int) -> tuple[dict[str, Any], ...]:
        return deeper(levels - 1) if levels else objects(nested)

    assert deeper(0) == deeper(500) == (ARTICLE,)


def test_types_have_no_vocabulary() -> None:
    assert types_of({"@type": ["https://schema.org/NewsArticle", "schema:Article", 3]}) == {"NewsArticle", "Article"}
    assert types_of({}) == types_of({"@type": {"a": 1}}) == frozenset()


def test_an_article_comes_before_what_else_the_page_names() -> None:
    product, listing = {"@type": "Product", "name": "鉛筆"}, {"@type": "BreadcrumbList"}
    assert article_of((listing, product, ARTICLE)) == ARTICLE
    assert article_of((listing, product)) == product
    assert article_of((listing,)) is None
    assert article_of(({"@type": "WebPage", "mainEntity": ARTICLE},)) == ARTICLE
    assert page_of((listing, {"@type": ["WebPage", "FAQPage"]})) == {"@type": ["WebPage", "FAQPage"]}


def test_the_fixtures_page_has_its_text_in_json_alone() -> None:
    found = article_body(read_structured_data(read_page((FIXTURES / "jsonld-article-body.html").read_bytes())))
    assert found is not None and found.headline is not None
    expected = (FIXTURES / "jsonld-article-body.txt").read_text(encoding="utf-8")
    assert [found.headline, *found.text.splitlines()] == expected.splitlines()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("一段目。\n\n  二段目。 ", "一段目。\n二段目。"),
        ("<p>一段目。</p><p>二段目の<b>太字</b>。<br>三行目</p><script>x</script>", "一段目。\n二段目の太字。\n三行目"),
        ("&lt;p&gt;一段目。&lt;/p&gt;&lt;p&gt;A&amp;amp;B&lt;/p&gt;", "一段目。\nA&B"),
        ("A &amp; B &#12354;", "A & B あ"),
        ("型は List<String> で、<溶けないうちに>と読む。", "型は List<String> で、<溶けないうちに>と読む。"),
        ("字下げ　は残る　。", "字下げ　は残る　。"),
        ("片割れ\ud83d。", "片割れ\ufffd。"),
    ],
)
def test_bodies_become_lines_of_plain_text(written: str, expected: str) -> None:
    assert article_body(({"@type": "Article", "articleBody": written},)) == StructuredText(None, expected)


def test_questions_have_their_answers_behind_them() -> None:
    question = {
        "@type": "Question",
        "name": "米のとぎ汁の使い道は",
        "text": "毎日捨てています。<br>もったいない気がして。",
        "suggestedAnswer": [{"@type": "Answer", "text": "植木にどうぞ。"}, "壊れた答え"],
        "acceptedAnswer": {"@type": "Answer", "text": "床拭きに。"},
    }
    lines = "毎日捨てています。\nもったいない気がして。\n床拭きに。\n植木にどうぞ。"
    assert body({"@type": "QAPage", "mainEntity": question}) == StructuredText("米のとぎ汁の使い道は", lines)
    post = {
        "@type": "DiscussionForumPosting",
        "headline": "忘れ物",
        "text": "傘です。",
        "comment": [{"text": "見ました。"}],
    }
    assert body(post) == StructuredText("忘れ物", "傘です。\n見ました。")


def test_without_a_body_there_is_none() -> None:
    assert body(ARTICLE) is None
    assert body({**ARTICLE, "articleBody": " \n "}) is None
    assert body({**ARTICLE, "articleBody": ["x"]}) is None
    assert body(ARTICLE, {**ARTICLE, "headline": "別", "articleBody": "本文。"}) == StructuredText("別", "本文。")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["@type", "@graph", "@id", "mainEntity", "articleBody", "acceptedAnswer", "name", "text"]),
            inner | st.sampled_from(["Question", "Article", "QAPage"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_read(value: Any) -> None:
    text = json.dumps(value)
    found = objects(text)
    assert all(isinstance(item, dict) for item in found)
    if isinstance(value, dict) and value and not set(value) <= {"@graph", "@id"}:
        assert found[0] == value
    article_of(found)
    result = article_body(found)
    assert result is None or result.text.strip()


@given(
    st.lists(
        st.sampled_from(['{"', '"', ":", "{", "}", "[", "]", ",", "\\", "1", "&quot;", "<!--", "]]>", "//", "\n"]),
        max_size=30,
    )
)
def test_any_soup_is_read(pieces: list[str]) -> None:
    assert all(isinstance(item, dict) for item in objects("".join(pieces)))
