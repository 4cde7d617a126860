"""The command line `kamisuki`. What shows the work of filters is in `choosing_commands.py`."""

from __future__ import annotations

import json
import sys
import time
import traceback
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pipeline import __version__
from pipeline.choosing_commands import add_commands
from pipeline.errors import KamisukiError, UsageError
from pipeline.events import STANDARD_OUTPUT, LogJson
from pipeline.export_command import add_export_command
from pipeline.index_command import add_index_command
from pipeline.mix_commands import add_mix_commands
from pipeline.plan_command import add_plan_command
from pipeline.push_command import add_push_command
from pipeline.record_command import add_record_command
from pipeline.release_commands import add_release_commands
from pipeline.rewriting_commands import add_rewriting_commands
from pipeline.storage.places import as_place, writable
from pipeline.takedown_command import add_takedown_command
from pipeline.verify_command import add_verify_command
from pipeline.wording import visible_lines
from pipeline.worker_options import RayAddress, Workers, make_runner
from pipeline.working import describe_error, leave_pandas_out

app = typer.Typer(
    help="Japanese pretraining corpora from Common Crawl.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
Out = Annotated[Any, typer.Argument(parser=as_place, help="The OUT folder or s3:// prefix of a run.")]
RecipeName = Annotated[str | None, typer.Option("--recipe", help="Which recipe's run; the latest one by default.")]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Do the shards that failed, not others that are missing.")
]


def _console(stderr: bool = False) -> Console:
    # A pipe or a file gets whole lines: a program that reads them must not meet a line broken at 80 columns.
    wide = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(markup=False, highlight=False, width=None if wide else 200, stderr=stderr)


@app.callback()
def options(
    context: typer.Context, debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False
) -> None:
    """Options of every command."""
    context.obj = {"debug": debug}


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="A recipe: a YAML file, or the name of a shipped one.")],
    out: Annotated[Any, typer.Option("--out", parser=as_place, help="Folder or s3:// prefix for tables and ledger.")],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input", help="A WARC file, quoted glob, URL, list of paths or crawl; may be given several times."
        ),
    ] = None,
    robots: Annotated[
        list[str] | None,
        typer.Option("--robots", help="A WARC file of robots.txt captures or a quoted glob; several times if need be."),
    ] = None,
    takedowns: Annotated[
        Any,
        typer.Option("--takedowns", parser=as_place, help="A takedown list, to be added to the one of OUT for good."),
    ] = None,
    first: Annotated[str, typer.Option("--from", help="First stage to work on.")] = "extract",
    last: Annotated[str, typer.Option("--until", help="Last stage to work on.")] = "select",
    workers: Workers = None,
    ray_address: RayAddress = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change a key: select.rules.japanese_letters.min=300.")
    ] = None,
    retry_failed: RetryFailed = False,
    log_json: LogJson = None,
) -> None:
    """Run a recipe: only what is missing in OUT is done."""
    from pipeline.progress import human_seconds
    from pipeline.recipe import find_recipe, load_recipe
    from pipeline.report.funnel import funnel, print_funnel
    from pipeline.run import STAGES, Run
    from pipeline.takedown_list import read_list
    from pipeline.telling import open_progress, told

    started = time.monotonic()
    for stage in (first, last):
        if stage not in STAGES:
            raise UsageError(f"unknown stage {stage!r}; the stages are {', '.join(STAGES)}")
    chosen = load_recipe(find_recipe(recipe), tuple(overrides or ()))
    runner = make_runner(workers, ray_address)
    # Workers of a cluster may stand in another folder; people are shown what they wrote.
    shown, out = out, writable(out)
    progress = open_progress(out, log_json)
    job = Run(chosen, out, runner, progress, retry_failed)
    with told(progress, "ingest" if last == "ingest" else "run", chosen.name, shown, runner, job.waived):
        job.execute(inputs or [], first, last, robots or [], read_list(takedowns) if takedowns else [])
    console = _console(stderr=log_json == STANDARD_OUTPUT)
    if job.tasks_run == 0:
        done = "no shard has failed" if retry_failed else "all shards of all stages are done"
        console.print(f"{chosen.name}: nothing to do, {done}")
    made = "corpus" if last == "select" else "documents"
    if last in ("ingest", "select") and made in job.tables:
        print_funnel(console, funnel(out, job.tables), f"{chosen.name}: from records to {made}", job.waived)
        console.print(f"{made}: {shown / job.tables[made]}", soft_wrap=True)
    console.print(f"took {human_seconds(time.monotonic() - started)}")


