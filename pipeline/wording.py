"""Words for people: numbers with their nouns, and text of anybody's that a terminal does not obey."""

from __future__ import annotations

import unicodedata

_SHORT_ESCAPES = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\\": "\\\\"}


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number of things with their noun, which takes an s where `many` does not say otherwise: 1 row, 2,000 rows."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def is_seen(character: str) -> bool:
    """Whether a character shows itself and moves no other: no control, format, private or unassigned one, no space
    but the plain one, no line separator."""
    return character == " " or unicodedata.category(character)[0] not in "CZ"


def visible(text: str) -> str:
    r"""A text with what is not seen as Python's escapes (\n, \u202e); a backslash is doubled, so that it reads back."""
    return "".join(character if character != "\\" and is_seen(character) else _escape(character) for character in text)


def visible_lines(text: str) -> str:
    """A text of several lines with what is not seen as Python's escapes; its backslashes stay as they are."""
    return "".join(character if character == "\n" or is_seen(character) else _escape(character) for character in text)


def _escape(character: str) -> str:
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
