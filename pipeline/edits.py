"""Edits: what a recipe changes in texts on their way into the corpus, noted, and what is left judged again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.groups import make_group
from filters.rules import Rule, judge
from pipeline.schemas import EDITS
from pipeline.select_settings import Select

# The reason of a document of which edits leave no letter.
NO_TEXT_LEFT = "no_text_left"


class Edit(NamedTuple):
    """One change of a text: code points from `start` to `end` gave way to `replacement`; `detail` says why."""

    kind: str
    start: int
    end: int
    replacement: str
    detail: str | None


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text after edits, each of which speaks of what the one before it left."""
    return reduce(lambda left, edit: left[: edit.start] + edit.replacement + left[edit.end :], edits, text)


def edit_lines(edits: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Edits of a corpus's row in words: a line for each cut, and one for all replacements of a kind."""
    replaced = Counter(edit["kind"] for edit in edits if edit["replacement"])
    for edit in edits:
        if not edit["replacement"]:
            why = f" ({edit['detail']})" if edit["detail"] else ""
            yield f"edit: {edit['kind']}: characters {edit['start']} to {edit['end']} were cut{why}"
    for kind, count in replaced.items():
        yield f"edit: {kind}: {count} replacements"


class Editor(Protocol):
    """Something that changes texts."""

    def edit(self, texts: pa.Array) -> dict[int, list[Edit]]:
        """By the row of each text (string array) that is changed its edits, those at its end first."""
        ...


@dataclass(frozen=True)
class Judge:
    """The rules of a recipe, and the groups that measure signals for them: kind and settings of each."""

    rules: list[Rule]
    best_tier: str
    groups: list[tuple[str, dict[str, Any]]]

    def again(
        self, document: pa.RecordBatch, others: dict[str, pa.Array]
    ) -> tuple[dict[str, pa.Array], pa.RecordBatch]:
        """The signals of documents as they are now, and their verdicts: passed, tier, reason, value, limit, detail.

        `others` are the columns that rules may name and that a document's text does not change.
        """
        measured: dict[str, pa.Array] = {}
        for kind, settings in self.groups:
            signals = make_group(kind, settings).measure(document)
            measured |= {name: signals.column(name) for name in signals.schema.names}
        columns = {name: document.column(name) for name in document.schema.names} | others | measured
        verdicts = judge(pa.RecordBatch.from_pydict(columns), self.rules, self.best_tier)
        empty = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(document.column("text"))), 0)
        rows = {
            "passed": pc.and_(verdicts.passed, pc.invert(empty)),
            "tier": verdicts.tier,
            "reason": pc.if_else(empty, NO_TEXT_LEFT, verdicts.reason),
            "value": pc.if_else(empty, pa.scalar(None, pa.float64()), verdicts.value),
            "limit": pc.if_else(empty, pa.scalar(None, pa.float64()), verdicts.limit),
            "detail": pc.if_else(empty, pa.scalar(None, pa.string()), verdicts.value_text),
        }
        return measured, pa.RecordBatch.from_pydict(rows)


def make_judge(select: dict[str, Any], groups: list[tuple[str, dict[str, Any]]]) -> Judge:
    """The judge of a recipe's section `select` over its groups of signals."""
    chosen = Select(**select)
    return Judge(chosen.active_rules(), chosen.best_tier, groups)


@dataclass(frozen=True, eq=False)
class Edited:
    """Documents after edits: their columns and measures, what was done, and which of them fail a rule now and why.

    edits: column of the corpus. fails: bool, no nulls. verdict: tier, reason, value, limit, detail of those changed.
    gone: by kind of edit, how many documents it changed and how many characters it took.
    """

    document: pa.RecordBatch
    measured: dict[str, pa.Array]
    edits: pa.Array
    fails: pa.Array
    verdict: pa.RecordBatch
    gone: dict[str, tuple[int, int]]


def edit_batch(
    editors: Sequence[Editor],
    judge_of: Judge,
    document: pa.RecordBatch,
    measured: dict[str, pa.Array],
    stays: pa.BooleanArray,
) -> Edited:
    """Edit the documents of a batch that stay so far. Signals and verdict of those that change are made anew."""
    texts = document.column("text")
    rows = np.flatnonzero(stays.to_numpy(zero_copy_only=False))
    done: dict[int, list[Edit]] = {}
    now = texts.take(pa.array(rows))
    for editor in editors:
        changes = editor.edit(now)
        changed = np.zeros(len(rows), np.bool_)
        changed[list(changes)] = True
        left = [apply(now[place].as_py(), changes[place]) for place in sorted(changes)]
        now = pc.replace_with_mask(now, pa.array(changed), pa.array(left, pa.string()))
        for place, edits in changes.items():
            done.setdefault(int(rows[place]), []).extend(edits)
    mask = np.zeros(document.num_rows, np.bool_)
    mask[list(done)] = True
    texts = pc.replace_with_mask(texts, pa.array(mask), now.filter(pa.array(mask[rows])))
    document = document.set_column(document.schema.get_field_index("text"), document.schema.field("text"), texts)
    return _judged(judge_of, document, measured, mask, done)


def _judged(
    judge_of: Judge,
    document: pa.RecordBatch,
    measured: dict[str, pa.Array],
    mask: np.ndarray,
    done: dict[int, list[Edit]],
) -> Edited:
    changed = pa.array(mask)
    others = {name: values.filter(changed) for name, values in measured.items()}
    signals, verdict = judge_of.again(document.filter(changed), others)
    measured = {
        name: pc.replace_with_mask(values, changed, signals[name]) if name in signals else values
        for name, values in measured.items()
    }
    columns = {
        name: pc.replace_with_mask(pa.nulls(len(mask), values.type), changed, values)
        for name, values in zip(verdict.schema.names, verdict.columns, strict=True)
    }
    fails = pc.fill_null(pc.invert(columns.pop("passed")), False)
    noted = [[edit._asdict() for edit in done.get(row, [])] for row in range(len(mask))]
    gone: dict[str, tuple[int, int]] = {}
    for edits in done.values():
        for kind in {edit.kind for edit in edits}:
            documents, characters = gone.get(kind, (0, 0))
            taken = sum(edit.end - edit.start - len(edit.replacement) for edit in edits if edit.kind == kind)
            gone[kind] = (documents + 1, characters + taken)
    return Edited(document, measured, pa.array(noted, EDITS), fails, pa.RecordBatch.from_pydict(columns), gone)


def no_edits(count: int) -> pa.Array:
    """The column `edits` of documents that were left as they were."""
    return pa.array([[]] * count, EDITS)
