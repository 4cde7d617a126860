"""What was found of a release: check after check, how much was looked at and what is wrong, with file and row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.wording import visible

# Of one mistake there may be millions: the first ones say where to look.
SHOWN = 20


@dataclass
class Check:
    """One check: its name, what it holds, how many things were looked at, and what was wrong of them."""

    name: str
    holds: str
    looked_at: int = 0
    wrong: int = 0
    problems: list[str] = field(default_factory=list)

    def fail(self, problem: str, count: int = 1) -> None:
        """Note what is wrong; `count` things of the kind. Ids, hosts and paths come from anybody: what a terminal would
        obey, and what turns the direction of writing, is kept as its escape."""
        self.wrong += count
        if len(self.problems) < SHOWN:
            self.problems.append(visible(problem))


CHECKS = {
    "files": "every file of the manifest is there, and no other",
    "checksums": "bytes and SHA-256 of every file are those of the manifest",
    "schema": "all files of a task have its columns, of the same types",
    "counts": "rows and characters of every file are those of the manifest",
    "sums": "rows in are rows here and rows left out; licenses, sources, languages and consent are those of the rows",
    "ids": "no id is there twice in one part",
    "text": "every text is valid UTF-8 and not empty",
    "cells": "every row has the values of its file's cell",
    "places": "every row is in the split, the file and at the place that its key decides",
    "consent": "no row refuses training, unless the release lets such rows in",
    "licenses": "no row, nor what it was made of, is outside of the release's license tiers",
    "generators": "no row is the work of a model whose license forbids training with it",
    "lineage": "every rewritten row names its sources, and the model that wrote it, under which license, asked what",
    "hosts": "no host is in two splits",
    "tombstones": "no row that was taken down, nor one made of it, is there",
    "takedowns": "no row that this copy's list of takedowns names is there",
    "card": "README.md is what the manifest makes",
    "configs": "every config of the card finds its files, and every file is found",
}


class Findings:
    """All checks of a release, or others, by name."""

    def __init__(self, checks: Mapping[str, str] = CHECKS) -> None:
        self.checks = {name: Check(name, holds) for name, holds in checks.items()}

    def __getitem__(self, name: str) -> Check:
        return self.checks[name]

    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not any(check.wrong for check in self.checks.values())

    def as_record(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"whole": self.whole(), "checks": [asdict(check) for check in self.checks.values()]}
