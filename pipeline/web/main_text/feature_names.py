"""Feature names: what is known of every block of a page before it is judged, in the order of a model's columns.

A block is described by itself, by the blocks around it, by the elements that enclose it, by blocks with the same path
of tags and classes, by the page, and by how much it says of the page's title.
"""

from __future__ import annotations

from pipeline.web.main_text.surroundings import SURROUNDINGS

# A share is a number from 0 to SCALE.
SCALE = 1000
LEVELS = 5
NEIGHBOURS = 3

# Letters are weighed (`weigh`), and nothing tells one script from another: what is learnt from pages in English then
# holds for Japanese ones.
OWN = (
    "letters digits punctuation ends commas symbols link_share links strong_share control_share first_letter "
    "last_letter letters_a_sentence is_prose depth"
).split()
LEVEL = "letters link_share prose_share blocks prose_density commas".split()
# Up to the innermost element that holds the block and the anchor, and down from there; and what that element holds.
ANCHOR_NAMES = "core60 core90 top headline lead".split()
ANCHOR = "up down letters prose_share link_share".split()
NEIGHBOUR = "letters link_share ends same_owner same_path".split()
WINDOW = "letters link_share ends".split()
PAGE = (
    "letters blocks link_share prose_letters prose_share longest items cells paragraphs "
    "articles mains controls elements"
).split()
PATH = "blocks letters link_share prose_share mean_letters first last".split()
POSITION = (
    "block_share letter_share prose_before prose_after to_prose_before to_prose_after blocks_from_start blocks_to_end"
).split()
TITLE = "in_title title_in in_heading heading_in from_heading heading_seen from_title copies in_description".split()

FEATURES: tuple[str, ...] = (
    *OWN,
    *SURROUNDINGS,
    *(f"level{level}_{name}" for level in range(LEVELS) for name in LEVEL),
    *(f"{anchor}_{name}" for anchor in ANCHOR_NAMES for name in ANCHOR),
    *["from_headline_block", "from_lead", "container_score"],
    *(
        f"{side}{step}_{name}"
        for side in ("before", "behind")
        for step in range(1, NEIGHBOURS + 1)
        for name in NEIGHBOUR
    ),
    *(f"{side}8_{name}" for side in ("before", "behind") for name in WINDOW),
    *(f"page_{name}" for name in PAGE),
    *(f"path_{name}" for name in PATH),
    *POSITION,
    *TITLE,
)
FEATURE_COUNT = len(FEATURES)
