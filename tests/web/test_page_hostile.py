"""Hostile and broken pages: the work of reading one grows with its bytes alone, and no mutation breaks main text."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from mutations import OWN_PAGES, check, mutated, seeds

from benchmarks.reader_hostile import FAMILIES, page_of, work_of
from pipeline.web.main_text import extract
from pipeline.web.page import read_page

# Work is counted, not timed: the same on every machine. `make bench-hostile` goes to 4,000,000 and prints times.
SIZES = (100_000, 400_000)
MUTATIONS = 300


@pytest.mark.parametrize("family", FAMILIES)
def test_work_a_byte_does_not_grow_with_the_page(family: str) -> None:
    pages = [read_page(page_of(family, size)) for size in SIZES]
    assert all(later <= 1.1 * earlier for earlier, later in pairwise(map(work_of, pages)))
    assert len(extract(pages[-1]).text.encode()) <= 2 * len(pages[-1].source)


def test_what_holds_of_pages_holds_of_mutated_ones() -> None:
    """What `make fuzz-reader` does for ten minutes with bounds checked, for some pages, seeded."""
    chance = random.Random(20_240_513)
    pages = seeds(OWN_PAGES)
    for _ in range(MUTATIONS):
        check(mutated(chance.choice(pages), chance.choice(pages), chance))
