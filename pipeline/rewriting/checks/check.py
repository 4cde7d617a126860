"""Check: what is measured of a text that a step made, beside the one before; a row a pair. Rules decide, not checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from pipeline.rewriting.strings import whole

# The values of a column that says whether something holds. What could not be looked at is never "passed".
PASSED, FAILED, UNCHECKED = "passed", "failed", "unchecked"
YES, NO = "yes", "no"

Settings = Mapping[str, Any]


class Check(Protocol):
    """A family of columns that are measured together.

    `settings` has "language", the name of a programming language or "". `measure` gives a row for each pair, in
    order, each from its pair alone, and raises for no text.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - the class says it

    @property
    def columns(self) -> dict[str, pa.DataType]: ...  # noqa: D102

    def fingerprint(self) -> dict[str, Any]:
        """What decides the values: rule version and versions of tools; JSON values."""

    def measure(self, sources: Sequence[str], answers: Sequence[str], settings: Settings) -> pa.RecordBatch:
        """The columns of each pair."""


@dataclass(frozen=True)
class PairCheck:
    """A check by a function of one pair, which returns the columns' values in their order."""

    name: str
    columns: dict[str, pa.DataType]
    look: Callable[[str, str], tuple[Any, ...]]
    rule_version: int = 1
    versions: Callable[[], dict[str, Any]] = field(default=dict)

    def fingerprint(self) -> dict[str, Any]:
        """Rule version and versions of libraries."""
        return {"check": self.name, "rule_version": self.rule_version, **self.versions()}

    def measure(self, sources: Sequence[str], answers: Sequence[str], settings: Settings) -> pa.RecordBatch:
        """The columns of each pair."""
        return batch(self.columns, [self.look(*pair) for pair in zip(sources, answers, strict=True)])


@dataclass(frozen=True)
class BatchCheck:
    """A check by a function of all pairs and the name of their programming language."""

    name: str
    columns: dict[str, pa.DataType]
    look: Callable[[Sequence[str], Sequence[str], str], list[tuple[Any, ...]]]
    rule_version: int = 1
    versions: Callable[[], dict[str, Any]] = field(default=dict)

    def fingerprint(self) -> dict[str, Any]:
        """Rule version and versions of tools."""
        return {"check": self.name, "rule_version": self.rule_version, **self.versions()}

    def measure(self, sources: Sequence[str], answers: Sequence[str], settings: Settings) -> pa.RecordBatch:
        """The columns of each pair."""
        if len(sources) != len(answers):
            raise ValueError(f"{len(sources)} sources and {len(answers)} answers")
        return batch(self.columns, self.look(sources, answers, str(settings.get("language", ""))))


def batch(columns: dict[str, pa.DataType], rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    """Rows as a record batch."""
    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    arrays = [pa.array(each, kind) for each, kind in zip(values, columns.values(), strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def listed(items: Sequence[str]) -> str | None:
    """At most ten items for people to read, as text that Arrow takes; None for none."""
    if not items:
        return None
    text = ", ".join(items[:10]) + (f", and {len(items) - 10} more" if len(items) > 10 else "")
    return clean(text)


def clean(text: str | None) -> str | None:
    """The text without lone surrogates, which Arrow does not take."""
    return whole(text) if text is not None else None
