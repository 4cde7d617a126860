"""Strings that tables, caches and pages can hold."""

from __future__ import annotations


def whole(text: str) -> str:
    """The text with ? for each half of a surrogate pair, which JSON can escape and UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()
