"""Words and lines are measured as datatrove measures them, document by document, on the same words."""

import re
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.filters.gopher_repetition_filter import find_all_duplicate, find_top_duplicate, get_n_grams
from datatrove.utils.text import PUNCTUATION_SET
from datatrove.utils.word_tokenizers import WordTokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.assets import Asset
from filters.datatrove_filters import DatatroveFilter
from filters.lines import LineSignals
from filters.segmenters import LONGEST_LINE, Mecab, ScriptRuns, Vaporetto
from filters.text_buffers import code_points
from filters.words import STOP_WORDS, WordSignals
from tests.filters.vaporetto_models import vaporetto_model

SENTENCES = [
    "吾輩は紙漉きである。",
    "冬の朝から紙を漉き、春になれば板に張って乾かします。",
    "コーヒーを飲む！",
    "時々、雪が降る…",
    "Plain English, too...",
    "１２３円と456円、髙橋さん。",
    "・一覧",
    "- item # one",
    "\u3000字下げの段落。",
    "ﾊﾝｶｸ ｶﾅ",
    "か\u3099っこう",
    "𠮷野家\t𩸽",
    "\u2028",
    "\0",
    "\x85",
]
TEXTS = st.lists(
    st.one_of(st.sampled_from(SENTENCES), st.just("\n"), st.just("\n\n"), st.text(max_size=5)), max_size=40
).map("".join)
SEGMENTERS = {
    "mecab ipadic": Mecab("ipadic"),
    "mecab unidic-lite": Mecab("unidic-lite"),
    "vaporetto": Vaporetto(vaporetto_model(Path(tempfile.mkdtemp()) / "words.model")),
    "script": ScriptRuns(),
}


def words_of(segmenter, text: str) -> list[str]:
    codes = code_points(text)
    begins, ends, starts = segmenter.spans([text], codes, np.array([0, len(codes)]))
    assert starts.tolist() == [0, len(begins)]
    return [text[begin:end] for begin, end in zip(begins, ends, strict=True)]


def test_vaporetto_cuts_as_its_model_says_from_a_plain_file_and_a_compressed_one(tmp_path):
    plain = vaporetto_model(tmp_path / "words.model")
    packed = tmp_path / "words.model.zst"
    with pa.output_stream(str(packed), compression="zstd") as stream:
        stream.write(Path(plain.path).read_bytes())
    for model in (plain, Asset.of(packed)):
        segmenter = Vaporetto(model)
        assert words_of(segmenter, "紙漉きの\n里の和紙") == ["紙漉き", "の", "里", "の", "和紙"]
        assert segmenter.fingerprint()["model"] == model.digest


def test_a_file_that_is_no_model_of_vaporetto_is_refused_by_name(tmp_path):
    path = tmp_path / "wrong.model"
    path.write_text("no model", encoding="utf-8")
    with pytest.raises(ValueError, match=r"wrong\.model is no model of vaporetto"):
        words_of(Vaporetto(Asset.of(path)), "紙")


@pytest.mark.parametrize("name", SEGMENTERS)
@settings(deadline=None)
@given(TEXTS)
def test_words_are_the_text_without_its_white_space(name, text):
    words = words_of(SEGMENTERS[name], text)
    assert all(word and word == word.strip() for word in words)
    kept = re.sub(r"[\s\x1c-\x1f\0]", "", text)
    assert re.sub(r"[\s\x1c-\x1f\0]", "", "".join(words)) == kept


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mecab ipadic", ["紙", "を", "漉き", "、", "コーヒー", "を", "飲む", "。"]),
        ("script", ["紙", "を", "漉", "き", "、", "コーヒー", "を", "飲", "む", "。"]),
    ],
)
def test_words_of_a_real_sentence(name, words):
    assert words_of(SEGMENTERS[name], "紙を漉き、コーヒーを飲む。") == words


