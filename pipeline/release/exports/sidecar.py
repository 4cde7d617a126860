"""The ids beside a file that holds none: which document stands where, so that one can be taken out again."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SUFFIX = ".ids.parquet"
# `start` and `length` count bytes of a text file and tokens of a token shard.
SCHEMA = pa.schema([("id", pa.string()), ("start", pa.int64()), ("length", pa.int64())])


class Places:
    """Where the documents of a file lie, in its order: id, start, length."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.lengths: list[int] = []

    def add(self, identity: str, length: int) -> None:
        """The next document."""
        self.ids.append(identity)
        self.lengths.append(length)

    def write(self, path: Path) -> None:
        """Write the file."""
        starts = [0]
        for length in self.lengths:
            starts.append(starts[-1] + length)
        table = pa.table([self.ids, starts[:-1], self.lengths], schema=SCHEMA)
        pq.write_table(table, path, compression="zstd")


def read_places(path: Path) -> list[tuple[str, int, int]]:
    """Id, start and length of each document of a file, in its order."""
    table = pq.read_table(path)
    return list(zip(*(table[name].to_pylist() for name in ("id", "start", "length")), strict=True))
