"""What a mix or a pack holds, from its record: tokens by budget, source, kind, language and license."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.release.derived_record import Derived, DerivedFile, TallyLine
from pipeline.release.reading import is_code

CODE = "code"


@dataclass(frozen=True)
class Budget:
    """A budget of a mix, or of a corpus of a pack: what it was to hold and the files that hold it, in order."""

    corpus: str
    name: str
    wanted: int
    folders: tuple[str, ...]
    files: tuple[DerivedFile, ...]

    @property
    def config(self) -> str:
        """The name under which it is loaded."""
        return f"{self.corpus}-{self.name}" if self.corpus else self.name

    @property
    def rows(self) -> int:
        """Rows that are there."""
        return sum(file.rows for file in self.files)

    @property
    def tokens(self) -> int:
        """Tokens that are there."""
        return sum(file.tokens or 0 for file in self.files)

    def lines(self) -> list[TallyLine]:
        """What its files hold, counted."""
        return [line for file in self.files for line in file.tally]


def budgets_of(record: Derived) -> list[Budget]:
    """The budgets of a record, by corpus, the smallest first; each holds the files of those below it."""
    found: list[Budget] = []
    for step in record.settings["steps"]:
        below = [other for other in found if other.corpus == step["corpus"]]
        folders = (*(below[-1].folders if below else ()), step["folder"])
        mine = tuple(file for file in record.files if file.path.startswith(f"{step['folder']}/"))
        files = (*(below[-1].files if below else ()), *mine)
        found.append(Budget(step["corpus"], step["budget"], step["tokens"], folders, files))
    return found


def largest(record: Derived) -> list[Budget]:
    """The largest budget of a mix, or that of each corpus of a pack."""
    return list({budget.corpus: budget for budget in budgets_of(record)}.values())


def tokens_by(lines: Iterable[TallyLine], key: Callable[[TallyLine], Any]) -> Counter[Any]:
    """Tokens by what `key` says of a line."""
    counted: Counter[Any] = Counter()
    for line in lines:
        counted[key(line)] += line.tokens
    return counted


def kind_of(record: Derived) -> Callable[[TallyLine], str]:
    """What kind a line's rows are of: its source's; `code` too where their language is a programming language."""
    kinds = record.settings.get("kinds", {})
    return lambda line: CODE if is_code(line.language) else kinds.get(line.source, "text")


def epochs_used(record: Derived, budget: Budget) -> dict[str, float]:
    """How often each source was gone through, by its tokens."""
    sizes = {source["name"]: source["tokens"] for source in record.settings["sources"]}
    used = tokens_by(budget.lines(), lambda line: line.source)
    return {name: tokens / sizes[name] for name, tokens in used.items()}
