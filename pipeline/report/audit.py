"""Audit: what deduplication did to a corpus and what still repeats in it, with pairs to look at side by side."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from dedup.normalise import normalize
from dedup.similarity import overlap, shingle_set
from pipeline.audit_stage import Repeated
from pipeline.dedup_settings import Dedup
from pipeline.files import parquet_files, parquet_rows, read_batches
from pipeline.sources import source_names
from pipeline.storage.places import Place
from pipeline.web.urls import host

# Kinds that are decided by something else than similarity.
BY_RULE = ("same_url",)
CONTEXT, SHOWN = 40, 240


@dataclass(frozen=True)
class Removed:
    """Of a host, crawl or source: documents that were compared, and how many of them went as duplicates."""

    name: str
    compared: int
    removed: int


@dataclass(frozen=True)
class Pair:
    """A removed document beside its survivor: recorded similarity, the same computed again, and how the texts read."""

    kind: str
    recorded: float
    computed: float
    url: str
    kept_url: str
    text: str
    kept_text: str


@dataclass(frozen=True)
class Duplicates:
    """What deduplication did. sizes: kept documents by the size of their cluster, in powers of two (upper bounds).

    overlap: by (crawl of the removed, crawl of the kept) how many documents. wrong: sampled removals under the limit or
    recorded with another similarity than the one computed, as sentences.
    """

    kept: int
    removed: int
    sizes: dict[int, int]
    hosts: list[Removed]
    crawls: list[Removed]
    sources: list[Removed]
    overlap: list[tuple[str, str, int]]
    pairs: list[Pair]
    wrong: list[str]


def audit_duplicates(tables: dict[str, Place], dedup: Dedup, pairs: int) -> Duplicates:
    """Read the tables `documents`, `corpus` and `duplicates` of a run; `pairs` of each kind are compared again."""
    kept = {name: Counter[str]() for name in ("host", "crawl", "source")}
    gone = {name: Counter[str]() for name in ("host", "crawl", "source")}
    sizes: Counter[int] = Counter()
    for batch in _batches(tables["corpus"], ["host", "crawl", "warc_file", "duplicate_cluster_size"]):
        for name in ("host", "crawl"):
            _count(kept[name], batch.column(name))
        _count(kept["source"], source_names(batch.column("warc_file"), dedup.sources))
        size = batch.column("duplicate_cluster_size").to_numpy(zero_copy_only=False)
        sizes.update((1 << np.ceil(np.log2(size)).astype(np.int64)).tolist())
    crossing: Counter[tuple[str, str]] = Counter()
    sample = _Sample(pairs)
    for batch in _batches(tables["duplicates"], None):
        _count(gone["host"], pa.array([host(url) for url in batch.column("url").to_pylist()], pa.string()))
        for name in ("crawl", "source"):
            _count(gone[name], batch.column(name))
        crossing.update(zip(_names(batch.column("crawl")), _names(batch.column("kept_crawl")), strict=True))
        sample.add(batch)
    by = {
        name: sorted(
            (Removed(key, kept[name][key] + gone[name][key], gone[name][key]) for key in kept[name] | gone[name]),
            key=lambda row: (-row.removed, row.name),
        )
        for name in kept
    }
    found = list(_compared(tables["documents"], sample.rows(), dedup))
    return Duplicates(
        kept["crawl"].total(),
        gone["crawl"].total(),
        dict(sorted(sizes.items())),
        by["host"],
        sorted(by["crawl"], key=lambda row: row.name),
        by["source"] if dedup.sources else [],
        sorted((*pair, count) for pair, count in crossing.items()),
        found,
        [wrong for pair in found if (wrong := _wrong(pair, dedup.similarity))],
    )


def _batches(folder: Place, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    for name in parquet_files(folder):
        yield from read_batches(folder / name, columns, 65_536)


def _names(column: pa.Array) -> list[str]:
    return column.fill_null("(none)").to_pylist()


def _count(counter: Counter[str], column: pa.Array) -> None:
    for row in pc.value_counts(column.fill_null("(none)")).to_pylist():
        counter[row["values"]] += row["counts"]


class _Sample:
    """Of each kind the removals whose ids have the least hashes: the same ones whatever the order they come in."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._least: dict[str, list[tuple[int, str, dict[str, Any]]]] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        for row in batch.to_pylist() if self._count else []:
            heap = self._least.setdefault(row["kind"], [])
            item = (-xxhash.xxh3_64_intdigest(row["id"].encode()), row["id"], row)
            if len(heap) < self._count:
                heapq.heappush(heap, item)
            else:
                heapq.heappushpop(heap, item)

    def rows(self) -> list[dict[str, Any]]:
        return [row for kind in sorted(self._least) for _, _, row in sorted(self._least[kind], reverse=True)]


def _compared(documents: Place, rows: list[dict[str, Any]], dedup: Dedup) -> Iterator[Pair]:
    wanted = {row[name] for row in rows for name in ("id", "kept_id")}
    condition = pc.field("id").isin(pa.array(sorted(wanted), pa.string()))
    texts = {row["id"]: row["text"] for row in parquet_rows(documents, ["id", "text"], condition)}
    for row in rows:
        lost, stays = texts[row["id"]], texts[row["kept_id"]]
        differs = next((place for place, (a, b) in enumerate(zip(lost, stays)) if a != b), 0)
        same = max(0, differs - CONTEXT)
        yield Pair(
            row["kind"],
            row["similarity"],
            _similarity(lost, stays, dedup),
            row["url"],
            row["kept_url"],
            lost[same : same + SHOWN],
            stays[same : same + SHOWN],
        )


def _similarity(lost: str, stays: str, dedup: Dedup) -> float:
    """The recipe's measure of two texts, of the sets of n-grams of each, without anything that was kept of them."""
    a, b = (shingle_set(normalize(text), dedup.signature.ngram) for text in (lost, stays))
    shared = overlap(a, b, 0)
    whole = len(a) if dedup.measure == "containment" else len(a) + len(b) - shared
    return shared / whole if whole else 1.0


def _wrong(pair: Pair, limit: float) -> str | None:
    if abs(pair.computed - pair.recorded) > 1e-9:
        return f"{pair.url} was removed with a recorded similarity of {pair.recorded:.4f}; it is {pair.computed:.4f}"
    if pair.kind not in BY_RULE and pair.computed < limit:
        return f"{pair.url} was removed as {pair.kind} with a similarity of {pair.computed:.4f}, under {limit}"
    return None


def as_record(duplicates: Duplicates | None, repeated: Repeated) -> dict[str, Any]:
    """The findings as a JSON object; `duplicates` is null for a recipe without deduplication."""
    return {"duplicates": asdict(duplicates) if duplicates else None, "repeats": asdict(repeated)}
