"""Data in Markdown and YAML: whatever it holds, it stays data, is shown whole, and can be read back exactly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

from pipeline.wording import is_seen, visible

# Letters and digits of ASCII, and signs that mean nothing inside a line of CommonMark or of GitHub's tables.
_PLAIN_SIGNS = frozenset(" .,-/()+=%")
# Names that a span of code holds without anything to escape.
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.+-]*[A-Za-z0-9_+])?")
# Strings that YAML 1.1 and 1.2 both read as strings where they stand unquoted; PyYAML quotes `no`, `null` and such.
_UNQUOTED = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:[ ./<-][A-Za-z0-9_]+)*")


def plain(text: str) -> str:
    """A text as Markdown that shows `visible(text)`, inside a line of a paragraph or a cell of a table.

    Signs become character references, which CommonMark never takes for structure, where a backslash before a pipe is
    read differently by different programs.
    """
    shown = visible(text)
    pieces = []
    for place, character in enumerate(shown):
        before, after = shown[place - 1 : place], shown[place + 1 : place + 2]
        if character == " ":
            bare = bool(before.strip() and after.strip())
        elif character == "_":
            bare = (before + after).isalnum() and len(before + after) == 2 and (before + after).isascii()
        elif character == ".":
            # `www.` begins a link by itself in GitHub's Markdown.
            bare = not shown[:place].lower().endswith("www")
        else:
            bare = character in _PLAIN_SIGNS or character.isalnum() or ord(character) > 0x7F
        pieces.append(character if bare else f"&#{ord(character)};")
    return "".join(pieces)


def name(text: str) -> str:
    """A name as a span of code where it is a simple one, else as text."""
    return f"`{text}`" if _NAME.fullmatch(text) else plain(text)


def heading(level: int, text: str) -> str:
    """A heading of this level."""
    return f"{'#' * level} {plain(text)}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of GitHub's Markdown; cells are Markdown already. Columns whose cells are all numbers stand right."""
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in header]
    rulers = ["--:" if cells and all(map(_is_number, cells)) else "---" for cells in columns]
    lines = [header, rulers, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"−?[\d,]*(?:\.\d+)?(?: %)?", cell) is not None


def number(count: int | None, removed: bool = False) -> str:
    """A count with commas, with a minus sign where it was taken away; empty for None."""
    return "" if count is None else f"{'−' if removed and count else ''}{count:,}"


def fence(content: str, language: str) -> str:
    """A block of code whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall("`+", content)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{content.rstrip(chr(10))}\n{ticks}"


class _Dumper(yaml.SafeDumper):
    """Writes strings so that every reader of YAML finds them: what is not a simple word is quoted, on one line."""

    def ignore_aliases(self, data: Any) -> bool:
        """A list that stands in two places is written twice: not every reader of YAML knows anchors."""
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if _UNQUOTED.fullmatch(text) else '"')


_Dumper.add_representer(str, _string)


def yaml_text(data: Any) -> str:
    """Values of JSON as YAML of one line a scalar, in their order, with escapes for all that is not seen."""
    options: dict[str, Any] = {"Dumper": _Dumper, "sort_keys": False, "width": float("inf")}
    text: str = yaml.dump(data, allow_unicode=True, **options)
    if all(is_seen(character) for character in text if character != "\n"):
        return text
    escaped: str = yaml.dump(data, allow_unicode=False, **options)
    return escaped
