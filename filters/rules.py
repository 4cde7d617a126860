"""Rules: which values of a column pass, and for each document the first rule that it fails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# The tier of what fails no rule.
BEST_TIER = "top"
NUMBER_LIMITS = ("min", "more_than", "max", "less_than")
LOWER_LIMITS = ("min", "more_than")
TEXT_LIMITS = ("any_of", "none_of")
# Columns that count something are too few or too many, not too low or too high.
COUNTED = (
    "characters",
    "letters",
    "japanese_letters",
    "swallow_japanese_letters",
    "lines",
    "sentences",
    "paragraphs",
    "full_lines",
    "words",
    "plain_words",
    "stop_word_types",
    "script_words",
    "script_plain_words",
    "script_stop_word_types",
)


@dataclass(frozen=True)
class Rule:
    """A column and the values that pass. None switches a limit off; 0 means 0.

    Rule("japanese_letters", min=400)            # 400 passes, 399 does not
    Rule("ellipsis_sentence_ratio", max=0.2)     # 0.2 passes
    Rule("top_2gram_ratio", less_than=0.2)       # 0.2 does not pass
    Rule("ng_word_ratio", more_than=0.0)         # 0.0 does not pass
    Rule("consent", none_of=("refused",))        # text columns: any_of and none_of

    Rule("compression_ratio", min=0.5, tier="low")  # what fails first at this rule is kept, in this tier

    A null number was not measured and passes; a null text passes none_of and fails any_of; NaN fails.
    """

    signal: str
    min: float | None = None
    max: float | None = None
    more_than: float | None = None
    less_than: float | None = None
    any_of: tuple[str, ...] | None = None
    none_of: tuple[str, ...] | None = None
    tier: str | None = None

    def __post_init__(self) -> None:
        numbers = {name: getattr(self, name) for name in NUMBER_LIMITS if getattr(self, name) is not None}
        texts = {name: getattr(self, name) for name in TEXT_LIMITS if getattr(self, name) is not None}
        if not numbers and not texts:
            raise ValueError(
                f"the rule on {self.signal} sets no limit: give min, max, more_than, less_than, any_of or none_of"
            )
        if numbers and texts:
            raise ValueError(f"the rule on {self.signal} mixes limits of numbers and of text")
        if not all(math.isfinite(value) for value in numbers.values()):
            raise ValueError(
                f"the rule on {self.signal} has a limit that is no finite number: null switches a limit off"
            )
        if any(isinstance(words, str) or not words for words in texts.values()):
            raise ValueError(f"the rule on {self.signal} needs a list of words")
        if ("min" in numbers and "more_than" in numbers) or ("max" in numbers and "less_than" in numbers):
            raise ValueError(
                f"the rule on {self.signal} has two limits on one side: give min or more_than, max or less_than"
            )
        low = numbers.get("min", numbers.get("more_than", -math.inf))
        high = numbers.get("max", numbers.get("less_than", math.inf))
        strict = "more_than" in numbers or "less_than" in numbers
        if low > high or (low == high and strict):
            raise ValueError(f"the rule on {self.signal} lets nothing pass: {low} to {high}")


@dataclass(frozen=True)
class Verdicts:
    """For each row: the index of the first rule that it fails or -1, whether it stays, its tier, and why it does not.

    `tier` is that of the rule, or the best where none fails; null where the row goes. `reason`, `value` and `limit` are
    null where it stays; `value` and `limit` where text decided, `value_text` where a number did.
    """

    rule: npt.NDArray[np.int64]
    passed: pa.BooleanArray
    tier: pa.Array
    reason: pa.Array
    value: pa.Array
    limit: pa.Array
    value_text: pa.Array


def reason_of(rule: Rule, limit: str) -> str:
    """The stable name of what is wrong with a value that fails a limit of a rule."""
    if limit in TEXT_LIMITS:
        return f"{rule.signal}_not_allowed"
    counted = rule.signal in COUNTED
    if limit in LOWER_LIMITS:
        return f"too_few_{rule.signal}" if counted else f"too_low_{rule.signal}"
    return f"too_many_{rule.signal}" if counted else f"too_high_{rule.signal}"


def reasons(rules: Sequence[Rule]) -> list[str]:
    """All reasons that rules can give, in their order, each once; a rule with a tier gives none."""
    dropping = [rule for rule in rules if rule.tier is None]
    found = [reason_of(rule, limit) for rule in dropping for limit in limits_of(rule)]
    return list(dict.fromkeys(found))


def limits_of(rule: Rule) -> list[str]:
    """The names of a rule's limits that are switched on, in the order in which they judge."""
    return [limit for limit in (*NUMBER_LIMITS, *TEXT_LIMITS) if getattr(rule, limit) is not None]


