"""Worth: of every rule of a recipe its source, limit, what it removes of a run, and how it judges the labelled set."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from filters.labelled import Score
from filters.rules import Rule, column_of, fails, limits_of, reason_of
from pipeline.columns import CHARACTERS, chosen_recipe, find_columns, with_limits
from pipeline.labelled import judge_labelled, shipped_set
from pipeline.select_settings import RuleModel
from pipeline.storage.places import Place


@dataclass(frozen=True)
class Worth:
    """A limit of a rule and its worth. Pages and characters are those that it rejects, whatever other rules say.

    `alone_` are those that the corpus would have without it. A rule with a `tier` drops nothing: what it rejects first
    is kept in that tier. `limit` is None for a rule that is switched off, and
    all that follows is then 0 or None. `precision` and `recall` are over the labelled set, None where nothing is known.
    """

    signal: str
    limit: str | None
    bound: float | list[str] | None
    reason: str | None
    source: str | None
    tier: str | None = None
    pages: int = 0
    characters: int = 0
    alone_pages: int = 0
    alone_characters: int = 0
    precision: float | None = None
    recall: float | None = None


@dataclass(frozen=True)
class Filters:
    """The rules of a recipe over a run: what there was, what is kept by all rules, and each rule's worth in order."""

    recipe: str
    pages: int
    characters: int
    kept_pages: int
    kept_characters: int
    labelled: int
    rules: list[Worth]

    def as_record(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def worth_of_filters(out: Place, recipe: str | None = None) -> Filters:
    """Judge the documents of a run and the labelled set by each rule of a recipe. Raises UsageError."""
    chosen = with_limits(out, chosen_recipe(out, recipe))
    rules = chosen.recipe.select.active_rules()
    parts = [(rule, limit) for rule in rules for limit in limits_of(rule)]
    # By limit whether failing it first drops a page; the last one stands for failing none.
    drops = np.array([*(rule.tier is None for rule, _ in parts), False])
    # Of each limit: pages, characters, and both again of what it alone drops.
    counts = np.zeros((len(parts), 4), np.int64)
    whole, kept = np.zeros(2, np.int64), np.zeros(2, np.int64)
    for table in find_columns(out, chosen, [rule.signal for rule in rules]).tables():
        characters = table.column(CHARACTERS).combine_chunks().to_numpy(zero_copy_only=False).astype(np.int64)
        first, second = np.full((2, len(characters)), -1)
        for index, (rule, limit) in enumerate(parts):
            failed = fails(column_of(table, rule), rule, limit)
            counts[index, :2] += _pages_and_characters(failed, characters)
            second[failed & (first >= 0) & (second < 0)] = index
            first[failed & (first < 0)] = index
        # Without the limit that decided, the next one would.
        comes_back = drops[first] & ~drops[second]
        for index in range(len(parts)):
            counts[index, 2:] += _pages_and_characters(comes_back & (first == index), characters)
        whole += (len(characters), characters.sum())
        kept += _pages_and_characters(~drops[first], characters)
    labelled = shipped_set()
    judged = judge_labelled(chosen.recipe, labelled)
    found = {
        (rule, limit): (row.tolist(), judged.score(reason_of(rule, limit)))
        for (rule, limit), row in zip(parts, counts, strict=True)
    }
    worths = [worth for model in chosen.recipe.select.rules for worth in _worths(model, found)]
    return Filters(
        recipe=chosen.recipe.name,
        pages=int(whole[0]),
        characters=int(whole[1]),
        kept_pages=int(kept[0]),
        kept_characters=int(kept[1]),
        labelled=len(labelled),
        rules=worths,
    )


def _pages_and_characters(rows: npt.NDArray[np.bool_], characters: npt.NDArray[np.int64]) -> tuple[int, int]:
    return int(rows.sum()), int(characters[rows].sum())


def _worths(model: RuleModel, found: dict[tuple[Rule, str], tuple[list[int], Score | None]]) -> list[Worth]:
    if not model.limits():
        return [Worth(model.signal, None, None, None, model.source)]
    rule = Rule(model.signal, **model.limits(), tier=model.tier)
    worths = []
    for limit in limits_of(rule):
        counts, score = found[rule, limit]
        bound = getattr(rule, limit)
        shown = list(bound) if isinstance(bound, tuple) else float(bound)
        pages, characters, alone_pages, alone_characters = counts
        worths.append(
            Worth(
                signal=rule.signal,
                limit=limit,
                bound=shown,
                reason=reason_of(rule, limit),
                source=model.source,
                tier=model.tier,
                pages=pages,
                characters=characters,
                alone_pages=alone_pages,
                alone_characters=alone_characters,
                precision=score.precision if score else None,
                recall=score.recall if score else None,
            )
        )
    return worths
