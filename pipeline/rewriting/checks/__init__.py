"""Checks of what a model wrote, by name. Each is a few columns with a documented meaning; rules decide by them."""

from __future__ import annotations

from pipeline.rewriting.checks.behaviour import CODE_BEHAVIOUR
from pipeline.rewriting.checks.check import Check
from pipeline.rewriting.checks.code import CODE_INTERFACE, CODE_LINT, CODE_LINT_SCORE, CODE_SYNTAX
from pipeline.rewriting.checks.length import LANGUAGE, LENGTH
from pipeline.rewriting.checks.mathematics import MATH_ANSWER, MATH_LATEX
from pipeline.rewriting.checks.names import NAMES
from pipeline.rewriting.checks.numbers import NUMBERS
from pipeline.rewriting.checks.preamble import PREAMBLE
from pipeline.rewriting.checks.repetition import REPETITION
from pipeline.rewriting.checks.similarity import DELETION_ONLY, SIMILARITY

__all__ = ["CHECKS", "Check"]

_ALL: tuple[Check, ...] = (
    CODE_SYNTAX,
    CODE_LINT_SCORE,
    CODE_LINT,
    CODE_INTERFACE,
    CODE_BEHAVIOUR,
    MATH_ANSWER,
    MATH_LATEX,
    LENGTH,
    LANGUAGE,
    REPETITION,
    PREAMBLE,
    NUMBERS,
    NAMES,
    SIMILARITY,
    DELETION_ONLY,
)
CHECKS: dict[str, Check] = {check.name: check for check in _ALL}
