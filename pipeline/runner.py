"""Running tasks: in one process for tests, on Ray for work. A task takes paths and settings and returns counts.

Correctness rests on files and ledger alone; a runner only decides where and when a task runs.
"""

from __future__ import annotations

import errno
import logging
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.errors import KamisukiError

# A worker that ran this many tasks is replaced, so that what parsers leak goes with it.
TASKS_PER_WORKER = 32
# Tasks in flight for each processor: enough to hide scheduling, few enough that a driver's memory is flat.
IN_FLIGHT = 2


@dataclass(frozen=True)
class Task:
    """One shard's work of one stage: `function(**arguments)` in a worker that has `memory_bytes` reserved.

    `signature` is what a failure is noted with, so that a later run can tell whether its cause still stands.
    """

    shard: str
    function: Callable[..., dict[str, Any]]
    arguments: dict[str, Any]
    memory_bytes: int
    weight: int = 0
    signature: Any = None


@dataclass(frozen=True)
class Result:
    """A finished task: its counts, or one line that says why there are none."""

    task: Task
    counts: dict[str, Any] | None
    error: str | None = None
    trace: str = ""
    lost: bool = False


class Runner(Protocol):
    """Where tasks run."""

    def start(self) -> str:
        """Make workers ready and say in one line where tasks will run."""
        ...

    def run(self, tasks: Sequence[Task], started: Callable[[Task], None]) -> Iterator[Result]:
        """Run tasks, largest first, and yield each result as it comes."""
        ...

    def close(self) -> None:
        """Let go of workers."""
        ...


def describe_error(error: BaseException) -> str:
    """An exception as one readable line."""
    if isinstance(error, KamisukiError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        place = f" while writing {error.filename}" if error.filename else ""
        return f"no space left for the output{place}: free some space and run again ({error.strerror})"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def call(function: Callable[..., dict[str, Any]], arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a task and return its counts, or its error as data: an error of the work is no error of the worker."""
    try:
        return {"counts": function(**arguments)}
    except Exception as error:  # noqa: BLE001 - every error of a shard is noted under its name and ends non-zero
        return {"error": describe_error(error), "trace": traceback.format_exc()}


def _result(task: Task, outcome: dict[str, Any]) -> Result:
    return Result(task, outcome.get("counts"), outcome.get("error"), outcome.get("trace", ""))


class InProcessRunner:
    """Runs tasks one after the other in this process."""

    def start(self) -> str:
        """This process is ready."""
        return "working in this process"

    def run(self, tasks: Sequence[Task], started: Callable[[Task], None]) -> Iterator[Result]:
        """Run tasks, largest first."""
        for task in sorted(tasks, key=lambda task: (-task.weight, task.shard)):
            started(task)
            yield _result(task, call(task.function, task.arguments))

    def close(self) -> None:
        """Nothing to let go of."""


class RayRunner:
    """Runs tasks on Ray: started at the first task, local with `workers` processors or on the cluster at `address`."""

    def __init__(self, workers: int | None = None, address: str | None = None) -> None:
        self.workers = workers
        self.address = address
        self._ray: Any = None
        self._started_here = False

    def start(self) -> str:
        """Start Ray or join the cluster."""
        ray = self._start()
        where = f"the cluster at {self.address}" if self.address else "this machine"
        return f"Ray is ready with {int(ray.cluster_resources().get('CPU', 1))} processors on {where}"

    def _start(self) -> Any:
        if self._ray is not None:
            return self._ray
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        if not ray.is_initialized():
            try:
                if self.address:
                    ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR)
                else:
                    ray.init(
                        # Not a cluster that RAY_ADDRESS or an earlier `ray start` left about.
                        address="local",
                        num_cpus=self.workers or os.cpu_count(),
                        # Paths, not data, travel between tasks: the object store needs no more than its least size.
                        object_store_memory=100_000_000,
                        include_dashboard=False,
                        log_to_driver=False,
                        logging_level=logging.ERROR,
                    )
            except (ConnectionError, ValueError, RuntimeError) as error:
                where = f"the Ray cluster at {self.address}" if self.address else "Ray on this machine"
                raise KamisukiError(f"cannot start {where}: {describe_error(error)}") from None
            self._started_here = True
        self._ray = ray
        return ray

    def run(self, tasks: Sequence[Task], started: Callable[[Task], None]) -> Iterator[Result]:
        """Submit tasks, largest first, a bounded number at a time, and yield results as they come."""
        ray = self._start()
        remote = ray.remote(max_calls=TASKS_PER_WORKER)(call)
        cpus = int(ray.cluster_resources().get("CPU", 1))
        waiting = sorted(tasks, key=lambda task: (-task.weight, task.shard), reverse=True)
        most = max((task.memory_bytes for task in tasks), default=0)
        nodes = [node["Resources"].get("memory", 0) for node in ray.nodes() if node["Alive"]]
        if nodes and most > max(nodes):
            raise KamisukiError(
                f"a task needs {most:,} bytes of memory and the largest node has {int(max(nodes)):,}: "
                "use larger nodes, or lower extract.limits.memory_bytes"
            )
        flying: dict[Any, Task] = {}
        while waiting or flying:
            while waiting and len(flying) < IN_FLIGHT * cpus:
                task = waiting.pop()
                handle = remote.options(num_cpus=1, memory=task.memory_bytes, max_retries=3, name=task.shard).remote(
                    task.function, task.arguments
                )
                flying[handle] = task
                started(task)
            done, _ = ray.wait(list(flying), num_returns=1)
            for handle in done:
                task = flying.pop(handle)
                try:
                    outcome = ray.get(handle)
                except ray.exceptions.RayError as error:
                    # The work did not fail, its place did: such a shard is never waived.
                    yield Result(task, None, f"the worker was lost: {describe_error(error)}"[:500], lost=True)
                    continue
                yield _result(task, outcome)

    def close(self) -> None:
        """Stop Ray if this runner started it."""
        if self._ray is not None and self._started_here:
            self._ray.shutdown()
        self._ray = None


@dataclass
class Stopwatch:
    """Adds up wall seconds by step."""

    steps: dict[str, float]

    def time(self, step: str, since: float) -> float:
        """Add the time since `since` to a step and return the time now."""
        now = time.perf_counter()
        self.steps[step] = self.steps.get(step, 0.0) + now - since
        return now
