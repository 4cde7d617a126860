"""What replies, refusals and answers mean, without a server."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rewriting.client import REASONS, fits_schema, read_json, request_key
from pipeline.rewriting.client.endpoints import Limiter
from pipeline.rewriting.client.replies import Reply, read_reply, retry_after_seconds
from pipeline.rewriting.client.structured import asked_schema
from pipeline.rewriting.client.waiting import backoff_seconds

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.integers(100, 599), st.binary() | JSON.map(lambda value: json.dumps(value).encode()), st.booleans())
def test_whatever_comes_has_a_meaning(status: int, body: bytes, with_format: bool) -> None:
    verdict = read_reply(Reply(status, body), {"type": "object"}, with_format)
    if verdict.action in ("rejected", "again", "later", "plain"):
        assert verdict.reason in REASONS
    assert verdict.action != "answered" or status == 200
    assert (verdict.tokens_in or 0) >= 0 and (verdict.tokens_out or 0) >= 0


HALF = '"\\ud800"'


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, f'{{"error": {{"message": {HALF}}}}}', "bad_request"),
        (500, f'{{"message": {HALF}}}', "server_error"),
        (200, f'{{"choices": [{{"message": {{"content": "x"}}, "finish_reason": {HALF}}}]}}', "malformed_answer"),
        (200, f'{{"choices": [{{"message": {{"content": {HALF}}}}}]}}', "malformed_answer"),
        (200, json.dumps({"choices": [{"message": {"content": '{"\\ud800": 1}'}}]}), "wrong_schema"),
    ],
)
def test_a_verdict_holds_nothing_that_no_table_can(status: int, body: str, reason: str) -> None:
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    verdict = read_reply(Reply(status, body.encode()), schema)
    assert verdict.reason == reason
    assert all(text is None or text.encode("utf-8") for text in (verdict.text, verdict.detail, verdict.finish_reason))


@given(JSON, st.sampled_from(["{}", "```json\n{}\n```", "Here you are:\n{}", "  {}\n"]))
def test_json_is_read_out_of_what_stands_around_it(value: object, around: str) -> None:
    value = {"answer": value}
    assert read_json(around.replace("{}", json.dumps(value))) == value


@given(st.dictionaries(st.text(), JSON))
def test_a_key_does_not_depend_on_order_and_depends_on_the_rest(payload: dict) -> None:
    backwards = dict(reversed(list(payload.items())))
    assert request_key(payload) == request_key(backwards)
    assert request_key(payload | {"seed": 1}) != request_key(payload | {"seed": 2})


def test_a_key_of_no_json_is_an_error() -> None:
    with pytest.raises(ValueError):
        request_key({"temperature": float("nan")})
    with pytest.raises(TypeError):
        request_key({"messages": {1, 2}})


def test_a_schema_is_found_where_it_was_asked_for() -> None:
    schema = {"type": "array"}
    asked = {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}}
    assert asked_schema(asked) == schema
    for payload in ({}, {"response_format": {"type": "json_object"}}, {"response_format": "text"}):
        assert asked_schema(payload) is None


def test_a_bad_schema_is_an_error_and_nothing_is_fetched_for_one() -> None:
    for schema in ({"type": "nonsense"}, {"$ref": "http://127.0.0.1:9/never.json"}):
        with pytest.raises(ValueError):
            fits_schema({}, schema)
    problem = fits_schema({"pairs": [{"q": 1}]}, {"properties": {"pairs": {"items": {"required": ["a"]}}}})
    assert problem is not None and "pairs" in problem


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after_seconds("7") == 7
    assert 50 < (retry_after_seconds(formatdate(time.time() + 60, usegmt=True)) or 0) <= 60
    assert retry_after_seconds(formatdate(time.time() - 60, usegmt=True)) == 0
    for value in (None, "", "soon", "nan", "inf"):
        assert retry_after_seconds(value) is None


@given(st.integers(1, 12), st.integers(0, 99), st.text())
def test_waits_double_and_are_the_same_each_time(attempt: int, seed: int, key: str) -> None:
    wait = backoff_seconds(key, attempt, seed, 1.0, 60.0)
    whole = min(60.0, 2.0 ** (attempt - 1))
    assert whole / 2 <= wait <= whole
    assert wait == backoff_seconds(key, attempt, seed, 1.0, 60.0)


def test_waits_of_requests_that_failed_together_differ() -> None:
    waits = {backoff_seconds(f"{n}", 3, 1, 1.0, 60.0) for n in range(100)}
    assert len(waits) == 100


def test_a_limit_is_halved_once_for_a_round_and_grows_by_one_in_a_round() -> None:
    limiter = Limiter(64)
    for _ in range(64):
        limiter.refused(sent_at=1.0, now=2.0)
    assert limiter.allowed == 32
    limiter.refused(sent_at=2.5, now=3.0)
    assert limiter.allowed == 16
    for _ in range(16):
        limiter.accepted()
    assert 16.9 < limiter.allowed <= 17
    for _ in range(10):
        limiter.refused(sent_at=9.0, now=9.0)
    assert limiter.allowed == 1
    for _ in range(10_000):
        limiter.accepted()
    assert limiter.allowed == 64
