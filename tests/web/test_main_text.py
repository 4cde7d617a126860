"""Main text: what must hold of every page, whatever the model says of it."""

from __future__ import annotations

import io
import subprocess
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.web.charset import decode
from pipeline.web.main_text import PAGE_TYPES, extract, extractor_name
from pipeline.web.main_text.analysis import analyse
from pipeline.web.main_text.blocks import BEHIND_TEXT, BLOCK_COLUMNS, FIRST_TEXT, LETTERS, MAX_BLOCKS
from pipeline.web.main_text.choose import CHANCE, choose, leave_out_decoration
from pipeline.web.main_text.feature_names import FEATURE_COUNT, FEATURES
from pipeline.web.main_text.judge import judge
from pipeline.web.main_text.letters import OTHER, kind_of
from pipeline.web.main_text.model import committed_model, load_model
from pipeline.web.main_text.trees import Trees, chances_of, sum_trees
from pipeline.web.main_text.write import block_texts, written
from pipeline.web.page import read_page
from pipeline.web.warc import read_records

SAMPLE = Path(__file__).parents[1] / "data" / "sample.warc.gz"
PARAGRAPHS = (
    "紙漉きの里では、冬の冷たい水で楮の繊維を洗い、簀桁を前後左右に揺すって一枚ずつ漉き上げていく。",
    "水が冷たいほど繊維は締まり、丈夫な紙になるという。職人は指先の感覚だけで厚みをそろえる。",
    "乾いた紙は板から静かにはがされ、検品のあと、東京や京都の修復工房へ送られていく。",
)


def article(body: str) -> str:
    """A page with a frame, whose article is `body`."""
    menu = "".join(
        f"<li><a href=/{n}>{name}</a>" for n, name in enumerate(("ホーム", "会社案内", "採用", "お問い合わせ"))
    )
    return (
        "<!DOCTYPE html><html lang=ja><head><title>冬の紙漉き | 里の便り</title></head><body>"
        f"<header class=site-header><nav class=global-nav><ul>{menu}</ul></nav></header>"
        f"<main><article class=entry-content><h1>冬の紙漉き</h1>{body}</article></main>"
        f"<footer class=site-footer><ul>{menu}</ul><small>© 2024 里の便り</small></footer></body></html>"
    )


def whole(body: str, **styles: str) -> str:
    """All of a body's blocks as they are written, chosen or not."""
    page = read_page(body)
    found = analyse(page)
    return written(page, found, np.ones(len(found.blocks), dtype=np.uint8), **styles)[0].decode()


def squeezed(text: str) -> str:
    return "".join(text.split())


def test_an_article_is_parted_from_its_frame():
    text = extract(article("".join(f"<p>{paragraph}</p>" for paragraph in PARAGRAPHS))).text
    assert text.split("\n") == ["冬の紙漉き", *PARAGRAPHS]


def test_the_headline_can_be_left_out():
    html = article("".join(f"<p>{paragraph}</p>" for paragraph in PARAGRAPHS))
    assert extract(html, headline="dropped").text.split("\n") == [*PARAGRAPHS]


def test_text_bytes_and_a_page_read_before_are_read_alike():
    html = article("".join(f"<p>{paragraph}</p>" for paragraph in PARAGRAPHS))
    assert extract(html) == extract(html.encode()) == extract(read_page(html))


@pytest.mark.parametrize(
    "html, text",
    [
        ("<p><b>東京</b>と<b>大阪</b>へ", "東京と大阪へ"),
        ("<p>一行目<br>二行目<br><br>三行目", "一行目\n二行目\n三行目"),
        ("<p>改行は\n  空白に", "改行は 空白に"),
        ("<p>　字下げは\n残る　", "　字下げは 残る"),
        ("<dl><dt>楮<dd>こうぞ<dt>三椏<dd>みつまた</dl>", "楮\nこうぞ\n三椏\nみつまた"),
        ("<p>本文<script>var 文;</script>続き<template>型</template><i hidden>隠</i>", "本文続き"),
        ("<noscript><p>投稿です。</p></noscript>", "投稿です。"),
        ("<h2>見出し<a class=headerlink href=#a>¶</a></h2>", "見出し"),
        ("<p>A&amp;B &hearts; &#x3042;&nbsp;い", "A&B ♥ あ い"),
        ("<pre>  def f():\n\n      return 1\n</pre>", "  def f():\n\n      return 1"),
        ("<pre><span>a</span>\n  <b>b</b></pre>", "a\n  b"),
        ("<p>㈱紙漉き～①", "㈱紙漉き～①"),
        ("<svg><script>紙を漉く。</script><title>図</title></svg>", ""),
    ],
)
def test_what_is_written_is_what_a_reader_sees(html, text):
    assert whole(html) == text


