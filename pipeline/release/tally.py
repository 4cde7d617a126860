"""What stands in the rows of a release, counted: licenses, sources with their dates, languages, consent."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.release.manifest import LicenseCount, SourceCount

UNKNOWN = "unknown"
# By name: counts by license and tier, by source (with the first and the last day of fetching), language and consent.
Tally = dict[str, Any]


def tally(table: pa.Table) -> Tally:
    """The counts of rows, as plain JSON values; columns that a table lacks count as unknown."""
    rows = table.num_rows
    characters = pc.fill_null(pc.utf8_length(table.column("text")), 0).cast(pa.int64())
    # The source of ingested rows names them; else the crawl.
    source = pc.coalesce(_column(table, "source"), _column(table, "crawl"), pa.scalar(UNKNOWN))
    plain = pa.table(
        {
            "license": _column(table, "license"),
            "tier": pc.fill_null(_column(table, "license_tier"), UNKNOWN),
            "source": source,
            "day": pc.cast(_column(table, "fetched_at", pa.timestamp("us", tz="UTC")), pa.date32()),
            "language": pc.fill_null(_column(table, "language"), UNKNOWN),
            "consent": pc.fill_null(_column(table, "consent"), UNKNOWN),
            "characters": characters,
        }
    )
    licenses = plain.group_by(["license", "tier"], use_threads=False).aggregate(
        [("characters", "sum"), ([], "count_all")]
    )
    sources = plain.group_by(["source"], use_threads=False).aggregate(
        [("characters", "sum"), ([], "count_all"), ("day", "min"), ("day", "max")]
    )
    return {
        "rows": rows,
        "characters": pc.sum(characters).as_py() or 0,
        "licenses": [
            [row["license"], row["tier"], row["count_all"], row["characters_sum"]] for row in licenses.to_pylist()
        ],
        "sources": [
            [row["source"], row["count_all"], row["characters_sum"], _day(row["day_min"]), _day(row["day_max"])]
            for row in sources.to_pylist()
        ],
        "languages": _counts(plain.column("language")),
        "consent": _counts(plain.column("consent")),
    }


def _column(table: pa.Table, name: str, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    if name in table.column_names:
        return table.column(name)
    return pa.chunked_array([pa.nulls(table.num_rows, kind or pa.string())])


def _day(day: datetime.date | None) -> str | None:
    return day.isoformat() if day else None


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {row["values"]: row["counts"] for row in pc.value_counts(column).to_pylist()}


def add_up(tallies: Iterable[Tally]) -> Tally:
    """The counts of several sets of rows together; each list by rows, most first, then by name."""
    total: Tally = {"rows": 0, "characters": 0, "languages": {}, "consent": {}}
    licenses: dict[tuple[str | None, str], list[int]] = {}
    sources: dict[str, list[Any]] = {}
    for one in tallies:
        total["rows"] += one["rows"]
        total["characters"] += one["characters"]
        for name in ("languages", "consent"):
            for value, count in one[name].items():
                total[name][value] = total[name].get(value, 0) + count
        for license, tier, rows, characters in one["licenses"]:
            found = licenses.setdefault((license, tier), [0, 0])
            found[0] += rows
            found[1] += characters
        for source, rows, characters, first, last in one["sources"]:
            known = sources.setdefault(source, [0, 0, None, None])
            known[0] += rows
            known[1] += characters
            known[2] = min(filter(None, (known[2], first)), default=None)
            known[3] = max(filter(None, (known[3], last)), default=None)
    ranked = sorted(licenses.items(), key=lambda item: (-item[1][0], item[0][1], item[0][0] or ""))
    total["licenses"] = [[*name, *found] for name, found in ranked]
    total["sources"] = [[name, *found] for name, found in sorted(sources.items(), key=lambda item: item[0])]
    for name in ("languages", "consent"):
        total[name] = dict(sorted(total[name].items(), key=lambda item: (-item[1], item[0])))
    return total


def license_counts(total: Tally) -> list[LicenseCount]:
    """The licenses of a tally for the manifest."""
    return [LicenseCount(license=name, tier=tier, rows=r, characters=c) for name, tier, r, c in total["licenses"] if r]


def source_counts(total: Tally) -> list[SourceCount]:
    """The sources of a tally for the manifest."""
    return [
        SourceCount(source=name, rows=rows, characters=characters, first=first, last=last)
        for name, rows, characters, first, last in total["sources"]
        if rows
    ]
