"""The commands of rewriting: `kamisuki rewrite`, `rewrite-report` and `rewritings`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pipeline.events import STANDARD_OUTPUT, LogJson
from pipeline.storage.places import as_place, writable
from pipeline.worker_options import RayAddress, Workers, make_runner

Out = Annotated[Any, typer.Argument(parser=as_place, help="The OUT folder or s3:// prefix of a run.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_rewriting_commands(app: typer.Typer, console: Any) -> None:
    """Add the commands to the command line; `console` makes what they print on."""

    @app.command()
    def rewrite(
        recipe: Annotated[str, typer.Argument(help="A rewriting recipe: a YAML file, or the name of a shipped one.")],
        out: Annotated[Any, typer.Option("--out", parser=as_place, help="The OUT folder or s3:// prefix of a run.")],
        of: Annotated[
            str | None, typer.Option("--of", help="Whose table; by default the recipe that ran last.")
        ] = None,
        endpoint: Annotated[
            list[str] | None,
            typer.Option("--endpoint", help="URL of an OpenAI-compatible server, up to /v1; several times if need be."),
        ] = None,
        until: Annotated[str | None, typer.Option("--until", help="Last step to do.")] = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Ask about a sample and say what all would cost.")
        ] = False,
        sample: Annotated[int, typer.Option("--sample", min=1, help="Rows that a dry run asks about.")] = 20,
        max_tokens: Annotated[
            int | None, typer.Option("--max-tokens", min=1, help="Stop after so many tokens.")
        ] = None,
        max_cost: Annotated[
            float | None, typer.Option("--max-cost", help="Stop after so much money, by the recipe's prices.")
        ] = None,
        workers: Workers = None,
        ray_address: RayAddress = None,
        overrides: Annotated[
            list[str] | None, typer.Option("--set", help="Change a key: steps.style.otherwise=drop.")
        ] = None,
        log_json: LogJson = None,
    ) -> None:
        """Rewrite a table of a run with a language model, and check what it wrote; only what is missing is done."""
        from pipeline.progress import human_seconds
        from pipeline.report.rewriting import print_steps, steps_of
        from pipeline.rewrite_dry_run import estimate, print_estimate
        from pipeline.rewrite_run import RewritingRun
        from pipeline.rewriting.client import Budget
        from pipeline.rewriting.recipe import find_rewriting_recipe, load_rewriting_recipe
        from pipeline.telling import open_progress, told

        started = time.monotonic()
        changes = [f"client.endpoints=[{', '.join(f'{{url: {url!r}}}' for url in endpoint)}]"] if endpoint else []
        chosen = load_rewriting_recipe(find_rewriting_recipe(recipe), (*changes, *(overrides or ())))
        shown, out = out, writable(out)
        if dry_run:
            print_estimate(console(), estimate(chosen, out, of, sample))
            return
        runner = make_runner(workers, ray_address)
        budget = Budget(tokens=max_tokens, money=max_cost, prices=chosen.prices.model_dump())
        progress = open_progress(out, log_json)
        job = RewritingRun(chosen, out, runner, progress, budget)
        with told(progress, "rewrite", chosen.name, shown, runner):
            found = job.execute(of, until)
        printed = console(stderr=log_json == STANDARD_OUTPUT)
        if job.steps.tasks_run == 0:
            printed.print(f"{chosen.name}: nothing to do, all shards of all steps are done")
        print_steps(printed, steps_of(out, chosen.name))
        printed.print(f"rewritten: {shown / found.folder.name}", soft_wrap=True)
        printed.print(f"took {human_seconds(time.monotonic() - started)}")

    @app.command("rewrite-report")
    def rewrite_report(
        out: Out,
        recipe: Annotated[
            str | None, typer.Option("--recipe", help="Which rewriting; the only one by default.")
        ] = None,
        pairs: Annotated[int, typer.Option("--pairs", min=0, help="Pairs of texts that are shown side by side.")] = 30,
        to: Annotated[Path | None, typer.Option("--to", help="An HTML file for the report.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Show what each step let through and why, how far texts drifted, and pairs side by side."""
        from pipeline.report.rewriting import print_report, report_of
        from pipeline.report.rewriting_page import write_page

        found = report_of(out, recipe, pairs)
        if to is not None:
            write_page(to, found)
            typer.echo(f"report: {to}")
        elif as_json:
            typer.echo(json.dumps(found.as_record(), ensure_ascii=False, indent=1))
        else:
            print_report(console(), found)

    @app.command()
    def rewritings() -> None:
        """List the rewriting recipes that come with kamisuki, with their steps."""
        from pipeline.rewriting.recipe import load_rewriting_recipe, shipped_rewriting_recipes

        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("recipe", "steps", "what it makes"):
            table.add_column(name)
        for file in shipped_rewriting_recipes():
            found = load_rewriting_recipe(file)
            table.add_row(found.name, ", ".join(step.name for step in found.steps), found.description)
        made: Console = console()
        made.print(table)
