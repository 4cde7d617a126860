"""What must hold of licenses: the right id and tier for what a page declares, and never a milder one."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.license import NO_LICENSE, TIERS, LicenseFact, find_license, license_from_url, strictest
from pipeline.web.page import Page, read_page
from tests.web.license_score import FRESH, HALVES, SETS, Case, interval, read_cases, score

BY = "https://creativecommons.org/licenses/by/4.0/"


def license_of(html: str, **headers: list[str]) -> LicenseFact:
    return find_license(read_page(html), headers)


def license_of_case(case: Case) -> LicenseFact:
    return find_license(read_page(case.html), case.headers, case.url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (BY, ("CC-BY-4.0", "attribution")),
        ("http://creativecommons.org/licenses/by/4.0", ("CC-BY-4.0", "attribution")),
        ("//www.creativecommons.org/licenses/by/4.0/deed.ja", ("CC-BY-4.0", "attribution")),
        ("https://creativecommons.org/licenses/by/4.0/legalcode.ja", ("CC-BY-4.0", "attribution")),
        ("https://creativecommons.org/licenses/by/4.0/?ref=chooser#x", ("CC-BY-4.0", "attribution")),
        (" HTTPS://CreativeCommons.org/Licenses/BY-SA/3.0/ ", ("CC-BY-SA-3.0", "share-alike")),
        ("http://creativecommons.org/licenses/by/2.1/jp/", ("LicenseRef-CC-BY-2.1-JP", "attribution")),
        ("http://creativecommons.org/licenses/by-sa/2.1/jp/deed.ja", ("CC-BY-SA-2.1-JP", "share-alike")),
        ("http://creativecommons.org/licenses/by-nc-sa/2.0/jp/", ("LicenseRef-CC-BY-NC-SA-2.0-JP", "non-commercial")),
        ("http://creativecommons.org/licenses/by/2.1/", ("LicenseRef-CC-BY-2.1", "attribution")),
        ("https://creativecommons.org/licenses/by-nd/4.0/", ("CC-BY-ND-4.0", "no-derivatives")),
        ("https://creativecommons.org/licenses/by-nc/4.0/", ("CC-BY-NC-4.0", "non-commercial")),
        ("https://creativecommons.org/licenses/by-nc-nd/4.0/", ("CC-BY-NC-ND-4.0", "non-commercial")),
        ("http://creativecommons.org/licenses/by-nd-nc/1.0/", ("CC-BY-NC-ND-1.0", "non-commercial")),
        ("http://creativecommons.org/licenses/by/3.0/igo/", ("CC-BY-3.0-IGO", "attribution")),
        ("http://creativecommons.org/licenses/sa/1.0/", ("CC-SA-1.0", "share-alike")),
        (
            "http://creativecommons.org/licenses/nc-sampling+/1.0/",
            ("LicenseRef-CC-NC-SAMPLING-PLUS-1.0", "non-commercial"),
        ),
        ("https://creativecommons.org/licenses/by/", ("LicenseRef-CC-BY", "attribution")),
        ("https://creativecommons.org/publicdomain/zero/1.0/deed.ja", ("CC0-1.0", "public-domain")),
        ("https://creativecommons.org/publicdomain/mark/1.0/", ("CC-PDM-1.0", "public-domain")),
        ("https://creativecommons.org/licenses/publicdomain/", ("CC-PDDC", "public-domain")),
        (
            "https://www.digital.go.jp/resources/open_data/public_data_license_v1.0",
            ("LicenseRef-PDL-1.0", "government"),
        ),
        (
            "https://www.digital.go.jp/en/resources/open_data/public_data_license_v1.0#a",
            ("LicenseRef-PDL-1.0", "government"),
        ),
        (
            "http://www.kantei.go.jp/jp/singi/it2/densi/kettei/gl2_betten_1.pdf",
            ("LicenseRef-Japanese-Government-Standard-Terms-2.0", "government"),
        ),
    ],
)
def test_known_urls(url: str, expected: tuple[str, str]) -> None:
    assert license_from_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://creativecommons.org/",
        "https://creativecommons.org/licenses/",
        "https://creativecommons.org/licenses/free/4.0/",
        "https://creativecommons.org/publicdomain/free/1.0/",
        "https://creativecommons.org.example.jp/licenses/by/4.0/",
        "https://example.jp/creativecommons.org/licenses/by/4.0/",
        "https://example.jp/?u=https://creativecommons.org/licenses/by/4.0/",
        "https://creativecommons.jp/licenses/",
        "https://www.digital.go.jp/resources/open_data/public_data_license_v1.01",
        "/licenses/by/4.0/",
        "©",
    ],
)
def test_unknown_urls(url: str) -> None:
    assert license_from_url(url) is None


def test_ids_are_on_the_spdx_list_or_say_that_they_are_not() -> None:
    licenses = pytest.importorskip("packaging.licenses")
    elements = ("by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd", "sa", "nc", "nd")
    ports = ("", "jp/", "de/", "at/", "us/", "uk/", "fr/", "igo/", "au/", "nl/", "tw/")
    for element, version, port in product(elements, ("1.0", "2.0", "2.1", "2.5", "3.0", "4.0"), ports):
        known = license_from_url(f"https://creativecommons.org/licenses/{element}/{version}/{port}")
        assert known is not None
        assert licenses.canonicalize_license_expression(known[0]) == known[0]
        if known[0].startswith("LicenseRef-"):
            with pytest.raises(licenses.InvalidLicenseExpression):
                licenses.canonicalize_license_expression(known[0].removeprefix("LicenseRef-"))


@pytest.mark.parametrize(
    ("html", "source"),
    [
        (f'<a rel="license" href="{BY}">CC BY</a>', "rel-license-a"),
        (f'<a href="{BY}" rel="nofollow LICENSE noopener">CC BY</a>', "rel-license-a"),
        (f'<link rel=license href="{BY}">', "rel-license-link"),
        (f'<meta name="license" content="{BY}">', "meta"),
        (f'<meta name="DC.rights" content="{BY}">', "meta"),
        (f'<meta name="dcterms.license" content="{BY}">', "meta"),
        ('<meta name="license" content="CC BY 4.0">', "meta"),
        ('<meta name="license" content="CC-BY-4.0">', "meta"),
        (f'<p><a href="{BY}">表示 4.0 国際</a>', "cc-link"),
        (f"<A HREF={BY}>CC</A>", "cc-link"),
        (f'<meta property="og:license" content="{BY}">', "meta"),
        (f'<meta name="" property="og:license" content="{BY}">', "meta"),
        (f'<div hidden><noscript><a rel="license" href="{BY}"></noscript></div>', "rel-license-a"),
    ],
)
def test_every_place_where_a_page_can_name_its_license(html: str, source: str) -> None:
    fact = license_of(html)
    assert (fact.license, fact.source, fact.tier) == ("CC-BY-4.0", source, "attribution")
    assert fact.url is not None and fact.url in html


def test_references_in_values_are_resolved_first() -> None:
    written = BY.replace("creative", "cre&#97;tive").replace("/", "&sol;")
    assert license_of(f'<a href="{written}">') == LicenseFact("CC-BY-4.0", BY, "cc-link", "attribution")
    assert license_of(f'<link rel="li&#99;ense" href="{written}">').source == "rel-license-link"


@pytest.mark.parametrize(
    "value",
    [
        f'<{BY}>; rel="license"',
        f"<{BY}>; rel=license; title=x",
        f'</a.css>; rel=preload; title="a, <b>", <{BY}>;rel="copyright license"',
    ],
)
def test_the_link_header(value: str) -> None:
    assert license_of("", link=["<x>; rel=next", value]) == LicenseFact("CC-BY-4.0", BY, "http-link", "attribution")


@pytest.mark.parametrize(
    "html",
    [
        "",
        "<a rel=license>no URL</a>",
        '<a rel="license" href=" ">no URL</a>',
        '<a rel="licensed" href="/x">',
        "<meta name=license content=''>",
        '<meta name="DC.rights" content="Copyright 2020 Example">',
        f'<meta name="description" content="{BY}">',
        f'<link rel="stylesheet" href="{BY}">',
        f'<!-- <a rel="license" href="{BY}"> -->',
        f'<template><a rel="license" href="{BY}"></template>',
        f"<script>document.write('<a href=\"{BY}\">')</script>",
        f'<textarea><a rel="license" href="{BY}"></textarea>',
        f'<meta name="description" property="license" content="{BY}">',
        f'<div rel=license href="{BY}">',
        '<a href="https://creativecommons.jp/">',
    ],
)
def test_pages_that_name_none(html: str) -> None:
    assert license_of(html) == NO_LICENSE == LicenseFact(None, None, None, "unknown")


@pytest.mark.parametrize(
    "value", ["", "<", f"<{BY}>", f'<{BY}>; rel="lic', f"<{BY}>; rel=licenses", f"{BY}; rel=license", "<>;rel=license"]
)
def test_malformed_link_headers_are_ignored(value: str) -> None:
    assert license_of("", link=[value]) == NO_LICENSE


def test_an_unknown_license_is_recorded_and_never_upgraded() -> None:
    own = '<a rel="license" href="/terms">terms</a>'
    assert license_of(own) == LicenseFact(None, "/terms", "rel-license-a", "unknown")
    assert license_of(own + f'<link rel=license href="{BY}">').tier == "unknown"
    assert license_of(own + f'<a href="{BY}">a picture</a>').tier == "unknown"
    assert license_of('<meta name="license" content="see below">').tier == "unknown"


def test_a_plain_link_counts_only_where_nothing_is_claimed() -> None:
    by_sa = "https://creativecommons.org/licenses/by-sa/4.0/"
    assert license_of(f'<a href="{by_sa}">x</a><a rel=license href="{BY}">y</a>').license == "CC-BY-4.0"
    pdl = "https://www.digital.go.jp/resources/open_data/public_data_license_v1.0"
    assert license_of(f'<a href="{pdl}">a picture</a>') == NO_LICENSE
    assert license_of(f'<a href="{pdl}">terms</a>') == LicenseFact(
        "LicenseRef-PDL-1.0", pdl, "government-link", "government", compatible_with="CC-BY-4.0"
    )


@given(st.permutations(["by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd"]), st.integers(1, 6))
def test_of_several_the_strictest_holds_in_any_order(names: list[str], number: int) -> None:
    order = ["by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd"]
    chosen = names[:number]
    html = "".join(f'<a rel=license href="https://creativecommons.org/licenses/{name}/4.0/">' for name in chosen)
    fact = license_of(html)
    ranks = [order.index(name) for name in chosen]
    # BY-NC-SA and BY-NC-ND have as many conditions, and the first of them holds.
    expected = {order[rank] for rank in ranks if rank == max(ranks) or (rank == 4 and max(ranks) == 5)}
    assert fact.license in {f"CC-{name.upper()}-4.0" for name in expected}
    assert fact.tier == strictest(
        license_of(f'<a rel=license href="https://creativecommons.org/licenses/{name}/4.0/">').tier for name in chosen
    )


@given(st.lists(st.sampled_from(TIERS)), st.sampled_from(TIERS))
def test_another_license_never_makes_the_tier_milder(tiers: list[str], another: str) -> None:
    order = [
        "public-domain",
        "attribution",
        "government",
        "share-alike",
        "no-derivatives",
        "non-commercial",
        "reserved",
        "unknown",
    ]
    assert order.index(strictest([*tiers, another])) >= (order.index(strictest(tiers)) if tiers else 0)
    assert strictest([*tiers, "unknown"]) == strictest([]) == "unknown"


@given(st.text() | st.text("<>;,=\"' rel=license/cBYy-4.0:"))
def test_any_text_is_taken(text: str) -> None:
    html = f"<meta name=license content='{text}'><a rel=license href='{text}'><a href='{text}'>"
    assert license_of(html, link=[text]).tier in TIERS


def test_long_hostile_headers_are_read() -> None:
    for piece in ("<", "<a>;", '<a>;rel="', "; rel=license", '"', " license", '<a>; rel=" '):
        assert license_of("", link=[piece * (300_000 // len(piece))]).tier == "unknown"


CASES = read_cases()


def test_there_are_enough_labelled_cases_in_both_halves_and_of_all_tiers() -> None:
    by_set = {name: [case for case in CASES if case.part == name] for name in SETS}
    assert len(CASES) >= 200 and min(map(len, by_set.values())) >= 100
    for cases in (by_set[half] for half in HALVES):
        assert {case.verdict[1] for case in cases} == set(TIERS)
        assert sum(not case.declares for case in cases) >= 30


@pytest.mark.parametrize("name", SETS)
def test_labelled_cases_are_read_as_labelled(name: str) -> None:
    result = score([case for case in CASES if case.part == name])
    assert result.precision >= 0.98
    assert result.recall >= 0.95


@pytest.mark.parametrize(
    ("right", "number", "expected"),
    [(0, 0, (0, 1)), (0, 10, (0, 0.278)), (5, 10, (0.237, 0.763)), (10, 10, (0.722, 1))],
)
def test_intervals_are_those_of_wilson(right: int, number: int, expected: tuple[float, float]) -> None:
    assert interval(right, number) == pytest.approx(expected, abs=0.001)


def test_cases_of_the_third_set_are_in_neither_half() -> None:
    assert all((case.part == FRESH) == case.file.startswith("fresh") for case in CASES)


@pytest.mark.parametrize("case", [case for case in CASES if case.part == "tuned"], ids=lambda case: case.name)
def test_a_tuned_case_is_read_exactly(case: Case) -> None:
    fact = license_of_case(case)
    assert (fact.license, fact.tier, fact.source, fact.disagreement) == (*case.verdict, case.source, case.disagreement)


@given(st.lists(st.sampled_from(CASES), min_size=1, max_size=3), st.text(max_size=40), st.data())
def test_no_damage_to_a_page_raises(cases: list[Case], text: str, data: st.DataObject) -> None:
    html = "".join(case.html for case in cases)
    start = data.draw(st.integers(0, len(html)))
    end = data.draw(st.integers(start, min(len(html), start + 200)))
    fact = find_license(read_page(html[:start] + text + html[end:]), cases[0].headers, cases[0].url)
    assert fact.tier in TIERS and (fact.license is None) <= (fact.tier in ("reserved", "unknown"))


PIECES = {
    "links": '<a rel=license href="https://creativecommons.org/licenses/by/4.0/">CC BY</a> ',
    "items": '<li><h3>x</h3><p><a href="https://creativecommons.org/licenses/by/4.0/">CC BY</a></p></li>',
    "plain links": '<p><a href="https://creativecommons.org/licenses/by/4.0/">CC BY</a></p>',
    "unknown": "<a rel=license href=/x>x</a>",
    "notices": "<p>本サイトの文章はクリエイティブ・コモンズ 表示 4.0 国際 ライセンスの下に提供されています。</p>",
    "one line": "クリエイティブ・コモンズ 表示 4.0 ",
    "reserved": "<p>無断転載を禁じます。All rights reserved.</p>",
    "properties": '<span property="cc:license" content="https://creativecommons.org/licenses/by/4.0/">',
}


@pytest.mark.parametrize("name", PIECES)
def test_of_very_many_statements_a_bounded_number_is_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []
    attributes_of = Page.attributes_of

    def counted(page: Page, element: int) -> dict[str, str]:
        looked_at.append(element)
        return attributes_of(page, element)

    monkeypatch.setattr(Page, "attributes_of", counted)
    for number in (1_000, 10_000):
        looked_at.clear()
        assert license_of(PIECES[name] * number).tier in TIERS
        assert len(looked_at) <= 2_000


@pytest.mark.parametrize(
    "html",
    [
        "<meta name=license content='{}'>",
        "<a rel=license href='{}'>x</a>",
        "<span property='cc:license' content='{}'>",
        "<p>ライセンス {}</p>",
        "<div itemscope itemtype='https://schema.org/Article'><span itemprop=license>{}</span></div>",
        "<a rel='{} license' href=/x>x</a>",
    ],
)
@pytest.mark.parametrize("filling", ["x", " ", "CC BY ", "クリエイティブ", "(", "無断", "https://creativecommons.org/"])
def test_of_a_megabyte_a_bounded_part_is_kept(html: str, filling: str) -> None:
    fact = license_of(html.format(filling * (1_000_000 // len(filling))))
    assert fact.tier in TIERS and len(fact.url or "") <= 2_000


NAMED = (
    "<title>紙の里</title><p>Umipedia content is available under CC BY-SA 4.0.</p>"
    "<p>紙業庁のウェブサイトのコンテンツは公共データ利用規約（第1.0版）に従って利用できます。</p>"
)


@pytest.mark.parametrize(
    "url", ["http://[", "http://[::1", "//", "", "紙", "http://a@b:c/", "http://例え.jp:x", "http://\udcff/"]
)
def test_an_address_that_is_none_ends_no_reading(url: str) -> None:
    assert find_license(read_page(NAMED), {}, url).tier in TIERS


@given(st.text(max_size=40) | st.text("htps:/[]@.%#?&=紙1", max_size=40))
def test_any_address_will_do(url: str) -> None:
    assert find_license(read_page(NAMED), {}, url).tier in TIERS


@pytest.mark.parametrize(("former", "now"), [("CC BY 4.0", "CC BY-NC 4.0"), ("CC BY-NC 4.0", "CC BY 4.0")])
@pytest.mark.parametrize(
    "sentence",
    [
        "この記事は、以前は{0}でしたが、現在は{1}で公開しています。",
        "本サイトの文章は2020年3月までは{0}で提供していましたが、2020年4月からは{1}で提供しています。",
        "Earlier versions of this page were licensed under {0}; this version is licensed under {1}.",
    ],
)
def test_of_terms_that_changed_the_later_hold_however_strict_the_former(sentence: str, former: str, now: str) -> None:
    assert license_of(f"<p>{sentence.format(former, now)}</p>").license == now.replace(" ", "-")


@pytest.mark.parametrize("use", ["転載する", "複製する", "複写する"])
def test_what_cannot_be_done_is_a_reservation_only_where_it_is_said_of_the_page(use: str) -> None:
    assert license_of(f"<p>本サイトの文章を無断で{use}ことはできません。</p>").tier == "reserved"
    assert (
        license_of(f"<article><p>著作物を無断で{use}ことはできません。</p><p>海の話。</p></article>").tier == "unknown"
    )
