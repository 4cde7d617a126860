"""Mutated pages: cut, repeated and spliced ones, and what must hold of each in the page reader and main text."""

from __future__ import annotations

import random
from pathlib import Path

from test_page_reader import HOSTILE, PIECES, holds

from pipeline.web.consent.page_signals import find_consent
from pipeline.web.license import find_license
from pipeline.web.main_text import extract
from pipeline.web.metadata import read_metadata
from pipeline.web.page import read_page
from pipeline.web.page.stack import MAX_DEPTH

OWN_PAGE = (
    "<!DOCTYPE html><html lang=ja><head><meta charset=utf-8><title>紙&amp;漉き</title><style>p{}</style></head><body>"
    "<h1>紙</h1><p hidden>隠<p>吾輩は<b>猫<i>で</b>ある</i>。<ul><li>一<li>二</ul><table><tr><td>表<td>二</table>"
    "<svg><title>図</title><a href=x /></svg><script><!--<script></script>--></script><a rel=license href=/x>©</a>"
    '<script type="application/ld+json">{"@type": "Article", "articleBody": "漉く。"}</script><time>2024年5月3日</time>'
    "<math><mi>x</mi><annotation encoding=application/x-tex>x^2</annotation></math><img class=tex alt='x_1'>"
    '<meta name=description content="冬に漉く"><p class="byline main-text">文：里見</p>'
)
LONGEST = 60_000
OWN_PAGES = Path(__file__).with_name("main_text")


def mutated(page: str, other: str, chance: random.Random) -> str:
    """The page after one to six cuts, repeats, insertions and splices."""
    for _ in range(chance.randint(1, 6)):
        start = chance.randint(0, len(page))
        end = min(len(page), start + chance.choice((1, 4, 40, 400, 4_000)))
        piece = chance.choice((*PIECES, *HOSTILE, "\0", "\r", "\ud800", "\U0001f363"))
        kind = chance.randrange(6)
        if kind == 0:
            page = page[:start] + page[end:]
        elif kind == 1:
            page = page[:start] + page[start:end] * chance.randint(2, 20) + page[end:]
        elif kind == 2:
            page = page[:start] + piece * chance.choice((1, 1, 2, 600)) + page[start:]
        elif kind == 3:
            place = chance.randint(0, len(other))
            page = page[:start] + other[place : place + 2_000] + page[end:]
        elif kind == 4:
            page = page[:start]
        else:
            page = page[:start] + chr(chance.choice((0, 0x22, 0x26, 0x27, 0x2D, 0x2F, 0x3C, 0x3E))) + page[start + 1 :]
    return page[:LONGEST]


def check(html: str) -> None:
    page = read_page(html)
    holds(page)
    assert page.steps <= 3 * MAX_DEPTH * (page.source.count(b"<") + 1)
    find_license(page, {})
    find_consent(page, {})
    read_metadata(page, "https://kami.example/", None)
    for tables, ruby in (("rows", "parentheses"), ("markdown", "dropped")):
        text = extract(page, tables=tables, ruby=ruby)
        assert 0 <= (text.expected_f1 or 0) <= 1 and len(text.text) <= 4 * len(html) + 4096
    for element in range(0, len(page.elements), 97):
        page.text_of(element)


def seeds(folder: Path) -> list[str]:
    """What is mutated: the own page, all pieces, and the pages of a folder."""
    paths = sorted(folder.rglob("*.html"))
    return [OWN_PAGE, "".join(PIECES), *(path.read_text("utf-8", "replace")[:LONGEST] for path in paths)]
