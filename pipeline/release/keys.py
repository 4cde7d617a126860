"""Where a row of a release lies: its key, which orders rows and parts them into files, and its split."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import xxhash

from pipeline.errors import KamisukiError
from pipeline.exchange import key_partition

TRAIN, VALIDATION = "train", "validation"
SPLITS = (TRAIN, VALIDATION)
_FILE = re.compile(r"data/([^/]+)/([a-z]+)-(\d{5})-of-(\d{5})\.parquet")


def row_keys(ids: pa.Array, seed: int) -> np.ndarray:
    """The keys of rows, uint64 [n]: the xxHash64 of their ids with the release's seed. Raises KamisukiError on null."""
    return _hashes(ids, seed)


def row_key(identity: str | None, seed: int) -> int:
    """The key of one row, by its id. Raises KamisukiError on null."""
    return int(xxhash.xxh64_intdigest(_bytes(identity), seed))


def _bytes(name: str | None) -> bytes:
    if name is None:
        raise KamisukiError("a row of the table has no id: make the table anew")
    return name.encode()


def _hashes(names: pa.Array, seed: int) -> np.ndarray:
    if names.null_count:
        _bytes(None)
    digest = xxhash.xxh64_intdigest
    return np.array([digest(name, seed) for name in names.cast(pa.binary()).to_pylist()], np.uint64)


def held_out(names: pa.Array, seed: int, share: float) -> np.ndarray:
    """Which rows belong to validation, bool [n], by the names that decide: the xxHash64 of each, seeded, below `share`.

    Rows of one name are on one side together, in every release with this seed and share.
    """
    limit = int(share * 2**64)
    codes = names.dictionary_encode()
    if names.null_count:
        _bytes(None)
    below = _hashes(codes.dictionary, seed) < limit
    return np.asarray(below[codes.indices.to_numpy(zero_copy_only=False)]) if len(names) else np.zeros(0, bool)


def file_index(keys: np.ndarray, files: int) -> np.ndarray:
    """Which of a split's files holds each row, by its key: files are equal ranges of the keys."""
    return key_partition(keys, files)


def file_path(cell: str, split: str, index: int, files: int) -> str:
    """The path of a data file within its release."""
    return f"data/{cell}/{split}-{index:05d}-of-{files:05d}.parquet"


def parse_file_path(path: str) -> tuple[str, str, int, int]:
    """Cell, split, index and number of files of a data file's path. Raises KamisukiError for another path."""
    found = _FILE.fullmatch(path)
    if not found:
        raise KamisukiError(f"{path} is not the path of a data file of a release")
    return found[1], found[2], int(found[3]), int(found[4])
