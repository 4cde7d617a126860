"""Judging what a step made: the first attempt that is usable and fails no rule, else what the last one lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.rules import Rule, judge


@dataclass(frozen=True)
class Judged:
    """For each row which attempt counts (from 0), and whether it failed, why, with which value against which limit."""

    attempt: npt.NDArray[np.int64]
    failed: npt.NDArray[np.bool_]
    reason: pa.Array
    value: pa.Array
    limit: pa.Array
    detail: pa.Array


def judge_attempts(
    rows: pa.RecordBatch, attempts: Sequence[tuple[pa.RecordBatch, pa.RecordBatch]], rules: list[Rule]
) -> Judged:
    """Judge rows by their attempts, each what was produced and what was measured of it, a row for each of `rows`.

    Rules see the columns of the rows, of the measures, and `score`. A row that an attempt did not ask keeps the one
    before. Raises ValueError for a rule on a column that there is not.
    """
    count = rows.num_rows
    chosen = np.zeros(count, np.int64)
    failed = np.ones(count, bool)
    columns = [pa.nulls(count, kind) for kind in (pa.string(), pa.float64(), pa.float64(), pa.string())]
    for number, (produced, measured) in enumerate(attempts):
        asked = produced.column("asked").to_numpy(zero_copy_only=False) if number else np.ones(count, bool)
        looked = asked & failed
        given = {name: rows.column(name) for name in rows.schema.names}
        given |= {name: measured.column(name) for name in measured.schema.names if name != "id"}
        given["score"] = produced.column("score")
        verdicts = judge(pa.RecordBatch.from_pydict(given), rules)
        reason = produced.column("reason")
        unusable = reason.is_valid()
        found = [
            pc.if_else(unusable, reason, verdicts.reason),
            pc.if_else(unusable, pa.scalar(None, pa.float64()), verdicts.value),
            pc.if_else(unusable, pa.scalar(None, pa.float64()), verdicts.limit),
            pc.if_else(unusable, produced.column("note"), verdicts.value_text),
        ]
        mask = pa.array(looked)
        columns = [pc.if_else(mask, new, old) for new, old in zip(found, columns, strict=True)]
        bad = unusable.to_numpy(zero_copy_only=False) | ~verdicts.passed.to_numpy(zero_copy_only=False)
        chosen[looked] = number
        failed[looked] = bad[looked]
    return Judged(chosen, failed, *columns)
