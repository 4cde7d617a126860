"""Replies: what a server sent, read as what it means for the request and for the endpoint."""

from __future__ import annotations

import email.utils
import json
import re
import time
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.rewriting.client.structured import fits_schema, read_json
from pipeline.rewriting.strings import whole

# What a verdict asks of the engine:
#   answered: take it; rejected: give it the reason; again: another attempt; later: the server refuses for now;
#   plain: ask once more without response_format; unusable: this endpoint cannot answer anything
Action = Literal["answered", "rejected", "again", "later", "plain", "unusable"]

# As llama.cpp, vLLM, SGLang and OpenAI word it, in the message or the type of a 400.
_TOO_LONG = re.compile(
    r"exceed_context_size|context_length_exceeded|maximum context length|longer than the model'?s context"
    r"|exceeds? the (?:available context|maximum allowed length)|prompt is too long|too many tokens"
    r"|longer than the maximum model length|input is too long|max_tokens must be at least 1, got -",
    re.IGNORECASE,
)
# OpenAI answers 429 where the account is empty, and no waiting helps.
_NO_CREDIT = "insufficient_quota"
_UNUSABLE = {
    401: "its key is not accepted: check the variable named in api_key_environment",
    402: "there is no credit left",
    404: "no such model or path: check url and model",
    405: "it takes no POST there: check url",
}
_MOST_DETAIL = 300


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP reply; `retry_after` in seconds, where the server named it."""

    status: int
    body: bytes
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reply means; tokens are None where the server did not say."""

    action: Action
    reason: str | None = None
    detail: str | None = None
    text: str | None = None
    finish_reason: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    retry_after: float | None = None


def retry_after_seconds(value: str | None) -> float | None:
    """The seconds that a Retry-After header names, as a number or as a date (RFC 9110, 10.2.3); None for neither."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if seconds == seconds and seconds != float("inf") else None


def read_reply(reply: Reply, schema: dict[str, Any] | None = None, with_format: bool = False) -> Verdict:
    """What a reply means: to a request for an answer that fits `schema`, sent with a response_format or without."""
    if reply.status == 200:
        return _read_answer(reply.body, schema)
    detail = _detail(reply)
    if reply.status in (429, 503):
        if _NO_CREDIT.encode() in reply.body:
            return Verdict("unusable", detail=_UNUSABLE[402])
        return Verdict("later", "rate_limited", detail, retry_after=reply.retry_after)
    if reply.status in (408, 425) or reply.status >= 500:
        return Verdict("again", "server_error", detail)
    if reply.status in _UNUSABLE:
        return Verdict("unusable", detail=_UNUSABLE[reply.status])
    if 300 <= reply.status < 400:
        return Verdict("unusable", detail="it redirects: give the URL that it leads to")
    if _TOO_LONG.search(reply.body.decode("utf-8", "replace")):
        return Verdict("rejected", "prompt_too_long", detail)
    if reply.status in (400, 422) and with_format:
        return Verdict("plain", "bad_request", detail)
    return Verdict("rejected", "bad_request", detail)


def _read_answer(body: bytes, schema: dict[str, Any] | None) -> Verdict:
    try:
        found = json.loads(body)
        choice = found["choices"][0]
        text, finish = choice["message"]["content"], choice.get("finish_reason")
        if not (text is None or isinstance(text, str)) or not (finish is None or isinstance(finish, str)):
            raise TypeError("a content that is no text")
        # Half a surrogate pair can be written in JSON, and in nothing that keeps the answer.
        f"{text}{finish}".encode()
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        said = body[:_MOST_DETAIL].decode("utf-8", "replace")
        return Verdict("again", "malformed_answer", f"{type(error).__name__}: {said}")
    usage = found.get("usage") if isinstance(found.get("usage"), dict) else {}
    tokens_in, tokens_out = _tokens(usage, "prompt_tokens"), _tokens(usage, "completion_tokens")
    reason, detail = _what_is_wrong(text, finish, schema)
    action: Action = "answered" if reason is None else "rejected"
    return Verdict(action, reason, detail, text, finish, tokens_in, tokens_out)


def _what_is_wrong(
    text: str | None, finish_reason: str | None, schema: dict[str, Any] | None
) -> tuple[str | None, str | None]:
    """A reason with its detail, or two None for a good answer."""
    if finish_reason == "length":
        return "answer_cut", None
    if finish_reason == "content_filter":
        return "answer_withheld", None
    if not text or text.isspace():
        return "empty_answer", None
    if schema is None:
        return None, None
    try:
        value = read_json(text)
    except ValueError as error:
        return "malformed_json", str(error)[:_MOST_DETAIL]
    try:
        problem = fits_schema(value, schema)
    except ValueError as error:
        return "bad_request", str(error)[:_MOST_DETAIL]
    return ("wrong_schema", whole(problem[:_MOST_DETAIL])) if problem else (None, None)


def _tokens(usage: dict[str, Any], name: str) -> int | None:
    count = usage.get(name)
    return count if type(count) is int and 0 <= count < 2**40 else None


def _detail(reply: Reply) -> str:
    """The server's own words, which may stand in one of three places."""
    said = reply.body.decode("utf-8", "replace")
    try:
        found = json.loads(said)
        error = found.get("error", found) if isinstance(found, dict) else found
        said = str(error.get("message", error)) if isinstance(error, dict) else str(error)
    except (ValueError, RecursionError):
        pass
    return whole(f"{reply.status}: {said[:_MOST_DETAIL]}")
