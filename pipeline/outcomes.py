"""Outcomes: what becomes of each record or row that a first stage reads, counted and written."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa
import xxhash

from pipeline.files import TableWriter
from pipeline.ledger import Entry
from pipeline.runner import Stopwatch
from pipeline.schemas import DOCUMENTS, EXTRACT_REJECTS
from pipeline.storage.places import Place

ROWS_IN_MEMORY = 500
CHARACTERS_IN_MEMORY = 16_000_000
TIME_LIMITS = ("extraction_cpu_limit", "extraction_wall_limit")


class Reject(NamedTuple):
    """Why a record made no document, and where it lies. `value` and `limit` are numbers where a number decided.

    Its fields are the columns of the rejects table of extract and ingest.
    """

    id: str
    url: str | None
    reason: str
    value: float | None
    limit: float | None
    detail: str | None
    warc_file: str
    warc_offset: int
    warc_length: int | None
    stage: str = "extract"


Outcome = dict[str, Any] | Reject


class OutcomeWriter:
    """Writes a shard's documents and rejects and counts them in its entry; at most ROWS_IN_MEMORY rows are held.

    `count_reject` counts one in the entry; of rejects the share `rejects_kept` is written, chosen by id.
    """

    def __init__(
        self,
        entry: Entry,
        watch: Stopwatch,
        documents: Place,
        rejects: Place,
        rejects_kept: float,
        count_reject: Callable[[Entry, Reject], None],
    ) -> None:
        self._entry, self._watch = entry, watch
        self._kept, self._count = rejects_kept, count_reject
        self._rows: list[dict[str, Any]] = []
        self._rejects: list[Reject] = []
        self._flushed = 0
        name = f"{entry.shard}.parquet"
        with contextlib.ExitStack() as stack:
            self._documents_out = stack.enter_context(TableWriter(documents / name, DOCUMENTS))
            self._rejects_out = stack.enter_context(TableWriter(rejects / name, EXTRACT_REJECTS))
            self._stack = stack.pop_all()

    def __enter__(self) -> OutcomeWriter:
        return self

    def add(self, outcome: Outcome) -> None:
        """Take the outcome of one record or row."""
        if isinstance(outcome, Reject):
            self._count(self._entry, outcome)
            if outcome.reason in TIME_LIMITS:
                # Time is no deterministic limit: what met it is named, so that a difference can be explained.
                named = {"id": outcome.id, "url": outcome.url, "reason": outcome.reason}
                self._entry.notes.setdefault("time_limited", []).append(named)
            if _is_kept(outcome.id, self._kept):
                self._rejects.append(outcome)
        else:
            self._entry.written += 1
            self._entry.characters_out += len(outcome["text"])
            self._rows.append(outcome)
        held = self._entry.characters_out - self._flushed
        if held >= CHARACTERS_IN_MEMORY or len(self._rows) + len(self._rejects) >= ROWS_IN_MEMORY:
            clock = time.perf_counter()
            self._flush()
            self._watch.time("write", clock)

    def _flush(self) -> None:
        self._flushed = self._entry.characters_out
        self._documents_out.write_rows(self._rows)
        if self._rejects:
            columns = dict(zip(Reject._fields, zip(*self._rejects, strict=True), strict=True))
            self._rejects_out.write(pa.RecordBatch.from_pydict(columns, schema=EXTRACT_REJECTS))
        self._rows, self._rejects = [], []

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool | None:
        if error is None:
            try:
                self._flush()
            except BaseException as failure:
                self._stack.__exit__(type(failure), failure, failure.__traceback__)
                raise
        closed = self._stack.__exit__(kind, error, trace)
        if error is None:
            self._entry.output("documents", self._documents_out.written())
            self._entry.output("rejects", self._rejects_out.written())
        return closed


def _is_kept(key: str, share: float) -> bool:
    """Whether a reject's row is kept: by its id, so that every run keeps the same ones."""
    return share >= 1.0 or xxhash.xxh3_64_intdigest(key.encode()) < share * 2**64
