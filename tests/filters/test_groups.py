"""Every group of signals keeps its promises: typed columns in order, a row from itself alone, a fingerprint in JSON."""

import json
import math
import os
import subprocess
import sys
import tarfile

import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from filters.assets import Asset, AssetChanged
from filters.groups import EXAMPLES, KINDS, PLAIN, known_signals, make_group
from filters.models import FastTextModel
from filters.signals import SIGNALS
from filters.url_lists import UrlList, wire_host
from pipeline.assets import find_asset
from pipeline.signal_settings import Annotate

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


ARPA = """\\data\\
ngram 1=6
ngram 2=2

\\1-grams:
-1.0\t<unk>
0\t<s>\t-0.3
-1.0\t</s>
-0.5\t紙\t-0.2
-0.8\tを\t-0.2
-1.2\t漉く

\\2-grams:
-0.1\t紙 を
-0.2\tを 漉く

\\end\\
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """By kind, the example's settings with real files in the place of those that a recipe would name."""
    folder = tmp_path_factory.mktemp("assets")
    hosts = folder / "hosts.txt"
    hosts.write_text("# hosts\nexample0.jp\nexample3.jp\n", encoding="ascii")
    words = folder / "words.txt"
    words.write_text("紙\nアス\n寒い\n", encoding="utf-8")
    lines = ["__label__1 紙 を 漉く", "__label__0 hello world", "__label__3 寒い 朝"] * 20
    (folder / "train.txt").write_text("\n".join(lines), encoding="utf-8")
    train(folder / "train.txt", folder / "model.bin")
    (folder / "words.arpa").write_text(ARPA, encoding="utf-8")
    files = {
        "languages": {"model": find_asset("asset:lid.176")},
        "url_list": {"list": str(hosts)},
        "word_list": {"files": [str(words)]},
        "fasttext": {"model": str(folder / "model.bin"), "label": "1"},
        "kenlm": {"model": str(folder / "words.arpa")},
        "tokens": {"tokenizer": write_tokenizer(folder / "tokenizer.json")},
    }
    made = {}
    for kind, example in EXAMPLES.items():
        changed = {key: value if key == "label" else records(value) for key, value in files.get(kind, {}).items()}
        made[kind] = example | changed
    return made


def records(files):
    if isinstance(files, list):
        return [Asset.of(file).as_record() for file in files]
    return Asset.of(files).as_record()


TRAIN = """
import sys
import fasttext

options = {"dim": 8, "epoch": 20, "lr": 0.05, "thread": 1, "seed": 1, "verbose": 0}
fasttext.train_supervised(sys.argv[1], **options).save_model(sys.argv[2])
"""


def train(lines, model):
    # fastText's trainer reads memory that it never wrote, and ends where that holds NaN: in a process that runs other
    # tests it may do so each time. With this setting glibc hands out zeros.
    zeros = os.environ | {"MALLOC_PERTURB_": "255"}
    subprocess.run([sys.executable, "-c", TRAIN, str(lines), str(model)], check=True, env=zeros)


