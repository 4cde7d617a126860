"""Sweep, filters and compare say what the run's own verdicts say, and name what would make a column that lacks."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.rules import Rule, judge
from pipeline.errors import UsageError
from pipeline.recipe import find_recipe, load_recipe
from pipeline.report.compare import compare
from pipeline.report.explain import explain
from pipeline.report.rejects import rejected_pages
from pipeline.report.sweep import SAMPLE, nearest, quantile_grid, sweep
from pipeline.report.worth import worth_of_filters
from pipeline.run import Run
from pipeline.runner import InProcessRunner
from tests.pipeline.conftest import SAMPLE as SAMPLE_WARC
from tests.pipeline.conftest import Quiet, run_cli


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Demo over the sample, and a copy of it with two other limits that was only annotated."""
    out = tmp_path_factory.mktemp("choosing") / "out"
    for overrides, last in (
        ((), "select"),
        (
            ("name=other", "select.rules.japanese_letters.min=400", "select.rules.top_3gram_ratio.less_than=0.5"),
            "annotate",
        ),
    ):
        job = Run(load_recipe(find_recipe("demo"), overrides), out, InProcessRunner(), Quiet())
        job.execute([str(SAMPLE_WARC)], last=last)
    return out


def signals(run, name):
    """A signal and the characters of each document, read without the code under test."""
    record = json.loads((run / "run.json").read_text())["recipes"]["demo"]["tables"]
    table = ds.dataset(sorted(map(str, (run / record["signals"]).glob("*.parquet")))).to_table()
    return table.column(name).to_numpy(), table.column("characters").to_numpy()


def verdicts(run):
    record = json.loads((run / "run.json").read_text())["recipes"]["demo"]["tables"]
    return ds.dataset(sorted(map(str, (run / record["verdicts"]).glob("*.parquet")))).to_table().to_pylist()


def test_a_sweep_counts_what_each_limit_keeps_and_marks_the_recipes_own(run):
    values, characters = signals(run, "japanese_letters")
    found = sweep(run, "japanese_letters", "demo", [100, 300])
    assert {trial.value for trial in found.trials} == {100, 150, 300}
    assert [trial.value for trial in found.trials if trial.of_recipe] == [150]
    for trial in found.trials:
        kept = values >= trial.value
        assert (trial.limit, trial.pages, trial.characters) == ("min", kept.sum(), characters[kept].sum())
    assert (found.pages, found.characters) == (len(values), characters.sum())


def test_a_sweep_without_a_rule_tries_both_directions_which_share_the_value_itself(run):
    values, _ = signals(run, "katakana_ratio")
    found = sweep(run, "katakana_ratio", "demo", [0.1])
    kept = {trial.limit: trial.pages for trial in found.trials}
    assert kept["min"] + kept["max"] == len(values) + (values == 0.1).sum()


def test_pages_beside_a_limit_are_the_nearest_on_each_side(run):
    values, _ = signals(run, "japanese_letters")
    (edge,) = sweep(run, "japanese_letters", "demo", [300]).edges
    above = [page.value for page in edge.pages if page.kept]
    below = [page.value for page in edge.pages if not page.kept]
    assert above == sorted(values[values >= 300])[:SAMPLE]
    assert below == sorted(values[values < 300])[::-1][:SAMPLE]
    assert all(page.url.startswith("http") and page.begins for page in edge.pages)


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(0, 5))
def test_nearest_takes_no_page_that_is_farther_than_one_left_out(values, limit):
    distance = np.abs(np.array(values, float) - limit)
    rows = np.arange(len(values))
    taken = nearest(distance, np.random.default_rng(2).permutation(len(values)), rows)
    left = np.setdiff1d(rows, taken)
    assert len(taken) == min(SAMPLE, len(values))
    assert not len(left) or distance[taken].max() <= distance[left].min()
    assert (np.diff(distance[taken]) >= 0).all()


def test_the_grid_leaves_out_what_is_no_number():
    assert quantile_grid(pa.array([1.0, None, float("nan"), float("inf")])) == {1.0}
    assert quantile_grid(pa.array([None], pa.float64())) == set()


def test_filters_agree_with_the_runs_verdicts(run):
    found = worth_of_filters(run, "demo")
    rows = verdicts(run)
    assert found.pages == len(rows)
    assert found.kept_pages == sum(row["passed"] for row in rows)
    for worth in found.rules:
        first = sum(row["reason"] == worth.reason for row in rows)
        assert worth.alone_pages <= first <= worth.pages
    assert sum(worth.alone_pages for worth in found.rules) <= found.pages - found.kept_pages
    consent = next(worth for worth in found.rules if worth.signal == "consent")
    assert (consent.pages > 0, consent.precision, consent.recall) == (True, None, None)


