"""Mixes: every row as its release has it, budgets inside each other, the same bytes however they are made."""

from __future__ import annotations

import json
import pickle
import re
import shutil

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from datasets import load_dataset
from huggingface_hub import DatasetCard, DatasetCardData
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipeline.errors import KamisukiError, UsageError
from pipeline.release.derived import take_out
from pipeline.release.derived_record import read_derived, registered
from pipeline.release.manifest import LOCAL, read_manifest
from pipeline.release.manifest import write_manifest as write_release
from pipeline.release.mixing.card import COLUMNS, metadata, mix_card
from pipeline.release.mixing.report import budgets_of
from pipeline.release.mixing.rows import SCHEMA
from pipeline.release.reading import in_key_order
from pipeline.release.tokenizer import load_tokenizer
from pipeline.runner import InProcessRunner, largest_first
from tests.pipeline.conftest import run_cli
from tests.release.handmade import SCHEMA as HANDMADE
from tests.release.handmade import bytes_of, make_release, row
from tests.release.mixes import mix_of, rows_of_files, write_manifest
from tests.release.test_card import MARKDOWN
from tests.release.test_card_markup import TEXTS

SOURCES = [
    {"name": "web", "release": "web", "weight": 7},
    {"name": "code", "release": "code:corpus", "weight": 2, "kind": "code"},
    {"name": "small", "release": "small", "weight": 1, "kind": "replay"},
]


@pytest.fixture(scope="module")
def manifest(releases, tokenizer_file):
    keys = {"tokenizer": str(tokenizer_file), "budgets": ["2K", "20K"], "shard_bytes": 20_000, "sources": SOURCES}
    return write_manifest(releases / "mix.yaml", name="a | mix", **keys)


@pytest.fixture(scope="module")
def made(releases, manifest):
    return releases / "made", mix_of(manifest, releases / "made")


class Backwards(InProcessRunner):
    """Runs the smallest task first, each as another process would get it, and dies after some."""

    def __init__(self, most: int = 10**9) -> None:
        self.done: list[str] = []
        self.most = most

    def run(self, tasks, watcher):
        for task in reversed(largest_first(tasks)):
            if len(self.done) >= self.most:
                raise KeyboardInterrupt
            self.done.append(task.function.__name__)
            yield from super().run([pickle.loads(pickle.dumps(task))], watcher)


def test_every_beginning_of_the_files_holds_the_shares(made):
    place, record = made
    rows = rows_of_files(place, record)
    shares = {source["name"]: source["share"] for source in record.settings["sources"]}
    assert shares == {"web": 0.7, "code": 0.2, "small": 0.1}
    longest = max(each["tokens"] for each in rows)
    used = dict.fromkeys(shares, 0)
    for each in rows:
        used[each["source"]] += each["tokens"]
        for name, share in shares.items():
            assert abs(used[name] - share * sum(used.values())) <= 3 * longest
    for budget in budgets_of(record):
        assert 0 <= budget.tokens - budget.wanted < 3 * longest
        assert budget.tokens == sum(each["tokens"] for each in rows[: budget.rows])


def test_rows_are_those_of_the_releases_with_nothing_changed(made, releases, tokenizer_file):
    place, record = made
    counted = load_tokenizer(tokenizer_file)
    found = rows_of_files(place, record)
    assert len({each["source"] for each in found}) == 3
    for name in ("web", "code", "small"):
        manifest = read_manifest(releases / name)
        wanted = {
            each["id"]: each
            for _, each in in_key_order(releases / name, manifest, manifest.configs[0], "train", tuple(SCHEMA.names))
        }
        there = [each for each in found if each["source"] == name]
        assert max(each["epoch"] for each in there) == (1 if name == "code" else 2)
        for each in there:
            same = {key: value for key, value in wanted[each["id"]].items() if key not in ("source", "tokens")}
            assert same.items() <= each.items()
            assert each["tokens"] == len(counted.encode([each["text"]])[0])
        # A row without text is left out, and said to be.
        told = next(source for source in record.settings["sources"] if source["name"] == name)
        assert {each["id"] for each in there if each["epoch"] == 1} <= {key for key in wanted if wanted[key]["text"]}
        assert told["rows_without_text"] == sum(not each["text"] for each in wanted.values())
    assert next(each for each in found if each["origin"] == "wiki" or each["origin"])["origin"]


def test_a_smaller_budget_is_the_first_files_of_a_larger_one(made, manifest, tmp_path, releases):
    place, record = made
    keys = yaml.safe_load(manifest.read_text()) | {"budgets": ["2K"]}
    smaller = mix_of(write_manifest(releases / "smaller.yaml", **keys), tmp_path / "smaller")
    assert [file.path for file in record.files[: len(smaller.files)]] == [file.path for file in smaller.files]
    for file in smaller.files:
        assert (tmp_path / "smaller" / file.path).read_bytes() == (place / file.path).read_bytes()