@pytest.mark.parametrize(
    "style, text",
    [
        ("rows", "品\t値\n紙\t80\n\n墨"),
        ("markdown", "| 品 | 値 |\n| --- | --- |\n| 紙 | 80 |\n\n墨"),
        ("dropped", "墨"),
    ],
)
def test_tables_are_written_as_asked(style, text):
    html = "<table><tr><th>品<th>値<tr><td>紙<td>80</table><p>墨</p>"
    assert whole(html, tables=style) == text.replace("\n\n", "\n")


def test_an_empty_cell_keeps_its_place_in_a_row():
    assert whole("<table><tr><td>甲<td><td>丙</table>") == "甲\t\t丙"


@pytest.mark.parametrize("style", ["rows", "markdown"])
def test_a_row_of_countless_empty_cells_is_written(style):
    html = "<table>" + ("<tr><td>甲" + "<td>" * 5000 + "乙") * 3 + "</table>"
    assert squeezed(whole(html, tables=style)).replace("|", "").replace("-", "") == "甲乙" * 3


def test_a_table_for_layout_is_no_table():
    html = "<table><tr><td><p>左の段<p>二つ目<td><p>右の段</table>"
    assert whole(html) == "左の段\n二つ目\n右の段"


def test_cells_of_a_table_within_a_cell_are_rows_of_their_own():
    html = "<table><tr><td><table><tr><td>内<td>側</table><td>外</table>"
    assert whole(html) == "内\t側\n外"


@pytest.mark.parametrize(
    "ruby",
    [
        "<ruby>漢字<rt>かんじ</rt></ruby>",
        "<ruby>漢字<rp>（</rp><rt>かんじ</rt><rp>）</rp></ruby>",
        "<ruby>漢字<rp>(<rt>かんじ<rp>)</ruby>",
        "<ruby><rb>漢字</rb><rtc><rt>かんじ</rt></rtc></ruby>",
    ],
)
def test_ruby_is_read_once(ruby):
    assert whole(f"<p>この{ruby}を読む") == "この漢字を読む"
    assert whole(f"<p>この{ruby}を読む", ruby="parentheses") == "この漢字（かんじ）を読む"


def test_a_page_that_hides_what_its_script_will_show_is_read():
    body = "".join(f"<p>{paragraph}</p>" for paragraph in PARAGRAPHS)
    assert whole(f"<p>読込中</p><div hidden id=S:0>{body}</div>").split("\n")[1:] == [*PARAGRAPHS]


def test_lines_that_a_reader_can_open_are_read_and_what_is_hidden_within_a_line_is_not():
    shut = f"<p>質問です。</p><div style='display:none'><p>{PARAGRAPHS[0]}</p><p>{PARAGRAPHS[1]}</p></div>"
    assert whole(shut).split("\n") == ["質問です。", PARAGRAPHS[0], PARAGRAPHS[1]]
    assert whole("<p>紙を<span hidden>隠した</span>漉く。</p>") == "紙を漉く。"


ARTICLE = '<script type="application/ld+json">{"@type":"NewsArticle","headline":"冬の紙","articleBody":"%s"}</script>'


def test_an_article_that_stands_only_in_json_ld_is_read_from_there():
    text = extract(ARTICLE % "\\n".join(PARAGRAPHS) + "<div id=app>読み込んでいます。</div>")
    assert text.text.split("\n") == ["冬の紙", *PARAGRAPHS]
    assert (text.source, text.expected_f1, text.page_type) == ("json-ld", None, "article")


