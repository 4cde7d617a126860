"""A task of a release as its manifest tells of it: the recipe in full, the funnel, versions, what the run went without.

What concerns the machine alone is left out: paths, servers that were asked, how others' servers were asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pipeline.files import read_json
from pipeline.release.manifest import FunnelStep
from pipeline.report.funnel import funnel
from pipeline.steps import MADE_BY
from pipeline.storage.places import Place

# Keys of recipes that say where and how to ask servers; they decide no row.
_OF_THE_MACHINE = ("sources", "client")
_PATH = re.compile(r"(?:file://|s3://|~/|(?<![\w.:/])/|\.\.?/)(?:[^\s/:;,'\"()]+/)+")


def without_folders(value: Any) -> Any:
    """A JSON value in whose texts of each path only its last part is left."""
    if isinstance(value, str):
        return _PATH.sub("", value)
    if isinstance(value, dict):
        return {key: without_folders(item) for key, item in value.items()}
    return [without_folders(item) for item in value] if isinstance(value, list) else value


def published_recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe of run.json as it may be shown to everybody."""
    return dict(without_folders({key: value for key, value in recipe.items() if key not in _OF_THE_MACHINE}))


def corpus_funnel(out: Place, tables: dict[str, str]) -> list[FunnelStep]:
    """The funnel of a corpus, from the ledger."""
    return [
        FunnelStep(name=step.name, rows=step.pages, characters=step.characters, removed=step.removed)
        for step in funnel(out, tables)
    ]


def versions_of(out: Place, folders: Iterable[str]) -> dict[str, str]:
    """The versions that decided the tables in these folders, and of each stage that of its rules."""
    found: dict[str, str] = {}
    for folder in folders:
        try:
            made_by = read_json(out / folder / MADE_BY)
        except FileNotFoundError:
            continue
        found |= {name: str(version) for name, version in (made_by.get("versions") or {}).items()}
        if "rule_version" in made_by:
            found[f"rules of {made_by['stage']}"] = str(made_by["rule_version"])
    return dict(sorted(without_folders(found).items()))
