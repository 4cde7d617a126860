"""What must hold of the page reader: where a text stands, what is shown, on pages old, broken and hostile."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.page import read_page
from pipeline.web.page.reader import Page
from pipeline.web.page.stack import MAX_DEPTH


def shape(html: str) -> str:
    """The page's elements and texts as nested lists: p[吾輩は b[猫]]."""
    page = read_page(html)
    parents = page.elements["parent"].tolist()
    children: dict[int, list[tuple[int, str]]] = {}

    def written(element: int) -> str:
        inside = " ".join(text for _, text in sorted(children.get(element, [])))
        return f"{page.name(element)}[{inside}]"

    for start, end, element in zip(*(page.texts[name].tolist() for name in ("start", "end", "element"))):
        children.setdefault(element, []).append((start, page.source[start:end].decode()))
    for element in range(len(parents) - 1, -1, -1):
        children.setdefault(parents[element], []).append((int(page.elements[element]["start"]), written(element)))
    return " ".join(text for _, text in sorted(children.get(-1, [])))


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>吾輩は<b>猫</b>である<p>名前は", "p[吾輩は b[猫] である] p[名前は]"),
        ("<ul><li>一<li>二<ul><li>三</ul><li>四</ul>外", "ul[li[一] li[二 ul[li[三]]] li[四]] 外"),
        ("<dl><dt>紙<dd>漉く<dt>水<dd>流す</dl>", "dl[dt[紙] dd[漉く] dt[水] dd[流す]]"),
        (
            "<table><tr><td>一<td>二<tr><th>三</table>外",
            "table[tr[td[一] td[二]] tr[th[三]]] 外",
        ),
        (
            "<table><thead><tr><td>一<tbody><tr><td>二</table>",
            "table[thead[tr[td[一]]] tbody[tr[td[二]]]]",
        ),
        ("<table><tr><td><table><tr><td>内</table>間<td>隣</table>", "table[tr[td[table[tr[td[内]]] 間] td[隣]]]"),
        ("<div><td>表の外</div>", "div[表の外]"),
        ("<table><tr><td><p>一</div>二</table>", "table[tr[td[p[一 二]]]]"),
        (
            "<select><option>春<option>夏<optgroup><option>秋</select>外",
            "select[option[春] option[夏] optgroup[option[秋]]] 外",
        ),
        ("<ruby>漢<rt>かん<rb>字<rt>じ</ruby>", "ruby[漢 rt[かん] rb[字] rt[じ]]"),
        ("<ruby>漢字<rp>(<rt>かんじ<rp>)</ruby>", "ruby[漢字 rp[(] rt[かんじ] rp[)]]"),
        ("<a href=x>一<a href=y>二</a>三", "a[一] a[二] 三"),
        ("<h1>大<h2>小</h1>本文", "h1[大] h2[小] 本文"),
        ("<b><i>太</b>細</i>並", "b[i[太]] 細 並"),
        ("<p>一</span></div></xyz>二", "p[一 二]"),
        ("<p>一<hr>二<p>三", "p[一] hr[] 二 p[三]"),
        ("<form><p>一<form>二</form>三", "form[p[一 二]] 三"),
        ("<button>一<button>二", "button[一] button[二]"),
        ("<my-box>一<my-list>二</my-box>三", "my-box[一 my-list[二]] 三"),
        ("<my-box><p>一</my-box>二", "my-box[p[一 二]]"),
        ("<p>一</body>二</html>三", "p[一 二 三]"),
        ("<svg><title>絵</title><p>文", "svg[title[絵]] p[文]"),
        ("<svg><g/>一</svg>二", "svg[g[] 一] 二"),
        ("<svg><foreignObject><b>一</b></foreignObject>二</svg>三", "svg[foreignobject[b[一]] 二] 三"),
        ("<svg><style><b>一</b></style>", "svg[style[]] b[一]"),
        ("<math><mi>x</mi><mo>=</math>一", "math[mi[x] mo[=]] 一"),
        ("<svg><![CDATA[<p>]]></svg><![CDATA[消>一", "svg[<p>] 一"),
        ("<head><title>題<b></title><meta><p>一", "head[title[題<b>] meta[]] p[一]"),
        ("<html><head><body>一<body>二", "html[head[] body[一 body[] 二]]"),
        ("<xmp><b>一</b></xmp><plaintext>二</plaintext>", "xmp[<b>一</b>] plaintext[二</plaintext>]"),
        ("<script><!--<script></script>--></script>一", "script[<!--<script></script>-->] 一"),
        ("<noscript><p>一</noscript>二", "noscript[p[一]] 二"),
        ("<noscript><iframe src=a /></noscript><p>一", "noscript[iframe[]] p[一]"),
        ("<noscript><b><script><!-- <script></b></NoScript >一", "noscript[b[script[<!-- <script></b>]]] 一"),
        ("<noscript><iframe>一</noscripts></iframe>二</noscript>三", "noscript[iframe[一</noscripts>] 二] 三"),
        ("<noscript>一</noscript><iframe></noscript><p>二", "noscript[一] iframe[</noscript><p>二]"),
        ("<pre>\n一</pre>", "pre[一]"),
        ("a < b <1 && c</ 一", "a < b <1 && c"),
    ],
)
def test_which_element_a_text_stands_in(html: str, expected: str) -> None:
    assert shape(html) == expected


