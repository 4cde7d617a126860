"""The funnel: pages and characters left after every step, with reasons, from the ledger alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.entry_pack import read_entries
from pipeline.schemas import EDITED
from pipeline.storage.places import Place


@dataclass(frozen=True)
class Step:
    """One line of the funnel: what is left after a step. `characters` is None before text exists.

    `tokens` are by signal (`tokens_NAME`), where the recipe names a tokenizer and text exists.
    """

    name: str
    pages: int
    characters: int | None
    removed: bool = False
    tokens: dict[str, int] = field(default_factory=dict)


class Sums:
    """The counts of a folder's entries, added up; a million of them need no more memory than one."""

    def __init__(self, folder: Place | None) -> None:
        self.read = self.written = self.characters_out = 0
        self.rejected: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.characters_rejected: Counter[str] = Counter()
        self._tokens: dict[str, Counter[str]] = {}
        for entry, _ in read_entries(folder) if folder else ():
            self.read += entry.read
            self.written += entry.written
            self.characters_out += entry.characters_out
            self.rejected.update(entry.rejected)
            self.errors.update(entry.errors)
            self.characters_rejected.update(entry.characters_rejected)
            for signal, found in entry.notes.get("tokens", {}).items():
                self._tokens.setdefault(signal, Counter()).update(found)

    def tokens(self, reason: str) -> dict[str, int]:
        """By signal the tokens of one reason, of what went in ("in") or of the corpus ("")."""
        return {signal: found[reason] for signal, found in self._tokens.items()}


# What a reader of the funnel meets first, in the order in which extract tests; others follow by count.
EXTRACT_ORDER = ("not_a_response", "revisit", "http_status", "not_html", "no_kana", "too_many_elements", "not_japanese")


def funnel(out: Place, tables: dict[str, str]) -> list[Step]:
    """The steps of a recipe's run, from `tables` of run.json. Steps that have not run are left out."""
    extracted = Sums(out / tables["documents"] if "documents" in tables else None)
    steps = [Step("records read", extracted.read, None)]
    left = steps[0].pages
    reasons = extracted.rejected + extracted.errors
    rank = {reason: index for index, reason in enumerate(EXTRACT_ORDER)}
    ordered = sorted(reasons.items(), key=lambda item: (rank.get(item[0], 50), -item[1], item[0]))
    others = [reason for reason, _ in ordered if reason in ("not_a_response", "revisit")]
    for reason, count in ordered:
        left -= count
        steps.append(Step(reason, count, None, removed=True))
        if others and reason == others[-1]:
            steps.append(Step("responses", left, None))
    selected = Sums(out / tables["corpus"] if "corpus" in tables else None)
    tokens = selected.tokens
    steps.append(Step("documents", left, extracted.characters_out, tokens=tokens("in")))
    if "corpus" in tables:
        counts, characters = selected.rejected, selected.characters_rejected
        for reason, count in sorted(
            counts.items(),
            key=lambda item: (item[0] == EDITED, item[0].startswith("duplicate_"), -item[1], item[0]),
        ):
            steps.append(Step(reason, count, characters[reason], removed=True, tokens=tokens(reason)))
        steps.append(Step("corpus", selected.written, selected.characters_out, tokens=tokens("")))
    return steps


def as_record(steps: list[Step], waived: Mapping[str, str]) -> dict[str, Any]:
    """The funnel as JSON: its steps, and the shards that it is without, with their errors."""
    return {"steps": [dict(step.__dict__) for step in steps], "waived": dict(sorted(waived.items()))}


def print_funnel(console: Console, steps: list[Step], title: str, waived: Mapping[str, str]) -> None:
    """Show the funnel: what is left in bold, what each reason took away indented below; shards that it is without."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("step")
    for name in ("pages", "of pages", "characters", "a page"):
        table.add_column(name, justify="right")
    signals = list(dict.fromkeys(signal for step in steps for signal in step.tokens))
    for signal in signals:
        table.add_column(signal, justify="right")
    whole = max(1, steps[0].pages)
    for step in steps:
        sign = "-" if step.removed else ""
        characters = "" if step.characters is None else f"{sign}{step.characters:,}"
        mean = "" if not step.characters or not step.pages else f"{step.characters / step.pages:,.0f}"
        name = f"  {step.name}" if step.removed else step.name
        style = None if step.removed else "bold"
        share = f"{sign}{100 * step.pages / whole:.2f} %"
        tokens = [f"{sign}{step.tokens[signal]:,}" if signal in step.tokens else "" for signal in signals]
        table.add_row(name, f"{sign}{step.pages:,}", share, characters, mean, *tokens, style=style)
    console.print(table)
    for shard, error in sorted(waived.items()):
        console.print(f"without shard {shard}, waived by max_failed_shards: {error}", soft_wrap=True)
