"""Features: what is known of every block of a page before it is judged, as whole numbers.

A block is described by itself, by the blocks around it, by the elements that enclose it, by blocks with the same path
of tags and classes, by the page, and by how much it says of the page's title.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.main_text.anchors import best_container, heights_above, measure_from, smallest_with
from pipeline.web.main_text.blocks import (
    ALPHABETIC_LETTER,
    BEHIND_TEXT,
    COMMAS,
    CONTROL_LETTERS,
    DIGITS,
    FIRST_LETTER,
    FIRST_TEXT,
    HAN,
    HAN_LETTER,
    HASH,
    KANA,
    KANA_LETTER,
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
from pipeline.web.main_text.headline import headline_points
from pipeline.web.main_text.surroundings import OWN_LINES, SURROUNDINGS
from pipeline.web.page.elements import TAGS, name_code
from pipeline.web.page.stack import DEPTH, FIRST_ATTRIBUTE, LAST_ATTRIBUTE, PARENT, TAG
from pipeline.web.page.tokenizer import CODE, VALUE_END, VALUE_START, short_code
from pipeline.web.page.tree import TEXT_END, TEXT_START

# A share is a number from 0 to SCALE.
SCALE = 1000
LEVELS = 5
NEIGHBOURS = 3

# Letters are weighed (`_weight`), and nothing tells one script from another: what is learnt from pages in English then
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
_TITLE_COUNT = len(_TITLE)
_SURROUNDING_COUNT = len(SURROUNDINGS)
_TOP_HEADING, _HEADING, _TITLE_WORD, _BREADCRUMB_WORD, _HEADER_TAG = (
    SURROUNDINGS.index(name)
    for name in ("tag_top_heading", "tag_heading", "word_title", "word_breadcrumb", "tag_header")
)
_META = TAGS["meta"]
_NAME, _PROPERTY, _CONTENT = (short_code(name_code(name)) for name in ("name", "property", "content"))

# A sentence-bearing block ("prose") has an end mark, this weight, and less than this share of it in links.
_PROSE_WEIGHT = 36
_PROSE_LINKS = 400
# Sums of a subtree.
_S_LETTERS, _S_LINKS, _S_PROSE, _S_BLOCKS, _S_COMMAS = range(5)
_TITLE_BITS = 8192
_LI, _TD, _TH, _P, _ARTICLE, _MAIN, _TITLE_TAG, _INPUT = (
    TAGS[name] for name in ("li", "td", "th", "p", "article", "main", "title", "input")
)
_BUTTON, _SELECT, _TEXTAREA = TAGS["button"], TAGS["select"], TAGS["textarea"]


@njit(cache=True, nogil=True)
def _share(part: int, whole: int) -> int:
    return part * SCALE // whole if whole > 0 else 0


@njit(cache=True, nogil=True)
def _weight(blocks: npt.NDArray[np.int32], row: int) -> int:
    """How much a block says: a kana, a kanji or a Hangul as much as three other letters."""
    return blocks[row, LETTERS] + 2 * (blocks[row, KANA] + blocks[row, HAN])


@njit(cache=True, nogil=True)
def _letter_class(kind: int) -> int:
    """The kind of a first or last letter, letters of all scripts alike."""
    return KANA_LETTER if kind in (HAN_LETTER, ALPHABETIC_LETTER) else kind


@njit(cache=True, nogil=True)
def _scan_pairs(
    source: npt.NDArray[np.uint8], start: int, stop: int, bitmap: npt.NDArray[np.uint8], write: bool, last: int
) -> tuple[int, int, int]:
    """Letters' pairs in source[start:stop] written to, or looked up in, a bitmap: (pairs, found, last letter)."""
    pairs = found = 0
    position = start
    while position < stop:
        code = int(np.int64(source[position]))
        position += 1
        if code <= 0x20:
            continue
        if code >= 0xC0:
            while position < stop and source[position] & 0xC0 == 0x80:
                code = code << 6 | int(np.int64(source[position])) & 0x3F
                position += 1
        elif 0x41 <= code <= 0x5A:
            code |= 0x20
        if last >= 0:
            slot = ((last * 31 + code) * 0x9E3779B1 >> 16) & (_TITLE_BITS - 1)
            pairs += 1
            if write:
                bitmap[slot] = 1
            elif bitmap[slot]:
                found += 1
        last = code
    return pairs, found, last