def test_a_page_of_1999() -> None:
    page = read_page(
        """<HTML><HEAD><META http-equiv=Content-Type content="text/html; charset=x-sjis"><TITLE>ようこそ！</TITLE>
        <BODY bgcolor=#FFFFFF text=#000000><CENTER><FONT size=+3 color=red>わたしのホームページ<BR>へようこそ</CENTER>
        <TABLE border><TR><TD><A HREF=diary.htm>日記<TD><A HREF="link.htm">リンク集</A></TABLE>
        <HR><P>あなたは<IMG SRC="/cgi-bin/count.cgi?id=1&n=2">人目です<P>最終更新日　１９９９／５／１
        <NOFRAMES>フレーム対応</NOFRAMES><!-- ad --><BLINK>工事中</BLINK>"""
    )
    lines = [line.strip() for line in page.visible_text().split("\n") if line.strip()]
    assert lines == [
        "わたしのホームページ",
        "へようこそ",
        "日記",
        "リンク集",
        "あなたは人目です",
        "最終更新日　１９９９／５／１",
        "工事中",
    ]
    assert page.text_of(int(page.find("title")[0])) == "ようこそ！"
    assert list(page.values("a", "href")) == [
        (int(page.find("a")[0]), "diary.htm"),
        (int(page.find("a")[1]), "link.htm"),
    ]
    assert page.attribute(int(page.find("img")[0]), "src") == "/cgi-bin/count.cgi?id=1&n=2"


@pytest.mark.parametrize(
    "hidden",
    [
        "<div hidden>{}</div>",
        "<div HIDDEN=x>{}</div>",
        "<div aria-hidden=true><p>{}</div>",
        "<p style='color:red; DISPLAY : none !important'>{}</p>",
        "<p style=display:none>{}</p>",
        "<div hidden><table><tr><td>{}</table></div>",
        "<b hidden><p hidden></b>{}</p>",
        "<div hidden><b hidden><p></b>{}</p></div>",
        "<form hidden><div></form>{}</div>",
        "<template><p>{}</p></template>",
        "<script>{}</script>",
        "<style>{}</style>",
        "<iframe>{}</iframe>",
        "<noframes>{}</noframes>",
        "<title>{}</title>",
        "<svg><title>{}</title></svg>",
        "<math><semantics><annotation encoding=application/x-tex>{}</annotation></math>",
        "<!-- {} -->",
        "<!-- > {} --!>",
        "<? {} >",
        "<!doctype {}>",
        "<p title='{}'></p>",
    ],
)
def test_what_is_not_shown(hidden: str) -> None:
    page = read_page("前" + hidden.format("隠") + "後")
    assert page.visible_text().replace("\n", "") == "前後"


@pytest.mark.parametrize(
    "shown",
    [
        "<div hidden=until-found>{}</div>",
        "<div aria-hidden=false>{}</div>",
        "<p style='display:block'>{}</p>",
        "<p style='display:none;display:block'>{}</p>",
        "<p style='x-display:none'>{}</p>",
        "<p style='display:nonesuch'>{}</p>",
        "<p hidden>一</p><p>{}</p>",
        "<noscript>{}</noscript>",
        "<textarea>{}</textarea>",
        "<!-->{}",
        "<!--->{}",
        "<!---->{}",
        "<template>x</template>{}",
        "<a aria-hidden=true><div>隠<a>{}</a></div></a>",
        "<b hidden><div>隠</b>{}",
        "</template>{}",
    ],
)
def test_what_is_shown(shown: str) -> None:
    assert "顕" in read_page(shown.format("顕")).visible_text()


def test_a_body_that_hides_itself_is_read() -> None:
    assert read_page("<body style='display:none'>本文").visible_text() == "本文"


