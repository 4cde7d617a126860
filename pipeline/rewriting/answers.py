"""Answers: what a model wrote, read as what its prompt asked for; an answer that is not that has a reason."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any, Literal, TypeGuard

from pipeline.rewriting.client import read_json
from pipeline.rewriting.deletions import BadProgram, apply_program, read_program
from pipeline.rewriting.fences import fenced_blocks
from pipeline.rewriting.strings import whole

Kind = Literal["text", "code", "score", "pairs", "deletions"]

# Reasons of answers that are not what was asked.
NO_CODE, NO_SCORE, NO_PAIRS, NO_PROGRAM, NO_MARKER, UNFINISHED_THOUGHT, EMPTY = (
    "answer_without_code",
    "answer_without_score",
    "answer_without_pairs",
    "answer_without_program",
    "answer_without_marker",
    "answer_with_unfinished_thought",
    "empty_answer",
)
REASONS = (NO_CODE, NO_SCORE, NO_PAIRS, NO_PROGRAM, NO_MARKER, UNFINISHED_THOUGHT, EMPTY)

_THOUGHT_ENDS = "</think>"
_SCORE = re.compile(r"\[\[\s*(-?\d+(?:\.\d+)?)\s*\]\]")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Parsed:
    """What an answer says: a text, or None where the document's stays; a score with its reasons; messages of a chat.

    `reason` is None where the answer is what was asked for.
    """

    text: str | None = None
    score: float | None = None
    note: str | None = None
    messages: list[dict[str, str]] = field(default_factory=list)
    reason: str | None = None


def without_thought(answer: str) -> str | None:
    """The answer behind what a model thought aloud; None where a thought does not end."""
    if _THOUGHT_ENDS in answer:
        answer = answer.rpartition(_THOUGHT_ENDS)[2]
    elif "<think>" in answer:
        return None
    return answer.strip()


def parse_answer(answer: str, kind: Kind, source: str, marker: str | None = None) -> Parsed:
    """Read an answer as `kind`; `source` is the text that was asked about, `marker` what the answer begins behind."""
    said = without_thought(answer)
    if said is None:
        return Parsed(reason=UNFINISHED_THOUGHT)
    if marker is not None:
        _, found, said = said.partition(marker)
        if not found:
            return Parsed(reason=NO_MARKER)
        said = said.strip()
    if not said:
        return Parsed(reason=EMPTY)
    if kind == "code":
        return _code(said, marker is not None)
    if kind == "score":
        return _score(said)
    if kind == "pairs":
        return _pairs(said)
    if kind == "deletions":
        try:
            left = apply_program(source, read_program(said))
        except BadProgram as error:
            return Parsed(reason=NO_PROGRAM, note=str(error))
        return Parsed(text=left)
    return Parsed(text=said)


def _code(said: str, plain_counts: bool) -> Parsed:
    blocks = fenced_blocks(said)
    if blocks:
        # Behind suggestions with small examples, the improved code is the longest block.
        return Parsed(text=max((block.text for block in blocks), key=len).strip("\n") + "\n")
    return Parsed(text=said + "\n") if plain_counts else Parsed(reason=NO_CODE)


def _score(said: str) -> Parsed:
    """[[4.5]], or {"score": 4.5, "reasons": "…"}."""
    record = _json(said)
    found = _finite(record.get("score")) if isinstance(record, dict) else None
    if found is not None:
        note = record.get("reasons")
        note = note if isinstance(note, str) else json.dumps(note, ensure_ascii=False) if note is not None else None
        return Parsed(score=found, note=None if note is None else whole(note))
    marked = _SCORE.findall(said)
    plain = marked[-1] if marked else said if _NUMBER.fullmatch(said) else None
    found = None if plain is None else _finite(float(plain))
    return Parsed(reason=NO_SCORE) if found is None else Parsed(score=found, note=said)


def _pairs(said: str) -> Parsed:
    """{"pairs": [{"question": "…", "answer": "…"}]}: a chat, and the same as text."""
    record = _json(said)
    pairs = record.get("pairs") if isinstance(record, dict) else record
    messages: list[dict[str, str]] = []
    texts = []
    for pair in pairs if isinstance(pairs, list) else []:
        question, answer = (pair.get(name) if isinstance(pair, dict) else None for name in ("question", "answer"))
        if _is_text(question) and _is_text(answer):
            messages += [
                {"role": "user", "content": question.strip()},
                {"role": "assistant", "content": answer.strip()},
            ]
            texts.append(f"{question.strip()}\n{answer.strip()}")
    return Parsed(text="\n\n".join(texts), messages=messages) if messages else Parsed(reason=NO_PAIRS)


def _json(said: str) -> Any:
    """The JSON value in an answer, None where there is none."""
    try:
        return read_json(said)
    except ValueError:
        return None


def _finite(value: Any) -> float | None:
    """A number as a finite float; None for what is none, for NaN, and for what no float holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _is_text(value: Any) -> TypeGuard[str]:
    """Whether a value of JSON is a text that is not blank; half a surrogate pair, which JSON can escape, is no text."""
    return isinstance(value, str) and bool(value.strip()) and whole(value) == value
