"""The same work by one worker and by two: what a run's parts take, and how many times faster two are.

    make bench-scaling BENCH=folder

The benchmark's WARC files are given several times under other names, so that the start of Ray and of workers weighs as
little as in a run of a crawl. A run of each file once goes before and is not counted, so that nobody is the first to
meet the files and the code. Then runs take turns as 1, 2, 2, 1 workers, so that neither always comes after the other.
Medians are printed, and the load of the machine before each run: what others do on it is in the seconds. So are
seconds of the processor by kind of process: what the driver and Ray use is not there for workers.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.ray_cost import KINDS, children, used_by

RECIPE = "swallow-v2"
IMPORTS, START = "start of Python, imports", "plan, start of Ray"
BETWEEN, END = "between stages", "end of the command"
STAGES, COMMAND, STEADY = "all stages", "the whole command", "the whole command without its start"
TASKS = "seconds of all tasks together"
# Processes are looked at so often: a look at all threads of Ray takes some 10 ms of the processor.
LOOK_SECONDS = 1.0


def seconds_of(event: dict[str, str]) -> float:
    """When an event was written, Unix seconds."""
    return datetime.datetime.fromisoformat(event["time"]).timestamp()


def watched(command: list[str]) -> dict[str, float]:
    """Do a command to its end: seconds of the processor by kind of process. Raises CalledProcessError."""
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    used: dict[int, tuple[str, float]] = {}
    while driver.poll() is None:
        for process in (driver.pid, *children(driver.pid)):
            if found := used_by(process):
                used[process] = found
        with contextlib.suppress(subprocess.TimeoutExpired):
            driver.wait(LOOK_SECONDS)
    if driver.returncode:
        raise subprocess.CalledProcessError(driver.returncode, command)
    of = dict.fromkeys(("driver", *KINDS), 0.0)
    for process, (kind, seconds) in used.items():
        of["driver" if process == driver.pid else kind] += seconds
    return {f"CPU: {kind}": seconds for kind, seconds in of.items()}


def run(inputs: Path, folder: Path, workers: int) -> dict[str, float]:
    """Wall seconds of a run by part, as its events tell them; of tasks, those that each took in its worker.

    Behind them, seconds of the processor by kind of process.
    """
    log = folder / "events.jsonl"
    command = [
        *(sys.executable, "-m", "pipeline.cli", "run", RECIPE, "--input", f"{inputs}/*.warc.gz"),
        *("--out", str(folder / "out"), "--workers", str(workers), "--log-json", str(log)),
    ]
    began = time.time()
    used = watched(command)
    ended = time.time()
    events = [json.loads(line) for line in log.read_text().splitlines()]
    stages: dict[str, float] = {}
    for event in events:
        if event["event"] == "stage_end":
            stages[event["stage"]] = stages.get(event["stage"], 0.0) + event["seconds"]
    first, last = (
        [seconds_of(event) for event in events if event["event"] == kind] for kind in ("stage_begin", "stage_end")
    )
    working, together = last[-1] - first[0], sum(stages.values())
    parts = {IMPORTS: seconds_of(events[0]) - began, START: first[0] - seconds_of(events[0])}
    parts |= stages | {STAGES: together, BETWEEN: working - together, END: ended - last[-1]}
    parts |= {TASKS: sum(event["seconds"] for event in events if event["event"] == "task_finish")}
    return parts | {STEADY: ended - first[0], COMMAND: ended - began} | used


def turns(count: int) -> list[int]:
    """The numbers of workers of so many turns, each of which begins as the one before ended."""
    return [workers for turn in range(count) for workers in ((1, 2) if turn % 2 == 0 else (2, 1))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path)
    parser.add_argument("--times", type=int, default=6, help="how often each file is given")
    parser.add_argument("--turns", type=int, default=2, help="runs of each number of workers")
    options = parser.parse_args()
    found: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory(prefix="kamisuki-scaling-") as scratch:
        inputs, once = Path(scratch) / "inputs", Path(scratch) / "once"
        inputs.mkdir()
        once.mkdir()
        for path in sorted((options.bench / "warc").glob("*.warc.gz")):
            shutil.copy(path, once)
            for number in range(options.times):
                # Copies, not links: a link would be the same input.
                shutil.copy(path, inputs / f"{number}-{path.name}")
        for number, workers in enumerate([2, *turns(options.turns)]):
            load, folder = os.getloadavg()[0], Path(scratch) / "run"
            folder.mkdir()
            took = run(inputs if number else once, folder, workers)
            shutil.rmtree(folder)
            if number:
                found[workers].append(took)
            told = "" if number else " (not counted)"
            print(
                f"{workers} workers: {took[COMMAND]:.1f} s{told}, load before {load:.1f}", file=sys.stderr, flush=True
            )
    print("| | 1 worker, s | 2 workers, s | times faster |\n|---|---:|---:|---:|")
    for part in found[1][0]:
        one, two = (statistics.median(took[part] for took in found[workers]) for workers in (1, 2))
        print(f"| {part} | {one:.2f} | {two:.2f} | {one / two:.2f} |")


if __name__ == "__main__":
    main()
