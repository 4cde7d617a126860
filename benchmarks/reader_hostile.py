"""Pages made to hurt the page reader and main text: work and CPU time a byte, at three sizes, which must not grow.

    make bench-hostile

Work is the page's bytes and the steps on the stack of open elements: the same on every machine. Exits with 1 where a
family's work a byte grows by more than a tenth from one size to the next, beyond what filling the stack once costs.
"""

from __future__ import annotations

import sys
import time
from itertools import pairwise

from pipeline.web.consent.page_signals import find_consent
from pipeline.web.license import find_license
from pipeline.web.main_text import extract
from pipeline.web.metadata import read_metadata
from pipeline.web.page import Page, read_page
from pipeline.web.page.stack import MAX_DEPTH

SIZES = (250_000, 1_000_000, 4_000_000)
TURNS = 3
# What a page repeats, after what stands once before it.
FAMILIES: dict[str, tuple[str, str]] = {
    "nested div": ("", "<div>"),
    "nested p": ("", "<p>"),
    "nested b": ("", "<b>"),
    "nested a": ("", "<a href=x>"),
    "nested tables": ("", "<table><tr><td>"),
    "nested lists": ("", "<ul><li>"),
    "nested templates": ("", "<template>"),
    "nested svg": ("", "<svg>"),
    "svg and math in turn": ("", "<svg><foreignObject><math><mi>"),
    "unknown names, nested": ("", "<x-a>"),
    "end tags of others": ("<div>" * MAX_DEPTH, "</span>"),
    "end tags of the outermost": ("<x-a>" + "<div>" * MAX_DEPTH, "</x-a><x-a>"),
    "headings' end tags in a deep stack": ("<span>" * MAX_DEPTH, "</h1>"),
    "paragraphs' end tags": ("<p>" + "<b>" * MAX_DEPTH, "</p>"),
    "list items in a deep stack": ("<li>" + "<span>" * (MAX_DEPTH - 9), "<li></li><span>"),
    "forms removed from below": ("<div>" * (MAX_DEPTH // 2), "<form><b></form>"),
    "formatting removed from below": ("", "<b><p></b>"),
    "foreign end tags": ("<svg>" + "<g>" * MAX_DEPTH, "</x>"),
    "ruby": ("", "<ruby><rt>"),
    "options": ("<select>", "<option><optgroup>"),
    "cells without a table": ("", "<td>"),
    "comment that never ends": ("<!--", "--!-"),
    "comments": ("", "<!---->"),
    "CDATA that never ends": ("<svg><![CDATA[", "]]]"),
    "script that opens scripts": ("<script>", "<!--<script>"),
    "style's nearly end tags": ("<style>", "</styl"),
    "frames in noscript": ("", "<noscript><iframe /></noscript>"),
    "nearly ends of noscript": ("<noscript><iframe>", "</noscript"),
    "less-than signs": ("", "<"),
    "ampersands": ("", "&"),
    "nearly references": ("", "&CounterClockwiseContourIntegra"),
    "endless number": ("&#", "9"),
    "references that grow": ("", "&nGt;"),
    "one tag of many attributes": ("<p ", "a=b "),
    "one attribute that never ends": ("<a href='", "x&amp;"),
    "attributes of references": ("", "<a href='&lt;&amp;'>"),
    "links to licenses": ("", "<a rel=license href=//creativecommons.org/licenses/by/4.0/>"),
    "meta robots": ("", "<meta name=robots content=noai>"),
    "styles": ("", "<i style=';display:none;display:block'></i>"),
    "spaces": ("<p>", " " * 63 + "x"),
    "NUL": ("<p>", "\0"),
    "one-letter blocks": ("", "<p>紙"),
    "letters that nothing parts": ("<p>", "紙、"),
    "classes of words": ("", "<i class='navNavnaV-main-main'></i>"),
    "one class": ("<p class='", "nav "),
    "cells and rows": ("<table>", "<tr><td>紙<td>水"),
    "wide row": ("<table><tr>", "<td>紙"),
    "readings": ("<p>", "<ruby>紙<rt>かみ</ruby>"),
    "formulas": ("", "<img class=tex alt='x^2'>"),
    "MathML": ("", "<math><annotation encoding=application/x-tex>x</math>"),
    "JSON-LD nested": ("<script type=application/ld+json>", '{"a":'),
    "JSON-LD, many": ("", '<script type=application/ld+json>{"articleBody":"紙"}</script>'),
    "JSON-LD, one long": ('<script type=application/ld+json>{"articleBody":"', "紙"),
    "dates": ("", "<time datetime=2024-05-13>2024年5月13日</time>"),
    "titles": ("", "<title>紙</title><h1>紙</h1>"),
    "descriptions": ("", "<meta name=description content=紙を漉く>"),
    "canonical": ("", "<link rel=canonical href=/a>"),
}


def page_of(family: str, size: int) -> str:
    before, piece = FAMILIES[family]
    return before + piece * ((size - len(before)) // len(piece))


def work_of(page: Page) -> float:
    """Work a byte: the page's bytes and the steps beyond those that fill the stack once."""
    return (len(page.source) + max(0, page.steps - MAX_DEPTH**2)) / len(page.source)


def seconds_of(html: str) -> float:
    """The least CPU time, of some turns, to read a page and to ask for all that is asked of one."""
    least = float("inf")
    for _ in range(TURNS):
        started = time.process_time()
        page = read_page(html)
        page.visible_text()
        find_license(page, {})
        find_consent(page, {})
        read_metadata(page, "https://kami.example/", None)
        extract(page, tables="markdown", ruby="parentheses")
        least = min(least, time.process_time() - started)
    return least


def main() -> int:
    growing = 0
    for html in ("", "<p>", "<a rel=license href=x><meta name=a>&amp;"):
        seconds_of(html)
    print(f"{len(FAMILIES)} families; columns: work a byte, ns a byte, at {', '.join(f'{size:,}' for size in SIZES)}")
    for family in FAMILIES:
        works, times = [], []
        for size in SIZES:
            html = page_of(family, size)
            page = read_page(html)
            works.append(work_of(page))
            times.append(seconds_of(html) / len(page.source) * 1e9)
        grows = any(later > 1.1 * earlier for earlier, later in pairwise(works))
        growing += grows
        numbers = "  ".join(f"{work:8.2f} {nanoseconds:8.1f}" for work, nanoseconds in zip(works, times))
        print(f"{family:36} {numbers}  {'GROWS' if grows else ''}{', '.join(sorted(page.capped))}")
    return 1 if growing else 0


if __name__ == "__main__":
    sys.exit(main())
