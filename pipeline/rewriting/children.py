"""Children: items worked through by a script in processes of their own, whose deaths cost one item each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LOOP = Path(__file__).with_name("child.py")
# A child that waits uses no CPU: the clock ends it after so many times the CPU seconds, plus those of its start.
_CLOCK_FACTOR = 10
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Failed:
    """An item without an answer: what the worker raised, or how its process ended."""

    detail: str


def work_in_children(
    worker: Path, items: Sequence[Any], *, seconds: float, memory_bytes: int, variables: dict[str, str] | None = None
) -> list[Any]:
    """Return for each item what `work(item)` of the script `worker` returns, or Failed.

    Items and answers are JSON values. `seconds` is of CPU time for an item; `memory_bytes` is of the child's address
    space. A child that dies fails the item it was at, and another one goes on behind it. `variables` are added to
    the child's environment, which has nothing else of ours. Raises RuntimeError for a worker that cannot start.
    """
    answers: list[Any] = []
    with tempfile.TemporaryDirectory(prefix="kamisuki-") as folder:
        path = Path(folder) / "items.jsonl"
        path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="ascii")
        while len(answers) < len(items):
            found, ending = _one_child(worker, path, len(answers), seconds, memory_bytes, folder, variables or {})
            answers += found
            if len(answers) < len(items):
                answers.append(Failed(ending))
    return answers


def _one_child(
    worker: Path, items: Path, first: int, seconds: float, memory_bytes: int, folder: str, variables: dict[str, str]
) -> tuple[list[Any], str]:
    """The answers of one child from item `first` on, and how it ended."""
    command = [sys.executable, "-I", str(_LOOP), str(worker.resolve()), str(items), str(first)]
    command += [str(seconds), str(memory_bytes)]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": folder, "LC_ALL": "C.UTF-8"} | variables
    answers: list[Any] = []
    stopped = threading.Event()
    errors = Path(folder) / "errors.txt"
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=folder,
            env=environment,
            text=True,
            start_new_session=True,
        )

    def stop() -> None:
        stopped.set()
        _kill_group(process.pid)

    try:
        assert process.stdout is not None
        watch = _watch(_START_SECONDS + _CLOCK_FACTOR * seconds, stop)
        try:
            for line in process.stdout:
                watch.cancel()
                if not line.endswith("\n"):
                    break
                answer = json.loads(line)
                answers.append(answer["done"] if "done" in answer else Failed(answer["failed"]))
                watch = _watch(_CLOCK_FACTOR * seconds, stop)
            code = process.wait()
        finally:
            watch.cancel()
    finally:
        _kill_group(process.pid)
        process.stdout.close()  # type: ignore[union-attr]
        process.wait()
    if code > 0:
        raise RuntimeError(f"{worker.name} ended with exit code {code}: {errors.read_text(errors='replace')[-500:]}")
    return answers, "timed out" if stopped.is_set() else _ending(code)


def _watch(seconds: float, stop: Any) -> threading.Timer:
    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    return timer


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _ending(code: int) -> str:
    """How a process ended, by its return code, which is 0 or below."""
    if code == -signal.SIGPROF:
        return "out of CPU time"
    return f"ended by {signal.Signals(-code).name}" if code else "ended early"
