"""Columns of a run: where each column of its documents lies, read by projection; an error names what would make one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.assets import read_asset
from pipeline.entry_pack import load_entries
from pipeline.errors import UsageError
from pipeline.files import open_parquet
from pipeline.host_rates_stage import HOST_TABLE
from pipeline.quantiles import value_at
from pipeline.recipe import Recipe, find_recipe, load_recipe, recorded_recipe
from pipeline.run_folder import read_run
from pipeline.schemas import DOCUMENTS, SELECTABLE_DOCUMENT_COLUMNS, SELECTABLE_ROBOTS_COLUMNS
from pipeline.select_settings import HOST_PREFIX, RuleModel
from pipeline.signal_tables import needed, signal_tables
from pipeline.stages import documents_made_by, signals_made_by
from pipeline.steps import folder_name
from pipeline.storage.places import Place, open_seekable

# Every look at a choice counts characters beside pages.
CHARACTERS = "characters"


@dataclass(frozen=True)
class Chosen:
    """A recipe, and what `kamisuki run` takes to run it again."""

    recipe: Recipe
    argument: str


@dataclass(frozen=True)
class Columns:
    """Where the columns of a run's documents lie: by folder of OUT those to read of it; all have the same shards."""

    out: Place
    documents: str
    by_folder: dict[str, tuple[str, ...]]
    shards: tuple[str, ...]

    def rows(self) -> list[int]:
        """Of each shard how many documents it has."""
        rows = []
        for shard in self.shards:
            with open_seekable(self.out / self.documents / f"{shard}.parquet") as file:
                rows.append(pq.read_metadata(file).num_rows)
        return rows

    def read(self, shard: str) -> pa.Table:
        """The columns of a shard, a row a document. Raises UsageError where its tables differ in rows."""
        found: dict[str, pa.ChunkedArray] = {}
        for folder, names in self.by_folder.items():
            with open_parquet(self.out / folder / f"{shard}.parquet") as file:
                table = file.read(columns=list(names))
            found |= {name: table.column(name) for name in names}
        try:
            return pa.table(found)
        except pa.ArrowInvalid:
            raise UsageError(
                f"the tables of shard {shard} in {self.out} differ in rows: run the recipe again"
            ) from None

    def tables(self) -> Iterator[pa.Table]:
        """The columns of every shard, shard after shard."""
        return (self.read(shard) for shard in self.shards)

    def pages(self, rows: Sequence[int], names: Sequence[str]) -> list[dict[str, Any]]:
        """These columns of the documents table for rows counted over all shards, in the order given.

        Only the row groups that hold one of the rows are read.
        """
        starts = np.cumsum([0, *self.rows()])
        found: dict[int, dict[str, Any]] = {}
        wanted = np.unique(np.asarray(rows, np.int64))
        for shard, start, end in zip(self.shards, starts, starts[1:], strict=False):
            here = wanted[(wanted >= start) & (wanted < end)] - start
            if len(here):
                path = self.out / self.documents / f"{shard}.parquet"
                found |= {int(start) + row: page for row, page in rows_of(path, here, names)}
        return [found[row] for row in rows]


