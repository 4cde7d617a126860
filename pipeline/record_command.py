"""The command `kamisuki fetch-record`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from pipeline.events import STANDARD_OUTPUT, LogJson
from pipeline.storage.places import as_place
from pipeline.wording import visible, visible_lines


def add_record_command(app: typer.Typer) -> None:
    """Add the command to the command line."""

    @app.command("fetch-record")
    def fetch_record(
        release: Annotated[Any, typer.Argument(parser=as_place, help="The folder or s3:// prefix of a release.")],
        key: Annotated[str, typer.Argument(metavar="ID", help="The id of a row, or the URL of its page.")],
        inputs: Annotated[
            list[str] | None,
            typer.Option(
                "--input",
                help="A WARC file or the folder, s3:// prefix or URL below which it lies; several.",
            ),
        ] = None,
        headers: Annotated[bool, typer.Option("--headers", help="Print the WARC and HTTP headers instead.")] = False,
        page: Annotated[bool, typer.Option("--page", help="Print the page as text instead.")] = False,
        raw: Annotated[bool, typer.Option("--raw", help="Print the page's bytes instead.")] = False,
        contact: Annotated[str, typer.Option("--contact", help="Who asks, for web servers.")] = "",
        log_json: LogJson = None,
    ) -> None:
        """Read the WARC record behind a row of a release, check that it is the one, and tell what was done to it.

        Exits with 1 where the record's payload has not the digest that it says.
        """
        from pipeline.errors import UsageError
        from pipeline.release.record import fetch_record as fetch
        from pipeline.release.record import find_origin, text_of
        from pipeline.release.record_story import header_lines
        from pipeline.storage.http import Politeness
        from pipeline.telling import open_progress, told

        if headers + page + raw > 1:
            raise UsageError("--headers, --page and --raw each print something else: give one of them")
        if raw and log_json == STANDARD_OUTPUT:
            raise UsageError("--raw and --log-json - both write to standard output: give --log-json a file")
        progress = open_progress(None, log_json)
        with told(progress, "fetch-record", None, release):
            found = fetch(release, key, inputs or [], Politeness(contact=contact), progress.say)
            if raw:
                for each in found.pages:
                    sys.stdout.buffer.write(each.record.body)
                sys.stdout.buffer.flush()
            elif page:
                for each in found.pages:
                    typer.echo(_shown(text_of(each)), err=log_json == STANDARD_OUTPUT)
            else:
                lines = (
                    (line for each in found.pages for line in header_lines(each))
                    if headers
                    else _story(found, find_origin(release))
                )
                for line in lines:
                    # Of a page come its letters, and nothing that a terminal would obey.
                    typer.echo(visible(line), err=log_json == STANDARD_OUTPUT)
            if any(each.payload.holds is False for each in found.pages):
                raise typer.Exit(1)


def _shown(text: str) -> str:
    """A page's text as a terminal may have it: lines and tabs stay."""
    return "\n".join("\t".join(visible_lines(part) for part in line.split("\t")) for line in text.splitlines())


def _story(found: Any, origin: Any) -> Iterator[str]:
    """What there is to tell: of the run's tables where OUT is at hand, else of the columns of the row."""
    from pipeline.release.record_story import column_lines, page_lines, row_lines
    from pipeline.report.explain import explain_document

    yield from row_lines(found)
    for page in found.pages:
        if page.row is not found.row:
            yield f"{page.row['url']} ({page.row['id']})"
        yield from page_lines(page)
        steps = explain_document(origin.out, page.row["id"], origin.recipe) if origin else []
        if not steps:
            yield "  the steps between, by the columns of the row:"
            yield from column_lines(page, found.task)
            continue
        yield f"  the steps between, by {origin.out}{'' if origin.unchanged else ', whose corpus is another by now'}:"
        yield from steps
