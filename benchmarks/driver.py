"""What the driver of a run costs: inputs listed, planned, handed out and tracked, where the shards' work is nothing.

    make bench-driver [SHARDS=100000]

The run's own code does all (inputs, plan, ledger, stages, progress, status) over files of 1 GB that hold nothing but
their size. In the place of workers stands `Pretending`: for each task it leaves the ledger entry and the files, empty
but of the right size, that the task would have left. Its time is taken off; what remains is the driver's. Each line is
a process of its own; memory is its peak. What Ray itself adds to a task is measured besides
(`benchmarks/ray_cost.py`).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console

from pipeline.files import canonical_digest
from pipeline.inputs import find_inputs, input_stat
from pipeline.ledger import Entry, entry_path, entry_record
from pipeline.plan import extend_plan, load_plan, save_plan
from pipeline.progress import Progress
from pipeline.recipe import Recipe, find_recipe, load_recipe
from pipeline.report.status import known_tables, print_status
from pipeline.run import Run
from pipeline.runner import Result, Task, Watcher, largest_first
from pipeline.stages import STAGES
from pipeline.storage.places import as_place
from pipeline.working import here

RECIPE = "swallow-v2"
INPUT_BYTES = 1_000_000_000
# What a shard of a crawl holds: records, Japanese documents among them, and their letters.
RECORDS, DOCUMENTS, LETTERS = 45_000, 1_500, 3_000_000
OUTPUT_BYTES = 6_000_000
REASONS = (
    *("http_status", "not_html", "no_kana", "not_japanese", "truncated", "too_many_elements", "no_text"),
    *("too_few_japanese_letters_visible", "bad_content_encoding", "cut_record", "body_too_large"),
)
STEPS_OF_EXTRACT = ("read", "gate", "decode", "page", "main text", "language", "license and consent", "metadata")
# By the function of a task: the tables that it writes, and the argument that names each one's folder.
WRITES = {
    "extract_shard": {"documents": "documents", "rejects": "rejects"},
    "annotate_shard": {"signals": "folder"},
    "sign_shard": {"signatures": "folder"},
    "write_candidates": {"candidates": "folder"},
    "judge_shard": {"verdicts": "folder"},
    "resolve_partition": {"duplicates": "folder"},
    "write_corpus": {"corpus": "corpus", "rejects": "rejects"},
}
RAY_TASKS = 4_000
MOST_BYTES, MOST_SECONDS = 2**30, 60.0


class Pretending:
    """A runner whose tasks leave what they would have left, without their work; `seconds` is what that took.

    Of each function it keeps the first `keep` tasks.
    """

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = 0.0
        self.kept: dict[str, list[Task]] = {}
        self.keep = 0

    def start(self) -> str:
        return "nobody works"

    def run(self, tasks: Sequence[Task], watcher: Watcher) -> Iterator[Result]:
        for task in largest_first(tasks):
            kept = self.kept.setdefault(task.function.__name__, []) if self.keep else []
            if len(kept) < self.keep:
                kept.append(replace(task, arguments=task.given()))
            watcher.started(task)
            where = here()
            watcher.began(task, where)
            began, used = time.perf_counter(), time.process_time()
            counts = leave(task)
            self.seconds += time.perf_counter() - began
            self.cpu_seconds += time.process_time() - used
            yield Result(task, counts, where=where, seconds=60.0, cpu_seconds=60.0)

    def close(self) -> None: ...


def leave(task: Task) -> dict[str, Any]:
    """The entry of a task, with the files of which it speaks."""
    function, given = task.function.__name__, task.given()
    entry = Entry(task.shard, function, inputs=given.get("inputs", []), seconds=60.0)
    entry.read = entry.written = DOCUMENTS
    entry.characters_in = entry.characters_out = LETTERS
    if function == "extract_shard":
        inputs = given["shard"]["inputs"]
        entry.read, entry.bytes_in = RECORDS, INPUT_BYTES
        share = (RECORDS - DOCUMENTS) // len(REASONS)
        entry.rejected = dict.fromkeys(REASONS, share)
        entry.rejected["http_status"] += RECORDS - DOCUMENTS - share * len(REASONS)
        entry.steps = dict.fromkeys(STEPS_OF_EXTRACT, 7.123456789)
        entry.inputs = [{"name": item["name"], "bytes": item["bytes"], "digest": f"xxh3:{0:032x}"} for item in inputs]
        entry.notes["stat"] = {item["name"]: input_stat(item["path"], item["bytes"]) for item in inputs}
        entry.notes["other_types"] = {"application/pdf": 12, "image/jpeg": 9}
    if function == "write_candidates":
        entry.notes["largest_component"] = 12
    folders = {table: given[argument] for table, argument in WRITES.get(function, {}).items()}
    for table, folder in folders.items():
        path = Path(folder) / f"{task.shard}.parquet"
        with path.open("wb") as file:
            os.truncate(file.fileno(), OUTPUT_BYTES)
        digest = canonical_digest([table, task.shard], 64)
        rows = DOCUMENTS
        written = {"folder": path.parent.name, "file": path.name, "rows": rows, "bytes": OUTPUT_BYTES, "digest": digest}
        entry.outputs[table] = written
    home = Path(given.get("folder") or given.get("corpus") or given["documents"])
    content = json.dumps(entry_record(entry.__dict__), ensure_ascii=False, indent=1, sort_keys=True)
    Path(str(entry_path(home, task.shard))).write_text(content + "\n")
    return entry.__dict__


class Unseen:
    """A screen that nobody looks at; progress still writes its state."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False


