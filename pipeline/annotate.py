"""Annotate: documents in, one row of signals for each out, in the same order; a table for each group of signals."""

from __future__ import annotations

import time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from filters.assets import AssetChanged
from filters.groups import make_group
from pipeline.errors import KamisukiError, UsageError
from pipeline.files import TableWriter, read_batches
from pipeline.ledger import Entry
from pipeline.schemas import signals_schema
from pipeline.signal_tables import GroupSettings
from pipeline.storage.places import as_place

RULE_VERSION = 1
# Of the worker and the batches it reads; a group says what it needs beside.
MEMORY_BYTES = 700_000_000


def fingerprint(chosen: GroupSettings) -> dict[str, Any]:
    """What decides the signals of a group. Raises UsageError when something that it needs is not there."""
    try:
        decided_by = make_group(chosen.kind, chosen.settings).fingerprint()
    except ValueError as error:
        raise UsageError(str(error)) from None
    return {"rule_version": RULE_VERSION, "kind": chosen.kind, "decided_by": decided_by}


def memory_bytes(chosen: GroupSettings) -> int:
    """What a worker needs that measures a group."""
    return MEMORY_BYTES + make_group(chosen.kind, chosen.settings).memory_bytes


def annotate_shard(
    shard: str, documents: str, folder: str, inputs: list[dict[str, Any]], kind: str, settings: dict[str, Any]
) -> dict[str, Any]:
    """Measure one shard: `documents` is its file, `folder` gets the signals of the group of `kind` and `settings`."""
    started = time.perf_counter()
    entry = Entry(shard, "annotate", inputs=inputs)
    group = make_group(kind, settings)
    schema = signals_schema([(signal.name, signal.type) for signal in group.signals])
    columns = ["id", *(name for name in group.columns if name != "id")]
    with TableWriter(as_place(folder) / f"{shard}.parquet", schema) as out:
        for batch in read_batches(as_place(documents), columns):
            try:
                signals = group.measure(batch)
            except AssetChanged as error:
                raise KamisukiError(str(error)) from None
            out.write(pa.RecordBatch.from_arrays([batch.column("id"), *signals.columns], schema=schema))
            entry.read += batch.num_rows
            entry.written += batch.num_rows
            if "characters" in signals.schema.names:
                entry.characters_in += pc.sum(signals.column("characters")).as_py() or 0
    entry.characters_out = entry.characters_in
    entry.output("signals", out.written())
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__
