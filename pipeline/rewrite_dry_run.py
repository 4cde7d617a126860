"""A dry run of rewriting: all steps over a sample in a folder of its own, and what that says of the whole."""

from __future__ import annotations

import heapq
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash
from rich.console import Console
from rich.table import Table

from pipeline.entry_pack import load_entries
from pipeline.errors import UsageError
from pipeline.files import TableWriter, read_table, write_json
from pipeline.ledger import Entry
from pipeline.progress import Progress
from pipeline.report.rewriting import StepCounts, steps_of
from pipeline.rewrite_run import RewritingRun
from pipeline.rewriting.recipe import RewritingRecipe
from pipeline.run_folder import read_run
from pipeline.runner import InProcessRunner
from pipeline.schemas import SCHEMA_VERSION
from pipeline.storage.places import Place
from pipeline.wording import counted


@dataclass(frozen=True)
class Forecast:
    """What a step would ask of all rows: tokens with twice their standard error, money, seconds as the sample took."""

    step: StepCounts
    tokens_in: tuple[float, float]
    tokens_out: tuple[float, float]
    money: float
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """The whole: rows that there are, rows that were asked about, and each step that asks."""

    recipe: str
    rows: int
    sample: int
    steps: list[Forecast]


def estimate(recipe: RewritingRecipe, out: Place, of: str | None, sample: int) -> Estimate:
    """Ask about a sample of the rows, the same ones each time. Raises UsageError where there are none."""
    record = read_run(out)
    name = of or (record or {}).get("latest")
    tables = (record or {}).get("recipes", {}).get(name, {}).get("tables", {})
    if recipe.reads not in tables:
        raise UsageError(f"{out} has no {recipe.reads} of recipe {name} yet: run it first")
    chosen, rows = sampled(out / tables[recipe.reads], sample)
    with tempfile.TemporaryDirectory(prefix="kamisuki-dry-run-") as scratch:
        there = Path(scratch)
        copy_rows(out / tables[recipe.reads], chosen, there, recipe.reads)
        RewritingRun(recipe, there, InProcessRunner(), _Silent(there)).execute()
        record = read_run(there)
        steps = steps_of(there, recipe.name)
        forecasts = [_forecast(recipe, there, step, rows, len(chosen)) for step in steps if step.kind == "ask"]
    return Estimate(recipe.name, rows, len(chosen), forecasts)


def sampled(folder: Place, most: int) -> tuple[list[tuple[int, str, int]], int]:
    """Of the rows of a table `most` by the hashes of their ids (hash, shard, place), and how many rows there are.

    Raises UsageError where there are none.
    """
    chosen: list[tuple[int, str, int]] = []
    rows = 0
    for shard in sorted(entry.shard for entry in load_entries(folder)):
        for place, key in enumerate(read_table(folder / f"{shard}.parquet", columns=["id"]).column(0).to_pylist()):
            item = (-xxhash.xxh3_64_intdigest(key.encode()), shard, place)
            (heapq.heappush if len(chosen) < most else heapq.heappushpop)(chosen, item)
            rows += 1
    if not rows:
        raise UsageError(f"{folder} has no rows")
    return chosen, rows


def copy_rows(folder: Place, chosen: list[tuple[int, str, int]], there: Path, table: str) -> None:
    """The chosen rows of a folder as the one shard of `table` of a run `sample` in a new OUT folder."""
    name = f"{table}-sample"
    pieces = []
    for shard in sorted({shard for _, shard, _ in chosen}):
        places = sorted(row for _, of, row in chosen if of == shard)
        pieces.append(read_table(folder / f"{shard}.parquet").take(pa.array(places)))
    rows = pa.concat_tables(pieces).combine_chunks()
    (there / name).mkdir(parents=True)
    entry = Entry("sample", "sample", read=rows.num_rows, written=rows.num_rows)
    with TableWriter(there / name / "sample.parquet", rows.schema) as out:
        for batch in rows.to_batches():
            out.write(batch)
    entry.output(table, out.written())
    entry.save(there / name)
    run = {"recipe": {"name": "sample"}, "tables": {table: name}, "waived": {}}
    write_json(there / "run.json", {"schema_version": SCHEMA_VERSION, "recipes": {"sample": run}, "latest": "sample"})


def _forecast(recipe: RewritingRecipe, there: Path, step: StepCounts, rows: int, sample: int) -> Forecast:
    record = read_run(there) or {}
    folder = there / record["rewriting"][recipe.name]["tables"][f"produced_{recipe.name}_{step.name}"]
    table = read_table(folder / "sample.parquet", columns=["tokens_in", "tokens_out"])
    scale = rows / sample

    def whole(name: str, total: int) -> tuple[float, float]:
        # Rows that an earlier step dropped count as 0 tokens: they are a part of what the sample tells.
        values = np.zeros(sample)
        values[: table.num_rows] = table.column(name).to_numpy()
        return total * scale, 2 * float(values.std(ddof=1) if sample > 1 else 0.0) * rows / sample**0.5

    return Forecast(
        step,
        whole("tokens_in", step.tokens_in),
        whole("tokens_out", step.tokens_out),
        step.money * scale,
        step.seconds * scale,
    )


class _Silent(Progress):
    def say(self, line: str) -> None:
        """Nothing: the sample's own steps are nobody's concern."""


def print_estimate(console: Console, found: Estimate) -> None:
    """The estimate as a table."""
    console.print(
        f"{found.recipe}: {found.sample:,} of {counted(found.rows, 'row')} asked about; all of them would take"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("step")
    for name in ("tokens in", "tokens out", "cost", "hours, one worker", "answered of the sample"):
        table.add_column(name, justify="right")
    for each in found.steps:
        counts = [f"{value:,.0f} ± {error:,.0f}" for value, error in (each.tokens_in, each.tokens_out)]
        answered = f"{each.step.outcomes.get('answered', 0)} of {sum(each.step.outcomes.values())}"
        table.add_row(each.step.name, *counts, f"{each.money:,.2f}", f"{each.seconds / 3600:,.2f}", answered)
    console.print(table)
