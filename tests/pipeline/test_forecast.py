"""A plan of cost: what a part of a run says of the whole, and where it cannot say anything."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.forecast import ratio, scaled, wall_seconds
from pipeline.forecast_run import make_forecast
from pipeline.forecast_sample import Part, choose, cut_parts
from pipeline.recipe import find_recipe, load_recipe
from pipeline.storage.places import as_place
from tests.pipeline.conftest import SAMPLE, SAMPLE_ROBOTS, execute, run_cli
from tests.pipeline.loopback import web_server, well_behaved

sizes = st.lists(st.integers(1, 10**9), min_size=2, max_size=12)


@given(sizes, st.floats(0.001, 100), st.integers(2, 1000))
def test_parts_that_agree_leave_no_doubt(given_sizes, rate, times):
    named = {str(number): size for number, size in enumerate(given_sizes)}
    whole = sum(given_sizes) * times
    found = ratio({name: rate * size for name, size in named.items()}, named, whole)
    assert found.value == pytest.approx(rate * whole)
    assert found.low == pytest.approx(found.value, rel=1e-6) == pytest.approx(found.high, rel=1e-6)


@given(sizes, st.lists(st.floats(0, 1e6), min_size=12, max_size=12))
def test_the_range_holds_the_value_and_a_whole_that_was_measured_has_none(given_sizes, amounts):
    named = {str(number): size for number, size in enumerate(given_sizes)}
    found = {name: amounts[number] for number, name in enumerate(named)}
    guess = ratio(found, named, sum(given_sizes) * 50)
    assert 0 <= guess.low <= guess.value <= guess.high
    exact = ratio(found, named, sum(given_sizes))
    assert exact.low == exact.value == exact.high == pytest.approx(sum(found.values()))


def test_one_part_has_no_spread_and_what_each_shard_takes_is_counted_by_shards():
    assert ratio({"a": 5.0}, {"a": 10}, 100).high == math.inf
    # 2 a shard and 1 a byte: 3 shards of 100 bytes, seen by parts of 10.
    found = scaled({"a": 12.0, "b": 12.0}, {"a": 10, "b": 10}, 300, fixed=2.0, shards=3)
    assert found.value == pytest.approx(3 * 2 + 300)


@given(st.integers(1, 300), st.integers(1, 20), st.integers(0, 5))
def test_a_sample_spreads_over_the_list_and_its_seed_decides_it(count, wanted, seed):
    places = list(range(count))
    chosen = choose(places, wanted, seed)
    assert len(set(chosen)) == len(chosen) == min(wanted, count)
    assert chosen == sorted(chosen) == choose(places, wanted, seed)
    gaps = [after - before for before, after in pairwise(chosen)]
    assert all(gap <= 2 * -(-count // wanted) for gap in gaps)


def test_a_plan_of_all_of_the_input_says_what_the_run_then_is(tmp_path):
    recipe = load_recipe(find_recipe("demo"), ())
    found = make_forecast(recipe, [str(SAMPLE)], [str(SAMPLE_ROBOTS)], (8, 8_000_000, 1), 2, tmp_path / "scratch")
    run = execute(tmp_path / "out", [SAMPLE])
    folder = tmp_path / "out" / run.tables["documents"]
    assert found.shards.value == len(list(folder.glob("*.parquet"))) == 1
    assert found.documents.low == found.documents.high == 99
    assert found.tables["documents"].value == sum(path.stat().st_size for path in folder.glob("*.parquet"))
    assert found.input_bytes.value == SAMPLE.stat().st_size and found.download_bytes == 0
    assert found.core_seconds().value >= found.seconds["extract"].value > 0
    assert found.memory["extract"].peak_bytes > 50_000_000
    assert list((tmp_path / "scratch").iterdir()) == [], "the sample is gone"


def test_parts_of_files_on_a_server_are_read_by_range(tmp_path):
    folder = tmp_path / "web"
    folder.mkdir()
    content = SAMPLE.read_bytes()
    for number in range(3):
        (folder / f"{number}.warc.gz").write_bytes(content)
    with web_server(folder, well_behaved) as (site, seen):
        recipe = load_recipe(find_recipe("demo"), ())
        inputs = [f"{site}/{number}.warc.gz" for number in range(3)]
        cut = cut_parts([as_place(url) for url in inputs], 40_000, recipe, tmp_path / "parts", {})
        assert [part.bytes for part in cut] == [40_000] * 3
        assert all(
            (tmp_path / "parts" / f"{n:02d}" / f"{n}.warc.gz").read_bytes() == content[:40_000] for n in range(3)
        )
        sent = seen.of("GET")
        assert len(sent) == 3 and all(headers["Range"] == "bytes=0-39999" for headers in sent)


def test_the_command_prints_a_table_or_json_and_mistakes_name_the_repair(tmp_path, monkeypatch, capsys):
    code, out, _ = run_cli(monkeypatch, capsys, "plan", "demo", "--input", str(SAMPLE), "--cores", "4", "--json")
    record = json.loads(out)
    assert code == 0 and record["cores"] == 4 and record["core_seconds"]["value"] > 0
    assert record["tables"].keys() >= {"documents", "signals", "signatures", "corpus"}
    assert record["seconds"]["dedup"]["how"] == "model" and record["seconds"]["extract"]["how"] == "measured"
    code, _, told = run_cli(monkeypatch, capsys, "plan", "demo", "--input", str(tmp_path / "nothing*.gz"))
    assert code != 0 and "no input matches" in told
    code, _, told = run_cli(monkeypatch, capsys, "plan", "demo", "--input", str(SAMPLE), "--scratch", "s3://bucket/x")
    assert code != 0 and "local folder" in told


def test_what_cannot_be_cut_is_read_whole_and_never_without_bound(tmp_path):
    recipe = load_recipe(find_recipe("finemath"), ())
    (path := tmp_path / "a.parquet").write_bytes(b"0" * 5000)
    assert cut_parts([path], 1000, recipe, tmp_path, {path: 5000}) == [Part(str(path), 5000)]
    with pytest.raises(UsageError, match="--sample-mb"):
        cut_parts([path], 100, recipe, tmp_path, {path: 5000})


def test_more_cores_never_take_longer_and_the_last_shard_has_to_end():
    seconds = {"extract": ratio({"a": 10.0}, {"a": 1}, 1), "sign": ratio({"a": 2.0}, {"a": 1}, 1)}
    times = [wall_seconds(seconds, 10, cores) for cores in (1, 2, 4, 1000)]
    assert times == sorted(times, reverse=True) and times[0] == pytest.approx(12) and times[-1] >= 1.2
