"""Requests and answers: what goes to a model, what came of it, and the names of all that can go wrong."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

REASONS = {
    "request_timeout": "no whole answer within `timeout_seconds`, in every attempt",
    "connection_failed": "the connection failed or was cut, in every attempt",
    "server_error": "the server answered with an error of its own (500 and above, but 503), in every attempt",
    "rate_limited": "the server still refused (429, 503) after `patience_seconds`, while it answered others",
    "malformed_answer": "what the server sent is no chat completion, in every attempt",
    "bad_request": "the server cannot take this request (400, 413, 422 and others)",
    "prompt_too_long": "the prompt does not fit into the model's context",
    "endless_answer": "the answer went on beyond `most_answer_bytes`",
    "answer_cut": "the model met the limit of tokens before it ended",
    "answer_withheld": "the server's content filter took the answer back",
    "empty_answer": "the model wrote nothing",
    "malformed_json": "a JSON schema was asked for, and the answer is no JSON",
    "wrong_schema": "the answer is JSON, but not as the schema says",
    "budget_spent": "not asked: the budget is spent",
}


@dataclass(frozen=True, slots=True)
class Request:
    """The body of a POST to /v1/chat/completions, and `request_key` of it."""

    key: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request.

    `reason` is None where the answer is good, else a name of REASONS; a bad answer keeps the text that there was.
    `seconds` is the time of the last attempt. `tokens_estimated` says that the server did not report its usage.
    `from_cache` says that it cost nothing now: out of the cache, or asked for by an equal request at the same time; the
    tokens are those that it cost when it was made.
    """

    key: str
    text: str | None
    finish_reason: str | None
    tokens_in: int
    tokens_out: int
    seconds: float
    endpoint: str
    reason: str | None
    from_cache: bool
    detail: str | None = None
    attempts: int = 0
    tokens_estimated: bool = False


def request_key(payload: dict[str, Any]) -> str:
    """A digest of the payload's canonical JSON: 32 hexadecimal digits, whatever the order of its keys.

    Raises TypeError or ValueError for what is no JSON.
    """
    text = json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
