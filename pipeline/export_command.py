"""The command `kamisuki export`: a release as JSON lines, plain text or token shards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from pipeline.events import STANDARD_OUTPUT, LogJson
from pipeline.storage.places import as_place, writable
from pipeline.worker_options import RayAddress, Workers, make_runner

Release = Annotated[Any, typer.Argument(parser=as_place, help="Folder or s3:// prefix of a release, mix or pack.")]
To = Annotated[Any, typer.Option("--to", parser=as_place, help="A new folder or s3:// prefix.")]
TokenizerFile = Annotated[Path | None, typer.Option("--tokenizer", help="A tokenizer.json.")]
EndOfText = Annotated[
    str | None, typer.Option("--eos", help="The token that ends a document, or none; found by itself where it can be.")
]


def add_export_command(app: typer.Typer, console: Any) -> None:
    """Add the command to the command line; `console` makes what it prints on."""

    @app.command()
    def export(
        release: Release,
        to: To,
        kind: Annotated[str, typer.Option("--as", help="jsonl, text or tokens.")],
        config: Annotated[
            str | None, typer.Option("--config", help="Which config of the release; its default one without.")
        ] = None,
        sizes: Annotated[
            str | None, typer.Option("--sizes", help="Samples of the text by size, nested: 100MB,1GB.")
        ] = None,
        tokenizer: TokenizerFile = None,
        eos: EndOfText = None,
        layout: Annotated[str | None, typer.Option("--layout", help="megatron (the default) or nanotron.")] = None,
        workers: Workers = None,
        ray_address: RayAddress = None,
        log_json: LogJson = None,
    ) -> None:
        """Write a release as JSON lines by source, as plain text, or as token shards."""
        from pipeline.export_run import export as make
        from pipeline.telling import open_progress, told

        runner, progress = make_runner(workers, ray_address), open_progress(None, log_json)
        with told(progress, "export", None, to, runner):
            record = make(release, writable(to), kind, runner, progress, config, sizes, tokenizer, eos, layout)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("file", "rows", "tokens", "MB"):
            table.add_column(name, justify="left" if name == "file" else "right")
        for file in record.files:
            counted = "" if file.tokens is None else f"{file.tokens:,}"
            table.add_row(file.path, f"{file.rows:,}", counted, f"{file.bytes / 1e6:.2f}")
        printed = console(stderr=log_json == STANDARD_OUTPUT)
        printed.print(table)
        printed.print(f"export: {to}", soft_wrap=True)
