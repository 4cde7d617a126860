"""Compare: what the rules of two recipes keep of the documents of one run, why, and a sample of each side."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from filters.rules import judge
from pipeline.columns import CHARACTERS, Chosen, Columns, chosen_recipe, find_columns, with_limits
from pipeline.errors import UsageError
from pipeline.report.sweep import SAMPLE, SEED, beginning
from pipeline.storage.places import Place

# Who keeps a page, as a number: 1 for the first recipe, plus 2 for the second.
NEITHER, FIRST, SECOND, BOTH = range(4)


@dataclass(frozen=True)
class Reason:
    """Why a recipe drops what the other keeps: a reason, with pages and characters."""

    reason: str
    pages: int
    characters: int


@dataclass(frozen=True)
class Example:
    """A page that one recipe keeps: why the other drops it, the value that decided, and how its text begins."""

    reason: str
    value: float | str | None
    url: str
    begins: str


@dataclass(frozen=True)
class Side:
    """What only `kept_by` keeps, the reasons that `dropped_by` gives (most pages first), and a sample."""

    kept_by: str
    dropped_by: str
    reasons: list[Reason]
    sample: list[Example]


@dataclass(frozen=True)
class Comparison:
    """Pages and characters by who keeps them (both, first, second, neither), and both sides of the difference."""

    first: str
    second: str
    pages: dict[str, int]
    characters: dict[str, int]
    sides: list[Side]

    def as_record(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    def overlap(self) -> float:
        """The share of pages kept by both, of those kept by one or the other."""
        return self.pages["both"] / max(1, self.pages["both"] + self.pages["first"] + self.pages["second"])


@dataclass
class _Found:
    """What is known so far: counts by keeper, counts by keeper and reason, and the rows of each side."""

    counts: Counter[tuple[int, str, str]]
    rows: dict[int, list[np.ndarray]]
    reasons: dict[int, list[pa.Array]]
    values: dict[int, list[pa.Table]]


def compare(out: Place, first: str, second: str) -> Comparison:
    """Judge the documents of a run by the rules of two recipes; duplicates are not looked at, and nothing is written.

    Raises UsageError when the recipes do not share documents or a signal was not measured.
    """
    chosen = [with_limits(out, chosen_recipe(out, name)) for name in (first, second)]
    columns = [find_columns(out, each, [rule.signal for rule in each.recipe.select.active_rules()]) for each in chosen]
    if columns[0].documents != columns[1].documents:
        raise UsageError(
            f"{first} and {second} read pages in different ways (extract), so that no document is the same: "
            "compare recipes with one extract section"
        )
    found = _judged(chosen, columns)
    names = ("neither", "first", "second", "both")
    totals = {
        unit: {name: found.counts[keeper, unit, ""] for keeper, name in enumerate(names)}
        for unit in ("pages", "characters")
    }
    sides = [
        _side(columns[0], found, FIRST, chosen[0].recipe.name, chosen[1].recipe.name),
        _side(columns[0], found, SECOND, chosen[1].recipe.name, chosen[0].recipe.name),
    ]
    return Comparison(chosen[0].recipe.name, chosen[1].recipe.name, totals["pages"], totals["characters"], sides)


def _judged(chosen: list[Chosen], columns: list[Columns]) -> _Found:
    empty: tuple[dict[int, list[Any]], ...] = tuple({FIRST: [], SECOND: []} for _ in range(3))
    found = _Found(Counter(), *empty)
    rules = [each.recipe.select.active_rules() for each in chosen]
    start = 0
    for tables in zip(*(each.tables() for each in columns), strict=True):
        verdicts = [judge(table, mine) for table, mine in zip(tables, rules, strict=True)]
        characters = tables[0].column(CHARACTERS).combine_chunks().to_numpy(zero_copy_only=False)
        passed = [verdict.passed.to_numpy(zero_copy_only=False) for verdict in verdicts]
        keeper = passed[0] * FIRST + passed[1] * SECOND
        for one in (NEITHER, FIRST, SECOND, BOTH):
            here = keeper == one
            found.counts[one, "pages", ""] += int(here.sum())
            found.counts[one, "characters", ""] += int(characters[here].sum())
        for one, dropped in ((FIRST, verdicts[1]), (SECOND, verdicts[0])):
            here = np.flatnonzero(keeper == one)
            taken = pa.array(here)
            reasons = dropped.reason.take(taken)
            table = pa.table({"reason": reasons, "characters": characters[here]})
            counted = table.group_by("reason").aggregate([("characters", "count"), ("characters", "sum")])
            for row in counted.to_pylist():
                found.counts[one, "pages", row["reason"]] += row["characters_count"]
                found.counts[one, "characters", row["reason"]] += row["characters_sum"]
            found.rows[one].append(here + start)
            found.reasons[one].append(reasons)
            numbers, texts = dropped.value.take(taken), dropped.value_text.take(taken)
            found.values[one].append(pa.table({"number": numbers, "text": texts}))
        start += len(characters)
    return found


def _side(columns: Columns, found: _Found, keeper: int, kept_by: str, dropped_by: str) -> Side:
    reasons = [
        Reason(reason, count, found.counts[keeper, "characters", reason])
        for (one, unit, reason), count in found.counts.items()
        if one == keeper and unit == "pages" and reason
    ]
    rows = np.concatenate(found.rows[keeper]) if found.rows[keeper] else np.zeros(0, np.int64)
    drawn = np.sort(np.random.default_rng(SEED).permutation(len(rows))[:SAMPLE])
    pages = columns.pages(rows[drawn].tolist(), ["url", "text"])
    sample = []
    if len(drawn):
        taken = pa.array(drawn)
        given = pa.chunked_array(found.reasons[keeper]).take(taken).to_pylist()
        values = pa.concat_tables(found.values[keeper]).take(taken).to_pylist()
        for reason, value, page in zip(given, values, pages, strict=True):
            decided = value["text"] if value["number"] is None else value["number"]
            sample.append(Example(reason, decided, page["url"], beginning(page["text"])))
    reasons.sort(key=lambda each: (-each.pages, each.reason))
    return Side(kept_by, dropped_by, reasons, sample)
