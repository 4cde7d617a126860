"""Selected records: what a selection of Common Crawl's index names of one WARC file, read by byte range.

A selection is a Parquet file of the columns `SELECTION`, sorted by file and offset, with the widest gap between two
records of one range in its metadata. An input `FILE#SELECTION` stands for the records that it names of one file.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.errors import KamisukiError
from pipeline.files import TableWriter, open_parquet
from pipeline.storage.http import Politeness
from pipeline.storage.places import Place, as_place
from pipeline.storage.ranges import cached_ranges
from pipeline.web.crawl_facts import as_metadata
from pipeline.web.warc import Record, read_places

SUFFIX = ".selection.parquet"
SELECTION = pa.schema(
    [
        ("warc_filename", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("languages", pa.string()),
        ("charset", pa.string()),
    ]
)
# Of the selection's metadata: records that lie no farther apart are read as one range.
GAP_KEY = "kamisuki.gap_bytes"
CRAWL_FOLDER = "crawl-data/"
_SELECTED = re.compile(rf"(.+)#(.+{re.escape(SUFFIX)})")


@dataclass(frozen=True)
class Selected:
    """The records of a WARC file that a selection names."""

    file: Place
    selection: Place

    def __str__(self) -> str:
        return f"{self.file}#{self.selection}"

    @property
    def name(self) -> str:
        """The file's name in its crawl."""
        return CRAWL_FOLDER + str(self.file).rpartition(CRAWL_FOLDER)[2]


def selected_of(text: str) -> Selected | None:
    """An input `FILE#SELECTION`, or None for any other."""
    found = _SELECTED.fullmatch(text)
    return Selected(as_place(found.group(1)), as_place(found.group(2))) if found else None


def write_selection(path: Place, selection: pa.Table, gap_bytes: int) -> None:
    """Write a selection, sorted already; its words may be dictionaries."""
    schema = SELECTION.with_metadata({GAP_KEY: str(gap_bytes)})
    with TableWriter(path, schema) as out:
        for batch in selection.to_batches(max_chunksize=65_536):
            columns = [column.cast(kind) for column, kind in zip(batch.columns, schema.types, strict=True)]
            out.write(pa.RecordBatch.from_arrays(columns, schema=schema))


def bytes_by_file(selection: Place) -> dict[str, int]:
    """By WARC file, in order, the bytes of its selected records. Raises KamisukiError for what is no selection."""
    sizes: dict[str, int] = {}
    with open_selection(selection) as file:
        for batch in file.iter_batches(columns=["warc_filename", "length"]):
            sums = pa.Table.from_batches([batch]).group_by("warc_filename", use_threads=False)
            for row in sums.aggregate([("length", "sum")]).to_pylist():
                sizes[row["warc_filename"]] = sizes.get(row["warc_filename"], 0) + row["length_sum"]
    return sizes


@contextlib.contextmanager
def open_selection(selection: Place) -> Iterator[pa.parquet.ParquetFile]:
    """A selection's file. Raises KamisukiError for what is none."""
    try:
        with open_parquet(selection) as file:
            schema = file.schema_arrow
            if schema.names != SELECTION.names or GAP_KEY.encode() not in (schema.metadata or {}):
                raise KamisukiError(f"{selection} is no selection: make one with kamisuki index")
            yield file
    except pa.ArrowInvalid:
        raise KamisukiError(f"{selection} is no Parquet file: make a selection with kamisuki index") from None


def rows_of(chosen: Selected) -> tuple[pa.Table, int]:
    """The rows of a selection for one WARC file, by offset, and the gap within one range; other rows stay unread."""
    with open_selection(chosen.selection) as file:
        gap = int(file.schema_arrow.metadata[GAP_KEY.encode()])
        tables = [SELECTION.empty_table()]
        for number in range(file.num_row_groups):
            bounds = file.metadata.row_group(number).column(0).statistics
            if bounds is None or not bounds.has_min_max or bounds.min <= chosen.name <= bounds.max:
                table = file.read_row_group(number).replace_schema_metadata(None)
                tables.append(table.filter(pc.equal(table.column("warc_filename"), chosen.name)))
    return pa.concat_tables(tables).combine_chunks(), gap


def by_file(selection: pa.Table) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Of each file of a sorted selection its name, and offsets and lengths of its records."""
    if not selection.num_rows:
        return
    names = selection.column("warc_filename").combine_chunks()
    if not pa.types.is_dictionary(names.type):
        names = names.dictionary_encode()
    codes = names.indices.to_numpy()
    offsets, lengths = (selection.column(name).to_numpy() for name in ("offset", "length"))
    cuts = [0, *(np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist(), len(codes)]
    for start, stop in pairwise(cuts):
        yield str(names.dictionary[int(codes[start])]), offsets[start:stop], lengths[start:stop]


def coalesce(offsets: np.ndarray, lengths: np.ndarray, gap_bytes: int) -> list[tuple[int, int]]:
    """Ranges (start, stop) of bytes over records of one file, given in order: what lies close together is one range."""
    ranges: list[tuple[int, int]] = []
    for start, length in zip(offsets.tolist(), lengths.tolist(), strict=True):
        if ranges and start - ranges[-1][1] <= gap_bytes:
            ranges[-1] = (ranges[-1][0], max(ranges[-1][1], start + length))
        else:
            ranges.append((start, start + length))
    return ranges


@contextlib.contextmanager
def local_ranges(chosen: Selected, politeness: Politeness) -> Iterator[Path]:
    """A file of this machine in which the selected records lie at their places."""
    if isinstance(chosen.file, Path):
        yield chosen.file
        return
    rows, gap = rows_of(chosen)
    ranges = coalesce(rows.column("offset").to_numpy(), rows.column("length").to_numpy(), gap)
    with cached_ranges(chosen.file.url, ranges, politeness) as path:
        yield path


def read_selected(chosen: Selected, path: str, max_body_bytes: int) -> Iterator[Record]:
    """The selected records, each with what the index says of it in the place of the crawl's own metadata record."""
    rows, _ = rows_of(chosen)
    for row, record in zip(rows.to_pylist(), read_places(path, places(rows), max_body_bytes), strict=True):
        record.crawl_metadata = as_metadata(row["languages"], row["charset"])
        yield record


def places(rows: pa.Table) -> list[tuple[int, int]]:
    """Offset and length of each record."""
    return list(zip(rows.column("offset").to_pylist(), rows.column("length").to_pylist(), strict=True))


def selected_digest(chosen: Selected, path: str) -> str:
    """XXH3-128 of the selected records' bytes, one after the other."""
    state = xxhash.xxh3_128()
    with open(path, "rb") as file:
        for offset, length in places(rows_of(chosen)[0]):
            file.seek(offset)
            state.update(file.read(length))
    return f"xxh3:{state.hexdigest()}"
