"""Progress of a run: a line a stage with shards, rates and time left; plain lines where there is no terminal."""

from __future__ import annotations

import os
import socket
import sys
import time
from typing import Any, TextIO

from pipeline.files import write_json
from pipeline.runner import Result, Task
from pipeline.storage.places import Place, RemotePath

PLAIN_EVERY_SECONDS = 10.0
STATE_EVERY_SECONDS = 2.0
# Each state on S3 is a request that costs.
REMOTE_STATE_EVERY_SECONDS = 15.0


def human_seconds(seconds: float) -> str:
    """A duration as a person writes it: 42 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """Shows one stage at a time and keeps OUT/state.json, which `kamisuki status` reads."""

    def __init__(self, out: Place | None = None, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.state_path = out / "state.json" if out else None
        self._state_every = REMOTE_STATE_EVERY_SECONDS if isinstance(out, RemotePath) else STATE_EVERY_SECONDS
        self._terminal = self.stream.isatty()
        self._last_print = self._last_state = 0.0
        self._stage = ""
        self._total = self._done_before = self._finished = self._failed = 0
        self._shown = -1
        self._running: dict[str, float] = {}
        self._documents = self._bytes = 0
        self._weight_total = self._weight_done = 0
        self._started = 0.0

    def say(self, line: str) -> None:
        """Print a line of its own."""
        if self._terminal:
            self.stream.write("\r\x1b[K")
        self.stream.write(line + "\n")
        self.stream.flush()

    def begin(self, stage: str, tasks: list[Task], total: int) -> None:
        """A stage starts: `tasks` are to do, of `total` shards."""
        self._stage, self._total, self._done_before = stage, total, total - len(tasks)
        self._finished = self._failed = self._documents = self._bytes = self._weight_done = 0
        self._weight_total = sum(task.weight for task in tasks) or 1
        self._running = {}
        self._shown = -1
        self._started = time.monotonic()
        self._last_print = 0.0 if self._terminal else self._started
        self._write_state(force=True)

    def started(self, task: Task) -> None:
        """A task was handed to a worker."""
        self._running[task.shard] = time.time()
        self._write_state()

    def finished(self, result: Result) -> None:
        """A task ended, well or not."""
        self._running.pop(result.task.shard, None)
        self._weight_done += result.task.weight
        if result.counts is None:
            self._failed += 1
            self.say(f"{self._stage}: shard {result.task.shard} failed: {result.error}")
        else:
            self._finished += 1
            self._documents += result.counts["written"]
            self._bytes += result.counts["bytes_in"]
        now = time.monotonic()
        if now - self._last_print >= (0.2 if self._terminal else PLAIN_EVERY_SECONDS):
            self._last_print = now
            self._show()
        self._write_state()

    def end(self) -> None:
        """The stage is over: its last line stays."""
        if self._terminal or self._shown != self._finished + self._failed:
            self._show(last=True)
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
        return ", ".join(parts)

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
            "running": self._running,
            "line": self.line() if self._started else "",
        }

    def _write_state(self, force: bool = False) -> None:
        now = time.monotonic()
        if self.state_path and (force or now - self._last_state >= self._state_every):
            self._last_state = now
            write_json(self.state_path, self.state())
