"""What every row of a release must hold: text, consent, license, cell, no name twice, and none taken down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from pipeline.files import open_parquet
from pipeline.release.lineage import COLUMNS as LINEAGE
from pipeline.release.lineage import answers_of_forbidding, is_forbidden, without_lineage
from pipeline.release.manifest import LOCAL, TOMBSTONES, Config, File, Manifest, Task
from pipeline.release.tally import Tally, add_up, license_counts, source_counts, tally
from pipeline.release.verify.findings import Findings
from pipeline.release.verify.places import PlaceChecks
from pipeline.release.verify.spool import Spool
from pipeline.storage.places import Place, exists
from pipeline.takedown_list import Takedowns, read_requests

ROWS_AT_ONCE = 2048
# The value of a row's cell, and the name of its license tier and verdicts, where the column has none.
NONE, UNKNOWN = "none", "unknown"
# What a manifest counts of a license or a source, in this order.
UNITS = ("rows", "characters", "first day", "last day")


def _rows(mask: pa.Array) -> list[int]:
    return np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False)).tolist()


def _hashes(names: list[str]) -> np.ndarray:
    return np.fromiter((xxhash.xxh64_intdigest(name.encode()) for name in names), np.uint64, len(names))


def _with_ids(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch in which a missing id is an empty one."""
    place = batch.schema.get_field_index("id")
    return batch.set_column(place, batch.schema.field(place), pc.fill_null(batch.column(place), ""))


