"""Plans: unique names, order that does not matter, and shards that never move."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.inputs import find_inputs
from pipeline.plan import Input, extend_plan, load_plan, name_inputs, pack, save_plan
from pipeline.recipe import Shards
from pipeline.source_settings import Sources

SETTINGS = Shards()


def make(folder: Path, names: list[str], size: int = 10) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    return paths


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=150), st.randoms())
def test_packing_keeps_every_input_once_and_does_not_depend_on_order(sizes, random):
    inputs = [Input(f"/x/{n:03d}.warc.gz", f"{n:03d}.warc.gz", size) for n, size in enumerate(sizes)]
    shuffled = inputs[:]
    random.shuffle(shuffled)
    shards = pack(inputs, SETTINGS)
    assert pack(shuffled, SETTINGS) == shards
    assert sorted(item.name for shard in shards for item in shard.inputs) == sorted(item.name for item in inputs)
    assert len({shard.name for shard in shards}) == len(shards)
    for shard in shards:
        assert len(shard.inputs) == 1 or all(item.bytes for item in shard.inputs)


def test_a_few_inputs_make_a_shard_each_and_many_are_packed():
    few = [Input(f"/x/{n}", f"{n}.warc.gz", 1_000_000_000) for n in range(8)]
    assert len(pack(few, SETTINGS)) == 8
    many = [Input(f"/x/{n}", f"{n:05d}.warc.gz", 1_000_000_000) for n in range(2_000)]
    shards = pack(many, SETTINGS)
    assert 200 < len(shards) < 400
    assert all(shard.bytes * SETTINGS.yield_ratio <= SETTINGS.documents_bytes for shard in shards)


def test_two_inputs_of_one_base_name_get_two_names(tmp_path):
    paths = make(tmp_path, ["a/x.warc.gz", "b/x.warc.gz", "b/y.warc.gz"])
    names = name_inputs(paths, set())
    assert names == {paths[0]: "a/x.warc.gz", paths[1]: "b/x.warc.gz", paths[2]: "y.warc.gz"}


def test_common_crawls_own_paths_are_kept_from_crawl_data_on(tmp_path):
    (path,) = make(tmp_path, ["mirror/crawl-data/CC-MAIN-2024-22/segments/1/warc/x.warc.gz"])
    assert name_inputs([path], set()) == {path: "crawl-data/CC-MAIN-2024-22/segments/1/warc/x.warc.gz"}


def test_new_inputs_add_shards_and_move_none(tmp_path):
    first = make(tmp_path, [f"{n}.warc.gz" for n in range(5)])
    plan = extend_plan([], first, SETTINGS)
    more = make(tmp_path, ["zz.warc.gz", "0a.warc.gz", "other/0.warc.gz"])
    grown = extend_plan(plan, [*first, *more], SETTINGS)
    assert {shard.name: shard for shard in grown}.items() >= {shard.name: shard for shard in plan}.items()
    assert len(grown) == len(plan) + 3
    assert len({item.name for shard in grown for item in shard.inputs}) == 8
    assert extend_plan(grown, more[:1], SETTINGS) == grown


def test_inputs_that_moved_keep_their_shards(tmp_path):
    old = make(tmp_path / "old", ["a.warc.gz", "b.warc.gz"])
    plan = extend_plan([], old, SETTINGS)
    (tmp_path / "old").rename(tmp_path / "new")
    moved = extend_plan(plan, [tmp_path / "new" / path.name for path in old], SETTINGS)
    assert [shard.name for shard in moved] == [shard.name for shard in plan]
    assert all("/new/" in item.path for shard in moved for item in shard.inputs)


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="/\x00"), min_size=1, max_size=60),
        min_size=1,
        max_size=12,
        unique=True,
    )
)
def test_shard_names_are_safe_file_names_and_unique(names):
    shards = pack([Input(f"/x/{name}", name, 5) for name in names], SETTINGS)
    for shard in shards:
        assert shard.name and "/" not in shard.name and not shard.name.startswith(".")
        assert len(f"{shard.name}.ledger.json".encode()) < 255
    assert len({shard.name for shard in shards}) == len(shards)


def test_a_plan_survives_its_file(tmp_path):
    plan = extend_plan([], make(tmp_path, ["a.warc.gz", "日本.warc.gz"]), SETTINGS)
    save_plan(tmp_path / "plan.json", plan)
    assert load_plan(tmp_path / "plan.json") == plan
    assert load_plan(tmp_path / "absent.json") == []
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(UsageError, match="plan is damaged"):
        load_plan(tmp_path / "plan.json")


def test_inputs_are_found_once_and_missing_ones_are_named(tmp_path):
    a, b = make(tmp_path, ["a.warc.gz", "b.warc.gz"])
    assert find_inputs([str(tmp_path / "*.gz"), str(b), str(tmp_path / "." / "a.warc.gz")], Sources()) == [a, b]
    for pattern, message in [
        (str(tmp_path / "*.arc"), "no input matches"),
        (str(tmp_path / "gone.warc.gz"), "does not exist"),
        (str(tmp_path), "is a folder"),
    ]:
        with pytest.raises(UsageError, match=message):
            find_inputs([pattern], Sources())
    with pytest.raises(UsageError, match="no input given"):
        find_inputs([], Sources())
