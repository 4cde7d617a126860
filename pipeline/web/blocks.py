"""Blocks: 64 bytes looked at together, wherever they stand; one comparison of a vector register or a few."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from pipeline.web.page.lean import lean_njit

BLOCK = 64
_BYTES = ir.VectorType(ir.IntType(8), BLOCK)


def _loaded(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    start = builder.gep(data, [arguments[1]])
    return builder.load(builder.bitcast(start, _BYTES.as_pointer()), align=1)


def _as_bits(builder: Any, comparison: Any) -> Any:
    bits = builder.bitcast(comparison, ir.IntType(BLOCK))
    return builder.bitreverse(bits) if sys.byteorder == "big" else bits


@intrinsic
def _equality(typing_context: Any, source: Any, position: Any, letter: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        block = _loaded(context, builder, signature, arguments)
        one = builder.insert_element(ir.Constant(_BYTES, ir.Undefined), arguments[2], ir.Constant(ir.IntType(32), 0))
        indices = ir.Constant(ir.VectorType(ir.IntType(32), BLOCK), [0] * BLOCK)
        letters = builder.shuffle_vector(one, ir.Constant(_BYTES, ir.Undefined), indices)
        return _as_bits(builder, builder.icmp_unsigned("==", block, letters))

    return types.uint64(source, types.int64, types.uint8), generate


@intrinsic
def _lowest(typing_context: Any, bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@intrinsic
def _high_bits(typing_context: Any, source: Any, position: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        block = _loaded(context, builder, signature, arguments)
        return _as_bits(builder, builder.icmp_signed("<", block, ir.Constant(_BYTES, [0] * BLOCK)))

    return types.uint64(source, types.int64), generate


# Of source[position : position + BLOCK], the lowest bit for the first byte; nothing is checked. Those that equal a
# letter, and those outside ASCII.
equal_bytes = cast(Callable[[npt.NDArray[np.uint8], int, int], np.uint64], _equality)
high_bytes = cast(Callable[[npt.NDArray[np.uint8], int], np.uint64], _high_bits)
# Index of the lowest bit that is set; there must be one.
lowest_bit = cast(Callable[[np.uint64], int], _lowest)


@lean_njit
def find_letter(source: npt.NDArray[np.uint8], position: int, end: int, letter: int) -> int:
    """Where a byte stands next from `position`; `end` if not before it. Looks at no byte of `end` or behind."""
    while position + BLOCK <= end:
        found = equal_bytes(source, position, letter)
        if found:
            return position + lowest_bit(found)
        position += BLOCK
    while position < end and source[position] != letter:
        position += 1
    return position


@lean_njit
def find_high(source: npt.NDArray[np.uint8], position: int, end: int) -> int:
    """Where a byte outside ASCII stands next from `position`; else as `find_letter`."""
    while position + BLOCK <= end:
        found = high_bytes(source, position)
        if found:
            return position + lowest_bit(found)
        position += BLOCK
    while position < end and source[position] < 0x80:
        position += 1
    return position
