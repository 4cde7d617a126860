"""Normalising changes only what copies may differ in, and shingle hashes are equal just where shingles are."""

from __future__ import annotations

import sys
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.normalise import MARKS_IN_A_ROW, normalize, normalize_array
from dedup.shingles import shingle_hashes

SENTENCES = [
    "吾輩は猫である。名前はまだ無い。",
    "２０２４年１月１日　午前０時、㈱紙漉きは「データ」を公開した…。",
    "人々は佐々木さんのラーメンを食べ、コーヒーを飲んだ。",
    "ｱｲﾊﾞﾝｸに１００㌦を預ける～ｶﾞｿﾘﾝ代は５㌫安い",
    "か\u3099きく\u3099けこ ＡＢＣ ①②③ ½ ﬁ ´ ゛ 한국어 \u1112\u1161\u11ab",
    "𠮷野家で𩸽を食べる 👨\u200d👩\u200d👧 👍🏽 神\ufe00 \U0002f81a",
]
# Letters of text as it comes, among them what combines, expands, shrinks or vanishes.
TRICKY = st.sampled_from(
    "あかがはばぱアカガハバパー々〆ヶ漢字ｶﾞﾊﾟﾞﾟ\u3099\u309a゛゜ 　\t\n\u2028\u0085\x1f㈱㍿℃…～〜１Ａａé´¨\u0301\u0316\u0344"
    "\u1112\u1161\u11ab가각\u09c7\u09be\ufdfa\ufe0f\u200d\u200b\ufeff\x00𠮷👍\U0002f81a\U000e0100\U0010ffff"
)
TEXT = st.one_of(st.text(TRICKY, max_size=60), st.text(st.characters(exclude_categories=["Cs"]), max_size=40))


@given(TEXT)
def test_normalizing_twice_is_normalizing_once(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once
    assert unicodedata.is_normalized("NFKC", once)
    assert not any(letter.isspace() for letter in once)


@given(TEXT, TEXT)
def test_white_space_between_unchanged_letters_does_not_matter(left: str, right: str) -> None:
    plain = normalize(left) + normalize(right)
    for space in (" ", "\u3000", "\n", "\r\n\t", "\u00a0", "\u2003", "\u2028"):
        assert normalize(normalize(left) + space + normalize(right)) == normalize(plain)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ﾊﾞﾗ", "バラ"),
        ("ｶﾞ", "ガ"),
        ("か\u3099", "が"),
        ("は\u309a", "ぱ"),
        ("㈱山田", "(株)山田"),
        ("１２３ＡＢＣ", "123ABC"),
        ("東京　都\n港 区", "東京都港区"),
        ("ﾗｰﾒﾝ", "ラーメン"),
    ],
)
def test_forms_of_the_same_text_are_equal(one: str, other: str) -> None:
    assert normalize(one) == normalize(other)


@pytest.mark.parametrize(
    "words",
    [
        ["ガラス", "カラス"],
        ["ばら", "ぱら", "はら"],
        ["バラ", "ばら", "ハラ", "パラ"],
        ["ビル", "ビール"],
        ["つっかえ", "つつかえ"],
        ["人々", "人人", "人"],
        ["ABC", "abc"],
        ["ー", "一", "-"],
    ],
)
def test_different_words_stay_different(words: list[str]) -> None:
    assert len({normalize(word) for word in words}) == len(words)
    decomposed = [unicodedata.normalize("NFD", word) for word in words]
    assert [normalize(word) for word in decomposed] == [normalize(word) for word in words]


@settings(max_examples=200)
@given(st.lists(st.one_of(st.none(), TEXT, st.sampled_from(SENTENCES)), max_size=8), st.booleans())
def test_the_array_form_agrees_with_the_single_form(texts: list[str | None], large: bool) -> None:
    array = pa.array(texts, pa.large_string() if large else pa.string())
    result = normalize_array(array)
    result.validate(full=True)
    assert result.type == pa.large_string()
    assert result.to_pylist() == [normalize(text or "") for text in texts]
    assert normalize_array(array[1:-1]).to_pylist() == result.to_pylist()[1:-1]


