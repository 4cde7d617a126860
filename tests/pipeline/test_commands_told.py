"""Every command that works on shards tells events, reserves a limit of CPU time, and leaves standard output to them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence

import typer

from pipeline.cli import app
from pipeline.events import EVENTS
from pipeline.runner import TASK_CPU_SECONDS, InProcessRunner, Result, Task, Watcher
from tests.pipeline.conftest import run_cli


def test_every_command_that_may_work_on_a_cluster_can_tell_events() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    options = {name: {word for each in command.params for word in each.opts} for name, command in commands.items()}
    working = {name for name, words in options.items() if "--ray-address" in words}
    assert working >= {"run", "ingest", "audit", "rewrite", "release", "export", "mix", "compare-pack", "takedown"}
    assert not {name for name in working if "--log-json" not in options[name]}


def test_events_of_audit_release_and_export_and_nothing_else_on_standard_output(
    sample_run, tmp_path, monkeypatch, capsys
) -> None:
    tasks: list[Task] = []
    run_them = InProcessRunner.run

    def noted(self: InProcessRunner, given: Sequence[Task], watcher: Watcher) -> Iterator[Result]:
        tasks.extend(given)
        return run_them(self, given, watcher)

    monkeypatch.setattr(InProcessRunner, "run", noted)
    out, release = tmp_path / "out", tmp_path / "release"
    shutil.copytree(sample_run.out, out)
    for command, more in (
        ("audit", [str(out)]),
        ("release", [str(out), "--to", str(release)]),
        ("export", [str(release), "--to", str(tmp_path / "text"), "--as", "text"]),
        ("export", [str(tmp_path / "no release"), "--to", str(tmp_path / "none"), "--as", "text"]),
    ):
        tasks.clear()
        code, printed, error = run_cli(monkeypatch, capsys, command, *more, "--workers", "0", "--log-json", "-")
        told = [json.loads(line) for line in printed.splitlines()]
        begin, end = told[0], told[-1]
        assert (begin["event"], begin["command"], end["event"]) == ("run_begin", command, "run_end")
        assert end["exit_code"] == code and (code == 0) == (end["error"] is None), error
        for one in told:
            assert not [name for name in EVENTS[one["event"]] if name not in one]
        finished = [one["shard"] for one in told if one["event"] == "task_finish"]
        assert sorted(finished) == sorted(task.shard for task in tasks) and end["tasks"] == len(tasks)
        assert {task.cpu_seconds for task in tasks} <= {TASK_CPU_SECONDS}
        assert bool(tasks) == (code in (0, 3))
    code, _, error = run_cli(monkeypatch, capsys, "audit", str(out), "--json", "--log-json", "-")
    assert code == 2 and "give --log-json a file" in error
