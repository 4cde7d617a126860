"""Words: eight bytes of a page looked at together, wherever they stand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from pipeline.web.page.lean import inlined_njit, lean_njit

# Bytes that a search may look at behind the position that it is given.
WORD = 8
_HIGH_BITS = np.uint64(0x8080808080808080)
_ONES = np.uint64(0x0101010101010101)
_SPACES = np.uint64(0x2020202020202020)


@intrinsic
def _word_loader(typing_context: Any, source: Any, position: Any) -> Any:
    """source[position : position + 8] as a number whose lowest byte is the first; nothing is checked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        start = builder.gep(data, [arguments[1]])
        word = builder.load(builder.bitcast(start, ir.IntType(64).as_pointer()), align=1)
        return builder.bswap(word) if sys.byteorder == "big" else word

    return types.uint64(source, types.int64), generate


@intrinsic
def _word_storer(typing_context: Any, out: Any, position: Any, word: Any) -> Any:
    """out[position : position + 8] becomes the bytes of a number, the lowest first; nothing is checked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        start = builder.gep(data, [arguments[1]])
        word = builder.bswap(arguments[2]) if sys.byteorder == "big" else arguments[2]
        builder.store(word, builder.bitcast(start, ir.IntType(64).as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(out, types.int64, types.uint64), generate


@intrinsic
def _mark_finder(typing_context: Any, marks: Any) -> Any:
    """Index of the first byte, from the lowest, that has a bit set; `marks` is not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zeros = builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))
        return builder.lshr(zeros, ir.Constant(ir.IntType(64), 3))

    return types.int64(types.uint64), generate


# As the compiled functions call them: without the typing context.
load_word = cast(Callable[[npt.NDArray[np.uint8], int], np.uint64], _word_loader)
store_word = cast(Callable[[npt.NDArray[np.uint8], int, np.uint64], None], _word_storer)
first_marked = cast(Callable[[np.uint64], int], _mark_finder)


@inlined_njit
def marks_of(word: np.uint64, letter: int) -> np.uint64:
    """The high bit of each byte of a word that is a letter; those above the lowest may be set in others too."""
    differs = word ^ np.uint64(letter) * _ONES
    return (differs - _ONES) & ~differs & _HIGH_BITS


@inlined_njit
def exact_marks_of(word: np.uint64, letter: int) -> np.uint64:
    """The high bit of each byte of a word that is a letter, and no other bit."""
    differs = word ^ np.uint64(letter) * _ONES
    return ~((differs & ~_HIGH_BITS) + ~_HIGH_BITS | differs | ~_HIGH_BITS)


@lean_njit
def count_byte(source: npt.NDArray[np.uint8], mark: int) -> int:
    """How often a byte occurs; compiled, as bytes.count took a seventh of a page's time."""
    number = 0
    for letter in source:
        number += letter == mark
    return number


@lean_njit
def find_byte(source: npt.NDArray[np.uint8], size: int, position: int, mark: int) -> int:
    """Where `mark`, which is not NUL, stands next from `position`; `size` if nowhere.

    `source` holds WORD more bytes than `size`, and position is `size` at most.
    """
    pattern = np.uint64(mark) * _ONES
    while position < size:
        word = load_word(source, position) ^ pattern
        marks = (word - _ONES) & ~word & _HIGH_BITS
        if marks:
            return min(position + first_marked(marks), size)
        position += WORD
    return size


@lean_njit
def find_either(source: npt.NDArray[np.uint8], size: int, position: int, first: int, second: int) -> int:
    """Where one of two bytes, neither NUL, stands next; else as `find_byte`."""
    first_pattern = np.uint64(first) * _ONES
    second_pattern = np.uint64(second) * _ONES
    while position < size:
        word = load_word(source, position)
        one, other = word ^ first_pattern, word ^ second_pattern
        marks = (((one - _ONES) & ~one) | ((other - _ONES) & ~other)) & _HIGH_BITS
        if marks:
            return min(position + first_marked(marks), size)
        position += WORD
    return size


@lean_njit
def skip_spaces(source: npt.NDArray[np.uint8], size: int, position: int) -> int:
    """Behind the spaces (U+0020 alone) that stand at `position`, eight at a time: some may be left."""
    while position < size and load_word(source, position) == _SPACES:
        position += WORD
    return position
