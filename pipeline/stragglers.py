"""Stragglers: tasks that run much longer than the others of their stage would take for as many bytes."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.runner import Task
from pipeline.working import Where

# Fewer ends than this say nothing of what is usual.
LEAST_ENDED = 5
# A task is slow from so many times of what is expected of it on, and never before a minute: short tasks vary most.
TIMES_EXPECTED = 3.0
LEAST_SECONDS = 60.0


@dataclass(frozen=True)
class Straggler:
    """A task that has run for `seconds`, where others would have taken `expected_seconds` for its bytes."""

    shard: str
    where: Where
    seconds: float
    expected_seconds: float


class Pace:
    """How long tasks of a stage take a byte of their expected work: the median of those that ended."""

    def __init__(self) -> None:
        self._rates: list[float] = []

    def add(self, weight: int, seconds: float) -> None:
        """A task of `weight` bytes took so long. Where tasks have no weight, one counts as much as another."""
        bisect.insort(self._rates, seconds / max(1, weight))

    def expected(self, weight: int) -> float | None:
        """Seconds that a task of `weight` bytes usually takes, or None while too few have ended."""
        if len(self._rates) < LEAST_ENDED:
            return None
        return self._rates[len(self._rates) // 2] * max(1, weight)

    def stragglers(self, running: Iterable[tuple[Task, Where]], now: float) -> list[Straggler]:
        """Those of the running tasks that are slow at the time `now` (Unix seconds), the slowest first."""
        found = []
        for task, where in running:
            expected, seconds = self.expected(task.weight), now - where.since
            if expected is not None and seconds > max(LEAST_SECONDS, TIMES_EXPECTED * expected):
                found.append(Straggler(task.shard, where, seconds, expected))
        return sorted(found, key=lambda one: (-one.seconds, one.shard))
