"""Signals agree with the published definitions on any text, and with hand counts on real sentences."""

import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.characters import VOICED_MARKS, class_table, kana_ratio
from filters.ng_words import NgWordMatcher, read_word_list
from filters.signals import NG_WORD_SIGNALS, SIGNALS, measure
from tests.filters.published import signals as published

LISTS = Path(__file__).resolve().parents[3] / "shared" / "data" / "lists"
SENTENCES = [
    "吾輩は紙漉きである。",
    "コーヒーを飲む！",
    "時々、雪が降る…",
    "続きを読む・・・",
    "𠮷野さんの㈱髙橋は休み？",
    "ﾊﾝｶｸｶﾅ ﾃﾞｽ。",
    "か\u3099っこう",
    "Plain English, too.",
    "。。。",
    "１２３円！？",
    "…  \u3000",
    "\r",
    "\u2028",
    "あ\x85い",
]
TEXTS = st.lists(
    st.one_of(st.sampled_from(SENTENCES), st.just("\n"), st.text(max_size=6), st.sampled_from("あア漢。…・ー!?々 ")),
    max_size=25,
).map("".join)


def test_letters_are_what_unicode_calls_letters_and_digits_whatever_the_code_point():
    letters = np.array([unicodedata.category(chr(code))[0] in "LN" for code in range(0x110000)])
    letters[[*VOICED_MARKS]] = True
    assert ((class_table()[:0x110000] & 1).astype(bool) == letters).all()


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_signals_are_the_published_definitions(texts):
    measured = measure(pa.array(texts))
    for row, text in enumerate(texts):
        for name, value in published(text).items():
            assert measured.column(name)[row].as_py() == pytest.approx(value, abs=1e-12), (name, text)


def test_published_definitions_cover_every_signal():
    assert published("あ").keys() | set(NG_WORD_SIGNALS) == SIGNALS.keys()


@given(st.lists(st.one_of(st.none(), TEXTS), max_size=8), st.data())
def test_a_batch_may_be_cut_anywhere_and_a_null_counts_as_empty(texts, data):
    cut = data.draw(st.integers(0, len(texts)))
    array = pa.array(texts, pa.string())
    whole = measure(array).to_pylist()
    assert whole == measure(array.slice(0, cut)).to_pylist() + measure(array.slice(cut)).to_pylist()
    assert whole == measure(array.cast(pa.large_string())).to_pylist()
    assert whole == measure(pa.chunked_array([array.slice(0, cut), array.slice(cut)], pa.string())).to_pylist()
    assert whole == measure(pa.array([text or "" for text in texts], pa.string())).to_pylist()


def test_texts_of_a_megabyte_are_measured_like_small_ones():
    text = "".join(f"{n}番目の行は紙である。\n" for n in range(40_000))
    measured, expected = measure(pa.array([text])), published(text)
    assert len(text) > 500_000
    for name, value in expected.items():
        assert measured.column(name)[0].as_py() == pytest.approx(value, abs=1e-12), name


def value(text: str, name: str, words: NgWordMatcher | None = None) -> float:
    return measure(pa.array([text]), words).column(name)[0].as_py()


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("コーヒー", "japanese_letters", 4),
        ("コーヒー", "swallow_japanese_letters", 2),
        ("𠮷野家、時々。", "japanese_letters", 7),
        ("𠮷野家、時々。", "swallow_japanese_letters", 6),
        ("ﾊﾞﾅﾅ", "katakana_ratio", 1.0),
        ("ｶﾀｶﾅ、かな。", "katakana_ratio", 4 / 8),
        ("コーヒーと茶", "swallow_katakana_ratio", 2 / 4),
        ("いすゞ自動車", "hiragana_ratio", 3 / 6),
        ("いすゞ自動車", "swallow_hiragana_ratio", 2 / 5),
        ("東京と大阪", "kanji_ratio", 4 / 5),
        ("あ b", "japanese_ratio", 1 / 3),
        ("あー", "swallow_japanese_ratio", 1 / 2),
        ("紙を\n漉く", "characters", 5),
        ("第１回ABC①ー々か\u3099", "letters", 11),
        ("一。\n\n二。", "lines", 3),
        ("雨！雪？風。花", "sentences", 4),
        ("雨！雪が降る。", "mean_sentence_length", 3.5),
        ("雨！雪が降る。", "longest_sentence", 5),
        ("続きを読む… \n終わり。", "ellipsis_sentence_ratio", 1 / 2),
        ("同じ行\n同じ行\n違う行だ", "duplicate_line_ratio", 1 / 3),
        ("同じ行\n同じ行\n違う行だ", "duplicate_line_character_ratio", 3 / 10),
        ("はい。はい。いいえ。", "duplicate_sentence_ratio", 1 / 3),
        ("はい。はい。いいえ。", "duplicate_sentence_character_ratio", 3 / 10),
        ("ははははは", "top_2gram_ratio", 1.0),
        ("どんどんどん", "top_3gram_ratio", 2 / 4),
        ("どんどんどん", "top_4gram_ratio", 2 / 3),
        ("紙漉き職人紙漉き職人", "repeated_5gram_type_ratio", 1 / 5),
        ("紙漉き職人紙漉き職人", "repeated_5gram_occurrence_ratio", 1 / 6),
        ("和紙を漉く人和紙を漉く人", "repeated_6gram_type_ratio", 1 / 6),
        ("和紙を漉く人和紙を漉く人", "repeated_6gram_occurrence_ratio", 1 / 7),
        ("和紙を漉く職人" * 2, "repeated_7gram_type_ratio", 1 / 7),
        ("和紙を漉く職人" * 2, "repeated_7gram_occurrence_ratio", 1 / 8),
        ("和紙を漉く職人達" * 2, "repeated_8gram_type_ratio", 1 / 8),
        ("和紙を漉く職人達" * 2, "repeated_8gram_occurrence_ratio", 1 / 9),
        ("和紙を漉く職人達よ" * 2, "repeated_9gram_type_ratio", 1 / 9),
        ("和紙を漉く職人達よ" * 2, "repeated_9gram_occurrence_ratio", 1 / 10),
        ("古い和紙を漉く職人達" * 2, "repeated_10gram_type_ratio", 1 / 10),
        ("古い和紙を漉く職人達" * 2, "repeated_10gram_occurrence_ratio", 1 / 11),
    ],
)
def test_hand_counts_of_real_sentences(text, name, expected):
    assert value(text, name) == pytest.approx(expected)


