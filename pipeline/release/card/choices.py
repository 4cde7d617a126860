"""What a recipe chose, in rows for tables: its filters with what each removed, and sections flattened to keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from filters.rules import NUMBER_LIMITS, TEXT_LIMITS, Rule, reason_of
from pipeline.release.manifest import FunnelStep, Task

_WORDS = {"min": "at least", "more_than": "more than", "max": "at most", "less_than": "less than"}
_WORDS |= {"any_of": "one of", "none_of": "none of"}
# A share of the run is kept by a limit that the run finds: of the greatest values a least one, and so on.
_SHARES = {"top": "min", "bottom": "max"}


@dataclass
class Filter:
    """What is judged, what passes, where the limit comes from, and by which name of the funnel the rest went.

    `reason` is empty for a rule that drops nothing: one that is off, or that only sets the tier.
    """

    signal: str
    keeps: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    reason: str = ""


def _rules(recipe: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rules of a recipe, and the steps that they belong to where it rewrites."""
    for rule in (recipe.get("select") or {}).get("rules") or []:
        yield "", rule
    for step in recipe.get("steps") or []:
        for rule in step.get("rules") or []:
            yield step.get("name", ""), rule


def _limits(rule: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a rule keeps, in words, each with the limit whose reason a row that fails gets."""
    for limit in (*NUMBER_LIMITS, *TEXT_LIMITS):
        value = rule.get(limit)
        if value is not None:
            shown = ", ".join(value) if isinstance(value, list | tuple) else json.dumps(value)
            yield limit, f"{_WORDS[limit]} {shown}"
    for share, limit in _SHARES.items():
        if rule.get(share) is not None:
            yield limit, f"the {'greatest' if share == 'top' else 'least'} {json.dumps(rule[share])} of the run"


def filters_of(task: Task) -> list[Filter]:
    """The filters of a task's recipe in their order; limits that give one reason stand together."""
    found: dict[tuple[str, str, str], Filter] = {}
    for step, rule in _rules(task.recipe):
        signal = f"{step}: {rule['signal']}" if step else rule["signal"]
        limits = list(_limits(rule)) or [("", "off")]
        for limit, words in limits:
            drops = limit and not rule.get("tier")
            bound: Any = ("",) if limit in TEXT_LIMITS else 0.0
            reason = reason_of(Rule(rule["signal"], **{limit: bound}), limit) if drops else ""
            # The funnel of a rewriting says at which step a row went.
            reason = f"{step}: {reason}" if step and reason else reason
            if rule.get("tier") and limit:
                words += f", else tier {rule['tier']}"
            entry = found.setdefault((signal, reason, "" if reason else words), Filter(signal, reason=reason))
            entry.keeps.append(words)
            if rule.get("source") and rule["source"] not in entry.sources:
                entry.sources.append(rule["source"])
    return list(found.values())


def removed_by(task: Task) -> dict[str, FunnelStep]:
    """The lines of a task's funnel that say what was removed, by name; lines of one name are added up."""
    found: dict[str, FunnelStep] = {}
    for step in task.funnel:
        if step.removed:
            before = found.get(step.name, FunnelStep(name=step.name, rows=0, characters=None, removed=True))
            both = [count for count in (before.characters, step.characters) if count is not None]
            characters = sum(both) if both else None
            found[step.name] = before.model_copy(update={"rows": before.rows + step.rows, "characters": characters})
    return found


def flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """A section of a recipe as dotted keys and values in JSON."""
    if isinstance(value, dict) and value:
        return [row for key, below in value.items() for row in flat(below, f"{prefix}.{key}" if prefix else str(key))]
    return [(prefix, json.dumps(value, ensure_ascii=False))]
