"""Whole runs of the client: budgets, keys, and kill -9 in the middle."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.rewriting.client import Budget, ClientSettings, RequestCache
from tests.pipeline.conftest import ROOT
from tests.rewriting.conftest import ask, collect, quick
from tests.rewriting.scripted_server import (
    ScriptedServer,
    sends,
    slowly,
)


def test_the_budget_stops_cleanly(cache: RequestCache) -> None:
    with ScriptedServer(otherwise=slowly(0.01)) as server:
        budget = Budget(tokens=15 * 20)
        requests = [ask(f"page {n}") for n in range(100)]
        answers = collect(requests, quick(server.url, in_flight=8), cache, budget)
        assert Counter(answer.key for answer in answers) == Counter(request.key for request in requests)
        reasons = Counter(answer.reason for answer in answers)
        assert set(reasons) == {None, "budget_spent"}
        # Each costs 15 tokens, which is known well enough after the first ones.
        assert 18 <= reasons[None] <= 20 and budget.spent_tokens == 15 * reasons[None]
        assert sum(server.asked.values()) == reasons[None]
        # What is paid for comes for nothing, and a larger budget goes on from there.
        again = collect(requests, quick(server.url), cache, Budget(tokens=0))
        assert Counter(answer.from_cache for answer in again) == {True: reasons[None], False: reasons["budget_spent"]}
        assert Counter(answer.reason for answer in again) == reasons
        assert {answer.reason for answer in collect(requests, quick(server.url), cache)} == {None}
        assert sum(server.asked.values()) == 100


def test_money_stops_too(cache: RequestCache) -> None:
    with ScriptedServer() as server:
        budget = Budget(money=0.001, prices={"prompt": 5.0, "answer": 10.0})
        answers = collect([ask(f"page {n}") for n in range(40)], quick(server.url), cache, budget)
    # 10 tokens of 5 and 5 tokens of 10 a million: 0.0001 a request.
    assert Counter(answer.reason for answer in answers) == {None: 10, "budget_spent": 30}
    assert budget.spent_money == pytest.approx(0.001)


def test_what_is_no_json_costs_one_document(cache: RequestCache) -> None:
    with ScriptedServer() as server:
        odd = ask("odd")
        odd.payload["temperature"] = float("nan")
        answers = {answer.key: answer for answer in collect([odd, ask("page")], quick(server.url), cache)}
        assert answers[odd.key].reason == "bad_request" and not server.asked["odd"]
        assert answers[ask("page").key].reason is None


def test_keys_come_from_the_environment_and_go_nowhere_else(
    cache: RequestCache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = "k-3f1e9b77"
    script = {"told": [sends(400, json.dumps({"error": {"message": f"bad key {key}"}}))]}
    with ScriptedServer(script) as server:
        endpoints = [{"url": server.url, "api_key_environment": "MODEL_KEY"}]
        settings = ClientSettings(endpoints=endpoints)
        monkeypatch.delenv("MODEL_KEY", raising=False)
        with pytest.raises(UsageError, match="MODEL_KEY"):
            collect([ask("page")], settings, cache)
        monkeypatch.setenv("MODEL_KEY", key)
        answers = collect([ask("page"), ask("told")], settings, cache)
        assert all(headers["Authorization"] == f"Bearer {key}" for headers in server.headers)
    cache.flush()
    assert key not in repr(answers) and key not in settings.model_dump_json()
    for file in tmp_path.iterdir():
        assert key.encode() not in file.read_bytes()


def test_no_key_stands_in_a_url() -> None:
    for url in ("http://user:key@host/v1", "host:8000/v1", "ftp://host/v1", "http://host/v1?key=1"):
        with pytest.raises(ValueError):
            ClientSettings(endpoints=[{"url": url}])


CHILD = """
import sys
from pathlib import Path
from pipeline.rewriting.client import Budget, RequestCache, answer_all
from tests.rewriting.conftest import ask, quick
with RequestCache(Path(sys.argv[2])) as cache:
    for answer in answer_all((ask(f"page {n}") for n in range(600)), quick(sys.argv[1], in_flight=4), cache, Budget()):
        pass
"""


def committed(path: Path) -> set[str]:
    if not path.exists():
        return set()
    connection = sqlite3.connect(path)
    try:
        return {key for (key,) in connection.execute("select key from answers")}
    except sqlite3.OperationalError:
        return set()
    finally:
        connection.close()


def test_kill_nine_in_the_middle_asks_no_committed_answer_again(tmp_path: Path) -> None:
    path = tmp_path / "requests.sqlite"
    requests = {ask(f"page {n}").key: f"page {n}" for n in range(600)}
    with ScriptedServer(otherwise=slowly(0.01)) as server:
        child = subprocess.Popen([sys.executable, "-c", CHILD, server.url, str(path)], cwd=ROOT)
        while not committed(path):
            assert child.poll() is None, "it ended by itself"
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        kept = committed(path)
        asked = Counter(server.asked)
        assert 0 < len(kept) <= len(asked) < 600
        with RequestCache(path) as cache:
            answers = collect([ask(words_) for words_ in requests.values()], quick(server.url), cache)
        assert sorted(answer.key for answer in answers) == sorted(requests)
        assert all(answer.text == f"{requests[answer.key]}!" for answer in answers)
        assert {answer.key for answer in answers if answer.from_cache} == kept
        assert all(server.asked[requests[key]] == 1 for key in kept)
        # What was under way or not yet committed is all that is asked again.
        assert all(times <= 2 for times in server.asked.values())
    assert committed(path) == set(requests)
