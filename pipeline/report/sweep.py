"""Sweep: what each limit on a signal would keep of a run, and the pages that stand on either side of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.rules import NUMBER_LIMITS, Rule, fails
from pipeline.columns import CHARACTERS, Columns, chosen_recipe, find_columns, known_types, with_limits
from pipeline.errors import UsageError
from pipeline.select_settings import unknown_signal
from pipeline.storage.places import Place

# Shares of pages at whose values limits are tried: close at the ends, where limits are set, wider in the middle.
QUANTILES = (0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)
DIGITS = 4
SAMPLE, FIRST_LETTERS = 10, 60
SEED = 1


@dataclass(frozen=True)
class Trial:
    """A limit as a rule would name it, its value, what it keeps, and whether it is the recipe's own."""

    limit: str
    value: float
    pages: int
    characters: int
    of_recipe: bool


@dataclass(frozen=True)
class Beside:
    """A page beside a limit: whether the limit keeps it, its value, and how its text begins."""

    kept: bool
    value: float
    url: str
    begins: str


@dataclass(frozen=True)
class Edge:
    """The pages nearest to a limit on either side, nearest first."""

    limit: str
    value: float
    pages: list[Beside]


@dataclass(frozen=True)
class Sweep:
    """What limits on a signal keep. `measured` is how many pages have a value; the others pass every limit."""

    recipe: str
    signal: str
    pages: int
    characters: int
    measured: int
    trials: list[Trial]
    edges: list[Edge]

    def as_record(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def sweep(out: Place, signal: str, recipe: str | None = None, limits: Sequence[float] = ()) -> Sweep:
    """Try limits on a signal over the documents of a run, `limits` or values at quantiles of it.

    Raises UsageError for a signal that is unknown, holds text or was not measured.
    """
    chosen = chosen_recipe(out, recipe)
    types = known_types(chosen.recipe)
    if signal not in types:
        raise UsageError(
            f"no numbers to sweep: {unknown_signal(signal, types)}; "
            f"columns of text have no limits, and models and lists are known to a recipe that names them (--recipe)"
        )
    chosen = with_limits(out, chosen, signal)
    columns = find_columns(out, chosen, [signal])
    tables = [table.select([signal, CHARACTERS]) for table in columns.tables()]
    values = pa.concat_tables(tables)
    column = values.column(signal).combine_chunks()
    characters = values.column(CHARACTERS).combine_chunks().to_numpy(zero_copy_only=False).astype(np.int64)
    own = [
        (limit, float(getattr(rule, limit)))
        for rule in chosen.recipe.select.rules
        if rule.signal == signal
        for limit in NUMBER_LIMITS
        if getattr(rule, limit) is not None
    ]
    directions = list(dict.fromkeys(limit for limit, _ in own)) or ["min", "max"]
    grid = sorted({float(limit) for limit in limits} or quantile_grid(column))
    trials = []
    for direction in directions:
        mine = {value for limit, value in own if limit == direction}
        for value in sorted({*grid, *mine}):
            kept = ~fails(column, _rule(signal, direction, value), direction)
            trials.append(Trial(direction, value, int(kept.sum()), int(characters[kept].sum()), value in mine))
    # Without a rule either direction has the same pages on its sides.
    given = [(direction, float(limit)) for direction in (directions if own else directions[:1]) for limit in limits]
    middle = [(directions[0], grid[len(grid) // 2])] if grid else []
    edges = [_edge(columns, column, signal, limit, value) for limit, value in given or own or middle]
    measured = len(column) - column.null_count
    return Sweep(
        chosen.recipe.name, signal, len(column), int(characters.sum()), measured, trials, [e for e in edges if e.pages]
    )


def _rule(signal: str, limit: str, value: float) -> Rule:
    limits: dict[str, Any] = {limit: value}
    return Rule(signal, **limits)


def quantile_grid(column: pa.Array) -> set[float]:
    """Values at QUANTILES of a column of numbers, to DIGITS digits or whole, so that a limit can be written down."""
    found = _finite(column)
    if not len(found):
        return set()
    if pa.types.is_integer(column.type):
        return {float(round(value)) for value in np.quantile(found, QUANTILES)}
    return {float(f"{value:.{DIGITS}g}") for value in np.quantile(found, QUANTILES)}


def _finite(column: pa.Array) -> npt.NDArray[np.float64]:
    values = column.drop_null().cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(values[np.isfinite(values)], np.float64)


def _edge(columns: Columns, column: pa.Array, signal: str, limit: str, value: float) -> Edge:
    """Pages on either side of a limit: the nearest values, and where many have one value, a drawing of fixed seed."""
    values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    kept = ~fails(column, _rule(signal, limit, value), limit)
    drawn = np.random.default_rng(SEED).permutation(len(values))
    rows: list[int] = []
    for side in (kept, ~kept):
        here = np.flatnonzero(side & np.isfinite(values))
        rows += nearest(np.abs(values[here] - value), drawn[here], here).tolist()
    pages = columns.pages(rows, ["url", "text"])
    beside = [
        Beside(bool(kept[row]), float(values[row]), page["url"], beginning(page["text"]))
        for row, page in zip(rows, pages, strict=True)
    ]
    return Edge(limit, value, beside)


def nearest(
    distance: npt.NDArray[np.float64], drawn: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Those SAMPLE of `rows` with the least distance, nearest first; among equals those that were drawn first."""
    if len(rows) > SAMPLE:
        within = distance <= np.partition(distance, SAMPLE - 1)[SAMPLE - 1]
        distance, drawn, rows = distance[within], drawn[within], rows[within]
    return rows[np.lexsort((drawn, distance))[:SAMPLE]]


def beginning(text: str) -> str:
    """The first letters of a text on one line."""
    return " ".join(text[: 2 * FIRST_LETTERS].split())[:FIRST_LETTERS]