def rows_of(path: Place, rows: npt.NDArray[np.int64], names: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """These columns of some rows of a Parquet file, by row; only the row groups that hold one are read."""
    with open_parquet(path) as file:
        start = 0
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            here = rows[(rows >= start) & (rows < end)]
            if len(here):
                table = file.read_row_group(group, columns=list(names)).take(pa.array(here - start))
                yield from zip(here.tolist(), table.to_pylist(), strict=True)
            start = end


def chosen_recipe(out: Place, name_or_path: str | None) -> Chosen:
    """A recipe that ran in OUT by its name, a YAML file, or a shipped recipe; by default the one that ran last.

    Raises UsageError when OUT holds no run or there is no such recipe.
    """
    record = read_run(out)
    if record is None:
        raise UsageError(f"{out} holds no run: give the OUT folder of `kamisuki run`")
    name = record["latest"] if name_or_path is None else name_or_path
    if name in record["recipes"] and not Path(name).is_file():
        return Chosen(recorded_recipe(out, record, name), str(out / "recipes" / f"{name}.yaml"))
    return Chosen(load_recipe(find_recipe(name)), name)


def find_columns(out: Place, chosen: Chosen, names: Iterable[str]) -> Columns:
    """Where the columns `names` of the documents of a recipe lie in OUT, and that of the characters.

    Raises UsageError for columns that nobody has made yet, naming the command that makes them.
    """
    recipe = chosen.recipe
    names = {CHARACTERS, *names}
    groups = recipe.annotate.groups(read_asset, needed(recipe.annotate.groups(), names))
    documents = folder_name("documents", documents_made_by(recipe))
    shards = tuple(entry.shard for entry in load_entries(out / documents))
    command = f"kamisuki run {chosen.argument} --out {out} --until annotate"
    if not shards:
        raise UsageError(f"{out} has no documents as {recipe.name} extracts them: make them with {command}")
    by_folder: dict[str, list[str]] = {}
    lacking: list[str] = []
    tables = signal_tables(groups)
    folders = {table: folder_name(table, signals_made_by(documents, group)) for table, group in groups.items()}
    done = {table: {entry.shard for entry in load_entries(out / folder)} for table, folder in folders.items()}
    for name in sorted(names):
        if name in tables:
            by_folder.setdefault(folders[tables[name]], []).append(name)
            lacking += [name] if not done[tables[name]] >= set(shards) else []
        elif name in recipe.select.host_signals():
            by_folder.setdefault(_host_rates_folder(out, chosen, documents, name), []).append(name)
        elif name in SELECTABLE_ROBOTS_COLUMNS:
            by_folder.setdefault(_robots_folder(out, chosen, documents), []).append(name)
        else:
            by_folder.setdefault(documents, []).append(name)
    if lacking:
        asked = recipe.select.signals()
        more = [name for name in lacking if name not in asked and tables[name] not in recipe.groups()]
        if more:
            columns = ", ".join(sorted({*recipe.select.columns, *more}))
            command += f" --set name={recipe.name}-more --set 'select.columns=[{columns}]'"
        raise UsageError(f"{out} has no {', '.join(lacking)} for all documents yet: make them with {command}")
    return Columns(out, documents, {folder: tuple(found) for folder, found in by_folder.items()}, shards)


def with_limits(out: Place, chosen: Chosen, only: str | None = None) -> Chosen:
    """The recipe with a limit in the place of each share of the run, or of those on the signal `only`.

    Raises UsageError for a signal that was not measured.
    """
    select = chosen.recipe.select
    rules = tuple(
        rule.limited(_value_at(out, chosen, rule)) if rule.share() and only in (None, rule.signal) else rule
        for rule in select.rules
    )
    return replace(
        chosen, recipe=chosen.recipe.model_copy(update={"select": select.model_copy(update={"rules": rules})})
    )


def _value_at(out: Place, chosen: Chosen, rule: RuleModel) -> float | None:
    share = rule.share()
    assert share is not None
    tables = find_columns(out, chosen, [rule.signal]).tables()
    columns = [table.column(rule.signal).cast(pa.float64()).drop_null().to_numpy() for table in tables]
    return value_at(np.concatenate(columns), share, rule.end()[0])


def known_types(recipe: Recipe) -> dict[str, pa.DataType]:
    """The types of all columns of numbers that a rule of the recipe may judge."""
    types = {name: signal.type for name, signal in recipe.signals().items()}
    types |= {name: DOCUMENTS.field(name).type for name in SELECTABLE_DOCUMENT_COLUMNS}
    types |= {name: pa.float64() for name in recipe.select.host_signals()}
    return {name: kind for name, kind in types.items() if not pa.types.is_string(kind)}


def _host_rates_folder(out: Place, chosen: Chosen, documents: str, name: str) -> str:
    """The rates of hosts that a run made for these documents, as the recipe means them."""
    record = read_run(out) or {"recipes": {}}
    wanted = chosen.recipe.select.host_signals()[name].model_dump(mode="json")
    for entry in record["recipes"].values():
        theirs = entry["recipe"]["select"].get("host_rates", {}).get(name.removeprefix(HOST_PREFIX))
        if theirs == wanted and entry["tables"].get("documents") == documents and HOST_TABLE in entry["tables"]:
            return str(entry["tables"][HOST_TABLE])
    raise UsageError(f"{out} has no {name} yet: make it with kamisuki run {chosen.argument} --out {out}")


def _robots_folder(out: Place, chosen: Chosen, documents: str) -> str:
    """The verdicts of robots.txt that a run with the recipe's settings made for these documents."""
    record = read_run(out) or {"recipes": {}}
    wanted = chosen.recipe.select.robots.model_dump(mode="json")
    for entry in record["recipes"].values():
        same = entry["tables"].get("documents") == documents and entry["recipe"]["select"]["robots"] == wanted
        if same and "robots_verdicts" in entry["tables"]:
            return str(entry["tables"]["robots_verdicts"])
    raise UsageError(
        f"{out} has no verdicts of robots.txt for {chosen.recipe.name} yet: make them with "
        f"kamisuki run {chosen.argument} --out {out} --robots CAPTURES"
    )
