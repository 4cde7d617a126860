"""A program of deletions can only take away: what is left is a subsequence of the text, line by line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rewriting.deletions import BadProgram, Deletion, apply_program, numbered, read_program

TEXT = "題名\n広告\n本文の一行目。続きを読む\n本文の二行目。\n関連記事"


def test_lines_and_words_go():
    program = read_program('消します。{"delete": [{"line": 2}, {"line": 3, "words": "続きを読む"}, {"lines": [5, 5]}]}')
    assert apply_program(TEXT, program) == "題名\n本文の一行目。\n本文の二行目。"


def test_the_prompt_numbers_lines_as_programs_name_them():
    assert numbered(TEXT).split("\n")[1] == "2: 広告"


@pytest.mark.parametrize(
    "answer", ["", "{}", '{"delete": 3}', '{"delete": [{"lines": [1]}]}', '{"delete": [{"line": 1, "words": ""}]}']
)
def test_what_is_no_program_is_refused(answer):
    with pytest.raises(BadProgram, match="no program"):
        read_program(answer)


@pytest.mark.parametrize("item", [Deletion(0, 1), Deletion(4, 9), Deletion(3, 2), Deletion(1, 1, "本文")])
def test_a_program_that_names_what_is_not_there_is_refused(item):
    with pytest.raises(BadProgram):
        apply_program(TEXT, [item])


def is_subsequence(short: str, long: str) -> bool:
    letters = iter(long)
    return all(letter in letters for letter in short)


LINES = st.lists(st.text(alphabet="紙を漉く。ab", max_size=8), min_size=1, max_size=8)


@given(LINES, st.data())
def test_nothing_is_ever_added(lines, data):
    text = "\n".join(lines)
    count = len(text.split("\n"))
    program = []
    for _ in range(data.draw(st.integers(0, 4))):
        first = data.draw(st.integers(1, count))
        line = text.split("\n")[first - 1]
        if line and data.draw(st.booleans()):
            start = data.draw(st.integers(0, len(line) - 1))
            program.append(Deletion(first, first, line[start : start + 3]))
        else:
            program.append(Deletion(first, data.draw(st.integers(first, count))))
    try:
        left = apply_program(text, program)
    except BadProgram:
        return
    assert is_subsequence(left, text)
