"""What must hold of formulas: shown once, as the TeX that they were written in, at their place."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.math_markup import MAX_TEX_BYTES, show_math
from pipeline.web.page import read_page
from pipeline.web.page.tree import TEXT_HIDDEN

FIXTURES = Path(__file__).parent / "main_text"
KATEX = (
    '<span class="katex"><span class="katex-mathml"><math><semantics><mrow><mi>E</mi></mrow>'
    '<annotation encoding="application/x-tex">E=mc^2</annotation></semantics></math></span>'
    '<span class="katex-html" aria-hidden="true"><span class="base">E=mc²</span></span></span>'
)
MEDIAWIKI = (
    '<span class="mwe-math-element"><span class="mwe-math-mathml-inline mwe-math-mathml-a11y" style="display: none;">'
    '<math alttext="{\\displaystyle x}"><semantics><mi>x</mi><annotation encoding="application/x-tex">'
    "{\\displaystyle x}</annotation></semantics></math></span>"
    '<img src="/math/x.svg" class="mwe-math-fallback-image-inline" aria-hidden="true" alt="{\\displaystyle x}"></span>'
)


def lines(html: str) -> list[str]:
    """What is shown, white space in lines collapsed."""
    shown = (" ".join(line.split()) for line in show_math(read_page(html)).visible_text().split("\n"))
    return [line for line in shown if line]


@pytest.mark.parametrize("name", ["math-katex", "math-mathml", "math-mathjax-scripts", "math-image-alt"])
def test_every_expected_line_with_a_formula_is_shown(name: str) -> None:
    expected = (FIXTURES / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    shown = lines((FIXTURES / f"{name}.html").read_text(encoding="utf-8"))
    with_tex = [line for line in expected if "$" in line]
    assert len(with_tex) >= 4
    assert [line for line in shown if line in with_tex] == with_tex


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (f"<p>質量とエネルギーは{KATEX}で結ばれる。", ["質量とエネルギーは$E=mc^2$で結ばれる。"]),
        (f"<p>式<span class=katex-display>{KATEX}</span>より", ["式", "$$E=mc^2$$", "より"]),
        (f"<p>変数{MEDIAWIKI}は実数。", ["変数$x$は実数。"]),
        (f"<p>{MEDIAWIKI}と{MEDIAWIKI}<p>次", ["$x$と$x$", "次"]),
        (
            '<p>積は<math display="block"><mi>a</mi><annotation encoding="TeX">ab</annotation></math>である',
            ["積は", "$$ab$$", "である"],
        ),
        ('<p>積<math><mi>a</mi><annotation encoding="text/plain">ab</annotation></math>', ["積a"]),
        ("<p>積<math><mi>a</mi></math>は", ["積aは"]),
        (
            '<p>辺<span class=MathJax_Preview>[式]</span><span class="MathJax" id=f>a<span class=MJX_Assistive_MathML>'
            '<math><mi>a</mi></math></span></span><script type="math/tex" id=e>a &lt b</script>は正。',
            ["辺$a &lt b$は正。"],
        ),
        (
            "<p>よって</p><div class=MathJax_Display><span class=MathJax>a＋b</span></div>"
            '<script type="math/tex; mode=display">a+b</script><p>である',
            ["よって", "$$a+b$$", "である"],
        ),
        ('<p>前<br><script type="math/tex">n</script>後', ["前", "$n$後"]),
        ('<p>前<script type="math/tex">n</script><br>後', ["前$n$", "後"]),
        ("<ul><li><img class=tex alt=n>のとき<li>前<img class=tex alt=m><li>次</ul>", ["$n$のとき", "前$m$", "次"]),
        ("<p><img class=tex alt=a><br><img class=tex alt=b>", ["$a$", "$b$"]),
        ('<p>角<img class="math" alt="$\\theta &lt; 1$">', ["角$\\theta < 1$"]),
        ('<p><img class="latex" alt="LaTeX">で書く', ["で書く"]),
        ('<p><img class="math" alt="数式の図">は図', ["は図"]),
        ('<p><img class="photo" alt="x^2">', []),
        (f"<div hidden>{KATEX}</div>答え", ["答え"]),
        (f"<template>{KATEX}</template>答え", ["答え"]),
        (f"<div style='display:none'>{MEDIAWIKI}</div>答え", ["答え"]),
        # A page or article that bears a program's name holds more than a formula.
        (f"<body class=katex><div class=katex>前{KATEX}と{KATEX}後</div>", ["前$E=mc^2$と$E=mc^2$後"]),
        ('<p>{\\displaystyle …}は<img class=tex alt="{\\displaystyle {a}+{b}}">', ["{\\displaystyle …}は${a}+{b}$"]),
        ('<p><img class=tex alt="{\\displaystyle a}+{b}">', ["${\\displaystyle a}+{b}$"]),
    ],
)
def test_formulas_are_shown_once(html: str, expected: list[str]) -> None:
    assert lines(html) == expected


def test_a_page_without_formulas_stays_the_same() -> None:
    page = read_page("<p>数式のない<b>頁</b>。価格は$5から$9。<img class=photo alt=x><math><mi>x</mi></math>")
    assert show_math(page) is page


def test_the_page_itself_is_not_changed() -> None:
    page = read_page(f"<p>{KATEX}<p>次")
    before = page.texts.copy(), page.source
    show_math(page)
    assert (page.texts == before[0]).all() and page.source == before[1]


def test_tex_that_is_too_long_is_left_out() -> None:
    tex = "x" * (MAX_TEX_BYTES + 1)
    assert lines(f'<p>式<script type="math/tex">{tex}</script>。') == ["式。"]


PIECES = [
    *(
        "<p>",
        "</p>",
        "<div>",
        "</div>",
        "<span class=katex>",
        "<span class='MathJax'>",
        "</span>",
        "<br>",
        "漢字",
        " a ",
        "&amp;",
    ),
    *(
        "<math>",
        "<math display=block>",
        "</math>",
        "<annotation encoding=TeX>x",
        "</annotation>",
        "<mi>y</mi>",
        "<svg>",
    ),
    *(
        "<script type='math/tex'>n",
        "<script type='math/tex;mode=display'>m</script>",
        "</script>",
        "<template>",
        "<td>",
    ),
    *("<img class=tex alt=k>", "<img class='mwe-math-fallback-image-display' alt='{\\displaystyle j}'>", "<p hidden>"),
    *("<div class=MathJax_Display>", "<span class=MathJax_Preview></span>", "$", "{", "\\", "\0"),
    *(KATEX, MEDIAWIKI),
]


@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_any_soup_keeps_what_is_no_formula(pieces: list[str]) -> None:
    page = read_page("".join(pieces))
    shown = show_math(page)
    texts = shown.texts
    assert shown.source.startswith(page.source)
    assert len(shown.source) <= 3 * len(page.source) + 10
    assert (texts["start"] <= texts["end"]).all() and (texts["end"] <= len(shown.source)).all()
    assert ((texts["element"] >= -1) & (texts["element"] < len(page.elements))).all()
    # The page's own texts are all there, in their order, and only ever hidden.
    own = texts[texts["start"] < len(page.source)]
    assert np.array_equal(own["start"], page.texts["start"])
    assert not ((page.texts["flags"] & TEXT_HIDDEN != 0) & (own["flags"] & TEXT_HIDDEN == 0)).any()
    shown.visible_text()


@given(st.text(max_size=60))
def test_any_tex_in_a_script_is_shown_whole(tex: str) -> None:
    written = "".join(
        letter for letter in tex if letter not in "<>$\\{}\0()[]\r" and not 0xD800 <= ord(letter) <= 0xDFFF
    )
    expected = " ".join(written.split())
    shown = show_math(read_page(f'<p>式<script type="math/tex">{written}</script>。')).visible_text()
    assert shown == (f"式${expected}$。" if expected else "式。")
