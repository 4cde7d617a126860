"""Fenced blocks of answers, with fences inside of what they hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rewriting.fences import fenced_blocks

DOCSTRING = '''"""Adds.

```
>>> add(1, 2)
3
```

```python
add(3, 4)
```
"""


def add(a, b):
    # don't stop at ``` here
    return a + b
'''
COMMENT = "/*\n```\nadd(1, 2)\n```\n*/\nfunction add(a, b) { return a + b; }"


@pytest.mark.parametrize("word", ["python", "py", "Python", ""])
def test_a_fence_inside_a_docstring_ends_nothing(word):
    answer = f"Suggestions:\n\n```{word}\n{DOCSTRING}```\n\nThat is all.\n\n```text\nend\n```\n"
    assert fenced_blocks(answer) == [(word.lower(), DOCSTRING.rstrip("\n")), ("text", "end")]


def test_a_fence_inside_a_comment_ends_nothing():
    assert fenced_blocks(f"```js\n{COMMENT}\n```") == [("js", COMMENT)]


def test_fences_of_markdown_nest():
    inner = "# Title\n\n```python\nprint(1)\n```\n\n```\nplain\n"
    text = "# Title\n\n```python\nprint(1)\n```\n\nend"
    assert fenced_blocks(f"```markdown\n{text}\n```\nafter") == [("markdown", text)]
    assert fenced_blocks(f"````\n{inner}````\nafter") == [("", inner.rstrip("\n"))]


def test_indented_and_waved_fences():
    assert fenced_blocks("  ~~~ Go x\na\n```\nb\n ~~~~\n") == [("go", "a\n```\nb")]
    assert fenced_blocks("    ```\nno block\n    ```") == []
    assert fenced_blocks("say ```code``` here\n```a`b\nx") == []


def test_a_block_that_does_not_end_goes_to_the_end():
    assert fenced_blocks("```python\nprint(1)\nprint(2)") == [("python", "print(1)\nprint(2)")]
    assert fenced_blocks('```python\nx = """\n```\nafter') == [("python", 'x = """')]


def test_the_work_is_linear():
    hostile = '```python\nx = """\n' * 20_000
    assert len(fenced_blocks(hostile)) >= 1
    assert len(fenced_blocks("```a\n```a\n```\n" * 20_000)) >= 1


@given(st.lists(st.sampled_from(["```", "```python", "~~~", '"""', "'''", "# '", "/*", "*/", "x", " ", "`", "\r"])))
def test_blocks_are_parts_of_the_text_in_order(pieces):
    text = "\n".join(pieces)
    place = 0
    for _, inside in fenced_blocks(text):
        assert inside in text[place:]
        place = text.index(inside, place) + len(inside)


@given(st.text(alphabet="ab\"'#\\\n ", max_size=80))
def test_code_without_fences_comes_back_whole(code):
    code = code.replace('"""', "").replace("'''", "")
    assert fenced_blocks(f"```python\n{code}\n```\n") == [("python", code)]