def test_an_article_that_is_shown_too_is_read_from_its_blocks():
    body = "".join(f"<p>{paragraph}</p>" for paragraph in PARAGRAPHS)
    text = extract(article(body + ARTICLE % "\\n".join(PARAGRAPHS)))
    assert (text.source, text.text.split("\n")) == ("blocks", ["冬の紙漉き", *PARAGRAPHS])


def test_a_formula_is_written_as_tex():
    html = "<p>面積は<math><mi>S</mi><annotation encoding='application/x-tex'>S=ab</annotation></math>である。"
    assert whole(html) == "面積は$S=ab$である。"


def test_a_page_without_text_gives_none_and_no_type():
    for html in ("", "<p> &nbsp;</p>", "<script>文</script>", "<!-- 文 -->"):
        text = extract(html)
        assert (text.text, text.page_type, text.expected_f1) == ("", None, 0.0)


@pytest.mark.parametrize("setting", [{"tables": "x"}, {"ruby": "x"}, {"headline": "x"}])
def test_an_unknown_setting_is_refused(setting):
    with pytest.raises(ValueError, match="x"):
        extract("<p>文</p>", **setting)


def test_blocks_beyond_the_cap_are_left_out_and_said_to_be():
    text = extract("<p>紙" * (MAX_BLOCKS + 5))
    assert text.capped == {"blocks"}
    assert text.text.count("紙") <= MAX_BLOCKS


PIECES = st.sampled_from(
    "<p> <div> </div> <table> <tr> <td> </table> <ul> <li> <pre> </pre> <br> <b> </b> <a> </a> <ruby> <rt> </ruby> "
    "<h1> </h1> <title> </title> <svg> <math> <nav> <article class=main> </article> <!-- --> <script> </script> "
    "紙を漉く。 東京 、 &amp; &#12354; plain text. 12 　 \n \t ｱ 🗻".split(" ")
)
SOUP = st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=200)


@settings(max_examples=150)
@given(SOUP)
def test_any_page_gives_a_text_whose_letters_are_the_pages_in_their_order(html):
    text = extract(html)
    page = read_page(html)
    assume(not analyse(page).unhidden)
    shown = iter(squeezed(page.visible_text()))
    assert all(letter in shown for letter in squeezed(text.text))
    assert text.expected_f1 is not None and 0 <= text.expected_f1 <= 1
    assert text.page_type in (*PAGE_TYPES, None)


@settings(max_examples=100)
@given(SOUP)
def test_every_block_has_letters_and_all_features(html):
    page = read_page(html)
    found = analyse(page)
    assert found.features.shape == (FEATURE_COUNT, len(found.blocks)) and len(FEATURES) == FEATURE_COUNT
    assert (found.blocks[:, LETTERS] > 0).all()
    shares = [index for index, name in enumerate(FEATURES) if name.endswith("_share") and "prose" not in name]
    assert ((found.features[shares] >= -1) & (found.features[shares] <= 1000)).all()
    assert len(block_texts(page, found)) == len(found.blocks)


SIGNS = st.text(st.sampled_from("*=-_~+;}\\/|☆★◆◇■□●○…―─＊＝～・"), min_size=1, max_size=6)


def silenced(body: str) -> list[bool]:
    """Of every block of a body, whether it is left out for decoration."""
    found = analyse(read_page(body))
    chances = np.full(len(found.blocks), CHANCE, dtype=np.int32)
    leave_out_decoration(found.source, found.elements, found.texts, found.blocks, chances)
    return [not chance for chance in chances]


@given(SIGNS, st.integers(40, 3000), st.sampled_from("あ漢々〆ー9９ａéжㄅ한ﾊ﨑ꀀ"))
def test_a_pattern_of_signs_is_no_text_unless_it_is_preformatted_or_says_something(signs, size, letter):
    pattern = (signs * size)[:size]
    assert silenced(f"<p>{pattern}</p><p>{PARAGRAPHS[0]}</p>") == [True, False]
    assert silenced(f"<p>{pattern}{letter}</p><pre>{pattern}</pre>") == [False, False]
    assert silenced(f"<p>{pattern}&lt;&gt;&amp;&quot;</p><p>{pattern}&eacute;</p><p>{pattern}&ampl;</p>") == [
        True,
        False,
        False,
    ]
    assert squeezed(extract(article(f"<p>{pattern}</p><p>{'</p><p>'.join(PARAGRAPHS)}</p>")).text).endswith(
        squeezed("".join(PARAGRAPHS))
    )


