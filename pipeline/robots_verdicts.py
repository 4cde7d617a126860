"""Robots verdicts: each document's URL beside the robots.txt captures of its site, through the file exchange.

Sites meet in a partition by their host without a leading `www.`, so that the redirects that most robots.txt have
(between http and https, with and without www) lead to captures in the same partition.
"""

from __future__ import annotations

import bisect
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import urljoin

import numpy as np
import pyarrow as pa
import xxhash

from pipeline.candidates import dense_ids
from pipeline.exchange import Runs, RunWriter, key_partition, read_partition, run_places
from pipeline.files import TableWriter, read_batches
from pipeline.ledger import Entry
from pipeline.robots import ROBOTS_PATH
from pipeline.schemas import ROBOTS_COLUMNS, ROBOTS_VERDICTS, TIMESTAMP
from pipeline.storage.places import as_place
from pipeline.web.consent.robots_txt import RobotsTxt
from pipeline.web.urls import path_and_query, site

RULE_VERSION = 2
MEMORY_BYTES = 1_500_000_000
# Captures and URLs of one partition are in memory together; about 200 bytes are a URL with its place.
BYTES_PER_PARTITION = 64_000_000
BYTES_OF_A_PAGE = 200
# RFC 9309, 2.3.1.2: at least five consecutive redirects are followed.
MOST_REDIRECTS = 5
PARSED_IN_MEMORY = 64
LIBRARIES = ("protego",)

_SITE = [("key", pa.uint64()), ("scheme", pa.string()), ("host", pa.string()), ("port", pa.int32())]
PAGES = pa.schema([("document", pa.uint64()), *_SITE, ("path", pa.string()), ("fetched_at", TIMESTAMP)])
CAPTURES = pa.schema(
    [
        *_SITE,
        ("path", pa.string()),
        ("fetched_at", TIMESTAMP),
        ("http_status", pa.int16()),
        ("location", pa.string()),
        ("text", pa.large_string()),
        ("problem", pa.string()),
    ]
)
DECIDED = pa.schema([("document", pa.uint64()), *[(name, ROBOTS_VERDICTS.field(name).type) for name in ROBOTS_COLUMNS]])

Site = tuple[str, str, int]
# Of a capture without a date nothing is known, so that any other is newer.
_NO_DATE = datetime.min.replace(tzinfo=UTC)


def versions() -> dict[str, str]:
    """The libraries that decide the verdicts."""
    return {name: version(name) for name in LIBRARIES}


def site_key(host: str) -> int:
    """A 64-bit key of a host, the same with and without a leading `www.`."""
    return xxhash.xxh3_64_intdigest(host.removeprefix("www.").encode())


def partition_pages(
    shard: str, shard_index: int, documents: str, folder: str, run: str, partitions: int
) -> dict[str, Any]:
    """Write where one shard's documents come from into a run file, partitioned by site."""
    started = time.perf_counter()
    entry = Entry(shard, "select: robots pages")
    row = 0
    with RunWriter(as_place(run), PAGES, partitions, compress=True) as out:
        for batch in read_batches(as_place(documents), ["url", "fetched_at"]):
            ids = dense_ids(shard_index, row, batch.num_rows).tolist()
            rows = []
            for document, url, fetched_at in zip(
                ids, batch.column("url").to_pylist(), batch.column("fetched_at").to_pylist(), strict=True
            ):
                place = site(url) if url else None
                if place is not None:
                    path = path_and_query(url)
                    rows.append((document, site_key(place[1]), *place, path, fetched_at))
            _write_rows(out, rows, PAGES, partitions)
            entry.reject("no_web_url", count=batch.num_rows - len(rows))
            entry.written += len(rows)
            row += batch.num_rows
    entry.read = row
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


