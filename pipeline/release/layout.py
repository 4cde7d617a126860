"""The layout of a release: cells and their names, how many files each split has, and the configs that people load."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.errors import UsageError
from pipeline.release.manifest import Config

# Columns that may part a release: few values, none of which names a person or a site.
AXES = (
    "license_tier",
    "tier",
    "crawl",
    "license",
    "source",
    "language",
    "page_type",
    "consent",
)
NONE = "none"
LONGEST_SLUG = 80
# A partition is sorted in memory: so many bytes of Arrow data, and some times that while it is sorted and written.
SLICE_BYTES = 128_000_000
Values = tuple[str | None, ...]


@dataclass(frozen=True)
class Part:
    """A split of a cell: `files` equal ranges of the keys, each sorted in `slices` equal ranges one after the other."""

    cell: str
    values: Values
    split: str
    rows: int
    bytes: int
    files: int
    slices: int


@dataclass(frozen=True)
class Size:
    """Rows of a split of a cell, and about how many bytes they are in Parquet and in Arrow."""

    rows: int = 0
    parquet: int = 0
    arrow: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.rows + other.rows, self.parquet + other.parquet, self.arrow + other.arrow)


def slug(value: str | None) -> str:
    """A value as a part of a folder's name: other characters than A-Z a-z 0-9 . _ - become one -, no value `none`."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", value)[:LONGEST_SLUG] if value else NONE


def cell_name(task: str, values: Values) -> str:
    """The name of a cell: its task and its value on each axis."""
    return "-".join(slug(part) for part in (task, *values))


def cell_names(task: str, cells: Iterable[Values]) -> dict[Values, str]:
    """The name of each cell of a task. Raises UsageError where two would share one."""
    names: dict[Values, str] = {}
    taken: dict[str, Values] = {}
    for values in sorted(set(cells), key=_sortable):
        name = cell_name(task, values)
        if name.lower() in taken:
            raise UsageError(
                f"{_shown(taken[name.lower()])} and {_shown(values)} would both lie in data/{name}: cut by another "
                "column with --by"
            )
        names[values] = name
        taken[name.lower()] = values
    return names


def _sortable(values: Values) -> list[tuple[bool, str]]:
    return [(value is not None, value or "") for value in values]


def _shown(values: Values) -> str:
    return ", ".join("no value" if value is None else repr(value) for value in values)


def parts_of(task: str, sizes: dict[tuple[Values, str], Size], shard_bytes: int) -> list[Part]:
    """The splits of the cells of a task, in the order of their names: about `shard_bytes` of Parquet a file.

    Never more files than rows, so that small releases are not many empty files.
    """
    names = cell_names(task, (values for values, _ in sizes))
    parts = []
    for (values, split), size in sizes.items():
        files = max(1, min(size.rows, -(-size.parquet // shard_bytes)))
        slices = max(1, -(-size.arrow // (files * SLICE_BYTES)))
        parts.append(Part(names[values], values, split, size.rows, size.parquet, files, slices))
    return sorted(parts, key=lambda part: (part.cell, part.split))


def configs_of(task: str, by: Sequence[str], parts: Iterable[Part]) -> list[Config]:
    """What one name loads of a task: all of it, each value of each axis, and each cell.

    With one axis its values are the cells; with more a value's name holds its axis too.
    """
    cells = {part.cell: part.values for part in parts}
    whole = Config(name=slug(task), task=task, cells=list(cells))
    if not by:
        return [whole]
    found = [whole]
    if len(by) > 1:
        for place, axis in enumerate(by):
            for value in sorted({values[place] or "" for values in cells.values()}):
                of = [cell for cell, values in cells.items() if (values[place] or "") == value]
                found.append(Config(name=f"{slug(task)}-{axis}-{slug(value)}", task=task, cells=of))
    for cell, values in cells.items():
        named = {axis: value or NONE for axis, value in zip(by, values, strict=True)}
        found.append(Config(name=cell, task=task, values=named, cells=[cell]))
    return found


def check_names(configs: Iterable[Config]) -> None:
    """Raise UsageError where two configs share a name."""
    seen: dict[str, Config] = {}
    for config in configs:
        other = seen.get(config.name.lower())
        if other is not None:
            raise UsageError(
                f"two configs would be called {config.name} (of {other.task} and of {config.task}): cut by another "
                "column with --by, or give one of the recipes another name"
            )
        seen[config.name.lower()] = config
