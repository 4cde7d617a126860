"""The parts of a card that speak of one task: columns, funnel, filters, duplicates, recipe, sources, licenses."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.release.card.choices import filters_of, flat, removed_by
from pipeline.release.card.columns import meanings
from pipeline.release.card.markup import fence, heading, name, number, plain, table, yaml_text
from pipeline.release.manifest import Manifest, Task

# A page has some hundred languages by mistakes of lid.176; the first ones say what there is.
LANGUAGES_SHOWN = 20


def by_task(manifest: Manifest, part: Callable[[Task], str]) -> str:
    """What a section says of each task, below the task's name where there are several."""
    if len(manifest.tasks) == 1:
        return part(manifest.tasks[0])
    return "\n\n".join(f"{heading(3, task.name)}\n\n{part(task)}" for task in manifest.tasks)


def columns(task: Task) -> str:
    """The table of columns with their types."""
    known = meanings(task.kind, [column for column, _ in task.columns])
    rows = [[name(column), plain(kind), plain(known[column])] for column, kind in task.columns]
    return table(["column", "type", "content"], rows)


def rows_of(task: Task) -> int:
    """Rows that the release has of a task."""
    return task.rows_in - sum(task.left_out.values())


def funnel(task: Task) -> str:
    """What every step left, with what went, down to what this release has."""
    lines = []
    for step in task.funnel:
        sign = "− " if step.removed else ""
        shown = name(step.name) if step.removed else plain(step.name)
        lines.append([f"{sign}{shown}", number(step.rows, step.removed), number(step.characters, step.removed)])
    lines += [[f"− {name(why)}", number(rows, True), ""] for why, rows in task.left_out.items()]
    lines.append(["this release", number(rows_of(task)), ""])
    return table(["step", "rows", "characters"], lines)


def filters(task: Task) -> str:
    """What each filter keeps, and what went by it."""
    went = removed_by(task)
    rows = []
    for each in filters_of(task):
        gone = went.get(each.reason) if each.reason else None
        rows.append(
            [
                plain(each.signal),
                plain("; ".join(each.keeps)),
                name(each.reason) if each.reason else "",
                number(gone.rows if gone else 0) if each.reason else "",
                number(gone.characters) if gone else "",
                plain("; ".join(each.sources)),
            ]
        )
    if not rows:
        return "The recipe has no filters."
    return table(["measure", "kept", "reason", "rows removed", "characters removed", "source of the limit"], rows)


def deduplication(task: Task) -> str:
    """The parameters of deduplication, and what went as a duplicate."""
    if task.kind == "rewritten":
        return "What was rewritten was deduplicated before, and not again afterwards."
    chosen = task.recipe.get("dedup")
    if chosen is None:
        return "The recipe deduplicates nothing: the same text may stand in many rows."
    gone = [[name(step.name), number(step.rows), number(step.characters)] for step in removed_by(task).values()
            if step.name.startswith("duplicate_")]  # fmt: skip
    keys = [[name(key), plain(value)] for key, value in flat(chosen)]
    removed = table(["kind", "rows removed", "characters removed"], gone) if gone else "No row went as a duplicate."
    return f"{removed}\n\nParameters, as the recipe names them:\n\n{table(['key', 'value'], keys)}"


def recipe(task: Task) -> str:
    """The recipe in full."""
    return fence(yaml_text(task.recipe), "yaml")


def sources(task: Task) -> str:
    """Crawls and other sources with the dates of fetching."""
    rows = []
    for source in task.sources:
        dates = [str(day) if day else "" for day in (source.first, source.last)]
        rows.append([plain(source.source), number(source.rows), number(source.characters), *dates])
    return table(["source", "rows", "characters", "first fetched", "last fetched"], rows)


def licenses(task: Task) -> str:
    """Rows under each license."""
    rows = []
    for count in task.licenses:
        shown = plain(count.license) if count.license else "none found"
        rows.append([plain(count.tier), shown, number(count.rows), number(count.characters)])
    return table(["tier", "license", "rows", "characters"], rows)


def languages(task: Task) -> str:
    """Rows by language, the most frequent ones."""
    ordered = sorted(task.languages.items(), key=lambda item: (-item[1], item[0]))
    shown = ordered[:LANGUAGES_SHOWN]
    rows = [[plain(code), number(count)] for code, count in shown]
    if len(ordered) > len(shown):
        rows.append([f"{len(ordered) - len(shown)} others", number(sum(count for _, count in ordered[len(shown) :]))])
    return table(["language", "rows"], rows)


def consent(task: Task) -> str:
    """Rows by what page and response say of training."""
    return table(["verdict", "rows"], [[plain(verdict), number(count)] for verdict, count in task.consent.items()])


def versions(task: Task) -> str:
    """What decided the rows, by version."""
    return table(["what", "version"], [[plain(what), plain(version)] for what, version in task.versions.items()])
