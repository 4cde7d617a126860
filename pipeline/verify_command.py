"""The command `kamisuki verify`: whether a release is what its manifest says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from pipeline.events import STANDARD_OUTPUT, LogJson
from pipeline.storage.places import as_place
from pipeline.wording import counted


def add_verify_command(app: typer.Typer, console: Any) -> None:
    """Add the command to the command line; `console` makes what it prints on."""

    @app.command()
    def verify(
        release: Annotated[
            Any, typer.Argument(parser=as_place, help="Folder or s3:// prefix of a release, mix, pack or export.")
        ],
        load: Annotated[bool, typer.Option("--load", help="Load it with the libraries that are installed.")] = False,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
        log_json: LogJson = None,
    ) -> None:
        """Check a release or a mix against what it says of itself: files, rows, card; exit with 1 if one is wrong."""
        from pipeline.errors import UsageError
        from pipeline.release.manifest import read_manifest
        from pipeline.release.verify import CHECKS
        from pipeline.release.verify import verify as check_all
        from pipeline.release.verify.loading import load as load_all
        from pipeline.telling import open_progress, told

        if load and not isinstance(release, Path):
            raise UsageError("--load loads from a folder: fetch the release first, or leave --load out")
        if as_json and log_json == STANDARD_OUTPUT:
            raise UsageError("--json and --log-json - both write to standard output: give --log-json a file")
        with told(open_progress(None, log_json), "verify", None, release):
            found = check_all(release)
            if load and not set(found.checks) >= set(CHECKS):
                raise UsageError("--load is for releases: the card of a mix shows how to load it")
            if load:
                found.checks |= {check.name: check for check in load_all(release, read_manifest(release))}
            if as_json:
                typer.echo(json.dumps(found.as_record(), ensure_ascii=False, indent=1))
            else:
                _print(console(stderr=log_json == STANDARD_OUTPUT), release, found)
            if not found.whole():
                raise typer.Exit(1)


def _print(console: Any, release: Any, found: Any) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("check", "what holds", "looked at", "wrong"):
        table.add_column(name, justify="right" if name in ("looked at", "wrong") else "left")
    for check in found.checks.values():
        table.add_row(check.name, check.holds, f"{check.looked_at:,}", f"{check.wrong:,}" if check.wrong else "-")
    console.print(table)
    for check in found.checks.values():
        for problem in check.problems:
            console.print(f"{check.name}: {problem}", soft_wrap=True)
        if check.wrong > len(check.problems):
            console.print(f"{check.name}: {check.wrong:,} in all")
    idle = [check.name for check in found.checks.values() if not check.looked_at and not check.wrong]
    if idle:
        console.print(f"nothing was there to look at: {', '.join(idle)}", soft_wrap=True)
    failed = [check.name for check in found.checks.values() if check.wrong]
    console.print(
        f"{release}: {len(failed)} of {counted(len(found.checks), 'check')} failed: build it again by its command (a "
        "release with --replace where that finds nothing to do), or fetch it again"
        if failed
        else f"{release}: all checks hold",
        soft_wrap=True,
        markup=False,
    )