@njit(cache=True, nogil=True)
def _ends_with_description(source: npt.NDArray[np.uint8], start: int, stop: int) -> bool:
    """Whether a meta element's name is description, or og:description and the like."""
    word = b"description"
    equal = 0
    while equal < len(word) and source[stop - len(word) + equal] | 0x20 == word[equal]:
        equal += 1
    return equal == len(word)


@njit(cache=True, nogil=True)
def build_features(
    source: npt.NDArray[np.uint8],
    elements: npt.NDArray[np.int32],
    attributes: npt.NDArray[np.int32],
    texts: npt.NDArray[np.int32],
    distances: npt.NDArray[np.uint8],
    owners: npt.NDArray[np.int32],
    paths: npt.NDArray[np.uint64],
    blocks: npt.NDArray[np.int32],
    out: npt.NDArray[np.int32],
) -> None:
    """Fill out (FEATURE_COUNT, n) for blocks (n, BLOCK_COLUMNS); the other arrays are by element and by text."""
    count = blocks.shape[0]
    element_count = elements.shape[0]
    if count == 0:
        return
    # Sums over subtrees; the last row stands for the page.
    sums = np.zeros((element_count + 1, 5), dtype=np.int64)
    prose = np.empty(count, dtype=np.int64)
    weights = np.empty(count, dtype=np.int64)
    links = np.empty(count, dtype=np.int64)
    total_letters = total_links = total_prose = longest = 0
    for row in range(count):
        weights[row] = _weight(blocks, row)
        links[row] = blocks[row, LINK_LETTERS] * weights[row] // blocks[row, LETTERS]
        prose[row] = 0
        if (
            blocks[row, SENTENCE_ENDS] > 0
            and weights[row] >= _PROSE_WEIGHT
            and links[row] * SCALE < weights[row] * _PROSE_LINKS
        ):
            prose[row] = weights[row] - links[row]
        owner = blocks[row, OWNER]
        if owner < 0:
            owner = element_count
        sums[owner, _S_LETTERS] += weights[row]
        sums[owner, _S_LINKS] += links[row]
        sums[owner, _S_PROSE] += prose[row]
        sums[owner, _S_BLOCKS] += 1
        sums[owner, _S_COMMAS] += blocks[row, COMMAS]
        total_letters += weights[row]
        total_links += links[row]
        total_prose += prose[row]
        longest = max(longest, prose[row])
    items = cells = paragraphs = articles = mains = controls = 0
    for index in range(element_count - 1, -1, -1):
        parent = elements[index, PARENT]
        if parent < 0:
            parent = element_count
        for column in range(5):
            sums[parent, column] += sums[index, column]
        tag = elements[index, TAG]
        if tag == _LI:
            items += 1
        elif tag in (_TD, _TH):
            cells += 1
        elif tag == _P:
            paragraphs += 1
        elif tag == _ARTICLE:
            articles += 1
        elif tag == _MAIN:
            mains += 1
        elif tag in (_INPUT, _BUTTON, _SELECT, _TEXTAREA):
            controls += 1
    core60 = smallest_with(sums, _S_PROSE, _S_LETTERS, 6, total_prose)
    core90 = smallest_with(sums, _S_PROSE, _S_LETTERS, 9, total_prose)
    scores = np.empty(element_count + 1, dtype=np.int64)
    top = best_container(elements, distances, blocks, weights, sums, _S_LETTERS, _S_LINKS, scores)

    # Blocks of one path.
    slots = 8
    while slots < 2 * count:
        slots *= 2
    table = np.full(slots, -1, dtype=np.int32)
    copies_table = np.full(slots, -1, dtype=np.int32)
    group = np.empty(count, dtype=np.int32)
    copy_of = np.empty(count, dtype=np.int32)
    copies = np.zeros(count, dtype=np.int32)
    group_sums = np.zeros((count, 5), dtype=np.int64)
    group_first = np.zeros(count, dtype=np.int32)
    group_last = np.zeros(count, dtype=np.int32)
    group_paths = np.empty(count, dtype=np.uint64)
    groups = 0
    for row in range(count):
        owner = blocks[row, OWNER]
        path = paths[owner] if owner >= 0 else np.uint64(1)
        slot = np.int64(path >> np.uint64(17)) & (slots - 1)
        while table[slot] >= 0 and group_paths[table[slot]] != path:
            slot = (slot + 1) & (slots - 1)
        if table[slot] < 0:
            table[slot] = groups
            group_paths[groups] = path
            group_first[groups] = row
            groups += 1
        here = table[slot]
        group[row] = here
        group_last[here] = row
        group_sums[here, _S_LETTERS] += weights[row]
        group_sums[here, _S_LINKS] += links[row]
        group_sums[here, _S_PROSE] += prose[row]
        group_sums[here, _S_BLOCKS] += 1
        slot = (blocks[row, HASH] * 40503) & (slots - 1)
        while copies_table[slot] >= 0 and not (
            blocks[copies_table[slot], HASH] == blocks[row, HASH]
            and blocks[copies_table[slot], LETTERS] == blocks[row, LETTERS]
        ):
            slot = (slot + 1) & (slots - 1)
        if copies_table[slot] < 0:
            copies_table[slot] = row
        copy_of[row] = copies_table[slot]
        copies[copies_table[slot]] += 1

    # The title's pairs of letters, and those of headings of the first level.
    title_bits = np.zeros(_TITLE_BITS, dtype=np.uint8)
    heading_bits = np.zeros(_TITLE_BITS, dtype=np.uint8)
    title_pairs = heading_pairs = 0
    for index in range(texts.shape[0]):
        element = texts[index, 0]
        if element >= 0 and elements[element, TAG] == _TITLE_TAG and title_pairs == 0:
            title_pairs, _, _ = _scan_pairs(
                source,
                texts[index, TEXT_START],
                min(texts[index, TEXT_END], texts[index, TEXT_START] + 1000),
                title_bits,
                True,
                -1,
            )
            break
    first_heading = -1
    for row in range(count):
        owner = blocks[row, OWNER]
        if owner >= 0 and distances[owner, _TOP_HEADING] < 4 and heading_pairs < 300:
            if first_heading < 0:
                first_heading = row
            last = -1
            for index in range(blocks[row, FIRST_TEXT], blocks[row, BEHIND_TEXT]):
                more, _, last = _scan_pairs(
                    source, texts[index, TEXT_START], texts[index, TEXT_END], heading_bits, True, last
                )
                heading_pairs += more

    description_bits = np.zeros(_TITLE_BITS, dtype=np.uint8)
    description_pairs = 0
    for index in range(element_count):
        if elements[index, TAG] != _META:
            continue
        content = -1
        described = False
        for attribute in range(elements[index, FIRST_ATTRIBUTE], elements[index, LAST_ATTRIBUTE]):
            code = attributes[attribute, CODE]
            start, stop = attributes[attribute, VALUE_START], attributes[attribute, VALUE_END]
            if code == _CONTENT:
                content = attribute
            elif code in (_NAME, _PROPERTY):
                described = described or (stop - start >= 11 and _ends_with_description(source, start, stop))
        if described and content >= 0 and description_pairs < 600:
            start, stop = attributes[content, VALUE_START], attributes[content, VALUE_END]
            more, _, _ = _scan_pairs(source, start, min(stop, start + 2000), description_bits, True, -1)
            description_pairs += more
    # What each block says of them, and the blocks that say most: the headline and the lead.
    says = np.zeros((5, count), dtype=np.int32)
    headline = lead = -1
    headline_score = 0
    lead_score = 400
    for row in range(count):
        if blocks[row, LETTERS] > 400 and description_pairs == 0:
            continue
        pairs = in_title = in_heading = in_description = 0
        last = -1
        for index in range(blocks[row, FIRST_TEXT], blocks[row, BEHIND_TEXT]):
            start, stop = texts[index, TEXT_START], texts[index, TEXT_END]
            stop = min(stop, start + 1500)
            more, found, after = _scan_pairs(source, start, stop, title_bits, False, last)
            _, found_heading, _ = _scan_pairs(source, start, stop, heading_bits, False, last)
            _, found_description, _ = _scan_pairs(source, start, stop, description_bits, False, last)
            last = after
            pairs += more
            in_title += found
            in_heading += found_heading
            in_description += found_description
        says[0, row] = _share(in_title, pairs)
        says[1, row] = min(_share(in_title, title_pairs), SCALE)
        says[2, row] = _share(in_heading, pairs)
        says[3, row] = min(_share(in_heading, heading_pairs), SCALE)
        says[4, row] = _share(in_description, pairs)
        owner = blocks[row, OWNER]
        if owner >= 0:
            score = headline_points(
                says[0, row],
                says[1, row],
                blocks[row, LETTERS],
                distances[owner, _TOP_HEADING],
                distances[owner, _HEADING],
                distances[owner, _TITLE_WORD],
                distances[owner, _BREADCRUMB_WORD],
                distances[owner, _HEADER_TAG],
            )
            if score > headline_score:
                headline, headline_score = row, score
        # A lead of ten letters may be chance; of sixty it is not.
        score = says[4, row] * min(pairs, 60) // 60
        if score > lead_score and prose[row] > 0:
            lead, lead_score = row, score
    up = np.empty((5, element_count + 1), dtype=np.int32)
    common = np.empty((5, element_count + 1), dtype=np.int32)
    heights = np.zeros((5, element_count + 1), dtype=np.int32)
    known = np.zeros(5, dtype=np.uint8)
    for anchor in range(5):
        element = element_count
        if anchor == 0:
            element = core60
        elif anchor == 1:
            element = core90
        elif anchor == 2:
            element = top
        elif anchor == 3 and headline >= 0:
            element = blocks[headline, OWNER]
        elif anchor == 4 and lead >= 0:
            element = blocks[lead, OWNER]
        if element < 0:
            element = element_count
        known[anchor] = 1 if element < element_count else 0
        measure_from(elements, element, up[anchor], common[anchor])
        heights_above(elements, element, heights[anchor])

    running_letters = running_prose = 0
    last_prose = -1000
    best_title = -1
    best_title_share = 300
    title_base = FEATURE_COUNT - _TITLE_COUNT
    for row in range(count):
        letters = blocks[row, LETTERS]
        owner = blocks[row, OWNER]
        feature = 0
        # The block itself.
        out[feature, row] = weights[row]
        out[feature + 1, row] = _share(blocks[row, DIGITS], letters)
        out[feature + 2, row] = _share(blocks[row, PUNCTUATION], letters)
        out[feature + 3, row] = blocks[row, SENTENCE_ENDS]
        out[feature + 4, row] = blocks[row, COMMAS]
        out[feature + 5, row] = _share(blocks[row, SYMBOLS], letters)
        out[feature + 6, row] = _share(blocks[row, LINK_LETTERS], letters)
        out[feature + 7, row] = blocks[row, LINKS]
        out[feature + 8, row] = _share(blocks[row, STRONG_LETTERS], letters)
        out[feature + 9, row] = _share(blocks[row, CONTROL_LETTERS], letters)
        out[feature + 10, row] = _letter_class(blocks[row, FIRST_LETTER])
        out[feature + 11, row] = _letter_class(blocks[row, LAST_LETTER])
        out[feature + 12, row] = weights[row] // max(1, blocks[row, SENTENCE_ENDS])
        out[feature + 13, row] = 1 if prose[row] > 0 else 0
        out[feature + 14, row] = elements[owner, DEPTH] if owner >= 0 else 0
        feature += 15
        # What stands above it.
        for column in range(_SURROUNDING_COUNT):
            out[feature + column, row] = distances[owner, column] if owner >= 0 else 24
        feature += _SURROUNDING_COUNT
        ancestor = owner
        for _ in range(LEVELS):
            here = ancestor if ancestor >= 0 else element_count
            out[feature, row] = sums[here, _S_LETTERS]
            out[feature + 1, row] = _share(sums[here, _S_LINKS], sums[here, _S_LETTERS])
            out[feature + 2, row] = _share(sums[here, _S_PROSE], total_prose)
            out[feature + 3, row] = sums[here, _S_BLOCKS]
            out[feature + 4, row] = _share(sums[here, _S_PROSE], sums[here, _S_LETTERS])
            out[feature + 5, row] = _share(sums[here, _S_COMMAS], sums[here, _S_LETTERS])
            feature += 6
            # Up to the next element with lines of its own that holds more than this one does.
            while ancestor >= 0:
                ancestor = elements[ancestor, PARENT]
                if (
                    ancestor >= 0
                    and OWN_LINES[elements[ancestor, TAG]]
                    and sums[ancestor, _S_BLOCKS] > sums[here, _S_BLOCKS]
                ):
                    break
        here = owner if owner >= 0 else element_count
        for anchor in range(5):
            shared = common[anchor, here]
            if known[anchor]:
                out[feature, row] = up[anchor, here]
                out[feature + 1, row] = heights[anchor, shared]
                out[feature + 2, row] = sums[shared, _S_LETTERS]
                out[feature + 3, row] = _share(sums[shared, _S_PROSE], total_prose)
                out[feature + 4, row] = _share(sums[shared, _S_LINKS], sums[shared, _S_LETTERS])
            else:
                for column in range(5):
                    out[feature + column, row] = -1
            feature += 5
        out[feature, row] = row - headline if headline >= 0 else -10000
        out[feature + 1, row] = row - lead if lead >= 0 else -10000
        out[feature + 2, row] = scores[here] * SCALE // scores[top] if scores[top] > 0 else 0
        feature += 3
        # The blocks around it.
        for side in (-1, 1):
            for step in range(1, NEIGHBOURS + 1):
                other = row + side * step
                if 0 <= other < count:
                    out[feature, row] = weights[other]
                    out[feature + 1, row] = _share(blocks[other, LINK_LETTERS], blocks[other, LETTERS])
                    out[feature + 2, row] = blocks[other, SENTENCE_ENDS]
                    out[feature + 3, row] = 1 if blocks[other, OWNER] == owner else 0
                    out[feature + 4, row] = 1 if group[other] == group[row] else 0
                else:
                    for column in range(5):
                        out[feature + column, row] = -1
                feature += 5
        for side in (-1, 1):
            window_letters = window_links = window_ends = 0
            for step in range(1, 9):
                other = row + side * step
                if 0 <= other < count:
                    window_letters += weights[other]
                    window_links += links[other]
                    window_ends += blocks[other, SENTENCE_ENDS]
            out[feature, row] = window_letters
            out[feature + 1, row] = _share(window_links, window_letters)
            out[feature + 2, row] = window_ends
            feature += 3
        # The page.
        out[feature, row] = total_letters
        out[feature + 1, row] = count
        out[feature + 2, row] = _share(total_links, total_letters)
        out[feature + 3, row] = total_prose
        out[feature + 4, row] = _share(total_prose, total_letters)
        out[feature + 5, row] = longest
        out[feature + 6, row] = items
        out[feature + 7, row] = cells
        out[feature + 8, row] = paragraphs
        out[feature + 9, row] = articles
        out[feature + 10, row] = mains
        out[feature + 11, row] = controls
        out[feature + 12, row] = element_count
        feature += 13
        # Blocks of the same path.
        here = group[row]
        out[feature, row] = group_sums[here, _S_BLOCKS]
        out[feature + 1, row] = group_sums[here, _S_LETTERS]
        out[feature + 2, row] = _share(group_sums[here, _S_LINKS], group_sums[here, _S_LETTERS])
        out[feature + 3, row] = _share(group_sums[here, _S_PROSE], total_prose)
        out[feature + 4, row] = group_sums[here, _S_LETTERS] // group_sums[here, _S_BLOCKS]
        out[feature + 5, row] = row - group_first[here]
        out[feature + 6, row] = group_last[here] - row
        feature += 7
        # Where it stands.
        out[feature, row] = _share(row, count)
        out[feature + 1, row] = _share(running_letters, total_letters)
        out[feature + 2, row] = _share(running_prose, total_prose)
        running_letters += weights[row]
        running_prose += prose[row]
        out[feature + 3, row] = _share(total_prose - running_prose, total_prose)
        if prose[row] > 0:
            last_prose = row
        out[feature + 4, row] = min(row - last_prose, 1000)
        out[feature + 6, row] = row
        out[feature + 7, row] = count - row
        feature += 8
        # What it says of the title.
        for column in range(4):
            out[feature + column, row] = says[column, row]
        out[feature + 4, row] = row - first_heading if first_heading >= 0 else -1000
        out[feature + 5, row] = 1 if 0 <= first_heading <= row else 0
        title_match = min(out[feature, row], out[feature + 1, row])
        if title_match > best_title_share:
            best_title_share = title_match
            best_title = row
        out[feature + 7, row] = copies[copy_of[row]]
        out[feature + 8, row] = says[4, row]
    next_prose = 100_000
    position_base = title_base - 8
    for row in range(count - 1, -1, -1):
        if prose[row] > 0:
            next_prose = row
        out[position_base + 5, row] = min(next_prose - row, 1000)
        out[title_base + 6, row] = row - best_title if best_title >= 0 else -1000
