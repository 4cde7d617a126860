"""Sweep, filters and compare on the screen."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from pipeline.report.compare import Comparison, Side
from pipeline.report.sweep import Sweep
from pipeline.report.worth import Filters
from pipeline.wording import counted

LIMITS = {
    "min": "at least",
    "more_than": "more than",
    "max": "at most",
    "less_than": "less than",
    "any_of": "any of",
    "none_of": "none of",
}


def print_sweep(console: Console, found: Sweep) -> None:
    """A row for each limit, and below the pages beside a limit."""
    console.print(
        f"{found.signal} over {counted(found.pages, 'page')} of {counted(found.characters, 'character')}; "
        f"{found.measured:,} have a value"
    )
    table = _table("keeps", "pages", "of pages", "characters", "of characters")
    table.add_column("")
    for trial in found.trials:
        table.add_row(
            f"{LIMITS[trial.limit]} {_number(trial.value)}",
            f"{trial.pages:,}",
            _percent(trial.pages, found.pages),
            f"{trial.characters:,}",
            _percent(trial.characters, found.characters),
            f"<- {found.recipe}" if trial.of_recipe else "",
            style="bold" if trial.of_recipe else None,
        )
    console.print(table)
    for edge in found.edges:
        for kept in (True, False):
            beside = [page for page in edge.pages if page.kept is kept]
            if not beside:
                continue
            what = "just kept" if kept else "just dropped"
            console.print(f"\n{what} by {LIMITS[edge.limit]} {_number(edge.value)}")
            table = _pages_table("value")
            for page in beside:
                table.add_row(_number(page.value), page.url, page.begins)
            console.print(table)


def print_filters(console: Console, found: Filters) -> None:
    """A row for each limit of each rule: what it removes, what it alone removes, and how it judges the labelled set."""
    console.print(
        f"{found.recipe}: its rules keep {found.kept_pages:,} of {counted(found.pages, 'page')} "
        f"({_percent(found.kept_pages, found.pages)}) and {found.kept_characters:,} of {found.characters:,} characters "
        f"({_percent(found.kept_characters, found.characters)})"
    )
    table = _table("rule", "pages", "characters", "alone", "alone, chars", "precision", "recall")
    table.add_column("source", overflow="fold")
    for worth in found.rules:
        if worth.limit is None:
            table.add_row(f"{worth.signal} (off)", "", "", "", "", "", "", worth.source or "")
            continue
        bound = ", ".join(worth.bound) if isinstance(worth.bound, list) else _number(worth.bound or 0.0)
        tier = f", else tier {worth.tier}" if worth.tier else ""
        table.add_row(
            f"{worth.signal} {LIMITS[worth.limit]} {bound}{tier}",
            _percent(worth.pages, found.pages),
            _percent(worth.characters, found.characters),
            _percent(worth.alone_pages, found.pages),
            _percent(worth.alone_characters, found.characters),
            _share(worth.precision),
            _share(worth.recall),
            worth.source or "",
        )
    console.print(table)
    console.print(
        "pages, characters: shares that the rule rejects, whatever the others say; "
        "alone: the corpus would have them without it; "
        f"precision, recall: over {found.labelled} labelled documents, - where the rule rejects none of them or reads "
        "more than the text",
        soft_wrap=True,
    )


def print_comparison(console: Console, found: Comparison) -> None:
    """Who keeps what, and both sides of the difference with reasons and a sample."""
    console.print(
        f"{found.first} and {found.second}, by their rules: {100 * found.overlap():.2f} % of what one keeps both keep"
    )
    table = _table("kept by", "pages", "of pages", "characters", "of characters")
    pages, characters = sum(found.pages.values()), sum(found.characters.values())
    shown = {
        "both": "both",
        "first": f"{found.first} only",
        "second": f"{found.second} only",
        "neither": "neither",
    }
    for key, name in shown.items():
        counts = (found.pages[key], found.characters[key])
        table.add_row(
            name, f"{counts[0]:,}", _percent(counts[0], pages), f"{counts[1]:,}", _percent(counts[1], characters)
        )
    console.print(table)
    for side in found.sides:
        if side.reasons:
            _print_side(console, side)


def _print_side(console: Console, side: Side) -> None:
    console.print(f"\nkept by {side.kept_by} only: why {side.dropped_by} drops it")
    table = _table("reason", "pages", "characters")
    for reason in side.reasons:
        table.add_row(reason.reason, f"{reason.pages:,}", f"{reason.characters:,}")
    console.print(table)
    console.print(f"\n{len(side.sample)} of them")
    table = _pages_table("reason", "value")
    for page in side.sample:
        value = _number(page.value) if isinstance(page.value, float) else page.value or ""
        table.add_row(page.reason, value, page.url, page.begins)
    console.print(table)


def _table(first: str, *numbers: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _pages_table(*first: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in first:
        table.add_column(name)
    table.add_column("page", overflow="ellipsis", no_wrap=True, max_width=60)
    table.add_column("begins", overflow="ellipsis", no_wrap=True)
    return table


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.2f} %"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"