def test_each_signal_is_described_and_named_after_its_key():
    for name, signal in SIGNALS.items():
        assert signal.name == name and signal.description and signal.source and signal.family


@given(TEXTS)
def test_kana_ratio_is_the_share_of_kana_among_letters(text):
    row = published(text)
    kana = (row["hiragana_ratio"] + row["katakana_ratio"]) * row["japanese_letters"]
    expected = min(1.0, kana / row["letters"]) if row["letters"] else 0.0
    assert kana_ratio(text) == pytest.approx(expected)


def test_no_word_list_means_not_measured():
    assert value("馬鹿", "ng_word_ratio") is None and value("馬鹿", "ng_word_types") is None
    assert value("馬鹿", "ng_word_ratio", NgWordMatcher([])) == 0.0


@given(st.lists(st.text("あいう", min_size=1, max_size=4), max_size=8), st.text("あいうえ", max_size=40))
def test_ng_words_match_greedily_and_longest_first(words, text):
    covered, kinds, place = 0, set(), 0
    while place < len(text):
        best = max((word for word in words if text.startswith(word, place)), key=len, default="")
        covered += len(best)
        kinds |= {best} - {""}
        place += max(1, len(best))
    row = measure(pa.array(["、", text]), NgWordMatcher(words)).to_pylist()[1]
    assert row["ng_word_types"] == len(kinds)
    assert row["ng_word_ratio"] == pytest.approx(covered / len(text) if text else 0.0)


# Public lists find these words inside others (docs/signals.md names who does).
LISTED = ["アス", "サック", "スパ", "エロ", "エロ本", "ばか", "殺", "処女", "死ね", "SM", "煮"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("アスパラガスとアスファルトとリュックサック、サックス。", 0),
        ("エロマンガ島の処女作ばかり読む。", 0),
        ("SMAPの歌", 0),
        ("吾輩は猫である。名前はまだ無い。書生というのは時々我々を捕えて煮て食うという話である。", 1),
        ("エロ本棚", 1),
        ("エロ、エロ。処女、「死ね」と", 3),
        ("ＳＭ SM", 1),
        ("殺", 1),
        ("殺人事件の自殺者", 0),
    ],
)
def test_bounded_words_stand_alone_in_their_script(text, words):
    assert value(text, "bounded_ng_word_types", NgWordMatcher(LISTED)) == words


@given(st.lists(st.text("あいアイ亜", min_size=1, max_size=4), max_size=8), st.text("あいアイ亜、", max_size=40))
def test_bounded_words_are_found_greedily_among_those_that_stand_alone(words, text):
    def script(letter: str) -> str:
        return {"あ": "h", "い": "h", "ア": "k", "イ": "k", "亜": "j"}.get(letter, letter + "、")

    def bounded(begin: int, end: int) -> bool:
        left = begin > 0 and script(text[begin - 1]) == script(text[begin])
        return not left and not (end < len(text) and script(text[end]) == script(text[end - 1]))

    covered, kinds, place = 0, set(), 0
    while place < len(text):
        here = [word for word in words if text.startswith(word, place) and bounded(place, place + len(word))]
        best = max(here, key=len, default="")
        covered += len(best)
        kinds |= {best} - {""}
        place += max(1, len(best))
    row = measure(pa.array([text]), NgWordMatcher(words)).to_pylist()[0]
    assert row["bounded_ng_word_types"] == len(kinds)
    assert row["bounded_ng_word_ratio"] == pytest.approx(covered / len(text) if text else 0.0)


def test_word_lists_skip_comments_and_blank_lines(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("# 注\n\nもぐら \nアス\n", encoding="utf-8")
    assert read_word_list(path) == ["もぐら", "アス"]
    path.write_bytes("言葉".encode("cp932"))
    with pytest.raises(ValueError, match=r"words\.txt"):
        read_word_list(path)
    with pytest.raises(ValueError, match="absent"):
        read_word_list(tmp_path / "absent.txt")


@pytest.mark.skipif(not LISTS.exists(), reason="the third-party word lists are not on this machine")
def test_real_lists_load_and_match():
    words = [word for path in sorted(LISTS.glob("*.txt")) for word in read_word_list(path)]
    matcher = NgWordMatcher(words)
    assert matcher.words > 2_000
    assert value("これは" + words[0] + "という語です。", "ng_word_types", matcher) >= 1
    assert value("今日は良い天気です。", "ng_word_ratio", matcher) == 0.0
