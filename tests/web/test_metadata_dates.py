"""What must hold of dates in metadata: days are read in every form that Japanese pages use, and those of others not."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.metadata import Metadata, read_date, read_metadata
from pipeline.web.metadata.dates import EARLIEST
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


def meta(**values: str) -> str:
    return "".join(f'<meta property="{name.replace("__", ":")}" content="{value}">' for name, value in values.items())


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
