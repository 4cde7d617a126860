"""Shingle sets of many texts: in memory up to a budget, beyond it in a file that is gone when the store is."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
from numba import njit

from dedup.shingles import shingle_hashes
from dedup.similarity import shingle_set

_BYTES = 8


def shingle_sets(normalised: pa.Array, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (hashes uint64, offsets int64 [len + 1]): `similarity.shingle_set` of each text, one after the other."""
    hashes, offsets = shingle_hashes(normalised, n)
    for start, stop in pairwise(offsets.tolist()):
        # NumPy's sort is a vector sort, several times as fast as a compiled one of ours.
        hashes[start:stop].sort()
    hashes, offsets = _distinct(hashes, offsets)
    short = np.flatnonzero(np.diff(offsets) == 0)
    if not len(short):
        return hashes, offsets
    # Texts that are shorter than a window are sets of one.
    whole = [shingle_set(normalised[row].as_py() or "", n) for row in short.tolist()]
    sizes = np.diff(offsets)
    sizes[short] = [len(each) for each in whole]
    filled = np.insert(hashes, np.repeat(offsets[short], sizes[short]), np.concatenate(whole))
    return filled, np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


class ShingleStore:
    """Sets numbered in the order in which they were added. Use it in a `with` block: its file goes at the end."""

    def __init__(self, folder: Path, memory_bytes: int) -> None:
        """A file is made in `folder` only when the sets outgrow `memory_bytes`."""
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._parts: list[np.ndarray] = []
        self._offsets: list[np.ndarray] = []
        self._total = 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> ShingleStore:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, hashes: np.ndarray, offsets: np.ndarray) -> None:
        """Add sets as `shingle_sets` gives them."""
        self._offsets.append(offsets[:-1] + self._total)
        self._total += len(hashes)
        self._parts.append(hashes)
        if self._file is not None or self._total * _BYTES > self._memory_bytes:
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                # It has no name, so that a killed worker leaves nothing behind.
                self._file = cast(BinaryIO, tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115
            for part in self._parts:
                self._file.write(part.tobytes())
            self._parts = []

    def edges(self) -> np.ndarray:
        """Offsets of all sets, int64 [count + 1], in shingles."""
        return np.concatenate([*self._offsets, np.array([self._total], np.int64)])

    def load(self, starts: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (hashes, offsets) of the sets that begin at `starts` and have `sizes` shingles."""
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        hashes = np.empty(int(offsets[-1]), np.uint64)
        if self._file is None:
            self._parts = [np.concatenate(self._parts)] if len(self._parts) != 1 else self._parts
            _copy(self._parts[0], starts, offsets, hashes)
            return hashes, offsets
        view = hashes.view(np.uint8)
        self._file.flush()
        for start, low, high in zip(starts.tolist(), offsets[:-1].tolist(), offsets[1:].tolist()):
            self._file.seek(start * _BYTES)
            wanted = (high - low) * _BYTES
            if self._file.readinto(view[low * _BYTES : high * _BYTES].data) != wanted:  # type: ignore[attr-defined]
                raise OSError(f"the file of shingle sets in {self._folder} is shorter than what was written to it")
        return hashes, offsets


@njit(cache=True, nogil=True)
def _distinct(hashes: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop repeats within each sorted text, in place."""
    kept = np.zeros(len(offsets), np.int64)
    target = 0
    for row in range(len(offsets) - 1):
        first = target
        for position in range(offsets[row], offsets[row + 1]):
            if target == first or hashes[position] != hashes[target - 1]:
                hashes[target] = hashes[position]
                target += 1
        kept[row + 1] = target
    return hashes[:target], kept


@njit(cache=True, nogil=True)
def _copy(source: np.ndarray, starts: np.ndarray, offsets: np.ndarray, target: np.ndarray) -> None:
    for row in range(len(starts)):
        for index in range(offsets[row + 1] - offsets[row]):
            target[offsets[row] + index] = source[starts[row] + index]
