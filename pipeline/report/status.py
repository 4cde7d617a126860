"""Status: where a run stands, from its ledger and from what its driver last wrote."""

from __future__ import annotations

import datetime
import heapq
import socket
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.entry_pack import read_entries
from pipeline.files import read_json
from pipeline.ledger import load_failures
from pipeline.plan import load_plan
from pipeline.progress import human_seconds
from pipeline.run import ROBOTS_PLAN
from pipeline.run_folder import read_run
from pipeline.storage import lease
from pipeline.storage.places import Place, RemotePath
from pipeline.storage.scratch import process_alive
from pipeline.wording import counted

SLOWEST = 5
# Which folder of run.json tells of which stage, in the order of the stages.
STAGE_TABLES = (
    ("extract", "documents"),
    ("robots", "robots"),
    ("annotate", "signals"),
    ("sign", "signatures"),
    ("dedup", "candidates"),
    ("robots verdicts", "robots_verdicts"),
    ("host rates", "host_rates"),
    ("judge", "verdicts"),
    ("resolve", "duplicates"),
    ("repeats", "repeats"),
    ("select", "corpus"),
)


def stage_tables(tables: dict[str, str]) -> list[tuple[str, str]]:
    """(stage, table) of those that a run has, in the order of the stages; groups of signals stand with annotate."""
    found = []
    for stage, name in STAGE_TABLES:
        found += [(stage, name)] if name in tables else []
        if name == "signals":
            prefix = f"{name}_"
            more = sorted(table for table in tables if table.startswith(prefix))
            found += [(f"{stage}: {table.removeprefix(prefix)}", table) for table in more]
    return found


def driver_state(out: Place) -> dict[str, Any] | None:
    """What a driver that is alive last said of itself, else None: on this machine, or one that holds OUT on S3."""
    try:
        state = dict(read_json(out / "state.json"))
    except (FileNotFoundError, ValueError):
        return None
    if isinstance(out, RemotePath):
        found = lease.holder(str(out / ".lock"))
        alive = found is not None and not found[0]["stale"]
    else:
        alive = state["host"] == socket.gethostname() and process_alive(int(state["pid"]))
    return state if alive and state["done"] + state["failed"] < state["shards"] else None


def print_status(console: Console, out: Place, tables: dict[str, str], waived: Mapping[str, str]) -> None:
    """Shards done, running and failed of each stage, rates, time left and the slowest shards.

    `waived` are shards that the run goes on without, by max_failed_shards.
    """
    state = driver_state(out)
    if state:
        age = human_seconds(time.time() - state["time"])
        console.print(f"running (process {state['pid']} on {state['host']}, {age} ago): {state['line']}")
        _print_running(console, state)
    else:
        console.print("no run is at work here")
    planned = len(load_plan(out / "plan.json"))
    planned_robots = len(load_plan(out / f"{ROBOTS_PLAN}.json"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stage")
    for name in ("done", "failed", "records", "seconds of work", "records/s"):
        table.add_column(name, justify="right")
    failures: list[str] = []
    slowest: list[tuple[float, str]] = []
    for stage, name in stage_tables(tables):
        folder = out / tables[name]
        failed = load_failures(folder)
        done, seconds, read = 0, 0.0, 0
        for entry, _ in read_entries(folder):
            done, seconds, read = done + 1, seconds + entry.seconds, read + entry.read
            slowest.append((entry.seconds, f"{stage} {entry.shard}"))
            if len(slowest) > 1000:
                slowest = heapq.nlargest(SLOWEST, slowest)
        by_partition = ("duplicates", "repeats")
        whole = done if name in by_partition else planned_robots if name == "robots" else planned
        rate = f"{read / seconds:,.0f}" if seconds else ""
        table.add_row(stage, f"{done}/{whole}", str(len(failed)), f"{read:,}", f"{seconds:,.1f}", rate)
        failures += [
            f"{stage}: shard {shard} failed{' and is waived' if shard in waived else ''}: {error}"
            for shard, error in failed.items()
        ]
    console.print(table)
    for line in failures:
        console.print(line, soft_wrap=True)
    slow = heapq.nlargest(SLOWEST, slowest)
    console.print("slowest shards: " + "; ".join(f"{name} {human_seconds(seconds)}" for seconds, name in slow))


def _print_running(console: Console, state: dict[str, Any]) -> None:
    """What runs and since when; stragglers first, with what others would have taken for as many bytes."""
    now = time.time()
    console.print(f"{counted(state['running'], 'task')} at work, {state['waiting']} handed out and not begun")
    slow = {one["shard"]: one for one in state["stragglers"]}
    for one in [*slow.values(), *(one for one in state["longest"] if one["shard"] not in slow)]:
        started = datetime.datetime.fromtimestamp(one["since"]).strftime("%Y-%m-%d %H:%M:%S")
        line = f"{one['shard']}: for {human_seconds(now - one['since'])} on {one['node']} (process {one['pid']})"
        line += f", since {started}"
        line += f", attempt {one['attempt']}" if one.get("attempt", 1) > 1 else ""
        if one["shard"] in slow:
            line = f"SLOW {line}; others take {human_seconds(one['expected_seconds'])} for as much"
        console.print(f"  {line}", soft_wrap=True)


def known_waived(out: Place, name: str) -> dict[str, str]:
    """The shards that a recipe's run goes on without, and their errors, from run.json."""
    record = read_run(out)
    return dict(record["recipes"][name].get("waived", {})) if record else {}


def known_tables(out: Place, recipe: str | None) -> tuple[str, dict[str, str]]:
    """A recipe's name and its folders in run.json; the latest one by default."""
    from pipeline.errors import UsageError

    record = read_run(out)
    if record is None:
        raise UsageError(f"{out} holds no run: give the OUT folder of `kamisuki run`")
    name = recipe or record["latest"]
    if name not in record["recipes"]:
        raise UsageError(f"{out} has no run of recipe {name!r}; it has: {', '.join(sorted(record['recipes']))}")
    return name, dict(record["recipes"][name]["tables"])
