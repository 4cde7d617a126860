"""The command that selects records by Common Crawl's columnar index: `kamisuki index`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipeline.errors import UsageError
from pipeline.source_settings import COMMON_CRAWL, Sources
from pipeline.wording import counted

MEGA = 1e6


def add_index_command(app: typer.Typer) -> None:
    """Add the command to the command line."""

    @app.command()
    def index(
        crawl: Annotated[
            str, typer.Argument(help="CC-MAIN-2024-51, or CC-MAIN-2024-51:0-99 for some of its WARC files.")
        ],
        to: Annotated[str, typer.Option("--to", help="Name of what is written, without its ending; a path or s3://.")],
        base: Annotated[str, typer.Option("--base", help="Where the crawl lies, as sources.base.")] = COMMON_CRAWL,
        contact: Annotated[str, typer.Option("--contact", help="Named in the User-Agent, as sources.contact.")] = "",
        connections: Annotated[int, typer.Option("--connections", min=1, max=64, help="As sources.connections.")] = 2,
        rate: Annotated[float, typer.Option("--rate", min=0.001, help="Megabytes a second from the server.")] = 10.0,
        delay: Annotated[
            float, typer.Option("--delay", min=0.0, help="Seconds from a request to its first byte.")
        ] = 0.1,
        ranges: Annotated[bool, typer.Option("--ranges", help="Take ranges, whatever they cost.")] = False,
        whole: Annotated[bool, typer.Option("--whole", help="Take whole WARC files, whatever they cost.")] = False,
    ) -> None:
        """Select the Japanese HTML of a crawl, and price ranges of its WARC files against whole ones."""
        from pipeline.columnar_index import Speed, price, select
        from pipeline.files import atomic_file
        from pipeline.selected import SUFFIX, by_file, write_selection
        from pipeline.storage.places import writable

        if ranges and whole:
            raise UsageError("--ranges and --whole: give one of them, or none to take what costs less")
        sources = Sources(base=base, contact=contact, connections=connections)
        selection = select(crawl, sources)
        if not selection.num_rows:
            raise UsageError(f"the index of {crawl} has no Japanese HTML: check the crawl and its range")
        speed = Speed(rate * MEGA, delay, connections)
        by_range, by_file_ = price(selection, speed)
        by_ranges = ranges or (not whole and by_range.seconds <= by_file_.seconds)
        size = int(selection.column("length").to_numpy().sum())
        files = [name for name, _, _ in by_file(selection)]
        typer.echo(
            f"{counted(selection.num_rows, 'record')} of {size / MEGA:,.1f} MB in {counted(len(files), 'WARC file')}"
        )
        for name, cost in (("ranges", by_range), ("whole files", by_file_)):
            typer.echo(
                f"{name:12} {cost.requests:9,} requests {cost.bytes / MEGA:13,.1f} MB {cost.seconds / 3600:9,.2f} h"
            )
        chosen = writable(f"{to}{SUFFIX}" if by_ranges else f"{to}.paths")
        if by_ranges:
            write_selection(chosen, selection, speed.gap_bytes)
        else:
            with atomic_file(chosen) as file:
                file.write("".join(f"{name}\n" for name in files).encode())
        why = "asked for" if ranges or whole else "the cheaper way"
        more = "" if base == COMMON_CRAWL else f" --set sources.base={base}"
        typer.echo(
            f"{'ranges' if by_ranges else 'whole files'}, {why}: kamisuki run RECIPE --input {chosen}{more} --out OUT"
        )


__all__: list[Any] = ["add_index_command"]
