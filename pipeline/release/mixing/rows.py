"""The rows of a mix: read from the releases' own files where they lie, put in the order of their places, written."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import lru_cache
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import KamisukiError
from pipeline.files import TableWriter, open_parquet
from pipeline.ledger import Entry
from pipeline.release.mixing.counting import load_counts
from pipeline.release.mixing.placing import Lane, LaneFile, picks
from pipeline.release.mixing.tally import Counted, add_to, tally_lines
from pipeline.schemas import TIMESTAMP
from pipeline.storage.places import as_place

RULE_VERSION = 1
MEMORY_BYTES = 2_000_000_000
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("tokens", pa.int64()),
        ("source", pa.string()),
        ("epoch", pa.int32()),
        ("origin", pa.string()),
        ("url", pa.string()),
        ("host", pa.string()),
        ("title", pa.string()),
        ("fetched_at", TIMESTAMP),
        ("language", pa.string()),
        ("license", pa.string()),
        ("license_url", pa.string()),
        ("license_tier", pa.string()),
        ("consent", pa.string()),
        ("source_ids", pa.list_(pa.string())),
        ("generator", pa.string()),
        ("generator_license", pa.string()),
    ]
)
# What is read of a release's rows where they have it, beside the columns of that name: columns in their stead.
_INSTEAD = {"origin": ("source", "crawl"), "license_url": ("license_url", "source_license_url")}
_OWN = ("tokens", "source", "epoch")
# Rows are put in order so many tokens at a time: some tens of megabytes of text.
SLICE_TOKENS = 4_000_000
ROWS_AT_ONCE = 512
OPEN_FILES = 48


class Reader:
    """The rows of a data file, taken forwards: it is decoded once however many portions are asked for."""

    def __init__(self, file: LaneFile) -> None:
        self._file = file
        self._stack = ExitStack()
        self._parquet = self._stack.enter_context(open_parquet(as_place(file.data)))
        if self._parquet.metadata.num_rows != file.rows:
            self.close()
            raise KamisukiError(f"{file.data} changed while it was read: run again")
        groups = self._parquet.metadata
        sizes = [groups.row_group(index).num_rows for index in range(groups.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        names = {name for column in SCHEMA.names if column not in _OWN for name in _INSTEAD.get(column, (column,))}
        self._columns = [name for name in self._parquet.schema_arrow.names if name in names]
        self._at: int | None = None
        self._end = 0

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def _seek(self, row: int) -> None:
        """Go to the beginning of the row group that holds a row."""
        group = self._group(row)
        self._at = self._end = int(self._starts[group])
        self._held: list[pa.RecordBatch] = []
        groups = list(range(group, len(self._starts) - 1))
        self._batches = self._parquet.iter_batches(ROWS_AT_ONCE, row_groups=groups, columns=self._columns)

    def _group(self, row: int) -> int:
        return int(np.searchsorted(self._starts, row, "right")) - 1

    def take(self, rows: np.ndarray) -> pa.Table:
        """Rows by number, at least one, in rising order."""
        first, stop = int(rows[0]), int(rows[-1]) + 1
        if self._at is None or first < self._at or self._starts[self._group(first)] > self._end:
            self._seek(first)
        while self._end < stop:
            batch = next(self._batches)
            self._held.append(batch)
            self._end += batch.num_rows
            self._let_go(first)
        self._let_go(first)
        return pa.Table.from_batches(self._held).take(pa.array(rows - self._at))

    def _let_go(self, row: int) -> None:
        """Forget batches that lie before a row."""
        while self._held and self._at + self._held[0].num_rows <= row:
            self._at += self._held.pop(0).num_rows


class Readers:
    """Readers of data files, the last used ones kept open."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, Reader] = OrderedDict()

    def __enter__(self) -> Readers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for reader in self._open.values():
            reader.close()

    def of(self, file: LaneFile) -> Reader:
        """The reader of a data file."""
        if file.data not in self._open:
            self._open[file.data] = Reader(file)
            if len(self._open) > OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(file.data)
        return self._open[file.data]


def slices(low: int, high: int) -> Iterator[tuple[int, int]]:
    """The places from `low` to before `high` in equal portions that are put in order at a time."""
    count = max(1, -(-(high - low) // SLICE_TOKENS))
    for index in range(count):
        yield low + (high - low) * index // count, low + (high - low) * (index + 1) // count


def mixed_rows(
    lanes: tuple[Lane, ...], low: int, high: int, readers: Readers, counts_of: Callable[[str], Any]
) -> Iterator[pa.Table]:
    """The rows with places from `low` to before `high`, in order, as tables of SCHEMA."""
    for start, stop in slices(low, high):
        tables, places, numbers = [], [], []
        for pick in picks(lanes, start, stop, counts_of):
            lane = lanes[pick.lane]
            rows = readers.of(lane.files[pick.file]).take(pick.rows)
            tables.append(_as_mixed(rows, lane.name, pick.epoch, pick.tokens))
            places.append(pick.places)
            numbers.append(np.full(len(pick.rows), pick.lane))
        if tables:
            order = np.lexsort((np.concatenate(numbers), np.concatenate(places)))
            yield pa.concat_tables(tables).take(pa.array(order))


def _as_mixed(rows: pa.Table, source: str, epoch: int, tokens: np.ndarray) -> pa.Table:
    own = {
        "tokens": pa.array(tokens),
        "source": pa.array([source] * rows.num_rows, pa.string()),
        "epoch": pa.array(np.full(rows.num_rows, epoch, np.int32)),
    }
    columns = []
    for field in SCHEMA:
        if field.name in own:
            columns.append(own[field.name])
            continue
        found = [rows.column(name) for name in _INSTEAD.get(field.name, (field.name,)) if name in rows.column_names]
        column = pc.coalesce(*found) if len(found) > 1 else found[0] if found else pa.nulls(rows.num_rows, field.type)
        columns.append(column.cast(field.type))
    return pa.table(columns, schema=SCHEMA)


def write_mixed(
    shard: str, to: str, path: str, lanes: tuple[Lane, ...], low: int, high: int, folder: str,
    inputs: list[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """Write one file of a mix: the rows with places from `low` to before `high`."""
    started = time.perf_counter()
    entry = Entry(shard, "mix: write", inputs=inputs)
    counts_of = lru_cache(maxsize=OPEN_FILES)(load_counts)
    counted: Counted = {}
    with Readers() as readers, TableWriter(as_place(to) / path, SCHEMA) as out:
        for rows in mixed_rows(lanes, low, high, readers, counts_of):
            entry.read += rows.num_rows
            add_to(counted, rows)
            for batch in rows.to_batches():
                out.write(batch)
    entry.written = out.rows
    entry.notes["tally"] = [line.model_dump() for line in tally_lines(counted)]
    parent, _, name = path.rpartition("/")
    entry.outputs["data"] = {"folder": parent, "file": name, "rows": out.rows, "bytes": out.bytes, "digest": out.digest}
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__
