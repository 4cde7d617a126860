"""Finding what occurs twice among any number of rows in bounded memory: hashes on disk, sorted part by part."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

# A part holds a 256th of the rows: 64 MB for a billion of them.
_PARTS = 256
_ROW_BITS = 40


class Spool:
    """Hashes (uint64) with the places of their rows, dealt out to files of a folder by their first byte."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._paths = [folder / f"{part:03}" for part in range(_PARTS)]

    def add(self, hashes: np.ndarray, file: int, rows: np.ndarray) -> None:
        """Add the hashes of rows (int64) of a file, by the file's number."""
        places = (np.uint64(file) << np.uint64(_ROW_BITS)) | rows.astype(np.uint64)
        parts = (hashes >> np.uint64(56)).astype(np.int64)
        pairs = np.stack([hashes, places], axis=1)[np.argsort(parts, kind="stable")]
        bounds = np.searchsorted(np.sort(parts), np.arange(_PARTS + 1))
        for part in np.unique(parts).tolist():
            with open(self._paths[part], "ab") as out:
                out.write(pairs[bounds[part] : bounds[part + 1]].tobytes())

    def groups(self) -> Iterator[list[tuple[int, int]]]:
        """The places (file, row) of each hash that was added more than once, in the order of places."""
        for path in self._paths:
            if not path.exists():
                continue
            pairs = np.fromfile(path, np.uint64).reshape(-1, 2)
            pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
            starts = np.flatnonzero(np.r_[True, pairs[1:, 0] != pairs[:-1, 0]])
            ends = np.r_[starts[1:], len(pairs)]
            for start, end in zip(starts[ends - starts > 1].tolist(), ends[ends - starts > 1].tolist(), strict=True):
                places = pairs[start:end, 1].tolist()
                yield [(place >> _ROW_BITS, place & ((1 << _ROW_BITS) - 1)) for place in places]
