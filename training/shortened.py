"""Shortened: copies of labelled pages with only the beginning of their main text left among all that surrounds it.

Short articles among many links are common on news sites and rare in the labelled pages.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pipeline.web.main_text.blocks import BEHIND_TEXT, FIRST_TEXT, OWNER
from pipeline.web.main_text.judge import headline_of
from pipeline.web.page import read_page
from pipeline.web.page.stack import END, PARENT, START
from pipeline.web.page.tree import TEXT_END, TEXT_START
from training.examples import Example, make_example
from training.labels import squeeze

SHORTENED = "shortened"
# Types of pages whose text is still a text when it ends early; pages without a type are articles and manuals.
TYPES = frozenset({None, "article", "documentation"})
SETS = frozenset({"ja-sites", "web", "zh", "wcxb", "articles", "readability"})
# A page is shortened to this many of its paragraphs, if it has more; a paragraph has this many letters.
MOST_PARAGRAPHS = 3
PARAGRAPH = 25
# Of pages in English and the like, one in this many is shortened: there are more than enough.
PART_OF_PACK = 3
# What surrounds the text has at least this many blocks.
LEAST_AROUND = 25


def left_out(example: Example, paragraphs: int) -> npt.NDArray[np.bool_] | None:
    """Which blocks (n,) go when so many paragraphs of a page's main text stay; None where none would go."""
    main = np.flatnonzero(example.labels >= 0.5)
    headline = headline_of(example.found)
    seen, drop = 0, np.zeros(len(example.labels), dtype=bool)
    for index in main:
        if seen >= paragraphs and index != headline:
            drop[index] = True
        seen += len(squeeze(example.texts[index])) >= PARAGRAPH and index != headline
    return drop if drop.any() and seen > paragraphs else None


def without(example: Example, drop: npt.NDArray[np.bool_]) -> str:
    """The page's HTML without some blocks, and without the elements that held nothing else."""
    found = example.found
    count = len(found.elements)
    held, gone = np.zeros(count + 1, dtype=np.int64), np.zeros(count + 1, dtype=np.int64)
    owners = found.blocks[:, OWNER]
    np.add.at(held, owners, 1)
    np.add.at(gone, owners[drop], 1)
    parents = found.elements[:, PARENT]
    for index in range(count - 1, -1, -1):
        if parents[index] >= 0:
            held[parents[index]] += held[index]
            gone[parents[index]] += gone[index]
    whole = (held[:count] > 0) & (held[:count] == gone[:count])
    cuts = [
        (int(found.elements[index, START]), int(found.elements[index, END]))
        for index in np.flatnonzero(whole)
        if parents[index] < 0 or not whole[parents[index]]
    ]
    for row in np.flatnonzero(drop):
        for text in range(found.blocks[row, FIRST_TEXT], found.blocks[row, BEHIND_TEXT]):
            cuts.append((int(found.texts[text, TEXT_START]), int(found.texts[text, TEXT_END])))
    source = read_page(example.page.html).source
    parts, position = [], 0
    for start, end in sorted(cuts):
        if start >= position:
            parts.append(source[position:start])
        position = max(position, end)
    parts.append(source[position:])
    return b"".join(parts).decode("utf-8", "replace")


def shortened(example: Example, paragraphs: int) -> Example | None:
    """A page with so many paragraphs of its main text; None where it has no more, or little stands around it."""
    drop = left_out(example, paragraphs)
    if drop is None or (~drop).sum() < LEAST_AROUND:
        return None
    stays = ~drop & (example.labels >= 0.5)
    gold = "\n".join(text for text, stay in zip(example.texts, stays) if stay)
    page = replace(example.page, id=f"{SHORTENED} {example.page.id}", set=SHORTENED, html=without(example, drop))
    copy = make_example(replace(page, gold=gold, published_gold=gold))
    # Where formulas or what hides itself stood in what went, blocks may differ: such a copy would be labelled amiss.
    return replace(copy, labels=example.labels[~drop]) if len(copy.labels) == (~drop).sum() else None


def shortened_copies(examples: Sequence[Example], seed: int = 1) -> list[Example]:
    """Copies of pages of SETS and TYPES, of Japanese and Chinese ones each, of the others every third."""
    chooser = random.Random(seed)
    copies = []
    for example in examples:
        paragraphs, chance = chooser.randint(1, MOST_PARAGRAPHS), chooser.randrange(PART_OF_PACK)
        few = example.page.set in ("ja-sites", "web", "zh")
        if example.page.set not in SETS or (not few and (chance or example.page.page_type not in TYPES)):
            continue
        copy = shortened(example, paragraphs)
        if copy is not None:
            copies.append(copy)
    return copies