def test_every_character_is_folded_alike_in_both_forms_alone_and_after_another() -> None:
    characters = [chr(code) for code in range(0x30000) if not 0xD800 <= code <= 0xDFFF]
    for before in ("", "か", "e", "가"):
        texts = [before + character for character in characters]
        expected = ["".join(unicodedata.normalize("NFKC", "".join(text.split())).split()) for text in texts]
        expected = [unicodedata.normalize("NFKC", text) for text in expected]
        assert normalize_array(pa.array(texts)).to_pylist() == expected


def test_characters_outside_the_table_do_not_combine() -> None:
    outside = (chr(code) for code in range(0x20000, sys.maxunicode + 1))
    assert not any(unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) for character in outside)


@pytest.mark.parametrize("marks", ["\u0301\u0316", "\u0344", "´", "ﾞ\u0301", "\u3099 "])
def test_long_runs_of_marks_are_cut(marks: str) -> None:
    hostile = "".join(mark * 200_000 for mark in marks)
    text = normalize("か" + hostile + "き")
    assert text[-1] == "き"
    assert len(text) <= 2 + MARKS_IN_A_ROW
    assert normalize(text) == text


def test_as_many_marks_as_a_language_may_need_are_kept() -> None:
    text = "あ" + "\u0301" * MARKS_IN_A_ROW
    assert normalize(text) == text


@pytest.mark.parametrize(
    "data", [b"\x80", b"\xe3\x81", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80", b"\xff\xe3\x81\x82"]
)
def test_bytes_that_are_not_utf8_count_as_replacement_characters(data: bytes) -> None:
    broken = pa.array([b"\xe3\x81\x82", data, b"\xe3\x81\x84"], pa.binary()).view(pa.string())
    assert normalize_array(broken).to_pylist() == ["あ", data.decode("utf-8", errors="replace"), "い"]
    hashes, offsets = shingle_hashes(broken, 1)
    assert offsets[-1] == len(hashes) >= 3


@given(st.lists(st.one_of(st.none(), TEXT), max_size=6), st.integers(1, 7))
def test_shingle_hashes_are_equal_just_where_shingles_are(texts: list[str | None], n: int) -> None:
    hashes, offsets = shingle_hashes(pa.array(texts, pa.string()), n)
    shingles = [[(text or "")[i : i + n] for i in range(len(text or "") - n + 1)] for text in texts]
    assert hashes.dtype == np.uint64 and offsets.dtype == np.int64
    assert np.diff(offsets).tolist() == [len(each) for each in shingles]
    flat = [shingle for each in shingles for shingle in each]
    assert len(set(flat)) == len(set(hashes.tolist())) == len(set(zip(flat, hashes.tolist())))


def test_bytes_that_lie_under_a_null_do_not_count() -> None:
    buffers = [
        pa.py_buffer(b"\x01"),
        pa.py_buffer(np.array([0, 3, 9], dtype=np.int32)),
        pa.py_buffer("あいう".encode()),
    ]
    text = pa.Array.from_buffers(pa.string(), 2, buffers)
    assert text.to_pylist() == ["あ", None]
    assert normalize_array(text).to_pylist() == ["あ", ""]
    assert shingle_hashes(text, 1)[1].tolist() == [0, 1, 1]


def test_windows_of_different_lengths_have_different_hashes() -> None:
    text = pa.array(["東京特許許可局長" * 3])
    by_length = [set(shingle_hashes(text, n)[0].tolist()) for n in range(1, 25)]
    assert len(set().union(*by_length)) == sum(map(len, by_length))


@pytest.mark.parametrize("array", [pa.array([1, 2]), pa.chunked_array([["あ"]]), ["あ"], pa.array([b"a"])])
def test_only_arrow_arrays_of_strings_are_taken(array: object) -> None:
    with pytest.raises(TypeError, match="Arrow array of strings"):
        normalize_array(array)


def test_a_shingle_has_at_least_one_character() -> None:
    with pytest.raises(ValueError, match="at least one"):
        shingle_hashes(pa.array(["あ"]), 0)


def test_empty_arrays_give_empty_results() -> None:
    for kind in (pa.string(), pa.large_string()):
        assert len(normalize_array(pa.array([], kind))) == 0
        assert [len(part) for part in shingle_hashes(pa.array([], kind), 5)] == [0, 1]