def _write_rows(out: RunWriter, rows: list[tuple[Any, ...]], schema: pa.Schema, partitions: int) -> None:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(column, each.type) for column, each in zip(columns, schema, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    out.write(batch, key_partition(batch.column("key").to_numpy(), partitions))


def partition_captures(shard: str, robots: str, folder: str, run: str, partitions: int) -> dict[str, Any]:
    """Write one shard's captures of robots.txt into a run file, partitioned by site."""
    started = time.perf_counter()
    entry = Entry(shard, "select: robots captures")
    names = [name for name in CAPTURES.names if name != "key"]
    with RunWriter(as_place(run), CAPTURES, partitions, compress=True) as out:
        for batch in read_batches(as_place(robots), names):
            keys = np.array([site_key(host) for host in batch.column("host").to_pylist()], np.uint64)
            columns = [batch.column(name).cast(CAPTURES.field(name).type) for name in names]
            rows = pa.RecordBatch.from_arrays([pa.array(keys), *columns], schema=CAPTURES)
            out.write(rows, key_partition(keys, partitions))
            entry.read += batch.num_rows
    entry.written = entry.read
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


class Captures:
    """The captures of one partition: found by site and time, parsed when they are first asked for."""

    def __init__(self, table: pa.Table, agents: tuple[str, ...], unreachable: str) -> None:
        self.agents = agents
        self.unreachable = unreachable
        self._texts = table.column("text")
        names = ("scheme", "host", "port", "path", "fetched_at", "http_status", "location", "problem")
        self._rows = list(zip(*(table.column(name).to_pylist() for name in names), strict=True))
        self._by_url: dict[tuple[str, str, int, str], list[tuple[datetime, int]]] = defaultdict(list)
        for index, (scheme, host, port, path, fetched_at, *_) in enumerate(self._rows):
            self._by_url[scheme, host, port, path].append((fetched_at or _NO_DATE, index))
        for captures in self._by_url.values():
            captures.sort()
        self._parsed: dict[str, RobotsTxt] = {}
        self._last: tuple[tuple[int, str], tuple[str, str]] | None = None

    def _find(self, place: Site, path: str, moment: datetime | None) -> int | None:
        """The newest capture of a URL at or before a moment, else the first after it; the newest without a moment."""
        captures = self._by_url.get((*place, path))
        if not captures:
            return None
        if moment is None:
            return captures[-1][1]
        before = bisect.bisect_right(captures, (moment, len(self._rows)))
        return captures[max(0, before - 1)][1]

    def _parse(self, index: int) -> RobotsTxt:
        text = self._texts[index].as_py() or ""
        if text not in self._parsed:
            if len(self._parsed) >= PARSED_IN_MEMORY:
                self._parsed.clear()
            self._parsed[text] = RobotsTxt(text)
        return self._parsed[text]

    def decide(self, place: Site, path: str, moment: datetime | None) -> tuple[str, str, datetime | None]:
        """Verdict, evidence and the date of the capture that gave it, for a page's site, path and a moment."""
        index = self._find(place, ROBOTS_PATH, moment)
        if index is None:
            return "unknown", "no capture", None
        fetched_at = self._rows[index][4]
        verdict, evidence = self._follow(index, path, moment)
        return verdict, evidence, fetched_at

    def _follow(self, index: int, path: str, moment: datetime | None) -> tuple[str, str]:
        via = ""
        for _ in range(MOST_REDIRECTS + 1):
            scheme, host, port, here, _, status, location, problem = self._rows[index]
            if problem is not None or status is None:
                return "unknown", f"{via}not read: {problem or 'no status'}"
            if not 300 <= status < 400:
                verdict, evidence = self._answer(index, status, path)
                return verdict, via + evidence
            target = _target(f"{scheme}://{host}:{port}{here}", location)
            if target is None:
                return "unknown", f"{via}status {status} without a place to go"
            via = f"by {target[0][0]}://{target[0][1]}{target[1]}"[:100] + ": "
            found = self._find(target[0], target[1], moment)
            if found is None:
                return "unknown", f"{via}no capture"
            index = found
        return "unknown", f"more than {MOST_REDIRECTS} redirects"

    def _answer(self, index: int, status: int, path: str) -> tuple[str, str]:
        if 200 <= status < 300:
            # The newest capture is often the one that was current too.
            if self._last is None or self._last[0] != (index, path):
                self._last = (index, path), self._parse(index).decide(path, self.agents)
            return self._last[1]
        # RFC 9309, 2.3.1.3 and 2.3.1.4: unavailable means that all may be fetched, unreachable that nothing may.
        if 400 <= status < 500:
            return "allowed", f"status {status}"
        if 500 <= status < 600:
            return self.unreachable, f"status {status}"
        return "unknown", f"status {status}"


def _target(base: str, location: str | None) -> tuple[Site, str] | None:
    if not location:
        return None
    try:
        url = urljoin(base, location.strip())
    except ValueError:
        return None
    place = site(url)
    return None if place is None else (place, path_and_query(url))


def decide_partition(
    shard: str,
    partition: int,
    pages: Runs,
    captures: Runs,
    folder: str,
    run: str,
    shards: int,
    agents: list[str],
    unreachable: str,
) -> dict[str, Any]:
    """Decide the pages of one partition and route the verdicts to their shards."""
    started = time.perf_counter()
    entry = Entry(shard, "select: robots decide")
    table = read_partition(run_places(captures), partition, CAPTURES)
    found = Captures(table, tuple(agents), unreachable)
    table = read_partition(run_places(pages), partition, PAGES)
    # Pages of a site follow each other, so that each robots.txt is parsed once.
    table = table.sort_by([(name, "ascending") for name in ("host", "scheme", "port", "document")])
    with RunWriter(as_place(run), DECIDED, shards, compress=True) as out:
        for batch in table.to_batches(max_chunksize=10_000):
            columns = list(zip(*_decide_rows(batch, found), strict=True)) or [()] * len(DECIDED)
            arrays = [pa.array(column, each.type) for column, each in zip(columns, DECIDED, strict=True)]
            decided = pa.RecordBatch.from_arrays(arrays, schema=DECIDED)
            out.write(decided, (decided.column("document").to_numpy() >> np.uint64(32)).astype(np.int64))
            entry.written += decided.num_rows
    entry.read = table.num_rows
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


def _decide_rows(pages: pa.RecordBatch, captures: Captures) -> Iterator[tuple[Any, ...]]:
    names = ("document", "scheme", "host", "port", "path", "fetched_at")
    for document, scheme, host, port, path, fetched_at in zip(
        *(pages.column(name).to_pylist() for name in names), strict=True
    ):
        place = (scheme, host, port)
        yield document, *captures.decide(place, path, fetched_at), *captures.decide(place, path, None)


def write_verdicts(
    shard: str, shard_index: int, documents: str, runs: Runs, folder: str, inputs: list[dict[str, Any]]
) -> dict[str, Any]:
    """Write one shard's robots verdicts, in the order of its documents."""
    started = time.perf_counter()
    entry = Entry(shard, "select: robots", inputs=inputs)
    table = read_partition(run_places(runs), shard_index, DECIDED).sort_by("document")
    decided = (table.column("document").to_numpy() & np.uint64(0xFFFFFFFF)).astype(np.int64)
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("robots", "robots_latest")}
    start = 0
    with TableWriter(as_place(folder) / f"{shard}.parquet", ROBOTS_VERDICTS) as out:
        for batch in read_batches(as_place(documents), ["id"]):
            low, high = np.searchsorted(decided, [start, start + batch.num_rows])
            # Where a document's URL leads to no site, its place in the table is null.
            places = np.full(batch.num_rows, -1, np.int64)
            places[decided[low:high] - start] = np.arange(low, high)
            taken = table.take(pa.array(places, mask=places < 0))
            columns = {name: taken.column(name).combine_chunks() for name in ROBOTS_COLUMNS}
            for name, counted in counts.items():
                columns[name] = columns[name].fill_null("unknown")
                counted.update(columns[name].to_pylist())
            arrays = [batch.column("id"), *columns.values()]
            out.write(pa.RecordBatch.from_arrays(arrays, schema=ROBOTS_VERDICTS))
            start += batch.num_rows
    entry.read = entry.written = start
    entry.notes = {name: dict(sorted(counted.items())) for name, counted in counts.items()}
    entry.output("robots_verdicts", out.written())
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__
