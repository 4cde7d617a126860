"""Tombstones: the ids of rows that were taken out of a release, with date and reason, and nothing else of them."""

from __future__ import annotations

import pyarrow as pa

from pipeline.files import TableWriter, open_parquet
from pipeline.release.manifest import LOCAL, TOMBSTONES
from pipeline.storage.places import Place, exists
from pipeline.takedown_list import Request, read_requests, together

SCHEMA = pa.schema([("id", pa.string()), ("date", pa.date32()), ("reason", pa.string())])


def read_tombstones(release: Place) -> pa.Table:
    """The tombstones of a release, none where nothing was taken down."""
    if not exists(release / TOMBSTONES):
        return SCHEMA.empty_table()
    with open_parquet(release / TOMBSTONES) as file:
        return file.read(SCHEMA.names).cast(SCHEMA)


def add_tombstones(release: Place, rows: pa.Table) -> None:
    """Add tombstones, sorted by id; of an id that has one the first stays."""
    known = pa.concat_tables([read_tombstones(release), rows.cast(SCHEMA)])
    first = dict(zip(reversed(known["id"].to_pylist()), range(known.num_rows - 1, -1, -1), strict=True))
    kept = known.take(pa.array(sorted(first.values()), pa.int64())).sort_by("id")
    if kept.num_rows:
        with TableWriter(release / TOMBSTONES, SCHEMA) as file:
            for batch in kept.combine_chunks().to_batches():
                file.write(batch)


def listed_for(release: Place, out: Place | None) -> list[Request]:
    """What must not come into a release: the lists of its own and of the run that it is made of."""
    return together(read_requests(release / LOCAL), read_requests(out) if out is not None else [])


def buried(release: Place) -> list[Request]:
    """The tombstones of a release as requests: what was taken down by whatever name stays out by its id."""
    return [
        Request(kind="id", value=row["id"], date=row["date"], reason=row["reason"])
        for row in read_tombstones(release).to_pylist()
    ]
