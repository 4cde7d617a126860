"""Sorted runs: rows of 64-bit numbers exchanged between tasks by their first number, the key, in bounded memory.

A run file holds blocks; a block holds its rows, 8 bytes a number, sorted, so that each partition, a range of keys,
is one piece of it; a footer says where these pieces begin. A reader finds its partition's pieces of all run files and
takes from them range after range of keys, each small enough, however many rows one partition or one key has. No file
stays open meanwhile, since there may be more of them than a process may open.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import BinaryIO

import numpy as np

from pipeline.exchange import key_partition
from pipeline.files import atomic_file
from pipeline.storage.places import Place, file_sizes, numbers_at, open_seekable
from pipeline.storage.reading_ahead import are_remote, read_ahead

MAGIC = b"KAMISORT"
TAIL = struct.Struct("<qqq8s")
# Rows that a writer sorts at a time, and those that a reader holds at a time: 16 bytes each, four times that to sort.
ROWS_OF_A_BLOCK = 4_000_000
ROWS_AT_ONCE = 8_000_000

Partitioner = Callable[[np.ndarray, int], np.ndarray]


class SortedRunWriter:
    """Writes one run file of rows of `columns` numbers (uint64); equal rows of a block are written once.

    `partition_of(keys, partitions)` gives the partition of each key and must not fall as keys rise. `rows` are those
    written so far.
    """

    def __init__(
        self, path: Place, partitions: int, columns: int = 2, partition_of: Partitioner = key_partition
    ) -> None:
        self.partitions = partitions
        self.columns = columns
        self.rows = 0
        self._partition_of = partition_of
        self._context = atomic_file(path)
        self._pending: list[np.ndarray] = []
        self._pending_rows = 0
        self._blocks: list[np.ndarray] = []

    def __enter__(self) -> SortedRunWriter:
        self._file = self._context.__enter__()
        return self

    def write(self, *columns: np.ndarray) -> None:
        """Add rows, given as one array for each column, the keys first."""
        rows = np.empty((len(columns[0]), self.columns), dtype="<u8")
        for index, column in enumerate(columns):
            rows[:, index] = column
        for start in range(0, len(rows), ROWS_OF_A_BLOCK):
            self._add(rows[start : start + ROWS_OF_A_BLOCK])

    def _add(self, rows: np.ndarray) -> None:
        if self._pending_rows + len(rows) > ROWS_OF_A_BLOCK:
            self._flush()
        self._pending.append(rows)
        self._pending_rows += len(rows)

    def _flush(self) -> None:
        if not self._pending_rows:
            return
        rows = np.concatenate(self._pending)
        self._pending, self._pending_rows = [], 0
        rows = distinct(rows[sorted_order(rows)])
        partition = self._partition_of(rows[:, 0], self.partitions)
        starts = np.searchsorted(partition, np.arange(self.partitions + 1)) + self.rows
        self._file.write(rows.data)
        self._blocks.append(starts.astype("<i8"))
        self.rows += len(rows)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._flush()
                for starts in self._blocks:
                    self._file.write(starts.data)
                self._file.write(TAIL.pack(len(self._blocks), self.partitions, self.columns, MAGIC))
        except BaseException as failure:
            self._context.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._context.__exit__(kind, error, trace)


def sorted_order(rows: np.ndarray) -> np.ndarray:
    """The order that sorts rows by their columns, the first one first.

    NumPy sorts one column of numbers by vector instructions, several times as fast as it sorts by two; so rows are
    sorted by their keys, and only those that share one by what follows, packed with the number of their key where
    64 bits hold both.
    """
    order = np.argsort(np.ascontiguousarray(rows[:, 0]))
    keys = rows[order, 0]
    opens = np.ones(len(keys), dtype=np.bool_)
    opens[1:] = keys[1:] != keys[:-1]
    shared = ~opens
    shared[:-1] |= ~opens[1:]
    places = np.flatnonzero(shared)
    if not len(places):
        return order
    chosen = order[places]
    group = np.cumsum(opens[places], dtype=np.uint64)
    values = rows[chosen, 1]
    least = values.min()
    bits = int(values.max() - least).bit_length()
    if rows.shape[1] == 2 and bits + int(group[-1]).bit_length() <= 64:
        again = np.argsort(group << np.uint64(bits) | (values - least))
    else:
        again = np.lexsort([*(rows[chosen, index] for index in reversed(range(1, rows.shape[1]))), group])
    order[places] = chosen[again]
    return order


def distinct(rows: np.ndarray) -> np.ndarray:
    """The different ones of sorted rows."""
    new = np.ones(len(rows), dtype=np.bool_)
    new[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    return rows if new.all() else rows[new]


@dataclass(frozen=True)
class Piece:
    """Sorted rows that lie one after the other in a run file: `rows` of them from row `start` on."""

    path: Place
    start: int
    rows: int
    columns: int

    def size(self) -> int:
        """Bytes of all rows."""
        return self.rows * self.columns * 8

    def read(self, low: int = 0, high: int | None = None) -> np.ndarray:
        """Rows low to high, uint64 [n, columns]."""
        count = (self.rows if high is None else min(high, self.rows)) - low
        offset = (self.start + low) * self.columns * 8
        return numbers_at(self.path, offset, count * self.columns).reshape(-1, self.columns)

    def split(self, key: int) -> tuple[Piece, Piece]:
        """The rows below a key and the others, found by looking at few of them."""
        with open_seekable(self.path) as file:

            def key_of(row: int) -> int:
                file.seek((self.start + row) * self.columns * 8)
                return int.from_bytes(file.read(8), "little")

            cut = bisect.bisect_left(range(self.rows), key, key=key_of)
        lower = Piece(self.path, self.start, cut, self.columns)
        return lower, Piece(self.path, self.start + cut, self.rows - cut, self.columns)


def pieces_of(paths: list[Place], partition: int | None) -> list[Piece]:
    """The pieces of one partition (None: of all) in all run files. Raises ValueError for a file that is no run file."""
    found = read_ahead(paths, partial(_pieces_in, partition=partition), are_remote(paths))
    return [piece for pieces in found for piece in pieces]


def _pieces_in(path: Place, partition: int | None) -> list[Piece]:
    pieces: list[Piece] = []
    with open_seekable(path) as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - TAIL.size))
        tail = file.read(TAIL.size)
        if len(tail) < TAIL.size or not tail.endswith(MAGIC):
            raise ValueError(f"{path}: not a file of sorted runs")
        blocks, partitions, columns, _ = TAIL.unpack(tail)
        width = (partitions + 1) * 8
        first, last = (0, partitions) if partition is None else (partition, partition + 1)
        for block in range(blocks):
            footer = end - TAIL.size - (blocks - block) * width
            start, stop = (_number_at(file, footer + place * 8) for place in (first, last))
            if stop > start:
                pieces.append(Piece(path, start, stop - start, columns))
    return pieces


def rows_of(pieces: list[Piece]) -> Iterator[np.ndarray]:
    """The rows of each piece, in their order; those of object storage are read ahead."""
    return read_ahead(pieces, Piece.read, _are_remote(pieces), Piece.size)


def _are_remote(pieces: list[Piece]) -> bool:
    return are_remote(piece.path for piece in pieces)


def _number_at(file: BinaryIO, place: int) -> int:
    file.seek(place)
    return int.from_bytes(file.read(8), "little")


def _read_all(pieces: list[Piece], columns: int = 2) -> np.ndarray:
    return np.concatenate([np.empty((0, columns), np.uint64), *rows_of(pieces)])


def run_files(folder: Place) -> list[Place]:
    """The run files of a folder, by name."""
    return [folder / name for name in sorted(file_sizes(folder)) if name.endswith(".run")]


def read_rows(paths: list[Place], partition: int, columns: int = 2) -> np.ndarray:
    """All rows, uint64 [n, columns], of one partition, sorted."""
    rows = _read_all(pieces_of(paths, partition), columns)
    return rows[sorted_order(rows)]


@dataclass(frozen=True, eq=False)
class Groups:
    """Rows (key, value) of one or several keys, sorted; group i has the rows from starts[i] on.

    least and size are those of the whole group: its smallest value and its number of different values. A group with
    more rows than fit comes in several parts, each a `Groups` of its own, and equal values that lie in different runs
    count each. `opens` is false in all parts but the first.
    """

    keys: np.ndarray
    values: np.ndarray
    starts: np.ndarray
    least: np.ndarray
    size: np.ndarray
    opens: bool = True

    def leasts(self) -> np.ndarray:
        """The smallest value of its group for each row."""
        return np.repeat(self.least, np.diff(np.append(self.starts, len(self.keys))))


def groups(paths: list[Place], partition: int) -> Iterator[Groups]:
    """The rows of one partition, grouped by key, at most `ROWS_AT_ONCE` at a time, each different row once."""
    pieces = pieces_of(paths, partition)
    waiting = [(0, 2**64, pieces)]
    while waiting:
        low, high, pieces = waiting.pop()
        rows = sum(piece.rows for piece in pieces)
        if rows <= ROWS_AT_ONCE:
            if rows:
                yield _grouped(_read_all(pieces))
        elif high - low == 1:
            yield from _parts(pieces)
        else:
            middle = (low + high) // 2
            halves = list(read_ahead(pieces, partial(Piece.split, key=middle), _are_remote(pieces)))
            lower = [piece for piece, _ in halves if piece.rows]
            upper = [piece for _, piece in halves if piece.rows]
            waiting += [(middle, high, upper), (low, middle, lower)]


def _grouped(rows: np.ndarray) -> Groups:
    rows = distinct(rows[sorted_order(rows)])
    keys, values = np.ascontiguousarray(rows[:, 0]), np.ascontiguousarray(rows[:, 1])
    opens = np.ones(len(keys), dtype=np.bool_)
    opens[1:] = keys[1:] != keys[:-1]
    starts = np.flatnonzero(opens)
    return Groups(keys, values, starts, values[starts], np.diff(np.append(starts, len(keys))))


def _parts(pieces: list[Piece]) -> Iterator[Groups]:
    """Parts of one group that is larger than memory."""
    firsts = read_ahead(pieces, partial(Piece.read, high=1), _are_remote(pieces))
    least = np.array([min(rows[0, 1] for rows in firsts)], np.uint64)
    size = np.array([sum(piece.rows for piece in pieces)], np.int64)
    opens = True
    for piece in pieces:
        for start in range(0, piece.rows, ROWS_AT_ONCE):
            rows = piece.read(start, start + ROWS_AT_ONCE)
            yield Groups(rows[:, 0], rows[:, 1], np.zeros(1, np.int64), least, size, opens)
            opens = False
