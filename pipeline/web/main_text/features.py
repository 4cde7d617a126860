"""Features: what is known of every block of a page before it is judged, as whole numbers.

A block is described by itself, by the blocks around it, by the elements that enclose it, by blocks with the same path
of tags and classes, by the page, and by how much it says of the page's title.
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
    HAN,
    KANA,
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
from pipeline.web.main_text.groups import count_copies, group_by_path
from pipeline.web.main_text.headline import headline_points
from pipeline.web.main_text.letters import ALPHABETIC_LETTER, HAN_LETTER, KANA_LETTER
from pipeline.web.main_text.pairs import DESCRIPTION_PAIRS, HEADING_PAIRS, PAIRS, TITLE_PAIRS, count_pairs
from pipeline.web.main_text.surroundings import FAR, SURROUNDINGS
from pipeline.web.page.elements import TAG_NAMES, TAGS
from pipeline.web.page.stack import DEPTH, PARENT, TAG

# A share is a number from 0 to SCALE.
SCALE = 1000
LEVELS = 5
NEIGHBOURS = 3

# Letters are weighed (`_weigh`), and nothing tells one script from another: what is learnt from pages in English then
# holds for Japanese ones.
_OWN = (
    "letters digits punctuation ends commas symbols link_share links strong_share control_share first_letter "
    "last_letter letters_a_sentence is_prose depth"
).split()
_LEVEL = "letters link_share prose_share blocks prose_density commas".split()
# Up to the innermost element that holds the block and the anchor, and down from there; and what that element holds.
_ANCHORS = "core60 core90 top headline lead".split()
_ANCHOR = "up down letters prose_share link_share".split()
_NEIGHBOUR = "letters link_share ends same_owner same_path".split()
_WINDOW = "letters link_share ends".split()
_PAGE = (
    "letters blocks link_share prose_letters prose_share longest items cells paragraphs "
    "articles mains controls elements"
).split()
_PATH = "blocks letters link_share prose_share mean_letters first last".split()
_POSITION = (
    "block_share letter_share prose_before prose_after to_prose_before to_prose_after blocks_from_start blocks_to_end"
).split()
_TITLE = "in_title title_in in_heading heading_in from_heading heading_seen from_title copies in_description".split()

FEATURES: tuple[str, ...] = (
    *_OWN,
    *SURROUNDINGS,
    *(f"level{level}_{name}" for level in range(LEVELS) for name in _LEVEL),
    *(f"{anchor}_{name}" for anchor in _ANCHORS for name in _ANCHOR),
    *["from_headline_block", "from_lead", "container_score"],
    *(
        f"{side}{step}_{name}"
        for side in ("before", "behind")
        for step in range(1, NEIGHBOURS + 1)
        for name in _NEIGHBOUR
    ),
    *(f"{side}8_{name}" for side in ("before", "behind") for name in _WINDOW),
    *(f"page_{name}" for name in _PAGE),
    *(f"path_{name}" for name in _PATH),
    *_POSITION,
    *_TITLE,
)
FEATURE_COUNT = len(FEATURES)
_OWN_COUNT, _LEVEL_COUNT, _ANCHOR_COUNT, _NEIGHBOUR_COUNT = len(_OWN), len(_LEVEL), len(_ANCHOR), len(_NEIGHBOUR)
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
_WINDOW_SIZE = 8

# Features of a block that are columns of it, and those that are shares of its letters: (feature, column).
_COPIED = np.array(
    [
        (_OWN.index(name), column)
        for name, column in (
            ("ends", SENTENCE_ENDS),
            ("commas", COMMAS),
            ("links", LINKS),
        )
    ]
)
_SHARED = np.array(
    [
        (_OWN.index(name), column)
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
    _OWN.index(name)
    for name in ("letters", "link_share", "first_letter", "last_letter", "letters_a_sentence", "is_prose", "depth")
)

# A sentence-bearing block ("prose") has an end mark, this weight, and less than this share of it in links.
_PROSE_WEIGHT = 36
_PROSE_LINKS = 400
# Sums of a subtree, and room for as many as make a vector of 32 bytes.
_S_LETTERS, _S_LINKS, _S_PROSE, _S_BLOCKS, _S_COMMAS = range(5)
_SUMS = 8
# Elements that are counted, by what they count as; 0 is none of these.
_COUNTED = ("li", "td th", "p", "article", "main", "input button select textarea")
_COUNTED_COUNT = len(_COUNTED)
_COUNTED_AS = np.zeros(len(TAG_NAMES), dtype=np.uint8)
for _number, _names in enumerate(_COUNTED):
    _COUNTED_AS[[TAGS[_name] for _name in _names.split()]] = _number + 1
# How near above a block a heading of the first level makes it one.
_NEAR_TOP_HEADING = 4
# A lead of ten letters may be chance; of sixty it is not.
_LEAD_SCORE, _LEAD_PAIRS = 400, 60
_TITLE_SHARE = 300


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _share(part: int, whole: int) -> np.int32:
    """part in thousandths of the whole, rounded down; 0 of nothing.

    Exact: the quotient of whole numbers below 2**53 is never rounded up to a whole number that it does not reach.
    """
    return np.int32(float(part) * SCALE / float(whole)) if whole > 0 else np.int32(0)


@njit(cache=True, nogil=True)
def _weigh(columns: npt.NDArray[np.int32], prose: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The columns (BLOCK_COLUMNS, n) with letters weighed, in links too: a kana, a kanji or a Hangul says as much as
    three other letters. prose (n,) is filled with what blocks that bear sentences say outside of links.
    """
    weighed = columns.copy()
    for row in range(columns.shape[1]):
        weight = columns[LETTERS, row] + 2 * (columns[KANA, row] + columns[HAN, row])
        links = np.int64(columns[LINK_LETTERS, row]) * weight // columns[LETTERS, row]
        weighed[LETTERS, row], weighed[LINK_LETTERS, row] = weight, links
        bears = columns[SENTENCE_ENDS, row] != 0 and weight >= _PROSE_WEIGHT
        prose[row] = weight - links if bears and links * SCALE < weight * _PROSE_LINKS else 0
    return weighed