def column_of(columns: pa.RecordBatch | pa.Table, rule: Rule) -> pa.Array:
    """The column that a rule judges, in one piece. Raises ValueError when it is missing."""
    if rule.signal not in columns.schema.names:
        raise ValueError(f"the rule on {rule.signal} has no column to judge")
    column = columns.column(rule.signal)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _numbers(column: pa.Array) -> npt.NDArray[np.float64]:
    """The values as doubles, 0 for null."""
    return np.asarray(pc.fill_null(column.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False), np.float64)


def fails(column: pa.Array, rule: Rule, limit: str) -> npt.NDArray[np.bool_]:
    """Of each row whether its value fails this limit of a rule."""
    bound = getattr(rule, limit)
    if limit in TEXT_LIMITS:
        inside = pc.is_in(column, value_set=pa.array(list(bound), pa.string()))
        failed = pc.invert(inside) if limit == "any_of" else inside
        return np.asarray(failed.to_numpy(zero_copy_only=False), bool)
    missing = pc.is_null(column).to_numpy(zero_copy_only=False)
    if pa.types.is_float32(column.type):
        # A stored 0.65 is a little less than 0.65: it must pass a minimum of 0.65.
        bound = float(np.float32(bound))
    passes = {"min": np.greater_equal, "max": np.less_equal, "more_than": np.greater, "less_than": np.less}[limit]
    return np.asarray(~passes(_numbers(column), bound) & ~missing, bool)


def judge(columns: pa.RecordBatch | pa.Table, rules: Sequence[Rule], best: str = BEST_TIER) -> Verdicts:
    """Judge every row by the rules in their order; `best` is the tier of those that fail none.

    Raises ValueError when a rule's column is missing.
    """
    rows = columns.num_rows
    first = np.full(rows, -1, np.int64)
    reason = np.full(rows, -1, np.int32)
    names: list[str] = []
    value, limit_of = np.zeros(rows), np.zeros(rows)
    by_number = np.zeros(rows, bool)
    text = pa.nulls(rows, pa.string())
    for index, rule in enumerate(rules):
        column = column_of(columns, rule)
        for limit in limits_of(rule):
            failed = fails(column, rule, limit) & (first < 0)
            first[failed] = index
            if rule.tier is not None:
                continue
            reason[failed] = len(names)
            names.append(reason_of(rule, limit))
            if limit in TEXT_LIMITS:
                text = pc.if_else(pa.array(failed), column, text)
            else:
                value[failed] = _numbers(column)[failed]
                limit_of[failed] = float(getattr(rule, limit))
                by_number |= failed
    # Index -1, of what fails no rule, is the last one.
    tiers = pa.array([*(rule.tier for rule in rules), best], pa.string())
    tier = tiers.take(pa.array(np.where(first < 0, len(rules), first)))
    reasons_given = pa.array(names, pa.string()).take(pa.array(reason, mask=reason < 0))
    values = pa.array(value, pa.float64(), mask=~by_number, from_pandas=False)
    limits = pa.array(limit_of, pa.float64(), mask=~by_number, from_pandas=False)
    return Verdicts(first, tier.is_valid(), tier, reasons_given, values, limits, text)
