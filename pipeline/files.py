"""Whole or absent: files are written beside their final name, flushed, then renamed; remote ones are put as one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.storage.places import Place, RemotePath, file_sizes, local_copy, open_seekable, put, read_bytes
from pipeline.storage.scratch import scratch_file

TEMPORARY_SUFFIX = ".tmp"
# In a folder that one run at a time works in.
LOCK = ".lock"
ROW_GROUP_BYTES = 16_000_000


@contextlib.contextmanager
def atomic_file(path: Place) -> Iterator[BinaryIO]:
    """A binary file that appears under its name only when the block ends without an error.

    The temporary file lies in the same folder, so that the rename cannot cross file systems; that of a remote place
    lies on this machine and is put as one object. Its own name is the file object's `name`.
    """
    if isinstance(path, RemotePath):
        with scratch_file() as scratch:
            with open(scratch, "xb") as file:
                yield file
            put(scratch, path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}{TEMPORARY_SUFFIX}")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # The rename itself must reach the disk before the ledger entry that speaks of the file does.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Place, value: Any) -> None:
    """Write a value as readable JSON, whole or not at all."""
    with atomic_file(path) as file:
        file.write(json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n")


def read_json(path: Place) -> Any:
    """Read a JSON file. Raises FileNotFoundError or ValueError."""
    return json.loads(read_bytes(path))


def canonical_digest(value: Any, length: int = 12) -> str:
    """The first `length` hexadecimal digits of the SHA-256 of a JSON value in canonical form."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_temporaries(folder: Place) -> int:
    """Delete what killed writers left in a folder. Only for a run that holds the folder's lock."""
    if isinstance(folder, RemotePath):
        return 0
    leftovers = list(folder.glob(f".*{TEMPORARY_SUFFIX}"))
    for leftover in leftovers:
        leftover.unlink(missing_ok=True)
    return len(leftovers)


