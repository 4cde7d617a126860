"""Endpoints: how much each takes at once, which one rests, and which one is asked next."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.errors import UsageError
from pipeline.rewriting.client.settings import ClientSettings, Endpoint


@dataclass
class Limiter:
    """How many requests may be under way: halved when one is refused, grown by one for each full round of answers.

    Additive increase and multiplicative decrease, as TCP's congestion avoidance (RFC 5681) has it. Refusals of requests
    that went out before the last halving tell nothing new and change nothing.
    """

    most: int
    allowed: float = field(init=False)
    _halved_at: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        self.allowed = float(self.most)

    def refused(self, sent_at: float, now: float) -> None:
        """A request that was sent at `sent_at` was refused."""
        if sent_at >= self._halved_at:
            self.allowed = max(1.0, self.allowed / 2)
            self._halved_at = now

    def accepted(self) -> None:
        """A request was answered."""
        self.allowed = min(float(self.most), self.allowed + 1 / self.allowed)


@dataclass
class EndpointState:
    """An endpoint, and how it fares. `paused_until` is when it wants to be asked again, in the loop's time."""

    settings: Endpoint
    limiter: Limiter
    headers: dict[str, str]
    running: int = 0
    failures: int = 0
    paused_until: float = 0.0
    refusals: int = 0
    resting: bool = False
    rests: int = 0
    takes_response_format: bool = True

    @property
    def name(self) -> str:
        """What answers say that they come from."""
        return self.settings.url

    def is_free(self, now: float) -> bool:
        """Whether it takes another request."""
        return not self.resting and now >= self.paused_until and self.running < int(self.limiter.allowed)


def make_states(settings: ClientSettings) -> list[EndpointState]:
    """The endpoints with their keys. Raises UsageError naming the environment variable that has none."""
    states = []
    for endpoint in settings.endpoints:
        headers = {"Content-Type": "application/json", "User-Agent": "kamisuki"}
        if endpoint.api_key_environment is not None:
            key = os.environ.get(endpoint.api_key_environment, "").strip()
            if not key:
                raise UsageError(
                    f"no key for {endpoint.url}: set the environment variable {endpoint.api_key_environment}"
                )
            headers["Authorization"] = f"Bearer {key}"
        states.append(EndpointState(endpoint, Limiter(endpoint.in_flight or settings.in_flight), headers))
    return states


def choose(states: Sequence[EndpointState], now: float) -> EndpointState | None:
    """The free endpoint with the least part of its limit in use; the first of equals; None where none is free."""
    free = [state for state in states if state.is_free(now)]
    return min(free, key=lambda state: state.running / state.limiter.allowed) if free else None
