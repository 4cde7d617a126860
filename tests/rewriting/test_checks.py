"""Checks of what a model wrote: planted faults are caught by the check that should, and by no other without cause."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.rewriting.checks import CHECKS
from pipeline.rewriting.checks.mathematics import final_answer, latex_faults
from pipeline.rewriting.checks.names import names
from pipeline.rewriting.checks.numbers import numbers
from pipeline.rewriting.checks.preamble import what_is_said
from pipeline.rewriting.checks.repetition import tandem_repeats
from pipeline.rewriting.checks.similarity import kept_spans

DEVELOPMENT = Path(__file__).parents[3] / "shared/data/dev/code/python.jsonl"
TEXT_CHECKS = sorted(name for name in CHECKS if not name.startswith("code_"))
# A language in which code checks start no tools.
PROSE = {"language": ""}

PAGE = (
    "桜川市の市立図書館は、二〇一九年四月に開館しました。蔵書はおよそ12万冊で、建築家の田中太郎さんが設計しました。\n"
    "ハルキゲニアの化石を展示する部屋があり、入館料は三百円です。開館時間は午前9時から午後5時までです。\n"
)
REWRITE = (
    "桜川市には2019年4月に開いた市立の図書館がある。設計したのは建築家の田中太郎氏で、約120000冊の本を持つ。\n"
    "館内ではハルキゲニアの化石を見ることができ、入るには３００円が要る。朝9時に開き、夕方5時に閉まる。\n"
)
# What of each check's columns a rewrite without fault has.
FINE = {
    "numbers": lambda row: row["invented_numbers"] == 0 and row["lost_numbers"] == 0,
    "names": lambda row: row["invented_names"] == 0 and row["lost_names"] == 0,
    "language": lambda row: row["japanese_ratio"] > 0.9 and row["script_drift"] < 0.3,
    "repetition": lambda row: row["most_repeats"] < 10 and row["longest_repetition"] < 100,
    "preamble": lambda row: row["preamble"] == "passed",
    "length": lambda row: 0.5 < row["length_ratio"] < 2,
    "similarity": lambda row: 0.02 < row["similarity"] < 0.9,
}
# What a fault's check is, and which others see it with reason.
FAULTS = {
    "adds a year": (REWRITE + "1987年に改修された。\n", {"numbers"}, set()),
    "loses a price": (REWRITE.replace("３００円", "お金"), {"numbers"}, set()),
    "changes a date": (REWRITE.replace("4月", "七月"), {"numbers"}, set()),
    "invents a person": (REWRITE + "館長は鈴木一郎氏である。\n", {"names"}, set()),
    "invents a katakana name": (REWRITE + "アノマロカリスもいる。\n", {"names"}, set()),
    "invents a Latin name": (REWRITE + "これはGoogleが支える。\n", {"names"}, set()),
    "loses a person": (REWRITE.replace("田中太郎氏", "ある人"), {"names"}, set()),
    "answers in English": (
        "The city library opened in April 2019. It was designed by an architect and holds 120,000 books. "
        "Fossils are on display, admission is 300 yen, and it is open from 9 to 5 every day of the week.",
        {"language"},
        {"names", "numbers", "similarity"},
    ),
    "loops": (REWRITE + "化石を見ることができる。" * 20, {"repetition"}, {"length"}),
    "loops a letter": (REWRITE + "あ" * 150, {"repetition"}, {"language", "length"}),
    "prepends a preamble": ("以下は書き換えた文章です。\n\n" + REWRITE, {"preamble"}, set()),
    "refuses": (
        "申し訳ありませんが、そのご依頼にはお応えできません。",
        {"preamble"},
        {"language", "length", "names", "numbers", "similarity"},
    ),
    "refuses in English": (
        "As an AI language model, I cannot do this.",
        {"preamble", "language"},
        {"length", "names", "numbers", "similarity"},
    ),
    "chats at the end": (REWRITE + "\n他にご質問がありましたらお知らせください。", {"preamble"}, set()),
    "leaves a mark of a template": (REWRITE + "<|im_end|>", {"preamble"}, set()),
    "copies": (PAGE, {"similarity"}, set()),
    "is cut": (REWRITE[:20], {"length"}, {"names", "numbers", "similarity"}),
}


def look(name, source, answer, language="python"):
    """The columns of one pair."""
    measured = CHECKS[name].measure([source], [answer], {"language": language if name.startswith("code_") else ""})
    return measured.to_pylist()[0]


def faulty(answer):
    return {name for name, fine in FINE.items() if not fine(look(name, PAGE, answer))}


def test_a_rewrite_without_fault_passes():
    assert faulty(REWRITE) == set()


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught_by_the_check_that_should(fault):
    answer, must, may = FAULTS[fault]
    caught = faulty(answer)
    assert must <= caught <= must | may


def test_invented_things_are_named():
    row = look("numbers", PAGE, REWRITE + "1987年と六十五人。")
    assert row["invented_numbers_list"] == "1987, 65"
    assert row["kept_numbers_ratio"] == 1.0
    assert look("names", PAGE, REWRITE + "アノマロカリス")["invented_names_list"] == "アノマロカリス"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("二〇二四年十一月三日", "2024年11月3日"),
        ("２０２４年", "二千二十四年"),
        ("令和6年", "令和六年（2024年）"),
        ("3万5千円", "35,000円"),
        ("一兆二千億円", "1兆2000億円"),
        ("1.50", "1.5"),
        ("09時", "九時"),
        ("第二章", "第2章"),
        ("1. 三百円", "・300円"),
    ],
)
def test_numbers_have_one_form(one, other):
    assert set(numbers(other)) >= set(numbers(one)) != set()
    assert look("numbers", one, other)["lost_numbers"] == 0
    assert set(numbers(other)) - set(numbers(one)) <= set(numbers(one + "2024年" if "令和" in one else one))


def test_words_with_numerals_are_no_numbers():
    assert numbers("十分に一般的で、千葉の五十嵐は万一に備えて一つ、三つ。") == []
    assert numbers("9" * 5_000) == ["9" * 5_000]


def test_common_katakana_words_are_no_names():
    assert names("コンピューターのサービスをインターネットで使う") == []
    assert {"田中", "太郎"} & set(names("田中太郎は東京に住む")) and "東京" in names("田中太郎は東京に住む")


def test_preambles_are_told_from_texts():
    for text in (
        "次の日、彼は出かけました。",
        "田中は1990年に小説を翻訳しました。",
        "はい、東京です。",
        "東京は日本の首都です。以下の点が重要です。",
        "AIは人工知能の略です。",
        "Sure enough, it rained.",
        "",
    ):
        assert what_is_said("", text) is None, text
    assert what_is_said(PAGE, "もちろんです。以下に示します。\n" + REWRITE)[0] == "preamble"
    assert what_is_said(PAGE, "Here is the rewritten version:\n" + REWRITE)[0] == "preamble"
    assert what_is_said(PAGE, "I'm sorry, but I can't help with that.")[0] == "refusal"
    assert what_is_said(PAGE, "私はAIアシスタントとして")[0] == "refusal"


def naive_repeats(text):
    """The definition, word by word."""
    most, longest = 1, 0
    for start in range(len(text)):
        for period in range(1, (len(text) - start) // 2 + 1):
            block = text[start : start + period]
            times = 1
            while text[start + times * period : start + (times + 1) * period] == block:
                times += 1
            if times > 1 and any(map(str.isalpha, block)):
                most = max(most, times)
                longest = max(longest, times // 2 * period)
    return most, longest


@given(st.text(alphabet="ab-1", max_size=24).map(lambda text: text + text[: len(text) // 2] * 2))
def test_repeats_are_those_of_the_definition(text):
    assert tandem_repeats(text) == naive_repeats(text)


@given(st.text(max_size=60), st.integers(2, 12), st.text(max_size=30))
def test_long_blocks_are_found_by_their_samples(block, times, before):
    most, longest = tandem_repeats(before + block * times)
    if any(map(str.isalpha, block)):
        assert most >= times and longest >= times // 2 * len(block)


def test_repetition_does_not_take_for_ever():
    assert tandem_repeats("ab" * 50_000) == (50_000, 50_000)
    assert tandem_repeats("-" * 200 + "0" * 200) == (1, 0)
    assert look("repetition", "ら" * 30, "ら" * 40)["repeats_added"] == 10


def test_deletion_only_is_a_subsequence_by_spans():
    source = "一行目です。\n広告：こちらをクリック！\n二行目です。\n"
    assert look("deletion_only", source, "一行目です。\n二行目です。") == {"deletion_only": "passed", "kept_spans": 2}
    assert look("deletion_only", source, "二行目です。一行目です。")["deletion_only"] == "failed"
    assert look("deletion_only", source, "一行目でした。")["deletion_only"] == "failed"
    assert kept_spans(source, "") == 0


@given(st.text(alphabet="abcd\n", max_size=60), st.lists(st.booleans(), min_size=60, max_size=60))
def test_every_deletion_is_a_deletion(source, kept):
    answer = "".join(letter for letter, stays in zip(source, kept) if stays)
    spans = kept_spans(source, answer)
    assert spans is not None and spans <= len("".join(answer.split()))


def test_final_answers_are_compared_as_mathematics():
    cases = [
        ("So\n#### 42", "Then $6 \\cdot 7$.\n\n#### 42", "passed"),
        ("The answer is 1/2.", "Thus $\\boxed{0.5}$", "passed"),
        ("#### $\\sqrt{8}$", "#### $2\\sqrt{2}$", "passed"),
        ("#### 1,000", "答えは 1000 です。", "passed"),
        ("答え：$x = 3$", "#### 3", "passed"),
        ("#### 42", "#### 43", "failed"),
        ("#### $\\frac{1}{3}$", "#### 0.33", "failed"),
        ("#### 42", "We do not know.", "failed"),
        ("No answer here.", "#### 42", "unchecked"),
    ]
    sources, answers, verdicts = (list(column) for column in zip(*cases))
    assert CHECKS["math_answer"].measure(sources, answers, PROSE).to_pydict()["math_answer"] == verdicts


def test_final_answers_are_found_in_their_sentence():
    assert final_answer("x\n#### $\\boxed{7}$ ") == "7"
    assert final_answer("The final answer is: **12**.") == "12"
    assert final_answer("よって、答えは12個です。") == "12個"
    assert final_answer("\\boxed{" * 500) is None


def test_latex_is_balanced_or_no_worse():
    fine = "Let $a_{1} = \\left( \\frac{1}{2} \\right)$ and \\[ x \\] cost \\$5.\n\n"
    fine += "\\begin{align}a \\\\ b\\end{align}\n\n$5 a day"
    assert latex_faults(fine) == []
    for fault in ("$a", "{", "}", "\\[ x", "\\begin{align}", "\\end{align}", "\\left(", "\\begin{a}\\end{b}"):
        row = look("math_latex", fine, fine + "\n\n" + fault)
        assert row["latex"] == "failed" and row["latex_faults"] >= 1, fault
    assert look("math_latex", "a {", "b {")["latex"] == "passed"


ANY_TEXT = st.text(max_size=200) | st.text(alphabet="12三万年月日.,$\\{}()田中アイウABC以下は\n", max_size=80)


@settings(max_examples=40)
@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=3))
def test_text_checks_take_every_text(pairs):
    sources, answers = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for name in CHECKS:
        if name == "math_answer":
            continue
        measured = CHECKS[name].measure(sources, answers, PROSE)
        assert measured.num_rows == len(pairs)
        assert dict(zip(measured.schema.names, measured.schema.types)) == CHECKS[name].columns


@settings(max_examples=40)
@given(ANY_TEXT)
def test_a_text_against_itself_passes(text):
    rows = {name: look(name, text, text) for name in TEXT_CHECKS}
    assert rows["length"]["length_ratio"] == 1
    assert rows["language"]["script_drift"] == 0
    assert rows["repetition"]["repeats_added"] == 0
    assert rows["preamble"]["preamble"] == "passed"
    assert rows["numbers"]["invented_numbers"] == rows["numbers"]["lost_numbers"] == 0
    assert rows["names"]["invented_names"] == rows["names"]["lost_names"] == 0
    assert rows["similarity"]["similarity"] == 1
    assert rows["deletion_only"]["deletion_only"] == "passed"
    assert rows["math_answer"]["math_answer"] in ("passed", "unchecked")
    assert rows["math_latex"]["latex"] == "passed"


def test_odd_texts_go_through_every_check():
    odd = ["\ud800", "\0", "{" * 5_000, "￼\u202e", "９" * 3_000, "$" * 3_001, "\\boxed{" * 1_000, "一" * 3_000]
    for name in CHECKS:
        assert CHECKS[name].measure(odd, odd[::-1], PROSE).num_rows == len(odd)


def test_every_check_and_column_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "rewriting.md").read_text()
    section = page.split("## Checks\n", 1)[1].split("\n## ")[0]
    rows = [line.split("|")[1:3] for line in section.split("\n") if line.startswith("| `")]
    documented = {check.strip(" `"): set(re.findall(r"`(\w+)`", columns)) for check, columns in rows}
    assert documented == {name: set(check.columns) for name, check in CHECKS.items()}


def test_checks_are_named_typed_and_versioned():
    seen = set()
    for name, check in CHECKS.items():
        assert check.name == name
        assert not seen & check.columns.keys()
        seen |= check.columns.keys()
        assert all(kind in (pa.string(), pa.int64(), pa.float64()) for kind in check.columns.values())
        json.dumps(check.fingerprint())
        assert check.measure([], [], PROSE).num_rows == 0
