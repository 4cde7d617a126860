"""Hidden: whether an element's own attributes say that it is not shown."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.web.page.elements import name_code
from pipeline.web.page.lean import inlined_njit, lean_njit
from pipeline.web.page.tokenizer import (
    CODE,
    NAME_END,
    NAME_START,
    VALUE_END,
    VALUE_START,
    is_space,
    is_word,
    short_code,
)

_HIDDEN, _ARIA_HIDDEN, _STYLE = (short_code(name_code(name)) for name in ("hidden", "aria-hidden", "style"))


@lean_njit
def is_value(source: npt.NDArray[np.uint8], start: int, end: int, word: bytes) -> bool:
    """Whether source[start:end] is a word in lower case, in any case."""
    return end - start == len(word) and is_word(source, start, word)


@lean_njit
def _displays_none(source: npt.NDArray[np.uint8], start: int, end: int) -> bool:
    """Whether the last declaration of display in a style is none."""
    hides = False
    position = start
    while position < end:
        while position < end and (is_space(source[position]) or source[position] == 0x3B):
            position += 1
        if end - position >= 12 and is_word(source, position, b"display"):
            position += 7
            while position < end and is_space(source[position]):
                position += 1
            if position < end and source[position] == 0x3A:
                position += 1
                while position < end and is_space(source[position]):
                    position += 1
                behind = position + 4
                hides = (
                    behind <= end
                    and is_word(source, position, b"none")
                    and (behind == end or is_space(source[behind]) or source[behind] == 0x3B or source[behind] == 0x21)
                )
        while position < end and source[position] != 0x3B:
            position += 1
    return hides


@inlined_njit
def hides_itself(source: npt.NDArray[np.uint8], attributes: npt.NDArray[np.int32], first: int, last: int) -> bool:
    """Whether attributes first to last - 1 hide their element: hidden, aria-hidden=true or style display:none.

    hidden=until-found does not: that text is there to be found and read.
    """
    for index in range(first, last):
        code = attributes[index, CODE]
        if code != _HIDDEN and code != _ARIA_HIDDEN and code != _STYLE:
            continue
        name_start, name_end = attributes[index, NAME_START], attributes[index, NAME_END]
        start, end = attributes[index, VALUE_START], attributes[index, VALUE_END]
        if code == _HIDDEN and is_value(source, name_start, name_end, b"hidden"):
            if not is_value(source, start, end, b"until-found"):
                return True
        elif code == _ARIA_HIDDEN and is_value(source, name_start, name_end, b"aria-hidden"):
            if is_value(source, start, end, b"true"):
                return True
        elif is_value(source, name_start, name_end, b"style") and _displays_none(source, start, end):
            return True
    return False
