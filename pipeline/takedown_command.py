"""The command `kamisuki takedown`: rows out of a release and out of everything that was made of it."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pipeline.errors import UsageError
from pipeline.storage.places import as_place, writable
from pipeline.worker_options import RayAddress, Workers, make_runner

REASON = "asked for"


def add_takedown_command(app: typer.Typer, console: Any) -> None:
    """Add the command to the command line; `console` makes what it prints on."""

    @app.command()
    def takedown(
        release: Annotated[Any, typer.Argument(parser=as_place, help="The folder or s3:// prefix of a release.")],
        urls: Annotated[
            list[str] | None, typer.Option("--urls", help="A URL, or a file with one a line; several times.")
        ] = None,
        hosts: Annotated[
            list[str] | None,
            typer.Option("--hosts", help="A host with those below it, or a file with one a line; several times."),
        ] = None,
        ids: Annotated[
            list[str] | None, typer.Option("--ids", help="The id of a row, or a file with one a line; several times.")
        ] = None,
        since: Annotated[
            str | None,
            typer.Option("--since", help="Of URLs and hosts only captures of that day or later: 2026-01-31"),
        ] = None,
        reason: Annotated[str, typer.Option("--reason", help="Why; everybody may read it.")] = REASON,
        takedowns: Annotated[
            Any, typer.Option("--takedowns", parser=as_place, help="A takedown list, as kamisuki run takes one.")
        ] = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would go, and do nothing.")] = False,
        workers: Workers = None,
        ray_address: RayAddress = None,
    ) -> None:
        """Take rows out of a release, of what was made of them, of exports and caches, and keep them out for good."""
        from pipeline.progress import Progress, human_seconds
        from pipeline.takedown_list import read_list
        from pipeline.takedown_run import TakedownRun

        started = time.monotonic()
        requests = _requests({"url": urls or [], "host": hosts or [], "id": ids or []}, since, reason)
        requests += read_list(takedowns) if takedowns is not None else []
        runner = make_runner(workers, ray_address)
        job = TakedownRun(writable(release), runner, Progress())
        try:
            if dry_run:
                removed = job.look(requests)
                _print_removed(console(), removed, "would go")
                console().print("nothing was changed: this was a dry run")
                return
            removed, reached = job.execute(requests)
        except KeyboardInterrupt:
            typer.echo("kamisuki: stopped; kamisuki takedown with this release again finishes it", err=True)
            raise typer.Exit(130) from None
        finally:
            runner.close()
        _print_removed(console(), removed, "went")
        for title, lines in (
            ("", reached.done),
            ("still there: ", reached.still_there),
            ("not reached: ", reached.failed),
        ):
            for line in lines:
                console().print(f"{title}{line}", soft_wrap=True, markup=False)
        console().print(f"took {human_seconds(time.monotonic() - started)}")
        if reached.failed:
            typer.echo(f"kamisuki: not everything was reached: kamisuki takedown {release} tries it again", err=True)
            raise typer.Exit(1)


def _requests(given: dict[Literal["url", "host", "id"], list[str]], since: str | None, reason: str) -> list[Any]:
    from pipeline.takedown_list import make_request

    day = _day(since) if since is not None else None
    if day is not None and not (given["url"] or given["host"]):
        raise UsageError("--since limits URLs and hosts: name some with --urls or --hosts")
    today = datetime.datetime.now(datetime.UTC).date()
    return [
        make_request(kind, value, today, reason, day if kind != "id" else None)
        for kind, values in given.items()
        for value in _values(values)
    ]


def _values(given: list[str]) -> list[str]:
    """Values, each as it is or, where it is a file, its lines."""
    found = []
    for value in given:
        path = Path(value)
        try:
            lines = path.read_text("utf-8-sig").splitlines() if path.is_file() else None
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{value} cannot be read as a list of names: {error}") from None
        names = [value] if lines is None else [line.strip() for line in lines if line.strip()]
        if not names:
            raise UsageError(f"{value} has no name in it: write one a line")
        found += names
    return found


def _day(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--since {text}: give a day, such as 2026-01-31") from None


def _print_removed(console: Any, removed: Any, verb: str) -> None:
    for request, count in removed.rows.items():
        rows = "row" if count == 1 else "rows"
        console.print(f"{count:,} {rows} {verb}: {request.kind} {request.value}", soft_wrap=True, markup=False)
    if not removed.rows:
        console.print("no row of the release is named by what is listed")
        return
    files = "file" if len(removed.files) == 1 else "files"
    console.print(f"{sum(removed.rows.values()):,} rows of {len(removed.files):,} data {files} {verb}")
