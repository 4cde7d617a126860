"""The top share of a run is exact, whatever its shards, and a rule of it keeps just these documents."""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.ledger import load_entry
from pipeline.quantiles import number_of, pick_value, range_of, sort_values, sortable, value_at
from pipeline.recipe import load_recipe
from tests.pipeline.conftest import SAMPLE, execute, table_rows

NUMBERS = st.one_of(
    st.none(), st.just(math.nan), st.floats(allow_nan=False), st.sampled_from([0.0, -0.0, 0.5, 0.9, 1.0, math.inf])
)


@given(st.lists(st.floats(allow_nan=False), max_size=30))
def test_keys_are_in_the_order_of_their_numbers(numbers):
    keys = sortable(np.array(numbers, np.float64))
    assert [numbers[place] for place in np.argsort(keys, kind="stable")] == sorted(numbers)
    assert [number_of(key) for key in keys.tolist()] == numbers


@settings(max_examples=40, deadline=None)
@given(
    shards=st.lists(st.lists(NUMBERS, max_size=12), min_size=1, max_size=4),
    share=st.floats(0.01, 0.99),
    end=st.sampled_from(["top", "bottom"]),
)
def test_the_value_parts_off_the_share_exactly(tmp_path_factory, shards, share, end):
    folder = tmp_path_factory.mktemp("values")
    runs = []
    for number, values in enumerate(shards):
        path = folder / f"{number}.parquet"
        pq.write_table(pa.table({"x": pa.array(values, pa.float64())}), path)
        runs.append(str(folder / f"{number}.run"))
        sort_values(str(number), str(path), "x", str(folder), runs[-1], [])
    entries = [entry for number in range(len(shards)) if (entry := load_entry(folder, str(number)))]
    counts = pick_value("value", runs, [range_of(entries, share, end)], end, str(folder))
    known = sorted(v for values in shards for v in values if v is not None and not math.isnan(v))
    known = known[::-1] if end == "top" else known
    expected = known[max(1, round(share * len(known))) - 1] if known else None
    assert counts["notes"]["value"] == expected
    whole = np.array([math.nan if value is None else value for values in shards for value in values], np.float64)
    assert value_at(whole, share, end) == expected


def test_a_share_may_be_of_a_column_that_extract_made(tmp_path):
    rule = "select.rules=[{signal: extraction_confidence, bottom: 0.3}]"
    execute(tmp_path, [SAMPLE], overrides=("dedup=null", rule))
    values = {row["id"]: row["extraction_confidence"] for row in table_rows(tmp_path, "documents")}
    limit = sorted(values.values())[round(0.3 * len(values)) - 1]
    kept = {row["id"] for row in table_rows(tmp_path, "corpus")}
    assert kept == {key for key, value in values.items() if value <= limit} and len(kept) < len(values)


def test_a_rule_keeps_the_top_share_of_a_run(tmp_path):
    rule = "select.rules=[{signal: kanji_ratio, top: 0.25}]"
    execute(tmp_path, [SAMPLE], overrides=("dedup=null", rule))
    values = sorted((row["kanji_ratio"] for row in table_rows(tmp_path, "signals")), reverse=True)
    limit = values[round(0.25 * len(values)) - 1]
    kept = {row["id"] for row in table_rows(tmp_path, "corpus")}
    assert kept == {row["id"] for row in table_rows(tmp_path, "signals") if row["kanji_ratio"] >= limit}
    gone = table_rows(tmp_path, "rejects")
    assert gone and {(row["reason"], row["limit"]) for row in gone} == {("too_low_kanji_ratio", limit)}


def test_shares_of_the_bottom_part_a_run_as_ccnet_does(tmp_path):
    rules = "select.rules=[{signal: mean_sentence_length, bottom: 0.6, tier: tail}, "
    rules += "{signal: mean_sentence_length, bottom: 0.3, tier: middle}]"
    execute(tmp_path, [SAMPLE], overrides=("dedup=null", rules, "select.best_tier=head", "select.clean=null"))
    values = {row["id"]: row["mean_sentence_length"] for row in table_rows(tmp_path, "signals")}
    ordered = sorted(values.values())
    head, middle = (ordered[round(share * len(ordered)) - 1] for share in (0.3, 0.6))
    tiers = {row["id"]: row["tier"] for row in table_rows(tmp_path, "corpus")}
    assert tiers == {
        key: "head" if value <= head else "middle" if value <= middle else "tail" for key, value in values.items()
    }
    assert set(tiers.values()) == {"head", "middle", "tail"}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{signal: consent, top: 0.1}", "consent holds text"),
        ("{signal: lines, top: 0.1, min: 3}", "a share and other limits"),
        ("{signal: lines, top: 0.1, bottom: 0.3}", "a share and other limits"),
        ("{signal: lines, top: 1.5}", "select.rules.lines.top: Input should be less than 1, not 1.5"),
    ],
)
def test_a_top_share_that_makes_no_sense_is_refused(tmp_path: Path, rule, message):
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: x\nselect:\n  rules:\n    - {rule}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        load_recipe(path)


def test_outside_of_a_run_a_top_share_is_an_error_and_not_nothing(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: x\nselect:\n  rules:\n    - {signal: lines, top: 0.1}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="a share of a run"):
        load_recipe(path).select.active_rules()
