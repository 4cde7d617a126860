"""Fences: the fenced blocks of a text in Markdown, also where what they hold has fences of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

# CommonMark 0.31, 4.5: three or more of one mark, behind up to three spaces; no backtick in the words behind backticks.
_OPENING = re.compile(r" {0,3}(?P<mark>`{3,}|~{3,})[ \t]*(?P<words>.*)")
_ANYWHERE = re.compile(r"[ \t]*(?P<mark>`{3,}|~{3,})[ \t]*(?P<words>.*)")
_PYTHON = frozenset(("", "python", "python3", "py", "pycon"))
_SLASH_COMMENTS = frozenset(
    (
        "javascript",
        "js",
        "jsx",
        "typescript",
        "ts",
        "tsx",
        "go",
        "golang",
        "c",
        "cpp",
        "c++",
        "java",
        "rust",
        "rs",
        "cuda",
    )
)
# What begins or ends a string of Python, a comment, or hides the mark behind it.
_PYTHON_MARKS = re.compile(r"\\.|\"\"\"|'''|\"|'|#", re.DOTALL)
_COMMENT_MARKS = re.compile(r"/\*|\*/|//")


class Block(NamedTuple):
    """A fenced block: the first word behind its fence in lower case, and the lines inside."""

    language: str
    text: str


def fenced_blocks(text: str) -> list[Block]:
    """The fenced blocks of a text, in order, not those inside others.

    A block ends at the first line that is nothing but a fence of its own mark, at least as long, and that does not
    stand inside a string in three quotes (Python, or no language) or inside /* */ (languages that have these). Where
    there is none, and in other languages, as Markdown itself, fences with a word begin inner blocks and bare ones end
    them; so they do behind a block whose strings or comments do not end, so that the work is linear. A block that does
    not end goes to the end of the text.
    """
    lines = text.split("\n")
    blocks: list[Block] = []
    place, sound = 0, True
    while place < len(lines):
        opening = _OPENING.fullmatch(lines[place].rstrip("\r"))
        place += 1
        if opening is None or (opening["mark"][0] == "`" and "`" in opening["words"]):
            continue
        mark, words = opening["mark"], opening["words"].split()
        language = words[0].lower().strip("{}.") if words else ""
        end = _end_outside(lines, place, mark, language) if sound else None
        if end is None:
            sound = language not in _PYTHON | _SLASH_COMMENTS and sound
            end = _end_by_depth(lines, place, mark)
        blocks.append(Block(language, "\n".join(lines[place:end])))
        place = end + 1
    return blocks


def _end_outside(lines: list[str], start: int, mark: str, language: str) -> int | None:
    """The place of the first line that ends the block begun before `start`, outside of its strings and comments."""
    outside: Callable[[list[str], int], Iterator[bool]]
    if language in _PYTHON:
        outside = _outside_strings
    elif language in _SLASH_COMMENTS:
        outside = _outside_comments
    else:
        return None
    free = zip(range(start, len(lines)), outside(lines, start))
    return next((place for place, is_free in free if is_free and _ends(lines[place], mark)), None)


def _end_by_depth(lines: list[str], start: int, mark: str) -> int:
    """The place of the line that ends the block begun before `start` as fences nest, or the number of lines."""
    depth, last = 1, len(lines)
    for place in range(start, len(lines)):
        inner = _ANYWHERE.fullmatch(lines[place].rstrip("\r"))
        if inner is None or inner["mark"][0] != mark[0] or len(inner["mark"]) < len(mark):
            continue
        if inner["words"].strip():
            depth += "`" not in inner["words"]
            continue
        depth -= 1
        last = place if _ends(lines[place], mark) else last
        if depth == 0:
            return place
    return last


def _ends(line: str, mark: str) -> bool:
    """Whether a line is a fence that ends a block begun with `mark`."""
    fence = _OPENING.fullmatch(line.rstrip("\r"))
    return (
        fence is not None
        and not fence["words"].strip()
        and fence["mark"][0] == mark[0]
        and len(fence["mark"]) >= len(mark)
    )


def _outside_strings(lines: list[str], start: int) -> Iterator[bool]:
    """For each line from `start`, whether it begins outside of Python's strings in three quotes."""
    quotes = ""
    for place in range(start, len(lines)):
        yield not quotes
        short = ""
        for found in _PYTHON_MARKS.finditer(lines[place]):
            sign = found[0]
            if quotes:
                quotes = "" if sign == quotes else quotes
            elif short:
                short = "" if sign == short else short
            elif sign == "#":
                break
            elif len(sign) == 3:
                quotes = sign
            elif sign in "\"'":
                short = sign


def _outside_comments(lines: list[str], start: int) -> Iterator[bool]:
    """For each line from `start`, whether it begins outside of comments between /* and */."""
    inside = False
    for place in range(start, len(lines)):
        yield not inside
        for found in _COMMENT_MARKS.finditer(lines[place]):
            if inside:
                inside = found[0] != "*/"
            elif found[0] == "/*":
                inside = True
            elif found[0] == "//":
                break
