"""Rules keep what they say they keep, to the very edge."""

import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.rules import Rule, judge, reason_of, reasons

NAN = float("nan")


@pytest.mark.parametrize(
    ("rule", "kept", "rejected", "reason"),
    [
        (Rule("japanese_letters", min=400), [400, 401, None], [399, 0, NAN], "too_few_japanese_letters"),
        (Rule("longest_sentence", max=200), [200, 0, None], [201, NAN], "too_high_longest_sentence"),
        (Rule("hiragana_ratio", min=0.2), [0.2, 1.0], [0.19999999], "too_low_hiragana_ratio"),
        (Rule("hiragana_ratio", more_than=0.0), [1e-9], [0.0, -1.0], "too_low_hiragana_ratio"),
        (Rule("ng_word_ratio", less_than=0.05), [0.0499, None], [0.05, 0.06, NAN], "too_high_ng_word_ratio"),
        (Rule("characters", max=0), [0], [1], "too_many_characters"),
    ],
)
def test_numbers_are_judged_to_the_edge(rule, kept, rejected, reason):
    column = pa.array([*kept, *rejected], pa.float64())
    verdicts = judge(pa.RecordBatch.from_pydict({rule.signal: column}), [rule])
    assert verdicts.rule.tolist() == [-1] * len(kept) + [0] * len(rejected)
    assert verdicts.reason.to_pylist() == [None] * len(kept) + [reason] * len(rejected)
    values = verdicts.value.to_pylist()
    assert values[: len(kept)] == [None] * len(kept)
    assert [value for value in values[len(kept) :] if not math.isnan(value)] == [
        v for v in rejected if not math.isnan(v)
    ]


@pytest.mark.parametrize(
    ("rule", "kept", "rejected"),
    [
        (Rule("consent", none_of=("refused",)), ["allowed", None], ["refused"]),
        (Rule("language", any_of=("ja", "und")), ["ja", "und"], ["zh", None]),
    ],
)
def test_text_is_judged_by_its_lists(rule, kept, rejected):
    batch = pa.RecordBatch.from_pydict({rule.signal: pa.array([*kept, *rejected], pa.string())})
    verdicts = judge(batch, [rule])
    assert verdicts.rule.tolist() == [-1] * len(kept) + [0] * len(rejected)
    assert set(verdicts.reason.to_pylist()) == {None, f"{rule.signal}_not_allowed"}
    assert verdicts.value_text.to_pylist()[len(kept) :] == rejected


def test_a_stored_score_passes_its_own_limit():
    column = pa.array([0.65, 0.64], pa.float32())
    verdicts = judge(pa.RecordBatch.from_pydict({"language_score": column}), [Rule("language_score", min=0.65)])
    assert verdicts.rule.tolist() == [-1, 0]


RULES = [Rule("a", min=1), Rule("b", max=5, min=2), Rule("a", less_than=9)]


@given(st.lists(st.tuples(st.integers(-2, 12), st.one_of(st.none(), st.integers(0, 9)))))
def test_the_first_failing_rule_is_named(rows):
    batch = pa.RecordBatch.from_pydict(
        {"a": pa.array([a for a, _ in rows], pa.int32()), "b": pa.array([b for _, b in rows], pa.int32())}
    )
    verdicts = judge(batch, RULES)
    for (a, b), rule, limit in zip(rows, verdicts.rule.tolist(), verdicts.limit.to_pylist(), strict=True):
        fails = [a < 1, b is not None and not 2 <= b <= 5, a >= 9]
        assert rule == (fails.index(True) if any(fails) else -1)
        expected = None if rule < 0 else [1, 5 if b is not None and b > 5 else 2, 9][rule]
        assert limit == expected


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"min": NAN},
        {"max": float("inf")},
        {"any_of": "ja"},
        {"none_of": ()},
        {"min": 1, "more_than": 1},
        {"max": 1, "less_than": 3},
        {"min": 3, "max": 2},
        {"more_than": 2, "max": 2},
        {"min": 1, "any_of": ("a",)},
    ],
)
def test_rules_that_make_no_sense_are_refused_in_one_line(limits):
    with pytest.raises(ValueError, match="the rule on x") as caught:
        Rule("x", **limits)
    assert "\n" not in str(caught.value)


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="no column"):
        judge(pa.RecordBatch.from_pydict({"a": pa.array([1])}), [Rule("z", min=1)])


def test_no_rules_let_everything_pass():
    assert judge(pa.RecordBatch.from_pydict({"a": pa.array([1, 2])}), []).rule.tolist() == [-1, -1]


def test_reasons_are_stable_names():
    assert reasons([Rule("a", min=1, max=2), Rule("letters", min=1), Rule("c", any_of=("x",))]) == [
        "too_low_a",
        "too_high_a",
        "too_few_letters",
        "c_not_allowed",
    ]
    assert reason_of(Rule("lines", max=3), "max") == "too_many_lines"


def test_a_rule_with_a_tier_keeps_and_names():
    rules = [Rule("a", min=1), Rule("a", min=5, tier="low"), Rule("b", max=3), Rule("a", min=9, tier="middle")]
    batch = pa.RecordBatch.from_pydict({"a": [0, 1, 5, 5, 9, 4], "b": [0, 9, 9, 0, 0, 0]})
    verdicts = judge(batch, rules, best="high")
    # The third row falls by b; the second does not, as the rule before it decided.
    assert verdicts.tier.to_pylist() == [None, "low", None, "middle", "high", "low"]
    assert verdicts.passed.to_pylist() == [False, True, False, True, True, True]
    assert verdicts.reason.to_pylist() == ["too_low_a", None, "too_high_b", None, None, None]
    assert reasons(rules) == ["too_low_a", "too_high_b"]


@given(st.lists(st.integers(0, 9), max_size=20))
def test_tiers_change_who_stays_and_not_which_rule_decides(values):
    batch = pa.RecordBatch.from_pydict({"a": pa.array(values, pa.int32())})
    plain = [Rule("a", min=3), Rule("a", min=6)]
    tiered = [Rule("a", min=3), Rule("a", min=6, tier="low")]
    first, second = judge(batch, plain), judge(batch, tiered)
    assert first.rule.tolist() == second.rule.tolist()
    assert second.passed.to_pylist() == [value >= 3 for value in values]
    assert first.passed.to_pylist() == [value >= 6 for value in values]
