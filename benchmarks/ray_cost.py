"""What Ray adds to a task: submitting, scheduling and returning tasks that do nothing with a run's own arguments.

    .venv/bin/python -m benchmarks.ray_cost FOLDER [--tasks 4000]

`make bench-driver` ends with it. The tasks are those that a run of the recipe hands out, through the run's own runner,
with another function. Seconds of the processor are the system's accounts of each process. Of Ray's processes the GCS
serves the whole cluster; a raylet and workers stand on each node.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.driver import Pretending, make_inputs, run_until
from pipeline.ledger import Entry
from pipeline.ray_runner import RayRunner
from pipeline.runner import Task
from pipeline.stages import STAGES
from pipeline.working import Where

WORKERS = 2
NEW_WORKERS = 20
KINDS = ("GCS", "raylet", "workers", "other processes")
# The first tasks wait for workers to start and to load the code.
WARMING_TASKS = 200
# Tasks of the stages that have one for each shard, with the fewest and the most arguments among them.
SHOWN = ("extract_shard", "annotate_shard", "partition_keys", "gather_candidates", "write_corpus")


class Unwatched:
    """Looks at nothing."""

    def started(self, task: Task) -> None:
        """Nobody asks."""

    def began(self, task: Task, where: Where) -> None:
        """Nobody asks."""

    def watching(self) -> None:
        """Nobody asks."""


def nothing(**arguments: Any) -> dict[str, Any]:
    """A task that does nothing but come back with an entry."""
    return Entry("nothing", "nothing").__dict__


def children(process: int) -> Iterator[int]:
    """All processes below one."""
    for below in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found = below.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            # The thread has ended just now.
            continue
        for child in map(int, found):
            yield child
            yield from children(child)


def _kind(line: str) -> str:
    if line.startswith("ray::") and "Agent" not in line:
        return "workers"
    return "GCS" if "gcs_server" in line else "raylet" if "raylet/raylet" in line else "other processes"


def used_by(process: int) -> tuple[str, float] | None:
    """Kind of a process, and seconds of the processor that it has used; None when it has ended."""
    try:
        line = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        # Behind the name in parentheses: fields 14 and 15 of proc(5) are user and system time.
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # A process that has ended and that nobody has waited for has no line.
    return (_kind(line), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")) if line else None


def processor_seconds() -> dict[str, float]:
    """Seconds of the processor by kind of process: this one, the driver, and those of Ray that it started."""
    found = {"driver": time.process_time(), **dict.fromkeys(KINDS, 0.0)}
    # One that has ended just now is left out: the workers that do these tasks stay.
    for kind, seconds in filter(None, map(used_by, children(os.getpid()))):
        found[kind] += seconds
    return found


def measure(workers: RayRunner, tasks: list[Task]) -> tuple[float, dict[str, float]]:
    """Wall seconds, and seconds of the processor by kind of process, of so many tasks."""
    began, before = time.perf_counter(), processor_seconds()
    for result in workers.run(tasks, Unwatched()):
        if result.counts is None:
            raise RuntimeError(f"a task that does nothing failed: {result.error}")
    took = time.perf_counter() - began
    after = processor_seconds()
    return took, {kind: after[kind] - before[kind] for kind in after}


def real_tasks(folder: Path, count: int) -> dict[str, list[Task]]:
    """By function, the tasks of a run of so many shards, with `nothing` in the function's place and little memory."""
    make_inputs(folder, count)
    pretending = Pretending()
    pretending.keep = count
    run_until(folder, STAGES[-1], True, pretending)
    return {
        name: [replace(task, function=nothing, memory_bytes=1_000_000) for task in tasks]
        for name, tasks in pretending.kept.items()
        if name in SHOWN
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="scratch: it is made and removed")
    parser.add_argument("--tasks", type=int, default=4_000, help="of each function")
    options = parser.parse_args()
    folder = options.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        tasks = real_tasks(folder, options.tasks)
    finally:
        shutil.rmtree(folder)
    # The start of another worker is no cost of a task.
    workers = RayRunner(WORKERS, tasks_per_worker=0)
    workers.start()
    load = os.getloadavg()[0]
    print(f"\nRay's own, {options.tasks:,} tasks of each function on {WORKERS} workers; load {load:.1f}\n")
    print("| arguments of | bytes | wall, ms | driver, ms of CPU | GCS | raylet | workers |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    try:
        measure(workers, next(iter(tasks.values()))[:WARMING_TASKS])
        for name in SHOWN:
            some = tasks[name]
            size = sum(len(json.dumps(task.given())) for task in some) / len(some)
            wall, used = measure(workers, some)
            each = [wall, *(used[kind] for kind in ("driver", "GCS", "raylet", "workers"))]
            told = " | ".join(f"{seconds / len(some) * 1e3:.2f}" for seconds in each)
            print(f"| {name} | {size:,.0f} | {told} |", flush=True)
        workers.tasks_per_worker = 1
        wall, _ = measure(workers, some[:NEW_WORKERS])
        print(f"\n{wall / NEW_WORKERS:.1f} s of the clock for a task where each has a new worker")
    finally:
        workers.close()


if __name__ == "__main__":
    main()