def write_tokenizer(path) -> str:
    tokenizer = Tokenizer(models.BPE(unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(["紙を漉く。冬の朝。"], trainer)
    tokenizer.save(str(path))
    return str(path)


@pytest.fixture
def group_of(settings):
    def make(kind: str):
        if kind == "kenlm":
            pytest.importorskip("kenlm", reason="kenlm, which is built from source, is not installed")
        return make_group(kind, settings[kind])

    return make


def measured(group, documents=DOCUMENTS):
    return group.measure(documents.select(list(group.columns)))


def test_every_kind_has_an_example():
    assert EXAMPLES.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_group_gives_the_columns_that_it_names(kind, group_of):
    group = group_of(kind)
    batch = measured(group)
    assert [(field.name, field.type) for field in batch.schema] == [(s.name, s.type) for s in group.signals]
    assert batch.num_rows == len(TEXTS)
    for signal in group.signals:
        assert signal.description and signal.source and signal.family


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_depends_on_itself_alone(kind, group_of):
    group = group_of(kind)
    rows = measured(group).to_pylist()
    apart = [measured(group, DOCUMENTS.slice(row, 1)).to_pylist()[0] for row in range(len(TEXTS))]
    assert rows == apart
    assert measured(group, DOCUMENTS.slice(0, 0)).num_rows == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_fingerprint_is_json_and_the_same_every_time(kind, group_of, settings):
    group_of(kind)
    first, second = (KINDS[kind](settings[kind]).fingerprint() for _ in range(2))
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


def value(group, text: str = "", url: str | None = None):
    batch = pa.RecordBatch.from_pydict({"text": pa.array([text]), "url": pa.array([url], pa.string())})
    return group.measure(batch.select(list(group.columns))).to_pylist()[0]


@pytest.mark.parametrize(
    ("url", "verdict"),
    [
        ("https://bad.example/", "host"),
        ("https://BAD.example.:8443/x", "host"),
        ("http://a.b.bad.example/x", "parent"),
        ("http://notbad.example/", "none"),
        ("http://example/", "none"),
        ("https://\u7d19.example/a", "host"),
        ("https://xn--mb0a.example/a", "host"),
        ("https://fine.example/page?x=1", "url"),
        ("https://fine.example/page", "none"),
        ("http://[::1", "none"),
        (None, "none"),
    ],
)
def test_hosts_are_listed_by_themselves_by_their_parents_and_as_idn(tmp_path, url, verdict):
    (tmp_path / "domains").write_text("bad.example\r\n\nxn--mb0a.example\n# fine.example", encoding="ascii")
    (tmp_path / "urls").write_text("fine.example/page?x=1\n", encoding="ascii")
    archive = tmp_path / "list.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("domains", "urls"):
            tar.add(tmp_path / name, arcname=f"adult/{name}")
    assert value(UrlList("x", Asset.of(archive)), url=url) == {"url_list_x": verdict}


def test_a_host_is_what_goes_over_the_wire():
    assert wire_host("https://日本語.jp/") == "xn--wgv71a119e.jp"
    assert wire_host("not a url") == wire_host("") == ""


def test_the_list_in_datatroves_wheel_is_read():
    group = UrlList("ut1", Asset.of(find_asset("asset:ut1")))
    assert value(group, url="http://www.0-1sex.com/")["url_list_ut1"] == "parent"
    assert value(group, url="https://www.city.kyoto.lg.jp/")["url_list_ut1"] == "none"


def test_a_classifier_gives_probability_expectation_and_label(settings):
    model = Asset.from_record(settings["fasttext"]["model"])
    chance = {label: FastTextModel("m", model, "probability", label) for label in "013"}
    text = "紙 を\n漉く"
    chances = {label: value(group, text)["model_m"] for label, group in chance.items()}
    assert sum(chances.values()) == pytest.approx(1.0, abs=1e-3)
    expected = sum(float(label) * chance for label, chance in chances.items())
    assert value(FastTextModel("m", model, "expectation", None), text)["model_m"] == pytest.approx(expected, abs=1e-3)
    assert value(FastTextModel("m", model, "label", None), text)["model_m"] == max(chances, key=chances.__getitem__)
    assert value(chance["1"], " \n")["model_m"] is None
    with pytest.raises(ValueError, match="no label '9'; it has: 0, 1, 3"):
        value(FastTextModel("m", model, "probability", "9"), text)


def test_perplexity_is_ten_to_the_mean_of_what_a_token_is_unlikely(group_of, settings):
    group_of("kenlm")
    words = {"segmenter": "script"}
    group = make_group("kenlm", settings["kenlm"] | {"words": words})
    # By hand: <s> 紙 backs off (-.3 -.5), を follows (-.1), 漉 and く are unknown, and so is the end after them.
    line = -0.3 - 0.5 - 0.1 + (-0.2 - 1.0) - 1.0 - 1.0
    found = value(group, "紙を漉く\n\n")["model_NAME_OF_KENLM"]
    assert math.log10(found) == pytest.approx(-line / 5, abs=1e-4)
    assert value(group, "\n \n")["model_NAME_OF_KENLM"] is None


def test_tokens_are_those_of_the_tokenizer(group_of, settings):
    path = settings["tokens"]["tokenizer"]["path"]
    tokenizer = Tokenizer.from_file(path)
    for text in TEXTS:
        assert value(group_of("tokens"), text or "")["tokens_NAME"] == len(tokenizer.encode(text or "").ids)


JAPANESE = "冬の朝から紙を漉き、春になれば板に張って乾かします。"
ENGLISH = "In winter we make paper by hand, and in spring we dry it on boards."


@pytest.mark.parametrize(
    ("text", "japanese", "english"),
    [
        (JAPANESE, 1.0, 0.0),
        (ENGLISH, 0.0, 1.0),
        ("短い\n" * 50 + JAPANESE, 1.0, 0.0),
        ("短い。", None, None),
        ("", None, None),
    ],
)
def test_languages_are_told_line_by_line(group_of, text, japanese, english):
    found = value(group_of("languages"), text)
    assert (found["japanese_line_ratio"], found["english_line_ratio"]) == (japanese, english)


def test_a_bilingual_text_is_both(group_of):
    found = value(group_of("languages"), f"{JAPANESE}\n{ENGLISH}\n" * 5)
    assert found["judged_lines"] == 10
    assert 0.2 < found["japanese_line_ratio"] < 0.5 < found["english_line_ratio"]
    assert found["other_line_ratio"] == 0.0


def test_compression_tells_templates_from_prose(group_of):
    group = group_of("compression")
    prose = "".join(TEXTS[:1]) + JAPANESE
    assert value(group, JAPANESE * 30)["compression_ratio"] < 0.1 < value(group, prose)["compression_ratio"]


@pytest.mark.parametrize(
    ("text", "hits", "types", "bounded_hits", "bounded_types"),
    [
        ("和紙を漉く。紙は寒い。", 3, 2, 2, 2),
        ("アスパラガスとアス、アス", 3, 1, 2, 1),
        ("和紙", 1, 1, 0, 0),
        ("", 0, 0, 0, 0),
    ],
)
def test_a_word_list_counts_hits_and_kinds_inside_others_and_alone(
    group_of, text, hits, types, bounded_hits, bounded_types
):
    found = value(group_of("word_list"), text)
    assert list(found.values()) == [hits, types, bounded_hits, bounded_types]


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://www.city.kyoto.lg.jp/", "jp"),
        ("http://日本語.みんな:80/", "xn--q9jyb4c"),
        ("http://192.0.2.1/", ""),
        ("http://[2001:db8::1]/", ""),
        (None, ""),
    ],
)
def test_a_top_level_domain_is_read_from_the_host(group_of, url, domain):
    assert value(group_of("urls"), url=url) == {"top_level_domain": domain}


def test_a_group_without_settings_is_there_for_every_recipe():
    tables = Annotate().groups()
    for kind in PLAIN:
        assert tables[f"signals_{kind}"].kind == kind
