"""The commands `kamisuki mix` and `kamisuki compare-pack`: several releases put together by tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from pipeline.events import STANDARD_OUTPUT, LogJson
from pipeline.storage.places import as_place, writable
from pipeline.wording import counted, visible
from pipeline.worker_options import RayAddress, Workers, make_runner

MixFile = Annotated[Path, typer.Argument(help="The manifest: a YAML file.")]
To = Annotated[Any, typer.Option("--to", parser=as_place, help="A new folder or s3:// prefix.")]
Force = Annotated[bool, typer.Option("--force", help="Go through sources more often than max_epochs allows.")]


def _make(
    kind: str, manifest: Path, to: Any, force: bool, workers: int | None, ray_address: str | None, log_json: str | None
) -> Any:
    from pipeline.mix_run import make_mix, make_pack
    from pipeline.telling import open_progress, told

    runner = make_runner(workers, ray_address)
    make = make_mix if kind == "mix" else make_pack
    progress = open_progress(None, log_json)
    with told(progress, "mix" if kind == "mix" else "compare-pack", None, to, runner):
        return make(manifest, writable(to), runner, progress, force)


def _print(console: Any, record: Any) -> None:
    from pipeline.release.mixing.report import budgets_of, epochs_used, kind_of, largest, tokens_by

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("config", "tokens", "rows", "files"):
        table.add_column(name, justify="left" if name == "config" else "right")
    for budget in budgets_of(record):
        table.add_row(budget.config, f"{budget.tokens:,}", f"{budget.rows:,}", str(len(budget.files)))
    console.print(table)
    for budget in largest(record):
        lines = budget.lines()
        used = tokens_by(lines, lambda line: line.source)
        for source, epochs in epochs_used(record, budget).items():
            share = 100 * used[source] / budget.tokens
            tokens = counted(used[source], "token")
            console.print(f"{source}: {tokens}, {share:.2f} %, {epochs:.2f} epochs", soft_wrap=True)
        for what, key in (("kind", kind_of(record)), ("language", lambda line: line.language or "none found")):
            most = tokens_by(lines, key).most_common()
            shares = ", ".join(f"{visible(name)} {100 * count / budget.tokens:.2f} %" for name, count in most)
            console.print(f"{budget.config}: by {what}: {shares}", soft_wrap=True)
    for source in record.settings["sources"]:
        if source["rows_without_text"]:
            console.print(f"{source['name']}: {counted(source['rows_without_text'], 'row')} without text left out")


def add_mix_commands(app: typer.Typer, console: Any) -> None:
    """Add the commands to the command line; `console` makes what they print on."""

    def make(
        kind: str,
        manifest: Path,
        to: Any,
        force: bool,
        workers: int | None,
        ray_address: str | None,
        log_json: str | None,
    ) -> None:
        made = _make(kind, manifest, to, force, workers, ray_address, log_json)
        printed = console(stderr=log_json == STANDARD_OUTPUT)
        _print(printed, made)
        printed.print(f"{kind}: {to}", soft_wrap=True)

    @app.command()
    def mix(
        manifest: MixFile,
        to: To,
        force: Force = False,
        workers: Workers = None,
        ray_address: RayAddress = None,
        log_json: LogJson = None,
    ) -> None:
        """Mix releases by weights or budgets of tokens: budgets are nested, and every part holds the shares."""
        make("mix", manifest, to, force, workers, ray_address, log_json)

    @app.command("compare-pack")
    def compare_pack(
        manifest: MixFile,
        to: To,
        force: Force = False,
        workers: Workers = None,
        ray_address: RayAddress = None,
        log_json: LogJson = None,
    ) -> None:
        """Cut corpora to equal tokens, with all that others need to train on them and compare."""
        make("pack", manifest, to, force, workers, ray_address, log_json)
