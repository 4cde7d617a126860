"""Rules: which open elements a start or an end tag closes (WHATWG HTML 13.2.6.4, the insertion modes)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.web.page.elements import (
    CLOSES_PARAGRAPH,
    FORMATTING,
    HEAD_CONTENT,
    HEADING,
    IMPLIED_END,
    SCOPE,
    SPECIAL,
    TABLE_PART,
    TAGS,
    VOID,
)
from pipeline.web.page.lean import inlined_njit, lean_njit
from pipeline.web.page.stack import (
    BODY_SEEN,
    HEAD_SEEN,
    HTML_SEEN,
    STACK_CODE,
    STACK_TAG,
    STEPS,
    close_formatting,
    close_to,
    find_in_scope,
    remove_entry,
)

# What becomes of a start tag: an open element, one without content, or nothing.
PUSH, RECORD, IGNORE = range(3)

_A, _NOBR, _BUTTON, _P, _LI, _DD, _DT = (TAGS[name] for name in ("a", "nobr", "button", "p", "li", "dd", "dt"))
_ADDRESS, _DIV, _FORM, _SELECT, _OL, _UL = (TAGS[name] for name in ("address", "div", "form", "select", "ol", "ul"))
_INPUT, _KEYGEN, _TEXTAREA = (TAGS[name] for name in ("input", "keygen", "textarea"))
_OPTION, _OPTGROUP, _RUBY, _RB, _RT, _RP, _RTC = (
    TAGS[name] for name in ("option", "optgroup", "ruby", "rb", "rt", "rp", "rtc")
)
_TABLE, _TBODY, _THEAD, _TFOOT, _TR, _TD, _TH = (
    TAGS[name] for name in ("table", "tbody", "thead", "tfoot", "tr", "td", "th")
)
_CAPTION = TAGS["caption"]
_COL, _COLGROUP, _TEMPLATE, _HTML, _HEAD, _BODY = (
    TAGS[name] for name in ("col", "colgroup", "template", "html", "head", "body")
)


@lean_njit
def close_head(
    stack: npt.NDArray[np.int64],
    depth: int,
    open_count: npt.NDArray[np.int32],
    elements: npt.NDArray[np.int32],
    offset: int,
) -> int:
    """Close head where it is open, but never from within a template; returns the new depth."""
    if open_count[_HEAD] == 0 or open_count[_TEMPLATE] > 0:
        return depth
    while open_count[_HEAD] > 0:
        depth = close_to(stack, depth, depth - 1, open_count, elements, offset)
    return depth


@lean_njit
def _is_cell(tag: int) -> bool:
    return tag in (_TD, _TH, _CAPTION)


@lean_njit
def _is_table_context(tag: int, here: int) -> bool:
    """Whether a part of a table may stand directly in the open element `here`."""
    if here in (_TABLE, _TEMPLATE):
        return True
    if tag == _COL:
        return here == _COLGROUP
    row_or_cell = tag in (_TR, _TD, _TH)
    if row_or_cell and (here in (_TBODY, _THEAD, _TFOOT)):
        return True
    return row_or_cell and tag != _TR and here == _TR


@lean_njit
def _close_item(
    tag: int,
    stack: npt.NDArray[np.int64],
    depth: int,
    open_count: npt.NDArray[np.int32],
    elements: npt.NDArray[np.int32],
    offset: int,
    flags: npt.NDArray[np.uint32],
    state: npt.NDArray[np.int64],
) -> int:
    """Close the list item that a new li, dd or dt follows."""
    index = depth - 1
    while index >= 0:
        state[STEPS] += 1
        here = stack[index, STACK_TAG]
        if here == tag or (tag != _LI and (here in (_DD, _DT))):
            return close_to(stack, depth, index, open_count, elements, offset)
        if flags[here] & SPECIAL and here != _ADDRESS and here != _DIV and here != _P:
            return depth
        index -= 1
    return depth


@lean_njit
def _close_paragraph(
    stack: npt.NDArray[np.int64],
    depth: int,
    open_count: npt.NDArray[np.int32],
    elements: npt.NDArray[np.int32],
    offset: int,
    flags: npt.NDArray[np.uint32],
    state: npt.NDArray[np.int64],
) -> int:
    if open_count[_P] == 0:
        return depth
    index = find_in_scope(stack, depth, _P, _BUTTON, -1, flags, state)
    return close_to(stack, depth, index, open_count, elements, offset) if index >= 0 else depth


@lean_njit
def _close_in_scope(
    tag: int,
    stack: npt.NDArray[np.int64],
    depth: int,
    open_count: npt.NDArray[np.int32],
    elements: npt.NDArray[np.int32],
    offset: int,
    flags: npt.NDArray[np.uint32],
    state: npt.NDArray[np.int64],
) -> int:
    index = find_in_scope(stack, depth, tag, -1, -1, flags, state)
    return close_to(stack, depth, index, open_count, elements, offset) if index >= 0 else depth


@inlined_njit
def on_start_tag(
    tag: int,
    stack: npt.NDArray[np.int64],
    depth: int,
    open_count: npt.NDArray[np.int32],
    elements: npt.NDArray[np.int32],
    offset: int,
    flags: npt.NDArray[np.uint32],
    state: npt.NDArray[np.int64],
) -> tuple[int, int]:
    """Close what an HTML start tag at `offset` closes; returns the new depth and what becomes of the tag."""
    bits = flags[tag]
    if tag == _FORM and open_count[_FORM] > 0 and open_count[_TEMPLATE] == 0:
        return depth, IGNORE
    if bits & HEAD_CONTENT == 0 and open_count[_TEMPLATE] == 0:
        depth = close_head(stack, depth, open_count, elements, offset)
        if tag != _BODY:
            state[BODY_SEEN] = 1
    if bits & CLOSES_PARAGRAPH and tag != _LI and tag != _DD and tag != _DT:
        depth = _close_paragraph(stack, depth, open_count, elements, offset, flags, state)
    if bits & VOID:
        if (tag in (_INPUT, _KEYGEN)) and open_count[_SELECT] > 0:
            depth = _close_in_scope(_SELECT, stack, depth, open_count, elements, offset, flags, state)
        if tag != _COL:
            return depth, RECORD
    if bits & TABLE_PART:
        if open_count[_TABLE] > 0:
            while not _is_table_context(tag, stack[depth - 1, STACK_TAG]):
                depth = close_to(stack, depth, depth - 1, open_count, elements, offset)
        elif open_count[_TEMPLATE] == 0:
            return depth, IGNORE
        return depth, RECORD if tag == _COL else PUSH
    if bits & HEADING:
        if depth > 0 and flags[stack[depth - 1, STACK_TAG]] & HEADING:
            depth = close_to(stack, depth, depth - 1, open_count, elements, offset)
    elif tag in (_LI, _DD, _DT):
        if open_count[_LI] + open_count[_DD] + open_count[_DT] > 0:
            depth = _close_item(tag, stack, depth, open_count, elements, offset, flags, state)
        depth = _close_paragraph(stack, depth, open_count, elements, offset, flags, state)
    elif tag in (_A, _NOBR):
        if open_count[tag] > 0:
            index = find_in_scope(stack, depth, tag, -1, -1, flags, state)
            if index >= 0:
                depth = close_formatting(stack, depth, index, open_count, elements, offset, flags, state)
    elif tag in (_BUTTON, _SELECT, _TEXTAREA):
        closed = _BUTTON if tag == _BUTTON else _SELECT
        if open_count[closed] > 0:
            depth = _close_in_scope(closed, stack, depth, open_count, elements, offset, flags, state)
    elif tag in (_OPTION, _OPTGROUP):
        if depth > 0 and stack[depth - 1, STACK_TAG] == _OPTION:
            depth = close_to(stack, depth, depth - 1, open_count, elements, offset)
        if tag == _OPTGROUP and depth > 0 and stack[depth - 1, STACK_TAG] == _OPTGROUP:
            depth = close_to(stack, depth, depth - 1, open_count, elements, offset)
    elif tag in (_RB, _RT, _RP, _RTC):
        if open_count[_RUBY] > 0 and find_in_scope(stack, depth, _RUBY, -1, -1, flags, state) >= 0:
            kept = _RTC if tag in (_RT, _RP) else -1
            while stack[depth - 1, STACK_TAG] != kept and flags[stack[depth - 1, STACK_TAG]] & IMPLIED_END:
                depth = close_to(stack, depth, depth - 1, open_count, elements, offset)
    elif tag == _FORM:
        # A form between a table's rows holds nothing.
        if open_count[_TEMPLATE] == 0 and depth > 0:
            here = stack[depth - 1, STACK_TAG]
            if here == _TABLE or (flags[here] & TABLE_PART and not _is_cell(here)):
                return depth, RECORD
    elif tag in (_HTML, _HEAD, _BODY):
        if tag == _HTML:
            first = state[HTML_SEEN] == 0 and depth == 0
            state[HTML_SEEN] = 1
        elif tag == _HEAD:
            first = state[HEAD_SEEN] == 0 and state[BODY_SEEN] == 0
            state[HEAD_SEEN] = 1
        else:
            first = state[BODY_SEEN] == 0
            state[BODY_SEEN] = 1
        return depth, PUSH if first and open_count[_TEMPLATE] == 0 else RECORD
    return depth, PUSH


@lean_njit
def _find_closed(
    tag: int,
    code: np.int64,
    stack: npt.NDArray[np.int64],
    depth: int,
    open_count: npt.NDArray[np.int32],
    flags: npt.NDArray[np.uint32],
    state: npt.NDArray[np.int64],
) -> int:
    """The entry that an HTML end tag closes, -1 if none."""
    bits = flags[tag]
    if bits & HEADING:
        index = depth - 1
        while index >= 0:
            state[STEPS] += 1
            here = flags[stack[index, STACK_TAG]]
            if here & HEADING:
                return index
            if here & SCOPE:
                return -1
            index -= 1
        return -1
    # What no rule below finds can only be an element that is open; the names without a number share one.
    if open_count[tag] == 0:
        return -1
    if tag == _LI:
        return find_in_scope(stack, depth, tag, _OL, _UL, flags, state)
    if tag == _P:
        return find_in_scope(stack, depth, tag, _BUTTON, -1, flags, state)
    table_scope = bits & TABLE_PART or tag in (_TABLE, _TEMPLATE)
    index = depth - 1
    while index >= 0:
        state[STEPS] += 1
        here = stack[index, STACK_TAG]
        if here == tag and stack[index, STACK_CODE] == code:
            return index
        if table_scope:
            if tag != _TEMPLATE and (here in (_TABLE, _TEMPLATE)):
                return -1
        elif bits & (SPECIAL | FORMATTING):
            if flags[here] & SCOPE:
                return -1
        elif flags[here] & SPECIAL:
            return -1
        index -= 1
    return -1


@inlined_njit
def on_end_tag(
    tag: int,
    code: np.int64,
    stack: npt.NDArray[np.int64],
    depth: int,
    open_count: npt.NDArray[np.int32],
    elements: npt.NDArray[np.int32],
    offset: int,
    end: int,
    flags: npt.NDArray[np.uint32],
    state: npt.NDArray[np.int64],
) -> int:
    """Close what an HTML end tag at offset to `end` closes; returns the new depth.

    `code` is the name's, which tells the elements without a number apart.
    """
    # Text behind </body> and </html> still belongs to body.
    if tag in (_HTML, _BODY) or flags[tag] & VOID:
        return depth
    index = _find_closed(tag, code, stack, depth, open_count, flags, state)
    if index < 0:
        return depth
    if flags[tag] & FORMATTING:
        return close_formatting(stack, depth, index, open_count, elements, end, flags, state)
    if tag == _FORM and open_count[_TEMPLATE] == 0:
        while depth - 1 > index and flags[stack[depth - 1, STACK_TAG]] & IMPLIED_END:
            depth = close_to(stack, depth, depth - 1, open_count, elements, offset)
        return remove_entry(stack, depth, index, open_count, elements, end, state)
    depth = close_to(stack, depth, index + 1, open_count, elements, offset)
    return close_to(stack, depth, index, open_count, elements, end)
