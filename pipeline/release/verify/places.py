"""Whether each row lies where its key says: in the split of its host, in the file of its key, after the row before."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pyarrow as pa

from pipeline.errors import KamisukiError
from pipeline.release.keys import SPLITS, VALIDATION, file_index, parse_file_path, row_keys
from pipeline.release.manifest import File, Manifest
from pipeline.release.rows import splits
from pipeline.release.verify.findings import Findings
from pipeline.wording import counted


class PlaceChecks:
    """The checks of places, file after file: `begin` one, then give its rows batch by batch in their order."""

    def __init__(self, manifest: Manifest, found: Findings) -> None:
        self.manifest = manifest
        self.check = found["places"]
        self._files: dict[tuple[str, str], int] = {}
        self._index = self._count = 0
        self._last = (-1, "")

    def begin(self, file: File) -> bool:
        """Begin a file: whether its path is one that a place can be told by."""
        self._last = (-1, "")
        try:
            cell, split, self._index, self._count = parse_file_path(file.path)
        except KamisukiError as error:
            self.check.fail(str(error))
            return False
        if (cell, split) != (file.config, file.split):
            self.check.fail(f"{file.path}: the manifest says that it is of {file.config}, {file.split}")
        elif self._files.setdefault((cell, split), self._count) != self._count:
            self.check.fail(f"{file.path}: other files of its split are of {self._files[cell, split]}")
        elif self._index < self._count:
            return True
        else:
            self.check.fail(f"{file.path}: a split of {counted(self._count, 'file')} has no such file")
        return False

    def rows(self, file: File, start: int, batch: pa.RecordBatch) -> None:
        """Check a batch, none of whose ids is null, and whose first row is row `start` of its file."""
        if not batch.num_rows:
            return
        names = batch.column("id").to_pylist()
        self.check.looked_at += len(names)
        keys = row_keys(batch.column("id"), self.manifest.seed)
        held_out = splits(batch, self.manifest.seed, self.manifest.validation)
        belongs = file_index(keys, self._count)

        def fail(mask: np.ndarray, what: Callable[[int], str]) -> None:
            for row in np.flatnonzero(mask).tolist():
                self.check.fail(f"{file.path}: row {start + row} ({names[row]}): {what(row)}")

        fail(held_out != (file.split == VALIDATION), lambda row: f"it belongs to {SPLITS[int(held_out[row])]}")
        fail(belongs != self._index, lambda row: f"its key belongs to file {belongs[row]} of {self._count}")
        before = [self._last, *zip(keys.tolist(), names, strict=True)]
        later = np.array([one > other for one, other in pairwise(before)])
        fail(later, lambda row: "its key comes before that of the row before it")
        self._last = before[-1]
