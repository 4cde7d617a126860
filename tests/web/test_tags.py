"""What must hold of the tag scan: HTML's own rules for where a start tag is, on any text, in linear time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.tags import MAX_TAGS, Tag, find_tags

NAMES = frozenset(("a", "link", "meta"))


def tags(html: str) -> list[Tag]:
    return list(find_tags(html, NAMES))


def test_name_attributes_offset_and_anchor_text() -> None:
    html = '<p>紙<A HREF="/x?a=1&amp;b=2" Rel=license data-x=\'"\' hidden>CC <b>表示</b>\n 4.0</A></p>'
    assert tags(html) == [
        Tag("a", {"href": "/x?a=1&b=2", "rel": "license", "data-x": '"', "hidden": ""}, html.index("<A"), "CC 表示 4.0")
    ]


@pytest.mark.parametrize(
    ("html", "attributes"),
    [
        ("<meta name=a name=b>", {"name": "a"}),
        ("<meta/name=a/>", {"name": "a/"}),
        ("<meta name = 'a' />", {"name": "a"}),
        ("<meta\n\tname\n=\na>", {"name": "a"}),
        ('<meta content="a>b">', {"content": "a>b"}),
        ("<meta content='&#x3042;&lt;'>", {"content": "あ<"}),
        ("<meta content=a'b>", {"content": "a'b"}),
        ('<meta content="">', {"content": ""}),
        ("<meta content=>", {"content": ""}),
        ("<META NAME=ROBOTS>", {"name": "ROBOTS"}),
        ("<meta>", {}),
    ],
)
def test_attributes(html: str, attributes: dict[str, str]) -> None:
    assert [tag.attributes for tag in tags(html + "<p>")] == [attributes]


@pytest.mark.parametrize(
    "hidden",
    [
        "<!-- {} -->",
        "<!-- > {} --!>",
        "<script>'{}'</script>",
        "<SCRIPT type=x>{}</Script >",
        "<style>{}</style>",
        "<title>{}</title>",
        "<textarea>{}</textarea>",
        "<template>{}</template>",
        "<template><template></template>{}</template>",
        '<p title="{}">',
        "<p title='{}'>",
        "<? {}",
        "<!doctype {}",
    ],
)
def test_what_only_looks_like_a_tag_is_none(hidden: str) -> None:
    assert [tag.name for tag in tags(hidden.format("<a href=x>") + "<link>")] == ["link"]


@pytest.mark.parametrize(
    "harmless",
    [
        "<!-->",
        "<!--->",
        "<!---->",
        "</>",
        "< a>",
        "<1>",
        '<p title=">">',
        "a < b",
        "</p x='>'>",
        '<p a"b>',
        "<abbr>",
        "<metadata>",
        "</a>",
        "<noscript>",
        "</template>",
    ],
)
def test_what_does_not_hide_the_next_tag(harmless: str) -> None:
    assert [tag.name for tag in tags(harmless + "<a href=x>")] == ["a"]


@pytest.mark.parametrize("open_end", ["<!-- ", "<script>", "<title>", '<p title="', "<p "])
def test_what_never_ends_swallows_the_rest(open_end: str) -> None:
    assert tags(open_end + "<a href=x") == []
    assert [tag.name for tag in tags("<link>" + open_end + "<a href=x")] == ["link"]


def test_an_anchors_text_ends_with_it_or_the_next() -> None:
    assert [tag.text for tag in tags("<a>一<a>二</a>三<link>")] == ["一", "二", ""]
    assert tags("<a>" + "長" * 500)[0].text == "長" * 200
    assert tags("<a>1 &lt; 2 <img alt='&gt;'></a>")[0].text == "1 < 2"


def test_the_number_of_tags_is_capped() -> None:
    assert len(tags("<a>" * (MAX_TAGS + 5))) == MAX_TAGS


MARKUP = st.lists(
    st.sampled_from(
        [
            "<",
            ">",
            "a",
            "<a ",
            "<!--",
            "-->",
            "-",
            "!",
            "/",
            "=",
            "'",
            '"',
            " ",
            "<script",
            "</script>",
            "<template>",
            "</template>",
            "&",
            "&lt",
            "紙",
            "\x00",
            "\ud800",
            "href=x",
            "<title>",
            "</title>",
            "<meta ",
        ]
    )
).map("".join)


@given(st.text() | MARKUP)
def test_any_text_is_taken_and_offsets_point_at_tags(html: str) -> None:
    found = tags(html)
    assert all(html[tag.offset] == "<" and html[tag.offset + 1 :].lower().startswith(tag.name) for tag in found)
    assert [tag.offset for tag in found] == sorted({tag.offset for tag in found})
    assert all(name == name.lower() for tag in found for name in tag.attributes)


@given(MARKUP)
def test_text_before_a_page_moves_its_tags_and_nothing_else(html: str) -> None:
    moved = [Tag(tag.name, tag.attributes, tag.offset - 3, tag.text) for tag in tags("紙漉き" + html)]
    assert moved == tags(html)


@pytest.mark.parametrize("piece", ['<a "', "<a ", "<!--", "<script>", "<", "</", "<a x='", "<a>", "<a x= ", "&"])
def test_a_million_letters_of_one_piece_are_read(piece: str) -> None:
    assert len(tags(piece * (1_000_000 // len(piece)))) <= MAX_TAGS
