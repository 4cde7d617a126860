"""What big runs rest on: reserved memory, retries, limits of CPU time, stragglers, events, second crawls."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.entry_pack import load_entries
from pipeline.events import EVENTS, EventLog
from pipeline.ledger import ENTRY_SUFFIX, Entry, load_failures
from pipeline.progress import Progress
from pipeline.ray_runner import RETRIES, RayRunner
from pipeline.recipe import find_recipe, load_recipe
from pipeline.report.status import print_status
from pipeline.run import Run
from pipeline.run_folder import read_run
from pipeline.runner import InProcessRunner, Result, Task, Watcher, largest_first
from pipeline.schemas import SCHEMA_VERSION
from pipeline.steps import Incomplete
from pipeline.stragglers import LEAST_ENDED, LEAST_SECONDS, Pace
from pipeline.working import Where, call
from tests.pipeline.conftest import ROOT, SAMPLE_ROBOTS, Quiet, run_cli, table_bytes


class Noting(InProcessRunner):
    """Keeps the tasks that it runs, by stage as progress names it; lets some shards fail."""

    def __init__(self, failing: dict[str, str] | None = None) -> None:
        self.tasks: list[tuple[str, Task]] = []
        self.failing = failing or {}

    def run(self, tasks: Sequence[Task], watcher: Watcher) -> Iterator[Result]:
        assert isinstance(watcher, Progress)
        kept = []
        for task in largest_first(tasks):
            stage = watcher.stage
            self.tasks.append((stage, task))
            if self.failing.get(task.shard) == stage:
                yield Result(task, None, "it broke", kind="error", seconds=0.0, cpu_seconds=0.0)
            else:
                kept.append(task)
        yield from super().run(kept, watcher)

    def counts(self) -> Counter[str]:
        return Counter(stage for stage, _ in self.tasks)


def run(
    out: Path, inputs: Sequence[Path], runner: Any, overrides: tuple[str, ...] = (), retry: bool = False, **more: Any
) -> Run:
    job = Run(load_recipe(find_recipe("demo"), overrides), out, runner, Quiet(), retry)
    job.execute([str(path) for path in inputs], **more)
    return job


# Memory and CPU


def test_every_task_in_the_code_names_its_memory():
    """Whatever makes a Task hands it memory: the fourth argument, or memory_bytes, and no number that is 0."""
    found = 0
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "pipeline.runner"
            for alias in node.names
        }
        for node in ast.walk(tree):
            if "Task" in imports and isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Task":
                found += 1
                given = node.args[3:4] or [word.value for word in node.keywords if word.arg == "memory_bytes"]
                assert given, f"{path.name}, line {node.lineno}: a task reserves no memory"
                assert not isinstance(given[0], ast.Constant), f"{path.name}, line {node.lineno}: a bare number"
    assert found >= 20


def test_every_kind_of_task_of_a_run_reserves_memory_and_may_use_so_much_cpu_time(parts, tmp_path):
    runner = Noting()
    everything = (
        "select.rules=[{signal: hiragana_ratio, bottom: 0.9}, {signal: host_long, max: 2}]",
        "select.host_rates.long={signal: characters, min: 100}",
        "select.columns=[characters]",
        "dedup.repeats={documents: 2}",
        "shards.cpu_seconds=500",
    )
    job = run(tmp_path, parts[:2], runner, everything, robots=[str(SAMPLE_ROBOTS)])
    job.audit()
    assert set(runner.counts()) >= {
        "extract", "robots", "annotate", "sign", "dedup: keys", "dedup: edges", "dedup: components", "dedup",
        "select: robots pages", "select: robots captures", "select: robots decide", "select: robots",
        "select: host counts", "select: host sums", "select: host rates", "select: values", "select: quantiles",
        "select: judge", "select: gather", "select: resolve", "select: lines", "select: repeats", "select",
        "audit: units", "audit",
    }  # fmt: skip
    for stage, task in runner.tasks:
        assert task.memory_bytes >= 100_000_000, stage
        assert task.cpu_seconds == 500, stage
        if task.shard.startswith("part-0") and not task.shard.startswith("part-0000"):
            # A task of one shard, not of a range: the largest goes first.
            assert task.weight > 0, stage


def burn(seconds: float) -> dict[str, Any]:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    return Entry("burn", "burn").__dict__


def reserved(path: str) -> dict[str, Any]:
    import ray

    entry = Entry(Path(path).name, "reserved")
    entry.notes = {"resources": ray.get_runtime_context().get_assigned_resources()}
    return entry.__dict__


def die(path: str) -> dict[str, Any]:
    """Lose the worker at the first attempt alone."""
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Entry("die", "die").__dict__


def die_always() -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@pytest.mark.slow
def test_ray_reserves_what_a_task_asks_and_failures_have_their_kinds(tmp_path):
    """One start of Ray for all that only Ray can show."""
    log = io.StringIO()
    progress = Progress(tmp_path, io.StringIO(), EventLog(log))
    tasks = [
        Task("asks", reserved, {"path": str(tmp_path / "asks")}, 123_000_000),
        Task("dies-once", die, {"path": str(tmp_path / "died")}, 100_000_000),
        Task("dies", die_always, {}, 100_000_000),
        Task("burns", burn, {"seconds": 60}, 100_000_000, cpu_seconds=0.5),
        Task("sound", burn, {"seconds": 0}, 100_000_000, cpu_seconds=30),
    ]
    runner = RayRunner(2)
    try:
        runner.start()
        progress.begin("made up", tasks, len(tasks))
        found = {}
        for result in runner.run(tasks, progress):
            progress.finished(result)
            found[result.task.shard] = result
        progress.end()
    finally:
        runner.close()
    assert found["asks"].counts
    assert found["asks"].counts["notes"]["resources"] == {"CPU": 1.0, "memory": 123_000_000.0}
    assert found["dies-once"].counts and found["dies-once"].where and found["dies-once"].where.attempt == 2
    assert found["dies"].kind == "lost" and "the worker was lost" in str(found["dies"].error)
    assert found["dies"].where and found["dies"].where.attempt == 1 + RETRIES, "Ray tries again, and not for ever"
    assert found["burns"].kind == "cpu_time" and "shards.cpu_seconds" in str(found["burns"].error)
    assert found["sound"].counts, "a limit ends one task, not the next of the same worker"
    events = [json.loads(line) for line in log.getvalue().splitlines()]
    assert {one["shard"] for one in events if one["event"] == "task_retry"} == {"dies-once", "dies"}
    assert {one["shard"]: one["kind"] for one in events if one["event"] == "task_fail"} == {
        "dies": "lost",
        "burns": "cpu_time",
    }


# CPU time


@pytest.mark.parametrize("swallowing", [False, True])
def test_a_task_that_burns_cpu_is_stopped_with_its_reason(swallowing):
    def work() -> dict[str, Any]:
        if not swallowing:
            return burn(60)
        while True:
            with contextlib.suppress(Exception):
                # What takes any error of a page for the page's own.
                burn(60)

    outcome = call(work, {}, cpu_seconds=0.2)
    assert outcome["kind"] == "cpu_time" and "0.2 s of CPU time" in outcome["error"]
    assert 0.1 <= outcome["cpu_seconds"] < 10
    assert "counts" in call(burn, {"seconds": 0.3}, cpu_seconds=60), "no limit is left behind"
    time.sleep(0.01)


def test_a_shard_that_burns_cpu_is_listed_and_the_others_go_on(parts, tmp_path, monkeypatch, capsys):
    from pipeline import extract

    real = extract.read_input

    def slow(item: Any, *more: Any) -> Any:
        if item.name == parts[1].name:
            burn(60)
        return real(item, *more)

    monkeypatch.setattr(extract, "read_input", slow)
    arguments = ["run", "demo", "--out", str(tmp_path), "--workers", "0", "--set", "shards.cpu_seconds=4"]
    arguments += [word for path in parts[:3] for word in ("--input", str(path))]
    code, _, error = run_cli(monkeypatch, capsys, *arguments)
    assert code == 1 and "part-1: it used its 4 s of CPU time" in error
    folder = next(tmp_path.glob("documents-*"))
    assert {entry.shard for entry in load_entries(folder)} == {"part-0", "part-2"}
    assert set(load_failures(folder)) == {"part-1"}
    assert json.loads((folder / "part-1.failed.json").read_text())["kind"] == "cpu_time"
    code, printed, _ = run_cli(monkeypatch, capsys, *arguments, "--set", "max_failed_shards=1", "--set", "name=less")
    assert code == 0 and "without shard part-1, waived by max_failed_shards: it used its 4 s" in printed


# Retrying what failed


def test_retry_failed_does_the_failed_shards_and_what_depends_on_them_alone(parts, reference, tmp_path):
    with pytest.raises(Incomplete, match="2 shards failed"):
        run(tmp_path, parts, Noting({"part-1": "extract", "part-4": "extract"}))
    # One shard that has not failed is merely missing.
    (next(tmp_path.glob("documents-*")) / f"part-2{ENTRY_SUFFIX}").unlink()
    again = Noting({"part-4": "extract"})
    with pytest.raises(Incomplete, match="1 shard failed"):
        run(tmp_path, (), again, retry=True)
    assert {task.shard for _, task in again.tasks} == {"part-1", "part-4"}
    last = Noting()
    with pytest.raises(Incomplete, match=r"shards never tried \(.*part-2"):
        run(tmp_path, (), last, retry=True)
    assert {stage for stage, _ in last.tasks} == {"extract", "annotate", "sign"}
    assert {task.shard for stage, task in last.tasks if stage == "extract"} == {"part-4"}
    assert {task.shard for stage, task in last.tasks if stage == "annotate"} == {"part-4"}
    rest = Noting()
    run(tmp_path, (), rest)
    assert {task.shard for stage, task in rest.tasks if stage == "extract"} == {"part-2"}
    assert table_bytes(tmp_path) == reference


def test_retry_failed_tries_waived_shards_again_and_the_run_then_has_them(parts, tmp_path, monkeypatch, capsys):
    waive = ("max_failed_shards=1",)
    job = run(tmp_path, parts, Noting({"part-3": "extract"}), waive)
    assert job.waived == {"part-3": "it broke"}
    assert (read_run(tmp_path) or {})["recipes"]["demo"]["waived"] == {"part-3": "it broke"}
    assert run(tmp_path, (), Noting(), waive).tasks_run == 0, "a waived shard is not tried again by itself"
    again = Noting()
    job = run(tmp_path, (), again, waive, retry=True)
    assert again.counts()["extract"] == again.counts()["annotate"] == 1
    assert again.counts()["select: judge"] == 1 and again.counts()["select"] == len(parts)
    assert job.waived == {} and (read_run(tmp_path) or {})["recipes"]["demo"]["waived"] == {}
    before = table_bytes(tmp_path)
    arguments = ("run", "demo", "--out", str(tmp_path), "--workers", "0", "--retry-failed")
    code, printed, _ = run_cli(monkeypatch, capsys, *arguments, "--set", "max_failed_shards=1")
    assert code == 0 and "nothing to do, no shard has failed" in printed
    assert table_bytes(tmp_path) == before
    code, _, error = run_cli(monkeypatch, capsys, *arguments, "--set", "name=other")
    assert code == 2 and "recipe other has not run" in error


def test_a_failed_range_of_a_global_step_is_done_again(parts, reference, tmp_path):
    with pytest.raises(Incomplete, match="select: resolve"):
        run(tmp_path, parts, Noting({"part-00000": "select: resolve"}))
    again = Noting()
    run(tmp_path, (), again, retry=True)
    assert not {"extract", "annotate", "sign", "dedup"} & set(again.counts())
    assert table_bytes(tmp_path) == reference


# Stragglers


def test_a_task_is_slow_by_its_bytes_and_by_the_median_of_the_others():
    pace = Pace()
    where = Where("node-7", 42, 1000.0)
    running = [(Task("large", dict, {}, 1, weight=1000), where), (Task("small", dict, {}, 1, weight=10), where)]
    assert pace.stragglers(running, 1e9) == [], "nothing has ended, so nothing is known"
    for seconds in (1.0, 1.0, 2.0, 1.0, 900.0):
        pace.add(10, seconds)
    assert pace.expected(10) == pytest.approx(1.0), "one that took long does not move the median"
    assert pace.stragglers(running, 1000.0 + LEAST_SECONDS - 1) == []
    assert [one.shard for one in pace.stragglers(running, 1000.0 + LEAST_SECONDS + 1)] == ["small"]
    assert [one.shard for one in pace.stragglers(running, 1000.0 + 301)] == ["large", "small"]


def test_stragglers_are_named_by_status_by_the_progress_line_and_as_an_event(tmp_path, monkeypatch, parts):
    job = run(tmp_path, parts[:1], InProcessRunner(), last="extract")
    log = io.StringIO()
    progress = Progress(tmp_path, io.StringIO(), EventLog(log))
    tasks = [Task(f"s{number}", dict, {}, 1, weight=10) for number in range(LEAST_ENDED + 2)]
    progress.begin("extract", tasks, len(tasks))
    counts = Entry("s", "extract").__dict__
    since = time.time() - 600
    for task in tasks:
        progress.started(task)
        if task.shard != "s6":
            progress.began(task, Where("node-7", 4711, since))
    for task in tasks[:LEAST_ENDED]:
        progress.finished(Result(task, counts, where=Where("node-7", 4711, since), seconds=2.0, cpu_seconds=2.0))
    progress.watching()
    progress.end()
    assert "slow: s5 10 min 00 s on node-7" in progress.line()
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    slow = [one for one in told if one["event"] == "straggler"]
    assert len(slow) == 1, "each is told once"
    assert slow[0]["shard"] == "s5" and slow[0]["node"] == "node-7" and slow[0]["expected_seconds"] == 2.0
    printed = io.StringIO()
    print_status(Console(file=printed, width=200), tmp_path, job.tables, {})
    shown = printed.getvalue()
    assert "SLOW s5: for 10 min" in shown and "on node-7 (process 4711), since 20" in shown
    assert "others take 2 s for as much" in shown and "1 task at work, 1 handed out and not begun" in shown


# Events


def test_events_add_up_to_the_ledger(parts, tmp_path, monkeypatch, capsys):
    out, log = tmp_path / "out", tmp_path / "logs" / "events.jsonl"
    damaged = tmp_path / "notes.warc.gz"
    damaged.write_bytes(b"no WARC at all")
    arguments = ["run", "demo", "--out", str(out), "--workers", "0", "--log-json", str(log)]
    arguments += [word for path in [*parts[:2], damaged] for word in ("--input", str(path))]
    code, _, _ = run_cli(monkeypatch, capsys, *arguments)
    assert code == 1
    code, _, _ = run_cli(monkeypatch, capsys, *arguments, "--set", "max_failed_shards=1")
    assert code == 0
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for one in events:
        lacking = [name for name in ("time", "run", *EVENTS[one["event"]]) if name not in one]
        assert not lacking, f"{one['event']} lacks {lacking}"
    runs = list(dict.fromkeys(one["run"] for one in events))
    assert len(runs) == 2
    ends = [one for one in events if one["event"] == "run_end"]
    assert [one["exit_code"] for one in ends] == [1, 0]
    assert "1 shard failed" in ends[0]["error"] and list(ends[1]["waived"]) == ["notes"]
    assert {one["shard"] for one in events if one["event"] == "shard_waived"} == {"notes"}
    record = (read_run(out) or {})["recipes"]["demo"]
    whole = {"extract": "documents", "annotate": "signals", "sign": "signatures", "dedup": "candidates"}
    whole |= {"select: judge": "verdicts", "select: resolve": "duplicates", "select": "corpus"}
    for stage, table in whole.items():
        finished = [one for one in events if one["event"] == "task_finish" and one["stage"] == stage]
        entries = load_entries(out / record["tables"][table])
        assert Counter(one["shard"] for one in finished) == Counter(entry.shard for entry in entries)
        for name in ("read", "written", "characters_in", "characters_out", "bytes_in"):
            assert sum(one[name] for one in finished) == sum(getattr(entry, name) for entry in entries)
        for name in ("rejected", "errors"):
            sums: Counter[str] = Counter()
            for one in finished:
                sums.update(one[name])
            noted: Counter[str] = Counter()
            for entry in entries:
                noted.update(getattr(entry, name))
            assert sums == noted
    begun = Counter((one["stage"], one["shard"]) for one in events if one["event"] == "task_start")
    ended = Counter((one["stage"], one["shard"]) for one in events if one["event"] in ("task_finish", "task_fail"))
    assert begun == ended
    stages = Counter(one["stage"] for one in events if one["event"] == "stage_begin")
    assert stages == Counter(one["stage"] for one in events if one["event"] == "stage_end")


def test_events_on_standard_output_leave_nothing_else_there(parts, tmp_path, monkeypatch, capsys):
    arguments = ["run", "demo", "--out", str(tmp_path), "--workers", "0", "--log-json", "-", "--input", str(parts[0])]
    code, printed, error = run_cli(monkeypatch, capsys, *arguments, "--until", "select")
    assert code == 0
    assert [json.loads(line)["event"] for line in printed.splitlines()][-1] == "run_end"
    assert "from records to corpus" in error
    code, _, error = run_cli(monkeypatch, capsys, *arguments[:-4], "--log-json", str(parts[0] / "x" / "y"))
    assert code == 2 and "--log-json" in error


def test_every_event_and_its_fields_are_documented():
    documented = {}
    for line in (ROOT / "docs" / "running.md").read_text(encoding="utf-8").splitlines():
        name, _, fields = line.removeprefix("| `").partition("` | ")
        documented[name] = fields
    for event, fields in EVENTS.items():
        assert event in documented
        lacking = [name for name in fields if f"`{name}`" not in documented[event]]
        assert not lacking or event == "task_retry", f"{event}: {lacking}"


# Many crawls


def test_a_second_crawl_works_on_its_own_shards_and_the_global_steps(parts, reference, tmp_path):
    run(tmp_path, parts[:4], Noting())
    second = Noting()
    run(tmp_path, parts[4:], second)
    counts = second.counts()
    new, all_of_them = len(parts) - 4, len(parts)
    for stage in ("extract", "annotate", "sign", "select: judge"):
        assert counts.pop(stage) == new, stage
    for stage in ("dedup: keys", "dedup", "select: gather", "select: lines", "select"):
        assert counts.pop(stage) == all_of_them, stage
    assert set(counts) == {"dedup: edges", "dedup: components", "select: resolve", "select: repeats"}
    assert reference.items() <= table_bytes(tmp_path).items()


def test_the_same_crawl_given_again_is_no_work(parts, tmp_path):
    run(tmp_path, parts[:2], Noting())
    assert run(tmp_path, parts[:2], Noting()).tasks_run == 0


def test_an_out_of_another_schema_is_made_anew_beside_the_old_one_or_refused(parts, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    arguments = ["run", "demo", "--out", str(out), "--workers", "0", "--input", str(parts[0]), "--until", "extract"]
    with monkeypatch.context() as older:
        for module in ("ledger", "steps", "run"):
            older.setattr(f"pipeline.{module}.SCHEMA_VERSION", SCHEMA_VERSION - 1)
        run(out, parts[:1], InProcessRunner(), last="extract")
    old = set(out.rglob("*.parquet"))
    for command in (["funnel", str(out)], ["status", str(out)]):
        code, _, error = run_cli(monkeypatch, capsys, *command)
        assert code == 1 and len(error.strip().splitlines()) == 1, command
        assert f"written with schema version {SCHEMA_VERSION - 1}" in error and "run the recipe again" in error
    code, _, error = run_cli(monkeypatch, capsys, *arguments)
    assert code == 0 and f"tables of schema version {SCHEMA_VERSION - 1}: all are made anew beside them" in error
    assert old < set(out.rglob("*.parquet")), "the old tables stay"
    assert run_cli(monkeypatch, capsys, "funnel", str(out))[0] == 0
    record = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps(record | {"schema_version": SCHEMA_VERSION + 1}))
    code, _, error = run_cli(monkeypatch, capsys, *arguments)
    assert code == 2 and "use the newer Kamisuki" in error
