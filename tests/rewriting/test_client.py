"""The client against a real server on loopback: one answer for each request, whatever the server does."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter

import pytest
from aiohttp import web

from pipeline.errors import KamisukiError, UsageError
from pipeline.rewriting.client import REASONS, Budget, Client, RequestCache, answer_all
from tests.rewriting.conftest import ask, collect, quick
from tests.rewriting.scripted_server import (
    Payload,
    ScriptedServer,
    cuts,
    cuts_in_the_body,
    echoes,
    never_ends,
    says,
    sends,
    slowly,
    stalls,
    stalls_in_the_body,
    words,
)

TOO_LONG_LLAMA = (
    '{"error": {"code": 400, "message": "request (6031 tokens) exceeds the available context size (2048)"}}'
)
TOO_LONG_VLLM = '{"message": "This model\'s maximum context length is 8192 tokens. However, you requested 8203 tokens"}'
STALLS = {
    "stalls": ([stalls], "request_timeout", 3),
    "stalls in the body": ([stalls_in_the_body], "request_timeout", 3),
    "stalls once": ([stalls, echoes], None, 2),
}
# What the server does, in turn, and what comes of it: a reason or None, and how often it is asked.
FAULTS = {
    "good": ([echoes], None, 1),
    "cuts": ([cuts], "connection_failed", 3),
    "cuts in the body": ([cuts_in_the_body], "connection_failed", 3),
    "cuts once": ([cuts, echoes], None, 2),
    "fails": ([sends(500, "oh")], "server_error", 3),
    "fails twice": ([sends(502, "<html>"), sends(500, ""), echoes], None, 3),
    "refuses four times": ([sends(429, "")] * 4 + [echoes], None, 5),
    "is busy": ([sends(503, "", Retry_After="0"), echoes], None, 2),
    "half of a JSON": ([sends(200, '{"choices": [{"message":')], "malformed_answer", 3),
    "no JSON": ([sends(200, "<html>gateway</html>")], "malformed_answer", 3),
    "deep JSON": ([sends(200, "[" * 200_000)], "malformed_answer", 3),
    "another JSON": ([sends(200, '{"choices": []}')], "malformed_answer", 3),
    "a list": ([sends(200, "[1]")], "malformed_answer", 3),
    "no text": ([sends(200, '{"choices": [{"message": {"content": 3}}]}')], "malformed_answer", 3),
    "half a surrogate": ([sends(200, '{"choices": [{"message": {"content": "\\ud800"}}]}')], "malformed_answer", 3),
    "bad UTF-8": ([sends(200, b'{"choices": [{"message": {"content": "\x83\x83"}}]}')], "malformed_answer", 3),
    "bad request": ([sends(400, '{"error": {"message": "no"}}')], "bad_request", 1),
    "forbidden": ([sends(403, "moderated")], "bad_request", 1),
    "too long for llama.cpp": ([sends(400, TOO_LONG_LLAMA)], "prompt_too_long", 1),
    "too long for vLLM": ([sends(400, TOO_LONG_VLLM)], "prompt_too_long", 1),
    "endless": ([never_ends], "endless_answer", 1),
    "cut": ([says("and so on and", "length")], "answer_cut", 1),
    "withheld": ([says("", "content_filter")], "answer_withheld", 1),
    "empty": ([says("")], "empty_answer", 1),
    "blank": ([says(" \n")], "empty_answer", 1),
    "nothing": ([says(None)], "empty_answer", 1),
    "no usage": ([says("fine", usage={})], None, 1),
    "negative usage": ([says("fine", usage={"prompt_tokens": -4, "completion_tokens": "many"})], None, 1),
    "no finish reason": ([says("fine", None)], None, 1),
}


def test_every_fault_ends_in_one_answer_with_its_reason(cache: RequestCache) -> None:
    with ScriptedServer({name: behaviours for name, (behaviours, _, _) in FAULTS.items()}) as server:
        requests = {name: ask(name) for name in FAULTS} | {f"page {n}": ask(f"page {n}") for n in range(60)}
        settings = quick(server.url, most_answer_bytes=500_000, rest_after_failures=1_000)
        answers = collect(list(requests.values()), settings, cache)
        assert Counter(answer.key for answer in answers) == Counter(request.key for request in requests.values())
        found = {answer.key: answer for answer in answers}
        for name, (_, reason, times) in FAULTS.items():
            answer = found[requests[name].key]
            assert (name, answer.reason) == (name, reason)
            assert (name, server.asked[name]) == (name, times)
            assert reason is None or reason in REASONS
        # One bad request costs one document: all others are answered, once.
        for n in range(60):
            answer = found[requests[f"page {n}"].key]
            assert (answer.text, answer.reason, answer.from_cache) == (f"page {n}!", None, False)
            assert server.asked[f"page {n}"] == 1
        assert len(cache) == sum(answer.reason is None for answer in answers)


@pytest.mark.parametrize("seed", [1, 2])
def test_any_mix_of_faults_at_two_servers_ends_in_one_answer_for_each(cache: RequestCache, seed: int) -> None:
    draw = random.Random(seed)
    faults = [behaviours[0] for behaviours, _, _ in FAULTS.values() if behaviours[0] not in (echoes, never_ends)]

    async def behaves(request: web.Request, payload: Payload) -> web.StreamResponse:
        return await draw.choice([echoes] * len(faults) * 2 + faults)(request, payload)

    with ScriptedServer(otherwise=behaves) as one, ScriptedServer(otherwise=behaves) as other:
        requests = [ask(f"page {draw.randrange(300)}") for _ in range(500)]
        settings = quick(one.url, other.url, in_flight=20, stop_after_failures=10_000)
        first = collect(requests, settings, cache)
        asked = one.asked + other.asked
        second = collect(requests, settings, cache)
    for answers in (first, second):
        assert Counter(answer.key for answer in answers) == Counter(request.key for request in requests)
    good = {answer.key for answer in first if answer.reason is None}
    assert 0 < len(good) < len(asked)
    words_of = {request.key: words(request.payload) for request in requests}
    again = one.asked + other.asked
    assert all(again[words_of[key]] == asked[words_of[key]] for key in good)


def test_a_server_that_stalls_keeps_nobody_waiting_for_ever(cache: RequestCache) -> None:
    with ScriptedServer({name: behaviours for name, (behaviours, _, _) in STALLS.items()}) as server:
        answers = collect([ask(name) for name in STALLS], quick(server.url, timeout_seconds=0.8), cache)
        found = {answer.key: answer for answer in answers}
        for name, (_, reason, times) in STALLS.items():
            assert (name, found[ask(name).key].reason, server.asked[name]) == (name, reason, times)


def test_no_good_answer_is_asked_for_twice_and_every_bad_one_is(cache: RequestCache) -> None:
    with ScriptedServer({"bad": [sends(400, ""), echoes]}) as server:
        requests = [ask("bad"), *(ask(f"page {n}") for n in range(30))]
        first = collect(requests, quick(server.url), cache)
        second = collect(requests, quick(server.url), cache)
        assert server.asked == Counter({f"page {n}": 1 for n in range(30)} | {"bad": 2})
        assert {answer.key: answer.text for answer in second if answer.from_cache} == {
            answer.key: answer.text for answer in first if answer.reason is None
        }
        assert all(answer.reason is None for answer in second)


def test_equal_requests_are_asked_once_and_answered_each(cache: RequestCache) -> None:
    with ScriptedServer(otherwise=slowly(0.05)) as server:
        answers = collect([ask("same")] * 5 + [ask("other")] + [ask("same")] * 5, quick(server.url), cache)
        assert server.asked == {"same": 1, "other": 1}
        assert Counter(answer.text for answer in answers) == {"same!": 10, "other!": 1}
        assert sum(not answer.from_cache for answer in answers) == 2


def test_an_endless_source_is_read_only_a_little_ahead(cache: RequestCache) -> None:
    read = 0

    def pages():
        nonlocal read
        while True:
            read += 1
            yield ask(f"page {read}")

    with ScriptedServer() as server, Client(quick(server.url, in_flight=4), cache, Budget()) as client:
        answers = client.answer_all(pages())
        for _ in range(50):
            assert next(answers).reason is None
        assert read <= 50 + 2 * 4
        answers.close()
        # And the client goes on to be used.
        assert [answer.text for answer in client.answer_all([ask("after")])] == ["after!"]


def test_two_at_a_time_are_refused(cache: RequestCache) -> None:
    with ScriptedServer() as server, Client(quick(server.url), cache, Budget()) as client:
        answers = client.answer_all(ask(f"page {n}") for n in range(9))
        next(answers)
        with pytest.raises(RuntimeError):
            next(client.answer_all([ask("more")]))


def test_a_flood_of_refusals_costs_no_document_and_lowers_what_is_asked_at_once(cache: RequestCache) -> None:
    with ScriptedServer({f"page {n}": [sends(429, "", Retry_After="0.05"), slowly(0.02)] for n in range(64)}) as server:
        requests = [ask(f"page {n}") for n in range(96)]
        with Client(quick(server.url, in_flight=64, attempts=1), cache, Budget()) as client:
            answers = list(client.answer_all(requests))
            limiter = client._states[0].limiter
        assert Counter(answer.key for answer in answers) == Counter(request.key for request in requests)
        assert {answer.reason for answer in answers} == {None}
        assert limiter.allowed < 64


def test_retry_after_is_waited_for(cache: RequestCache) -> None:
    asked_at: list[float] = []

    async def refuses_first(request, payload):
        asked_at.append(time.monotonic())
        behaves = sends(503, "", Retry_After="0.3") if len(asked_at) == 1 else echoes
        return await behaves(request, payload)

    with ScriptedServer(otherwise=refuses_first) as server:
        (answer,) = collect([ask("page")], quick(server.url), cache)
    assert answer.reason is None
    assert asked_at[1] - asked_at[0] >= 0.29


def test_one_request_that_is_always_refused_is_given_up_while_others_are_answered(cache: RequestCache) -> None:
    with ScriptedServer({"large": [sends(429, "tokens per minute", Retry_After="0.02")]}) as server:
        # The others last longer than the patience with it.
        settings = quick(server.url, patience_seconds=0.15, in_flight=1)
        server.otherwise = slowly(0.01)
        answers = collect([ask("large"), *(ask(f"page {n}") for n in range(40))], settings, cache)
    reasons = Counter(answer.reason for answer in answers)
    assert reasons[None] >= 1 and reasons["rate_limited"] == 1 and sum(reasons.values()) == 41


def test_a_server_that_refuses_all_stops_the_run(cache: RequestCache) -> None:
    with (
        ScriptedServer(otherwise=sends(429, "slow down")) as server,
        pytest.raises(KamisukiError, match="no endpoint has answered"),
    ):
        collect([ask(f"page {n}") for n in range(9)], quick(server.url, patience_seconds=0.2), cache)


@pytest.mark.timeout(30)
def test_a_pause_that_ends_while_it_is_looked_at_is_not_slept_through(cache, monkeypatch) -> None:
    clock = asyncio.BaseEventLoop.time

    def slow(loop: asyncio.AbstractEventLoop) -> float:
        # As on a machine that does other work: what was a pause a moment ago is none any more.
        time.sleep(0.005)
        return clock(loop)

    with ScriptedServer(otherwise=sends(429, "slow down")) as server:
        monkeypatch.setattr(asyncio.BaseEventLoop, "time", slow)
        with pytest.raises(KamisukiError, match="no endpoint has answered"):
            collect([ask(f"page {n}") for n in range(9)], quick(server.url, patience_seconds=1.0), cache)


def test_no_server_stops_the_run_and_names_it(cache: RequestCache) -> None:
    with ScriptedServer() as server:
        url = server.url
    with pytest.raises(KamisukiError, match=url):
        collect(
            [ask(f"page {n}") for n in range(9)],
            quick(url, patience_seconds=0.2, attempts=50, rest_after_failures=2),
            cache,
        )


def test_a_server_that_fails_everything_stops_the_run(cache: RequestCache) -> None:
    with ScriptedServer(otherwise=sends(500, "out of memory")) as server:
        answers = []
        with pytest.raises(KamisukiError, match="out of memory"):
            for answer in answer_all(
                (ask(f"page {n}") for n in range(500)),
                quick(server.url, stop_after_failures=20, rest_after_failures=1_000, in_flight=8),
                cache,
                Budget(),
            ):
                answers.append(answer)
    assert len(answers) < 100


@pytest.mark.parametrize("status", [401, 402, 404, 307])
def test_an_endpoint_that_cannot_be_used_stops_the_run_at_once(cache: RequestCache, status: int) -> None:
    with ScriptedServer(otherwise=sends(status, "no")) as server, pytest.raises(UsageError, match=r"127\.0\.0\.1"):
        collect([ask("page")], quick(server.url), cache)
    assert sum(server.asked.values()) == 1


def test_an_endpoint_that_fails_rests_and_is_tried_again(cache: RequestCache) -> None:
    with ScriptedServer(otherwise=echoes) as good, ScriptedServer(otherwise=sends(500, "")) as bad:
        bad.is_well = False
        settings = quick(good.url, bad.url, rest_after_failures=3, in_flight=4, most_backoff_seconds=0.05, attempts=8)
        with Client(settings, cache, Budget()) as client:
            answers = list(client.answer_all(ask(f"page {n}") for n in range(100)))
            assert {answer.reason for answer in answers} == {None}
            assert {answer.endpoint for answer in answers} == {good.url}
            # At most those under way when it began to rest.
            assert sum(bad.asked.values()) <= 3 + 4
            bad.otherwise, bad.is_well = echoes, True
            again: set[str] = set()
            for n in range(100, 5_000):
                again.update(answer.endpoint for answer in client.answer_all([ask(f"a {n}"), ask(f"b {n}")]))
                if bad.url in again:
                    break
            assert again == {good.url, bad.url}
            assert bad.health_checks >= 1


def test_load_is_shared_by_what_each_takes(cache: RequestCache) -> None:
    with ScriptedServer(otherwise=slowly(0.01)) as one, ScriptedServer(otherwise=slowly(0.01)) as other:
        endpoints = [{"url": one.url, "in_flight": 2, "model": "mine"}, {"url": other.url}]
        settings = quick(in_flight=8, endpoints=endpoints)
        answers = collect([ask(f"page {n}") for n in range(60)], settings, cache)
    assert {answer.reason for answer in answers} == {None}
    assert one.most_at_once <= 2 and other.most_at_once <= 8
    assert one.asked and other.asked
    assert {payload["model"] for payload in one.payloads} == {"mine"}
    assert {payload["model"] for payload in other.payloads} == {"scripted"}
