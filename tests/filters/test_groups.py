"""Every group of signals keeps its promises: typed columns in order, a row from itself alone, a fingerprint in JSON."""

import json

import pyarrow as pa
import pytest

from filters.assets import Asset, AssetChanged
from filters.groups import EXAMPLES, KINDS, known_signals, make_group
from filters.signals import SIGNALS

TEXTS = [
    "吾輩は紙漉きである。冬の朝、紙を漉く。\n\n「寒いね」と母が言った。",
    "",
    "English only, with 3 numbers: 1, 2, 3.\nSecond line…",
    "コーヒーを飲む！\nコーヒーを飲む！\n・一覧\n・一覧",
    None,
]
DOCUMENTS = pa.RecordBatch.from_pydict(
    {
        "id": pa.array([str(row) for row in range(len(TEXTS))]),
        "text": pa.array(TEXTS, pa.string()),
        "url": pa.array([f"https://example{row}.jp/紙/{row}.html" for row in range(len(TEXTS))], pa.string()),
        "host": pa.array([f"example{row}.jp" for row in range(len(TEXTS))], pa.string()),
    }
)


def measured(group, documents=DOCUMENTS):
    return group.measure(documents.select(list(group.columns)))


def test_every_kind_has_an_example():
    assert EXAMPLES.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_group_gives_the_columns_that_it_names(kind):
    group = make_group(kind, EXAMPLES[kind])
    batch = measured(group)
    assert [(field.name, field.type) for field in batch.schema] == [(s.name, s.type) for s in group.signals]
    assert batch.num_rows == len(TEXTS)
    for signal in group.signals:
        assert signal.description and signal.source and signal.family


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_depends_on_itself_alone(kind):
    group = make_group(kind, EXAMPLES[kind])
    rows = measured(group).to_pylist()
    apart = [measured(group, DOCUMENTS.slice(row, 1)).to_pylist()[0] for row in range(len(TEXTS))]
    assert rows == apart
    assert measured(group, DOCUMENTS.slice(0, 0)).num_rows == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_fingerprint_is_json_and_the_same_every_time(kind):
    first, second = (KINDS[kind](EXAMPLES[kind]).fingerprint() for _ in range(2))
    assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def test_signals_of_all_groups_have_names_of_their_own():
    names = [signal.name for kind, settings in EXAMPLES.items() for signal in make_group(kind, settings).signals]
    assert len(names) == len(set(names)) == len(known_signals())
    assert SIGNALS.keys() <= known_signals().keys()


def test_an_asset_that_changes_while_a_run_is_at_work_is_noticed(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("もぐら\n", encoding="utf-8")
    asset = Asset.of(path)
    assert asset == Asset.from_record(asset.as_record())
    assert asset.checked() == path
    before = make_group("text", {"ng_words": [asset.as_record()]})
    assert measured(before).column("ng_word_types").to_pylist() == [0] * len(TEXTS)
    path.write_text("寒い\n言った\n", encoding="utf-8")
    with pytest.raises(AssetChanged, match="changed while the run was at work"):
        asset.checked()
    after = make_group("text", {"ng_words": [Asset.of(path).as_record()]})
    assert measured(after).column("ng_word_types").to_pylist() == [2, 0, 0, 0, 0]
    assert after.fingerprint() != before.fingerprint()
