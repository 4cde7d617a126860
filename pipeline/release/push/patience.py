"""Waiting for a Hub that limits rates, fails or drops connections: one rule for every request, and an end to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx2
from huggingface_hub.utils import RateLimitInfo, parse_ratelimit_headers

from pipeline.errors import KamisukiError
from pipeline.storage.fetch import LONGEST_RETRY_AFTER_SECONDS, Politeness, waiting_seconds
from pipeline.storage.http import Transient, retry_after

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
# Of all waits of one push together. The Hub's own windows are five minutes, for commits an hour.
MOST_WAITING_SECONDS = 6 * 3_600.0
# Waits of 1, 2, 4 … 512 s and then 15 min each: an hour without any answer before a request is given up.
HUB = Politeness(tries=14, wait_seconds=1.0)
# Who only asks what would be done is told soon.
ASKING = Politeness(tries=4, wait_seconds=1.0)
# The Hub checks a commit's files before it answers.
TIMEOUT = httpx2.Timeout(connect=30.0, read=300.0, write=120.0, pool=None)

Answer = TypeVar("Answer")


def end_early(response: httpx2.Response) -> None:
    """Raise Transient for an answer that may be better later, with the wait that it asks for.

    huggingface_hub would wait for some requests and not for others, for as long as a server says, and not read dates.
    """
    if response.status_code not in PASSING:
        return
    wait = retry_after(response.headers.get("Retry-After"))
    limits: RateLimitInfo | None = parse_ratelimit_headers(response.headers)
    if response.status_code == 429 and limits is not None and limits.remaining == 0:
        wait = max(wait, float(limits.reset_in_seconds))
    response.close()
    raise Transient(f"status {response.status_code}", wait)


def passing(error: BaseException) -> Transient | None:
    """What of an error, or of what caused it, may be better later; None for what no second try would mend."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Transient):
            return cause
        if isinstance(cause, httpx2.TransportError):
            return Transient(f"no answer ({type(cause).__name__})")
        cause = cause.__cause__
    return None


class Patience:
    """Calls again what failed for a passing reason: waits grow, and end after so many failures or hours.

    `waited` counts seconds over all calls of all threads, `failures` how often something had to be asked again.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        politeness: Politeness = HUB,
        most_waiting: float = MOST_WAITING_SECONDS,
        sleep: Callable[[float], Any] = time.sleep,
    ) -> None:
        self._say, self._politeness, self._most, self._sleep = say, politeness, most_waiting, sleep
        self._lock = threading.Lock()
        self.waited = 0.0
        self.failures = 0

    def __call__(self, what: str, call: Callable[[], Answer]) -> Answer:
        """The call's answer. Raises KamisukiError when patience ends, and whatever no second try would mend."""
        failures = 0
        while True:
            try:
                return call()
            except Exception as error:
                problem = passing(error)
                if problem is None:
                    raise
            failures += 1
            self._wait(what, problem, failures)

    def _wait(self, what: str, problem: Transient, failures: int) -> None:
        again = "push again: it goes on where it stopped"
        if problem.retry_after > LONGEST_RETRY_AFTER_SECONDS:
            asked = f"{problem.retry_after:,.0f} s"
            raise KamisukiError(f"{what}: the Hub asks to wait {asked} ({problem}): push again then")
        if failures >= self._politeness.tries:
            raise KamisukiError(f"{what}: failed {failures} times in a row, last with {problem}: {again}")
        seconds = max(problem.retry_after, waiting_seconds(what, failures, self._politeness))
        with self._lock:
            if self.waited + seconds > self._most:
                spent = f"{self.waited:,.0f} s"
                raise KamisukiError(f"{what}: {problem}, after waiting {spent} in all: {again}")
            self.waited += seconds
            self.failures += 1
        if seconds >= 5:
            self._say(f"push: {what}: {problem}: waiting {seconds:,.0f} s")
        self._sleep(seconds)
