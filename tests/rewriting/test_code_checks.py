"""Checks of rewritten code: what parses, what others can call, and what it gives in the sandbox."""

import json

import pytest

from pipeline.rewriting import sandbox
from pipeline.rewriting.checks import CHECKS, behaviour
from pipeline.rewriting.sandbox import KINDS, run_in_sandbox, sandbox_works

NEEDS_SANDBOX = pytest.mark.skipif(sandbox.find_sandbox() is None, reason="no sandbox works here")

SOURCE = '''
import math

def add(a, b):
    """
    >>> add(1, 2)
    3
    """
    return a + b

def area(r):
    return math.pi * r * r

class Stack:
    def __init__(self):
        self.items = []
    def push(self, item):
        self.items.append(item)
    def pop(self):
        return self.items.pop()
'''
REWRITE = '''
"""Sums, areas and a stack."""

import math


def add(left: float, right: float) -> float:
    """Return the sum.

    >>> add(2, 2)
    4
    """
    return left + right


def circle_area(radius: float, scale: float = 1) -> float:
    """Return the area of a circle."""
    return scale * math.pi * radius * radius


class Stack:
    """Last in, first out."""

    def __init__(self) -> None:
        self.items: list[object] = []

    def push(self, element: object) -> None:
        """Put on top."""
        self.items.append(element)

    def take(self) -> object:
        """Take from the top."""
        return self.items.pop()
'''
FAULTS = {
    "breaks syntax": (REWRITE.replace("class Stack:", "class Stack"), {"code_syntax"}),
    "changes an answer": (REWRITE.replace("left + right", "left - right"), {"code_behaviour"}),
    "changes an answer without doctest": (REWRITE.replace("radius * radius", "radius"), {"code_behaviour"}),
    "drops a function": (
        REWRITE.replace(REWRITE[REWRITE.index("def circle") : REWRITE.index("class")], ""),
        {"code_interface", "code_behaviour"},
    ),
    "drops a method": (REWRITE[: REWRITE.index("    def take")], {"code_interface"}),
    "asks for more": (
        REWRITE.replace("def add(left: float, right: float)", "def add(left: float, right: float, more: float)"),
        {"code_interface", "code_behaviour"},
    ),
    "writes worse": (REWRITE.replace("import math\n", "import math, os, sys, re\n"), {"code_lint"}),
}
FINE = {
    "code_syntax": lambda row: row["syntax"] != "failed",
    "code_interface": lambda row: row["interface_kept"] != "failed",
    "code_behaviour": lambda row: row["behaviour"] != "failed",
    "code_lint": lambda row: row["lint_worse"] != "yes",
}


def rows(name, sources, answers):
    return CHECKS[name].measure(sources, answers, {"language": "python"}).to_pylist()


def test_a_good_rewrite_passes_and_its_renames_are_recorded():
    (interface,) = rows("code_interface", [SOURCE], [REWRITE])
    assert interface["interface_kept"] == "passed"
    assert interface["renamed"] == 2 and interface["dropped_functions"] == interface["arity_changed"] == 0
    assert interface["renamed_list"] == "area -> circle_area, Stack.pop -> Stack.take"
    (syntax,) = rows("code_syntax", [SOURCE], [REWRITE])
    assert syntax["syntax"] == "passed"


@NEEDS_SANDBOX
def test_planted_faults_are_caught_by_the_check_that_should():
    # The lint of the source must be as good as the rewrite's for the worse one to be worse.
    answers = [REWRITE, *(answer for answer, _ in FAULTS.values())]
    source = [SOURCE.replace("def add", '"""Sums."""\n\n\ndef add', 1)] * len(answers)
    caught = [set() for _ in answers]
    for name, fine in FINE.items():
        before = [REWRITE] * len(answers) if name == "code_lint" else source
        for place, row in enumerate(rows(name, before, answers)):
            if not fine(row):
                caught[place].add(name)
    assert caught[0] == set()
    for fault, found in zip(FAULTS, caught[1:]):
        expected = FAULTS[fault][1]
        assert found - {"code_lint"} == expected - {"code_lint"}, fault
        assert found >= expected, fault


@NEEDS_SANDBOX
def test_behaviour_says_what_changed_and_what_was_run():
    wrong = REWRITE.replace("left + right", "left - right")
    good, bad = rows("code_behaviour", [SOURCE, SOURCE], [REWRITE, wrong])
    assert good["behaviour"] == good["doctests"] == "passed"
    assert good["examples_run"] > 10 and good["examples_changed"] == 0
    assert bad["doctests"] == "failed" and bad["changed_list"].startswith("add(1, 2) gave '3")