@app.command()
def ingest(
    recipe: Annotated[str, typer.Argument(help="A recipe with an ingest section: a YAML file, or a shipped one.")],
    out: Annotated[Any, typer.Option("--out", parser=as_place, help="Folder or s3:// prefix for tables and ledger.")],
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="A file or a quoted glob; may be given several times.")
    ] = None,
    workers: Workers = None,
    ray_address: RayAddress = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="Change a key: ingest.text=content.")] = None,
    retry_failed: RetryFailed = False,
    log_json: LogJson = None,
) -> None:
    """Turn Parquet, JSON lines and the like into documents: the first stage of `run`, alone."""
    run(recipe, out, inputs, None, None, "ingest", "ingest", workers, ray_address, overrides, retry_failed, log_json)


@app.command()
def status(out: Out, recipe: RecipeName = None) -> None:
    """Show shards done, running and failed, rates, time left and the slowest shards."""
    from pipeline.report.status import known_tables, known_waived, print_status

    name, tables = known_tables(out, recipe)
    print_status(_console(), out, tables, known_waived(out, name))


@app.command()
def explain(
    out: Out, url: Annotated[str, typer.Argument(help="The page's whole URL.")], recipe: RecipeName = None
) -> None:
    """Tell what happened to one page at every stage, with the values and limits that decided."""
    from pipeline.report.explain import explain as tell

    for line in tell(out, url, recipe):
        typer.echo(line)


