"""What a model wrote is read as what was asked for, or has a reason; nothing it can write raises."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rewriting import answers
from pipeline.rewriting.answers import REASONS, parse_answer

DOCSTRING = '''def example():
    """Run it:

    ```python
    example()
    ```
    """
    return 1
'''


@pytest.mark.parametrize(
    ("answer", "kind", "marker", "text"),
    [
        ("和紙の話。", "text", None, "和紙の話。"),
        ("<think>どう書こうか</think>\n和紙の話。", "text", None, "和紙の話。"),
        (f"### Improved Code\n```python\n{DOCSTRING}```\n", "code", None, DOCSTRING),
        ("Use `x`:\n```\nx = 1\n```\nAll:\n```python\nx = 1\ny = 2\n```", "code", None, "x = 1\ny = 2\n"),
        ("~~~python\nx = '```'\n~~~", "code", None, "x = '```'\n"),
        ("thought\n<|REWRITTEN_CODE|>:\n```python\nx = 1\n```", "code", "<|REWRITTEN_CODE|>:", "x = 1\n"),
        ("thought\n<|REWRITTEN_CODE|>:\nx = 1", "code", "<|REWRITTEN_CODE|>:", "x = 1\n"),
        ("```python\nx = 1", "code", None, "x = 1\n"),
    ],
)
def test_texts_and_code_are_taken_out_of_answers(answer, kind, marker, text):
    assert parse_answer(answer, kind, "", marker) == answers.Parsed(text=text)


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("good. [[6.5]]", 6.5),
        ("[[4.5]]", 4.5),
        ("first [[3]], no: [[ 7 ]]", 7.0),
        ('```json\n{"reasons": "深い", "score": 2}\n```', 2.0),
        ("3", 3.0),
    ],
)
def test_half_points_are_half_points(answer, score):
    assert parse_answer(answer, "score", "").score == score


@pytest.mark.parametrize(
    ("answer", "kind", "marker", "reason"),
    [
        ("", "text", None, answers.EMPTY),
        ("<think>終わらない", "text", None, answers.UNFINISHED_THOUGHT),
        ("no fence here", "code", None, answers.NO_CODE),
        ("x", "code", "<|REWRITTEN_CODE|>:", answers.NO_MARKER),
        ("seven of ten", "score", None, answers.NO_SCORE),
        ('{"score": true}', "score", None, answers.NO_SCORE),
        ('{"pairs": []}', "pairs", None, answers.NO_PAIRS),
        ('{"pairs": [{"question": "？"}]}', "pairs", None, answers.NO_PAIRS),
        ("削除なし", "deletions", None, answers.NO_PROGRAM),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_has_a_reason(answer, kind, marker, reason):
    assert parse_answer(answer, kind, "一行", marker).reason == reason


@pytest.mark.parametrize("kind", ["text", "code", "score", "pairs", "deletions"])
@pytest.mark.parametrize(
    "answer",
    [
        "[" * 100_000,
        '{"delete": ' + "[" * 100_000 + "}",
        '{"score": ' + "9" * 400 + "}",
        '{"score": NaN}',
        "[[" + "9" * 400 + "]]",
        '{"delete": [{"line": 1e999}]}',
        '{"delete": [{"line": 1.5}]}',
        '{"pairs": [{"question": "\\ud800", "answer": "x"}]}',
        '{"score": 1, "reasons": "\\udfff"}',
    ],
)
def test_what_no_table_can_hold_comes_out_of_no_answer(answer, kind):
    parsed = parse_answer(answer, kind, "一行目\n二行目")
    for text in (parsed.text, parsed.note, *(message["content"] for message in parsed.messages)):
        assert text is None or text.encode("utf-8")
    assert parsed.score is None or math.isfinite(parsed.score)
    assert kind in ("text", "code") or parsed.reason in REASONS or parsed.score == 1.0


def test_pairs_become_a_chat_and_a_text():
    pairs = [{"question": "紙とは？", "answer": "漉いたもの。"}, {"question": "", "answer": "x"}]
    said = json.dumps({"pairs": pairs}, ensure_ascii=False)
    parsed = parse_answer(f"はい：\n{said}", "pairs", "")
    assert parsed.text == "紙とは？\n漉いたもの。"
    assert [message["role"] for message in parsed.messages] == ["user", "assistant"]


SAID = st.text() | st.text(alphabet='`{}[]":0123456789.~\nscorepaidlt<think>/')


@given(SAID, st.sampled_from(["text", "code", "score", "pairs", "deletions"]))
def test_no_answer_raises_and_each_says_something_or_has_a_reason(answer, kind):
    parsed = parse_answer(answer, kind, "一行目\n二行目")
    assert (parsed.reason in REASONS) != (parsed.text is not None or parsed.score is not None)
