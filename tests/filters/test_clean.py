"""Cleaning: punctuation becomes one kind only where it is punctuation, a footer never takes a page, blank runs go."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.clean import FOOTER_WORDS, clean, empty_lines, footer, footer_share, punctuation

PROSE = (
    "川ぞいの広場で毎月第二日曜日に朝市を開いています。野菜や果物は当日の朝に採れたものばかりで、話しながら買えます。"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("紙は水から生まれ，水に帰る．", "紙は水から生まれ、水に帰る。"),
        ("紙は水から生まれ、水に帰る．", "紙は水から生まれ、水に帰る。"),
        ("紙は，水から生まれ、水に、帰る．", "紙は，水から生まれ、水に、帰る。"),
        ("紙は，水から、生まれる。", "紙は，水から、生まれる。"),
        ("値段は１，０００円，または２．５ドル．", "値段は１，０００円、または２．５ドル。"),
        ("値段は1，000円，または2．5ドル．", "値段は1，000円、または2．5ドル。"),
        ("１．はじめに，紙を漉く．\n２．おわりに，乾かす．", "１．はじめに、紙を漉く。\n２．おわりに、乾かす。"),
        ("1．はじめに，紙を漉く．\n12．おわりに，乾かす．", "1．はじめに、紙を漉く。\n12．おわりに、乾かす。"),
        ("「紙を漉く」，と言った．", "「紙を漉く」、と言った。"),
        ("MinHash，LSH，など，を使う．", "MinHash、LSH、など、を使う。"),
        ("Ａ，Ｂ，などの，記号．", "Ａ，Ｂ，などの、記号。"),
        ("ガラス，カラス，ｶﾞﾗｽ．", "ガラス、カラス、ｶﾞﾗｽ。"),
        ("３．１４，２．７１", "３．１４，２．７１"),
        ("", ""),
    ],
)
def test_punctuation_of_the_minority_becomes_that_of_japanese_text(text, expected):
    assert clean(text, punctuation(text)) == expected


TEXT = st.text(alphabet="紙ガｱｶﾞA1Ａ１，．、。\n 」", max_size=40)


@given(TEXT)
def test_punctuation_changes_nothing_else_and_only_once(text):
    cleaned = clean(text, punctuation(text))
    assert len(cleaned) == len(text)
    assert all(old == new or (old, new) in (("，", "、"), ("．", "。")) for old, new in zip(text, cleaned))
    assert punctuation(cleaned) == []


def test_a_footer_is_cut_to_the_end():
    text = "\n".join([PROSE] * 6 + ["関連記事", "前の記事 | 次の記事", "コメント (0)", "Copyright 2024 朝市の会"])
    assert clean(text, footer(text)) == "\n".join([PROSE] * 6)


def test_a_page_of_few_lines_is_never_wiped():
    # Swallow's rule keeps 0 of the 197 letters of such a page: its first line is in the last ten.
    text = "\n".join(["記事を検索", *[PROSE[:24] + str(number) for number in range(8)]])
    assert footer_share("記事を検索") > 0.3
    assert footer(text) == []
    assert footer("コメント") == [] and footer("コメント\nコメント")[0].start == len("コメント")


@given(
    st.lists(
        st.one_of(st.sampled_from(["", " ", "記事を検索", "コメント (3)", PROSE, "短い行"]), st.text(max_size=6)),
        max_size=24,
    )
)
def test_a_footer_never_takes_prose_or_more_than_half_of_the_lines(lines):
    text = "\n".join(lines)
    left = clean(text, footer(text))
    full = [line for line in re.split("\n", text) if line.strip()]
    kept = [line for line in re.split("\n", left) if line.strip()]
    assert kept == full[: len(kept)]
    assert len(kept) >= len(full) / 2 and len(full) - len(kept) <= 10
    assert left.count(PROSE) == text.count(PROSE)
    assert bool(left.strip()) == bool(text.strip())


def test_prose_with_a_footer_word_above_the_footer_stays():
    text = "\n".join([PROSE, PROSE, "この記事のコメント", PROSE, "トップへ戻る"])
    assert clean(text, footer(text)) == "\n".join([PROSE, PROSE, "この記事のコメント", PROSE])


def test_prose_that_speaks_of_articles_is_no_footer():
    line = "この記事では検索の仕組みを順番に説明しますので、最後まで読んでください。"
    assert footer_share(line) < 0.3
    assert footer("\n".join([line] * 4)) == []


def test_a_long_line_is_no_footer_whatever_its_words():
    assert footer_share("コメント" * 100) == 1.0 and footer_share("コメント" * 101) == 0.0
    assert footer("\n".join([PROSE, PROSE, "コメント", "コメント" * 101])) == []


def test_footer_words_are_each_once():
    assert len(set(FOOTER_WORDS)) == len(FOOTER_WORDS) and all(word.strip() == word for word in FOOTER_WORDS)


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("一\n\n\n\n二", 1, "一\n\n二"),
        ("一\n\n\n\n二", 0, "一\n二"),
        ("一\n \n\u3000\n二", 1, "一\n\n二"),
        ("一\n二", 0, "一\n二"),
        ("\n\n  一\n\n", 1, "  一"),
        ("一  ", 1, "一  "),
        (" \n ", 1, ""),
        ("", 1, ""),
    ],
)
def test_runs_of_empty_lines(text, most, expected):
    assert clean(text, empty_lines(text, most)) == expected


@given(st.text(alphabet="紙 \n\u3000", max_size=30), st.integers(0, 3))
def test_empty_lines_go_and_nothing_else(text, most):
    cleaned = clean(text, empty_lines(text, most))
    assert "".join(cleaned.split()) == "".join(text.split())
    full, kept = ([line.rstrip() for line in each.split("\n") if line.strip()] for each in (text, cleaned))
    assert kept == full
    lines = cleaned.split("\n")
    runs = re.findall(r"e+", "".join("f" if line.strip() else "e" for line in lines)) if cleaned else []
    assert all(len(run) <= most for run in runs)
    assert clean(cleaned, empty_lines(cleaned, most)) == cleaned
