"""Audit on the screen: clusters, shares that went, snapshots against each other, pairs, and what still repeats."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipeline.audit_stage import Repeated
from pipeline.report.audit import Duplicates, Removed
from pipeline.wording import counted

HOSTS, MOST = 20, 5


def print_audit(console: Console, duplicates: Duplicates | None, repeated: Repeated) -> None:
    """Print what was found, as tables."""
    if duplicates is not None:
        _print_sizes(console, duplicates)
        _print_removed(console, "removed by host", duplicates.hosts[:HOSTS])
        _print_removed(console, "removed by crawl", duplicates.crawls)
        _print_removed(console, "removed by source", duplicates.sources)
        _print_overlap(console, duplicates)
        _print_pairs(console, duplicates)
    _print_repeats(console, repeated)


def _table(first: str, *numbers: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _print_sizes(console: Console, found: Duplicates) -> None:
    console.print(f"{counted(found.kept, 'document')} kept, {found.removed:,} removed as duplicates")
    table = _table("cluster size", "clusters", "of clusters")
    for size, count in found.sizes.items():
        bounds = str(size) if size <= 2 else f"{size // 2 + 1:,} to {size:,}"
        table.add_row(bounds, f"{count:,}", f"{100 * count / max(1, found.kept):.2f} %")
    console.print(table)


def _print_removed(console: Console, title: str, rows: Sequence[Removed]) -> None:
    shown = [row for row in rows if row.removed]
    if not shown:
        return
    console.print(f"\n{title}")
    table = _table("name", "compared", "removed", "share")
    for row in shown:
        table.add_row(row.name, f"{row.compared:,}", f"{row.removed:,}", f"{100 * row.removed / row.compared:.2f} %")
    console.print(table)


def _print_overlap(console: Console, found: Duplicates) -> None:
    """A row for each crawl: of its documents, which share went for a page of each crawl (columns)."""
    if len(found.crawls) < 2:
        return
    compared = {row.name: row.compared for row in found.crawls}
    crossing = {(lost, kept): count for lost, kept, count in found.overlap}
    console.print("\nof the documents of a crawl (row), the share that went for one of a crawl (column)")
    table = _table("crawl", *compared)
    for lost in compared:
        shares = [100 * crossing.get((lost, kept), 0) / compared[lost] for kept in compared]
        table.add_row(lost, *(f"{share:.2f} %" for share in shares))
    console.print(table)


def _print_pairs(console: Console, found: Duplicates) -> None:
    if not found.pairs:
        return
    right = len(found.pairs) - len(found.wrong)
    console.print(
        f"\n{len(found.pairs)} removed pages compared again with what stayed for them: {right} rightly removed"
    )
    for pair in found.pairs:
        same = " (the same text)" if pair.text == pair.kept_text else ""
        console.print(f"{pair.kind}, similarity {pair.computed:.4f}{same}")
        table = Table()
        for name in (f"removed: {pair.url}", f"kept: {pair.kept_url}"):
            table.add_column(name, ratio=1, overflow="fold")
        table.add_row(" ⏎ ".join(pair.text.split("\n")), " ⏎ ".join(pair.kept_text.split("\n")))
        console.print(table)


def _print_repeats(console: Console, found: Repeated) -> None:
    times = sorted(next(iter(found.shares.values())))
    console.print(f"\nof the corpus's {found.letters:,} letters, the share in units that occur so often or more")
    table = _table("unit", *(f"{least:,} times" for least in times))
    for unit, shares in found.shares.items():
        table.add_row(unit, *(f"{100 * shares[least]:.3f} %" for least in times))
    console.print(table)
    most = [row for unit in found.shares for row in [row for row in found.most if row["unit"] == unit][:MOST]]
    if most:
        console.print("\nmost letters beyond a first occurrence")
        table = _table("unit", "occurrences", "letters of one")
        table.add_column("begins", no_wrap=True, overflow="ellipsis", max_width=80)
        for row in most:
            table.add_row(
                row["unit"],
                f"{row['occurrences']:,}",
                f"{row['letters']:,}",
                " ⏎ ".join((row["text"] or "").split("\n")),
            )
        console.print(table)
