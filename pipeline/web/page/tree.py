"""Tree: a page's tokens to arrays of elements, attributes and text nodes, with a bounded stack of open elements.

The rules are those of the WHATWG HTML standard, 13.2.6 Tree construction, as far as they decide which element a text
stands in. Not followed are those that move nodes (foster parenting, the adoption agency) or make elements that the
page does not write (html, head, body, tbody, and formatting elements made anew): every element here is a tag there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.page.elements import (
    BREAKOUT,
    BREAKS_LINE,
    CLOSES_PARAGRAPH,
    FOREIGN_TAG,
    GOLDEN,
    HAS_RULES,
    HEAD_CONTENT,
    INTEGRATION,
    NOT_SHOWN,
    RAW_TEXT,
    REFERENCE_TEXT,
    SLOT_SHIFT,
    TAG_TABLES,
    TAGS,
    VOID,
    name_code,
)
from pipeline.web.page.hidden import hides_itself, is_value
from pipeline.web.page.lean import inlined_njit, lean_njit
from pipeline.web.page.rules import IGNORE, PUSH, RECORD, close_head, on_end_tag, on_start_tag
from pipeline.web.page.stack import (
    BODY_SEEN,
    CONTENT,
    DEPTH,
    ELEMENT_COLUMNS,
    END,
    FIRST_ATTRIBUTE,
    FLAGS,
    FOREIGN,
    HIDDEN,
    HIDES_ITSELF,
    IN_TEMPLATE,
    INTEGRATION_POINT,
    LAST_ATTRIBUTE,
    MAX_DEPTH,
    PARENT,
    STACK_CODE,
    STACK_COLUMNS,
    STACK_ELEMENT,
    STACK_FLAGS,
    STACK_TAG,
    START,
    STATE_SIZE,
    STEPS,
    TAG,
    close_to,
)
from pipeline.web.page.tokenizer import (
    ATTRIBUTE_COLUMNS,
    ATTRIBUTES_CUT,
    BLANK,
    CDATA,
    CODE,
    END_TAG,
    HAS_REFERENCES,
    SELF_CLOSING,
    START_TAG,
    TEXT,
    VALUE_END,
    VALUE_START,
    ends_noscript,
    next_token,
    raw_text_end,
    script_end,
    short_code,
)
from pipeline.web.page.words import count_byte

# Columns of a text node, and bits of its flags beside the tokenizer's: nothing resolved, NUL kept as U+FFFD, hidden or
# in a template as its element is, and a line's break (a block's tag or br) since the text before.
TEXT_ELEMENT, TEXT_START, TEXT_END, TEXT_FLAGS = range(4)
TEXT_COLUMNS = 4
KEEPS_NUL, TEXT_HIDDEN, TEXT_IN_TEMPLATE, AFTER_BREAK = (1 << bit for bit in range(2, 6))
# What a page's reading met: more elements, attributes or text nodes than there is room for, or deeper ones.
CAPPED_ELEMENTS, CAPPED_ATTRIBUTES, CAPPED_TEXTS, CAPPED_DEPTH = (1 << bit for bit in range(4))

# No page that is read by people comes near these; they bound the memory that a page can ask for.
MAX_ELEMENTS = 500_000
MAX_ATTRIBUTES = 1_000_000
MAX_TEXTS = 1_000_000

_FLAGS, _CODES, _TAGS, _LENGTHS, _NAMES = TAG_TABLES
_HTML, _HEAD, _BODY, _SCRIPT, _PLAINTEXT, _TEMPLATE, _NOSCRIPT = (
    TAGS[name] for name in ("html", "head", "body", "script", "plaintext", "template", "noscript")
)
_PRE, _LISTING, _TEXTAREA, _BR, _P, _FONT = (TAGS[name] for name in ("pre", "listing", "textarea", "br", "p", "font"))
_SVG, _MATH, _ANNOTATION_XML = (TAGS[name] for name in ("svg", "math", "annotation-xml"))
_MGLYPH, _MALIGNMARK, _MI, _MN, _MO, _MS, _MTEXT = (
    TAGS[name] for name in ("mglyph", "malignmark", "mi", "mn", "mo", "ms", "mtext")
)
_COLOR, _FACE, _SIZE, _ENCODING = (short_code(name_code(name)) for name in ("color", "face", "size", "encoding"))


@inlined_njit
def find_tag(
    source: npt.NDArray[np.uint8],
    start: int,
    end: int,
    code: np.uint64,
    codes: npt.NDArray[np.uint64],
    tags: npt.NDArray[np.int32],
    lengths: npt.NDArray[np.int32],
    names: npt.NDArray[np.uint8],
) -> int:
    """The number of the element whose name is source[start:end] and has the code; 0 if it has none.

    The arrays are those of TagTables.
    """
    slot = (code * np.uint64(GOLDEN)) >> np.uint64(SLOT_SHIFT)
    while codes[slot] != 0:
        if codes[slot] == code:
            tag = tags[slot]
            if lengths[tag] != end - start:
                return 0
            for index in range(8, end - start):
                letter = source[start + index]
                if letter != names[tag, index] and letter | 0x20 != names[tag, index]:
                    return 0
            return tag
        slot = (slot + np.uint64(1)) & np.uint64(codes.size - 1)
    return 0


@lean_njit
def _is_in_foreign(stack: npt.NDArray[np.int64], depth: int, tag: int) -> bool:
    """Whether a start tag follows the rules for foreign content (13.2.6, tree construction dispatcher)."""
    if depth == 0 or not stack[depth - 1, STACK_FLAGS] & FOREIGN:
        return False
    here = stack[depth - 1, STACK_TAG] - FOREIGN_TAG
    if here == _ANNOTATION_XML and tag == _SVG:
        return False
    if not stack[depth - 1, STACK_FLAGS] & INTEGRATION_POINT:
        return True
    math_text = here in (_MI, _MN, _MO, _MS, _MTEXT)
    return math_text and (tag in (_MGLYPH, _MALIGNMARK))


@lean_njit
def _breaks_out(tag: int, flags: int, attributes: npt.NDArray[np.int32], first: int, last: int) -> bool:
    """Whether a start tag ends foreign content; font does with the attributes of old."""
    if tag == _FONT:
        for index in range(first, last):
            code = attributes[index, CODE]
            if code in (_COLOR, _FACE, _SIZE):
                return True
        return False
    return flags & BREAKOUT != 0


@lean_njit
def _leave_foreign(
    stack: npt.NDArray[np.int64],
    depth: int,
    open_count: npt.NDArray[np.int32],
    elements: npt.NDArray[np.int32],
    offset: int,
) -> int:
    """Close foreign elements up to an integration point or HTML; returns the new depth."""
    while (
        depth > 0 and stack[depth - 1, STACK_FLAGS] & FOREIGN and not stack[depth - 1, STACK_FLAGS] & INTEGRATION_POINT
    ):
        depth = close_to(stack, depth, depth - 1, open_count, elements, offset)
    return depth


@lean_njit
def _foreign_to_close(code: np.int64, stack: npt.NDArray[np.int64], depth: int, state: npt.NDArray[np.int64]) -> int:
    """The foreign entry that an end tag in foreign content closes; -1 where HTML's rules hold."""
    index = depth - 1
    while index >= 0 and stack[index, STACK_FLAGS] & FOREIGN:
        state[STEPS] += 1
        if stack[index, STACK_CODE] == code:
            return index
        index -= 1
    return -1


