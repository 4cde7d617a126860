"""What must hold of metadata: what Japanese pages say of themselves is read, what they do not say is not guessed."""

import gc
import json
import sys
from datetime import date, timedelta
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.metadata import Metadata, declared_language, read_metadata
from pipeline.web.metadata.dates import EARLIEST
from pipeline.web.metadata.lines import MAX_AUTHOR, MAX_DESCRIPTION, MAX_LANGUAGE, MAX_SITE_NAME, MAX_TITLE, MAX_URL
from pipeline.web.page import Page, read_page

URL = "https://www.tougei.example.jp/kama/12.html"
FETCHED = date(2026, 6, 30)


def of(html: str, url: str | None = URL, fetched_on: date | None = FETCHED) -> Metadata:
    return read_metadata(read_page(html), url, fetched_on)


def json_ld(**values: object) -> str:
    return f'<script type="application/ld+json">{json.dumps({"@type": "NewsArticle", **values})}</script>'


def meta(**values: str) -> str:
    return "".join(f'<meta property="{name.replace("__", ":")}" content="{value}">' for name, value in values.items())


# Title and site


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("窯出しの朝 | 陶芸日和", "窯出しの朝"),
        ("陶芸日和｜窯出しの朝", "窯出しの朝"),
        ("窯出しの朝－陶芸日和", "窯出しの朝"),
        ("窯出しの朝 » 春 » 陶芸 日和", "窯出しの朝 » 春"),
        ("Wi-Fi の話 - ﾄｳｹﾞｲ - 陶芸日和", "Wi-Fi の話 - ﾄｳｹﾞｲ"),
        ("窯出しの朝：www.tougei.example.jp", "窯出しの朝"),
        ("tougei.example.jp — 窯出しの朝", "窯出しの朝"),
        ("窯出しの朝 | 別の名", "窯出しの朝 | 別の名"),
        ("陶芸日和の窯出し", "陶芸日和の窯出し"),
        ("陶芸日和", "陶芸日和"),
        ("  ①窯出しの\n　朝㈱ ｶﾏ～ ", "①窯出しの\n　朝㈱ ｶﾏ～".replace("\n", " ")),
        ("A &amp; B &#8211; 陶芸日和", "A & B"),
    ],
)
def test_titles_lose_the_sites_name_alone(title: str, expected: str) -> None:
    found = of(f'<meta property="og:site_name" content="陶芸日和"><title>{title}</title>')
    assert (found.title, found.site_name) == (expected, "陶芸日和")


def test_titles_in_order_of_trust() -> None:
    og, twitter = '<meta property="og:title" content="甲">', '<meta name="twitter:title" content="丙">'
    everything = f"<title>丁</title>{twitter}{json_ld(headline='乙')}{og}"
    assert of(everything).title == "甲"
    assert of(everything.replace(og, "")).title == "乙"
    assert of(f"<title>丁</title>{twitter}").title == "丙"
    assert of("<svg><title>図</title></svg><title>丁</title>").title == "丁"
    assert of("<p>題のない頁").title is None


def test_a_title_that_is_the_sites_name_yields() -> None:
    site = meta(og__site_name="陶芸日和", og__title="陶芸日和")
    assert of(f"{site}<title>窯出しの朝 | 陶芸日和</title>").title == "窯出しの朝"
    assert of(f"{site}<title>陶芸日和</title>").title == "陶芸日和"


def test_site_names_from_json() -> None:
    graph = [{"@type": "WebSite", "name": "陶芸日和"}, {"@type": "Article", "headline": "窯 - 陶芸日和"}]
    found = of(f'<script type="application/ld+json">{json.dumps({"@graph": graph})}</script>')
    assert (found.title, found.site_name) == ("窯", "陶芸日和")
    assert of(json_ld(publisher={"@type": "Organization", "name": "陶芸社"})).site_name == "陶芸社"


