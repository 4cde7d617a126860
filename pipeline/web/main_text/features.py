"""Features: every block of a page as whole numbers, by itself, by what encloses it and by what the page says of itself.

`feature_names.py` has their names and order; `position.py` computes those of neighbours, paths and the page.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.main_text.anchors import (
    ANCHORS,
    best_container,
    common_with,
    find_wider,
    smallest_with,
    steps_between,
)
from pipeline.web.main_text.blocks import (
    BLOCK_COLUMNS,
    COMMAS,
    CONTROL_LETTERS,
    DIGITS,
    FIRST_LETTER,
    LAST_LETTER,
    LETTERS,
    LINK_LETTERS,
    LINKS,
    OWNER,
    PUNCTUATION,
    SENTENCE_ENDS,
    STRONG_LETTERS,
    SYMBOLS,
)
from pipeline.web.main_text.feature_names import (
    ANCHOR,
    FEATURES,
    LEVEL,
    LEVELS,
    NEIGHBOUR,
    OWN,
    SCALE,
)
from pipeline.web.main_text.groups import count_copies, group_by_path
from pipeline.web.main_text.headline import headline_points
from pipeline.web.main_text.letters import ALPHABETIC_LETTER, HAN_LETTER, KANA_LETTER
from pipeline.web.main_text.pairs import DESCRIPTION_PAIRS, HEADING_PAIRS, PAIRS, TITLE_PAIRS, count_pairs
from pipeline.web.main_text.position import (
    describe_neighbours,
    describe_page,
    describe_paths,
    describe_position,
    describe_windows,
)
from pipeline.web.main_text.surroundings import FAR, SURROUNDINGS
from pipeline.web.main_text.weights import (
    SUM_BLOCKS,
    SUM_LETTERS,
    SUM_LINKS,
    SUM_PROSE,
    describe_elements,
    share,
    sum_subtrees,
    weigh,
)
from pipeline.web.page.stack import DEPTH

_OWN_COUNT, _LEVEL_COUNT, _ANCHOR_COUNT, _NEIGHBOUR_COUNT = len(OWN), len(LEVEL), len(ANCHOR), len(NEIGHBOUR)
_TOP_HEADING, _HEADING, _TITLE_WORD, _BREADCRUMB_WORD, _HEADER_TAG = (
    SURROUNDINGS.index(name)
    for name in ("tag_top_heading", "tag_heading", "word_title", "word_breadcrumb", "tag_header")
)

_FROM_HEADLINE = FEATURES.index("from_headline_block")
_BASES = {
    name: FEATURES.index(name)
    for name in ("level0_letters", "core60_up", "before1_letters", "before8_letters", "page_letters", "path_blocks")
}
_LEVEL_BASE, _ANCHOR_BASE, _NEIGHBOUR_BASE, _WINDOW_BASE, _PAGE_BASE, _PATH_BASE = _BASES.values()
_POSITION_BASE, _TITLE_BASE = FEATURES.index("block_share"), FEATURES.index("in_title")

# Features of a block that are columns of it, and those that are shares of its letters: (feature, column).
_COPIED = np.array(
    [
        (OWN.index(name), column)
        for name, column in (
            ("ends", SENTENCE_ENDS),
            ("commas", COMMAS),
            ("links", LINKS),
        )
    ]
)
_SHARED = np.array(
    [
        (OWN.index(name), column)
        for name, column in (
            ("digits", DIGITS),
            ("punctuation", PUNCTUATION),
            ("symbols", SYMBOLS),
            ("link_share", LINK_LETTERS),
            ("strong_share", STRONG_LETTERS),
            ("control_share", CONTROL_LETTERS),
        )
    ]
)
_LETTERS, _LINK_SHARE, _FIRST_LETTER, _LAST_LETTER, _LETTERS_A_SENTENCE, _IS_PROSE, _DEPTH = (
    OWN.index(name)
    for name in ("letters", "link_share", "first_letter", "last_letter", "letters_a_sentence", "is_prose", "depth")
)

# How near above a block a heading of the first level makes it one.
_NEAR_TOP_HEADING = 4
# A lead of ten letters may be chance; of sixty it is not.
_LEAD_SCORE, _LEAD_PAIRS = 400, 60
_TITLE_SHARE = 300


@njit(cache=True, nogil=True)
def _letter_class(kind: int) -> int:
    """The kind of a first or last letter, letters of all scripts alike."""
    return KANA_LETTER if kind in (HAN_LETTER, ALPHABETIC_LETTER) else kind


@njit(cache=True, nogil=True)
def _describe_itself(
    elements: npt.NDArray[np.int32],
    owners: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
    weights: npt.NDArray[np.int32],
    prose: npt.NDArray[np.int32],
    out: npt.NDArray[np.int32],
) -> None:
    count = owners.shape[0]
    out[_LETTERS] = weights
    for feature, column in _COPIED:
        out[feature] = columns[column]
    for feature, column in _SHARED:
        for row in range(count):
            out[feature, row] = share(columns[column, row], columns[LETTERS, row])
    for row in range(count):
        out[_FIRST_LETTER, row] = _letter_class(columns[FIRST_LETTER, row])
        out[_LAST_LETTER, row] = _letter_class(columns[LAST_LETTER, row])
        out[_LETTERS_A_SENTENCE, row] = weights[row] // max(1, columns[SENTENCE_ENDS, row])
        out[_IS_PROSE, row] = 1 if prose[row] > 0 else 0
        out[_DEPTH, row] = elements[owners[row], DEPTH] if owners[row] < elements.shape[0] else 0


@njit(cache=True, nogil=True)
def _describe_above(
    distances: npt.NDArray[np.uint8], owners: npt.NDArray[np.int32], out: npt.NDArray[np.int32]
) -> None:
    """What stands above each block: out (SURROUNDINGS, n)."""
    for row in range(owners.shape[0]):
        owner = owners[row]
        if owner < distances.shape[0]:
            for column in range(out.shape[0]):
                out[column, row] = distances[owner, column]
        else:
            out[:, row] = FAR


@njit(cache=True, nogil=True)
def _describe_levels(
    described: npt.NDArray[np.int32],
    wider: npt.NDArray[np.int32],
    owners: npt.NDArray[np.int32],
    out: npt.NDArray[np.int32],
) -> None:
    """Of each block's element, and of those around it that hold more blocks: out (LEVELS * len(LEVEL), n)."""
    for row in range(owners.shape[0]):
        here = owners[row]
        for level in range(LEVELS):
            for column in range(_LEVEL_COUNT):
                out[level * _LEVEL_COUNT + column, row] = described[here, column]
            here = wider[here]