@lean_njit
def _is_html_annotation(
    source: npt.NDArray[np.uint8], attributes: npt.NDArray[np.int32], first: int, last: int
) -> bool:
    """Whether an annotation-xml holds HTML, by its encoding."""
    for index in range(first, last):
        if attributes[index, CODE] == _ENCODING:
            start, end = attributes[index, VALUE_START], attributes[index, VALUE_END]
            return is_value(source, start, end, b"text/html") or is_value(source, start, end, b"application/xhtml+xml")
    return False


@lean_njit
def _build(
    source: npt.NDArray[np.uint8],
    size: int,
    position: int,
    flags: npt.NDArray[np.uint32],
    codes: npt.NDArray[np.uint64],
    tags: npt.NDArray[np.int32],
    lengths: npt.NDArray[np.int32],
    names: npt.NDArray[np.uint8],
    elements: npt.NDArray[np.int32],
    attributes: npt.NDArray[np.int32],
    texts: npt.NDArray[np.int32],
    stack: npt.NDArray[np.int64],
    open_count: npt.NDArray[np.int32],
    unpushed: npt.NDArray[np.int32],
    state: npt.NDArray[np.int64],
) -> tuple[int, int, int, int]:
    most_elements, most_texts = elements.shape[0], texts.shape[0]
    # unpushed holds elements below the deepest on the stack, by tag: their end tags must not close others.
    unpushed_total = 0
    depth = element_count = used = text_count = capped = 0
    after_break = 0
    newline_dropped_at = raw_element = -1

    while position < size:
        in_foreign = depth > 0 and stack[depth - 1, STACK_FLAGS] & FOREIGN != 0
        kind, end, start, stop, bits, code, now_used = next_token(source, size, position, in_foreign, attributes, used)
        offset = position
        position = end

        if kind in (TEXT, CDATA):
            if start == newline_dropped_at:
                if source[start] == 0x0D and source[start + 1] == 0x0A:
                    start += 2
                elif source[start] == 0x0A or source[start] == 0x0D:
                    start += 1
            if start >= stop:
                continue
            if text_count == most_texts:
                capped |= CAPPED_TEXTS
                break
            if not bits & BLANK and open_count[_TEMPLATE] == 0:
                if open_count[_HEAD] > 0:
                    depth = close_head(stack, depth, open_count, elements, offset)
                state[BODY_SEEN] = 1
            texts[text_count, TEXT_ELEMENT] = stack[depth - 1, STACK_ELEMENT] if depth > 0 else -1
            texts[text_count, TEXT_START] = start
            texts[text_count, TEXT_END] = stop
            inherited = stack[depth - 1, STACK_FLAGS] if depth > 0 else 0
            if inherited & HIDDEN:
                bits |= TEXT_HIDDEN
            if inherited & IN_TEMPLATE or (depth > 0 and stack[depth - 1, STACK_TAG] == _TEMPLATE):
                bits |= TEXT_IN_TEMPLATE
            if in_foreign:
                bits |= KEEPS_NUL
            texts[text_count, TEXT_FLAGS] = bits | after_break
            text_count += 1
            after_break = 0

        elif raw_element >= 0:
            # A tag that the page's end cuts off is no token, and the page's end is the element's.
            elements[raw_element, END] = end
            if flags[elements[raw_element, TAG]] & BREAKS_LINE:
                after_break = AFTER_BREAK
            raw_element = -1

        elif kind == END_TAG:
            tag = find_tag(source, start, stop, code, codes, tags, lengths, names)
            if flags[tag] & BREAKS_LINE:
                after_break = AFTER_BREAK
            if unpushed_total > 0:
                # A tag of either kind may have been left out, and only one can be meant.
                left_out = tag + FOREIGN_TAG if in_foreign and unpushed[tag + FOREIGN_TAG] > 0 else tag
                if unpushed[left_out] > 0:
                    unpushed[left_out] -= 1
                    unpushed_total -= 1
                    continue
            signed_code = np.int64(code)
            if (
                depth > 0
                and stack[depth - 1, STACK_CODE] == signed_code
                and stack[depth - 1, STACK_TAG] == tag
                and tag != _HTML
                and tag != _BODY
            ):
                depth = close_to(stack, depth, depth - 1, open_count, elements, end)
                continue
            if in_foreign:
                index = _foreign_to_close(signed_code, stack, depth, state)
                if index >= 0:
                    depth = close_to(stack, depth, index + 1, open_count, elements, offset)
                    depth = close_to(stack, depth, index, open_count, elements, end)
                    continue
                if tag in (_BR, _P):
                    depth = _leave_foreign(stack, depth, open_count, elements, offset)
            depth = on_end_tag(tag, signed_code, stack, depth, open_count, elements, offset, end, flags, state)

        elif kind == START_TAG:
            if element_count == most_elements:
                capped |= CAPPED_ELEMENTS
                break
            if bits & ATTRIBUTES_CUT:
                capped |= CAPPED_ATTRIBUTES
            tag = find_tag(source, start, stop, code, codes, tags, lengths, names)
            foreign = False
            if in_foreign and _is_in_foreign(stack, depth, tag):
                if _breaks_out(tag, flags[tag], attributes, used, now_used):
                    depth = _leave_foreign(stack, depth, open_count, elements, offset)
                else:
                    foreign = True
            fate = PUSH
            if not foreign:
                # Most tags close nothing: what follows says so without a call.
                if (
                    flags[tag] & HAS_RULES
                    or (flags[tag] & CLOSES_PARAGRAPH and open_count[_P] > 0)
                    or (flags[tag] & HEAD_CONTENT == 0 and (open_count[_HEAD] > 0 or state[BODY_SEEN] == 0))
                ):
                    depth, fate = on_start_tag(tag, stack, depth, open_count, elements, offset, flags, state)
                elif flags[tag] & VOID:
                    fate = RECORD
                if flags[tag] & BREAKS_LINE:
                    after_break = AFTER_BREAK
                if fate == IGNORE:
                    continue
                foreign = tag in (_SVG, _MATH)
            if foreign and bits & SELF_CLOSING:
                fate = RECORD
            stack_tag = tag + FOREIGN_TAG if foreign else tag
            element_flags = 0
            if depth > 0:
                element_flags = stack[depth - 1, STACK_FLAGS] & (HIDDEN | IN_TEMPLATE)
                if stack[depth - 1, STACK_TAG] == _TEMPLATE:
                    element_flags |= IN_TEMPLATE
            if foreign:
                element_flags |= FOREIGN
                if flags[stack_tag] & INTEGRATION or (
                    tag == _ANNOTATION_XML and _is_html_annotation(source, attributes, used, now_used)
                ):
                    element_flags |= INTEGRATION_POINT
            # A page that hides all of itself is shown by its script, or by a reader's patience.
            if flags[stack_tag] & NOT_SHOWN or (
                now_used > used and tag != _HTML and tag != _BODY and hides_itself(source, attributes, used, now_used)
            ):
                element_flags |= HIDDEN | HIDES_ITSELF
            elements[element_count, TAG] = tag
            parent = stack[depth - 1, STACK_ELEMENT] if depth > 0 else -1
            elements[element_count, PARENT] = parent
            elements[element_count, START] = offset
            elements[element_count, END] = end
            elements[element_count, CONTENT] = end
            elements[element_count, FIRST_ATTRIBUTE] = used
            elements[element_count, LAST_ATTRIBUTE] = now_used
            # Not the stack's: an element that was closed from below is still an ancestor.
            elements[element_count, DEPTH] = elements[parent, DEPTH] + 1 if parent >= 0 else 0
            elements[element_count, FLAGS] = element_flags
            used = now_used

            if not foreign and flags[tag] & (RAW_TEXT | REFERENCE_TEXT):
                if tag == _TEXTAREA and source[end] == 0x0A:
                    end += 1
                elif tag == _TEXTAREA and source[end] == 0x0D:
                    end += 2 if source[end + 1] == 0x0A else 1
                in_noscript = open_count[_NOSCRIPT] > 0
                if tag == _PLAINTEXT:
                    position = size
                elif tag == _SCRIPT:
                    position = script_end(source, size, end, start, stop, in_noscript)
                else:
                    position = raw_text_end(source, size, end, start, stop, in_noscript)
                if position > end:
                    if text_count == most_texts:
                        capped |= CAPPED_TEXTS
                        element_count += 1
                        break
                    text_flags = KEEPS_NUL | after_break
                    if flags[tag] & REFERENCE_TEXT:
                        text_flags |= HAS_REFERENCES
                    if element_flags & HIDDEN:
                        text_flags |= TEXT_HIDDEN
                    if element_flags & IN_TEMPLATE:
                        text_flags |= TEXT_IN_TEMPLATE
                    texts[text_count, TEXT_ELEMENT] = element_count
                    texts[text_count, TEXT_START] = end
                    texts[text_count, TEXT_END] = position
                    texts[text_count, TEXT_FLAGS] = text_flags
                    text_count += 1
                    if not element_flags & HIDDEN:
                        after_break = 0
                if in_noscript and position < size and ends_noscript(source, size, position):
                    elements[element_count, END] = position
                else:
                    elements[element_count, END] = size
                    # The end tag is this element's own: it closes nothing else.
                    raw_element = element_count
            elif fate == PUSH:
                if depth < stack.shape[0]:
                    if unpushed_total > 0:
                        for index in range(unpushed.size):
                            unpushed[index] = 0
                        unpushed_total = 0
                    stack[depth, STACK_ELEMENT] = element_count
                    stack[depth, STACK_TAG] = stack_tag
                    stack[depth, STACK_CODE] = np.int64(code)
                    stack[depth, STACK_FLAGS] = element_flags
                    depth += 1
                    open_count[stack_tag] += 1
                else:
                    capped |= CAPPED_DEPTH
                    unpushed[stack_tag] += 1
                    unpushed_total += 1
                if tag in (_PRE, _LISTING):
                    newline_dropped_at = end
            element_count += 1

    close_to(stack, depth, 0, open_count, elements, size)
    return element_count, used, text_count, capped


