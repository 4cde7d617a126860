"""Rows: what every reader of a format gives, and how fields are found in one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class WrongFormat(ValueError):
    """A file is not of the format that the recipe says; the message says in one line what it is and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row that could be read. `number` is its place in the file, `length` its bytes where a place counts bytes."""

    number: int
    values: dict[str, Any]
    length: int | None = None


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row, or what is left of a file, that cannot be used. `reason` is a stable name.

    `known` has what could still be read of it, such as its URL; `value` and `limit` are numbers where one decided.
    """

    number: int
    reason: str
    detail: str | None = None
    length: int | None = None
    value: float | None = None
    limit: float | None = None
    known: dict[str, Any] = field(default_factory=dict)


def find_field(values: dict[str, Any], path: str) -> Any:
    """The value of a field, None where there is none. A dot leads into an object: `meta.url`."""
    if path in values:
        return values[path]
    found: Any = values
    for part in path.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(part)
    return found
