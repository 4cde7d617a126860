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
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import PurePosixPath
from types import TracebackType
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from pipeline.files import atomic_file
from pipeline.storage.places import OWN_STORE, Place, RemotePath, as_place, open_seekable, read_bytes
from pipeline.storage.remote_file import RemoteFile

MAGIC = b"KAMIRUN1"
BLOCK_BYTES = 64_000_000
# Of run files on an object store, whose small reads mostly wait.
READS_AT_ONCE = 16
READ_AHEAD_BYTES = 64_000_000


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
    """The same rows piece by piece: a block of a run file at a time is in memory.

    Of files elsewhere READS_AT_ONCE are read at once, ahead of who takes the pieces: as many blocks more are in memory,
    or fewer where they hold READ_AHEAD_BYTES together.
    """
    remote = [path for path in paths if isinstance(path, RemotePath)]
    if len(remote) == len(paths):
        yield from _read_ahead(remote, partition)
        return
    for path in paths:
        with open_seekable(path) as file:
            for start, stop in _pieces(file, path, partition):
                file.seek(start)
                yield _read_piece(file.read(stop - start))


def _read_ahead(paths: list[RemotePath], partition: int) -> Iterator[pa.Table]:
    # Small reads of an object store wait far longer than they take: with 100,000 run files one after the other that
    # would be most of a global step's time.
    pool = ThreadPoolExecutor(READS_AT_ONCE, "read-ahead")
    under_way: deque[tuple[int, Future[bytes]]] = deque()
    ahead = 0
    try:
        for file, pieces in _find_ahead(pool, paths, partition):
            for start, stop in pieces:
                while under_way and (len(under_way) >= READS_AT_ONCE or ahead + stop - start > READ_AHEAD_BYTES):
                    size, piece = under_way.popleft()
                    ahead -= size
                    yield _read_piece(piece.result())
                under_way.append((stop - start, pool.submit(file.read_at, start, stop)))
                ahead += stop - start
        while under_way:
            yield _read_piece(under_way.popleft()[1].result())
    finally:
        pool.shutdown(cancel_futures=True)


def _find_ahead(
    pool: ThreadPoolExecutor, paths: list[RemotePath], partition: int
) -> Iterator[tuple[RemoteFile, list[tuple[int, int]]]]:
    """The files in the order of their paths, opened, with the places of a partition's pieces."""

    def find(path: RemotePath) -> tuple[RemoteFile, list[tuple[int, int]]]:
        file = RemoteFile(path.url, OWN_STORE)
        return file, list(_pieces(file, path, partition))

    found: deque[Future[tuple[RemoteFile, list[tuple[int, int]]]]] = deque()
    for path in paths:
        if len(found) == READS_AT_ONCE:
            yield found.popleft().result()
        found.append(pool.submit(find, path))
    while found:
        yield found.popleft().result()


def _read_piece(piece: bytes) -> pa.Table:
    with pa.ipc.open_stream(piece) as stream:
        return stream.read_all()


def _pieces(file: BinaryIO | RemoteFile, path: Place, partition: int) -> Iterator[tuple[int, int]]:
    """Where the pieces of a partition lie in a run file, block by block: first byte and end. Raises ValueError."""
    tail = struct.calcsize("<qq8s")
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
            yield start, stop


def key_partition(keys: np.ndarray, partitions: int) -> np.ndarray:
    """The range partition of 64-bit keys: equal shares of the key space, so that each partition is a sorted range."""
    return ((keys >> np.uint64(32)) * np.uint64(partitions) >> np.uint64(32)).astype(np.int64)


def partitions_for(size: int, per_partition: int, most: int = 4096) -> int:
    """How many partitions hold `size` bytes (or rows) at about `per_partition` each; from the data alone."""
    return max(1, min(most, -(-size // per_partition)))