@njit(cache=True, nogil=True)
def build(
    source: npt.NDArray[np.uint8], size: int, position: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32], int, int]:
    """Read a page from `position`: its elements, attributes and text nodes, what was capped, and the steps.

    The first three are arrays (n, their columns) with a row an element, attribute and text node, in the page's order:
    where there is no room for another element or text node the reading ends, and more attributes are left out.
    """
    markup = count_byte(source, 0x3C)
    elements = np.empty((min(markup, MAX_ELEMENTS), ELEMENT_COLUMNS), dtype=np.int32)
    # An attribute takes two bytes at least, a letter and what parts it from the next.
    attributes = np.empty((min(size // 2 if markup else 0, MAX_ATTRIBUTES), ATTRIBUTE_COLUMNS), dtype=np.int32)
    # Behind a tag stands one text, behind a CDATA section one, and within it one.
    texts = np.empty((min(2 * markup + 1, MAX_TEXTS), TEXT_COLUMNS), dtype=np.int32)
    stack = np.empty((MAX_DEPTH, STACK_COLUMNS), dtype=np.int64)
    open_count = np.zeros(2 * FOREIGN_TAG, dtype=np.int32)
    unpushed = np.zeros(2 * FOREIGN_TAG, dtype=np.int32)
    state = np.zeros(STATE_SIZE, dtype=np.int64)
    element_count, attribute_count, text_count, capped = _build(
        source,
        size,
        position,
        _FLAGS,
        _CODES,
        _TAGS,
        _LENGTHS,
        _NAMES,
        elements,
        attributes,
        texts,
        stack,
        open_count,
        unpushed,
        state,
    )
    # Copies, so that a page holds no more memory than it needs.
    return (
        elements[:element_count].copy(),
        attributes[:attribute_count].copy(),
        texts[:text_count].copy(),
        capped,
        state[STEPS],
    )
