"""The shipped labelled set, measured by the signals of a recipe and judged by each of its rules alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.groups import make_group
from filters.labelled import Labelled, Score, read_labelled, score
from filters.rules import column_of, fails, limits_of, reason_of
from pipeline.recipe import Recipe
from pipeline.shipped import configs_folder
from pipeline.web.language import identify

FOLDER = "labelled"


@dataclass(frozen=True)
class Judged:
    """Labelled documents, and by reason which of them a rule rejects, whatever the others say.

    `unjudged` are reasons of rules on what a text alone does not tell, like its host or its license.
    """

    documents: list[Labelled]
    rejected: dict[str, npt.NDArray[np.bool_]]
    unjudged: list[str]

    def score(self, reason: str, half: str | None = None) -> Score | None:
        """How the rule that gives a reason judged one half of the set or all of it; None where it could not."""
        if reason not in self.rejected:
            return None
        counted = np.array([half in (None, each.half) for each in self.documents], bool)
        should_fall = np.array([each.should_fall for each in self.documents], bool)
        return score(self.rejected[reason] & counted, should_fall & counted)


def shipped_set() -> list[Labelled]:
    """The documents of configs/labelled."""
    return read_labelled(configs_folder() / FOLDER)


def judge_labelled(recipe: Recipe, documents: list[Labelled]) -> Judged:
    """Measure labelled documents as `annotate` would and judge them by every rule of a recipe that has a limit."""
    columns = _measured(recipe, documents)
    rejected: dict[str, npt.NDArray[np.bool_]] = {}
    unjudged: list[str] = []
    for rule in recipe.select.active_rules():
        for limit in limits_of(rule):
            reason = reason_of(rule, limit)
            if rule.signal in columns.schema.names:
                failed = fails(column_of(columns, rule), rule, limit)
                rejected[reason] = failed | rejected.get(reason, np.zeros(len(documents), bool))
            else:
                unjudged.append(reason)
    return Judged(documents, rejected, unjudged)


def _measured(recipe: Recipe, documents: list[Labelled]) -> pa.Table:
    """The columns that a text alone decides: language, and all groups of signals that read nothing else."""
    languages = [identify(each.text) for each in documents]
    given = pa.RecordBatch.from_pydict(
        {
            "id": pa.array([each.id for each in documents], pa.string()),
            "text": pa.array([each.text for each in documents], pa.string()),
            "language": pa.array([label for label, _ in languages], pa.string()),
            "language_score": pa.array([probability for _, probability in languages], pa.float32()),
        }
    )
    columns = {name: given.column(name) for name in given.schema.names}
    for chosen in recipe.groups().values():
        group = make_group(chosen.kind, chosen.settings)
        if set(group.columns) <= set(given.schema.names):
            measures = group.measure(given)
            columns |= {name: measures.column(name) for name in measures.schema.names}
    return pa.table(columns)
