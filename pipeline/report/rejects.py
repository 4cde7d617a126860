"""Rejects: pages that a reason dropped, some of them drawn, with the value that decided and how the text begins."""

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
from rich.console import Console

from pipeline.columns import rows_of
from pipeline.errors import UsageError, like_it
from pipeline.files import open_parquet, parquet_files, parquet_rows
from pipeline.report.status import known_tables
from pipeline.storage.places import Place
from pipeline.wording import counted

TABLES = ("extract_rejects", "rejects")
COLUMNS = ["id", "url", "stage", "reason", "value", "limit", "detail"]
LETTERS = 200


@dataclass(frozen=True)
class RejectedPage:
    """A page that was dropped. `begins` are the first letters of its text, None where no text of it was kept."""

    id: str
    url: str | None
    stage: str
    reason: str
    value: float | None
    limit: float | None
    detail: str | None
    begins: str | None


@dataclass(frozen=True)
class RejectedPages:
    """How many rows of rejects have the reason that was asked for, and pages drawn from them."""

    recipe: str
    reason: str | None
    rows: int
    pages: list[RejectedPage]

    def as_record(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def rejected_pages(out: Place, reason: str | None, most: int, recipe: str | None = None) -> RejectedPages:
    """Draw `most` rejects of a reason, or of all, by the hash of their ids: the same ones each time.

    Raises UsageError with the reasons that there are for one that no page has.
    """
    name, tables = known_tables(out, recipe)
    counts: Counter[str] = Counter()
    drawn: list[tuple[int, str, dict[str, Any]]] = []
    for row in _rejects(out, tables):
        counts[row["reason"]] += 1
        if reason in (None, row["reason"]):
            entry = (-xxhash.xxh3_64_intdigest(row["id"].encode()), row["id"] + row["stage"], row)
            if len(drawn) < most:
                heapq.heappush(drawn, entry)
            elif drawn and entry[:2] > drawn[0][:2]:
                heapq.heapreplace(drawn, entry)
    if reason is not None and reason not in counts:
        known = ", ".join(f"{each} ({count:,})" for each, count in counts.most_common()) or "none"
        raise UsageError(f"no page of {name} was rejected as {reason!r}{like_it(reason, counts)}; there are: {known}")
    rows = [row for *_, row in sorted(drawn, key=lambda entry: entry[:2], reverse=True)]
    begins = dict(_beginnings(out, tables.get("documents"), [row["id"] for row in rows]))
    pages = [RejectedPage(**row, begins=begins.get(row["id"])) for row in rows]
    return RejectedPages(name, reason, counts.total() if reason is None else counts[reason], pages)


def _rejects(out: Place, tables: dict[str, str]) -> Iterator[dict[str, Any]]:
    for table in TABLES:
        if table in tables:
            yield from parquet_rows(out / tables[table], COLUMNS)


def _beginnings(out: Place, folder: str | None, ids: list[str]) -> Iterator[tuple[str, str]]:
    if folder is None or not ids:
        return
    wanted = pa.array(ids, pa.string())
    for name in parquet_files(out / folder):
        with open_parquet(out / folder / name) as file:
            found = pc.is_in(file.read(columns=["id"]).column("id"), value_set=wanted).to_numpy()
        for _, row in rows_of(out / folder / name, np.flatnonzero(found), ["id", "text"]):
            yield row["id"], " ".join(row["text"][: 2 * LETTERS].split())[:LETTERS]


def print_rejected_pages(console: Console, found: RejectedPages) -> None:
    """A page a paragraph: its URL, why it was dropped, and how its text begins."""
    console.print(
        f"{counted(found.rows, 'page')} of {found.recipe} rejected{f' as {found.reason}' if found.reason else ''}"
    )
    for page in found.pages:
        why = [
            f"{key} {value:.6g}" for key, value in (("value", page.value), ("limit", page.limit)) if value is not None
        ]
        why += [page.detail] if page.detail else []
        console.print(f"\n{page.url or page.id}", style="bold", soft_wrap=True)
        console.print(f"  {page.stage}: {page.reason}{': ' if why else ''}{', '.join(why)}", soft_wrap=True)
        if page.begins:
            console.print(f"  {page.begins}", soft_wrap=True)
