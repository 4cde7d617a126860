"""What rewriting did, from ledger and tables: a line a step with reasons and tokens, drift, pairs side by side."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from rich.console import Console
from rich.table import Table

from pipeline.entry_pack import load_entries
from pipeline.errors import UsageError
from pipeline.files import aligned_batches, read_table
from pipeline.rewriting.recipe import RewritingRecipe
from pipeline.run_folder import REWRITINGS, read_run
from pipeline.storage.places import Place

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class StepCounts:
    """A step: rows in, rows out, those that fell back to another text, dropped ones by reason, and what it cost."""

    name: str
    kind: str
    rows_in: int
    rows_out: int
    fell_back: int
    dropped: dict[str, int]
    outcomes: dict[str, int]
    tokens_in: int = 0
    tokens_out: int = 0
    from_cache: int = 0
    money: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Pair:
    """A text before and after a step, and what was measured of the pair."""

    step: str
    id: str
    url: str | None
    before: str
    after: str
    measured: dict[str, Any]


@dataclass(frozen=True)
class Report:
    """All of a report. `passed` are by step and column the counts of each word; `drift` quantiles of numbers."""

    recipe: str
    steps: list[StepCounts]
    passed: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    drift: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)

    def as_record(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def known_rewriting(out: Place, name: str | None) -> tuple[RewritingRecipe, dict[str, str]]:
    """A rewriting recipe that ran in OUT and its folders. Raises UsageError with the names that there are."""
    known = (read_run(out) or {}).get(REWRITINGS, {})
    if not known:
        raise UsageError(f"nothing was rewritten in {out} yet: run kamisuki rewrite")
    if name is None and len(known) > 1:
        raise UsageError(f"several rewritings are in {out}: choose one with --recipe: {', '.join(known)}")
    chosen = name or next(iter(known))
    if chosen not in known:
        raise UsageError(f"no rewriting {chosen!r} in {out}; there are: {', '.join(known)}")
    return RewritingRecipe.model_validate(known[chosen]["recipe"]), known[chosen]["tables"]


def steps_of(out: Place, name: str | None) -> list[StepCounts]:
    """What each step that ran did, in order."""
    recipe, tables = known_rewriting(out, name)
    found = []
    for step in recipe.steps:
        table = f"rewritten_{recipe.name}_{step.name}"
        if table not in tables:
            continue
        entries = load_entries(out / tables[table])
        dropped: Counter[str] = Counter()
        for entry in entries:
            dropped.update(entry.rejected)
        asked = [
            entry
            for key, folder in tables.items()
            if key.startswith(f"produced_{recipe.name}_{step.name}") and _is_attempt(key, recipe.name, step.name)
            for entry in load_entries(out / folder)
        ]
        outcomes: Counter[str] = Counter()
        tokens: Counter[str] = Counter()
        for entry in asked:
            outcomes.update(entry.notes.get("outcomes", {}))
            tokens.update(entry.notes.get("tokens", {}))
        money = (tokens["in"] * recipe.prices.prompt + tokens["out"] * recipe.prices.answer) / 1e6
        found.append(
            StepCounts(
                name=step.name,
                kind="ask" if step.ask else "transform" if step.transform else "measure",
                rows_in=sum(entry.read for entry in entries),
                rows_out=sum(entry.written for entry in entries),
                fell_back=sum(entry.notes.get("fell_back", 0) for entry in entries),
                dropped=dict(dropped.most_common()),
                outcomes=dict(outcomes.most_common()),
                tokens_in=tokens["in"],
                tokens_out=tokens["out"],
                from_cache=tokens["from_cache"],
                money=money,
                seconds=sum(entry.seconds for entry in asked),
            )
        )
    return found


def _is_attempt(key: str, recipe: str, step: str) -> bool:
    rest = key.removeprefix(f"produced_{recipe}_{step}")
    return not rest or (rest[0] == "_" and rest[1:].isdigit())


def report_of(out: Place, name: str | None, pairs: int) -> Report:
    """The whole report; pairs are drawn by the hash of their ids, the same ones each time."""
    recipe, tables = known_rewriting(out, name)
    report = Report(recipe.name, steps_of(out, recipe.name))
    before = "rows"
    drawn: list[Pair] = []
    for step in recipe.steps:
        key = f"rewritten_{recipe.name}_{step.name}"
        if key not in tables:
            break
        measured = [
            out / tables[f"measured_{recipe.name}_{step.name}"] / f"{shard}.parquet"
            for shard in _shards(out / tables[key])
        ]
        words, numbers = _told(measured)
        report.passed[step.name] = words
        report.drift[step.name] = numbers
        if step.changes_text():
            produced = out / tables[f"produced_{recipe.name}_{step.name}"]
            drawn += _pairs(step.name, out / tables[before], produced, measured, pairs)
        before = key
    share = -(-pairs // max(1, len({pair.step for pair in drawn}))) if pairs else 0
    taken: Counter[str] = Counter()
    for pair in drawn:
        if taken[pair.step] < share and len(report.pairs) < pairs:
            report.pairs.append(pair)
            taken[pair.step] += 1
    return report


def _shards(folder: Place) -> list[str]:
    return sorted(entry.shard for entry in load_entries(folder))


def _told(files: list[Place]) -> tuple[dict[str, dict[str, int]], dict[str, list[float]]]:
    """Of the columns of words how often each stands there, of numbers their quantiles; other columns are left out."""
    words: dict[str, Counter[str]] = {}
    numbers: dict[str, list[np.ndarray]] = {}
    for file in files:
        table = read_table(file)
        for name in table.schema.names:
            column = table.column(name).drop_null()
            if name == "id" or not len(column):
                continue
            if pa.types.is_boolean(column.type) or pa.types.is_string(column.type):
                counted = pc.value_counts(column.cast(pa.string())).to_pylist()
                words.setdefault(name, Counter()).update({item["values"]: item["counts"] for item in counted})
            elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
                numbers.setdefault(name, []).append(column.cast(pa.float64()).to_numpy())
    # A column of free words has as many values as rows: it tells nothing in a table.
    few = {name: dict(counted.most_common()) for name, counted in words.items() if len(counted) <= 12}
    return few, {name: np.quantile(np.concatenate(found), QUANTILES).tolist() for name, found in numbers.items()}


def _pairs(step: str, rows: Place, produced: Place, measured: list[Place], most: int) -> list[Pair]:
    """The pairs with the smallest hashes of their ids; texts are read some at a time, and only those drawn are made."""
    if not most:
        return []
    kept: list[tuple[int, str, Pair]] = []
    for file in measured:
        tables: list[tuple[Place, list[str] | None]] = [
            (rows / file.name, ["id", "url", "text"]),
            (produced / file.name, ["text"]),
            (file, None),
        ]
        for before, after, measures in aligned_batches(tables, rows=256):
            for row, id_ in enumerate(before.column("id").to_pylist()):
                order = -xxhash.xxh3_64_intdigest(id_.encode())
                if len(kept) == most and (order, id_) < kept[0][:2]:
                    continue
                made = after.column("text")[row].as_py()
                if made is None:
                    continue
                source = before.slice(row, 1).to_pylist()[0]
                told = {name: value for name, value in measures.slice(row, 1).to_pylist()[0].items() if name != "id"}
                pair = Pair(step, id_, source["url"], source["text"], made, told)
                (heapq.heappush if len(kept) < most else heapq.heappushpop)(kept, (order, id_, pair))
    return [pair for _, _, pair in sorted(kept, key=lambda entry: entry[:2], reverse=True)]


def print_steps(console: Console, steps: list[StepCounts]) -> None:
    """A line a step: rows, what fell back or was dropped and why, tokens and cost."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("step")
    for name in ("rows in", "out", "fell back", "dropped", "tokens in", "tokens out", "from cache", "cost"):
        table.add_column(name, justify="right")
    for step in steps:
        gone = sum(step.dropped.values())
        counts = (step.rows_in, step.rows_out, step.fell_back, gone, step.tokens_in, step.tokens_out, step.from_cache)
        table.add_row(step.name, *(f"{count:,}" for count in counts), f"{step.money:,.4f}", style="bold")
        for reason, count in step.dropped.items():
            table.add_row(f"  {reason}", "", "", "", f"-{count:,}", "", "", "", "")
        for reason, count in step.outcomes.items():
            if reason not in ("answered", "transformed") and reason not in step.dropped:
                table.add_row(f"  {reason}", "", "", f"{count:,}", "", "", "", "", "")
    console.print(table)


def print_report(console: Console, report: Report) -> None:
    """The report on a terminal."""
    print_steps(console, report.steps)
    for step in report.steps:
        for name, words in report.passed.get(step.name, {}).items():
            console.print(f"{step.name} {name}: " + ", ".join(f"{word} {count:,}" for word, count in words.items()))
        for name, found in report.drift.get(step.name, {}).items():
            values = "  ".join(f"{share:.0%} {value:.3g}" for share, value in zip(QUANTILES, found, strict=True))
            console.print(f"{step.name} {name}: {values}")
    for number, pair in enumerate(report.pairs, 1):
        console.print(
            f"\n--- {number}. {pair.step} {pair.url or pair.id} {pair.measured}", style="bold", soft_wrap=True
        )
        columns = Table.grid(padding=(0, 2), expand=True)
        columns.add_column(ratio=1)
        columns.add_column(ratio=1)
        columns.add_row(pair.before[:1500], pair.after[:1500])
        console.print(columns)
