"""Running tasks: what a task and its result are, and running in one process.

A task takes paths and settings and returns counts.

Correctness rests on files and ledger alone; a runner only decides where and when a task runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.working import Where, call, here

# What a task may use where no recipe says otherwise, as `shards.cpu_seconds` has it: many times what any has used.
TASK_CPU_SECONDS = 14_400.0
# What a task's function is given, or what puts it together for a shard: of 100,000 tasks it would be hundreds of MB.
Arguments = dict[str, Any] | Callable[[str], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Task:
    """One shard's work of one stage: `function(**given())` in a worker that has `memory_bytes` and a CPU reserved.

    `weight` is about how much there is to do, in bytes. `signature` is what a failure is noted with, so that a later
    run can tell whether its cause still stands. `cpu_seconds` is the most CPU time that the task may use.
    """

    shard: str
    function: Callable[..., dict[str, Any]]
    arguments: Arguments
    memory_bytes: int
    weight: int = 0
    signature: Any = None
    cpu_seconds: float | None = None

    def given(self) -> dict[str, Any]:
        """The arguments of the function."""
        return self.arguments if isinstance(self.arguments, dict) else self.arguments(self.shard)


@dataclass(frozen=True)
class Result:
    """A finished task: its counts, or one line that says why there are none.

    `kind` of an error is error (the work raised one), cpu_time (it used up its CPU time), place (its node had no room,
    and so had each other that tried it) or lost (its worker was lost, each time that Ray tried it, and on another node
    where there is one). `seconds` and `cpu_seconds` are the worker's, None where it was lost.
    """

    task: Task
    counts: dict[str, Any] | None
    error: str | None = None
    trace: str = ""
    kind: str = ""
    where: Where | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None


class Watcher(Protocol):
    """What is told of tasks while they run."""

    def started(self, task: Task) -> None:
        """A task was handed to whoever runs it."""
        ...

    def began(self, task: Task, where: Where) -> None:
        """A worker began with it; a second time where it was tried again."""
        ...

    def watching(self) -> None:
        """Nothing has ended for a while."""
        ...


class Runner(Protocol):
    """Where tasks run."""

    def start(self) -> str:
        """Make workers ready and say in one line where tasks will run."""
        ...

    def run(self, tasks: Sequence[Task], watcher: Watcher) -> Iterator[Result]:
        """Run tasks, largest first, and yield each result as it comes."""
        ...

    def close(self) -> None:
        """Let go of workers."""
        ...


def largest_first(tasks: Sequence[Task]) -> list[Task]:
    """Tasks in the order in which they are handed out."""
    return sorted(tasks, key=lambda task: (-task.weight, task.shard))


def result_of(task: Task, outcome: dict[str, Any], where: Where | None) -> Result:
    """The result of a task from its outcome, as `pipeline.working.call` gives it."""
    return Result(
        task,
        outcome.get("counts"),
        outcome.get("error"),
        outcome.get("trace", ""),
        outcome.get("kind", ""),
        where,
        outcome["seconds"],
        outcome["cpu_seconds"],
    )


class InProcessRunner:
    """Runs tasks one after the other in this process."""

    def start(self) -> str:
        """This process is ready."""
        return "working in this process"

    def run(self, tasks: Sequence[Task], watcher: Watcher) -> Iterator[Result]:
        """Run tasks, largest first."""
        for task in largest_first(tasks):
            watcher.started(task)
            where = here()
            watcher.began(task, where)
            yield result_of(task, call(task.function, task.given(), task.cpu_seconds), where)

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass
class Stopwatch:
    """Adds up wall seconds by step."""

    steps: dict[str, float]

    def time(self, step: str, since: float) -> float:
        """Add the time since `since` to a step and return the time now."""
        now = time.perf_counter()
        self.add(step, now - since)
        return now

    def add(self, step: str, seconds: float) -> None:
        """Add seconds to a step."""
        self.steps[step] = self.steps.get(step, 0.0) + seconds
