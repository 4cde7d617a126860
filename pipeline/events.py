"""The log of events that `--log-json` writes: one JSON object a line, for programs that watch runs."""

from __future__ import annotations

import datetime
import json
import os
import uuid
from typing import Annotated, Any, TextIO

import typer

from pipeline.errors import UsageError

# The option of the commands that work on a run or a release.
LogJson = Annotated[
    str | None, typer.Option("--log-json", help="Add events to this file, one JSON line each; - is standard output.")
]
STANDARD_OUTPUT = "-"
# Every event, and the fields that it always has besides `time`, `run` and `event`.
EVENTS = {
    "run_begin": ("command", "recipe", "out", "version"),
    "plan": ("plan", "inputs", "bytes", "shards", "new_shards"),
    "stage_begin": ("stage", "shards", "to_do"),
    "task_start": ("stage", "shard", "node", "pid", "attempt"),
    "task_retry": ("stage", "shard", "node", "pid", "attempt"),
    "task_finish": (
        "stage", "shard", "node", "pid", "attempt", "seconds", "cpu_seconds",
        "read", "written", "rejected", "errors", "characters_in", "characters_out", "bytes_in",
    ),
    "task_fail": ("stage", "shard", "seconds", "cpu_seconds", "kind", "error"),
    "straggler": ("stage", "shard", "node", "pid", "seconds", "expected_seconds"),
    "shard_waived": ("stage", "shard", "error"),
    "stage_end": ("stage", "shards", "done", "failed", "seconds"),
    "run_end": ("exit_code", "error", "tasks", "waived", "seconds"),
}  # fmt: skip


class EventLog:
    """Writes events to a stream, each as one line at once; without a stream it writes nothing."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._run = uuid.uuid4().hex[:12]

    def emit(self, event: str, **fields: Any) -> None:
        """Write one event of EVENTS with its fields."""
        if self._stream is None:
            return
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, Any] = {"time": now, "run": self._run, "event": event}
        line |= {name: round(value, 3) if isinstance(value, float) else value for name, value in fields.items()}
        self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._stream.flush()


def open_log(file: str | None, standard_output: TextIO) -> EventLog:
    """The log that `--log-json FILE` asks for, at the end of FILE. Raises UsageError where it cannot be written."""
    if file is None:
        return EventLog(None)
    if file == STANDARD_OUTPUT:
        return EventLog(standard_output)
    try:
        os.makedirs(os.path.dirname(os.path.abspath(file)), exist_ok=True)
        return EventLog(open(file, "a", encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--log-json {file}: cannot be written: {error.strerror}") from None