# Author


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (json_ld(author={"@type": "Person", "name": "白浜いつき"}), "白浜いつき"),
        (json_ld(author=[{"name": "白浜いつき"}, "小野寺 環", {"name": "白浜いつき"}]), "白浜いつき, 小野寺 環"),
        ('<meta name="author" content="白浜いつき、小野寺環">', "白浜いつき, 小野寺環"),
        ('<meta name="citation_author" content="白浜"><meta name="citation_author" content="小野寺">', "白浜, 小野寺"),
        (
            '<meta property="article:author" content="https://sns.example.com/x"><p class=byline>文・白浜いつき',
            "白浜いつき",
        ),
        ('<p class="post-author">著者：白浜いつき</p>', "白浜いつき"),
        ('<span class="p-author__name">白浜いつき</span>', "白浜いつき"),
        ('<p>by <a rel="author" href="/u">Itsuki Shirahama</a>', "Itsuki Shirahama"),
        ('<span class="Byline"> 投稿者: <a href="/u">白浜</a></span>', "白浜"),
        ('<span itemprop="author" itemscope><span itemprop="name">文田いつき</span></span>', "文田いつき"),
        ('<p class="comment-author">通りすがり</p>', None),
        ('<div class="comments"><p class="author">通りすがり</p></div>', None),
        ('<div class="author">山ぎわに住む会社員。火を見ているだけの時間が好きです。</div>', None),
        ('<p class="author-bio">会社員</p>', None),
        ('<meta name="author" content="@handle">', None),
        ('<meta name="author" content=" ">', None),
    ],
)
def test_authors(html: str, expected: str | None) -> None:
    assert of(html).author == expected


def test_authors_that_stand_elsewhere_in_the_graph() -> None:
    graph = [
        {"@type": "Article", "headline": "窯", "author": {"@id": "#p"}},
        {"@type": "Person", "@id": "#p", "name": "白浜いつき"},
    ]
    assert of(f'<script type="application/ld+json">{json.dumps({"@graph": graph})}</script>').author == "白浜いつき"


# Description, URL, language


@pytest.mark.parametrize(
    ("html", "url", "expected"),
    [
        ('<link rel="canonical" href="https://a.example.jp/x">', URL, "https://a.example.jp/x"),
        ('<link rel="Canonical nofollow" href="/x?a=1&amp;b=2">', URL, "https://www.tougei.example.jp/x?a=1&b=2"),
        ('<link rel="canonical" href="y.html">', URL, "https://www.tougei.example.jp/kama/y.html"),
        ('<base href="/b/"><link rel="canonical" href="y.html">', URL, "https://www.tougei.example.jp/b/y.html"),
        (
            '<base target=a><base href="/b/"><base href="/c/"><link rel="canonical" href="y.html">',
            URL,
            "https://www.tougei.example.jp/b/y.html",
        ),
        ('<link rel="canonical" href="//a.example.jp/x">', URL, "https://a.example.jp/x"),
        ('<link rel="canonical" href="/x">', None, None),
        (
            '<link rel="canonical" href="javascript:x"><meta property="og:url" content="http://a.jp/">',
            URL,
            "http://a.jp/",
        ),
        ('<meta property="og:url" content="/x">', URL, "https://www.tougei.example.jp/x"),
        ('<link rel="canonical" href="http://[a/">', URL, None),
        ('<link rel="canonical" href="https:///x">', URL, None),
        (f'<link rel="canonical" href="https://a.jp/{"x" * MAX_URL}">', URL, None),
        ('<link rel="alternate canonical-x" href="/x">', URL, None),
        ('<link rel="canonical">', URL, None),
    ],
)
def test_canonical_urls(html: str, url: str | None, expected: str | None) -> None:
    assert of(html, url).canonical_url == expected


def test_descriptions() -> None:
    html = '<meta name="Description" content=" 窯の\n 話 "><meta property="og:description" content="別">'
    assert of(html).description == "窯の 話"
    assert of('<meta name="description" content=""><meta property="og:description" content="別">').description == "別"
    assert of(f'<meta name=description content="{"窯" * 5_000}">').description == "窯" * MAX_DESCRIPTION
    assert of("<p>窯").description is None


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<html lang=ja>", "ja"),
        ("<!doctype html>\n<html xml:lang='ja-JP'>", "ja-JP"),
        ("<html lang=' ja '>", "ja"),
        ("<html lang=''>", None),
        ("<p lang=ja>", None),
        (f"<html lang={'x' * 99}>", "x" * MAX_LANGUAGE),
        ("<meta name=a content=b><html lang=ja>", "ja"),
    ],
)
def test_declared_languages(html: str, expected: str | None) -> None:
    assert of(html).declared_language == declared_language(read_page(html)) == expected


