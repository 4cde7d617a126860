"""What a page says is data: it reaches no shell, no pickle, no eval, no template. By the code, and by a hostile run."""

from __future__ import annotations

import ast
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.hostile import write
from benchmarks.hostile_captures import DOCUMENT, Capture, page
from tests.pipeline.conftest import ENVIRONMENT, ROOT

PACKAGES = ("pipeline", "filters", "dedup")
# Builtins and functions that make a program of a text, and modules that do so for bytes or texts.
FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "system", "popen", "getoutput", "getstatusoutput",
    "create_subprocess_shell",
    "read_pickle", "unsafe_load", "full_load", "unsafe_load_all", "full_load_all", "extractall", "unpack_archive",
}  # fmt: skip
FORBIDDEN_MODULES = {
    "pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "jsonpickle", "jinja2",
    "mako", "django", "chameleon", "code", "codeop", "pty", "xmlrpc", "telnetlib", "ftplib",
}  # fmt: skip
# What is used all the same: file, name, and why no page's text can do harm there.
ALLOWED = {
    ("pipeline/rewriting/checks/examiner.py", "compile"): "runs in the sandbox of bubblewrap or unshare, nowhere else",
    ("pipeline/rewriting/checks/examiner.py", "exec"): "the same: running a program to see what it does is its purpose",
    ("pipeline/rewriting/code/__init__.py", "a text as a template"): "a method of a language's class, no string's",
    ("pipeline/rewriting/code/python_worker.py", "compile"): "in a confined child; what it makes is not run",
}  # fmt: skip
# Who may start a program, and which one: never by a shell, never one that a page names.
STARTS_PROGRAMS = {
    "pipeline/web/sandbox.py": "this Python with sandbox_child.py",
    "pipeline/rewriting/sandbox.py": "bubblewrap or unshare, with this Python",
    "pipeline/rewriting/children.py": "this Python with child.py",
    "pipeline/rewriting/code/tools.py": "ruff, prettier, gofmt, node by their paths; texts are files of made-up names",
}
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def _name(node: ast.expr) -> str:
    return getattr(node, "id", getattr(node, "attr", ""))


def findings(source: str) -> Iterator[tuple[str, int]]:
    """What a module uses of what is forbidden, with its line."""
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in FORBIDDEN_MODULES:
                    yield alias.name, line
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module.partition(".")[0] in FORBIDDEN_MODULES:
                yield node.module, line
            if node.module == "string" and any(alias.name in ("Template", "Formatter") for alias in node.names):
                yield "string.Template", line
            if node.module in ("os", "subprocess", "builtins", "yaml"):
                # Under another name they would not be seen below.
                yield from ((alias.name, line) for alias in node.names if alias.name in FORBIDDEN_CALLS | {"load"})
        elif isinstance(node, ast.Call):
            called, owner = _name(node.func), getattr(getattr(node.func, "value", None), "id", "")
            words = {word.arg: word.value for word in node.keywords}
            attribute = isinstance(node.func, ast.Attribute)
            if called in FORBIDDEN_CALLS and not (attribute and called in ("eval", "exec", "compile")):
                yield called, line
            if attribute and owner == "builtins":
                yield called, line
            if attribute and owner == "os" and called.startswith(("exec", "spawn", "posix_spawn")):
                yield f"os.{called}", line
            if owner == "yaml" and called in ("load", "load_all"):
                yield "yaml.load", line
            if "shell" in words and getattr(words["shell"], "value", True) is not False:
                yield "shell=True", line
            if owner == "subprocess" and node.args and isinstance(node.args[0], ast.Constant | ast.JoinedStr):
                yield "a command as one text", line
            if "allow_pickle" in words and getattr(words["allow_pickle"], "value", True) is not False:
                yield "allow_pickle", line
            if called == "load" and owner in ("np", "numpy") and "allow_pickle" not in words:
                yield "np.load without allow_pickle=False", line
            if attribute and called in ("format", "format_map") and not isinstance(node.func.value, ast.Constant):  # type: ignore[attr-defined]
                yield "a text as a template", line


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)", "exec(text)", "import pickle", "from pickle import loads", "import jinja2.sandbox",
        "os.system(x)", "os.popen(x)", "subprocess.run(x, shell=True)", "subprocess.run(x, shell=flag)",
        "subprocess.run('ls')",
        "subprocess.run(f'ls {x}')", "yaml.load(x, Loader=yaml.Loader)", "yaml.unsafe_load(x)", "os.execv(x, y)",
        "np.load(x)", "np.load(x, allow_pickle=True)", "text.format(page)", "from string import Template",
        "from os import system", "builtins.eval(x)", "archive.extractall()", "from yaml import load",
    ],
)  # fmt: skip
def test_the_search_finds(source: str) -> None:
    assert list(findings(source))


def test_no_code_makes_a_program_of_a_text() -> None:
    found = {
        (str(path.relative_to(ROOT)), name): line
        for path in FILES
        for name, line in findings(path.read_text(encoding="utf-8"))
    }
    assert found.keys() == ALLOWED.keys(), {key: found[key] for key in found.keys() - ALLOWED.keys()}


