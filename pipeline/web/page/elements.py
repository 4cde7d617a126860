"""Elements: the names that the page reader knows by number, and what HTML's parsing rules say of each.

The sets are those of the WHATWG HTML standard, section 13.2 (as of 2026), named where each is defined.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_HEADINGS = "h1 h2 h3 h4 h5 h6"

# 13.1.2 Void elements; and the obsolete ones that 13.2.6.4.7 treats likewise.
_VOID = "area base basefont bgsound br col embed frame hr image img input keygen link meta param source track wbr"
# Content that is text whatever it looks like: 13.2.5.1, without character references.
_RAW_TEXT = "iframe noembed noframes plaintext script style xmp"
# The same with character references.
_REFERENCE_TEXT = "textarea title"
# 13.2.4.2 The stack of open elements: "special".
_SPECIAL = (
    "address applet area article aside base basefont bgsound blockquote body br button caption center col colgroup dd "
    "details dir div dl dt embed fieldset figcaption figure footer form frame frameset " + _HEADINGS + " head header "
    "hgroup hr html iframe img input keygen li link listing main marquee menu meta nav noembed noframes noscript "
    "object ol p param plaintext pre script search section select source style summary table tbody td template "
    "textarea tfoot th thead title tr track ul wbr xmp"
)
# 13.2.4.2: "have a particular element in scope" looks no further than these.
_SCOPE = "applet caption html table td th marquee object template"
# 13.2.4.3 The list of active formatting elements.
_FORMATTING = "a b big code em font i nobr s small strike strong tt u"
# 13.2.6.3 Closing elements that have implied end tags.
_IMPLIED_END = "dd dt li optgroup option p rb rp rt rtc"
# 13.2.6.4.7: start tags that close an open p.
_CLOSES_PARAGRAPH = (
    "address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer form header "
    "hgroup hr listing main menu nav ol p plaintext pre search section summary table ul xmp li dd dt " + _HEADINGS
)
# 13.2.6.4.4 The "in head" insertion mode: what may stand in head without ending it.
_HEAD_CONTENT = "base basefont bgsound head html link meta noframes noscript script style template title"
# 13.2.6.4.9 to 13.2.6.4.15: what is ignored outside of a table.
_TABLE_PART = "caption col colgroup tbody td tfoot th thead tr"
# 13.2.6.5 The rules for parsing tokens in foreign content: start tags that end it.
_BREAKOUT = (
    "b big blockquote body br center code dd div dl dt em embed " + _HEADINGS + " head hr i img li listing menu meta "
    "nobr ol p pre ruby s small span strong strike sub sup table tt u ul var"
)
# 15.3.1 Hidden elements, as far as they may hold text; and what MathML and SVG do not show.
_NOT_SHOWN = "annotation desc iframe metadata noembed noframes script style template title"
# What stands on lines of its own (15.3.3 Flow content, 15.3.8 Tables, and options), and what breaks a line.
_BREAKS_LINE = (
    "address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset figcaption "
    "figure footer form frameset header hgroup hr legend li listing main menu nav noscript ol optgroup option p "
    "plaintext pre search section select summary table tbody td textarea tfoot th thead tr ul xmp " + _HEADINGS
)
# Start tags with rules of their own beyond those for head and for an open p.
_HAS_RULES = (
    "a body button col dd dt form head html input keygen li nobr optgroup option rb rp rt rtc select textarea "
    + _HEADINGS
    + " "
    + _TABLE_PART
)
# 13.2.6: MathML text integration points and HTML integration points of SVG.
_INTEGRATION = "desc foreignobject mi mn mo ms mtext title"
_OTHERS = (
    "abbr acronym audio bdi bdo blink canvas cite data datalist del dfn font ins isindex kbd label legend map mark "
    "math meter mglyph malignmark annotation-xml multicol nextid object optgroup option output picture progress q rb "
    "rp rt rtc ruby samp slot spacer span sub sup svg time tt u var video g path use symbol defs text tspan "
    "semantics mrow amp-img"
)

VOID, RAW_TEXT, REFERENCE_TEXT, SPECIAL, SCOPE, FORMATTING, IMPLIED_END, CLOSES_PARAGRAPH = (
    1 << bit for bit in range(8)
)
HEAD_CONTENT, TABLE_PART, BREAKOUT, NOT_SHOWN, BREAKS_LINE, HEADING, INTEGRATION, HAS_RULES = (
    1 << bit for bit in range(8, 16)
)
_SETS = {
    VOID: _VOID,
    RAW_TEXT: _RAW_TEXT,
    REFERENCE_TEXT: _REFERENCE_TEXT,
    SPECIAL: _SPECIAL,
    SCOPE: _SCOPE,
    FORMATTING: _FORMATTING,
    IMPLIED_END: _IMPLIED_END,
    CLOSES_PARAGRAPH: _CLOSES_PARAGRAPH,
    HEAD_CONTENT: _HEAD_CONTENT,
    TABLE_PART: _TABLE_PART,
    BREAKOUT: _BREAKOUT,
    NOT_SHOWN: _NOT_SHOWN,
    BREAKS_LINE: _BREAKS_LINE,
    HEADING: _HEADINGS,
    INTEGRATION: _INTEGRATION,
    HAS_RULES: _HAS_RULES,
}

# 0 is any name that is not here.
TAG_NAMES: tuple[str, ...] = ("", *sorted({name for names in (*_SETS.values(), _OTHERS) for name in names.split()}))
TAGS: dict[str, int] = {name: number for number, name in enumerate(TAG_NAMES) if name}
# Elements of SVG and MathML stand on the stack of open elements with this added to their number, so that HTML's rules
# do not take them for HTML's elements of the same name.
FOREIGN_TAG = 256
assert len(TAG_NAMES) <= FOREIGN_TAG

_SLOTS = 1024
_LONGEST_NAME = 16
_WORD = (1 << 64) - 1
# 2^64 divided by the golden ratio, made odd: Knuth's multiplicative hashing.
GOLDEN = 0x9E3779B97F4A7C15
SLOT_SHIFT = 54


def name_code(name: str) -> int:
    """The 64-bit code of an ASCII name in lower case; names of up to eight letters have codes of their own."""
    code = 0
    for letter in name.encode("utf-8"):
        code = ((code << 8 | code >> 56) & _WORD) ^ letter
    return code


class TagTables(NamedTuple):
    """Tag numbers by name's code, and the bits of each number, as the compiled code takes them.

    flags (512,) bits by tag, foreign ones behind; codes (1024,) hash table of name codes, 0 where free; tags (1024,)
    the number in each slot; lengths (256,) and names (256, 16) the names' bytes.
    """

    flags: npt.NDArray[np.uint32]
    codes: npt.NDArray[np.uint64]
    tags: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int32]
    names: npt.NDArray[np.uint8]


def _tag_tables() -> TagTables:
    flags = np.zeros(2 * FOREIGN_TAG, dtype=np.uint32)
    codes = np.zeros(_SLOTS, dtype=np.uint64)
    tags = np.zeros(_SLOTS, dtype=np.int32)
    lengths = np.zeros(FOREIGN_TAG, dtype=np.int32)
    names = np.zeros((FOREIGN_TAG, _LONGEST_NAME), dtype=np.uint8)
    for bit, members in _SETS.items():
        for name in members.split():
            flags[TAGS[name]] |= bit if bit != INTEGRATION else 0
            if bit in (INTEGRATION, NOT_SHOWN):
                flags[FOREIGN_TAG + TAGS[name]] |= bit
    # 13.2.4.2 names the integration points as special and as ends of a scope.
    for name in (*_INTEGRATION.split(), "annotation-xml"):
        flags[FOREIGN_TAG + TAGS[name]] |= SPECIAL | SCOPE
    for name, tag in TAGS.items():
        code = name_code(name)
        slot = (code * GOLDEN & _WORD) >> SLOT_SHIFT
        while codes[slot]:
            slot = (slot + 1) % _SLOTS
        codes[slot], tags[slot] = code, tag
        lengths[tag] = len(name)
        names[tag, : len(name)] = np.frombuffer(name.encode(), dtype=np.uint8)
    return TagTables(flags, codes, tags, lengths, names)


TAG_TABLES = _tag_tables()
