"""Prompts: one readable file each in configs/prompts, named with its version; its digest is part of what it made."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.shipped import configs_folder, find_shipped

_HEADING = re.compile(r"^=== (system|user|assistant)$", re.MULTILINE)
# What a prompt may leave open. A text may hold braces of its own: only these are filled in, once each.
_PLACES = re.compile(r"\{(text|title|url)\}")


@dataclass(frozen=True)
class Prompt:
    """Messages with places for a document: `name` carries the version, `digest` is SHA-256 of the file."""

    name: str
    digest: str
    messages: tuple[tuple[str, str], ...]

    def fill(self, text: str, title: str | None = None, url: str | None = None) -> list[dict[str, str]]:
        """The messages for one document, as the chat API takes them."""
        values = {"text": text, "title": title or "", "url": url or ""}
        return [
            {"role": role, "content": _PLACES.sub(lambda match: values[match[1]], content)}
            for role, content in self.messages
        ]

    @property
    def characters(self) -> int:
        """Characters of all messages without a document."""
        return sum(len(_PLACES.sub("", content)) for _, content in self.messages)


def find_prompt(name_or_path: str) -> Prompt:
    """A prompt by path, else by the name of a shipped one. Raises UsageError with the names that there are."""
    path = find_shipped(name_or_path, sorted((configs_folder() / "prompts").glob("*.txt")), "prompt")
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _read(path: Path, _modified: int) -> Prompt:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: a prompt is UTF-8: {error.reason} at byte {error.start}") from None
    head, *parts = _HEADING.split(text)
    pairs = list(zip(parts[::2], (part.strip("\n") for part in parts[1::2]), strict=True))
    if head.strip() or not pairs or pairs[-1][0] != "user":
        raise UsageError(
            f"{path}: a prompt has parts that begin with === system, === user or === assistant; last a user's"
        )
    if sum(content.count("{text}") for _, content in pairs) == 0:
        raise UsageError(f"{path}: the prompt has no place for the document: write {{text}} where it goes")
    return Prompt(path.stem, hashlib.sha256(content).hexdigest(), tuple(pairs))
