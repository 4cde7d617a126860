"""Language: what a programming language's tools say about texts. Every one may be missing: then nothing is passed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Status = Literal["passed", "failed", "unchecked"]

SYNTAX_ERROR, FORMATTER_MISSING, FORMATTER_FAILED = "syntax_error", "formatter_missing", "formatter_failed"


@dataclass(frozen=True)
class Syntax:
    """Whether a text is a program of the language, and what is wrong or what is missing to know it."""

    status: Status
    detail: str | None = None


@dataclass(frozen=True)
class Formatted:
    """The formatted text, or None with a reason: syntax_error, formatter_missing or formatter_failed."""

    text: str | None
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Lint:
    """A linter's findings; None where no linter says it.

    `score` is from 0 to 10; `comment_share` is of comment tokens among all tokens; `messages` counts the findings of
    a second linter, where there is one.
    """

    score: float | None = None
    comment_share: float | None = None
    messages: int | None = None

    @property
    def with_penalty(self) -> float | None:
        """The score times the share of tokens that are no comment, as SwallowCode v1 limits it."""
        if self.score is None or self.comment_share is None:
            return None
        return self.score * (1 - self.comment_share)


@dataclass(frozen=True)
class Definition:
    """A public function or class: its dotted name, parameters, positional arguments (most -1: any), and structure."""

    name: str
    kind: str
    parameters: str
    least: int
    most: int
    shape: str


class Language(Protocol):
    """The tools of a language. Each answers for every text of a batch, in order, and raises for none."""

    name: str

    def versions(self) -> dict[str, str | None]:
        """The versions of the tools, None for one that is missing: what decides the answers."""

    def syntax(self, texts: Sequence[str]) -> list[Syntax]:
        """Whether each text parses."""

    def format(self, texts: Sequence[str]) -> list[Formatted]:
        """Each text as the formatter writes it."""

    def lint(self, texts: Sequence[str]) -> list[Lint]:
        """What linters say of each text."""

    def interfaces(self, texts: Sequence[str]) -> list[list[Definition] | None]:
        """What each text defines for others, in order; None where it does not parse or no tool tells."""
