"""Tasks that were handed out to Ray and have not ended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from pipeline.runner import Task
from pipeline.working import Where


@dataclass
class Flight:
    """A task, the key under which its worker says that it began, what it said, and on which nodes it must not run.

    `retries` counts how often it was tried again because a node had no room for it, `lost` how often because Ray gave
    it up; `lost_on` are nodes that lost its worker then. `before` is what had been said when it was handed out, at
    `handed` of the monotonic clock.
    """

    task: Task
    key: str
    where: Where | None = None
    excluded: frozenset[str] = frozenset()
    retries: int = 0
    lost: int = 0
    lost_on: frozenset[str] = frozenset()
    before: Where | None = None
    handed: float = 0.0

    @property
    def waits(self) -> bool:
        """Whether no worker has begun with it since it was handed out."""
        return self.where == self.before


def late(flying: dict[Any, Flight], seconds: float) -> dict[Any, Flight]:
    """Those that no worker has begun with so long after they were handed out."""
    until = time.monotonic() - seconds
    return {handle: flight for handle, flight in flying.items() if flight.waits and flight.handed < until}
