"""Kinds of letters: what the table says of a code point is what Unicode says of it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.main_text.letters import (
    ALPHABETIC_LETTER,
    CLOSING,
    COMMA_MARK,
    DIGIT_LETTER,
    END_MARK,
    HAN_LETTER,
    KANA_LETTER,
    OPENING,
    OTHER,
    kind_of,
)

KINDS = {
    "ぁんァヶーヽｱﾝ": KANA_LETTER,
    "一龥㐀々가힣𠀀": HAN_LETTER,
    "azAZàßЖя٣कＡｚ": ALPHABETIC_LETTER,
    "09０９": DIGIT_LETTER,
    "。．.！!？?…｡": END_MARK,
    "、，,､;:": COMMA_MARK,
    "（([{「『【〈《": OPENING,
    "）)]}」』】〉》": CLOSING,
    "・★%〒\U0001f363\uffff\U0010ffff": OTHER,
}


@pytest.mark.parametrize("letters", KINDS)
def test_letters_are_of_their_kind(letters: str) -> None:
    assert {kind_of(ord(letter)) for letter in letters} == {KINDS[letters]}


@given(st.characters(categories=["Lo"]))
def test_ideographs_and_kana_are_what_their_names_say(letter: str) -> None:
    name = unicodedata.name(letter, "")
    if name.startswith("CJK UNIFIED IDEOGRAPH"):
        assert kind_of(ord(letter)) == HAN_LETTER
    if name.startswith(("HIRAGANA LETTER", "KATAKANA LETTER")) and ord(letter) < 0x3100:
        assert kind_of(ord(letter)) == KANA_LETTER
