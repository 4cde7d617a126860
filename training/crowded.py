"""Crowded: copies of labelled articles among lists of linked teasers, as newspapers and portals have them.

A short article among hundreds of headlines, rankings and advertisements is common on Japanese news sites and rare in
the labelled pages. The teasers are lines of links that other labelled pages of the same language leave out.
"""

from __future__ import annotations

import html
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pipeline.web.main_text.blocks import HAN, KANA, LETTERS, LINK_LETTERS, OWNER
from pipeline.web.page import read_page
from pipeline.web.page.stack import END, PARENT
from training.examples import Example, make_example
from training.shortened import SHORTENED

CROWDED = "crowded"
# Sets of which copies are made: of all pages of the first, of some of the others, and of half of the shortened ones.
FEW = frozenset({"ja-sites", "web", "zh"})
MANY = frozenset({"wcxb", "articles", "readability", "other"})
PART_OF_MANY, PART_OF_SHORTENED = 0.12, 0.5
TYPES = frozenset({None, "article"})
# Lists that are put in, the links of each, and how many elements above the text's last line they may stand.
LISTS, LINKS, STEPS = (2, 6), (4, 14), (0, 1, 1, 2, 2, 3)
# A teaser has at least so many letters, less where a letter says more, and at most so many.
SHORTEST, SHORTEST_OF_FEW, LONGEST = 25, 10, 89
# Of the main text's blocks so many must be found again, or the copy is none.
FOUND_AGAIN = 0.8

_HEADINGS = {
    "ja": ("関連記事", "注目", "おすすめ", "ランキング", "新着", "特集", "あわせて読みたい", "PR"),
    "zh": ("相关", "推荐", "热门", "最新"),
    "": ("Related", "More", "Popular", "Latest", "You may like", "Trending"),
}
_CLASSES = ("related", "box", "list", "ranking", "mod", "news-list", "side", "pickup", "more", "unit")
_LIST_TAGS = {"ul": "li", "div": "div", "dl": "dd"}


def _language(example: Example) -> str:
    """Japanese and Chinese by a twentieth and a third of a page's letters; nothing for all others."""
    letters, kana, han = example.found.blocks[:, [LETTERS, KANA, HAN]].sum(axis=0)
    return "ja" if 20 * kana > letters else "zh" if 3 * han > letters else ""


def teasers(examples: Sequence[Example]) -> dict[str, list[tuple[str, str]]]:
    """By language (ja, zh, and none for the others) the site and the text of lines of links outside of main text."""
    found = defaultdict(list)
    for example in examples:
        if example.page.set not in FEW | MANY | {"ja-manuals"}:
            continue
        language = _language(example)
        blocks = example.found.blocks
        letters, linked = blocks[:, LETTERS], blocks[:, LINK_LETTERS]
        fits = (letters >= (SHORTEST_OF_FEW if language else SHORTEST)) & (letters <= LONGEST)
        for row in np.flatnonzero(fits & (example.labels < 0.1) & (10 * linked > 8 * letters)):
            found[language].append((example.page.site, example.texts[row]))
    return dict(found)


def _list(site: str, language: str, known: Sequence[tuple[str, str]], chooser: random.Random) -> str:
    """A list of links to teasers of other sites under a heading, in HTML."""
    outer = chooser.choice(list(_LIST_TAGS))
    inner = _LIST_TAGS[outer]
    timed = chooser.random() < 0.3
    items = []
    for of, text in chooser.sample(known, min(len(known), chooser.randint(*LINKS))):
        time = f"<span>{chooser.randint(0, 23)}:{chooser.randint(10, 59)}</span>" if timed else ""
        if of != site:
            link = f'<a href="/a/{chooser.randrange(10**6)}">{html.escape(text)}</a>'
            items.append(f"<{inner}>{link}{time}</{inner}>")
    heading = chooser.choice(("h2", "h3", "div", "p"))
    title = f"<{heading}>{chooser.choice(_HEADINGS[language])}</{heading}>"
    return f"{title}<{outer}>{''.join(items)}</{outer}>"


def crowded(example: Example, known: Mapping[str, Sequence[tuple[str, str]]], chooser: random.Random) -> Example | None:
    """A page with lists of teasers behind its main text; None without a place, or where the text is not found again."""
    main = np.flatnonzero(example.labels >= 0.5)
    language = _language(example)
    if not len(main) or not known.get(language):
        return None
    elements = example.found.elements
    place = int(example.found.blocks[main[-1], OWNER])
    for _ in range(chooser.choice(STEPS)):
        if place >= 0 and elements[place, PARENT] >= 0:
            place = int(elements[place, PARENT])
    if place < 0:
        return None
    name = chooser.choice(_CLASSES)
    lists = [_list(example.page.site, language, known[language], chooser) for _ in range(chooser.randint(*LISTS))]
    added = "".join(f'<div class="{name}">{each}</div>' for each in lists)
    source, end = read_page(example.page.html).source, int(elements[place, END])
    text = (source[:end] + added.encode() + source[end:]).decode("utf-8", "replace")
    copy = make_example(replace(example.page, id=f"{CROWDED} {example.page.id}", set=CROWDED, html=text))
    return copy if (copy.labels >= 0.5).sum() >= FOUND_AGAIN * len(main) else None


def crowded_copies(examples: Sequence[Example], seed: int = 1) -> list[Example]:
    """Copies of articles among examples, which may hold shortened ones."""
    chooser = random.Random(seed)
    known = teasers(examples)
    copies = []
    for example in examples:
        chance, of = chooser.random(), example.page.set
        part = 1.0 if of in FEW else PART_OF_SHORTENED if of == SHORTENED else PART_OF_MANY if of in MANY else 0.0
        if chance < part and example.page.page_type in TYPES:
            copy = crowded(example, known, chooser)
            if copy is not None:
                copies.append(copy)
    return copies