class RowChecks:
    """The checks of rows, file after file; `finish` compares what only all of them together show."""

    def __init__(self, release: Place, manifest: Manifest, scratch: Path, found: Findings) -> None:
        self.release = release
        self.manifest = manifest
        self.found = found
        self._ids, self._hosts = Spool(scratch / "ids"), Spool(scratch / "hosts")
        self._cells = {config.name: config for config in manifest.configs if config.cells == [config.name]}
        self._tasks = {task.name: task for task in manifest.tasks}
        self._counts: dict[str, Tally] = {}
        self._places = PlaceChecks(manifest, found)
        self._takedowns = Takedowns(read_requests(release / LOCAL))
        self._gone = pa.array([], pa.string())
        if exists(release / TOMBSTONES):
            with open_parquet(release / TOMBSTONES) as file:
                self._gone = file.read(["id"]).column("id").combine_chunks().cast(pa.string())

    def file(self, number: int, file: File, path: Path) -> None:
        """Check the rows of a data file that lies at `path`."""
        cell = self._cells.get(file.config)
        task = self._tasks.get(cell.task) if cell else None
        if cell is None or task is None:
            self.found["configs"].fail(f"{file.path}: no config or task of the manifest is its own")
            return
        try:
            with pq.ParquetFile(path, memory_map=True) as parquet:
                columns = [(field.name, str(field.type)) for field in parquet.schema_arrow]
                self.found["schema"].looked_at += 1
                if columns != task.columns:
                    differing = [f"{name} {kind}" for name, kind in sorted(set(columns) ^ set(task.columns))]
                    what = ", ".join(differing[:3]) or "their order"
                    self.found["schema"].fail(f"{file.path}: its columns are not those of {task.name}: {what}")
                    return
                if lacking := [name for name in ("id", "text") if (name, "string") not in columns]:
                    self.found["schema"].fail(f"{file.path}: it has no {' and no '.join(lacking)} of type string")
                    return
                self._read(number, file, parquet, cell, task)
        except (pa.ArrowException, OSError) as error:
            self.found["counts"].fail(f"{file.path}: cannot be read: {error}")

    def _read(self, number: int, file: File, parquet: pq.ParquetFile, cell: Config, task: Task) -> None:
        rows = characters = 0
        placed = self._places.begin(file)
        for batch in parquet.iter_batches(ROWS_AT_ONCE):
            self.found["text"].looked_at += batch.num_rows
            if self._valid(file, rows, batch):
                batch = _with_ids(batch)
                characters += pc.sum(pc.utf8_length(batch.column("text"))).as_py() or 0
                self._batch(number, file, rows, batch, cell, task)
                if placed:
                    self._places.rows(file, rows, batch)
            rows += batch.num_rows
        self.found["counts"].looked_at += 1
        for what, counted, wanted in (("rows", rows, file.rows), ("characters", characters, file.characters)):
            if counted != wanted:
                self.found["counts"].fail(f"{file.path}: has {counted:,} {what}, the manifest says {wanted:,}")

    def _valid(self, file: File, start: int, batch: pa.RecordBatch) -> bool:
        try:
            batch.validate(full=True)
        except pa.ArrowInvalid as error:
            self.found["text"].fail(f"{file.path}: rows from {start} on: {error}")
            return False
        text = batch.column("text")
        empty = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(text), ""), True)
        for row in _rows(empty):
            self.found["text"].fail(f"{file.path}: row {start + row}: its text is empty")
        return True

    def _batch(self, number: int, file: File, start: int, batch: pa.RecordBatch, cell: Config, task: Task) -> None:
        ids = batch.column("id")
        names = ids.to_pylist()
        self._ids.add(_hashes(names), number, start + np.arange(len(names)))

        def fail(check: str, mask: pa.Array, what: str) -> None:
            self.found[check].looked_at += batch.num_rows
            for row in _rows(mask):
                self.found[check].fail(f"{file.path}: row {start + row} ({names[row]}): {what}")

        fail("ids", pc.equal(ids, ""), "has no id")
        for axis, value in cell.values.items():
            values = self._column(batch, axis, NONE)
            values = pc.if_else(pc.equal(values, ""), NONE, values)
            fail("cells", pc.not_equal(values, value), f"its {axis} is not {value}")
        policy = self.manifest.policy
        consent, tier = self._column(batch, "consent", UNKNOWN), self._column(batch, "license_tier", UNKNOWN)
        if not policy.refused_consent:
            fail("consent", pc.equal(consent, "refused"), "refuses training")
        if policy.license_tiers is not None:
            allowed = pa.array(policy.license_tiers, pa.string())
            fail("licenses", pc.invert(pc.is_in(tier, allowed)), "its license tier is not let in")
            if "source_license_tier" in batch.schema.names:
                of_source = self._column(batch, "source_license_tier", UNKNOWN)
                fail("licenses", pc.invert(pc.is_in(of_source, allowed)), "its source's license tier is not let in")
        if task.kind == "rewritten" and not self._lacking(task):
            fail("generators", is_forbidden(batch, answers_of_forbidding(task.recipe)), "may not be trained with")
            for what, mask in without_lineage(batch):
                fail("lineage", mask, what)
        if len(self._gone):
            fail("tombstones", pc.is_in(ids, self._gone), "was taken down")
            if "source_ids" in batch.schema.names:
                sources = batch.column("source_ids")
                of = pc.list_parent_indices(sources).filter(pc.is_in(pc.list_flatten(sources), self._gone))
                made = pc.is_in(pa.array(np.arange(batch.num_rows)), of.cast(pa.int64()))
                fail("tombstones", made, "was made of a row that was taken down")
        if self._takedowns.requests:
            fail("takedowns", pa.array(self._takedowns.find(batch) >= 0), "a request for takedown names it")
        self._hosts_of(number, start, batch)
        known = [self._counts[task.name]] if task.name in self._counts else []
        self._counts[task.name] = add_up([*known, tally(pa.Table.from_batches([batch]))])

    def _lacking(self, task: Task) -> list[str]:
        """Columns of lineage that a rewritten task lacks."""
        columns = {name for name, _ in task.columns}
        return [name for name in LINEAGE if name not in columns] if task.kind == "rewritten" else []

    def _column(self, batch: pa.RecordBatch, name: str, empty: str) -> pa.Array:
        if name not in batch.schema.names:
            return pa.array([empty] * batch.num_rows, pa.string())
        return pc.fill_null(batch.column(name).cast(pa.string()), empty)

    def _hosts_of(self, number: int, start: int, batch: pa.RecordBatch) -> None:
        if "host" not in batch.schema.names:
            return
        first: dict[str, int] = {}
        for row, host in enumerate(batch.column("host").to_pylist()):
            if host:
                first.setdefault(host, row)
        self.found["hosts"].looked_at += len(first)
        self._hosts.add(_hashes(list(first)), number, start + np.fromiter(first.values(), np.int64, len(first)))

    def finish(self) -> None:
        """Look for ids that are there twice, hosts in two splits, and sums that are off."""
        files = self.manifest.files
        # Where a rewriting fell back, its row is the source's, under its id, and both parts may hold it.
        task_of = [self._cells[file.config].task if file.config in self._cells else "" for file in files]
        for name, places in self._alike(
            self._ids, "id", lambda places: len({task_of[file] for file, _ in places}) < len(places)
        ):
            for task in sorted({task_of[file] for file, _ in places}):
                first, *others = [f"{files[file].path} row {row}" for file, row in places if task_of[file] == task]
                if others:
                    self.found["ids"].fail(f"{name}: in {first} and {', '.join(others[:3])}", len(others))
        for name, places in self._alike(
            self._hosts, "host", lambda places: len({files[f].split for f, _ in places}) > 1
        ):
            if len(splits := {files[file].split: row for file, row in places}) > 1:
                where = {files[file].split: f"{files[file].path} row {row}" for file, row in places}
                self.found["hosts"].fail(f"host {name}: {len(splits)} splits: {', '.join(where.values())}")
        for part in self.manifest.tasks:
            self._sums(part)
            if lacking := self._lacking(part):
                self.found["lineage"].fail(f"{part.name}: its rows have no {', '.join(lacking)}")

    def _alike(
        self, spool: Spool, column: str, of_interest: Callable[[list[tuple[int, int]]], bool]
    ) -> Iterator[tuple[str, list[tuple[int, int]]]]:
        """Names that stand in several rows; of equal hashes the names themselves are looked at."""
        for places in spool.groups():
            if not of_interest(places):
                continue
            by_name: dict[str, list[tuple[int, int]]] = {}
            for file, row in places:
                by_name.setdefault(self._value(file, row, column), []).append((file, row))
            yield from ((name, alike) for name, alike in by_name.items() if len(alike) > 1)

    def _value(self, file: int, row: int, column: str) -> str:
        with open_parquet(self.release / self.manifest.files[file].path) as parquet:
            for group in range(parquet.num_row_groups):
                rows = parquet.metadata.row_group(group).num_rows
                if row < rows:
                    return parquet.read_row_group(group, columns=[column]).column(column)[row].as_py() or ""
                row -= rows
        raise IndexError(row)

    def _sums(self, task: Task) -> None:
        check = self.found["sums"]
        cells = {name for name, config in self._cells.items() if config.task == task.name}
        rows = sum(file.rows for file in self.manifest.files if file.config in cells)
        left = sum(task.left_out.values())
        check.looked_at += 1
        if task.rows_in != rows + left:
            check.fail(f"{task.name}: {task.rows_in:,} rows in are not {rows:,} here and {left:,} left out")
        if task.funnel and task.funnel[-1].rows != task.rows_in:
            check.fail(f"{task.name}: its funnel ends with {task.funnel[-1].rows:,} rows, {task.rows_in:,} came in")
        said: dict[str, dict[Any, tuple[Any, ...]]] = {
            "languages": {name: (rows,) for name, rows in task.languages.items()},
            "consent": {name: (rows,) for name, rows in task.consent.items()},
            "licenses": {(each.license, each.tier): (each.rows, each.characters) for each in task.licenses},
            "sources": {each.source: (each.rows, each.characters, each.first, each.last) for each in task.sources},
        }
        counted = _by_name(self._counts.get(task.name, add_up([])))
        for what, wanted in said.items():
            check.looked_at += 1
            for name in sorted(wanted.keys() | counted[what].keys(), key=str):
                nothing: tuple[Any, ...] = (0, 0, None, None)
                pairs = zip(UNITS, counted[what].get(name, nothing), wanted.get(name, nothing), strict=False)
                for unit, here, there in (pair for pair in pairs if pair[1] != pair[2]):
                    check.fail(
                        f"{task.name}: {what}: {name} has {_said(here)} {unit}, the manifest says {_said(there)}"
                    )


def _by_name(counted: Tally) -> dict[str, dict[Any, tuple[Any, ...]]]:
    """Counts of rows as a manifest's own are compared with them: by name rows, characters, first and last day."""
    return {
        **{what: {name: (rows,) for name, rows in counted[what].items()} for what in ("languages", "consent")},
        "licenses": {(each.license, each.tier): (each.rows, each.characters) for each in license_counts(counted)},
        "sources": {
            each.source: (each.rows, each.characters, each.first, each.last) for each in source_counts(counted)
        },
    }


def _said(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value or "no")
