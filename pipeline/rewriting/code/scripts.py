"""JavaScript and Go with the checkers and formatters that are installed; none is a must."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

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
from pipeline.rewriting.code.tools import Ran, find_tool, run_on_files, tool_version

_HERE = Path(__file__).parent
_SECONDS, _MEMORY_BYTES = 10.0, 1 << 30


class JavaScript:
    """JavaScript: node compiles it as a CommonJS or an ES module; prettier formats it."""

    name = "javascript"

    def versions(self) -> dict[str, str | None]:
        """Versions of node and prettier."""
        tools = {name: tool_version(name, "--version") for name in ("node", "prettier")}
        return {"rule_version": "1", **tools}

    def syntax(self, texts: Sequence[str]) -> list[Syntax]:
        """Passed where node compiles the text, which it does not run."""
        node = find_tool("node")
        if node is None:
            return [Syntax("unchecked", "node is not installed")] * len(texts)
        command = [node, "--experimental-vm-modules", "--no-warnings", str(_HERE.resolve() / "javascript_worker.mjs")]
        return [_node_says(ran) for ran in run_on_files(texts, ".js", lambda names: [*command, *names])]

    def format(self, texts: Sequence[str]) -> list[Formatted]:
        """`prettier` with its defaults."""
        prettier = find_tool("prettier")
        if prettier is None:
            return [Formatted(None, FORMATTER_MISSING, "prettier is not installed")] * len(texts)
        command = [prettier, "--write", "--no-config", "--no-editorconfig", "--log-level", "error"]
        return [_formatted(ran) for ran in run_on_files(texts, ".js", lambda names: [*command, *names])]

    def lint(self, texts: Sequence[str]) -> list[Lint]:
        """The share of comment tokens; no linter."""
        return _comment_shares(self.name, texts)

    def interfaces(self, texts: Sequence[str]) -> list[list[Definition] | None]:
        """None: no tool tells."""
        return [None] * len(texts)


class Go:
    """Go: gofmt parses and formats it."""

    name = "go"

    def versions(self) -> dict[str, str | None]:
        """The version of Go; gofmt has none of its own."""
        return {"rule_version": "1", "go": tool_version("go", "version"), "gofmt": find_tool("gofmt") and "installed"}

    def syntax(self, texts: Sequence[str]) -> list[Syntax]:
        """Passed where gofmt parses the text."""
        gofmt = find_tool("gofmt")
        if gofmt is None:
            return [Syntax("unchecked", "gofmt is not installed")] * len(texts)
        found = run_on_files(texts, ".go", lambda names: [gofmt, "-e", "-l", *names])
        return [Syntax("failed", ran.error) if ran.error else Syntax("passed") for ran in found]

    def format(self, texts: Sequence[str]) -> list[Formatted]:
        """`gofmt`."""
        gofmt = find_tool("gofmt")
        if gofmt is None:
            return [Formatted(None, FORMATTER_MISSING, "gofmt is not installed")] * len(texts)
        return [_formatted(ran) for ran in run_on_files(texts, ".go", lambda names: [gofmt, "-w", *names])]

    def lint(self, texts: Sequence[str]) -> list[Lint]:
        """The share of comment tokens; no linter."""
        return _comment_shares(self.name, texts)

    def interfaces(self, texts: Sequence[str]) -> list[list[Definition] | None]:
        """None: no tool tells."""
        return [None] * len(texts)


def _node_says(ran: Ran) -> Syntax:
    if ran.text is None:
        return Syntax("failed", ran.error)
    for line in ran.output.split("\n"):
        if line.startswith(f'["{ran.name}",'):
            error = json.loads(line)[1]
            return Syntax("failed", error) if error else Syntax("passed")
    return Syntax("unchecked", "node did not answer")


def _formatted(ran: Ran) -> Formatted:
    if ran.text is not None and ran.error is None:
        return Formatted(ran.text)
    died = ran.text is None and ran.name != ""
    return Formatted(None, FORMATTER_FAILED if died else SYNTAX_ERROR, ran.error)


def _comment_shares(language: str, texts: Sequence[str]) -> list[Lint]:
    found = work_in_children(
        _HERE / "script_worker.py",
        [[language, text] for text in texts],
        seconds=_SECONDS,
        memory_bytes=_MEMORY_BYTES,
    )
    return [Lint(comment_share=None if isinstance(share, Failed) else share) for share in found]
