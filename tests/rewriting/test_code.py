"""Languages: what their tools say, that a missing tool never passes, and that no text breaks them."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.rewriting.children import Failed, work_in_children
from pipeline.rewriting.code import LANGUAGES, format_texts, python, scripts, tool_versions, tools

DEVELOPMENT = Path(__file__).parents[3] / "shared/data/dev/code/python.jsonl"
PYTHON = LANGUAGES["python"]
GOOD = '"""Adds."""\n\n\ndef add(left, right=1):\n    """Add."""\n    return left + right\n'
HOSTILE = {
    "broken": "def f(:\n",
    "nul": "x = 1\0\n",
    "deep": "(" * 100_000,
    "deeper": "-" * 200_000 + "1",
    "nested": "[" * 180 + "]" * 180 + "\n" + "if x:\n" * 3,
    "attributes": "a" + ".a" * 100_000,
    "surrogate": "x = '\ud800'\n",
    "digits": "x = " + "9" * 10_000,
    "tabs": "if x:\n\ty\n        z\n",
    "python 2": "print 'a'\n",
}


def every_development_file():
    if not DEVELOPMENT.is_file():
        pytest.skip(f"{DEVELOPMENT} is not there")
    return [json.loads(line)["code"] for line in DEVELOPMENT.read_text().splitlines()]


def test_what_kills_a_parser_is_a_failure_with_a_detail():
    texts = [GOOD, *HOSTILE.values(), GOOD]
    found = PYTHON.syntax(texts)
    assert found[0].status == found[-1].status == "passed"
    failed = dict(zip(HOSTILE, found[1:-1], strict=True))
    for name, answer in failed.items():
        # A chain of names is a program to some versions of Python and too deep for others.
        assert name == "attributes" or (answer.status == "failed" and answer.detail), name
    assert "SyntaxError" in failed["broken"].detail


def test_every_python_tool_takes_hostile_texts():
    texts = [GOOD, *HOSTILE.values(), "", "\ufeffx = 1\n", GOOD]
    formatted, interfaces = PYTHON.format(texts), PYTHON.interfaces(texts)
    assert formatted[0].text == formatted[-1].text == GOOD
    assert formatted[1].reason == "syntax_error"
    assert interfaces[0] == interfaces[-1]
    assert interfaces[1] is None
    assert all((each.text is None) == (each.reason is not None) for each in formatted)
    few = [GOOD, HOSTILE["broken"], HOSTILE["surrogate"], HOSTILE["nul"], HOSTILE["deep"], ""]
    lint = PYTHON.lint(few)
    assert lint[0].score == 10.0 and lint[0].messages == 0
    assert lint[1].score == 0.0
    assert lint[5].score == 0.0


def test_the_penalty_is_comment_tokens_among_all_tokens():
    # NAME = NUMBER COMMENT NEWLINE, COMMENT NL, ENDMARKER: two comments in eight tokens.
    (lint,) = PYTHON.lint(["x = 1  # one\n# two\n"])
    assert lint.comment_share == 2 / 8
    assert lint.with_penalty == pytest.approx(lint.score * 0.75)


def test_a_score_does_not_depend_on_the_other_texts():
    teaches = "import sys\n\nsys.my_own = 1\n"
    asks = '"""Asks."""\n\nimport sys\n\nprint(sys.my_own)\n'
    together = PYTHON.lint([teaches, asks, GOOD, GOOD])
    assert together[1].score == PYTHON.lint([asks])[0].score < 10
    assert together[2] == together[3]


def test_formatting_is_ruffs():
    assert format_texts(["x=1;y = [1,\n2]", "x = (", "s = 'é'\r\n"], "python") == [
        python.Formatted("x = 1\ny = [1, 2]\n"),
        python.Formatted(None, "syntax_error", format_texts(["x = ("], "python")[0].detail),
        python.Formatted('s = "é"\r\n'),
    ]


def test_interfaces_are_public_names_with_their_arity():
    text = (
        "import os\n\ndef f(a, b=1, *, c, d=2, **e): pass\ndef _hidden(): pass\n"
        "class C(Base):\n    def __init__(self, x, *rest): pass\n    def m(self): pass\n    def _n(self): pass\n"
        "if os.name:\n    async def g(a, /): pass\nelse:\n    def h(): pass\n"
    )
    (found,) = PYTHON.interfaces([text])
    assert [(each.name, each.kind, each.parameters, each.least, each.most) for each in found] == [
        ("f", "function", "a, b=, *, c, d=, **e", 1, 2),
        ("C", "class", "", 0, 0),
        ("C.__init__", "function", "self, x, *rest", 2, -1),
        ("C.m", "function", "self", 1, 1),
        ("g", "async function", "a", 1, 1),
        ("h", "function", "", 0, 0),
    ]


@pytest.mark.slow
def test_every_development_file_goes_through_all_python_tools():
    texts = every_development_file()
    assert len(texts) >= 140
    syntax = PYTHON.syntax(texts)
    assert [each.status for each in syntax] == ["passed"] * len(texts)
    formatted = PYTHON.format(texts)
    assert all(each.text for each in formatted)
    again = PYTHON.format([each.text for each in formatted])
    assert [each.text for each in again] == [each.text for each in formatted]
    assert all(public is not None for public in PYTHON.interfaces(texts))
    lint = PYTHON.lint(texts)
    assert all(0 <= each.score <= 10 and 0 <= each.comment_share < 1 and each.messages is not None for each in lint)
    kept = sum(each.with_penalty >= 7 for each in lint)
    # SwallowCode v1 kept about two thirds of Python from The Stack with this limit (24.1 of 36.7 million).
    assert 0.3 < kept / len(texts) < 1


def test_a_missing_tool_never_passes(monkeypatch):
    for module in (python, scripts):
        monkeypatch.setattr(module, "find_tool", lambda name: None)
    monkeypatch.setattr(python, "_version", lambda package: None)
    for name in ("javascript", "go"):
        assert {each.status for each in LANGUAGES[name].syntax(["x", "{{{"])} == {"unchecked"}
    for language in LANGUAGES.values():
        assert {each.reason for each in language.format(["x", "{{{"])} == {"formatter_missing"}
        assert {(each.score, each.messages) for each in language.lint(["x = 1", "{{{"])} == {(None, None)}


@pytest.mark.skipif(tools.find_tool("node") is None, reason="node is not installed")
def test_node_compiles_and_does_not_run():
    texts = [
        "#!/usr/bin/env node\nconst a = require('x');\nreturn a;",
        "import a from 'a';\nexport default await a;",
        "process.exit(1);",
        "while (true) {}",
        "let a = ;",
        "import a from 'a'; let a = 1;",
        "(" * 100_000,
        "'\ud800'",
        "",
    ]
    found = LANGUAGES["javascript"].syntax(texts)
    assert [each.status for each in found] == ["passed"] * 4 + ["failed"] * 4 + ["passed"]
    assert "SyntaxError" in found[4].detail


def test_shares_of_comments_in_other_languages():
    for name, text in (("javascript", "// a\nf(1);\n"), ("go", "package a\n// b\nvar x = 1\n")):
        (lint,) = LANGUAGES[name].lint([text])
        assert 0 < lint.comment_share < 0.5


@pytest.mark.skipif(tools.find_tool("gofmt") is None, reason="gofmt is not installed")
def test_gofmt_parses_and_formats():
    go = LANGUAGES["go"]
    texts = ["package a\nvar x=1\n", "package a\nvar x = \n", "not go"]
    assert [each.status for each in go.syntax(texts)] == ["passed", "failed", "failed"]
    assert [each.text for each in go.format(texts)] == ["package a\n\nvar x = 1\n", None, None]
    assert go.format(texts)[1].reason == "syntax_error"


@pytest.mark.skipif(tools.find_tool("prettier") is None, reason="prettier is not installed")
def test_prettier_formats():
    found = LANGUAGES["javascript"].format(["a=1", "let a = ;"])
    assert [each.text for each in found] == ["a = 1;\n", None]
    assert found[1].reason == "syntax_error"


def test_versions_are_named():
    assert {"python", "pylint", "ruff"} <= tool_versions("python").keys()
    assert tool_versions("") == {}
    assert all(value is None or isinstance(value, str) for name in LANGUAGES for value in tool_versions(name).values())


def test_a_tool_that_dies_fails_one_text_alone():
    shell = shutil.which("sh")
    script = 'for name in "$@"; do if grep -q die "$name"; then kill -9 $$; fi; done; echo "$1" >> "$1"'
    found = tools.run_on_files(["a\n", "die\n", "b\n"], ".txt", lambda names: [shell, "-c", script, "sh", *names])
    assert [each.text is None for each in found] == [False, True, False]
    assert "signal 9" in found[1].error


def test_a_child_that_dies_fails_one_item_alone(tmp_path):
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import ctypes\n"
        "def work(item):\n"
        "    if item == 'die': ctypes.string_at(0)\n"
        "    while item == 'spin': pass\n"
        "    if item == 'exit': raise SystemExit(3)\n"
        "    print('noise')\n"
        "    return 'x' * int(item) if item == '900000000' else item\n"
    )
    items = ["1", "die", "2", "spin", "exit", "900000000", "3"]
    found = work_in_children(worker, items, seconds=0.5, memory_bytes=1 << 28)
    assert found[0::2] == ["1", "2", Failed("SystemExit: 3"), "3"]
    assert [each.detail.split(":")[0] for each in found[1::2]] == ["ended by SIGSEGV", "out of CPU time", "MemoryError"]
    worker.write_text("import no_such_module\n")
    with pytest.raises(RuntimeError, match="no_such_module"):
        work_in_children(worker, items, seconds=1, memory_bytes=1 << 28)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(max_size=60) | st.sampled_from(list(HOSTILE.values())), max_size=4))
def test_tools_answer_for_every_text(texts):
    for language in LANGUAGES.values():
        assert len(language.syntax(texts)) == len(texts)
        assert len(language.format(texts)) == len(texts)
        assert len(language.interfaces(texts)) == len(texts)