@NEEDS_SANDBOX
def test_what_does_not_run_or_differs_by_itself_is_unchecked():
    sources = [
        "import no_such_module\ndef f(x): return x\n",
        "import random\ndef f(x): return random.random()\n",
        "def f(x): return object()\n",
        "while True: pass\n",
        "x = [0] * 10**12\n",
        "import os\nos._exit(0)\n",
        "raise SystemExit(0)\n",
        "x = 1\n",
    ]
    found = rows("code_behaviour", sources, sources)
    assert [row["behaviour"] for row in found] == ["unchecked"] * len(sources)


@NEEDS_SANDBOX
def test_a_rewrite_that_does_not_end_or_load_fails():
    source = "def f(x):\n    return x\n"
    answers = [source + "while True: pass\n", source + "raise ValueError\n", "import numpy_is_not_here\n" + source]
    assert [row["behaviour"] for row in rows("code_behaviour", [source] * 3, answers)] == [
        "failed",
        "failed",
        "unchecked",
    ]


def test_without_a_sandbox_nothing_runs(monkeypatch):
    monkeypatch.setattr(behaviour, "find_sandbox", lambda: None)
    monkeypatch.setattr(behaviour, "run_in_sandbox", None)
    (row,) = rows("code_behaviour", [SOURCE], [SOURCE])
    assert row["behaviour"] == row["doctests"] == "unchecked"


def test_other_languages_and_prose_are_unchecked():
    for language in ("", "go", "javascript"):
        settings = {"language": language}
        for name, column in (
            ("code_interface", "interface_kept"),
            ("code_behaviour", "behaviour"),
            ("code_lint", "lint_worse"),
        ):
            assert CHECKS[name].measure(["x"], ["x"], settings).to_pylist()[0][column] == "unchecked"


@pytest.mark.parametrize("kind", KINDS)
def test_the_sandbox_holds(kind, tmp_path):
    if not sandbox_works(kind):
        pytest.skip(f"{kind} does not work here")
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import json, os, socket, sys\n"
        "given = json.load(sys.stdin)\n"
        "found = {}\n"
        "def attempt(name, call):\n"
        "    try:\n"
        "        found[name] = bool(call()) or True\n"
        "    except (OSError, MemoryError):\n"
        "        found[name] = False\n"
        "attempt('reads ours', lambda: open(given).read())\n"
        "attempt('reads users', lambda: open('/etc/passwd').read())\n"
        "attempt('writes the system', lambda: open('/usr/kamisuki', 'w'))\n"
        "attempt('writes the root', lambda: open('/kamisuki', 'w'))\n"
        "attempt('uses the network', lambda: socket.create_connection(('127.0.0.1', 9), 1))\n"
        "datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "attempt('asks a name server', lambda: datagrams.sendto(b'x', ('8.8.8.8', 53)))\n"
        "attempt('takes memory', lambda: bytearray(1 << 30))\n"
        "def fill():\n"
        "    with open('/tmp/a', 'wb') as out: out.write(bytes(8 << 20))\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "attempt('writes a long file', fill)\n"
        "def processes():\n"
        "    if sum(map(str.isdigit, os.listdir('/proc'))) < 5: raise OSError\n"
        "attempt('sees processes', processes)\n"
        "attempt('writes its folder', lambda: open('/tmp/b', 'w').write('b'))\n"
        "print(json.dumps(found))\n"
    )
    outcome = run_in_sandbox(worker, str(secret), kind)
    assert outcome.answer is not None, outcome.ending
    assert [name for name, done in outcome.answer.items() if done] == ["writes its folder"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_sandbox_ends(kind, tmp_path, monkeypatch):
    if not sandbox_works(kind):
        pytest.skip(f"{kind} does not work here")
    monkeypatch.setattr(sandbox, "_CLOCK_SECONDS", 2)
    worker = tmp_path / "worker.py"
    worker.write_text("print('no answer')\nwhile True: pass\n")
    assert run_in_sandbox(worker, None, kind).answer is None


@NEEDS_SANDBOX
def test_development_files_keep_behaviour_and_interface_against_themselves():
    from tests.rewriting.test_checks import DEVELOPMENT

    if not DEVELOPMENT.is_file():
        pytest.skip(f"{DEVELOPMENT} is not there")
    texts = [json.loads(line)["code"] for line in DEVELOPMENT.read_text().splitlines()]
    assert {row["interface_kept"] for row in rows("code_interface", texts, texts)} == {"passed"}
    some = [text for text in texts if ">>>" in text][:6]
    found = rows("code_behaviour", some, some)
    assert all(row["behaviour"] in ("passed", "unchecked") for row in found)
    assert sum(row["behaviour"] == "passed" for row in found) >= len(found) / 2
