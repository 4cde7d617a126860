"""Common Crawl's columnar index: which records of a crawl are HTML in Japanese, and what it costs to fetch them.

Columns and their meaning: https://github.com/commoncrawl/cc-index-table (README and schema). `content_languages` holds
up to three ISO-639-3 codes of CLD2, the most text first; it is there since CC-MAIN-2018-39.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import UsageError
from pipeline.inputs import find_inputs, join, listed_files, parse_range
from pipeline.selected import SELECTION, by_file, coalesce
from pipeline.source_settings import Sources
from pipeline.storage.places import Place
from pipeline.storage.remote_file import RemoteFile

FIRST_CRAWL = "CC-MAIN-2018-39"
INDEX_LIST = "cc-index-table.paths.gz"
JAPANESE = r"(^|,)jpn(,|$)"
HTML_TYPES = ("text/html", "application/xhtml+xml")
COLUMNS = (
    "fetch_status",
    "content_mime_type",
    "content_mime_detected",
    "content_charset",
    "content_languages",
    "warc_filename",
    "warc_record_offset",
    "warc_record_length",
)
# Rows of the index that are looked at together.
ROWS_AT_ONCE = 131_072


@dataclass(frozen=True)
class Price:
    """What one way of fetching costs: requests, bytes, and seconds at the rate and the delay that were given."""

    requests: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Speed:
    """How fast a server is read: bytes a second in all, seconds until a request's first byte, requests at once."""

    bytes_per_second: float
    delay_seconds: float
    connections: int

    def seconds(self, requests: int, size: int) -> float:
        """Time for so many requests with so many bytes in all."""
        return requests * self.delay_seconds / self.connections + size / self.bytes_per_second

    @property
    def gap_bytes(self) -> int:
        """Bytes that are read over as fast as a request of their own would be made."""
        return int(self.delay_seconds / self.connections * self.bytes_per_second)


def index_files(crawl: str, sources: Sources) -> list[Place]:
    """The index's files over the pages of a crawl. Raises UsageError for a crawl that is too old or not there."""
    name, *_ = parse_range(crawl)
    if not re.fullmatch(r"CC-MAIN-\d{4}-\d{2}", name):
        raise UsageError(f"{name!r} is no crawl: write CC-MAIN-2024-51, or CC-MAIN-2024-51:0-9 for some of its files")
    if name < FIRST_CRAWL:
        raise UsageError(
            f"the index of {name} has no languages: they begin with {FIRST_CRAWL}; read the whole crawl with "
            f"--input {name}"
        )
    found = listed_files(join(sources.base, f"crawl-data/{name}/{INDEX_LIST}"), None, None, sources)
    files = sorted((place for place in found if "/subset=warc/" in str(place)), key=str)
    if not files:
        raise UsageError(f"the list {INDEX_LIST} of {name} names no file of subset=warc: fetch it again")
    return files


def japanese_html(table: pa.Table) -> pa.Table:
    """The rows of the index, given with `COLUMNS`, that are captures of Japanese HTML, as rows of a selection."""
    mime = pc.coalesce(table.column("content_mime_detected"), table.column("content_mime_type"))
    chosen = pc.and_(pc.equal(table.column("fetch_status"), 200), pc.is_in(mime, pa.array(HTML_TYPES)))
    chosen = pc.and_(chosen, pc.match_substring_regex(table.column("content_languages"), JAPANESE))
    kept = table.filter(pc.fill_null(chosen, False))
    columns = [kept.column(name) for name in COLUMNS[5:]]
    columns += [kept.column("content_languages"), kept.column("content_charset")]
    return pa.table([column.cast(kind.type) for column, kind in zip(columns, SELECTION, strict=True)], schema=SELECTION)


def read_index(files: list[Place], sources: Sources, only: set[str] | None) -> Iterator[pa.Table]:
    """Selections of the index's files, one after the other; of a remote one only the columns needed travel.

    only: the WARC files that are wanted, None for all. Raises UsageError where a file has no such columns.
    """
    wanted = pa.array(sorted(only)) if only is not None else None
    for place in files:
        source = place if isinstance(place, Path) else RemoteFile(place.url, sources.politeness())
        with pq.ParquetFile(source, pre_buffer=True) as file:
            missing = sorted(set(COLUMNS) - set(file.schema_arrow.names))
            if missing:
                raise UsageError(
                    f"{place} has no {', '.join(missing)}: it is no index of a crawl from {FIRST_CRAWL} on: read the "
                    "whole crawl"
                )
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=list(COLUMNS)):
                found = japanese_html(pa.Table.from_batches([batch]))
                yield found.filter(pc.is_in(found.column("warc_filename"), wanted)) if wanted is not None else found


def select(crawl: str, sources: Sources) -> pa.Table:
    """The Japanese HTML of a crawl, or of a range of its files, sorted by file and place, its words as dictionaries."""
    _, first, _ = parse_range(crawl)
    only = None
    if first is not None:
        only = {"crawl-data/" + str(place).rpartition("crawl-data/")[2] for place in find_inputs([crawl], sources)}
    found = _Found()
    for table in read_index(index_files(crawl, sources), sources, only):
        found.add(table)
    return found.sorted()


class _Found:
    """Selected records while they are gathered: a crawl has tens of millions, so that names are held once."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, int]] = {"warc_filename": {}, "languages": {}, "charset": {}}
        self._columns: dict[str, list[np.ndarray]] = {name: [np.empty(0, np.int64)] for name in ("offset", "length")}
        self._columns |= {name: [np.empty(0, np.int32)] for name in self._known}

    def add(self, table: pa.Table) -> None:
        for name, known in self._known.items():
            words = table.column(name).combine_chunks().dictionary_encode()
            codes = [known.setdefault(word, len(known)) for word in words.dictionary.to_pylist()]
            # The last one stands for null.
            codes_of = np.array([*codes, -1], np.int32)
            self._columns[name].append(codes_of[words.indices.fill_null(len(codes)).to_numpy()])
        for name in ("offset", "length"):
            self._columns[name].append(table.column(name).to_numpy())

    def sorted(self) -> pa.Table:
        columns = {name: np.concatenate(self._columns.pop(name)) for name in list(self._columns)}
        names = sorted(self._known["warc_filename"])
        rank = np.empty(len(names), np.int32)
        rank[[self._known["warc_filename"][name] for name in names]] = np.arange(len(names))
        columns["warc_filename"] = rank[columns["warc_filename"]]
        order = np.lexsort((columns["offset"], columns["warc_filename"]))
        words = {name: list(known) for name, known in self._known.items()} | {"warc_filename": names}
        made = {}
        for name in SELECTION.names:
            values = columns.pop(name)[order]
            made[name] = pa.array(values)
            if name in words:
                codes = pa.array(values, mask=values < 0)
                made[name] = pa.DictionaryArray.from_arrays(codes, pa.array(words[name], pa.string()))
        return pa.table(made)


def price(selection: pa.Table, speed: Speed) -> tuple[Price, Price]:
    """What the ranges cost, and what the whole files cost that they lie in.

    A file counts as long as its last record that the selection names, which is a little less than it is.
    """
    requests = bytes_ranged = bytes_whole = files = 0
    for _, offsets, lengths in by_file(selection):
        ranges = coalesce(offsets, lengths, speed.gap_bytes)
        requests += len(ranges)
        bytes_ranged += sum(stop - start for start, stop in ranges)
        bytes_whole += ranges[-1][1]
        files += 1
    return (
        Price(requests, bytes_ranged, speed.seconds(requests, bytes_ranged)),
        Price(files, bytes_whole, speed.seconds(files, bytes_whole)),
    )
