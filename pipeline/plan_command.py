"""The command that tells what a run will cost before it starts: `kamisuki plan`."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pipeline.errors import UsageError
from pipeline.storage.places import as_place
from pipeline.wording import counted

if TYPE_CHECKING:
    from pipeline.forecast import Forecast, Range

MEGA = 1e6


def add_plan_command(app: typer.Typer, console: Callable[[], Console]) -> None:
    """Add the command to the command line."""

    @app.command()
    def plan(
        recipe: Annotated[str, typer.Argument(help="A recipe: a YAML file, or the name of a shipped one.")],
        inputs: Annotated[list[str], typer.Option("--input", help="As for kamisuki run; may be given several times.")],
        robots: Annotated[list[str] | None, typer.Option("--robots", help="As for kamisuki run.")] = None,
        cores: Annotated[int | None, typer.Option("--cores", min=1, help="Cores of the run; those here.")] = None,
        files: Annotated[int, typer.Option("--sample-files", min=1, help="Files of which a part is read.")] = 8,
        megabytes: Annotated[int, typer.Option("--sample-mb", min=1, help="Megabytes of each, from its start.")] = 8,
        seed: Annotated[int, typer.Option("--seed", help="Another seed, another sample.")] = 1,
        scratch: Annotated[
            Any, typer.Option("--scratch", parser=as_place, help="Folder for the sample, removed at the end.")
        ] = None,
        overrides: Annotated[list[str] | None, typer.Option("--set", help="Change a key, as for run.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ) -> None:
        """Tell what a run will cost: shards, disk, memory, core-hours, from a sample that is measured here."""
        from pipeline.forecast_run import make_forecast
        from pipeline.recipe import find_recipe, load_recipe
        from pipeline.storage.places import RemotePath

        if isinstance(scratch, RemotePath):
            raise UsageError("--scratch: the sample is measured on this machine: give a local folder")
        chosen = load_recipe(find_recipe(recipe), tuple(overrides or ()))
        wanted = (files, megabytes * 1_000_000, seed)
        found = make_forecast(chosen, inputs, robots or [], wanted, cores or os.cpu_count() or 1, scratch)
        if as_json:
            typer.echo(json.dumps(found.as_record(), ensure_ascii=False, indent=1))
        else:
            print_forecast(console(), found)


def print_forecast(console: Console, found: Forecast) -> None:
    """Show a forecast: what goes in, work by stage, disk by table, memory, requests, and what is not known."""
    console.print(
        f"{found.recipe}: {counted(found.files, 'input')} of {_bytes(found.input_bytes.value)}, "
        f"{_number(found.shards)} shards; from the first bytes of {found.sample_parts} of them, "
        f"{found.sample_bytes / MEGA:,.1f} MB"
    )
    if found.files_measured < found.files:
        console.print(
            f"sizes of {counted(found.files_measured, 'input')} were asked for; their mean stands for the others"
        )
    console.print(f"download: {_bytes(found.download_bytes)}; documents: {_number(found.documents)}")
    table = _table("stage", "core time", "between", "", "reserved MB", "peak MB")
    for stage, each in found.seconds.items():
        memory = found.memory.get(stage)
        more = (f"{memory.reserved_bytes / MEGA:,.0f}", f"{memory.peak_bytes / MEGA:,.0f}") if memory else ("", "")
        table.add_row(stage, *_times(each), each.how, *more)
    total = found.core_seconds()
    table.add_row("all", *_times(total), "", "", "", style="bold")
    console.print(table)
    console.print(f"wall time on {found.cores} cores: {_time(found.wall_seconds)}, if no core waits for data")
    disk = _table("table", "disk", "between")
    for name, each in sorted(found.tables.items()):
        disk.add_row(name, _bytes(each.value), f"{_bytes(each.low)} to {_bytes(each.high)}")
    whole = found.disk_bytes()
    disk.add_row("all that stays", _bytes(whole.value), f"{_bytes(whole.low)} to {_bytes(whole.high)}", style="bold")
    disk.add_row(
        "besides, for a while", _bytes(found.scratch_bytes.value), f"at most {_bytes(found.scratch_bytes.high)}"
    )
    console.print(disk)
    asked = found.requests
    console.print(
        f"with OUT on S3: {asked.puts:,} PUT, {asked.gets:,} GET of inputs and tables, "
        f"{asked.exchange_gets:,} GET of exchanged rows"
    )
    console.print("not in it:")
    for line in found.unknown:
        console.print(f"  {line}", soft_wrap=True)


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(names):
        table.add_column(name, justify="right" if number else "left")
    return table


def _times(each: Range) -> tuple[str, str]:
    return _time(each.value), f"{_time(each.low)} to {_time(each.high)}"


def _time(seconds: float) -> str:
    if seconds == math.inf:
        return "unknown"
    return f"{seconds / 3600:,.2f} h" if seconds >= 3600 else f"{seconds:,.1f} s"


def _number(each: Range) -> str:
    exact = each.low == each.high
    return f"{each.value:,.0f}" if exact else f"{each.value:,.0f} ({each.low:,.0f} to {each.high:,.0f})"


def _bytes(count: float) -> str:
    if count == math.inf:
        return "unknown"
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:,.2f} {unit}"
    return f"{count / 1e3:,.1f} kB"
