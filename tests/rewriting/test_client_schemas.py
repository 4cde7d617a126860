"""JSON by a schema: held against it, whether or not the server takes schemas."""

from __future__ import annotations

import pytest

from pipeline.rewriting.client import RequestCache
from tests.rewriting.conftest import ask, collect, quick
from tests.rewriting.scripted_server import (
    ScriptedServer,
    needs_no_format,
    says,
    sends,
)

SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 0, "maximum": 5}},
    "required": ["score"],
    "additionalProperties": False,
}
SCORED = {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"score": 3}', None),
        ('```json\n{"score": 3}\n```', None),
        ('Sure! {"score": 3}', None),
        ('{"score": 1400}', "wrong_schema"),
        ('{"score": "3"}', "wrong_schema"),
        ('{"points": 3}', "wrong_schema"),
        ("[[3]]", "wrong_schema"),
        ("a good page", "malformed_json"),
        ('{"score": ', "malformed_json"),
    ],
)
def test_answers_are_held_against_the_schema_whatever_the_server_takes(
    cache: RequestCache, text: str, reason: str | None
) -> None:
    with (
        ScriptedServer(otherwise=says(text)) as takes,
        ScriptedServer(otherwise=needs_no_format(says(text))) as takes_not,
    ):
        for server, sent in ((takes, [True]), (takes_not, [True, False])):
            (answer,) = collect([ask(f"page at {server.url}", **SCORED)], quick(server.url), cache)
            assert (answer.text, answer.reason) == (text, reason)
            assert ["response_format" in payload for payload in server.payloads] == sent


def test_a_server_that_takes_no_schema_is_noted_and_not_tried_again(cache: RequestCache) -> None:
    with ScriptedServer(otherwise=needs_no_format(says('{"score": 3}'))) as server:
        answers = collect([ask(f"page {n}", **SCORED) for n in range(20)], quick(server.url, in_flight=1), cache)
        assert {answer.reason for answer in answers} == {None}
        assert sum("response_format" in payload for payload in server.payloads) == 1


def test_a_bad_request_with_a_schema_does_not_make_the_server_one_without(cache: RequestCache) -> None:
    script = {"bad": [sends(400, "no such role")]}
    with ScriptedServer(script, otherwise=says('{"score": 3}')) as server:
        bad, good = collect([ask("bad", **SCORED), ask("good", **SCORED)], quick(server.url, in_flight=1), cache)
        assert (bad.reason, good.reason) == ("bad_request", None)
        assert server.asked["bad"] == 2 and "response_format" in server.payloads[-1]