def test_what_a_rule_alone_removes_comes_back_without_it(run):
    before = worth_of_filters(run, "demo")
    text = (run / "recipes" / "demo.yaml").read_text()
    recipe = load_recipe(run / "recipes" / "demo.yaml", ("name=less", "select.rules.japanese_letters.min=null"))
    assert "japanese_letters" in text
    path = run / "less.yaml"
    from pipeline.recipe import dump_recipe

    path.write_text(dump_recipe(recipe))
    after = worth_of_filters(run, str(path))
    alone = next(worth.alone_pages for worth in before.rules if worth.signal == "japanese_letters")
    assert alone > 0
    assert after.kept_pages == before.kept_pages + alone
    assert next(worth.limit for worth in after.rules if worth.signal == "japanese_letters") is None


def test_compare_says_who_keeps_what_and_why(run):
    found = compare(run, "demo", "other")
    letters, characters = signals(run, "japanese_letters")
    assert sum(found.pages.values()) == len(letters)
    assert sum(found.characters.values()) == characters.sum()
    kept = sum(row["passed"] for row in verdicts(run))
    assert found.pages["both"] + found.pages["first"] == kept
    first, second = found.sides
    assert {reason.reason for reason in first.reasons} == {"too_few_japanese_letters"}
    assert sum(reason.pages for reason in first.reasons) == found.pages["first"] > SAMPLE == len(first.sample)
    assert all(example.value < 400 for example in first.sample)
    assert {reason.reason for reason in second.reasons} == {"too_high_top_3gram_ratio"}
    assert found.pages["second"] == len(second.sample)
    swapped = compare(run, "other", "demo")
    assert swapped.pages["first"] == found.pages["second"] and swapped.overlap() == found.overlap()


def test_compare_writes_nothing(run):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    compare(run, "demo", "other")
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_signals_that_the_run_lacks_are_an_error_with_the_command_that_makes_them(run, monkeypatch, capsys):
    code, _, error = run_cli(monkeypatch, capsys, "compare", "demo", "fineweb2-jpn", str(run))
    assert code == 2
    assert "kamisuki run fineweb2-jpn --out" in error and "--until annotate" in error
    with pytest.raises(UsageError, match=r"--set name=demo-more --set 'select.columns=\[.*compression_ratio"):
        sweep(run, "compression_ratio", "demo")


def test_recipes_that_read_pages_in_other_ways_are_not_compared(run):
    path = run / "markdown.yaml"
    path.write_text("name: markdown\nextract: {tables: markdown}\n")
    with pytest.raises(UsageError, match="has no documents as markdown extracts them"):
        compare(run, "demo", str(path))


@pytest.mark.parametrize(
    "arguments",
    [("sweep", "OUT", "japanese_letters"), ("filters", "OUT"), ("compare", "demo", "other", "OUT")],
    ids=lambda arguments: arguments[0],
)
def test_commands_print_a_table_or_json(run, monkeypatch, capsys, arguments):
    words = [str(run) if word == "OUT" else word for word in arguments]
    options = [] if arguments[0] == "compare" else ["--recipe", "demo"]
    code, printed, _ = run_cli(monkeypatch, capsys, *words, *options)
    assert code == 0 and len(printed.splitlines()) > 5
    code, printed, _ = run_cli(monkeypatch, capsys, *words, *options, "--json")
    assert code == 0 and json.loads(printed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sweep", "OUT", "host"), "no numbers to sweep: unknown signal 'host'"),
        (("sweep", "OUT", "letters", "--limits", "a,b"), "numbers with commas"),
        (("compare", "demo", "no-such", "OUT"), "no recipe 'no-such'"),
    ],
)
def test_wrong_questions_are_answered_in_one_line(run, monkeypatch, capsys, arguments, message):
    words = [str(run) if word == "OUT" else word for word in arguments]
    code, _, error = run_cli(monkeypatch, capsys, *words)
    assert code == 2 and message in error and error.count("\n") == 1


VALUES = st.one_of(st.none(), st.floats(allow_nan=True, width=32), st.sampled_from([0.0, 0.65, 1.0]))


@given(st.lists(st.tuples(VALUES, st.sampled_from([None, "ja", "en"])), min_size=1, max_size=30))
def test_verdicts_are_those_of_a_plain_reading_of_the_rules(rows):
    numbers, texts = zip(*rows, strict=True)
    table = pa.table({"number": pa.array(numbers, pa.float64()), "language": pa.array(texts, pa.string())})
    found = judge(table, [Rule("number", min=0.65), Rule("language", any_of=("ja",)), Rule("number", less_than=1.0)])
    for row, (number, text) in enumerate(rows):
        expected = (-1, None, None, None, None)
        if number is not None and not number >= 0.65:
            expected = (0, "too_low_number", number, 0.65, None)
        elif text != "ja":
            expected = (1, "language_not_allowed", None, None, text)
        elif number is not None and not number < 1.0:
            expected = (2, "too_high_number", number, 1.0, None)
        columns = (found.reason, found.value, found.limit, found.value_text)
        given_verdict = (int(found.rule[row]), *(column[row].as_py() for column in columns))
        assert repr(given_verdict) == repr(expected)


