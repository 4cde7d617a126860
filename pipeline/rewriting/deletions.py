"""Deletions: an edit program that can only take text away, in the manner of RefineX (deletion-only edits)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.rewriting.client import read_json


class BadProgram(ValueError):
    """A program that cannot be read, or that names what the text does not have."""


@dataclass(frozen=True)
class Deletion:
    """Lines first to last (from 1, both inside) go; with `words`, only these words of line `first` do."""

    first: int
    last: int
    words: str | None = None


def numbered(text: str) -> str:
    """The text as a prompt shows it: each line behind its number."""
    return "\n".join(f"{number}: {line}" for number, line in enumerate(text.split("\n"), 1))


def read_program(answer: str) -> list[Deletion]:
    """A program out of a model's answer: {"delete": [{"lines": [3, 5]}, {"line": 7, "words": "…"}]}.

    Raises BadProgram.
    """
    try:
        return [_deletion(item) for item in read_json(answer)["delete"]]
    except (ValueError, TypeError, KeyError) as error:
        raise BadProgram(f"no program: {error}") from None


def _deletion(item: Any) -> Deletion:
    if "words" in item:
        line = _number(item["line"])
        words = str(item["words"])
        if not words:
            raise ValueError("no words")
        return Deletion(line, line, words)
    if "line" in item:
        line = _number(item["line"])
        return Deletion(line, line)
    first, last = item["lines"]
    return Deletion(_number(first), _number(last))


def _number(value: Any) -> int:
    """The number of a line. Raises TypeError for anything else: half a line names none."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no line")
    return value


def apply_program(text: str, program: list[Deletion]) -> str:
    """The text without what the program deletes: a subsequence of it, always.

    Raises BadProgram where it names lines or words that are not there.
    """
    lines = text.split("\n")
    kept: list[str | None] = list(lines)
    for deletion in program:
        if not 1 <= deletion.first <= deletion.last <= len(lines):
            raise BadProgram(f"lines {deletion.first} to {deletion.last} of {len(lines)}")
        if deletion.words is None:
            kept[deletion.first - 1 : deletion.last] = [None] * (deletion.last - deletion.first + 1)
            continue
        line = kept[deletion.first - 1]
        if line is None:
            continue
        before, found, after = line.partition(deletion.words)
        if not found:
            raise BadProgram(f"line {deletion.first} has no {deletion.words[:40]!r}")
        kept[deletion.first - 1] = before + after
    return "\n".join(line for line in kept if line is not None)
