"""Show: some rows of a corpus, for `make demo`."""

from __future__ import annotations

import itertools
import sys

from rich.console import Console
from rich.table import Table

from pipeline.entry_pack import load_entries
from pipeline.files import parquet_rows
from pipeline.report.status import known_tables
from pipeline.storage.places import Place, as_place
from pipeline.wording import counted

ROWS = 8
COLUMNS = ["url", "charset", "license", "consent", "text"]


def show(out: Place, console: Console) -> None:
    """Print the first rows of the latest corpus of OUT and how to read it."""
    folder = out / known_tables(out, None)[1]["corpus"]
    pages = sum(entry.written for entry in load_entries(folder))
    table = Table(title=f"{counted(pages, 'page')} in {folder}", title_justify="left", header_style="bold", box=None)
    for name in COLUMNS:
        table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=60 if name == "text" else 40)
    for row in itertools.islice(parquet_rows(folder, COLUMNS), ROWS):
        text = " ".join(row.pop("text").split())
        table.add_row(*(row[name] or "-" for name in COLUMNS[:-1]), text)
    console.print(table)
    console.print(f"Read it: duckdb.sql(\"SELECT url, text FROM '{folder}/*.parquet'\")", soft_wrap=True)
    console.print(f"Ask about a page: .venv/bin/kamisuki explain {out} URL", soft_wrap=True)


if __name__ == "__main__":
    show(as_place(sys.argv[1]), Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 200))