@njit(cache=True, nogil=True)
def _describe_anchors(
    elements: npt.NDArray[np.int32],
    described: npt.NDArray[np.int32],
    owners: npt.NDArray[np.int32],
    anchors: npt.NDArray[np.int64],
    out: npt.NDArray[np.int32],
) -> None:
    """How each block stands to the anchors, elements or e for one that the page lacks: out (5 * anchors, n)."""
    count = elements.shape[0]
    common = np.empty((count + 1, ANCHORS), dtype=np.int32)
    common_with(elements, anchors, common)
    for number in range(anchors.shape[0]):
        feature = number * _ANCHOR_COUNT
        if anchors[number] == count:
            out[feature : feature + _ANCHOR_COUNT] = -1
            continue
        for row in range(owners.shape[0]):
            shared = common[owners[row], number]
            out[feature, row] = steps_between(elements, owners[row], shared)
            out[feature + 1, row] = steps_between(elements, anchors[number], shared)
            out[feature + 2, row] = described[shared, 0]
            out[feature + 3, row] = described[shared, 2]
            out[feature + 4, row] = described[shared, 1]


@njit(cache=True, nogil=True)
def _describe_title(
    blocks: npt.NDArray[np.int32],
    said: npt.NDArray[np.int32],
    title_pairs: int,
    heading_pairs: int,
    first_heading: int,
    out: npt.NDArray[np.int32],
) -> None:
    """What each block says of the title: out (len(TITLE), n)."""
    count = blocks.shape[0]
    best, best_share = -1, np.int32(_TITLE_SHARE)
    for row in range(count):
        pairs = said[row, PAIRS]
        out[0, row] = share(said[row, TITLE_PAIRS], pairs)
        out[1, row] = share(min(said[row, TITLE_PAIRS], title_pairs), title_pairs)
        out[2, row] = share(said[row, HEADING_PAIRS], pairs)
        out[3, row] = share(min(said[row, HEADING_PAIRS], heading_pairs), heading_pairs)
        out[4, row] = row - first_heading if first_heading >= 0 else -1000
        out[5, row] = 1 if 0 <= first_heading <= row else 0
        out[8, row] = share(said[row, DESCRIPTION_PAIRS], pairs)
        match = min(out[0, row], out[1, row])
        if match > best_share:
            best, best_share = row, match
    for row in range(count):
        out[6, row] = row - best if best >= 0 else -1000
    count_copies(blocks, out[7])


@njit(cache=True, nogil=True)
def _find_headline(
    distances: npt.NDArray[np.uint8],
    blocks: npt.NDArray[np.int32],
    title: npt.NDArray[np.int32],
) -> int:
    """The block that is most the page's headline, -1 if none is."""
    headline, most = -1, 0
    for row in range(blocks.shape[0]):
        owner = blocks[row, OWNER]
        if owner >= 0:
            points = headline_points(
                title[0, row],
                title[1, row],
                blocks[row, LETTERS],
                distances[owner, _TOP_HEADING],
                distances[owner, _HEADING],
                distances[owner, _TITLE_WORD],
                distances[owner, _BREADCRUMB_WORD],
                distances[owner, _HEADER_TAG],
            )
            if points > most:
                headline, most = row, points
    return headline


