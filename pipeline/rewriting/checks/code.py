"""Code: whether a rewrite parses, how its lint score moved, and whether others can still call what they called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from pipeline.rewriting.checks.check import FAILED, NO, PASSED, UNCHECKED, YES, BatchCheck, clean, listed
from pipeline.rewriting.checks.interfaces import compare
from pipeline.rewriting.code import LANGUAGES, Lint


def _syntax(sources: Sequence[str], answers: Sequence[str], language: str) -> list[tuple[Any, ...]]:
    if language not in LANGUAGES:
        return [(UNCHECKED, "no language")] * len(answers)
    return [(each.status, clean(each.detail)) for each in LANGUAGES[language].syntax(answers)]


def _lint_score(sources: Sequence[str], answers: Sequence[str], language: str) -> list[tuple[Any, ...]]:
    return [(each.with_penalty, each.score, each.comment_share) for each in _linted(answers, language)]


def _lint(sources: Sequence[str], answers: Sequence[str], language: str) -> list[tuple[Any, ...]]:
    found = _linted([*sources, *answers], language)
    rows = []
    for before, after in zip(found[: len(sources)], found[len(sources) :], strict=True):
        worse = UNCHECKED
        if before.score is not None and after.score is not None:
            worse = YES if after.score < before.score else NO
        rows.append((worse, before.score, after.score, before.messages, after.messages))
    return rows


def _linted(texts: Sequence[str], language: str) -> list[Lint]:
    """What linters say, each text asked about once."""
    if language not in LANGUAGES:
        return [Lint()] * len(texts)
    different = list(dict.fromkeys(texts))
    said = dict(zip(different, LANGUAGES[language].lint(different), strict=True))
    return [said[text] for text in texts]


def _interface(sources: Sequence[str], answers: Sequence[str], language: str) -> list[tuple[Any, ...]]:
    unchecked = (UNCHECKED, None, None, None, None, None, None)
    if language not in LANGUAGES:
        return [unchecked] * len(answers)
    tools = LANGUAGES[language]
    rows: list[tuple[Any, ...]] = []
    for before, after in zip(tools.interfaces(sources), tools.interfaces(answers), strict=True):
        if before is None or after is None:
            rows.append(unchecked)
            continue
        found = compare(before, after)
        renamed = [f"{old} -> {new}" for old, new in found.renamed.items()]
        kept = FAILED if found.dropped or found.arity_changed else PASSED
        lists = (listed(renamed), listed([*found.dropped, *found.arity_changed]))
        rows.append((kept, len(renamed), len(found.dropped), len(found.arity_changed), len(found.added), *lists))
    return rows


def versions() -> dict[str, Any]:
    """The versions of all languages' tools."""
    return {name: language.versions() for name, language in LANGUAGES.items()}


CODE_SYNTAX = BatchCheck(
    "code_syntax", {"syntax": pa.string(), "syntax_detail": pa.string()}, _syntax, versions=versions
)
CODE_LINT_SCORE = BatchCheck(
    "code_lint_score",
    {name: pa.float64() for name in ("lint_score", "lint_score_plain", "comment_share")},
    _lint_score,
    versions=versions,
)
CODE_LINT = BatchCheck(
    "code_lint",
    {
        "lint_worse": pa.string(),
        "lint_before": pa.float64(),
        "lint_after": pa.float64(),
        "lint_messages_before": pa.int64(),
        "lint_messages_after": pa.int64(),
    },
    _lint,
    versions=versions,
)
CODE_INTERFACE = BatchCheck(
    "code_interface",
    {
        "interface_kept": pa.string(),
        "renamed": pa.int64(),
        "dropped_functions": pa.int64(),
        "arity_changed": pa.int64(),
        "added_functions": pa.int64(),
        "renamed_list": pa.string(),
        "dropped_list": pa.string(),
    },
    _interface,
    versions=versions,
)
