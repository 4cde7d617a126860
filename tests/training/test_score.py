"""Scores compare letters as they stand and count what is doubled; intervals draw whole sites."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.score import NGRAM, Score, interval, score

SENTENCE = "紙漉きの里では、冬になると楮を蒸して皮をはぎ、川の水にさらす。"
NAVIGATION = "ホーム＞お知らせ＞会社概要＞アクセス"

# Few letters make shared and repeated 5-grams common.
few_letters = st.text(alphabet="紙かがー ab\n　", max_size=60)
any_text = few_letters | st.text(max_size=40)
solid = st.text(alphabet="紙漉かがー㈱々", min_size=NGRAM, max_size=60)
site_names = st.sampled_from(["example.jp", "example.co.jp", "例え.jp", "blog.example.net"])
# Two texts drawn by themselves hardly ever share a 5-gram: these share their middle.
overlapping = st.tuples(few_letters, solid, few_letters).map(lambda parts: (parts[0] + parts[1], parts[1] + parts[2]))
pairs = overlapping | st.tuples(any_text, any_text)
scored_pages = st.lists(st.tuples(st.floats(0, 1), site_names), min_size=1, max_size=30)


@given(pairs)
def test_measures_are_shares_and_f1_is_their_harmonic_mean(pair: tuple[str, str]) -> None:
    found = score(*pair)
    assert 0 <= found.precision <= 1 and 0 <= found.recall <= 1
    if found.precision + found.recall:
        harmonic = 2 * found.precision * found.recall / (found.precision + found.recall)
        assert found.f1 == pytest.approx(harmonic)
    else:
        assert found.f1 == 0


@given(any_text)
def test_a_text_agrees_wholly_with_itself(text: str) -> None:
    assert score(text, text) == Score(1.0, 1.0, 1.0)


@given(pairs)
def test_exchanging_text_and_gold_exchanges_precision_and_recall(pair: tuple[str, str]) -> None:
    forth, back = score(*pair), score(*reversed(pair))
    assert (forth.precision, forth.recall) == (back.recall, back.precision)


@given(overlapping, st.sampled_from([" ", "\n", "\t", "\u3000", "\u00a0", "\r\n"]), st.integers(0, 60))
def test_white_space_counts_nowhere(pair: tuple[str, str], space: str, place: int) -> None:
    text, gold = pair
    assert score(text[:place] + space + text[place:], gold) == score(text, gold)


@given(solid.filter(lambda text: len(text) > NGRAM), st.data())
def test_a_cut_text_loses_recall_alone(gold: str, data: st.DataObject) -> None:
    length = data.draw(st.integers(NGRAM, len(gold) - 1))
    found = score(gold[:length], gold)
    assert found.precision == 1
    assert found.recall == pytest.approx((length - NGRAM + 1) / (len(gold) - NGRAM + 1))


@given(solid)
def test_a_doubled_text_loses_precision(gold: str) -> None:
    found = score(gold + gold, gold)
    assert found.recall == 1
    assert found.precision == pytest.approx((len(gold) - NGRAM + 1) / (2 * len(gold) - NGRAM + 1))


def test_navigation_costs_precision_and_leaves_recall() -> None:
    found = score(NAVIGATION + SENTENCE, SENTENCE)
    assert found.recall == 1
    # 31 letters of sentence make 27 5-grams; 18 of navigation before them bring one each.
    assert found.precision == pytest.approx(27 / (27 + 18))


def test_one_changed_letter_of_six_leaves_one_of_two_grams() -> None:
    assert score("あいうえおき", "あいうえおか") == Score(0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("written", "other"),
    [("はは", "ばば"), ("㈱紙屋", "(株)紙屋"), ("１９９９年", "1999年"), ("佐々木", "佐佐木"), ("コーヒ", "コ―ヒ")],
)
def test_letters_are_compared_as_the_page_wrote_them(written: str, other: str) -> None:
    assert score(written, other).f1 == 0


def test_texts_without_a_gram_in_common_do_not_agree() -> None:
    assert score(NAVIGATION, SENTENCE) == Score(0.0, 0.0, 0.0)


@pytest.mark.parametrize("empty", ["", " \n\u3000"])
def test_an_empty_text_agrees_with_an_empty_one_alone(empty: str) -> None:
    assert score(empty, "") == Score(1.0, 1.0, 1.0)
    assert score(empty, SENTENCE) == score(SENTENCE, empty) == Score(0.0, 0.0, 0.0)


@pytest.mark.parametrize("short", ["紙", "和紙", "手漉き紙"])
def test_texts_shorter_than_a_gram_are_compared_whole(short: str) -> None:
    assert score(short, short).f1 == 1
    assert score(short, short[:-1] + "束").f1 == 0
    assert score(short, SENTENCE).f1 == 0


@given(scored_pages, st.integers(0, 5))
def test_an_interval_lies_within_the_means_of_the_sites(pages: list[tuple[float, str]], seed: int) -> None:
    values, sites = zip(*pages)
    means = [np.mean([value for value, site in pages if site == name]) for name in set(sites)]
    low, high = interval(values, sites, seed, samples=50)
    assert min(means) - 1e-9 <= low <= high <= max(means) + 1e-9


@given(scored_pages, st.data())
def test_the_order_of_pages_does_not_matter(pages: list[tuple[float, str]], data: st.DataObject) -> None:
    values, sites = zip(*pages)
    other_values, other_sites = zip(*data.draw(st.permutations(pages)))
    expected = interval(values, sites, samples=50)
    assert interval(other_values, other_sites, samples=50) == pytest.approx(expected, abs=1e-9)


@given(scored_pages, st.floats(-1, 1))
def test_an_interval_moves_with_its_values(pages: list[tuple[float, str]], shift: float) -> None:
    values, sites = zip(*pages)
    low, high = interval(values, sites, samples=50)
    moved = interval(np.array(values) + shift, sites, samples=50)
    assert moved == pytest.approx((low + shift, high + shift), abs=1e-9)


def test_pages_of_one_site_count_as_one_draw() -> None:
    values = [0.0] * 100 + [1.0] * 100
    assert interval(values, ["a.jp"] * 100 + ["b.jp"] * 100) == (0.0, 1.0)
    low, high = interval(values, [f"site{number}.jp" for number in range(200)])
    # The standard error of a mean of 200 draws of 0 or 1 is .035: 1.96 of it to each side.
    assert low == pytest.approx(0.43, abs=0.02) and high == pytest.approx(0.57, abs=0.02)


def test_a_single_site_leaves_nothing_to_draw() -> None:
    assert interval([0.2, 0.4, 0.9], ["a.jp"] * 3) == pytest.approx((0.5, 0.5))


def test_a_site_weighs_as_much_as_its_pages() -> None:
    values = [1.0] * 90 + [0.0] * 10
    sites = ["large.jp"] * 90 + [f"small{number}.jp" for number in range(10)]
    # Without the large site, which one draw of three lacks, the mean is 0; each further draw of it brings it nearer 1.
    low, high = interval(values, sites)
    assert low == 0
    assert high > 0.95


def test_more_certainty_is_wider_and_a_seed_gives_the_same_again() -> None:
    values = [number / 40 for number in range(40)]
    sites = [f"site{number}.jp" for number in range(40)]
    wide, narrow = interval(values, sites, level=0.99), interval(values, sites, level=0.5)
    assert wide[0] < narrow[0] < np.mean(values) < narrow[1] < wide[1]
    assert interval(values, sites, seed=7) == interval(values, sites, seed=7) != interval(values, sites, seed=8)