@pytest.fixture(scope="module")
def shares(run, tmp_path_factory):
    """Demo with two shares more, one of them beside another rule on the same signal, run where demo ran."""
    path = tmp_path_factory.mktemp("shares") / "shares.yaml"
    rules = "hiragana_ratio: [{min: 0.2}, {top: 0.8}], extraction_confidence: {bottom: 0.9}"
    path.write_text(f"extends: demo\nname: shares\nselect: {{rules: {{{rules}}}}}\n", encoding="utf-8")
    job = Run(load_recipe(path), run, InProcessRunner(), Quiet())
    job.execute([str(SAMPLE_WARC)])
    return path, job.tables


def rows_of(folder):
    return ds.dataset(sorted(map(str, folder.glob("*.parquet")))).to_table().to_pylist()


def test_shares_of_a_run_are_limits_for_all_who_look_at_rules(run, shares):
    path, tables = shares
    passed = sum(row["passed"] for row in rows_of(run / tables["verdicts"]))
    found = compare(run, "demo", str(path))
    assert found.pages["first"] > 0 and found.pages["both"] + found.pages["second"] == passed
    worths = worth_of_filters(run, str(path)).rules
    values, _ = signals(run, "hiragana_ratio")
    limit = float(sorted(values)[::-1][round(0.8 * len(values)) - 1])
    (worth,) = [each for each in worths if each.signal == "hiragana_ratio" and each.bound == limit]
    assert worth.limit == "min" and worth.pages == sum(values < limit) > 0
    own = [trial.value for trial in sweep(run, "hiragana_ratio", str(path)).trials if trial.of_recipe]
    assert own == [0.2, limit]
    # A rule on another signal is no reason to refuse.
    assert sweep(run, "letters", str(path)).measured == len(values)


def test_explain_shows_the_limit_of_a_share_and_digits_that_tell_it_apart(run, shares):
    rejected = [row for row in rows_of(run / shares[1]["rejects"]) if row["reason"] == "too_low_hiragana_ratio"]
    near = min(rejected, key=lambda row: row["limit"] - row["value"])
    story = list(explain(run, near["url"], "shares"))
    allowed = next(line for line in story if "top 0.8 of the run, at least " in line)
    decided = next(line for line in story if "rejected as too_low_hiragana_ratio" in line)
    for line, words in ((allowed, r"= (\S+) .*at least ([\d.]+)"), (decided, r"value (\S+), limit ([\d.]+)")):
        value, limit = re.search(words, line).groups()
        assert float(value) < float(limit)
    assert any(re.search(r"extraction_confidence = .*bottom 0.9 of the run, at most 0", line) for line in story)


def test_rejects_draws_pages_of_a_reason_with_their_texts(run, monkeypatch, capsys):
    asked = ("rejects", str(run), "consent_not_allowed", "--recipe", "demo", "--json")
    code, printed, _ = run_cli(monkeypatch, capsys, *asked)
    found = json.loads(printed)
    expected = {row["id"] for row in verdicts(run) if row["reason"] == "consent_not_allowed"}
    assert code == 0 and {page["id"] for page in found["pages"]} == expected and found["rows"] == len(expected)
    assert all(page["begins"] and page["detail"] == "refused" for page in found["pages"])
    three = rejected_pages(run, None, 3, "demo")
    more = rejected_pages(run, None, 6, "demo")
    assert three.pages == more.pages[:3] and three.rows == more.rows > 6
    assert all(page.begins is None for page in more.pages if page.stage == "extract")
    code, _, error = run_cli(monkeypatch, capsys, "rejects", str(run), "no_kanas", "--recipe", "demo")
    assert code == 2 and "like it: no_kana, not_japanese; there are: no_kana" in error


def test_a_recipe_that_is_none_here_any_more_is_named(run, tmp_path, monkeypatch, capsys):
    record = json.loads((run / "run.json").read_text())
    record["recipes"]["demo"]["recipe"]["select"]["rules"][0]["signal"] = "gone"
    (tmp_path / "run.json").write_text(json.dumps(record))
    code, _, error = run_cli(monkeypatch, capsys, "filters", str(tmp_path), "--recipe", "demo")
    assert code == 2 and "is none to this Kamisuki (unknown signal 'gone'" in error and "run the recipe again" in error
