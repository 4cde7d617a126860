"""The command `kamisuki takedown`: rows out of a release and out of everything that was made of it."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pipeline.errors import UsageError
from pipeline.events import STANDARD_OUTPUT, LogJson
from pipeline.storage.places import as_place, writable
from pipeline.wording import counted, visible, visible_lines
from pipeline.worker_options import RayAddress, Workers, make_runner

REASON = "asked for"
# No host ends like these: who writes one means a file, and what is listed by mistake stays listed.
FILES = (".txt", ".csv", ".tsv", ".json", ".jsonl", ".list")
# Of more requests without a row, as of a long list for several releases, a number is enough.
MISSED_SHOWN = 20


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
        log_json: LogJson = None,
    ) -> None:
        """Take rows out of a release, of what was made of them, of exports and caches, and keep them out for good."""
        from pipeline.progress import human_seconds
        from pipeline.takedown_list import read_list
        from pipeline.takedown_run import TakedownRun
        from pipeline.telling import open_progress, told

        started = time.monotonic()
        requests = _requests({"url": urls or [], "host": hosts or [], "id": ids or []}, since, reason)
        requests += read_list(takedowns) if takedowns is not None else []
        runner = make_runner(workers, ray_address)
        progress = open_progress(None, log_json)
        job = TakedownRun(writable(release), runner, progress)
        printed = console(stderr=log_json == STANDARD_OUTPUT)
        with told(progress, "takedown", None, release, runner):
            if dry_run:
                removed = job.look(requests)
                _print_removed(printed, removed, "would go")
                _print_missed(printed, requests, removed, release, dry_run)
                printed.print("nothing was changed: this was a dry run")
                return
            removed, reached = job.execute(requests)
            _print_removed(printed, removed, "went")
            _print_missed(printed, requests, removed, release, dry_run)
            for title, lines in (
                ("", reached.done),
                ("still there: ", reached.still_there),
                ("not reached: ", reached.failed),
            ):
                for line in lines:
                    printed.print(f"{title}{visible_lines(line)}", soft_wrap=True, markup=False)
            printed.print(f"took {human_seconds(time.monotonic() - started)}")
            if reached.failed:
                typer.echo(
                    f"kamisuki: not everything was reached: kamisuki takedown {release} tries it again", err=True
                )
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
        for value in _values(kind, values)
    ]


def _values(kind: str, given: list[str]) -> list[str]:
    """Values, each as it is or, where it is a file, its lines."""
    found = []
    for value in given:
        path = Path(value)
        try:
            lines = path.read_text("utf-8-sig").splitlines() if path.is_file() else None
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{value} cannot be read as a list of names: {error}") from None
        if lines is None and kind == "url" and "://" not in value:
            raise UsageError(f"--urls {value}: no whole URL, as https://a.example/page is one, and no file")
        if lines is None and kind != "url" and Path(value).suffix.lower() in FILES:
            raise UsageError(f"--{kind}s {value}: there is no such file; a name that ends so goes into a file")
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
        named = visible(request.value)
        console.print(f"{counted(count, 'row')} {verb}: {request.kind} {named}", soft_wrap=True, markup=False)
    if not removed.rows:
        console.print(
            "no row of the release is named by what is listed"
            if removed.followed
            else "nothing is listed for this release or its run: name what is to go with --urls, --hosts or --ids",
            soft_wrap=True,
        )
        return
    rows = counted(sum(removed.rows.values()), "row")
    console.print(f"{rows} of {counted(len(removed.files), 'data file')} {verb}")


def _print_missed(console: Any, requests: list[Any], removed: Any, release: Any, dry_run: bool) -> None:
    """Which of the new requests name no row here: perhaps a slip of the pen, and on the list all the same."""
    found = {request.means() for request in removed.rows}
    missed = [request for request in requests if request.means() not in found]
    for request in missed[:MISSED_SHOWN]:
        console.print(f"0 rows: {request.kind} {visible(request.value)}", soft_wrap=True, markup=False)
    if len(missed) > MISSED_SHOWN:
        console.print(f"0 rows: {counted(len(missed) - MISSED_SHOWN, 'more request')}")
    if missed:
        listed = "" if dry_run else f"; all are on the list now, {release}/.local/takedowns.jsonl and that of the run"
        console.print(
            f"what has 0 rows is not in this release, or not spelled so{listed}", soft_wrap=True, markup=False
        )
