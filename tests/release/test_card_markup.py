"""What stands in a card stays data: whatever it holds, a reader of Markdown or YAML finds it as it was."""

from __future__ import annotations

import codecs
import re

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipeline.release.card.markup import fence, heading, name, plain, table, yaml_text
from pipeline.wording import is_seen, visible

HOSTILE = [
    "<script>alert(1)</script>",
    "<!-- ",
    "-->",
    "---",
    "--- \n---\n",
    "| a | b |",
    "a\\|b",
    "\\",
    "`",
    "```",
    "~~~",
    "*b* _i_ __u__",
    "[x](javascript:alert(1))",
    "![x](https://evil.example/p.png)",
    "https://evil.example/|`<b>",
    "www.evil.example",
    "a@b.example",
    "&lt;b&gt; &#x3c;",
    "\u202eevil\u202c",
    "\u200b",
    "\ufeff",
    "\x00",
    "\x1b[31m",
    "\r\n# h",
    "\n\n<b>",
    "\u2028- x",
    "=cmd|' /C calc'!A0",
    "@mention #1 :smile:",
    "%TAG ! x",
    "!!python/object:os.system x",
    "&anchor *alias",
    "key: value",
    "{a: b}",
    "[a, b]",
    "# c",
    "? x",
    "- x",
    "yes",
    "NO",
    "null",
    "~",
    "1e3",
    "0o17",
    "0x1f",
    "1_000",
    ".inf",
    "2026-11-26",
    "12:30:45",
    "",
    " ",
    "  a  b  ",
    "日本語 の　名前",
    "<a\thref>",
    "\\u202e",
    "$x^2$",
    "$$",
    "{{ x }}",
    "{% x %}",
    "a_b_c",
    "_a_",
    "1. x",
    "+ x",
    "> q",
    "a\x85b",
    "\U000e0001",
    "x" * 300 + " " + "y" * 300,
]
TEXTS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.lists(st.sampled_from(HOSTILE), max_size=3).map("".join),
)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False, allow_infinity=False), TEXTS
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
MARKDOWN = MarkdownIt("commonmark").enable("table")
# What GitHub's Markdown has besides, so that links that begin by themselves are looked for too.
LINKING = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def shown(text: str) -> str:
    """What `visible` escaped, read back."""
    return re.sub(
        r"\\(?:[nrt\\]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})", lambda m: codecs.decode(m[0], "unicode_escape"), text
    )


def cells(markdown: str) -> list[list[str]]:
    """The cells of the tables of a page, as a reader sees them; nothing but text and code may stand in them."""
    found: list[list[str]] = []
    for token in MARKDOWN.parse(markdown):
        if token.type == "tr_open":
            found.append([])
        elif token.type == "inline" and found:
            assert {child.type for child in token.children or []} <= {"text", "code_inline", "text_special"}
            found[-1].append("".join(child.content for child in token.children or []))
    return found


@given(TEXTS)
def test_what_is_not_seen_is_escaped_and_reads_back(text):
    found = visible(text)
    assert all(is_seen(character) for character in found)
    assert shown(found) == text


@pytest.mark.parametrize(
    "character",
    ["\n", "\x00", "\u202e", "\u2066", "\u200f", "\u200b", "\ufeff", "\u2028", "\x85", "\u3000", "\ue000", "\t"],
)
def test_controls_bidi_and_separators_are_not_seen(character):
    assert not is_seen(character)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4))
@example([(text, text) for text in HOSTILE])
def test_cells_of_a_table_hold_exactly_what_was_put_in(rows):
    page = table(["one", "two"], [[plain(first), name(second)] for first, second in rows])
    assert "<" not in page
    assert [[shown(cell) for cell in row] for row in cells(page)] == [["one", "two"], *map(list, rows)]


@given(TEXTS)
@example("www.evil.example")
@example("https://evil.example")
def test_a_text_in_a_line_or_a_heading_is_that_text(text):
    page = f"Of {plain(text)} end.\n\n{heading(2, text)}\n"
    tokens = [token for token in LINKING.parse(page) if token.type == "inline"]
    assert len(tokens) == 2
    for token in tokens:
        assert {child.type for child in token.children or []} <= {"text", "text_special"}
    first, second = ("".join(child.content for child in token.children or []) for token in tokens)
    assert (shown(first), shown(second)) == (f"Of {text} end.", text)
    assert not re.search(r"://|www\.|@|<", page)


@given(VALUES)
@example({text: [text, {text: text}] for text in HOSTILE})
def test_yaml_reads_back_exactly_and_shows_everything(value):
    text = yaml_text({"value": value})
    assert yaml.safe_load(text) == {"value": value}
    assert all(is_seen(character) for character in text if character != "\n")
    assert not {"---", "..."} & {line.strip() for line in text.splitlines()}


@given(VALUES)
@example("```\n<script>")
@example({"a": "``````"})
def test_a_fence_holds_its_content_and_nothing_breaks_out(value):
    content = yaml_text({"value": value})
    tokens = MARKDOWN.parse(f"before\n\n{fence(content, 'yaml')}\n\nafter\n")
    assert [token.type for token in tokens if token.nesting >= 0] == [
        "paragraph_open", "inline", "fence", "paragraph_open", "inline",
    ]  # fmt: skip
    (found,) = [token for token in tokens if token.type == "fence"]
    assert found.info == "yaml"
    assert yaml.safe_load(found.content) == {"value": value}