@njit(cache=True, nogil=True)
def _find_lead(said: npt.NDArray[np.int32], prose: npt.NDArray[np.int32], in_description: npt.NDArray[np.int32]) -> int:
    """The block of prose that says most of the page's description, -1 if none does."""
    lead, most = -1, _LEAD_SCORE
    for row in range(prose.shape[0]):
        score = in_description[row] * min(said[row, PAIRS], _LEAD_PAIRS) // _LEAD_PAIRS
        if score > most and prose[row] > 0:
            lead, most = row, score
    return lead


@njit(cache=True, nogil=True)
def _describe_distances(
    owners: npt.NDArray[np.int32],
    headline: int,
    lead: int,
    scores: npt.NDArray[np.int64],
    top: int,
    out: npt.NDArray[np.int32],
) -> None:
    """Blocks from the headline and the lead, and the score of each block's element: out (3, n)."""
    for row in range(owners.shape[0]):
        out[0, row] = row - headline if headline >= 0 else -10000
        out[1, row] = row - lead if lead >= 0 else -10000
        out[2, row] = scores[owners[row]] * SCALE // scores[top] if scores[top] > 0 else 0


@njit(cache=True, nogil=True)
def build_features(
    source: npt.NDArray[np.uint8],
    elements: npt.NDArray[np.int32],
    attributes: npt.NDArray[np.int32],
    texts: npt.NDArray[np.int32],
    distances: npt.NDArray[np.uint8],
    paths: npt.NDArray[np.uint64],
    blocks: npt.NDArray[np.int32],
    out: npt.NDArray[np.int32],
) -> None:
    """Fill out (FEATURE_COUNT, n) for blocks (n, BLOCK_COLUMNS); the other arrays are by element and by text."""
    count = blocks.shape[0]
    page = elements.shape[0]
    if count == 0:
        return
    columns = np.empty((BLOCK_COLUMNS, count), dtype=np.int32)
    owners = np.empty(count, dtype=np.int32)
    is_heading = np.zeros(count, dtype=np.uint8)
    first_heading = -1
    for row in range(count):
        for column in range(BLOCK_COLUMNS):
            columns[column, row] = blocks[row, column]
        owner = blocks[row, OWNER]
        owners[row] = owner if owner >= 0 else page
        if owner >= 0 and distances[owner, _TOP_HEADING] < _NEAR_TOP_HEADING:
            is_heading[row] = 1
            if first_heading < 0:
                first_heading = row
    prose = np.empty(count, dtype=np.int32)
    weighed = weigh(columns, prose)
    weights = weighed[LETTERS]
    sums = sum_subtrees(elements, owners, weighed, prose)
    total_letters, total_prose = sums[page, SUM_LETTERS], sums[page, SUM_PROSE]

    said = np.empty((count, 4), dtype=np.int32)
    title_pairs, heading_pairs = count_pairs(source, elements, attributes, texts, blocks, is_heading, said)
    title = out[_TITLE_BASE:]
    _describe_title(blocks, said, title_pairs, heading_pairs, first_heading, title)
    headline = _find_headline(distances, blocks, title)
    lead = _find_lead(said, prose, title[8])
    scores = np.empty(page + 1, dtype=np.int64)
    top = best_container(elements, distances, blocks, weights, sums, SUM_LETTERS, SUM_LINKS, scores)
    anchors = np.array(
        [
            smallest_with(sums, SUM_PROSE, SUM_LETTERS, 6, total_prose),
            smallest_with(sums, SUM_PROSE, SUM_LETTERS, 9, total_prose),
            top,
            owners[headline] if headline >= 0 else page,
            owners[lead] if lead >= 0 else page,
        ]
    )
    group = np.empty(count, dtype=np.int32)
    groups = group_by_path(blocks, paths, group)
    wider = np.empty(page + 1, dtype=np.int32)
    find_wider(elements, sums[:, SUM_BLOCKS], wider)
    described = describe_elements(sums)

    _describe_itself(elements, owners, columns, weights, prose, out)
    _describe_above(distances, owners, out[_OWN_COUNT:_LEVEL_BASE])
    _describe_levels(described, wider, owners, out[_LEVEL_BASE:_ANCHOR_BASE])
    _describe_anchors(elements, described, owners, anchors, out[_ANCHOR_BASE:_FROM_HEADLINE])
    _describe_distances(owners, headline, lead, scores, top, out[_FROM_HEADLINE:_NEIGHBOUR_BASE])
    describe_neighbours(owners, group, weighed, out[_LINK_SHARE], out[_NEIGHBOUR_BASE:_WINDOW_BASE])
    describe_windows(weighed, out[_WINDOW_BASE:_PAGE_BASE])
    describe_page(elements, prose, sums, out[_PAGE_BASE:_PATH_BASE])
    describe_paths(group, groups, weighed, prose, total_prose, out[_PATH_BASE:_POSITION_BASE])
    describe_position(weighed, prose, total_letters, total_prose, out[_POSITION_BASE:_TITLE_BASE])
