"""The commands that show what filters do: `kamisuki sweep`, `filters`, `compare` and `rejects`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console

from pipeline.errors import UsageError
from pipeline.storage.places import as_place

Out = Annotated[Any, typer.Argument(parser=as_place, help="The OUT folder or s3:// prefix of a run.")]
RecipeChoice = Annotated[
    str | None,
    typer.Option("--recipe", help="A recipe that ran here, a YAML file or a shipped recipe; by default the latest."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_commands(app: typer.Typer, console: Any) -> None:
    """Add the commands to the command line; `console` makes what they print on."""

    def show(as_json: bool, record: dict[str, Any], printer: Any, found: Any) -> None:
        if as_json:
            typer.echo(json.dumps(record, ensure_ascii=False, indent=1))
        else:
            made: Console = console()
            printer(made, found)

    @app.command()
    def sweep(
        out: Out,
        signal: Annotated[str, typer.Argument(help="A signal, or another column of numbers that rules may judge.")],
        limits: Annotated[
            str | None, typer.Option("--limits", help="Limits to try, as in 0.1,0.2,0.3; by default at quantiles.")
        ] = None,
        recipe: RecipeChoice = None,
        as_json: AsJson = False,
    ) -> None:
        """Show how many pages and characters each limit on a signal would keep, and pages on either side."""
        from pipeline.report.choosing_tables import print_sweep
        from pipeline.report.sweep import sweep as try_limits

        try:
            tried = [float(word) for word in limits.split(",")] if limits else []
        except ValueError:
            raise UsageError(f"--limits {limits}: write numbers with commas between, as in 0.1,0.2,0.3") from None
        found = try_limits(out, signal, recipe, tried)
        show(as_json, found.as_record(), print_sweep, found)

    @app.command()
    def filters(out: Out, recipe: RecipeChoice = None, as_json: AsJson = False) -> None:
        """Show of every rule its limit, source, what it removes, what it alone removes, precision and recall."""
        from pipeline.report.choosing_tables import print_filters
        from pipeline.report.worth import worth_of_filters

        found = worth_of_filters(out, recipe)
        show(as_json, found.as_record(), print_filters, found)

    @app.command()
    def compare(
        first: Annotated[str, typer.Argument(help="A recipe that ran here, a YAML file or a shipped recipe.")],
        second: Annotated[str, typer.Argument(help="Another one.")],
        out: Out,
        as_json: AsJson = False,
    ) -> None:
        """Show what the rules of two recipes keep of one run: overlap, reasons, and a sample of each side."""
        from pipeline.report.choosing_tables import print_comparison
        from pipeline.report.compare import compare as hold_together

        found = hold_together(out, first, second)
        show(as_json, found.as_record(), print_comparison, found)

    @app.command()
    def rejects(
        out: Out,
        reason: Annotated[str | None, typer.Argument(help="A reason, as the funnel names it; all by default.")] = None,
        limit: Annotated[int, typer.Option("--limit", min=0, help="So many pages are shown.")] = 10,
        recipe: Annotated[str | None, typer.Option("--recipe", help="A recipe that ran here.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Show pages that a reason dropped, with the value that decided and how their text begins."""
        from pipeline.report.rejects import print_rejected_pages, rejected_pages

        found = rejected_pages(out, reason, limit, recipe)
        show(as_json, found.as_record(), print_rejected_pages, found)
