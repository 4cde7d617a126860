"""Asking: rows to requests, answers to what they say, chunks of one row put together again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.rewriting.answers import parse_answer
from pipeline.rewriting.chunks import chunks
from pipeline.rewriting.client import Answer, Request, request_key
from pipeline.rewriting.deletions import numbered
from pipeline.rewriting.prompts import Prompt
from pipeline.rewriting.recipe import Ask

TOO_LONG = "text_too_long"
ANSWER_CUT = "answer_cut"


@dataclass
class Question:
    """A row that is asked about: its text, title and URL, and the requests for its parts."""

    text: str
    title: str | None
    url: str | None
    requests: list[Request] = field(default_factory=list)
    reason: str | None = None


def make_question(
    ask: Ask, prompt: Prompt, model: str, text: str, title: str | None, url: str | None, attempt: int
) -> Question:
    """The requests for one row; the seed counts up with the attempt, so that another answer can come."""
    question = Question(text, title, url)
    parts = chunks(text, ask.chunk.characters, ask.chunk.at) if ask.chunk.at != "never" else [text]
    if parts is None or (ask.chunk.at == "never" and len(text) > ask.chunk.characters):
        question.reason = TOO_LONG
        return question
    for part in parts:
        payload = payload_of(ask, prompt, model, numbered(part) if ask.numbered else part, title, url, attempt)
        question.requests.append(Request(request_key(payload), payload))
    return question


def parameters_of(ask: Ask, attempt: int) -> dict[str, Any]:
    """How the model is asked for the n-th time, from 1: with another seed, and never greedily again."""
    parameters = ask.parameters.model_dump()
    parameters["seed"] += attempt - 1
    # A model that writes greedily would write the same again.
    if attempt > 1 and parameters["temperature"] == 0.0:
        parameters["temperature"] = 0.2
    return parameters


def payload_of(
    ask: Ask, prompt: Prompt, model: str, text: str, title: str | None, url: str | None, attempt: int
) -> dict[str, Any]:
    """The body of one request to /v1/chat/completions."""
    payload = {"model": model, "messages": prompt.fill(text, title, url), **parameters_of(ask, attempt)}
    if ask.answer_schema is not None:
        schema = {"name": "answer", "strict": True, "schema": ask.answer_schema}
        payload["response_format"] = {"type": "json_schema", "json_schema": schema}
    return payload


def produce(
    ask: Ask, questions: list[Question | None], answer_all: Callable[[Iterable[Request]], Iterator[Answer]]
) -> list[dict[str, Any]]:
    """What each row's answers say, as rows of PRODUCED without ids; None is a row that is not asked.

    Equal requests are asked once. Raises what `answer_all` raises.
    """
    requests = {request.key: request for question in questions if question for request in question.requests}
    answers = {answer.key: answer for answer in answer_all(requests.values())}
    return [_produced(ask, question, answers) for question in questions]


def _produced(ask: Ask, question: Question | None, answers: dict[str, Answer]) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(("text", "score", "note", "reason", "answer"))
    row |= {"asked": question is not None, "messages": [], "parts": 0, "tokens_in": 0, "tokens_out": 0}
    if question is None:
        return row
    row["reason"] = question.reason
    said = [answers[request.key] for request in question.requests]
    row["parts"] = len(said)
    row["tokens_in"] = sum(answer.tokens_in for answer in said)
    row["tokens_out"] = sum(answer.tokens_out for answer in said)
    if question.reason is not None:
        return row
    texts = [answer.text or "" for answer in said]
    row["answer"] = texts[0] if len(texts) == 1 else json.dumps(texts, ensure_ascii=False)
    for answer in said:
        usable = answer.reason == ANSWER_CUT and ask.cut == "kept" and answer.text
        if row["reason"] is None and answer.reason and not usable:
            row |= {"reason": answer.reason, "note": answer.detail}
    if row["reason"] is not None:
        return row
    parsed = [parse_answer(text, ask.answer, question.text, ask.marker) for text in texts]
    failed = next((each for each in parsed if each.reason), None)
    if failed is not None:
        return row | {"reason": failed.reason, "note": failed.note}
    (first, *_) = parsed
    row |= {"score": first.score, "note": first.note}
    row["messages"] = [message for each in parsed for message in each.messages]
    if ask.answer != "score":
        separator = "\n\n" if ask.answer != "code" else "\n\n\n"
        row["text"] = separator.join((each.text or "").strip("\n") for each in parsed)
        row["text"] += "\n" if ask.answer == "code" else ""
        row["reason"] = None if row["text"].strip() else "empty_answer"
    return row
