"""The tasks of a takedown: finding the rows of one data file that requests name, writing a file without some rows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.files import TableWriter, open_parquet, parquet_files, read_batches, read_table
from pipeline.ledger import Entry
from pipeline.release.tally import COUNTED, DATED, Days, add_up, days, tally, together_days
from pipeline.storage.places import Place, as_place, tree_sizes
from pipeline.takedown_list import MATCHED_BY, TAKEN_DOWN, Request, Takedowns, takedowns_in

MEMORY_BYTES = 1_000_000_000
# Tables of a run that name pages, and those that name what was made of them, by the beginnings of their folders' names.
OF_PAGES, MADE_OF_PAGES = ("documents-", "corpus-"), ("rewritten_",)
FOUND = pa.schema([("id", pa.string()), ("request", pa.int32())])


def named_rows(
    path: Place, listed: Takedowns, also: dict[str, int], more: tuple[str, ...] = ()
) -> Iterator[tuple[int, pa.Table, np.ndarray]]:
    """The row groups of a Parquet file: number, the columns that rows are matched by and `more` of those it has, and
    for each row the number of the request that names it, or -1."""
    with open_parquet(path) as file:
        columns = [name for name in file.schema_arrow.names if name in {*MATCHED_BY, *more}]
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, columns=columns)
            yield group, rows, listed.find(rows, also)


def rows_named(out: Place, tables: tuple[str, ...], listed: Takedowns, also: dict[str, int]) -> dict[str, int]:
    """The rows that are named in tables of a run, which are given by the beginnings of their folders' names: by id the
    number of the request."""
    found: dict[str, int] = {}
    folders = {path.partition("/")[0] for path in tree_sizes(out) if path.endswith(".parquet")}
    for folder in sorted(folder for folder in folders if folder.startswith(tables)):
        for name in parquet_files(out / folder):
            for _, rows, numbers in named_rows(out / folder / name, listed, also):
                gone = numbers >= 0
                found |= zip(rows["id"].filter(pa.array(gone)).to_pylist(), numbers[gone].tolist(), strict=True)
    return found


def pages_named(out: Place, requests: Sequence[Request]) -> list[Request]:
    """The pages of a run that requests name, each by its id: what was made of a page that a release does not hold, and
    that only the page's own canonical URL names, is found by it."""
    found = rows_named(out, OF_PAGES, Takedowns(requests), {}) if requests else {}
    return [
        requests[number].model_copy(update={"kind": "id", "value": key, "since": None}) for key, number in found.items()
    ]


def find_in_file(
    shard: str, release: str, path: str, listed: str, also: str | None, folder: str, inputs: list[dict[str, Any]]
) -> dict[str, Any]:
    """Find the rows of one data file that the list in the folder `listed` names, or that were made of a row of the
    file `also`; count them, and the days of those that stay."""
    started = time.perf_counter()
    entry = Entry(shard, "takedown: find", inputs=inputs)
    requests, sources = takedowns_in(listed), read_found(as_place(also)) if also else {}
    place = as_place(release) / path
    kept: Days = {}
    tallies, found = [], []
    for group, rows, numbers in named_rows(place, requests, sources, DATED):
        gone = pa.array(numbers >= 0)
        entry.read += rows.num_rows
        kept = together_days(kept, days(rows.filter(pc.invert(gone))))
        if pc.any(gone).as_py():
            found.append(pa.table([rows.filter(gone)["id"], numbers[numbers >= 0]], names=FOUND.names).cast(FOUND))
            tallies.append(tally(_group(place, group).filter(gone)))
    counted = add_up(tallies)
    if found:
        rows = pa.concat_tables(found)
        with TableWriter(as_place(folder) / f"{shard}.parquet", FOUND) as out:
            for batch in rows.combine_chunks().to_batches():
                out.write(batch)
        entry.output("found", out.written())
        entry.reject(TAKEN_DOWN, counted["characters"], rows.num_rows)
        entry.notes["requests"] = {str(number): count for number, count in _counts(rows["request"]).items()}
    entry.written = entry.read - counted["rows"]
    entry.notes |= {"tally": counted, "days": kept}
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


def _group(place: Place, group: int) -> pa.Table:
    with open_parquet(place) as file:
        columns = [name for name in file.schema_arrow.names if name in COUNTED]
        return file.read_row_group(group, columns=columns)


def _counts(numbers: pa.ChunkedArray) -> dict[int, int]:
    return {row["values"]: row["counts"] for row in pc.value_counts(numbers).to_pylist()}


def read_found(path: Place) -> dict[str, int]:
    """By id the number of its request, as `find_in_file` wrote them."""
    table = read_table(path)
    return dict(zip(table["id"].to_pylist(), table["request"].to_pylist(), strict=True))


def write_without(
    shard: str, release: str, path: str, found: str, folder: str, inputs: list[dict[str, Any]]
) -> dict[str, Any]:
    """Write one data file anew without the rows of the file `found`; of a file that was written so already the same
    bytes come again."""
    started = time.perf_counter()
    entry = Entry(shard, "takedown: write", inputs=inputs)
    place = as_place(release) / path
    ids = read_table(as_place(found), ["id"])["id"].combine_chunks()
    with open_parquet(place) as file:
        schema = file.schema_arrow
    with TableWriter(place, schema) as out:
        for batch in read_batches(place):
            entry.read += batch.num_rows
            gone = pc.is_in(batch.column("id"), ids)
            count = pc.sum(gone).as_py() or 0
            if count:
                entry.reject(TAKEN_DOWN, count=count)
                batch = batch.filter(pc.invert(gone))
            out.write(batch)
    entry.written = out.rows
    folder_of_file, _, name = path.rpartition("/")
    entry.outputs["data"] = {
        "folder": folder_of_file, "file": name, "rows": out.rows, "bytes": out.bytes, "digest": out.digest,
    }  # fmt: skip
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__