def test_the_same_bytes_whoever_works_and_nothing_twice(made, manifest, tmp_path, releases):
    place, record = made
    runner = Backwards()
    assert mix_of(manifest, tmp_path / "again", runner=runner) == record
    assert bytes_of(tmp_path / "again") == bytes_of(place)
    assert set(runner.done) == {"write_mixed"}, "tokens were counted before"
    runner = Backwards()
    mix_of(manifest, tmp_path / "again", force=True, runner=runner)
    assert runner.done == []
    for name in ("web", "code", "small"):
        assert {"kind": "mix", "place": str(tmp_path / "again")} in registered(releases / name)
    for path, content in bytes_of(place).items():
        assert path.startswith(f"{LOCAL}/") or str(releases).encode() not in content, path


def test_a_mix_that_was_stopped_goes_on(made, manifest, tmp_path):
    place, _ = made
    for most in (0, 3):
        runner = Backwards(most)
        with pytest.raises(KeyboardInterrupt):
            mix_of(manifest, tmp_path / "again", runner=runner)
        assert not read_derived(tmp_path / "again").finished
    runner = Backwards()
    record = mix_of(manifest, tmp_path / "again", runner=runner)
    assert len(runner.done) == len(record.files) - 3
    assert bytes_of(tmp_path / "again") == bytes_of(place)


class TakenDownMeanwhile(InProcessRunner):
    """Something happens after some tasks."""

    def __init__(self, act) -> None:
        self.act = act

    def run(self, tasks, watcher):
        for number, result in enumerate(super().run(tasks, watcher)):
            yield result
            if number == 2 and result.task.function.__name__ == "write_mixed":
                self.act()


def test_a_takedown_while_a_mix_is_made_is_noticed(manifest, tmp_path):
    for name in ("web", "code", "small"):
        shutil.copytree(manifest.parent / name, tmp_path / name)
    path = write_manifest(tmp_path / "mix.yaml", **yaml.safe_load(manifest.read_text()))
    emptied = TakenDownMeanwhile(lambda: take_out(tmp_path / "mix", frozenset({"id-00001"})))
    with pytest.raises(KamisukiError, match=r"3 shards failed .* run again"):
        mix_of(path, tmp_path / "mix", runner=emptied)
    changed = read_manifest(tmp_path / "web").model_copy(update={"name": "another"})
    shutil.rmtree(tmp_path / "mix")
    with pytest.raises(KamisukiError, match=r"a release changed while .* delete"):
        mix_of(path, tmp_path / "mix", runner=TakenDownMeanwhile(lambda: write_release(tmp_path / "web", changed)))
    assert not read_derived(tmp_path / "mix").finished


def test_too_few_tokens_are_said_with_the_source_and_force_goes_on(releases, manifest, tmp_path):
    keys = yaml.safe_load(manifest.read_text())
    sources = [dict(source) for source in SOURCES]
    sources[2]["max_epochs"] = 1.5
    path = write_manifest(releases / "few.yaml", **keys | {"sources": sources})
    there = 1104
    message = (
        r"small has [\d,]+ tokens; 20K takes 2,000 of it, which is 1\.\d\d epochs, and max_epochs is 1\.5: .*--force"
    )
    with pytest.raises(UsageError, match=message):
        mix_of(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    record = mix_of(path, tmp_path / "out", force=True)
    assert "forced" in (tmp_path / "out" / "README.md").read_text()
    assert record.settings["sources"][2]["tokens"] == there


def test_rows_that_two_sources_hold_are_not_gone_through_more_often(releases, manifest, tmp_path):
    twice = [{"name": name, "release": "small", "weight": 1} for name in ("one", "two")]
    keys = yaml.safe_load(manifest.read_text()) | {"budgets": ["4K"], "max_epochs": 2, "sources": twice}
    path = write_manifest(releases / "twice.yaml", **keys)
    message = (
        r"one and two hold the same rows \(.*\), which are gone through 3\.62 times, and max_epochs is 2: .*--force"
    )
    with pytest.raises(UsageError, match=message):
        mix_of(path, tmp_path / "out")
    record = mix_of(path, tmp_path / "out", force=True)
    assert max(each["epoch"] for each in rows_of_files(tmp_path / "out", record)) == 2


def test_a_source_without_training_rows_or_tokens_is_named(tmp_path, manifest):
    keys = yaml.safe_load(manifest.read_text()) | {"budgets": [100]}
    make_release(tmp_path / "held", [row(3)])
    source = {"name": "held", "release": "held", "weight": 1}
    with pytest.raises(UsageError, match=r"held: config corpus of .* has no training split"):
        mix_of(write_manifest(tmp_path / "m.yaml", **keys | {"sources": [source]}), tmp_path / "out")
    make_release(tmp_path / "held", [row(1, text=""), row(2, text=""), row(3)])
    with pytest.raises(UsageError, match="held has no tokens"):
        mix_of(write_manifest(tmp_path / "m.yaml", **keys | {"sources": [source]}), tmp_path / "out")
    with pytest.raises(UsageError, match=r"is the release .* itself"):
        mix_of(write_manifest(tmp_path / "m.yaml", **keys | {"sources": [source]}), tmp_path / "held")


def test_a_release_that_lost_its_order_is_not_mixed(tmp_path, manifest):
    keys = yaml.safe_load(manifest.read_text()) | {"budgets": [100]}
    made = make_release(tmp_path / "web", [row(number) for number in range(60)])
    file = next(file for file in made.files if file.rows > 5)
    path = tmp_path / "web" / file.path
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.take(list(range(table.num_rows - 1, -1, -1))), path)
    file.bytes = path.stat().st_size
    write_release(tmp_path / "web", made)
    with pytest.raises(KamisukiError, match="not in the order of its keys: see kamisuki verify"):
        mix_of(write_manifest(tmp_path / "m.yaml", **keys | {"sources": SOURCES[:1]}), tmp_path / "out")


