"""Chunks: a text that is too long for a prompt is cut where its structure allows it, and answers are joined again."""

from __future__ import annotations

import ast
import re

_HEADING = re.compile(r"^(#{1,6} |第[0-9０-９一二三四五六七八九十百]+[章節部])")


def chunks(text: str, most: int, at: str) -> list[str] | None:
    """Parts of at most `most` characters that give the text when put together; None where one part cannot be short.

    `at` is "paragraphs" (empty lines, then lines, then ends of sentences) or "definitions" (top-level statements of
    Python).
    """
    if len(text) <= most:
        return [text]
    pieces = _definitions(text) if at == "definitions" else _paragraphs(text, most)
    if pieces is None or any(len(piece) > most for piece in pieces):
        return None
    return _packed(pieces, most)


def _packed(pieces: list[str], most: int) -> list[str]:
    """Neighbours put together while they fit; a heading begins a part where the one before it is half full."""
    parts = [pieces[0]]
    for piece in pieces[1:]:
        begins = _HEADING.match(piece) is not None and 2 * len(parts[-1]) >= most
        if begins or len(parts[-1]) + len(piece) > most:
            parts.append(piece)
        else:
            parts[-1] += piece
    return parts


def _paragraphs(text: str, most: int) -> list[str]:
    pieces = re.split(r"(?<=\n\n)(?=[^\n])", text)
    for separator in (r"(?<=\n)", r"(?<=[。．！？!?])"):
        pieces = [
            part
            for piece in pieces
            for part in ([piece] if len(piece) <= most else [cut for cut in re.split(separator, piece) if cut])
        ]
    return pieces


def _definitions(text: str) -> list[str] | None:
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    # As Python counts lines: str.splitlines also cuts at form feeds, which old sources hold.
    lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)
    begins = [min([each.lineno, *(d.lineno for d in getattr(each, "decorator_list", []))]) - 1 for each in statements]
    # Comments above a definition go with it.
    cuts = [0]
    for begin in begins[1:]:
        while begin > cuts[-1] + 1 and lines[begin - 1].lstrip().startswith("#"):
            begin -= 1
        if begin > cuts[-1]:
            cuts.append(begin)
    return ["".join(lines[first:last]) for first, last in zip(cuts, [*cuts[1:], len(lines)], strict=True)]