def make_inputs(folder: Path, count: int) -> Path:
    """A crawl's list of so many files, and the files, 900 in each segment."""
    names = [
        f"crawl-data/CC-MAIN-2026-40/segments/{1700000000 + number // 900}.17/warc/"
        f"CC-MAIN-20261001000000-20261001030000-{number % 900:05d}.warc.gz"
        for number in range(count)
    ]
    for name in names:
        path = folder / name
        if not number_of(name):
            path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            os.truncate(file.fileno(), INPUT_BYTES)
    listed = folder / "warc.paths.gz"
    listed.write_bytes(gzip.compress("\n".join(names).encode(), 6))
    return listed


def number_of(name: str) -> int:
    return int(name[-13:-8])


def recipe_of(folder: Path) -> Recipe:
    # As many bytes as one file is expected to give, so that each file is a shard.
    return load_recipe(find_recipe(RECIPE), (f"sources.base={folder}", "shards.documents_bytes=8000000"))


def run_until(folder: Path, last: str, given: bool, runner: Pretending | None = None) -> dict[str, float]:
    """Run the recipe to a stage; returns the driver's seconds."""
    out, runner = folder / "out", runner or Pretending()
    screen: TextIO = Unseen()  # type: ignore[assignment]
    job = Run(recipe_of(folder), out, runner, Progress(out, screen))
    job.execute([str(folder / "warc.paths.gz")] if given else [], last=last)
    return {"tasks": job.tasks_run, "less": runner.seconds, "less_cpu": runner.cpu_seconds}


def list_inputs(folder: Path) -> dict[str, float]:
    return {"tasks": len(find_inputs([str(folder / "warc.paths.gz")], recipe_of(folder).sources))}


def plan_inputs(folder: Path) -> dict[str, float]:
    recipe = recipe_of(folder)
    given = find_inputs([str(folder / "warc.paths.gz")], recipe.sources)
    path = as_place(str(folder / "plan-alone.json"))
    save_plan(path, extend_plan([], given, recipe.shards))
    return {"tasks": len(load_plan(path))}


def status(folder: Path) -> dict[str, float]:
    console = Console(file=Unseen(), width=200)  # type: ignore[arg-type]
    print_status(console, folder / "out", known_tables(folder / "out", None)[1], {})
    return {}


STEPS = {
    "list the inputs": list_inputs,
    "list, plan, write and read the plan": plan_inputs,
    "all of extract: list, plan, hand out, track": lambda folder: run_until(folder, "extract", True),
    "extract again: all is done": lambda folder: run_until(folder, "extract", True),
    "status": status,
    "the other stages to the corpus": lambda folder: run_until(folder, STAGES[-1], False),
    "the whole run again: all is done": lambda folder: run_until(folder, STAGES[-1], False),
    "status of the whole run": status,
}
# What the target speaks of.
TARGET = ("all of extract: list, plan, hand out, track",)


def step(name: str, folder: Path) -> None:
    """Do one step in this process and print what it cost, imports left out."""
    began, used = time.perf_counter(), time.process_time()
    done = STEPS[name](folder)
    took = {"seconds": time.perf_counter() - began - done.get("less", 0.0)}
    took |= {"cpu": time.process_time() - used - done.get("less_cpu", 0.0), "tasks": done.get("tasks", 0)}
    took["bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(took))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="scratch: it is made and removed")
    parser.add_argument("--shards", type=int, default=100_000)
    parser.add_argument("--only", nargs="*", choices=list(STEPS), default=list(STEPS), metavar="STEP")
    parser.add_argument("--ray-tasks", type=int, default=RAY_TASKS)
    options = parser.parse_args()
    folder = options.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    problems = []
    try:
        make_inputs(folder, options.shards)
        print(f"{options.shards:,} shards; load of the machine {os.getloadavg()[0]:.1f}\n")
        print(
            "| step | tasks | wall, s | CPU, s | µs of CPU a task | peak memory, MB |\n|---|---:|---:|---:|---:|---:|"
        )
        for name in options.only:
            command = [sys.executable, "-m", "benchmarks.driver", "--step", name, str(folder)]
            found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
            each = f"{found['cpu'] / found['tasks'] * 1e6:,.0f}" if found["tasks"] else ""
            print(
                f"| {name} | {found['tasks']:,} | {found['seconds']:.1f} | {found['cpu']:.1f} | {each} "
                f"| {found['bytes'] / 1e6:,.0f} |",
                flush=True,
            )
            if found["bytes"] > MOST_BYTES:
                problems.append(f"{name} took {found['bytes'] / 1e6:,.0f} MB")
            if name in TARGET and found["seconds"] > MOST_SECONDS:
                problems.append(f"{name} took {found['seconds']:.0f} s")
    finally:
        shutil.rmtree(folder)
    if options.ray_tasks:
        command = [sys.executable, "-m", "benchmarks.ray_cost", str(folder), "--tasks", str(options.ray_tasks)]
        subprocess.run(command, check=True)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "--step":
        step(sys.argv[2], Path(sys.argv[3]))
    else:
        sys.exit(main())
