"""Training: labels that agree with the gold, folds that keep sites apart, corrections that are made."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.web.main_text.choose import CHANCE, SURE
from pipeline.web.main_text.judge import chances, judge
from pipeline.web.main_text.model import committed_model
from pipeline.web.main_text.trees import chances_of, sums_of
from training.chances import PageChances, letter_f1, read_chances, write_chances
from training.crowded import crowded_copies
from training.examples import make_example
from training.folds import UNSCORED, split
from training.labels import label_blocks, squeeze
from training.pages import FIXTURES, LabelledPage, corrected, registered_domain
from training.shortened import shortened

SENTENCES = (
    "紙漉きの里では冬の冷たい水で楮の繊維を洗う。",
    "職人は指先の感覚だけで厚みをそろえるという。",
    "乾いた紙は板から静かにはがされ検品される。",
    "修復の工房へ送られるまでに三か月がかかる。",
    "道具の簀桁は竹と檜で作られ百年も使われる。",
)


def page(site: str, *groups: str, name: str = "web") -> LabelledPage:
    return LabelledPage(site, name, site, frozenset({site, *groups}), None, "", "", "", "")


@given(st.lists(st.booleans(), min_size=5, max_size=5))
def test_blocks_that_are_the_gold_are_labelled_and_others_are_not(kept):
    gold = "\n".join(text for text, keep in zip(SENTENCES, kept) if keep)
    assert label_blocks(SENTENCES, gold).tolist() == [float(keep) for keep in kept]


def test_a_short_block_belongs_where_the_gold_has_it_between_its_neighbours():
    blocks = ["ホーム", SENTENCES[0], "小見出し", SENTENCES[1], "ホーム", "小見出し"]
    gold = f"{SENTENCES[0]}\n小見出し\n{SENTENCES[1]}"
    assert label_blocks(blocks, gold).tolist() == [0, 1, 1, 1, 0, 0]


def test_a_block_of_which_the_gold_has_a_part_is_labelled_with_its_share():
    share = label_blocks([SENTENCES[0] + "続きは会員だけが読めます。登録はこちら。"], SENTENCES[0])[0]
    assert 0.3 < share < 0.8


@given(st.text(max_size=60), st.lists(st.text(max_size=40), max_size=8))
def test_labels_are_shares(gold, blocks):
    labels = label_blocks(blocks, gold)
    assert len(labels) == len(blocks) and ((labels >= 0) & (labels <= 1)).all()
    assert not labels[[index for index, block in enumerate(blocks) if not squeeze(block)]].any()


NAMES = st.sampled_from("abcdefgh")
SETS = st.sampled_from(["web", "framed", "shortened"])
PAGES = st.lists(
    st.builds(
        lambda site, group, name: page(site, group, name=name),
        NAMES,
        NAMES,
        st.sampled_from(["web", "framed", "shortened"]),
    ),
    max_size=25,
)


@given(PAGES, st.booleans())
def test_no_page_is_held_out_from_a_model_that_saw_one_of_its_groups(pages, with_unscored):
    held = []
    for training, held_out in split(pages, 3, with_unscored):
        held += held_out
        assert not set(training) & set(held_out)
        groups = {group for index in held_out if pages[index].set == "web" for group in pages[index].groups}
        assert not any(pages[index].groups & groups for index in training)
    wanted = [index for index, item in enumerate(pages) if with_unscored or item.set == "web"]
    assert sorted(held) == wanted


@pytest.mark.parametrize(
    "url, domain",
    [
        ("https://www.example.co.jp/a", "example.co.jp"),
        ("https://blog.example.com/", "example.com"),
        ("http://example.jp", "example.jp"),
        ("a.b.example.ne.jp", "example.ne.jp"),
    ],
)
def test_a_site_is_what_somebody_registered(url, domain):
    assert registered_domain(url) == domain


def test_corrections_drop_the_lines_they_name_or_take_what_the_page_shows():
    assert corrected("甲\n乙\n丙\n丁", "", "drop_lines", "1,3-4") == "乙"
    assert corrected("壊", "<p>本文</p>", "visible_text", "") == "本文"
    assert corrected("見出し¶\n本文。", "", "drop_letters", "¶") == "見出し\n本文。"
    assert corrected("本文", "<p>読み込み中</p>", "not_on_page", "") == ""
    with pytest.raises(ValueError, match="shows 100% of its gold"):
        corrected("本文はここにある", "<p>本文はここにある", "not_on_page", "")
    with pytest.raises(ValueError, match="no such operation"):
        corrected("甲", "", "keep", "1")


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_a_shortened_page_holds_the_beginning_of_its_text_and_all_that_stood_around(kept):
    paragraphs = [sentence * 2 for sentence in SENTENCES]
    menu = [f"記事{number}へ" for number in range(30)]
    html = (
        f"<title>紙漉きの冬</title><ul>{''.join(f'<li><a href=/>{name}</a>' for name in menu)}</ul><h1>紙漉きの冬</h1>"
        f"<div class=honbun><p>{'<p>'.join(paragraphs[:3])}</p>"
        f"<div><p>{'</p><p>'.join(paragraphs[3:])}</p></div></div><footer>里の便り</footer>"
    )
    gold = "\n".join(["紙漉きの冬", *paragraphs])
    whole = make_example(LabelledPage("a", "web", "a", frozenset({"a"}), "article", "", html, gold, gold))
    copy = shortened(whole, kept)
    assert copy.page.gold.split("\n") == ["紙漉きの冬", *paragraphs[:kept]]
    assert list(copy.texts) == [*menu, "紙漉きの冬", *paragraphs[:kept], "里の便り"]
    assert [text for text, label in zip(copy.texts, copy.labels) if label] == copy.page.gold.split("\n")
    assert copy.page.groups == whole.page.groups and copy.page.html.count("<p>") == kept
    assert shortened(whole, len(paragraphs)) is None


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_a_crowded_page_has_its_text_and_teasers_of_other_sites(seed):
    def labelled(site: str, teaser: str) -> LabelledPage:
        gold = "\n".join(["紙漉きの冬", *(sentence * 2 for sentence in SENTENCES)])
        links = "".join(f"<li><a href=/{number}>{teaser}、その{number}のお話をまとめて読む</a>" for number in range(20))
        body = "".join(f"<p>{line}</p>" for line in gold.split("\n")[1:])
        html = f"<title>紙漉きの冬</title><ul>{links}</ul><div><div><h1>紙漉きの冬</h1>{body}</div></div><p>里の便り"
        return LabelledPage(site, "web", site, frozenset({site}), "article", "", html, gold, gold)

    own, other = make_example(labelled("a.jp", "自分の便り")), make_example(labelled("b.jp", "よその便り"))
    copies = crowded_copies([own, other], seed)
    assert [copy.page.groups for copy in copies] == [own.page.groups, other.page.groups]
    assert [copy.page.html for copy in copies] == [copy.page.html for copy in crowded_copies([own, other], seed)]
    for copy, whole, name in zip(copies, (own, other), ("よその便り", "自分の便り")):
        assert copy.page.set in UNSCORED and copy.page.gold == whole.page.gold
        assert [text for text, label in zip(copy.texts, copy.labels) if label >= 0.5] == whole.page.gold.split("\n")
        added = Counter(copy.texts) - Counter(whole.texts)
        assert added and all(text.startswith(name) for text in added if "その" in text and "お話" in text)


def test_cross_validation_chooses_as_the_pipeline_does():
    crossval = pytest.importorskip("training.crossval", exc_type=ImportError)
    model = committed_model()
    looked_twice = set()
    for path in sorted(FIXTURES.glob("*.html"))[::2]:
        html = path.read_text(encoding="utf-8")
        labelled = LabelledPage("a", "web", "a", frozenset({"a"}), None, "", html, "", "")
        example = make_example(labelled)
        first = sums_of(model.first, example.features)
        quick = chances(first, model.first, example.found)
        seen = chances(first + sums_of(model.further, example.features), model.further, example.found)
        held = crossval.choice_of(example, quick, seen, model.second, 0)
        judged = judge(example.found, model)
        assert held.kept.tolist() == judged.kept.tolist()
        assert model.calibration[held.expected] / 1000 == judged.expected_f1
        looked_twice.add(held.expected < SURE)
    assert looked_twice == {False, True}


def test_calibration_rises_and_says_what_was_seen():
    train = pytest.importorskip("training.train", exc_type=ImportError)
    chooser = np.random.default_rng(1)
    expected = chooser.integers(300, 1000, 4000)
    seen = np.clip(expected / 1000 * 0.9 + chooser.normal(0, 0.05, 4000), 0, 1)
    table = train.calibration(expected.tolist(), seen.tolist())
    assert (np.diff(table) >= 0).all() and len(table) == 1001 and table[0] == 0 and table[-1] <= 1000
    assert all(abs(table[place] - 0.9 * place) < 25 for place in (400, 700, 950))
    # Pages keep their order: no two tenths of an expectation are told as one.
    assert (np.diff(table[300:951:10]) > 0).all()


@given(st.lists(st.tuples(st.integers(0, 1000), st.floats(0, 1)), min_size=1, max_size=60))
def test_calibration_never_falls_whatever_was_seen(pairs):
    train = pytest.importorskip("training.train", exc_type=ImportError)
    table = train.calibration([place for place, _ in pairs], [seen for _, seen in pairs])
    assert (np.diff(table) >= 0).all() and table[0] == 0 and table[-1] <= 1000


@given(st.data())
def test_chances_are_read_as_they_were_written(tmp_path_factory, data):
    chooser = np.random.default_rng(data.draw(st.integers(0, 1000)))
    pages = []
    for number, count in enumerate(data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=4))):
        chances = [chooser.integers(0, 1024, count, dtype=np.int32) for _ in range(2)]
        letters = chooser.integers(1, 900, count, dtype=np.int32)
        labels = chooser.random(count, dtype=np.float32)
        pages.append(PageChances(f"頁{number}", "web", "example.jp", "", number, labels, letters, *chances))
    path = tmp_path_factory.mktemp("chances") / "held.npz"
    write_chances(path, pages)
    for one, other in zip(pages, read_chances(path), strict=True):
        for name in PageChances.__slots__:
            assert np.array_equal(getattr(one, name), getattr(other, name)), name


@given(st.lists(st.tuples(st.integers(1, 500), st.booleans()), min_size=1), st.data())
def test_no_choice_of_blocks_is_better_by_letters_than_those_of_the_gold(blocks, data):
    letters = np.array([size for size, _ in blocks], dtype=np.int32)
    gold = np.array([belongs for _, belongs in blocks])
    nothing = np.zeros(len(blocks), dtype=np.int32)
    held = PageChances("a", "web", "a", "", 0, gold.astype(np.float32), letters, nothing, nothing)
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=len(blocks), max_size=len(blocks))))
    assert letter_f1(held, gold) == 1
    assert 0 <= letter_f1(held, kept) <= 1
    assert (letter_f1(held, kept) == 1) == bool((kept == gold).all())


@given(st.floats(0.2, 1), st.floats(-2, 2))
def test_a_chance_has_the_share_and_the_shift_of_log_odds_that_its_steps_were_made_with(share, shift):
    boosting = pytest.importorskip("training.boosting", exc_type=ImportError)
    odds = np.linspace(-8, 8, 41)
    chances = np.empty(len(odds), dtype=np.int32)
    sums = np.rint(odds * boosting.LEAF_SCALE).astype(np.int32)
    chances_of(sums, boosting.chance_steps(share, shift), chances)
    assert np.abs(chances - CHANCE / (1 + np.exp(-(share * odds + shift)))).max() <= 0.6
