"""Arrow strings in, plain arrays of code points out: what every compiled measure of text runs over."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numba import njit

from dedup.shingles import utf8_buffers

# UTF-8 bytes that are decoded and measured together: their code points stay in a core's second-level cache.
BLOCK_BYTES = 1 << 19

# No four bytes decode to more than 21 bits, whatever they are: a table of this size needs no bounds check.
CODE_POINTS = 1 << 21

_REPLACEMENT = 0xFFFD


def code_point_blocks(text: pa.Array) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (codes uint32, starts int64 [rows + 1]) for consecutive rows of a string or large_string array.

    Row i of a block is codes[starts[i]:starts[i + 1]]. A block holds as many rows as fit into `BLOCK_BYTES`, at least
    one, so that memory does not grow with the batch. A null row is empty. Raises TypeError for other arrays.
    """
    data, offsets = utf8_buffers(text)
    first = 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + BLOCK_BYTES, side="right")) - 1
        last = max(last, first + 1)
        yield decode(data, offsets[first : last + 1])
        first = last


def code_points(text: str) -> np.ndarray:
    """Return the code points of one text as uint32; a lone surrogate stands for itself."""
    return np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), dtype=np.uint32)


@njit(cache=True, nogil=True)
def decode(data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (codes uint32, starts int64) of the UTF-8 texts data[offsets[i]:offsets[i + 1]].

    Bytes that are not UTF-8 give some code below `CODE_POINTS`; nothing outside a text is ever read for it.
    """
    codes = np.empty(offsets[-1] - offsets[0], dtype=np.uint32)
    starts = np.empty(len(offsets), dtype=np.int64)
    count = 0
    for row in range(len(offsets) - 1):
        starts[row] = count
        position, stop = offsets[row], offsets[row + 1]
        while position < stop:
            first = np.uint32(data[position])
            if first < 0x80:
                codes[count] = first
                position += 1
            elif 0xE0 <= first < 0xF0 and position + 3 <= stop:
                second, third = np.uint32(data[position + 1]), np.uint32(data[position + 2])
                codes[count] = ((first & 0x0F) << 12) | ((second & 0x3F) << 6) | (third & 0x3F)
                position += 3
            elif first < 0xE0 and position + 2 <= stop:
                codes[count] = ((first & 0x1F) << 6) | (np.uint32(data[position + 1]) & 0x3F)
                position += 2
            elif first >= 0xF0 and position + 4 <= stop:
                second, third = np.uint32(data[position + 1]), np.uint32(data[position + 2])
                fourth = np.uint32(data[position + 3])
                codes[count] = (
                    ((first & 0x07) << 18) | ((second & 0x3F) << 12) | ((third & 0x3F) << 6) | (fourth & 0x3F)
                )
                position += 4
            else:
                codes[count] = _REPLACEMENT
                position = stop
            count += 1
    starts[-1] = count
    return codes[:count], starts
