"""Headline: the block that repeats a page's title as its own headline."""

from __future__ import annotations

from numba import njit

# A headline's pairs of letters are the title's to this share of a thousand, and it holds this share of the title's.
_IN_TITLE, _TITLE_IN, _TITLE_IN_WITHOUT_TAG = 800, 200, 500
_SHORTEST = 5
# How near above a block a heading, a name such as "entry-title", a breadcrumb trail or a header counts.
_NEAR_HEADING, _NEAR_WORD, _NEAR_BREADCRUMB, _NEAR_HEADER = 3, 2, 6, 2


@njit(cache=True, nogil=True)
def headline_points(
    in_title: int,
    title_in: int,
    letters: int,
    top_heading: int,
    heading: int,
    title_word: int,
    breadcrumb: int,
    header: int,
) -> int:
    """How much a block is the page's headline, 0 if not at all.

    in_title and title_in are the shares, in thousandths, of its pairs of letters in the title and of the title's in it;
    the last five say how far above it an h1, an h2 to h6, a name of titles, of breadcrumbs, and a header are.
    Headings come before others, and what says more of the title before what says less.
    """
    if in_title < _IN_TITLE or title_in < _TITLE_IN or letters < _SHORTEST or breadcrumb < _NEAR_BREADCRUMB:
        return 0
    points = title_in * 20
    if top_heading < _NEAR_HEADING:
        points += title_in * 10
    elif heading < _NEAR_HEADING:
        points += title_in * 6
    elif title_word < _NEAR_WORD:
        points += title_in * 3
    elif title_in <= _TITLE_IN_WITHOUT_TAG:
        return 0
    if header < _NEAR_HEADER:
        points -= 6000
    return max(points, 0)
