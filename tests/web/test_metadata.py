"""What must hold of metadata: what Japanese pages say of themselves is read, what they do not say is not guessed."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.metadata import (
    EARLIEST,
    MAX_AUTHOR,
    MAX_DESCRIPTION,
    MAX_LANGUAGE,
    MAX_SITE_NAME,
    MAX_TITLE,
    MAX_URL,
    Metadata,
    declared_language,
    read_date,
    read_metadata,
)
from pipeline.web.page import read_page

FIXTURES = Path(__file__).parent / "main_text"
URL = "https://www.tougei.example.jp/kama/12.html"
FETCHED = date(2026, 6, 30)


def of(html: str, url: str | None = URL, fetched_on: date | None = FETCHED) -> Metadata:
    return read_metadata(read_page(html), url, fetched_on)


def of_fixture(name: str) -> Metadata:
    return of((FIXTURES / f"{name}.html").read_text(encoding="utf-8"), None)


def json_ld(**values: object) -> str:
    return f'<script type="application/ld+json">{json.dumps({"@type": "NewsArticle", **values})}</script>'


# Dates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-13T23:10:00+09:00", date(2024, 5, 13)),
        ("2024-05-12T15:00:00Z", date(2024, 5, 12)),
        ("2024-5-3", date(2024, 5, 3)),
        ("20240513", date(2024, 5, 13)),
        ("20240513T101500", date(2024, 5, 13)),
        ("20240513101500", date(2024, 5, 13)),
        ("2024/05/13 10:00", date(2024, 5, 13)),
        ("2024.5.13", date(2024, 5, 13)),
        ("2024. 5. 3", date(2024, 5, 3)),
        ("2024年5月13日（月）", date(2024, 5, 13)),
        ("２０２４年５月１３日", date(2024, 5, 13)),
        ("２０２４／５／１３", date(2024, 5, 13)),
        ("2024 年 5 月 3 日", date(2024, 5, 3)),
        ("2024年(令和6年)5月13日", date(2024, 5, 13)),
        ("令和6（2024）年5月13日", date(2024, 5, 13)),
        ("令和６年５月１３日", date(2024, 5, 13)),
        ("令和元年5月1日", date(2019, 5, 1)),
        ("平成三十年十二月二十五日", date(2018, 12, 25)),
        ("平成元年1月8日", date(1989, 1, 8)),
        ("昭和64年1月7日", date(1989, 1, 7)),
        ("大正十二年九月一日", date(1923, 9, 1)),
        ("明治45年7月30日", date(1912, 7, 30)),
        ("二〇二四年五月三日", date(2024, 5, 3)),
        ("千九百九十九年十月十日", date(1999, 10, 10)),
        ("Mon, 13 May 2024 10:00:00 +0900", date(2024, 5, 13)),
        ("September 3, 2024", date(2024, 9, 3)),
        ("2024年2月29日", date(2024, 2, 29)),
    ],
)
def test_dates_that_can_be_read_in_one_way(text: str, expected: date) -> None:
    assert read_date(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "03/04/2024",
            "5月13日",
            "24年5月13日",
            "2024年5月",
            "2024-05",
            "2023年2月29日",
            "2024-13-01",
            "2024-00-10",
        ),
        *(
            "192.168.2024.05",
            "2024/05-13",
            "v2024.5.13.1",
            "12024-05-13",
            "202405",
            "元年5月1日",
            "3 days ago",
            "2024年5月13日間",
        ),
    ],
)
def test_dates_that_cannot(text: str) -> None:
    assert read_date(text) is None


@given(st.dates(date(1000, 1, 1)))
def test_each_day_is_read_in_every_form(day: date) -> None:
    full = str.maketrans("0123456789", "０１２３４５６７８９")
    kanji = str.maketrans("0123456789", "〇一二三四五六七八九")
    written = f"{day.year}年{day.month}月{day.day}日"
    forms = [written, written.translate(full)]
    forms.append(f"{day.year}年".translate(kanji) + f"{day.month}月{day.day}日")
    if 1900 <= day.year < 2100:
        forms += [day.strftime(form) for form in ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d")]
    assert {read_date(form) for form in forms} == {day}


@given(st.text(alphabet="0123456789０９年月日元令和平成十百千〇一/.-／ T:（）(", max_size=40))
def test_any_text_is_read(text: str) -> None:
    day = read_date(text)
    assert day is None or isinstance(day, date)


def meta(**values: str) -> str:
    return "".join(f'<meta property="{name.replace("__", ":")}" content="{value}">' for name, value in values.items())


@pytest.mark.parametrize(
    "html",
    [
        json_ld(datePublished="2024-05-13T09:00:00+09:00"),
        '<script type="application/ld+json">{"@graph":[{"@type":"WebPage","datePublished":"2024-05-13"}]}</script>',
        meta(article__published_time="2024-05-13T09:00:00+09:00"),
        '<META NAME="DC.Date.Issued" CONTENT="2024-05-13">',
        '<meta itemprop="datePublished" content="2024-05-13">',
        '<meta name="citation_publication_date" content="2024/05/13">',
        '<time itemprop="datePublished" datetime="2024-05-13">五月</time>',
        '<time datetime="2024-05-13T10:00" pubdate>五月</time>',
        '<time class="entry-date published updated" datetime="2024-05-13">五月</time>',
        '<abbr class="published" title="2024-05-13T22:15:00+09:00">昨日</abbr>',
        '<span itemprop="datePublished" content="2024-05-13">五月</span>',
        "<h1>窯出し</h1><p>公開日：2024年5月13日</p>",
        "<h1>窯出し</h1><p>2024年5月13日（月） 10:00 公開</p>",
        "<h1>窯出し</h1><p>2024/05/13に公開</p>",
        "<h1>窯出し</h1><dl><dt>掲載日</dt><dd>令和6年5月13日</dd></dl>",
        "<h1>窯出し</h1><p>投稿日時 : ２０２４／０５／１３</p>",
        "<p>[日付] 2024.5.13</p>",
        '<h1>窯出し</h1><div class="entry-date">2024年5月13日</div>',
        "<h1>窯出し</h1><p><time>2024年5月13日</time></p>",
        '<div class="postDate"><span>2024.05.13</span></div>',
        "<h1>窯出し</h1><p>Posted on 2024-05-13</p>",
    ],
)
def test_days_of_publication(html: str) -> None:
    found = of(f"<title>窯出し</title>{html}<p>本文は二〇二三年一月一日に始まる。")
    assert (found.published_at, found.modified_at) == (date(2024, 5, 13), None)


@pytest.mark.parametrize(
    "html",
    [
        json_ld(dateModified="2024-05-13T09:00:00+09:00"),
        meta(article__modified_time="2024-05-13T09:00:00+09:00"),
        meta(og__updated_time="2024-05-13"),
        '<time itemprop="dateModified" datetime="2024-05-13">五月</time>',
        '<time class="updated" datetime="2024-05-13">五月</time>',
        "<h1>窯出し</h1><p>最終更新日：2024年5月13日</p>",
        "<h1>窯出し</h1><p>2024年5月13日更新</p>",
        '<h1>窯出し</h1><span class="updated">2024.05.13</span>',
        "<footer><li>最終更新 2024年5月13日 (月) 03:27</li></footer>",
        "<p>更新日</p><p>2024/5/13</p>",
    ],
)
def test_days_of_change(html: str) -> None:
    found = of(f"<title>窯出し</title>{html}")
    assert (found.published_at, found.modified_at) == (None, date(2024, 5, 13))


@pytest.mark.parametrize(
    "html",
    [
        "<p>この窯は2024年5月13日に公開された。</p>",
        "<p>発売日：2024年5月13日</p>",
        "<p>掲載期間：2024/05/13～2024/06/12</p>",
        "<p>回答日時：2024/05/13 20:15</p>",
        "<p>2024年5月13日</p>",
        '<p class="comment-date">2024年5月13日</p>',
        '<li><span class="date">2024年5月13日</span></li><li><span class="date">2024年5月20日</span></li>',
        "<p>更新履歴</p><p>2024/05/13</p>",
        "<h1>窯出し</h1><p hidden>公開日：2024年5月13日</p>",
        '<time datetime="13/05/2024" pubdate>五月</time>',
        meta(article__published_time="yesterday"),
        meta(article__published_time="2026-07-02"),
        meta(article__published_time="1989-12-31"),
    ],
)
def test_days_of_something_else(html: str) -> None:
    found = of(f"<title>窯出し</title>{html}")
    assert (found.published_at, found.modified_at) == (None, None)


def test_a_bad_day_leaves_the_next_source_its_turn() -> None:
    html = json_ld(datePublished="0001-01-01") + meta(article__published_time="2024-05-13")
    assert of(html).published_at == date(2024, 5, 13)


def test_the_day_of_the_fetch_bounds_days() -> None:
    html = meta(article__published_time="2026-07-01")
    assert of(html).published_at == date(2026, 7, 1)
    assert of(html, fetched_on=FETCHED - timedelta(days=1)).published_at is None
    assert of(html, fetched_on=None).published_at == date(2026, 7, 1)
    assert of(html, fetched_on=date.max).published_at == date(2026, 7, 1)
    assert of(meta(article__published_time=EARLIEST.isoformat())).published_at == EARLIEST


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://kama.example.jp/2024/05/13/entry.html", date(2024, 5, 13)),
        ("https://kama.example.jp/2024/5/3/", date(2024, 5, 3)),
        ("https://kama.example.jp/entry/2024/05/13", date(2024, 5, 13)),
        ("https://kama.example.jp/2024-05-13-kamadashi/", date(2024, 5, 13)),
        ("https://kama.example.jp/news/20240513.html", date(2024, 5, 13)),
        ("https://kama.example.jp/2024/05/", None),
        ("https://kama.example.jp/?p=/2024/05/13/", None),
        ("https://kama.example.jp/item/20249913", None),
        ("https://kama.example.jp/item/2024051300", None),
    ],
)
def test_days_in_urls(url: str, expected: date | None) -> None:
    assert of("<title>窯</title>", url).published_at == expected


def test_published_and_changed_beside_each_other() -> None:
    found = of_fixture("math-mathml")
    assert (found.published_at, found.modified_at) == (date(2024, 5, 11), date(2024, 5, 13))
    found = of_fixture("blog-qiita-rsync")
    assert found.modified_at == date(2026, 3, 2)
    assert of_fixture("math-katex").published_at == date(2023, 7, 2)
    assert of_fixture("math-image-alt").modified_at == date(2011, 8, 12)
    assert of_fixture("news-wire-oneline").published_at == date(2026, 3, 18)
    assert of_fixture("jsonld-article-body").published_at == date(2023, 9, 18)
    assert of_fixture("service-recruit-bus").published_at is None


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
