"""What must hold of hosts and of the comparison form of URLs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.urls import host, normalize_url

# Text that looks like a URL more often than arbitrary text does.
URLISH = st.lists(
    st.sampled_from(
        [
            "http",
            "https",
            "ftp",
            ":",
            "//",
            "/",
            "?",
            "#",
            "@",
            ".",
            "%e3",
            "%",
            "[",
            "]",
            "\\",
            " ",
            "a",
            "日本",
            "80",
            "\ud800",
        ]
    )
).map("".join)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://WWW.Example.CO.JP/a?b#c", "www.example.co.jp"),
        ("http://user:p%40ss@example.jp:8080/", "example.jp"),
        ("http://xn--wgv71a119e.jp/", "xn--wgv71a119e.jp"),
        ("http://日本語.jp", "日本語.jp"),
        ("http://[2001:DB8::1]:443/x", "[2001:db8::1]"),
        ("http://example.jp./", "example.jp"),
        ("http://example.jp\\@evil.example/", "example.jp"),
        ("//example.jp/a", None),
        ("mailto:someone@example.jp", None),
        ("http:///path", None),
        ("http://a b/", None),
        ("http://example.jp:80:443/", None),
        ("", None),
        ("ほげ", None),
    ],
)
def test_host(url: str, expected: str | None) -> None:
    assert host(url) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://example.jp", "https://example.jp/"),
        ("http://example.jp:80/a", "https://example.jp:443/a"),
        ("HTTP://EXAMPLE.jp/a#top", "http://example.jp/a"),
        ("http://example.jp/a?", "http://example.jp/a"),
        ("http://example.jp/a?#x", "http://example.jp/a"),
        ("http://example.jp/%e3%81%82", "http://example.jp/%E3%81%82"),
        ("http://example.jp:/a", "http://example.jp/a"),
    ],
)
def test_captures_of_one_page_compare_equal(one: str, other: str) -> None:
    assert normalize_url(one) == normalize_url(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://example.jp/a?id=1", "http://example.jp/a?id=2"),
        ("http://example.jp/a?id=1", "http://example.jp/a"),
        ("http://example.jp/A", "http://example.jp/a"),
        ("http://example.jp/a/", "http://example.jp/a"),
        ("http://www.example.jp/", "http://example.jp/"),
        ("http://example.jp:8080/", "http://example.jp/"),
        ("http://a@example.jp/", "http://b@example.jp/"),
    ],
)
def test_different_pages_stay_different(one: str, other: str) -> None:
    assert normalize_url(one) != normalize_url(other)


@given(st.text() | URLISH)
def test_any_text_is_taken_and_normalizing_twice_changes_nothing(url: str) -> None:
    once = normalize_url(url)
    assert normalize_url(once) == once
    assert "#" not in once


@given(URLISH)
def test_host_survives_normalizing(url: str) -> None:
    name = host(url)
    if name is not None:
        assert host(normalize_url(url)) == name
        assert name == name.lower() and "@" not in name and "/" not in name