def _row_bytes(batch: pa.RecordBatch) -> np.ndarray:
    """About how many bytes each row holds, from its values alone."""
    sizes = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        if pa.types.is_string(column.type):
            sizes += pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        elif pa.types.is_list(column.type):
            # An entry has some numbers and a short text.
            sizes += 64 * pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        elif pa.types.is_fixed_size_list(column.type):
            sizes += column.type.list_size * column.type.value_type.bit_width // 8
        else:
            sizes += max(1, column.type.bit_width // 8)
    return sizes


@dataclass(frozen=True)
class WrittenFile:
    """What stands in the ledger about a file: its folder in OUT, name, rows, bytes and SHA-256."""

    folder: str
    file: str
    rows: int
    bytes: int
    digest: str

    def as_record(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"folder": self.folder, "file": self.file, "rows": self.rows, "bytes": self.bytes, "digest": self.digest}


class TableWriter:
    """A Parquet file under construction: row groups are cut by bytes, so that memory stays bounded.

    Cuts depend only on the rows and their order, never on how they were handed in, so that the
    same rows give the same bytes.
    """

    def __init__(self, path: Place, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema
        self.rows = self.bytes = 0
        self.digest = ""
        self._stack = contextlib.ExitStack()
        self._file = self._stack.enter_context(atomic_file(path))
        self._parquet = pq.ParquetWriter(
            self._file, schema, compression="zstd", compression_level=3, write_page_index=True, store_schema=True
        )
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0

    def __enter__(self) -> TableWriter:
        return self

    def write_rows(self, rows: list[dict[str, Any]]) -> None:
        """Add rows given as dictionaries."""
        if rows:
            self.write(pa.RecordBatch.from_pylist(rows, schema=self.schema))

    def write(self, batch: pa.RecordBatch) -> None:
        """Add a record batch of the writer's schema."""
        ends = self._pending_bytes + np.cumsum(_row_bytes(batch))
        start = 0
        while start < batch.num_rows:
            stop = start + int(np.searchsorted(ends[start:], ROW_GROUP_BYTES)) + 1
            piece = batch.slice(start, stop - start)
            self._pending.append(piece)
            start += piece.num_rows
            self._pending_bytes = int(ends[start - 1])
            if self._pending_bytes >= ROW_GROUP_BYTES:
                ends -= self._pending_bytes
                self._flush()

    def _flush(self) -> None:
        if self._pending:
            table = pa.Table.from_batches(self._pending, schema=self.schema).combine_chunks()
            self._parquet.write_table(table, row_group_size=max(1, table.num_rows))
            self.rows += table.num_rows
        self._pending, self._pending_bytes = [], 0

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool | None:
        if error is None:
            try:
                self._flush()
                self._parquet.close()
                self._file.flush()
                self.bytes, self.digest = self._file.tell(), file_digest(Path(self._file.name))
            except BaseException as failure:
                self._stack.__exit__(type(failure), failure, failure.__traceback__)
                raise
        else:
            # The half-written footer goes to a file that is about to be removed.
            with contextlib.suppress(OSError, pa.ArrowException, ValueError):
                self._parquet.close()
        return self._stack.__exit__(kind, error, trace)

    def written(self) -> WrittenFile:
        """The finished file's ledger facts; call it after the `with` block."""
        return WrittenFile(self.path.parent.name, self.path.name, self.rows, self.bytes, self.digest)


def read_batches(path: Place, columns: list[str] | None = None, rows: int = 2048) -> Iterator[pa.RecordBatch]:
    """The record batches of a Parquet file, at most `rows` rows and one row group each."""
    with local_copy(path) as local, pq.ParquetFile(local, memory_map=True) as file:
        for group in range(file.num_row_groups):
            yield from file.iter_batches(batch_size=rows, row_groups=[group], columns=columns)


def parquet_files(folder: Place) -> list[str]:
    """The names of a folder's Parquet files."""
    return sorted(name for name in file_sizes(folder) if name.endswith(".parquet"))


def read_table(path: Place, columns: list[str] | None = None) -> pa.Table:
    """A Parquet file as a whole, or some of its columns."""
    with open_parquet(path) as file:
        return file.read(columns=columns)


@contextlib.contextmanager
def open_parquet(path: Place) -> Iterator[pq.ParquetFile]:
    """A Parquet file; of a remote one only the columns and row groups that are read travel."""
    if isinstance(path, Path):
        with pq.ParquetFile(path, memory_map=True) as file:
            yield file
        return
    with open_seekable(path) as source, pq.ParquetFile(source, pre_buffer=True) as file:
        yield file


def parquet_rows(
    folder: Place, columns: list[str] | None = None, condition: pc.Expression | None = None
) -> Iterator[dict[str, Any]]:
    """Rows of all Parquet files of a folder, file by file; of a remote one only the columns asked for travel."""
    for name in parquet_files(folder):
        with open_parquet(folder / name) as file:
            for batch in file.iter_batches(columns=columns):
                yield from (
                    pa.Table.from_batches([batch]).filter(condition).to_pylist()
                    if condition is not None
                    else (batch.to_pylist())
                )


def aligned_batches(
    sources: Sequence[tuple[Place, list[str] | None]], rows: int = 2048
) -> Iterator[list[pa.RecordBatch]]:
    """Batches of the same rows from several Parquet files of one shard, each with its columns.

    The first file leads: a batch has at most `rows` rows and one row group of it, so that the widest table goes
    first. Raises ValueError when the files do not have equally many rows.
    """
    (path, columns), *others = sources
    followers = [_Follower(read_batches(other, names, rows), other) for other, names in others]
    for batch in read_batches(path, columns, rows):
        yield [batch, *(follower.take(batch.num_rows) for follower in followers)]
    for follower in followers:
        follower.finish()


class _Follower:
    """Hands out the rows of a file in the portions that another file asks for."""

    def __init__(self, batches: Iterator[pa.RecordBatch], path: Place) -> None:
        self._batches = batches
        self._path = path
        self._pending: list[pa.RecordBatch] = []
        self._rows = 0

    def take(self, count: int) -> pa.RecordBatch:
        while self._rows < count:
            batch = next(self._batches, None)
            if batch is None:
                raise ValueError(f"tables of one shard differ in rows: {self._path.parent.name} has fewer")
            self._pending.append(batch)
            self._rows += batch.num_rows
        table = pa.Table.from_batches(self._pending)
        self._pending = table.slice(count).to_batches()
        self._rows -= count
        return table.slice(0, count).combine_chunks().to_batches()[0]

    def finish(self) -> None:
        if self._rows or any(batch.num_rows for batch in self._batches):
            raise ValueError(f"tables of one shard differ in rows: {self._path.parent.name} has more")