@pytest.mark.parametrize(
    ("html", "attributes"),
    [
        ("<meta name=a NAME=b>", {"name": "a"}),
        ("<meta/name=a/>", {"name": "a/"}),
        ("<meta name = 'a' />", {"name": "a"}),
        ("<meta\n\tname\n=\na>", {"name": "a"}),
        ('<meta content="a>b">', {"content": "a>b"}),
        ("<meta content='&#x3042;&lt;&ltx=&copy=1&copy'>", {"content": "あ<&ltx=&copy=1©"}),
        ("<meta content=a'b>", {"content": "a'b"}),
        ("<meta content=>", {"content": ""}),
        ("<META 名前=ROBOTS>", {"名前": "ROBOTS"}),
        ("<meta content='a\r\nb\0'>", {"content": "a\nb\ufffd"}),
        ("<meta>", {}),
    ],
)
def test_attributes(html: str, attributes: dict[str, str]) -> None:
    page = read_page("<p x=y>" + html + "<p>")
    (element,) = page.find("meta")
    assert page.attributes_of(element) == attributes
    for name, value in attributes.items():
        assert page.attribute(element, name) == value
        assert list(page.values("meta", name)) == [(element, value)]
    assert page.attribute(element, "x") is None


def test_a_tag_that_the_page_cuts_off_is_none() -> None:
    assert list(read_page("<p>一<a href='x").find("a")) == []
    assert read_page("<p>一<a href='x").visible_text() == "一"


def test_elements_in_templates_are_not_found() -> None:
    page = read_page("<template><a href=x></a><template></template><a></a></template><a href=y></a>")
    assert list(page.values("a", "href")) == [(int(page.find("a")[0]), "y")]


@pytest.mark.parametrize(
    "hiding",
    [
        "<!-- {} -->",
        "<!-- > {} --!>",
        "<script>'{}'</script>",
        "<SCRIPT type=x>{}</Script >",
        "<style>{}</style>",
        "<title>{}</title>",
        "<textarea>{}</textarea>",
        "<xmp>{}</xmp>",
        "<template>{}</template>",
        "<template><template></template>{}</template>",
        '<p title="{}">',
        "<p title='{}'>",
        "<? {}",
        "<!doctype {}",
    ],
)
def test_what_only_looks_like_a_tag_is_none(hiding: str) -> None:
    page = read_page(hiding.format("<a href=x>") + "<link href=y>")
    assert list(page.values("a", "href")) == []
    assert [value for _, value in page.values("link", "href")] == ["y"]


@pytest.mark.parametrize(
    "harmless",
    ["<!-->", "<!--->", "<!---->", "</>", "< a>", "<1>", '<p title=">">', "a < b", "</p x='>'>", '<p a"b>', "<abbr>",
     "<metadata>", "</a>", "<noscript>", "</template>", "<svg>", "<div hidden>", "<select>", "<table>"],
)  # fmt: skip
def test_what_does_not_hide_the_next_tag(harmless: str) -> None:
    assert [value for _, value in read_page(harmless + "<a href=x>").values("a", "href")] == ["x"]


@pytest.mark.parametrize("open_end", ["<!-- ", "<script>", "<title>", '<p title="', "<p "])
def test_what_never_ends_swallows_the_rest(open_end: str) -> None:
    page = read_page("<link>" + open_end + "<a href=x")
    assert (len(page.find("link")), len(page.find("a"))) == (1, 0)


VALUES = st.lists(st.sampled_from(["license", "LICENSE", "licens", "li", "x", " ", "&amp;", "&#108;icense", "紙"]))


@given(st.lists(VALUES.map("".join), max_size=5))
def test_a_quick_look_for_words_leaves_out_only_what_holds_none(written: list[str]) -> None:
    page = read_page("<a>" + "".join(f'<a rel="{value}"><link rel="{value}">' for value in written))
    everything = list(page.values("a", "rel"))
    chosen = list(page.values("a", "rel", "nofollow license"))
    assert len(everything) == len(written) and set(chosen) <= set(everything)
    assert {pair for pair in everything if "license" in pair[1].lower()} <= set(chosen)


def test_elements_without_a_number_are_found_by_name() -> None:
    page = read_page("<x-紙 a=1><X-紙 a=2><x-y a=3>")
    assert [value for _, value in page.values("x-紙", "a")] == ["1", "2"]
    assert page.find("x-y").tolist() == [2]


def test_a_byte_order_mark_is_no_text() -> None:
    assert read_page("\ufeff<p>紙").visible_text() == "紙"


def test_what_is_no_unicode_becomes_a_replacement_character() -> None:
    assert read_page("紙\ud800").visible_text() == "紙\ufffd"
    assert read_page("紙".encode() + b"\xff").visible_text() == "紙\ufffd"


def test_deep_pages_keep_their_text_and_their_outer_elements() -> None:
    page = read_page("<main>" + "<div>" * 2000 + "奥" + "</div>" * 2000 + "手前</main>外")
    assert page.capped == {"depth"}
    assert page.visible_text() == "奥\n手前\n外"
    assert page.texts["element"].tolist() == [MAX_DEPTH - 1, 0, -1]


def test_a_depth_is_the_number_of_ancestors_whatever_was_closed_between() -> None:
    assert read_page("<b><div></b><i>").elements["depth"].tolist() == [0, 1, 2]


