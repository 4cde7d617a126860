"""Stack: the open elements of a page that is being read, and the moves on them that HTML's rules are made of.

The stack is an int64 array of MAX_DEPTH rows; `open_count` says how many entries each tag has on it, so that most
searches end before they begin. `state` counts the steps of all searches: work that does not depend on a machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.web.page.elements import SCOPE, SPECIAL
from pipeline.web.page.lean import inlined_njit, lean_njit

# As deep as Chromium goes (kMaximumHTMLParserDOMTreeDepth); no search costs more steps.
MAX_DEPTH = 512
STACK_ELEMENT, STACK_TAG, STACK_CODE, STACK_FLAGS = range(4)
STACK_COLUMNS = 4
# What has been met so far, and the steps.
STEPS, HTML_SEEN, HEAD_SEEN, BODY_SEEN = range(4)
STATE_SIZE = 4
# Columns of an element.
TAG, PARENT, START, END, CONTENT, FIRST_ATTRIBUTE, LAST_ATTRIBUTE, DEPTH, FLAGS = range(9)
ELEMENT_COLUMNS = 9
# Bits of an element's flags; it is hidden by its own attributes or name, or by an ancestor's.
HIDDEN, IN_TEMPLATE, FOREIGN, INTEGRATION_POINT, HIDES_ITSELF = (1 << bit for bit in range(5))


@inlined_njit
def close_to(
    stack: npt.NDArray[np.int64],
    depth: int,
    target: int,
    open_count: npt.NDArray[np.int32],
    elements: npt.NDArray[np.int32],
    offset: int,
) -> int:
    """Close the entries from `target` up, all of which end at `offset`; returns the new depth."""
    while depth > target:
        depth -= 1
        elements[stack[depth, STACK_ELEMENT], END] = offset
        open_count[stack[depth, STACK_TAG]] -= 1
    return depth


@lean_njit
def find_in_scope(
    stack: npt.NDArray[np.int64],
    depth: int,
    tag: int,
    another_end: int,
    third_end: int,
    flags: npt.NDArray[np.uint32],
    state: npt.NDArray[np.int64],
) -> int:
    """The innermost entry of `tag` that stands above any end of scope, of which two more may be named; else -1."""
    index = depth - 1
    while index >= 0:
        state[STEPS] += 1
        here = stack[index, STACK_TAG]
        if here == tag:
            return index
        if flags[here] & SCOPE or here in (another_end, third_end):
            return -1
        index -= 1
    return -1


@lean_njit
def remove_entry(
    stack: npt.NDArray[np.int64],
    depth: int,
    index: int,
    open_count: npt.NDArray[np.int32],
    elements: npt.NDArray[np.int32],
    offset: int,
    state: npt.NDArray[np.int64],
) -> int:
    """Close one entry and leave those above it open; returns the new depth."""
    elements[stack[index, STACK_ELEMENT], END] = offset
    open_count[stack[index, STACK_TAG]] -= 1
    for above in range(index, depth - 1):
        state[STEPS] += 1
        for column in range(STACK_COLUMNS):
            stack[above, column] = stack[above + 1, column]
    return depth - 1


@lean_njit
def _show_again(
    stack: npt.NDArray[np.int64],
    depth: int,
    index: int,
    elements: npt.NDArray[np.int32],
    state: npt.NDArray[np.int64],
) -> None:
    """Take back what the entry at `index` hid above it: a browser moves that block out of a formatting element."""
    hidden = index > 0 and stack[index - 1, STACK_FLAGS] & HIDDEN != 0
    for above in range(index + 1, depth):
        state[STEPS] += 1
        hidden = hidden or stack[above, STACK_FLAGS] & HIDES_ITSELF != 0
        if not hidden:
            stack[above, STACK_FLAGS] &= ~HIDDEN
            elements[stack[above, STACK_ELEMENT], FLAGS] &= ~HIDDEN


@lean_njit
def close_formatting(
    stack: npt.NDArray[np.int64],
    depth: int,
    index: int,
    open_count: npt.NDArray[np.int32],
    elements: npt.NDArray[np.int32],
    offset: int,
    flags: npt.NDArray[np.uint32],
    state: npt.NDArray[np.int64],
) -> int:
    """Close a formatting element: with what is above it, unless that holds a block, which then stays open."""
    for above in range(index + 1, depth):
        state[STEPS] += 1
        if flags[stack[above, STACK_TAG]] & SPECIAL:
            if stack[index, STACK_FLAGS] & HIDES_ITSELF:
                _show_again(stack, depth, index, elements, state)
            return remove_entry(stack, depth, index, open_count, elements, offset, state)
    return close_to(stack, depth, index, open_count, elements, offset)
