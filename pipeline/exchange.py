"""The file exchange: rows are partitioned by the tasks that make them and read back by partition.

Every global step (bands, members of components, removed documents) uses it. A run file holds blocks;
a block holds, for each partition, its rows as one Arrow IPC stream; a footer holds the places of all
streams. So a writer keeps one block in memory, a reader seeks to its own partition alone, and nothing
is shared between tasks but files.
"""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from types import TracebackType

import numpy as np
import pyarrow as pa

from pipeline.files import atomic_file
from pipeline.storage.places import Place, as_place, bytes_at, open_seekable, read_bytes
from pipeline.storage.reading_ahead import are_remote, read_ahead
from pipeline.storage.remote_file import BLOCK_BYTES as TAIL_BYTES

MAGIC = b"KAMIRUN1"
BLOCK_BYTES = 64_000_000


# Run files by their paths, or the path of a file that lists them: with 100,000 shards the paths are 8 MB, too much to
# travel with each task.
Runs = str | list[str]
RUN_LIST = "runs.json.gz"


def list_runs(folder: Place, paths: list[str]) -> None:
    """Write down which run files of a folder the tasks of a step read, in this order."""
    names = [PurePosixPath(path).name for path in paths]
    with atomic_file(folder / RUN_LIST) as file:
        file.write(gzip.compress(json.dumps(names, ensure_ascii=False).encode(), 1, mtime=0))


def run_list(folder: Place) -> str:
    """What tasks are given in the place of the run files that `list_runs` wrote down in a folder."""
    return str(folder / RUN_LIST)


def run_places(runs: Runs) -> list[Place]:
    """Where run files lie."""
    if not isinstance(runs, str):
        return [as_place(path) for path in runs]
    listed = as_place(runs)
    return [listed.parent / name for name in json.loads(gzip.decompress(read_bytes(listed)))]


class RunWriter:
    """Writes one run file. Rows of a partition keep the order in which they were written."""

    def __init__(self, path: Place, schema: pa.Schema, partitions: int, compress: bool = False) -> None:
        self.schema = schema
        self.partitions = partitions
        self._options = pa.ipc.IpcWriteOptions(compression="zstd" if compress else None)
        self._context = atomic_file(path)
        self._pending: list[tuple[pa.RecordBatch, np.ndarray]] = []
        self._pending_bytes = 0
        self._blocks: list[np.ndarray] = []

    def __enter__(self) -> RunWriter:
        self._file = self._context.__enter__()
        return self

    def write(self, batch: pa.RecordBatch, partition: np.ndarray) -> None:
        """Add rows and the partition of each, an integer array of the batch's length."""
        if batch.num_rows:
            self._pending.append((batch, partition))
            self._pending_bytes += batch.nbytes
            if self._pending_bytes >= BLOCK_BYTES:
                self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        # Of one chunk rows are taken several times faster than of many.
        table = pa.Table.from_batches([batch for batch, _ in self._pending], schema=self.schema).combine_chunks()
        partition = np.concatenate([part for _, part in self._pending])
        self._pending, self._pending_bytes = [], 0
        order = np.argsort(partition, kind="stable")
        cuts = np.searchsorted(partition[order], np.arange(self.partitions + 1))
        ordered = table.take(pa.array(order))
        del table
        places = np.zeros(self.partitions + 1, np.int64)
        for index in range(self.partitions):
            places[index] = self._file.tell()
            rows = ordered.slice(cuts[index], cuts[index + 1] - cuts[index])
            if rows.num_rows:
                with pa.ipc.new_stream(self._file, self.schema, options=self._options) as stream:
                    stream.write_table(rows)
        places[self.partitions] = self._file.tell()
        self._blocks.append(places)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._flush()
                for places in self._blocks:
                    self._file.write(places.tobytes())
                self._file.write(struct.pack("<qq8s", len(self._blocks), self.partitions, MAGIC))
        except BaseException as failure:
            self._context.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._context.__exit__(kind, error, trace)


def read_partition(paths: list[Place], partition: int, schema: pa.Schema) -> pa.Table:
    """All rows of one partition, run file by run file in the order of `paths`."""
    tables = list(partition_tables(paths, partition))
    return pa.concat_tables(tables) if tables else schema.empty_table()


def partition_tables(paths: list[Place], partition: int) -> Iterator[pa.Table]:
    """The same rows piece by piece: of a run file a block at a time; of object storage several small ones are ahead."""
    remote = are_remote(paths)
    found = read_ahead(paths, partial(_streams_of, partition=partition), remote)
    streams = (stream for streams in found for stream in streams)
    return read_ahead(streams, _Stream.read, remote, _Stream.size)


@dataclass(frozen=True, slots=True)
class _Stream:
    """Rows of one partition in a block of a run file: bytes `start` to `stop`, and what they hold once known."""

    path: Place
    start: int
    stop: int
    content: bytes | None

    def size(self) -> int:
        return self.stop - self.start

    def read(self) -> pa.Table:
        content = self.content
        if content is None:
            content = bytes_at(self.path, self.start, self.stop)
        with pa.ipc.open_stream(content) as stream:
            return stream.read_all()


def _streams_of(path: Place, partition: int) -> list[_Stream]:
    tail = struct.calcsize("<qq8s")
    found = []
    with open_seekable(path) as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - tail))
        footer = file.read(tail)
        if len(footer) < tail or footer[-8:] != MAGIC:
            raise ValueError(f"{path}: not a run file")
        blocks, partitions, _ = struct.unpack("<qq8s", footer)
        width = (partitions + 1) * 8
        for block in range(blocks):
            file.seek(end - tail - (blocks - block) * width + partition * 8)
            start, stop = struct.unpack("<qq", file.read(16))
            if stop > start:
                file.seek(start)
                # The end of a remote file has come already.
                found.append(_Stream(path, start, stop, file.read(stop - start) if end - start <= TAIL_BYTES else None))
    return found


def key_partition(keys: np.ndarray, partitions: int) -> np.ndarray:
    """The range partition of 64-bit keys: equal shares of the key space, so that each partition is a sorted range."""
    return ((keys >> np.uint64(32)) * np.uint64(partitions) >> np.uint64(32)).astype(np.int64)


def partitions_for(size: int, per_partition: int, most: int = 4096) -> int:
    """How many partitions hold `size` bytes (or rows) at about `per_partition` each; from the data alone."""
    return max(1, min(most, -(-size // per_partition)))
