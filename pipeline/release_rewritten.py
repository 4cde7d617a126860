"""What a release has of a rewriting: the rows behind one of its steps, where they are of the table as it is now."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline.entries import Done
from pipeline.entry_pack import read_entries
from pipeline.errors import UsageError
from pipeline.files import read_json
from pipeline.release.lineage import answers_of_forbidding
from pipeline.release.manifest import FunnelStep, Prompt, Rewriting
from pipeline.release_described import corpus_funnel, published_recipe, versions_of, without_folders
from pipeline.release_sources import Source, check_whole, known_run, planned_shards
from pipeline.run_folder import REWRITINGS
from pipeline.steps import MADE_BY, Finished, finished_before, was_made_of
from pipeline.storage.places import Place


def find_rewritten(out: Place, name: str, step: str | None) -> Source:
    """The rows behind a step of a rewriting, by default the last. Its task is called NAME, or NAME-STEP.

    Raises UsageError for what did not run, or ran on a table that is another one now; Incomplete for one that misses
    shards.
    """
    record = known_run(out)
    rewritings = record.get(REWRITINGS, {})
    if name not in rewritings:
        raise UsageError(f"no rewriting {name!r} ran in {out}; there are: {', '.join(rewritings) or 'none'}")
    mine = rewritings[name]
    steps = mine["recipe"]["steps"]
    names = [each["name"] for each in steps]
    if step is not None and step not in names:
        raise UsageError(f"rewriting {name} has no step {step!r}; it has: {', '.join(names)}")
    steps = steps[: names.index(step) + 1] if step is not None else steps
    known = record["recipes"].get(mine["of"])
    reads = mine["recipe"]["reads"]
    if known is None or reads not in known["tables"]:
        raise UsageError(f"the {reads} of {mine['of']}, which {name} rewrote, is not in {out} any more: run it again")
    table = finished_before(out / known["tables"][reads])
    rows, behind = _chain(out, name, mine, [each["name"] for each in steps], table, reads)
    for found, of in ((rows, "rows"), *((found, "rewritten") for found in behind)):
        check_whole(f"rewriting {name}", found, planned_shards(out, known) | table.entries.keys(), of)
    recipe = mine["recipe"] | {"steps": steps}
    folders = [folder for key, folder in mine["tables"].items() if not key.startswith(("rewritten_", "rejects_"))]
    return Source(
        task=name if step is None else f"{name}-{step}",
        kind="rewritten",
        table="rewritten",
        found=behind[-1],
        recipe=published_recipe(recipe),
        funnel=_funnel(out, known, reads, rows, dict(zip(names, behind, strict=False))),
        waived=without_folders(known["waived"]),
        versions=versions_of(out, [*known["tables"].values(), *folders, behind[-1].folder.name]),
        rewriting=Rewriting(
            of=mine["of"],
            reads=reads,
            source_recipe=published_recipe(known["recipe"]),
            prompts=[
                Prompt(step=each["name"], **mine["prompts"][each["name"]])
                for each in steps
                if each["name"] in mine.get("prompts", {})
            ],
            fell_back={
                each["name"]: sum(entry.notes.get("fell_back", 0) for entry in found.entries.values())
                for each, found in zip(steps, behind, strict=True)
            },
        ),
        forbidding=answers_of_forbidding(recipe),
    )


def _chain(
    out: Place, name: str, mine: dict[str, Any], steps: list[str], table: Finished, reads: str
) -> tuple[Finished, list[Finished]]:
    """The rows that a rewriting began with, and those behind each step.

    Raises UsageError where one of them was not made of what stands before it now: what it says of consent and license
    may not hold then.
    """
    again = f"run kamisuki rewrite {name} again first: only what changed is done"
    folders = {each: mine["tables"].get(f"rewritten_{name}_{each}") for each in steps}
    if missing := [each for each in steps if folders[each] is None]:
        raise UsageError(f"step {missing[0]} of {name} has not run in {out} yet: run kamisuki rewrite first")
    rows = finished_before(out / mine["tables"]["rows"])
    made_of_it = _made_by(rows.folder).get("upstream") == table.folder.name and all(
        was_made_of(table.inputs(reads, entry.shard), entry)
        for entry, _ in read_entries(rows.folder)
        if entry.shard in table.entries
    )
    if not made_of_it or rows.entries.keys() - table.entries.keys():
        raise UsageError(f"{name} was rewritten from another {reads} of {mine['of']} than stands in {out} now: {again}")
    behind: list[Finished] = []
    before, of = rows, "rows"
    for each in steps:
        found = finished_before(out / folders[each])
        made_by = _made_by(found.folder)
        if (made_by.get("upstream"), made_by.get("shards")) != (before.folder.name, before.fingerprint(of)):
            raise UsageError(f"step {each} of {name} was made of other rows than stand before it now: {again}")
        behind.append(found)
        before, of = found, "rewritten"
    return rows, behind


def _made_by(folder: Place) -> dict[str, Any]:
    try:
        return dict(read_json(folder / MADE_BY))
    except FileNotFoundError:
        return {}


def _funnel(
    out: Place, known: dict[str, Any], reads: str, rows: Finished, behind: dict[str, Finished]
) -> list[FunnelStep]:
    """The funnel of the run down to the table that was rewritten, then of each step; a line of what went there is
    `STEP: reason`."""
    steps = corpus_funnel(out, known["tables"])
    # A run that was made by hand or long ago tells nothing of what was before its table.
    ends = [place for place, step in enumerate(steps) if step.name == reads and step.rows]
    steps = steps[: ends[0] + 1] if ends else []
    steps += _removed("", rows.entries.values())
    steps.append(_left("rows to rewrite", rows.entries.values()))
    for name, found in behind.items():
        steps += _removed(f"{name}: ", found.entries.values())
        steps.append(_left(name, found.entries.values()))
    return steps


def _removed(prefix: str, entries: Any) -> list[FunnelStep]:
    counts: Counter[str] = Counter()
    characters: Counter[str] = Counter()
    for entry in entries:
        counts.update(entry.rejected)
        characters.update(entry.characters_rejected)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [
        FunnelStep(name=f"{prefix}{reason}", rows=count, characters=characters[reason], removed=True)
        for reason, count in ordered
    ]


def _left(name: str, entries: Any) -> FunnelStep:
    found: list[Done] = list(entries)
    return FunnelStep(
        name=name,
        rows=sum(entry.written for entry in found),
        characters=sum(entry.characters_out for entry in found),
    )