def test_programs_are_started_by_those_that_are_named() -> None:
    starting = {"subprocess", "multiprocessing", "pexpect", "asyncio.subprocess"}
    found = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            if starting & set(names):
                found.add(str(path.relative_to(ROOT)))
    assert found == STARTS_PROGRAMS.keys()


CANARY = "kamisuki-canary"


def _texts(canary: Path) -> list[str]:
    """What a page can say to be taken for a program by some reader of some language."""
    touch = f"touch {canary}"
    python = f"__import__('os').system('{touch}')"
    return [
        f"$({touch})", f"`{touch}`", f"; {touch} #", f"| {touch}", f"&& {touch}", f"\n{touch}\n", f"'; {touch}; '",
        f'"; {touch}; "', python, f"{{{{{python}}}}}", f"{{% {python} %}}", f"${{{python}}}", f"<% {python} %>",
        "{0.__class__.__init__.__globals__}", "%(canary)s %n %s", f"!!python/object/apply:os.system ['{touch}']",
        f"=HYPERLINK(\"{touch}\")", f"@import '{canary}'", f"<script>{touch}</script>",
    ]  # fmt: skip


class _Pickled:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, (self.command,)


# Notes every event of Python's own audit by which a text could become a program, while a whole run is made.
WATCHED_RUN = f"""
import json, sys
CANARY, FOUND, WATCHING = {CANARY!r}, [], [False]
ALWAYS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen", "pty.spawn",
          "socket.connect", "socket.getaddrinfo", "socket.sendto", "marshal.loads", "code.__new__")
QUIET = ("numba/core/caching.py", "numba/core/serialize.py", "importlib")

def by_trusted_code():
    frame, files = sys._getframe(2), []
    while frame:
        files.append(frame.f_code.co_filename)
        frame = frame.f_back
    return any(part in file for file in files for part in QUIET)

def note(event, given):
    if not WATCHING[0]:
        return
    if event in ("compile", "exec"):
        code = given[0]
        words = code if isinstance(code, (str, bytes)) else getattr(code, "co_consts", ())
        if CANARY in repr(words):
            FOUND.append([event, repr(given)[:200]])
    elif event in ALWAYS or event == "pickle.find_class":
        if not by_trusted_code():
            FOUND.append([event, repr(given)[:200]])

sys.addaudithook(note)
WATCHING[0] = True
from pipeline.cli import main
code = 0
try:
    main()
except SystemExit as stop:
    code = stop.code or 0
WATCHING[0] = False
sys.stderr.write("\\n" + json.dumps([code, FOUND]) + "\\n")
"""


def test_a_run_over_hostile_pages_starts_nothing_and_reads_nothing_as_code(tmp_path: Path) -> None:
    canary = tmp_path / CANARY
    texts = _texts(canary)
    pickled = pickle.dumps(_Pickled(f"touch {canary}")).decode("latin-1")
    captures = []
    for text in [*texts, pickled]:
        line = text.replace("\n", " ").replace("\0", "")
        attribute = line.replace('"', "&quot;")
        head = (
            f'<title>{text}</title><meta name=author content="{attribute}">'
            f'<meta property=og:site_name content="{attribute}">'
            f'<link rel=canonical href="http://example.jp/{attribute}"><link rel=license href="{attribute}">'
            f'<script type="application/ld+json">{json.dumps({"@type": "Article", "headline": text})}</script>'
        )  # fmt: skip
        more = f"X-Robots-Tag: {line}\r\nLink: <{line}>; rel=license" if line.isascii() else "X-Nothing: 1"
        captures.append(
            Capture(
                page(f"<h1>{text}</h1><p>{text}</p><pre>{text}</pre>", head),
                DOCUMENT,
                headers=f"Content-Type: text/html; charset={line[:40] if line.isascii() else 'utf-8'}\r\n{more}",
            )
        )
    path = tmp_path / f"$(touch {CANARY}).warc.gz"
    write(path, captures)
    run = [sys.executable, "-c", WATCHED_RUN, "run", "demo", "--workers", "0", "--out", str(tmp_path / "out")]
    done = subprocess.run([*run, "--input", str(path)], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    code, found = json.loads(done.stderr.rsplit("\n", 2)[1])
    assert (code, found) == (0, []), done.stderr
    assert not list(tmp_path.rglob(CANARY))
    funnel = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "funnel", "out", "--json"],
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, check=True,
    ).stdout  # fmt: skip
    documents = next(step for step in json.loads(funnel)["steps"] if step["name"] == "documents")
    # Most get as far as any page does.
    assert documents["pages"] >= len(texts) - 4


def test_the_watch_sees_what_it_is_for(tmp_path: Path) -> None:
    """The same audit over a `main` that does everything wrong."""
    wrong = (
        "import os, pickle, subprocess\n"
        f"eval('\"{CANARY}\"'); os.system('true'); subprocess.run('true')\n"
        "pickle.loads(b'cbuiltins\\nlen\\n.')\n"
    )
    watched = WATCHED_RUN.replace("from pipeline.cli import main", f"main = lambda: exec({wrong!r})")
    done = subprocess.run([sys.executable, "-c", watched], capture_output=True, text=True, check=True)
    seen = {event for event, _ in json.loads(done.stderr.rsplit("\n", 2)[1])[1]}
    assert {"compile", "exec", "os.system", "subprocess.Popen", "pickle.find_class"} <= seen