@app.command()
def funnel(
    out: Out, recipe: RecipeName = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Show pages and characters left after every step, with reasons."""
    from pipeline.report.funnel import as_record, print_funnel
    from pipeline.report.funnel import funnel as steps_of
    from pipeline.report.status import known_tables, known_waived

    name, tables = known_tables(out, recipe)
    steps, waived = steps_of(out, tables), known_waived(out, name)
    if as_json:
        typer.echo(json.dumps(as_record(steps, waived), ensure_ascii=False, indent=1))
    else:
        print_funnel(_console(), steps, f"{name}: from records to corpus", waived)


@app.command()
def audit(
    out: Out,
    recipe: RecipeName = None,
    pairs: Annotated[
        int, typer.Option("--pairs", min=0, help="Removed pages of each kind that are compared again.")
    ] = 5,
    workers: Workers = None,
    ray_address: RayAddress = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    log_json: LogJson = None,
) -> None:
    """Show what deduplication did and what still repeats; exit with 3 where the recipe's limits do not hold."""
    from pipeline.errors import GateClosed
    from pipeline.recipe import recorded_recipe
    from pipeline.report.audit import as_record, audit_duplicates
    from pipeline.report.audit_tables import print_audit
    from pipeline.report.status import known_tables
    from pipeline.run import Run
    from pipeline.run_folder import read_run
    from pipeline.telling import open_progress, told

    if as_json and log_json == STANDARD_OUTPUT:
        raise UsageError("--json and --log-json - both write to standard output: give --log-json a file")
    shown, out = out, writable(out)
    name, tables = known_tables(out, recipe)
    chosen = recorded_recipe(out, read_run(out) or {}, name)
    runner = make_runner(workers, ray_address)
    progress = open_progress(out, log_json)
    with told(progress, "audit", name, shown, runner):
        repeated = Run(chosen, out, runner, progress).audit()
        duplicates = None
        if chosen.dedup is not None:
            folders = {table: out / tables[table] for table in ("documents", "corpus", "duplicates")}
            duplicates = audit_duplicates(folders, chosen.dedup, pairs)
        if as_json:
            typer.echo(json.dumps(as_record(duplicates, repeated), ensure_ascii=False, indent=1))
        else:
            print_audit(_console(stderr=log_json == STANDARD_OUTPUT), duplicates, repeated)
        wrong = [*(duplicates.wrong if duplicates else []), *repeated.above]
        if wrong:
            raise GateClosed("audit: " + "; ".join(wrong))


add_commands(app, _console)
add_index_command(app)
add_plan_command(app, _console)
add_rewriting_commands(app, _console)
add_export_command(app, _console)
add_mix_commands(app, _console)
add_verify_command(app, _console)
add_push_command(app, _console)
add_takedown_command(app, _console)
add_record_command(app)
add_release_commands(app, _console)


@app.command()
def timing(out: Out, recipe: RecipeName = None) -> None:
    """Print where the time of a run went, by stage and step, as a Markdown table."""
    from pipeline.report.status import known_tables
    from pipeline.report.timing import markdown, timing_rows

    typer.echo(markdown(timing_rows(out, known_tables(out, recipe)[1])))


@app.command()
def ls(out: Out) -> None:
    """List the folders of OUT: table, shards, size and the recipes that use each."""
    from pipeline.report.folders import list_folders

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("folder", "stage", "shards", "MB", "recipes"):
        table.add_column(name, justify="right" if name in ("shards", "MB") else "left")
    for folder in list_folders(out):
        users = ", ".join(folder.recipes) or "old: no recipe uses it"
        table.add_row(folder.path.name, folder.stage, str(folder.shards), f"{folder.bytes / 1e6:.2f}", users)
    _console().print(table)


@app.command()
def path(
    out: Out, table: Annotated[str, typer.Argument(help="A table.")] = "corpus", recipe: RecipeName = None
) -> None:
    """Print the folder that holds a table of a recipe."""
    from pipeline.report.status import known_tables

    name, tables = known_tables(out, recipe)
    if table not in tables:
        raise UsageError(f"recipe {name} has no table {table!r}; it has: {', '.join(sorted(tables))}")
    typer.echo(out / tables[table])


@app.command()
def gc(out: Out, yes: Annotated[bool, typer.Option("--yes", help="Remove them, not only list them.")] = False) -> None:
    """List the folders that no recipe uses any more, or remove them with --yes."""
    from pipeline.report.folders import list_folders, remove_old

    old = remove_old(out) if yes else [folder for folder in list_folders(out) if not folder.recipes]
    for folder in old:
        typer.echo(f"{'removed' if yes else 'old'}: {folder.path.name} ({folder.bytes / 1e6:.2f} MB)")
    if not old:
        typer.echo("nothing is old")
    elif not yes:
        typer.echo("run again with --yes to remove them")


@app.command()
def recipes() -> None:
    """List the recipes that come with kamisuki."""
    from pipeline.recipe import load_recipe
    from pipeline.shipped import shipped_recipes

    for file in shipped_recipes():
        recipe = load_recipe(file)
        typer.echo(f"{recipe.name:16} {recipe.description}")


@app.command()
def cluster(
    name: Annotated[str | None, typer.Argument(help="Which one to print; without it all are listed.")] = None,
) -> None:
    """List the files that start clusters, or print one: kamisuki cluster slurm.sh > slurm.sh."""
    from pipeline.shipped import cluster_files

    files = {path.name: path for path in cluster_files()}
    if name is None:
        for file in files:
            # The first line of each says what it is for, behind #!.
            lines = files[file].read_text(encoding="utf-8").splitlines()
            typer.echo(f"{file:16} {next(line for line in lines if not line.startswith('#!')).removeprefix('# ')}")
    elif name in files:
        typer.echo(files[name].read_text(encoding="utf-8"), nl=False)
    else:
        raise UsageError(f"no cluster file {name!r}: there are {', '.join(files)}")


@app.command()
def assets(
    action: Annotated[str, typer.Argument(help="list or fetch.")] = "list",
    names: Annotated[list[str] | None, typer.Argument(help="Which ones to fetch; all by default.")] = None,
) -> None:
    """List the models and lists that recipes may name, or fetch those that no wheel carries."""
    from pipeline.assets import fetch, known_assets

    known = known_assets()
    unknown = sorted(set(names or ()) - known.keys())
    if action not in ("list", "fetch") or unknown:
        raise UsageError(
            f"no asset is called {unknown[0]!r}; known: {', '.join(known)}"
            if unknown
            else f"unknown action {action!r}: list or fetch"
        )
    for name in names or known:
        asset = known[name]
        if action == "fetch":
            for line in fetch(asset):
                typer.echo(line)
        else:
            place = str(asset.path()) if asset.here() else f"not here: kamisuki assets fetch {name}"
            typer.echo(f"{name:20} {asset.license:32} {asset.what}\n{'':20} {place}")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _tell(error: str) -> None:
    # Names of anybody's are in errors: what a terminal would obey is shown as its escape.
    typer.echo(f"kamisuki: {visible_lines(error)}", err=True)


def main() -> None:
    """Run the command line: errors print as one line; 1 is work left, 2 a wrong question, 3 a closed gate."""
    debug = "--debug" in sys.argv
    leave_pandas_out()
    try:
        app()
    except KamisukiError as error:
        if debug:
            traceback.print_exc()
        _tell(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        if debug:
            traceback.print_exc()
        _tell(describe_error(error))
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last resort: one line, and the traceback for who asks for it
        if debug:
            traceback.print_exc()
        _tell(f"unexpected error: {describe_error(error)} (--debug shows where)")
        sys.exit(1)


if __name__ == "__main__":
    main()