def test_a_line_longer_than_mecab_should_take_is_cut_behind_a_sentence():
    text = "紙を漉く。" * (LONGEST_LINE // 2) + "終わり" * LONGEST_LINE
    words = words_of(SEGMENTERS["mecab ipadic"], text)
    assert "".join(words) == text
    assert words[:4] * (LONGEST_LINE // 2) == words[: 2 * LONGEST_LINE]


class Tokens(WordTokenizer):
    """A segmenter as datatrove's tokenizer, written here a second time so that the two can be compared."""

    def __init__(self, segmenter):
        super().__init__()
        self.segmenter = segmenter

    def word_tokenize(self, text):
        return words_of(self.segmenter, text)

    def sent_tokenize(self, text):
        raise NotImplementedError

    def span_tokenize(self, text):
        raise NotImplementedError


def word_values(segmenter, text: str) -> dict:
    return WordSignals(segmenter).measure(pa.RecordBatch.from_pydict({"text": [text]})).to_pylist()[0]


def line_values(text: str) -> dict:
    return LineSignals().measure(pa.RecordBatch.from_pydict({"text": [text]})).to_pylist()[0]


@pytest.mark.parametrize("name", SEGMENTERS)
@settings(deadline=None)
@given(TEXTS)
def test_measures_of_words_are_the_published_definitions(name, text):
    words = words_of(SEGMENTERS[name], text)
    found = word_values(SEGMENTERS[name], text)
    plain = [word for word in words if any(letter not in PUNCTUATION_SET for letter in word)]
    share = {True: 0.0, False: 1 / max(1, len(words))}[not words]
    assert found["words"] == len(words) and found["plain_words"] == len(plain)
    assert found["mean_word_length"] == pytest.approx(np.mean([len(word) for word in plain]) if plain else 0.0)
    alphabetic = sum(any(letter.isalpha() for letter in word) for word in words)
    assert found["alphabetic_word_ratio"] == pytest.approx(alphabetic * share)
    assert found["stop_word_types"] == len(set(words) & set(STOP_WORDS))
    assert found["hash_word_ratio"] == pytest.approx(text.count("#") * share)
    assert found["ellipsis_word_ratio"] == pytest.approx((text.count("...") + text.count("…")) * share)
    assert found["newline_word_ratio"] == pytest.approx(text.count("\n") * share)
    for n in (2, 3, 4):
        grams = get_n_grams(words, n)
        expected = find_top_duplicate(grams) / len(text) if grams else 0.0
        assert found[f"top_{n}word_ratio"] == pytest.approx(expected), n
    for n in range(5, 11):
        expected = find_all_duplicate(words, n) / len(text) if text else 0.0
        assert found[f"repeated_{n}word_ratio"] == pytest.approx(expected), n


def outcome(filter_, text: str) -> tuple[bool, str | None]:
    result = filter_.filter(Document(text=text, id=""))
    return result if isinstance(result, tuple) else (result, None)


# Reasons of datatrove's filters, in their order, as limits on our signals; the numbers are such that random text meets
# each from both sides.
REPETITION = {
    "dup_para_frac": ("duplicate_paragraph_ratio", 0.2),
    "dup_para_char_frac": ("duplicate_paragraph_character_ratio", 0.1),
    "dup_line_frac": ("gopher_duplicate_line_ratio", 0.25),
    "dup_line_char_frac": ("gopher_duplicate_line_character_ratio", 0.15),
}


@given(TEXTS)
def test_repeated_lines_and_paragraphs_decide_as_gopher(text):
    limits = {reason: limit for reason, (_, limit) in REPETITION.items()}
    made = GopherRepetitionFilter(**limits, top_n_grams=(), dup_n_grams=(), language=Tokens(ScriptRuns()))
    found = line_values(text)
    ours = next((reason for reason, (signal, limit) in REPETITION.items() if found[signal] > limit), None)
    expected = (ours is None, ours) if text else (False, "empty")
    assert outcome(made, text) == expected


@given(TEXTS)
def test_lines_decide_as_fineweb_and_gopher(text):
    found = line_values(text)
    theirs = outcome(
        FineWebQualityFilter(char_duplicates_ratio=0.1, new_line_ratio=99.0, language=Tokens(ScriptRuns())), text
    )
    if not found["full_lines"]:
        assert theirs == (False, "empty")
    elif found["line_end_punctuation_ratio"] < 0.12:
        assert theirs == (False, "line_punct_ratio")
    elif found["short_line_ratio"] > 0.67:
        assert theirs == (False, "short_line_ratio")
    elif found["duplicate_full_line_character_ratio"] > 0.1:
        assert theirs == (False, "char_dup_ratio")
    lines = text.splitlines()
    bullets = sum(line.lstrip().startswith(("•", "-")) for line in lines)
    ellipses = sum(line.rstrip().endswith(("...", "…")) for line in lines)
    assert found["bullet_line_ratio"] == pytest.approx(bullets / len(lines) if lines else 0.0)
    assert found["ellipsis_line_ratio"] == pytest.approx(ellipses / len(lines) if lines else 0.0)


@pytest.mark.parametrize("filter_class", [GopherRepetitionFilter, GopherQualityFilter, FineWebQualityFilter])
def test_a_filter_by_name_says_what_the_library_says(filter_class):
    texts = [*SENTENCES, "。".join(SENTENCES * 3), "紙を漉く。\n" * 30, ""]
    segmenter = SEGMENTERS["mecab ipadic"]
    group = DatatroveFilter("x", filter_class.__name__, {}, segmenter)
    batch = pa.RecordBatch.from_pydict({"text": texts, "url": ["https://a.example/"] * len(texts)})
    found = group.measure(batch).column("datatrove_x").to_pylist()
    made = filter_class(language=Tokens(segmenter))
    for text, verdict in zip(texts, found, strict=True):
        try:
            kept, reason = outcome(made, text)
        except (ArithmeticError, LookupError, ValueError) as error:
            kept, reason = False, f"error {type(error).__name__}"
        assert verdict == ("kept" if kept else reason), text
    assert len(set(found)) > 1


@pytest.mark.parametrize(
    ("filter_class", "options", "message"),
    [("Gopher", {}, "has no filter 'Gopher'; it has: "), ("GopherQualityFilter", {"words": 3}, "it takes: min_doc_w")],
)
def test_a_filter_that_there_is_not_is_refused_by_name(filter_class, options, message):
    with pytest.raises(ValueError, match="datatrove") as caught:
        DatatroveFilter("x", filter_class, options, None).check()
    assert message in str(caught.value)
