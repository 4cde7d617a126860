"""The parts of a card that speak of one task: columns, funnel, filters, duplicates, recipe, sources, licenses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.release.card.choices import filters_of, flat, removed_by
from pipeline.release.card.columns import meanings
from pipeline.release.card.markup import fence, heading, name, number, plain, table, yaml_text
from pipeline.release.manifest import Manifest, Prompt, Task
from pipeline.wording import visible_lines

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


def funnel(task: Task, characters: int) -> str:
    """What every step left, with what went, down to what this release has: so many characters."""
    lines = []
    for step in task.funnel:
        sign = "− " if step.removed else ""
        shown = name(step.name) if step.removed else plain(step.name)
        lines.append([f"{sign}{shown}", number(step.rows, step.removed), number(step.characters, step.removed)])
    lines += [[f"− {name(why)}", number(rows, True), ""] for why, rows in task.left_out.items()]
    lines.append(["this release", number(rows_of(task)), number(characters)])
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
        deduplicated = task.rewriting and task.rewriting.reads == "corpus" and task.rewriting.source_recipe.get("dedup")
        before = "was deduplicated by its recipe" if deduplicated else "was not deduplicated"
        return f"What was rewritten {before}; the rewritten texts were not deduplicated."
    chosen = task.recipe.get("dedup")
    if chosen is None:
        return "The recipe deduplicates nothing: the same text may stand in many rows."
    gone = [[name(step.name), number(step.rows), number(step.characters)] for step in removed_by(task).values()
            if step.name.startswith("duplicate_")]  # fmt: skip
    keys = [[name(key), plain(value)] for key, value in flat(chosen)]
    removed = table(["kind", "rows removed", "characters removed"], gone) if gone else "No row went as a duplicate."
    if "near" in (chosen.get("kinds") or []):
        removed += (
            "\n\nMinHash found which rows may be near duplicates. A row went where its true similarity to one that "
            "stayed, computed from both texts, was `similarity` or more."
        )
    return f"{removed}\n\nParameters, as the recipe names them:\n\n{table(['key', 'value'], keys)}"


def recipe(task: Task, besides: set[str]) -> str:
    """The recipe in full, and that of the run which was rewritten where it is not `besides` in the card."""
    own = fence(yaml_text(task.recipe), "yaml")
    if task.rewriting is None or task.rewriting.of in besides:
        return own
    of = f"The recipe of the run that was rewritten, {name(task.rewriting.of)}:"
    return f"{own}\n\n{of}\n\n{fence(yaml_text(task.rewriting.source_recipe), 'yaml')}"


def rewriting(task: Task) -> str:
    """What was rewritten by which model; of each step what it asked, what was checked of the answers and what went."""
    if task.rewriting is None:
        return "As the sources have it: nothing of it was written by a model."
    facts = [["rewritten", plain(f"the {task.rewriting.reads} of {task.rewriting.of}")]]
    generator = task.recipe.get("generator") or {}
    for key, what in (("model", "model"), ("license", "its license"), ("license_tier", "tier of that license")):
        facts += [[what, plain(str(generator[key]))]] if key in generator else []
    if "training" in generator:
        facts.append(
            [
                "training other models with what it wrote",
                plain(_TRAINING.get(generator["training"], str(generator["training"]))),
            ]
        )
    went = removed_by(task)
    left = {step.name: step.rows for step in task.funnel if not step.removed}
    prompts = {prompt.step: prompt for prompt in task.rewriting.prompts}
    steps = []
    for step in task.recipe.get("steps") or []:
        gone = sum(each.rows for each in went.values() if each.name.startswith(f"{step['name']}: "))
        steps.append(
            [
                name(step["name"]),
                _what_it_does(step, prompts),
                plain(", ".join(step.get("checks") or [])),
                plain(_OTHERWISE.get(step.get("otherwise", ""), "")),
                number(gone, True),
                number(task.rewriting.fell_back.get(step["name"], 0)),
                number(left.get(step["name"])),
            ]
        )
    header = [
        "step",
        "what it does",
        "checks",
        "a row that fails",
        "dropped",
        "went on though failed",
        "rows behind it",
    ]
    shown = [table(["what", "value"], facts), table(header, steps)]
    for prompt in task.rewriting.prompts:
        messages = "\n\n".join(f"=== {role}\n{content}" for role, content in prompt.messages)
        digest = plain(f"SHA-256 of its file {prompt.digest}")
        shown.append(
            f"What {name(prompt.step)} asked, prompt {name(prompt.name)} ({digest}), where `{{text}}`, `{{title}}` and "
            f"`{{url}}` are the row's:\n\n{fence(visible_lines(messages), 'text')}"
        )
    return "\n\n".join(shown)


_TRAINING = {
    "allowed": "allowed",
    "named": "allowed, under a name that the license asks for",
    "forbidden": "forbidden",
}
_OTHERWISE = {
    "drop": "is dropped",
    "source": "goes on with the text before the step",
    "keep": "goes on as it is",
}


def _what_it_does(step: dict[str, Any], prompts: dict[str, Prompt]) -> str:
    ask = step.get("ask")
    if ask:
        prompt = prompts.get(step["name"])
        answer = plain(str(ask.get("answer", "text")))
        return f"asks the model for {answer} with prompt {name(prompt.name if prompt else str(ask.get('prompt')))}"
    if step.get("transform"):
        return f"runs the tool {plain(str(step['transform'].get('tool')))}"
    return "measures"


def sources(task: Task) -> str:
    """Crawls and other sources with the dates of fetching."""
    rows = []
    for source in task.sources:
        dates = [str(day) if day else "" for day in (source.first, source.last)]
        rows.append([plain(source.source), number(source.rows), number(source.characters), *dates])
    listed = table(["source", "rows", "characters", "first fetched", "last fetched"], rows)
    if not any(source.source.startswith("CC-MAIN-") for source in task.sources):
        return listed
    return (
        f"{listed}\n\nPages of Common Crawl (CC-MAIN) are under its terms of use besides: commoncrawl.org/terms-of-use."
    )


# What each tier lets people do, in the order of pipeline.web.license.tiers.TIERS.
TIER_MEANINGS = {
    "public-domain": "everything",
    "attribution": "everything, where author and license are named",
    "share-alike": "the same, and what is made of the text is under the same license",
    "no-derivatives": "passing it on as it is, with author and license; whether training changes it is disputed",
    "non-commercial": "uses that are not commercial, with author and license; some of them no changes either",
    "government": "the terms of Japan's government: everything with its source named, but what others have rights to",
    "reserved": "what the law lets everybody do: the page reserves all rights",
    "unknown": "not known: nothing was found, or nothing that is understood",
}


def licenses(task: Task) -> str:
    """What each tier of license lets people do with how many rows, and rows under each license."""
    tiers: dict[str, int] = {}
    for count in task.licenses:
        tiers[count.tier] = tiers.get(count.tier, 0) + count.rows
    ordered = [tier for tier in TIER_MEANINGS if tier in tiers] + sorted(tiers.keys() - TIER_MEANINGS.keys())
    summed = [[plain(tier), TIER_MEANINGS.get(tier, ""), number(tiers[tier])] for tier in ordered]
    rows = []
    for count in task.licenses:
        shown = plain(count.license) if count.license else "none found"
        rows.append([plain(count.tier), shown, number(count.rows), number(count.characters)])
    listed = table(["tier", "license", "rows", "characters"], rows)
    return f"{table(['tier', 'what it lets people do', 'rows'], summed)}\n\n{listed}"


def languages(task: Task) -> str:
    """Rows by language, the most frequent ones."""
    ordered = sorted(task.languages.items(), key=lambda item: (-item[1], item[0]))
    shown = ordered[:LANGUAGES_SHOWN]
    rows = [[plain(code), number(count)] for code, count in shown]
    if len(ordered) > len(shown):
        rows.append([f"{len(ordered) - len(shown)} others", number(sum(count for _, count in ordered[len(shown) :]))])
    return table(["language", "rows"], rows)


def consent(task: Task) -> str:
    """Rows by what page and response say of training, and what was made of robots.txt."""
    listed = table(["verdict", "rows"], [[plain(verdict), number(count)] for verdict, count in task.consent.items()])
    rules = [each for each in filters_of(task) if each.signal in ("robots", "robots_latest") and each.reason]
    if rules:
        kept = "; ".join(f"{name(each.signal)} {plain(', '.join(each.keeps))}" for each in rules)
        robots = f"Of what robots.txt said, the recipe kept: {kept}."
    else:
        robots = "No rule of the recipe looks at robots.txt."
    return f"{listed}\n\n{robots}" if task.kind == "corpus" else listed


def versions(task: Task) -> str:
    """What decided the rows, by version."""
    return table(["what", "version"], [[plain(what), plain(version)] for what, version in task.versions.items()])
