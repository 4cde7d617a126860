"""Signal and Group: what a measure of a document is, and which measures are made in one pass and kept in one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa


@dataclass(frozen=True)
class Signal:
    """A measure of a document: its column's name and type, its family, what it says, and whose definition it is."""

    name: str
    type: pa.DataType
    family: str
    description: str
    source: str


class Group(Protocol):
    """Signals that are measured together. Making one is cheap: models and dictionaries load with the first batch.

    `signals` are in the order of their columns; `columns` are those of the documents table that `measure` reads;
    `memory_bytes` is what a worker needs for it beside its batches.
    """

    @property
    def signals(self) -> tuple[Signal, ...]: ...  # noqa: D102 - the class says it

    @property
    def columns(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def memory_bytes(self) -> int: ...  # noqa: D102

    def fingerprint(self) -> dict[str, Any]:
        """What decides the values: rule version, settings, versions of libraries, digests of assets; JSON values.

        Raises OSError for an asset that cannot be read.
        """

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """The signals of each row of `documents`, in order, each row from itself alone."""
