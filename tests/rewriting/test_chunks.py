"""Chunks put together are the text, none is too long, and cuts fall where a reader would cut."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rewriting.chunks import chunks

PARTS = st.sampled_from(["紙を漉く。", "冬の朝。", "\n", "\n\n", "# 見出し\n", "第一章 はじめ\n", "長い" * 15, "！？"])


@given(st.lists(PARTS, max_size=40).map("".join), st.integers(5, 80))
def test_chunks_put_together_are_the_text_and_none_is_too_long(text, most):
    found = chunks(text, most, "paragraphs")
    if found is None:
        assert max(len(line) for line in text.splitlines(keepends=True)) > most
    else:
        assert "".join(found) == text
        assert all(len(part) <= most for part in found)


def test_paragraphs_stay_whole_while_they_fit():
    text = "\n\n".join(f"{number}段落目の文です。" * 3 for number in range(6))
    for part in chunks(text, 80, "paragraphs") or []:
        assert part.strip().endswith("文です。")


CODE = "import os\n\n\n# 説明\n@wraps\ndef first():\n    return 1\n\n\nclass Second:\n    x = 2\n\n\nprint(first())\n"


@pytest.mark.parametrize("most", [45, 60, 90])
def test_code_is_cut_between_definitions_and_each_part_parses(most):
    found = chunks(CODE, most, "definitions")
    assert found is not None and len(found) > 1 and "".join(found) == CODE
    for part in found:
        ast.parse(part)
    assert any("# 説明\n@wraps\ndef first" in part for part in found)


@pytest.mark.parametrize("separator", ["\x0c", "\x1c", "\u2028", "\x85"])
def test_what_only_python_s_strings_call_lines_moves_no_cut(separator):
    piece = f"# {separator} {separator}\ndef a():\n    x = 1\n    return x\n\n\n"
    text = "import os\n" + "".join(piece.replace("a()", f"a{number}()") for number in range(6))
    found = chunks(text, 80, "definitions")
    assert found is not None and "".join(found) == text
    for part in found:
        ast.parse(part)


@pytest.mark.parametrize("text", ["def broken(:\n" * 20, "x = [\n" + "1,\n" * 60 + "]\n", "\0" * 50])
def test_code_that_cannot_be_cut_is_not(text):
    assert chunks(text, 40, "definitions") is None