def test_another_mix_is_not_written_into_the_folder(made, manifest, releases):
    place, _ = made
    keys = yaml.safe_load(manifest.read_text()) | {"seed": 5}
    before = bytes_of(place)
    with pytest.raises(UsageError, match="made otherwise"):
        mix_of(write_manifest(releases / "other.yaml", **keys), place)
    assert bytes_of(place) == before


def test_it_loads_whole_and_by_budget(made, tmp_path):
    place, record = made
    wanted = rows_of_files(place, record)
    for budget in budgets_of(record):
        loaded = load_dataset(str(place), budget.config, split="train", cache_dir=str(tmp_path))
        assert loaded["id"][:] == [each["id"] for each in wanted[: budget.rows]]
        assert sum(loaded["tokens"]) == budget.tokens
    streamed = load_dataset(str(place), split="train", streaming=True)
    assert [each["text"] for each in streamed] == [each["text"] for each in wanted]
    found = duckdb.sql(f"select source, sum(tokens) from '{place}/data/*/*.parquet' group by source").fetchall()
    assert dict(found) == {name: sum(r["tokens"] for r in wanted if r["source"] == name) for name, _ in found}


def test_the_card_tells_shares_and_is_what_the_hub_takes(made):
    place, record = made
    page = (place / "README.md").read_text(encoding="utf-8")
    data = DatasetCard(page).data
    assert isinstance(data, DatasetCardData) and data.to_dict() == metadata(record)
    assert "# a &#124; mix" in page
    rows = rows_of_files(place, record)
    whole = sum(each["tokens"] for each in rows)
    for kind, names in (("code", {"code"}), ("replay", {"small"})):
        tokens = sum(each["tokens"] for each in rows if each["source"] in names)
        assert f"| `{kind}` | {tokens:,} | {100 * tokens / whole:.2f} % |" in page
    assert list(COLUMNS) == SCHEMA.names
    assert [config["config_name"] for config in metadata(record)["configs"]] == ["2K", "20K"]


def test_the_command_prints_what_it_made(manifest, tmp_path, monkeypatch, capsys):
    arguments = ("mix", str(manifest), "--to", str(tmp_path / "out"), "--workers", "0")
    code, output, errors = run_cli(monkeypatch, capsys, *arguments)
    assert code == 0, errors
    assert re.search(r"20K: by kind: text (69|70)\.\d\d %, code (19|20)\.\d\d %, replay", output)
    assert re.search(r"small: [\d,]+ tokens, \d+\.\d\d %, 1\.\d\d epochs", output)
    code, _, errors = run_cli(monkeypatch, capsys, *arguments)
    assert code == 0 and "nothing to do" in errors


def test_rows_that_a_model_rewrote_keep_what_they_came_from(tmp_path, manifest):
    own = [("source_ids", pa.list_(pa.string())), ("generator", pa.string()), ("generator_license", pa.string())]
    schema = pa.schema([*((field.name, field.type) for field in HANDMADE if field.name != "license_url"), *own])
    schema = schema.append(pa.field("source_license_url", pa.string()))
    facts = {"generator": "a/model", "generator_license": "Apache-2.0", "source_license_url": "https://l.example"}
    made = [row(n, source_ids=[f"of-{n}", "other"], **facts) for n in range(20)]
    make_release(tmp_path / "web", made, schema=schema)
    keys = yaml.safe_load(manifest.read_text()) | {"sources": SOURCES[:1], "budgets": [300]}
    record = mix_of(write_manifest(tmp_path / "mix.yaml", **keys), tmp_path / "mix")
    for each in rows_of_files(tmp_path / "mix", record):
        assert each["source_ids"] == [f"of-{int(each['id'][3:])}", "other"]
        assert (each["generator"], each["generator_license"], each["license_url"]) == tuple(facts.values())