@given(SIGNS, st.integers(1, 39))
def test_a_few_signs_may_part_scenes(signs, size):
    pattern = (signs * size)[:size]
    assert silenced(f"<p>{PARAGRAPHS[0]}</p><p>{pattern}</p><p>{PARAGRAPHS[1]}</p>") == [False, False, False]


def counts(body: str) -> np.ndarray:
    """What the blocks of a body are made of: their rows without places."""
    return np.delete(analyse(read_page(body)).blocks, [FIRST_TEXT, BEHIND_TEXT], axis=1)


@given(st.text(st.sampled_from("紙漉きのむら。、!ー々9９Aé﨑 \u3000\xa0"), min_size=1, max_size=60), st.booleans())
def test_letters_by_number_are_the_letters_that_they_are(text, hexadecimal):
    numbers = "".join(f"&#x{ord(letter):X};" if hexadecimal else f"&#{ord(letter)};" for letter in text)
    plain = text.replace("\xa0", "&nbsp;")
    assert (counts(f"<p>あ{numbers}い</p>") == counts(f"<p>あ{plain}い</p>")).all()


def test_a_page_of_letters_by_number_is_read():
    by_number = article(f"<p>{'</p><p>'.join(PARAGRAPHS)}</p>").encode("ascii", "xmlcharrefreplace")
    assert squeezed(extract(by_number).text) == squeezed("冬の紙漉き" + "".join(PARAGRAPHS))


def test_letters_of_every_script_are_letters():
    # But for those of formulas and units (U+2100 to U+218F), ª, µ, º and 〼.
    signs = {*range(0x2100, 0x2190), 0xAA, 0xB5, 0xBA, 0x303C}
    letters = [code for code in range(0x10000) if unicodedata.category(chr(code)) in ("Lu", "Ll", "Lt", "Lo", "Nd")]
    assert not [chr(code) for code in letters if code not in signs and kind_of(code) == OTHER]


ROWS = st.lists(st.tuples(st.integers(0, CHANCE), st.integers(1, 5000)), min_size=1, max_size=30)


def chosen(rows: list[tuple[int, int]]) -> tuple[np.ndarray, int, int]:
    """What is kept of blocks with these chances and letters, the threshold, and the expected F1 in thousandths."""
    blocks = np.zeros((len(rows), BLOCK_COLUMNS), dtype=np.int32)
    blocks[:, LETTERS] = [letters for _, letters in rows]
    kept = np.zeros(len(rows), dtype=np.uint8)
    threshold, expected = choose(blocks, np.array([chance for chance, _ in rows], dtype=np.int32), kept)
    return kept.astype(bool), threshold, expected


def expected_f1(rows: list[tuple[int, int]], kept: np.ndarray) -> float:
    of_kept = [row for row, keep in zip(rows, kept) if keep]
    whole = CHANCE * sum(letters for _, letters in of_kept) + sum(chance * letters for chance, letters in rows)
    return 2 * sum(chance * letters for chance, letters in of_kept) / whole if whole else 0.0


@given(ROWS)
def test_the_threshold_is_that_of_the_greatest_expected_f1(rows):
    kept, threshold, expected = chosen(rows)
    chances = np.array([chance for chance, _ in rows])
    best = max(expected_f1(rows, chances >= other) for other in range(1, CHANCE + 1))
    assert abs(expected_f1(rows, chances >= threshold) - best) < 1e-9
    assert abs(expected / 1000 - expected_f1(rows, kept)) < 0.0011
    assert kept.any() == chances.any()


