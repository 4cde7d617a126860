"""What the tests of the client share: a cache of their own, quick settings, requests by their words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.rewriting.client import Answer, Budget, ClientSettings, Request, RequestCache, answer_all, request_key


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[RequestCache]:
    with RequestCache(tmp_path / "requests.sqlite") as opened:
        yield opened


def ask(content: str, **more: Any) -> Request:
    payload = {"model": "scripted", "messages": [{"role": "user", "content": content}], "max_tokens": 20, **more}
    return Request(request_key(payload), payload)


def quick(*urls: str, **settings: Any) -> ClientSettings:
    """Settings that wait for hundredths of a second where a real run waits for seconds."""
    waits = {"timeout_seconds": 60.0, "first_backoff_seconds": 0.01, "most_backoff_seconds": 0.04, "attempts": 3}
    endpoints = tuple({"url": url} for url in urls)
    return ClientSettings(**{"endpoints": endpoints, "patience_seconds": 20.0, **waits, **settings})


def collect(
    requests: list, settings: ClientSettings, cache: RequestCache, budget: Budget | None = None
) -> list[Answer]:
    return list(answer_all(iter(requests), settings, cache, budget or Budget()))
