"""Sources: which named collection a document belongs to, by the input that it came from."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

import numpy as np
import pyarrow as pa


def source_ranks(files: pa.Array, sources: Mapping[str, str]) -> np.ndarray:
    """For each `warc_file` the place (int64) of the first source whose glob it matches; len(sources) for none."""
    names = files.dictionary_encode() if not pa.types.is_dictionary(files.type) else files
    patterns = list(sources.values())
    of_file = [
        next((rank for rank, pattern in enumerate(patterns) if fnmatch.fnmatchcase(name or "", pattern)), len(patterns))
        for name in names.dictionary.to_pylist()
    ]
    codes = names.indices.fill_null(len(of_file)).to_numpy(zero_copy_only=False)
    return np.array([*of_file, len(patterns)], np.int64)[codes]


def source_names(files: pa.Array, sources: Mapping[str, str]) -> pa.Array:
    """The name of each document's source; null where none is named for it."""
    return pa.array([*sources, None], pa.string()).take(pa.array(source_ranks(files, sources)))