def test_nothing_is_said_in_templates_and_on_empty_pages() -> None:
    nothing = Metadata(None, None, None, None, None, None, None, None)
    page = f"<html lang=ja><meta name=author content=a><link rel=canonical href=/x>{json_ld(headline='窯')}<title>窯"
    assert of(f"<template>{page}</template>") == of("") == of("紙") == nothing


PIECES = [
    *(
        "<html lang=ja>",
        "<title>",
        "</title>",
        "<h1>",
        "</h1>",
        "<p>",
        "<template>",
        "</div>",
        "<svg>",
        "</svg>",
        "窯出し",
        " | ",
    ),
    *(
        "<time datetime=2024-05-13 class=updated>",
        "<time>",
        "<abbr class=published title=20240513>",
        "2024年5月13日",
        "公開",
    ),
    *(
        "<meta name=author content='a、b'>",
        "<meta property=og:title content=甲>",
        "<meta itemprop=datePublished content=x>",
    ),
    *(
        "<link rel=canonical href='//[x'>",
        "<base href='http://[::1'>",
        "<div class='author byline'>",
        "<a rel=author>",
        "更新：",
    ),
    *(
        "<span itemprop=datePublished>",
        "令和元年十三月四十日",
        "&#0;",
        "&copy",
        "<meta content>",
        "<meta name=date content=2024-02-30>",
    ),
    *(
        "<script type=application/ld+json>",
        "</script>",
        '{"@type":"Article","author":',
        "[[{}]]",
        '"headline":3}',
        "\0",
        "<!--",
    ),
]


@given(
    st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=40),
    st.none() | st.text(max_size=30),
    st.none() | st.dates(),
)
def test_any_page_is_read_within_bounds(pieces: list[str], url: str | None, fetched_on: date | None) -> None:
    found = of("".join(pieces), url, fetched_on)
    limits = {"title": MAX_TITLE, "author": MAX_AUTHOR, "site_name": MAX_SITE_NAME, "description": MAX_DESCRIPTION}
    limits |= {"canonical_url": MAX_URL, "declared_language": MAX_LANGUAGE}
    for name, limit in limits.items():
        value = getattr(found, name)
        assert value is None or (0 < len(value) <= limit and value == value.strip())
        assert value is None or ("\n" not in value and value.encode("utf-8"))
    for day in (found.published_at, found.modified_at):
        assert day is None or day >= EARLIEST
        assert (
            day is None
            or fetched_on is None
            or day <= fetched_on + timedelta(days=min(1, (date.max - fetched_on).days))
        )


@pytest.mark.parametrize(
    "piece", ["<meta name=author content=a、", "<time class=date datetime=", "<p class=author>a", "2024年5月", "<h1>"]
)
def test_large_pages_are_read(piece: str) -> None:
    of(piece * 50_000 + "<title>" + "窯" * 100_000)


def calls(page: Page) -> int:
    """How many calls of functions, Python's and C's, reading a page's metadata takes: the same on every machine."""
    count = 0

    def on_event(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before, collects = sys.getprofile(), gc.isenabled()
    # A collection that falls into it calls whatever listens to collections.
    gc.disable()
    sys.setprofile(on_event)
    try:
        read_metadata(page, URL, FETCHED)
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()
    return count


@pytest.mark.parametrize(
    "piece", ["<base href=x>", "<base href='&amp;'>", "<base class=x>", "<h1>窯</h1>", "<link rel=x>"]
)
def test_what_is_used_once_costs_once(piece: str) -> None:
    of(piece)
    assert calls(read_page(piece * 10_000)) == calls(read_page(piece * 1_000))


@pytest.mark.parametrize(
    "piece",
    [
        "<meta name=author content=a>",
        "<meta name=x content=a>",
        "<time class=date datetime=2024-05-13>",
        "<link rel=canonical href=y>",
        "<p class=author>a",
        "<p>公開：2024年5月13日</p>",
    ],
)
def test_work_grows_no_faster_than_a_page(piece: str) -> None:
    of(piece)
    assert calls(read_page(piece * 5_000)) <= 10 * calls(read_page(piece * 500))


def test_attributes_of_an_element_are_looked_at_once_for_all_that_stands_in_it() -> None:
    below = "<p>2024年5月13日に公開</p><p class=author>窯。</p>" * 15
    few, many = (read_page(f"<div {'a=b ' * count}>{below}") for count in (100, 5_100))
    of(below)
    # A slice of the name, its letters made small, and its place in a dict: three calls at most an attribute.
    assert calls(many) - calls(few) <= 3 * 5_000