@given(ROWS)
def test_what_reaches_the_threshold_is_kept_and_of_the_rest_what_nearly_does_in_the_main_run(rows):
    kept, threshold, _ = chosen(rows)
    gains = np.array([letters * (4 * chance - 3 * threshold) for chance, letters in rows])
    sums = np.concatenate([[0], np.cumsum(gains)])
    runs = [(start, behind) for start in range(len(rows)) for behind in range(start + 1, len(rows) + 1)]
    most = max([0, *(sums[behind] - sums[start] for start, behind in runs)])
    beyond = [place for place, (chance, _) in enumerate(rows) if kept[place] and chance < threshold]
    assert all(kept[place] for place, (chance, _) in enumerate(rows) if chance >= threshold)
    assert all(5 * rows[place][0] >= 4 * threshold for place in beyond)
    if beyond:
        # Some stretch of the greatest sum has all of them in it, and keeps all of its blocks that nearly reach.
        assert any(
            start <= beyond[0]
            and beyond[-1] < behind
            and all(kept[place] or 5 * rows[place][0] < 4 * threshold for place in range(start, behind))
            for start, behind in runs
            if sums[behind] - sums[start] == most
        )


@pytest.mark.parametrize("gap, together", [(1, True), (9000, False)])
def test_a_text_may_pause_but_what_stands_far_behind_it_is_no_part_of_it(gap, together):
    text, unsure, menu = [(900, 400)] * 5 + [(500, 30)], [(420, 60)] * 2, [(10, gap)]
    kept, threshold, _ = chosen([*text[:3], *unsure, *text[3:]])
    assert kept.all() and threshold == 500
    assert chosen([*text, *menu, *unsure])[0].tolist() == [True] * 6 + [False] + [together] * 2


@given(st.sampled_from([1, 2, 6]), st.integers(0, 9), st.integers(0, 300), st.integers(0, 99))
def test_trees_sum_the_leaves_that_their_questions_lead_to(depth, trees, count, seed):
    numbers = np.random.default_rng(seed)
    width = 4
    columns = numbers.integers(0, width, (trees, depth))
    limits, leaves = numbers.integers(-9, 9, (trees, depth)), numbers.integers(-1000, 1000, (trees, 2**depth))
    features = numbers.integers(-10, 10, (width, count))
    sums = np.empty(count, dtype=np.int32)
    model = Trees(*(array.astype(np.int32) for array in (columns, limits, leaves)), 7, np.array([], dtype=np.int64))
    sum_trees(features.astype(np.int32), model.features, model.limits, model.leaves, model.bias, sums)
    for row in range(count):
        leaf = [sum((features[columns[t, d], row] > limits[t, d]) << d for d in range(depth)) for t in range(trees)]
        assert sums[row] == 7 + sum(leaves[t, leaf[t]] for t in range(trees))


@given(st.lists(st.integers(-50, 50), max_size=40), st.lists(st.integers(-60, 60), min_size=1))
def test_a_chance_is_how_many_steps_a_sum_reaches(steps, sums):
    chances = np.empty(len(sums), dtype=np.int32)
    chances_of(np.array(sums, dtype=np.int32), np.array(sorted(steps), dtype=np.int64), chances)
    assert chances.tolist() == [sum(step <= each for step in steps) for each in sums]


def test_a_chance_rises_with_the_sum_of_the_leaves():
    steps = committed_model().first.steps
    sums = np.sort(np.random.default_rng(1).integers(-200_000, 200_000, 5000)).astype(np.int32)
    chances = np.empty(len(sums), dtype=np.int32)
    chances_of(sums, steps, chances)
    assert (np.diff(chances) >= 0).all() and chances[0] == 0 and chances[-1] == CHANCE
    assert abs(int(chances[np.searchsorted(sums, 0)]) - CHANCE / 2) <= 1


def test_what_a_block_is_worth_does_not_depend_on_the_process_or_the_pages_before():
    html = article("".join(f"<p>{paragraph}</p>" for paragraph in PARAGRAPHS))
    program = (
        "import sys; from pipeline.web.main_text import extract, extractor_name;"
        "html = sys.stdin.buffer.read(); extract('<p>別の頁。'); text = extract(html);"
        "sys.stdout.buffer.write(f'{extractor_name()} {text.expected_f1} {text.text}'.encode())"
    )
    done = subprocess.run([sys.executable, "-c", program], input=html.encode(), capture_output=True, check=True)
    here = extract(html)
    assert done.stdout.decode() == f"{extractor_name()} {here.expected_f1} {here.text}"


