"""The client against a real model on a real server; skipped where that is not installed: `make test-model` does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.model_server import running_model
from pipeline.rewriting.client import Answer, Budget, ClientSettings, Request, RequestCache, answer_all, request_key
from tests.pipeline.conftest import ROOT

PYTHON = ROOT / "build" / "model-server" / "bin" / "python"
SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 0, "maximum": 5}},
    "required": ["score"],
    "additionalProperties": False,
}

pytestmark = pytest.mark.skipif(not PYTHON.is_file(), reason="no model server here: `make test-model` installs it")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_model(PYTHON) as started:
        yield started


def ask(content: str, most: int, **more: object) -> Request:
    messages = [{"role": "user", "content": content}]
    payload = {"model": "smollm2", "messages": messages, "max_tokens": most, "temperature": 0, "seed": 1, **more}
    return Request(request_key(payload), payload)


def test_a_real_model_answers_and_is_not_asked_twice(url: str, tmp_path: Path) -> None:
    requests = {
        "plain": ask("What is the capital of Japan? Answer with one word.", 40),
        "scored": ask(
            'How useful is this text, from 0 to 5? Answer as JSON, {"score": 3}. Text: Water boils at 100 °C.',
            40,
            response_format={"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": SCHEMA}},
        ),
        "cut": ask("Tell a long story about a paper mill.", 8),
        "long": ask("word " * 6_000, 8),
    }
    settings = ClientSettings.model_validate({"endpoints": [{"url": url}], "in_flight": 4})

    def run(budget: Budget) -> dict[str, Answer]:
        with RequestCache(tmp_path / "requests.sqlite") as cache:
            found = {answer.key: answer for answer in answer_all(requests.values(), settings, cache, budget)}
        return {name: found[request.key] for name, request in requests.items()}

    budget = Budget()
    first = run(budget)
    reasons = {name: answer.reason for name, answer in first.items()}
    assert reasons == {"plain": None, "scored": None, "cut": "answer_cut", "long": "prompt_too_long"}
    assert first["plain"].text and "Tokyo" in first["plain"].text
    assert 0 <= json.loads(first["scored"].text or "")["score"] <= 5
    assert first["cut"].tokens_out == 8 and not first["cut"].tokens_estimated
    assert budget.spent_tokens == sum(answer.tokens_in + answer.tokens_out for answer in first.values()) > 0
    again = run(Budget(tokens=0))
    assert {name: answer.from_cache for name, answer in again.items()} == {
        "plain": True,
        "scored": True,
        "cut": False,
        "long": False,
    }
    assert again["plain"].text == first["plain"].text
