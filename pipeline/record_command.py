"""The command `kamisuki fetch-record`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from pipeline.storage.places import as_place


def add_record_command(app: typer.Typer) -> None:
    """Add the command to the command line."""

    @app.command("fetch-record")
    def fetch_record(
        release: Annotated[Any, typer.Argument(parser=as_place, help="The folder or s3:// prefix of a release.")],
        key: Annotated[str, typer.Argument(metavar="ID", help="The id of a row.")],
        inputs: Annotated[
            list[str] | None,
            typer.Option(
                "--input", help="A WARC file or the folder, s3:// prefix or URL below which it lies; several."
            ),
        ] = None,
        page: Annotated[bool, typer.Option("--page", help="Print the page as text instead.")] = False,
        raw: Annotated[bool, typer.Option("--raw", help="Print the page's bytes instead.")] = False,
        contact: Annotated[str, typer.Option("--contact", help="Who asks, for web servers.")] = "",
    ) -> None:
        """Read the WARC record behind a row of a release, check that it is the one, and tell what was done to it."""
        from pipeline.release.card.markup import visible
        from pipeline.release.record import fetch_record as fetch
        from pipeline.release.record import story, text_of
        from pipeline.storage.http import Politeness

        found = fetch(release, key, inputs or [], Politeness(contact=contact))
        if raw:
            sys.stdout.buffer.write(found.record.body)
            sys.stdout.buffer.flush()
        elif page:
            typer.echo(text_of(found))
        else:
            for line in story(found):
                # Of a page come its letters, and nothing that a terminal would obey.
                typer.echo(visible(line))