PIECES = [
    "<", ">", "a", "<a", "<!--", "-->", "--!>", "-", "!", "/", "=", "'", '"', "&", "&lt", "&#x3042;", "&nGt;", "紙",
    "<script", "</script>", "<template>", "</template>", "href=x", "<title>", "</title>", "<meta", "<table>",
    "<tr>", "<td>", "</table>", "<svg>", "<math>", "<mi>", "<foreignObject>", "</svg>", "<![CDATA[", "]]>", "<p>",
    "</p>", "<li>", "<ul>", "</ul>", "<b>", "</b>", "<i>", "</i>", "<select>", "<option>", "<form>", "</form>",
    "<div", "hidden>", "</div>", "<body>", "<head>", "<plaintext>", "<br/>", "<x-y>", "</x-y>", "<button>", "<h1>",
    "</h2>", "<ruby>", "<rt>", "<dd>", "<pre>", "<textarea>", "style=display:none", "<svg/>",
]  # fmt: skip
SOUP = st.lists(st.sampled_from([*PIECES, "\x00", "\r", "\n", " ", "\ud800"])).map("".join)


def holds(page: Page) -> None:
    size = len(page.source)
    elements, attributes, texts = page.elements, page.attributes, page.texts
    indices = np.arange(len(elements))
    parents = elements["parent"]
    assert ((parents >= -1) & (parents < indices)).all()
    has_parent = parents >= 0
    assert (elements["depth"][~has_parent] == 0).all()
    assert (elements["depth"][has_parent] == elements["depth"][parents[has_parent]] + 1).all()
    assert (elements["start"] < elements["content"]).all()
    assert (elements["content"] <= elements["end"]).all() and (elements["end"] <= size).all()
    assert (np.diff(elements["start"]) > 0).all()
    assert all(page.source[start] == 0x3C for start in elements["start"])
    assert (elements["last_attribute"][:-1] == elements["first_attribute"][1:]).all() or not page.capped
    assert (attributes["name_start"] < attributes["name_end"]).all()
    assert (attributes["value_start"] <= attributes["value_end"]).all()
    assert (texts["start"] < texts["end"]).all() and (texts["start"][1:] >= texts["end"][:-1]).all()
    inside = texts["element"] >= 0
    owners = elements[texts["element"][inside]]
    assert (owners["start"] < texts["start"][inside]).all()
    for element in range(len(elements)):
        assert page.source[elements[element]["start"] + 1 :].lower().startswith(page.name(element).encode()[:1])
        page.attributes_of(element)
    page.visible_text()


@given(st.text() | SOUP)
def test_any_text_is_read_and_the_arrays_agree(html: str) -> None:
    holds(read_page(html))


@given(st.binary())
def test_any_bytes_are_read(data: bytes) -> None:
    holds(read_page(data))


@given(SOUP)
def test_text_before_a_page_moves_it_and_changes_nothing_else(html: str) -> None:
    page, moved = read_page("<!--紙漉き-->" + html), read_page(html.lstrip("\ufeff"))
    assert page.elements["tag"].tolist() == moved.elements["tag"].tolist()
    assert page.visible_text() == moved.visible_text()


@given(st.text(st.sampled_from("吾輩は猫である。々ー１２ｱﾊﾟ㈱～ \n&;#x<>\"'")))
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;").replace("'", "&#39;")
    assert read_page(f"<b>{escaped}").visible_text() == text
    assert read_page(f'<b title="{escaped}">').attribute(0, "title") == text


HOSTILE = [
    "<div>", "<p>", "<b>", "<a>", "<table>", "<table><tr><td>", "<li>", "<ul><li>", "<i></b>", "<div></span>", "<!--",
    "<", "</", "</p>", "<a x='", "<a ", "<a b", "<script>", "<script><!--<script>", "<svg>", "<svg></p>", "<math><mi>",
    "&", "&#", "&no", "<a href=&amp;>", "<select><option>", "<form></form>", "<template>", "<title>", "<b><p></b>",
    "<![CDATA[", "<a b=c>", "<x-a></x-b>", "<style>a</styl", "<ruby><rt>", "<h1>", "<button>", "<svg><title>", "x>",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_the_work_grows_with_the_page_alone(piece: str) -> None:
    smaller, larger = (read_page(piece * (size // len(piece))) for size in (100_000, 200_000))
    # Each tag searches the stack three times at most, and each search ends with the stack.
    assert larger.steps <= 2.2 * smaller.steps + MAX_DEPTH**2
    assert larger.steps <= 3 * MAX_DEPTH * (larger.source.count(b"<") + 1)
    assert len(larger.elements) <= larger.source.count(b"<")
    assert larger.texts.nbytes + larger.elements.nbytes + larger.attributes.nbytes <= 40 * len(larger.source) + 100
    assert len(larger.visible_text().encode()) <= 2 * len(larger.source)
