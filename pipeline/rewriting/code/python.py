"""Python: compile() and tokenize in a child, ruff, and pylint's score as SwallowCode v1 takes it."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipeline.rewriting.children import Failed, work_in_children
from pipeline.rewriting.code.language import (
    FORMATTER_FAILED,
    FORMATTER_MISSING,
    SYNTAX_ERROR,
    Definition,
    Formatted,
    Lint,
    Syntax,
)
from pipeline.rewriting.code.tools import find_tool, run_on_files

_HERE = Path(__file__).parent
_PARSE_SECONDS, _PARSE_BYTES = 10.0, 1 << 30
_LINT_SECONDS, _LINT_BYTES = 60.0, 2 << 30
# ruff's default rules: errors of style that confuse, and Pyflakes.
_RUFF_RULES = "E4,E7,E9,F"


class Python:
    """Python in the version that runs this."""

    name = "python"

    def versions(self) -> dict[str, str | None]:
        """Python's version without its patch level, and those of ruff and pylint."""
        major, minor, _ = platform.python_version_tuple()
        tools = {name: _version(name) for name in ("astroid", "pylint", "ruff")}
        return {"rule_version": "1", "python": f"{major}.{minor}", **tools}

    def syntax(self, texts: Sequence[str]) -> list[Syntax]:
        """Passed where compile() takes the text."""
        return [
            Syntax("failed", read.detail)
            if isinstance(read, Failed)
            else Syntax("failed", read["error"])
            if read["error"]
            else Syntax("passed")
            for read in _read(texts)
        ]

    def format(self, texts: Sequence[str]) -> list[Formatted]:
        """`ruff format` with its defaults."""
        ruff = find_tool("ruff")
        if ruff is None:
            return [Formatted(None, FORMATTER_MISSING, "ruff is not installed")] * len(texts)
        command = [ruff, "format", "--isolated", "--no-cache"]
        answers = []
        for ran in run_on_files(texts, ".py", lambda names: [*command, *names]):
            if ran.error is None and ran.text is not None:
                answers.append(Formatted(ran.text))
            else:
                unparsed = "Failed to parse" in (ran.error or "") or "Unicode" in (ran.error or "")
                answers.append(Formatted(None, SYNTAX_ERROR if unparsed else FORMATTER_FAILED, ran.error))
        return answers

    def lint(self, texts: Sequence[str]) -> list[Lint]:
        """pylint's score, the share of comment tokens, and the count of what ruff's default rules find."""
        read = _read(texts)
        shares = [None if isinstance(each, Failed) else each["comment_share"] for each in read]
        scores = [None] * len(texts)
        if _version("pylint"):
            found = work_in_children(_HERE / "pylint_worker.py", texts, seconds=_LINT_SECONDS, memory_bytes=_LINT_BYTES)
            scores = [None if isinstance(each, Failed) else each["score"] for each in found]
        return [
            Lint(score, share, messages)
            for score, share, messages in zip(scores, shares, _ruff_messages(texts), strict=True)
        ]

    def interfaces(self, texts: Sequence[str]) -> list[list[Definition] | None]:
        """Public functions, methods and classes."""
        return [
            None
            if isinstance(read, Failed) or read["public"] is None
            else [Definition(*entry) for entry in read["public"]]
            for read in _read(texts)
        ]


def _read(texts: Sequence[str]) -> list[Any]:
    return work_in_children(_HERE / "python_worker.py", texts, seconds=_PARSE_SECONDS, memory_bytes=_PARSE_BYTES)


def _ruff_messages(texts: Sequence[str]) -> list[int | None]:
    """For each text the number of ruff's findings, `noqa` or not."""
    ruff = find_tool("ruff")
    if ruff is None:
        return [None] * len(texts)
    command = [ruff, "check", "--isolated", "--no-cache", "--exit-zero", "--quiet", "--ignore-noqa"]
    command += ["--output-format", "json", "--select", _RUFF_RULES]
    counts: dict[str, Counter[str]] = {}
    answers: list[int | None] = []
    for ran in run_on_files(texts, ".py", lambda names: [*command, *names]):
        if ran.text is None or not ran.output:
            answers.append(None)
            continue
        if ran.output not in counts:
            counts[ran.output] = Counter(Path(message["filename"]).name for message in json.loads(ran.output))
        answers.append(counts[ran.output][ran.name])
    return answers


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
