"""Code: programming languages as plug-ins with a syntax check, a formatter, a lint score and a share of comments."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.rewriting.code.language import Definition, Formatted, Language, Lint, Syntax
from pipeline.rewriting.code.python import Python
from pipeline.rewriting.code.scripts import Go, JavaScript

__all__ = ["LANGUAGES", "Definition", "Formatted", "Language", "Lint", "Syntax", "format_texts", "tool_versions"]

LANGUAGES: dict[str, Language] = {language.name: language for language in (Python(), JavaScript(), Go())}


def format_texts(texts: Sequence[str], language: str) -> list[Formatted]:
    """Each text as the formatter of its language writes it. Raises KeyError for a language that is not in LANGUAGES."""
    return LANGUAGES[language].format(texts)


def tool_versions(language: str) -> dict[str, str | None]:
    """What decides the answers of a language's tools; empty for prose, which has none."""
    return LANGUAGES[language].versions() if language else {}