@settings(max_examples=25, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(name=TEXTS, contact=TEXTS, language=TEXTS | st.none(), license_id=TEXTS | st.none(), release=TEXTS)
def test_hostile_names_stay_data_in_the_card(made, name, contact, language, license_id, release):
    record = made[1].model_copy(deep=True)
    record.settings["name"] = name or "x"
    for source in record.settings["sources"]:
        source |= {"contact": contact, "release": release, "config": release}
    for file in record.files:
        for line in file.tally:
            line.language, line.license, line.license_tier = language, license_id, license_id
    page = mix_card(record)
    front = DatasetCard(page)
    assert front.data.to_dict() == metadata(record)
    tokens = MARKDOWN.parse(front.text)
    headings = [token.map[0] for token in tokens if token.type == "heading_open"]
    assert len(headings) == len(re.findall(r"^##? ", mix_card(made[1]), re.MULTILINE))
    assert not any(token.type in ("html_block", "html_inline", "link_open", "image") for token in _all(tokens))
    assert sum(token.type == "table_open" for token in tokens) == 6


def _all(tokens):
    for token in tokens:
        yield token
        yield from _all(token.children or [])


MARK = "ここだけの秘密の名前"


def test_rows_taken_out_leave_no_byte_and_all_else_as_it_was(tmp_path, manifest):
    keys = yaml.safe_load(manifest.read_text()) | {"sources": SOURCES[:1], "budgets": ["1K", "6K"]}
    secret = {"text": f"{MARK}が書いてある。", "title": MARK, "url": "https://gone.example.jp/a"}
    rows = [row(number) for number in range(200)] + [row(902, id="id-gone", **secret)]
    make_release(tmp_path / "web", rows)
    path = write_manifest(tmp_path / "mix.yaml", **keys)
    record = mix_of(path, tmp_path / "mix")
    before = bytes_of(tmp_path / "mix")
    holding = {file.path for file in record.files if _has(tmp_path / "mix" / file.path)}
    taken = take_out(tmp_path / "mix", frozenset({"id-gone", "id-nowhere"}))
    assert (taken.files, taken.rows) == (len(holding), 1) and holding
    after = bytes_of(tmp_path / "mix")
    assert {name for name in before if before[name] != after.get(name)} == holding | {
        "README.md",
        "derived.json",
        "SHA256SUMS",
    }
    for name, content in after.items():
        if name.endswith(".parquet"):
            content = repr(pq.read_table(tmp_path / "mix" / name, partitioning=None).to_pylist()).encode()
        assert MARK.encode() not in content and b"id-gone" not in content and b"gone.example" not in content
    left = read_derived(tmp_path / "mix")
    there = rows_of_files(tmp_path / "mix", left)
    assert there == [each for each in _rows_before(before, record, tmp_path) if each["id"] != "id-gone"]
    last = budgets_of(left)[-1]
    assert (last.rows, last.tokens) == (len(there), sum(each["tokens"] for each in there))
    assert f"| {last.tokens:,} | {last.rows:,} |" in (tmp_path / "mix" / "README.md").read_text()
    assert sum(line.rows for file in left.files for line in file.tally) == len(there)
    # A budget whose rows are all gone is still a part of those above it.
    take_out(tmp_path / "mix", frozenset(each["id"] for each in there[: budgets_of(left)[0].rows]))
    left = read_derived(tmp_path / "mix")
    assert budgets_of(left)[0].rows == 0
    loaded = load_dataset(str(tmp_path / "mix"), "6K", split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.num_rows == budgets_of(left)[1].rows > 0


def _has(path) -> bool:
    return "id-gone" in pq.read_table(path, partitioning=None).column("id").to_pylist()


def _rows_before(before, record, tmp_path):
    folder = tmp_path / "before"
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in before.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return rows_of_files(folder, record)


def test_an_unfinished_mix_is_emptied_by_a_takedown(tmp_path, manifest, releases):
    runner = Backwards(3)
    with pytest.raises(KeyboardInterrupt):
        mix_of(manifest, tmp_path / "again", runner=runner)
    take_out(tmp_path / "again", frozenset({"x"}))
    assert set(bytes_of(tmp_path / "again")) == {"derived.json"}
    assert json.loads((tmp_path / "again" / "derived.json").read_bytes())["files"] == []