@njit(cache=True, nogil=True)
def _letter_class(kind: int) -> int:
    """The kind of a first or last letter, letters of all scripts alike."""
    return KANA_LETTER if kind in (HAN_LETTER, ALPHABETIC_LETTER) else kind


@njit(cache=True, nogil=True)
def _sum_subtrees(
    elements: npt.NDArray[np.int32],
    owners: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
    prose: npt.NDArray[np.int32],
) -> npt.NDArray[np.int32]:
    """Sums (e + 1, _SUMS) over the blocks in every element; the last row stands for the page."""
    count = elements.shape[0]
    sums = np.zeros((count + 1, _SUMS), dtype=np.int32)
    for row in range(owners.shape[0]):
        owner = owners[row]
        sums[owner, _S_LETTERS] += columns[LETTERS, row]
        sums[owner, _S_LINKS] += columns[LINK_LETTERS, row]
        sums[owner, _S_PROSE] += prose[row]
        sums[owner, _S_BLOCKS] += 1
        sums[owner, _S_COMMAS] += columns[COMMAS, row]
    for index in range(count - 1, -1, -1):
        parent = elements[index, PARENT]
        if parent < 0:
            parent = count
        for column in range(_SUMS):
            sums[parent, column] += sums[index, column]
    return sums


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
            out[feature, row] = _share(columns[column, row], columns[LETTERS, row])
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
def _describe_elements(sums: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The features _LEVEL of every element (e + 1, _SUMS) that holds a block."""
    described = np.empty((sums.shape[0], _SUMS), dtype=np.int32)
    total_prose = sums[sums.shape[0] - 1, _S_PROSE]
    for index in range(sums.shape[0]):
        letters, prose = sums[index, _S_LETTERS], sums[index, _S_PROSE]
        if letters > 0:
            described[index, 0] = letters
            described[index, 1] = _share(sums[index, _S_LINKS], letters)
            described[index, 2] = _share(prose, total_prose)
            described[index, 3] = sums[index, _S_BLOCKS]
            described[index, 4] = _share(prose, letters)
            described[index, 5] = _share(sums[index, _S_COMMAS], letters)
    return described


@njit(cache=True, nogil=True)
def _describe_levels(
    described: npt.NDArray[np.int32],
    wider: npt.NDArray[np.int32],
    owners: npt.NDArray[np.int32],
    out: npt.NDArray[np.int32],
) -> None:
    """Of each block's element, and of those around it that hold more blocks: out (LEVELS * len(_LEVEL), n)."""
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
def _describe_neighbours(
    owners: npt.NDArray[np.int32],
    group: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
    link_shares: npt.NDArray[np.int32],
    out: npt.NDArray[np.int32],
) -> None:
    """The blocks before and behind each: out (2 * NEIGHBOURS * len(_NEIGHBOUR), n)."""
    count = owners.shape[0]
    feature = 0
    for side in (-1, 1):
        for step in range(1, NEIGHBOURS + 1):
            shift = side * step
            out[feature : feature + _NEIGHBOUR_COUNT] = -1
            for row in range(max(0, -shift), min(count, count - shift)):
                other = row + shift
                out[feature, row] = columns[LETTERS, other]
                out[feature + 1, row] = link_shares[other]
                out[feature + 2, row] = columns[SENTENCE_ENDS, other]
                out[feature + 3, row] = 1 if owners[other] == owners[row] else 0
                out[feature + 4, row] = 1 if group[other] == group[row] else 0
            feature += _NEIGHBOUR_COUNT


@njit(cache=True, nogil=True)
def _describe_windows(columns: npt.NDArray[np.int32], out: npt.NDArray[np.int32]) -> None:
    """The eight blocks before each and the eight behind: out (2 * len(_WINDOW), n)."""
    count = columns.shape[1]
    sums = np.zeros((3, count + 1), dtype=np.int32)
    letters, links, ends = sums[0], sums[1], sums[2]
    for row in range(count):
        letters[row + 1] = letters[row] + columns[LETTERS, row]
        links[row + 1] = links[row] + columns[LINK_LETTERS, row]
        ends[row + 1] = ends[row] + columns[SENTENCE_ENDS, row]
    for row in range(count):
        first, last = max(0, row - _WINDOW_SIZE), min(count, row + 1 + _WINDOW_SIZE)
        out[0, row] = letters[row] - letters[first]
        out[1, row] = _share(links[row] - links[first], letters[row] - letters[first])
        out[2, row] = ends[row] - ends[first]
        out[3, row] = letters[last] - letters[row + 1]
        out[4, row] = _share(links[last] - links[row + 1], letters[last] - letters[row + 1])
        out[5, row] = ends[last] - ends[row + 1]


@njit(cache=True, nogil=True)
def _describe_page(
    elements: npt.NDArray[np.int32],
    prose: npt.NDArray[np.int32],
    sums: npt.NDArray[np.int32],
    out: npt.NDArray[np.int32],
) -> None:
    """The page, the same of each block: out (len(_PAGE), n)."""
    counts = np.zeros(_COUNTED_COUNT + 1, dtype=np.int32)
    for index in range(elements.shape[0]):
        counts[_COUNTED_AS[elements[index, TAG]]] += 1
    page = sums[elements.shape[0]]
    longest = np.int32(0)
    for row in range(prose.shape[0]):
        longest = max(longest, prose[row])
    out[0] = page[_S_LETTERS]
    out[1] = page[_S_BLOCKS]
    out[2] = _share(page[_S_LINKS], page[_S_LETTERS])
    out[3] = page[_S_PROSE]
    out[4] = _share(page[_S_PROSE], page[_S_LETTERS])
    out[5] = longest
    for number in range(_COUNTED_COUNT):
        out[6 + number] = counts[number + 1]
    out[6 + _COUNTED_COUNT] = elements.shape[0]


@njit(cache=True, nogil=True)
def _describe_paths(
    group: npt.NDArray[np.int32],
    groups: int,
    columns: npt.NDArray[np.int32],
    prose: npt.NDArray[np.int32],
    total_prose: int,
    out: npt.NDArray[np.int32],
) -> None:
    """The blocks of the same path as each: out (len(_PATH), n)."""
    count = group.shape[0]
    sums = np.zeros((groups, 4), dtype=np.int32)
    first, last = np.full(groups, -1, dtype=np.int32), np.empty(groups, dtype=np.int32)
    for row in range(count):
        here = group[row]
        sums[here, _S_LETTERS] += columns[LETTERS, row]
        sums[here, _S_LINKS] += columns[LINK_LETTERS, row]
        sums[here, _S_PROSE] += prose[row]
        sums[here, _S_BLOCKS] += 1
        last[here] = row
        if first[here] < 0:
            first[here] = row
    described = np.empty((groups, 5), dtype=np.int32)
    for here in range(groups):
        letters = sums[here, _S_LETTERS]
        described[here, 0] = sums[here, _S_BLOCKS]
        described[here, 1] = letters
        described[here, 2] = _share(sums[here, _S_LINKS], letters)
        described[here, 3] = _share(sums[here, _S_PROSE], total_prose)
        described[here, 4] = letters // sums[here, _S_BLOCKS]
    for row in range(count):
        here = group[row]
        for column in range(5):
            out[column, row] = described[here, column]
        out[5, row] = row - first[here]
        out[6, row] = last[here] - row


@njit(cache=True, nogil=True)
def _describe_position(
    columns: npt.NDArray[np.int32],
    prose: npt.NDArray[np.int32],
    total_letters: int,
    total_prose: int,
    out: npt.NDArray[np.int32],
) -> None:
    """Where each block stands in the page: out (len(_POSITION), n)."""
    count = prose.shape[0]
    letters_before = prose_before = 0
    last_prose = -1000
    for row in range(count):
        out[0, row] = _share(row, count)
        out[1, row] = _share(letters_before, total_letters)
        out[2, row] = _share(prose_before, total_prose)
        letters_before += int(columns[LETTERS, row])
        prose_before += int(prose[row])
        out[3, row] = _share(total_prose - prose_before, total_prose)
        if prose[row] > 0:
            last_prose = row
        out[4, row] = min(row - last_prose, 1000)
        out[6, row] = row
        out[7, row] = count - row
    next_prose = 100_000
    for row in range(count - 1, -1, -1):
        if prose[row] > 0:
            next_prose = row
        out[5, row] = min(next_prose - row, 1000)


@njit(cache=True, nogil=True)
def _describe_title(
    blocks: npt.NDArray[np.int32],
    said: npt.NDArray[np.int32],
    title_pairs: int,
    heading_pairs: int,
    first_heading: int,
    out: npt.NDArray[np.int32],
) -> None:
    """What each block says of the title: out (len(_TITLE), n)."""
    count = blocks.shape[0]
    best, best_share = -1, np.int32(_TITLE_SHARE)
    for row in range(count):
        pairs = said[row, PAIRS]
        out[0, row] = _share(said[row, TITLE_PAIRS], pairs)
        out[1, row] = _share(min(said[row, TITLE_PAIRS], title_pairs), title_pairs)
        out[2, row] = _share(said[row, HEADING_PAIRS], pairs)
        out[3, row] = _share(min(said[row, HEADING_PAIRS], heading_pairs), heading_pairs)
        out[4, row] = row - first_heading if first_heading >= 0 else -1000
        out[5, row] = 1 if 0 <= first_heading <= row else 0
        out[8, row] = _share(said[row, DESCRIPTION_PAIRS], pairs)
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
    weighed = _weigh(columns, prose)
    weights = weighed[LETTERS]
    sums = _sum_subtrees(elements, owners, weighed, prose)
    total_letters, total_prose = sums[page, _S_LETTERS], sums[page, _S_PROSE]

    said = np.empty((count, 4), dtype=np.int32)
    title_pairs, heading_pairs = count_pairs(source, elements, attributes, texts, blocks, is_heading, said)
    title = out[_TITLE_BASE:]
    _describe_title(blocks, said, title_pairs, heading_pairs, first_heading, title)
    headline = _find_headline(distances, blocks, title)
    lead = _find_lead(said, prose, title[8])
    scores = np.empty(page + 1, dtype=np.int64)
    top = best_container(elements, distances, blocks, weights, sums, _S_LETTERS, _S_LINKS, scores)
    anchors = np.array(
        [
            smallest_with(sums, _S_PROSE, _S_LETTERS, 6, total_prose),
            smallest_with(sums, _S_PROSE, _S_LETTERS, 9, total_prose),
            top,
            owners[headline] if headline >= 0 else page,
            owners[lead] if lead >= 0 else page,
        ]
    )
    group = np.empty(count, dtype=np.int32)
    groups = group_by_path(blocks, paths, group)
    wider = np.empty(page + 1, dtype=np.int32)
    find_wider(elements, sums[:, _S_BLOCKS], wider)
    described = _describe_elements(sums)

    _describe_itself(elements, owners, columns, weights, prose, out)
    _describe_above(distances, owners, out[_OWN_COUNT:_LEVEL_BASE])
    _describe_levels(described, wider, owners, out[_LEVEL_BASE:_ANCHOR_BASE])
    _describe_anchors(elements, described, owners, anchors, out[_ANCHOR_BASE:_FROM_HEADLINE])
    _describe_distances(owners, headline, lead, scores, top, out[_FROM_HEADLINE:_NEIGHBOUR_BASE])
    _describe_neighbours(owners, group, weighed, out[_LINK_SHARE], out[_NEIGHBOUR_BASE:_WINDOW_BASE])
    _describe_windows(weighed, out[_WINDOW_BASE:_PAGE_BASE])
    _describe_page(elements, prose, sums, out[_PAGE_BASE:_PATH_BASE])
    _describe_paths(group, groups, weighed, prose, total_prose, out[_PATH_BASE:_POSITION_BASE])
    _describe_position(weighed, prose, total_letters, total_prose, out[_POSITION_BASE:_TITLE_BASE])
