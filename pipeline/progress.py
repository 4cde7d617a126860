"""Progress of a run: a line a stage with shards, rates and time left; plain lines where there is no terminal."""

from __future__ import annotations

import os
import socket
import sys
import time
from typing import Any, TextIO

from pipeline.events import EventLog
from pipeline.files import write_json
from pipeline.metrics import Metrics
from pipeline.runner import Result, Task
from pipeline.storage.places import Place, RemotePath
from pipeline.stragglers import Pace, Straggler
from pipeline.wording import counted, visible_lines
from pipeline.working import Where

PLAIN_EVERY_SECONDS = 10.0
STATE_EVERY_SECONDS = 2.0
# Each state on S3 is a request that costs.
REMOTE_STATE_EVERY_SECONDS = 15.0
# Of what runs, status names so many, those first that run longest.
LONGEST_NAMED = 20
WATCH_EVERY_SECONDS = 5.0
STRAGGLERS_IN_LINE = 3
# What a task's ledger entry counts and an event repeats.
COUNTS = ("read", "written", "rejected", "errors", "characters_in", "characters_out", "bytes_in")


def human_seconds(seconds: float) -> str:
    """A duration as a person writes it: 42 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """Shows one stage at a time and keeps OUT/state.json, which `kamisuki status` reads.

    What happens goes to `events` too where there is a log, and is counted in Ray's metrics where Ray exports any.
    """

    def __init__(self, out: Place | None = None, stream: TextIO | None = None, events: EventLog | None = None) -> None:
        self.stream = stream or sys.stderr
        self.events = events or EventLog(None)
        self.metrics = Metrics()
        self.tasks_ended = 0
        self.state_path = out / "state.json" if out else None
        self._state_every = REMOTE_STATE_EVERY_SECONDS if isinstance(out, RemotePath) else STATE_EVERY_SECONDS
        self._terminal = self.stream.isatty()
        self._last_print = self._last_state = self._last_look = 0.0
        self._stage = ""
        self._total = self._done_before = self._finished = self._failed = 0
        self._shown = -1
        self._handed: set[str] = set()
        self._running: dict[str, tuple[Task, Where]] = {}
        self._pace = Pace()
        self._stragglers: dict[str, Straggler] = {}
        self._documents = self._bytes = 0
        self._weight_total = self._weight_done = 0
        self._started = 0.0

    @property
    def stage(self) -> str:
        """The stage that is shown."""
        return self._stage

    def say(self, line: str) -> None:
        """Print a line of its own."""
        if self._terminal:
            self.stream.write("\r\x1b[K")
        # Ids and names of anybody's are in what failed.
        self.stream.write(visible_lines(line) + "\n")
        self.stream.flush()

    def planned(self, plan: str, inputs: int, size: int, shards: int, new: int) -> None:
        """A plan is made or extended: how many inputs of how many bytes in how many shards."""
        self.events.emit("plan", plan=plan, inputs=inputs, bytes=size, shards=shards, new_shards=new)
        found = f"{counted(inputs, 'input')} of {size / 1e6:,.1f} MB in {counted(shards, 'shard')}"
        self.say(f"{plan}: {found}, {new} of them new")

    def begin(self, stage: str, tasks: list[Task], total: int) -> None:
        """A stage starts: `tasks` are to do, of `total` shards."""
        self._stage, self._total, self._done_before = stage, total, total - len(tasks)
        self._finished = self._failed = self._documents = self._bytes = self._weight_done = 0
        self._weight_total = sum(max(1, task.weight) for task in tasks) or 1
        self._handed, self._running, self._pace, self._stragglers = set(), {}, Pace(), {}
        self._shown = -1
        self._started = time.monotonic()
        self._last_print = 0.0 if self._terminal else self._started
        self.events.emit("stage_begin", stage=stage, shards=total, to_do=len(tasks))
        self._write_state(force=True)

    def started(self, task: Task) -> None:
        """A task was handed to a worker."""
        self._handed.add(task.shard)
        self._write_state()

    def began(self, task: Task, where: Where) -> None:
        """A worker began with a task, or again with one that was lost."""
        self._running[task.shard] = (task, where)
        self._stragglers.pop(task.shard, None)
        event = "task_start" if where.attempt == 1 else "task_retry"
        self.events.emit(event, stage=self._stage, shard=task.shard, **_place(where), attempt=where.attempt)
        self._write_state()

    def watching(self) -> None:
        """Look for stragglers; nothing need have ended."""
        self._last_look = time.monotonic()
        for found in self._pace.stragglers(self._running.values(), time.time()):
            if found.shard not in self._stragglers:
                told = {"expected_seconds": found.expected_seconds, "seconds": found.seconds}
                self.events.emit("straggler", stage=self._stage, shard=found.shard, **_place(found.where), **told)
            self._stragglers[found.shard] = found
        self._print_now_and_then()
        self._write_state()

    def finished(self, result: Result) -> None:
        """A task ended, well or not."""
        shard = result.task.shard
        self.tasks_ended += 1
        self.metrics.finished(self._stage, result)
        self._handed.discard(shard)
        self._running.pop(shard, None)
        self._stragglers.pop(shard, None)
        self._weight_done += max(1, result.task.weight)
        told: dict[str, Any] = {"stage": self._stage, "shard": shard}
        if result.where:
            told |= _place(result.where) | {"attempt": result.where.attempt}
        told |= {"seconds": result.seconds, "cpu_seconds": result.cpu_seconds}
        if result.counts is None:
            self._failed += 1
            self.events.emit("task_fail", **told, kind=result.kind, error=result.error)
            self.say(f"{self._stage}: shard {shard} failed: {result.error}")
        else:
            self._finished += 1
            self._documents += result.counts["written"]
            self._bytes += result.counts["bytes_in"]
            counts = {name: result.counts.get(name) for name in COUNTS}
            self.events.emit("task_finish", **told, **counts)
            if result.seconds is not None:
                self._pace.add(result.task.weight, result.seconds)
        self._print_now_and_then()
        if time.monotonic() - self._last_look >= WATCH_EVERY_SECONDS:
            self.watching()
        self._write_state()

    def waived(self, stage: str, shard: str, error: str) -> None:
        """The run goes on without a shard."""
        self.events.emit("shard_waived", stage=stage, shard=shard, error=error)
        self.say(f"{stage}: shard {shard} is waived by max_failed_shards: {error}")

    def _print_now_and_then(self) -> None:
        now = time.monotonic()
        if now - self._last_print >= (0.2 if self._terminal else PLAIN_EVERY_SECONDS):
            self._last_print = now
            self._show()

    def end(self) -> None:
        """The stage is over: its last line stays."""
        if self._terminal or self._shown != self._finished + self._failed:
            self._show(last=True)
        took = time.monotonic() - self._started
        told = {"done": self._done_before + self._finished, "failed": self._failed, "seconds": took}
        self.events.emit("stage_end", stage=self._stage, shards=self._total, **told)
        self._write_state(force=True)

    def _show(self, last: bool = False) -> None:
        line = self.line()
        self._shown = self._finished + self._failed
        if self._terminal and not last:
            self.stream.write("\r\x1b[K" + line)
            self.stream.flush()
        else:
            self.say(line)

    def line(self) -> str:
        """The stage's progress as one line."""
        seconds = max(time.monotonic() - self._started, 1e-6)
        parts = [f"{self._stage}: {self._done_before + self._finished}/{self._total} shards"]
        if self._failed:
            parts.append(f"{self._failed} failed")
        parts.append(f"{self._documents / seconds:,.0f} documents/s")
        if self._bytes:
            parts.append(f"{self._bytes / seconds / 1e6:.1f} MB/s")
        if 0 < self._weight_done < self._weight_total:
            left = seconds * (self._weight_total - self._weight_done) / self._weight_done
            parts.append(f"{human_seconds(left)} left")
        else:
            parts.append(f"took {human_seconds(seconds)}")
        if self._stragglers:
            named = self._longest_stragglers()[:STRAGGLERS_IN_LINE]
            told = ", ".join(f"{one.shard} {human_seconds(one.seconds)} on {one.where.node}" for one in named)
            more = len(self._stragglers) - len(named)
            parts.append(f"slow: {told}" + (f" and {more} more" if more else ""))
        return ", ".join(parts)

    def _longest_stragglers(self) -> list[Straggler]:
        return sorted(self._stragglers.values(), key=lambda one: (-one.seconds, one.shard))

    def state(self) -> dict[str, Any]:
        """What runs now, for other processes to read."""
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "time": time.time(),
            "stage": self._stage,
            "shards": self._total,
            "done": self._done_before + self._finished,
            "failed": self._failed,
            "running": len(self._running),
            "waiting": len(self._handed) - len(self._running),
            "longest": [
                {"shard": task.shard, **_place(where), "since": where.since, "attempt": where.attempt}
                for task, where in sorted(self._running.values(), key=lambda pair: pair[1].since)[:LONGEST_NAMED]
            ],
            "stragglers": [
                {
                    "shard": one.shard,
                    **_place(one.where),
                    "since": one.where.since,
                    "expected_seconds": one.expected_seconds,
                }
                for one in self._longest_stragglers()[:LONGEST_NAMED]
            ],
            "line": self.line() if self._started else "",
        }

    def _write_state(self, force: bool = False) -> None:
        now = time.monotonic()
        if self.state_path and (force or now - self._last_state >= self._state_every):
            self._last_state = now
            write_json(self.state_path, self.state())


def _place(where: Where) -> dict[str, Any]:
    return {"node": where.node, "pid": where.pid}
