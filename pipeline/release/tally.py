"""What stands in the rows of a release, counted: licenses, sources with their dates, languages, consent."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import KamisukiError
from pipeline.release.manifest import LicenseCount, SourceCount, Task

UNKNOWN = "unknown"
# By name: counts by license and tier, by source (with the first and the last day of fetching), language and consent.
Tally = dict[str, Any]
# The columns that `tally` looks at, and those that `days` does.
DATED = ("source", "crawl", "fetched_at")
COUNTED = ("text", "license", "license_tier", *DATED, "language", "consent")
# By source its first and its last day of fetching, None where none is known.
Days = dict[str, tuple[str | None, str | None]]


def tally(table: pa.Table) -> Tally:
    """The counts of rows, as plain JSON values; columns that a table lacks count as unknown."""
    rows = table.num_rows
    characters = pc.fill_null(pc.utf8_length(table.column("text")), 0).cast(pa.int64())
    plain = pa.table(
        {
            "license": _column(table, "license"),
            "tier": pc.fill_null(_column(table, "license_tier"), UNKNOWN),
            "source": _source(table),
            "day": _fetched(table),
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


def _source(table: pa.Table) -> pa.ChunkedArray:
    # The source of ingested rows names them; else the crawl.
    return pc.coalesce(_column(table, "source"), _column(table, "crawl"), pa.scalar(UNKNOWN))


def _fetched(table: pa.Table) -> pa.ChunkedArray:
    return pc.cast(_column(table, "fetched_at", pa.timestamp("us", tz="UTC")), pa.date32())


def days(table: pa.Table) -> Days:
    """The first and the last day of each source of rows."""
    plain = pa.table({"source": _source(table), "day": _fetched(table)})
    found = plain.group_by(["source"], use_threads=False).aggregate([("day", "min"), ("day", "max")])
    return {row["source"]: (_day(row["day_min"]), _day(row["day_max"])) for row in found.to_pylist()}


def together_days(*several: Days) -> Days:
    """The days of several sets of rows together."""
    found: Days = {}
    for one in several:
        for source, (first, last) in one.items():
            known = found.get(source, (None, None))
            found[source] = (
                min(filter(None, (known[0], first)), default=None),
                max(filter(None, (known[1], last)), default=None),
            )
    return found


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
            known[2:] = together_days({source: (known[2], known[3])}, {source: (first, last)})[source]
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


def take_away(task: Task, gone: Tally, kept: Days, reason: str) -> Task:
    """A task without rows that are counted in `gone` and left out for a reason; `kept` are the days of what stays.

    Raises KamisukiError where more rows go than the task counts.
    """
    left = add_up([_counted(task), _negative(gone)])
    left["sources"] = [
        [source, rows, characters, *kept.get(source, (None, None))] for source, rows, characters, *_ in left["sources"]
    ]
    numbers = [each[-2] for each in left["licenses"]] + [each[1] for each in left["sources"]]
    if min([*numbers, *left["languages"].values(), *left["consent"].values()], default=0) < 0:
        raise KamisukiError(f"the manifest counts fewer rows of {task.name} than are taken out: see kamisuki verify")
    changed: dict[str, Any] = {
        "left_out": dict(sorted({**task.left_out, reason: task.left_out.get(reason, 0) + gone["rows"]}.items())),
        "licenses": license_counts(left),
        "sources": source_counts(left),
    }
    for name in ("languages", "consent"):
        changed[name] = {value: count for value, count in left[name].items() if count}
    return task.model_copy(update=changed)


def _counted(task: Task) -> Tally:
    return {
        "rows": 0,
        "characters": 0,
        "licenses": [[each.license, each.tier, each.rows, each.characters] for each in task.licenses],
        "sources": [[each.source, each.rows, each.characters, None, None] for each in task.sources],
        "languages": task.languages,
        "consent": task.consent,
    }


def _negative(counted: Tally) -> Tally:
    negative: Tally = {"rows": -counted["rows"], "characters": -counted["characters"]}
    negative["licenses"] = [[*name, -rows, -characters] for *name, rows, characters in counted["licenses"]]
    negative["sources"] = [[name, -rows, -characters, None, None] for name, rows, characters, *_ in counted["sources"]]
    for name in ("languages", "consent"):
        negative[name] = {value: -count for value, count in counted[name].items()}
    return negative
