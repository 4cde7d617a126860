"""The share of a host's pages that have a property: over all shards, whatever the shards, and a rule on it."""

from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.host_rates import add_up, count_shard, write_rates
from pipeline.recipe import load_recipe
from pipeline.report.sweep import sweep
from tests.pipeline.conftest import SAMPLE, execute, table_rows

RATES = (
    "select.host_rates={short: {signal: japanese_letters, less_than: 390}, "
    "busy: {signal: lines, min: 2, least_documents: 3}}",
)


def by_hand(rows: list[dict], counts) -> dict[str, tuple[int, float]]:
    """By host how many documents it has and which share of them counts."""
    hosts = defaultdict(list)
    for row in rows:
        hosts[row["host"]].append(counts(row))
    return {host: (len(found), sum(found) / len(found)) for host, found in hosts.items()}


def test_a_rule_on_a_rate_drops_all_pages_of_a_host(tmp_path):
    rules = "select.rules=[{signal: host_short, max: 0.4}, {signal: host_busy, min: 0}]"
    execute(tmp_path, [SAMPLE], overrides=("dedup=null", *RATES, rules, "select.columns=[host_short, host_busy]"))
    documents, signals = table_rows(tmp_path, "documents"), table_rows(tmp_path, "signals")
    pages = [{**page, **measures} for page, measures in zip(documents, signals, strict=True)]
    short = by_hand(pages, lambda page: page["japanese_letters"] < 390)
    busy = by_hand(pages, lambda page: page["lines"] >= 2)
    assert any(0 < share < 1 for _, share in short.values())
    kept = table_rows(tmp_path, "corpus")
    assert {page["host"] for page in kept} == {host for host, (_, share) in short.items() if share <= 0.4}
    for page in kept:
        assert page["host_short"] == pytest.approx(short[page["host"]][1])
        count, share = busy[page["host"]]
        assert page["host_busy"] == (pytest.approx(share) if count >= 3 else None)
    assert {row["reason"] for row in table_rows(tmp_path, "rejects")} == {"too_high_host_short"}
    assert sweep(tmp_path, "host_short").measured == len(documents)


def test_a_text_that_was_cleaned_is_judged_by_the_rate_that_its_host_had(tmp_path):
    rules = "select.rules=[{signal: host_short, max: 1}]"
    execute(tmp_path, [SAMPLE], overrides=(*RATES, rules))
    assert any(row["edits"] for row in table_rows(tmp_path, "corpus"))


PAGES = st.lists(st.tuples(st.sampled_from(["a.jp", "b.jp", "xn--wgv71a119e.jp", ""]), st.integers(0, 3) | st.none()))


@settings(max_examples=30, deadline=None)
@given(pages=PAGES, cut=st.integers(0, 8), partitions=st.integers(1, 3))
def test_rates_do_not_depend_on_shards_or_partitions(tmp_path_factory, pages, cut, partitions):
    folder = tmp_path_factory.mktemp("rates")
    rates = {"host_x": {"signal": "x", "min": 1, "least_documents": 2}}
    counts = [str(folder / f"counts-{index}.run") for index in range(2)]
    for index, part in enumerate((pages[:cut], pages[cut:])):
        rows = {"id": [str(place) for place in range(len(part))], "host": [host for host, _ in part]}
        schema = pa.schema([("id", pa.string()), ("host", pa.string())])
        pq.write_table(pa.table(rows, schema=schema), folder / f"documents-{index}.parquet")
        values = pa.table({"x": pa.array([value for _, value in part], pa.int32())})
        pq.write_table(values, folder / f"signals-{index}.parquet")
        count_shard(
            shard=f"counts-{index}",
            shard_index=index,
            documents=str(folder / f"documents-{index}.parquet"),
            signals=[(str(folder / f"signals-{index}.parquet"), ["x"])],
            rates=rates,
            folder=str(folder),
            run=counts[index],
            partitions=partitions,
        )
    sums = [str(folder / f"sums-{index}.run") for index in range(partitions)]
    for index, run in enumerate(sums):
        add_up(f"sums-{index}", index, counts, rates, str(folder), run, 2)
    found = []
    for index in range(2):
        place = folder / "rates"
        place.mkdir(exist_ok=True)
        write_rates(str(index), index, str(folder / f"documents-{index}.parquet"), sums, rates, str(place), [])
        found += pq.read_table(place / f"{index}.parquet").column("host_x").to_pylist()
    rows = [{"host": host, "counts": value is not None and value >= 1} for host, value in pages]
    expected = by_hand(rows, lambda row: row["counts"])
    assert found == [expected[row["host"]][1] if expected[row["host"]][0] >= 2 else None for row in rows]


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ("{x: {signal: lines}}", "sets no limit"),
        ("{x: {signal: nonsense, min: 1}}", "unknown signal 'nonsense'"),
        ("{x: {signal: language, min: 1}}", "language holds text"),
        ("{X: {signal: lines, min: 1}}", "host_rates"),
    ],
)
def test_a_rate_that_makes_no_sense_is_refused(tmp_path: Path, rates, message):
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: x\nselect:\n  host_rates: {rates}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        load_recipe(path)


def test_a_rate_of_ng_words_needs_lists_only_when_a_rule_asks_for_it(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    text = "name: x\nselect:\n  host_rates: {ng: {signal: ng_word_types, min: 1}}\n"
    path.write_text(text, encoding="utf-8")
    load_recipe(path)
    path.write_text(text + "  rules: [{signal: host_ng, max: 0.005}]\n", encoding="utf-8")
    with pytest.raises(UsageError, match="needs word lists"):
        load_recipe(path)