def test_a_model_of_other_features_is_refused(monkeypatch):
    content = (Path(sys.modules[load_model.__module__].__file__).with_name("main_text.npz")).read_bytes()
    assert load_model(content).digest == committed_model().digest
    monkeypatch.setattr("pipeline.web.main_text.model.FEATURES", (*FEATURES, "another"))
    with pytest.raises(ValueError, match="make train-extractor"):
        load_model(content)


def test_a_model_keeps_leaves_of_any_size():
    content = (Path(sys.modules[load_model.__module__].__file__).with_name("main_text.npz")).read_bytes()
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)
    arrays["second_leaves"] = arrays["second_leaves"] + 40_000
    changed = io.BytesIO()
    np.savez(changed, **arrays)
    for model, file in ((load_model(content), content), (load_model(changed.getvalue()), changed.getvalue())):
        assert (model.second.leaves == np.load(io.BytesIO(file))["second_leaves"]).all()


def test_a_page_that_the_first_trees_are_sure_of_is_theirs_and_others_are_looked_at_twice():
    model = committed_model()
    nothing = replace(model, second=replace(model.second, bias=-(1 << 30)))
    elsewhere = replace(model, further=replace(model.further, leaves=-model.further.leaves))
    outcomes = set()
    for path in sorted((Path(__file__).parent / "main_text").glob("*.html")):
        found = analyse(read_page(path.read_bytes()))
        usual, blind, other = (judge(found, each) for each in (model, nothing, elsewhere))
        twice = usual.kept.any() and not blind.kept.any()
        assert twice or ((usual.kept == blind.kept).all() and (usual.kept == other.kept).all())
        outcomes.add((twice, bool((usual.kept == other.kept).all())))
    assert {(False, True), (True, False)} <= outcomes


def test_what_is_kept_says_how_sure_it_is():
    html = article("".join(f"<p>{paragraph}</p>" for paragraph in PARAGRAPHS))
    plain = judge(analyse(read_page(html)), committed_model())
    unsure = judge(analyse(read_page("<p>" + "<a href=x>次へ</a> " * 3)), committed_model())
    assert plain.expected_f1 > unsure.expected_f1


@pytest.fixture(scope="module")
def sample_pages() -> list[str]:
    """Every fifth page of the embedded sample."""
    records = (one for one in read_records(str(SAMPLE), 8_000_000) if one.content_type == "text/html" and one.body)
    return [decode(one.body, one.http_charset).text for one in records][::5]


EACH_KIND = [
    article("".join(f"<p>{paragraph}</p>" for paragraph in PARAGRAPHS)),
    article("<p><ruby>簀桁<rt>すげた</rt></ruby>を揺する。</p><table><tr><td>楮<td>三椏</tr><tr><td>雁皮</table>"),
    article(f"<p>面積は<img class=tex alt='x^2' src=x.png>である。\0&amp;</p><p>{PARAGRAPHS[0]}</p>"),
    article("<script type='application/ld+json'>{}</script><p>&lt;</p>"),
    "<p></p>",
    "",
]


@pytest.mark.parametrize("tables", ["rows", "markdown", "dropped"])
@pytest.mark.parametrize("ruby", ["dropped", "parentheses"])
@pytest.mark.parametrize("headline", ["kept", "dropped"])
def test_the_one_call_gives_what_its_three_steps_give(sample_pages: list[str], tables: str, ruby: str, headline: str):
    for html in [*EACH_KIND, *sample_pages]:
        page = read_page(html)
        found = analyse(page)
        judged = judge(found, committed_model())
        if headline == "dropped" and judged.headline >= 0:
            judged.kept[judged.headline] = 0
        text = written(page, found, judged.kept, tables, ruby)[0].decode()
        once = extract(page, tables=tables, ruby=ruby, headline=headline)
        if once.source == "blocks":
            assert once.text == text
            assert (once.expected_f1, once.page_type) == (judged.expected_f1, judged.page_type)
            assert once.link_ratio == judged.link_ratio and ("blocks" in once.capped) is found.capped
