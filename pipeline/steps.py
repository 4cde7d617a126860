"""Steps: doing what is missing of a set of tasks, in a folder named by what made it, and refusing what is not whole."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import KamisukiError
from pipeline.files import canonical_digest, remove_temporaries, write_json
from pipeline.ledger import Entry, load_entry, note_failure
from pipeline.progress import Progress
from pipeline.runner import Runner, Task
from pipeline.schemas import SCHEMA_VERSION


class Incomplete(KamisukiError):
    """A stage could not finish all of its shards."""


@dataclass
class Finished:
    """A finished step: its folder and the ledger entries of its shards."""

    folder: Path
    entries: dict[str, Entry]

    def outputs(self, table: str, shard: str) -> dict[str, Any]:
        """What the ledger says of a shard's file of a table."""
        return self.entries[shard].outputs[table]

    def file(self, table: str, shard: str) -> str:
        """The path of a shard's file of a table."""
        return str(self.folder / self.outputs(table, shard)["file"])

    def inputs(self, table: str, shard: str) -> list[dict[str, Any]]:
        """What the next stage notes as its input."""
        found = self.outputs(table, shard)
        return [{"name": f"{table}/{shard}", "bytes": found["bytes"], "digest": found["digest"]}]

    def fingerprint(self, table: str) -> str:
        """One digest over the sorted shards and the digests of their files."""
        return canonical_digest({shard: self.outputs(table, shard)["digest"] for shard in sorted(self.entries)}, 32)


@dataclass(frozen=True)
class Job:
    """A task to be done unless its ledger entry stands and `is_current` says that it still holds."""

    task: Task
    is_current: Callable[[Entry], bool] = field(default=lambda entry: True)


class Steps:
    """Does steps in OUT and remembers which folder holds which table, which shards are waived and how much was done."""

    def __init__(
        self, out: Path, runner: Runner, progress: Progress, max_failed_shards: int, remember: Callable[[], None]
    ) -> None:
        self.out = out
        self.remember = remember
        self.runner = runner
        self.progress = progress
        self.max_failed_shards = max_failed_shards
        self.tables: dict[str, str] = {}
        self.waived: dict[str, str] = {}
        self.tasks_run = 0
        self.may_work = True

    def folder(self, table: str, made_by: dict[str, Any], name: str | None = None) -> Path:
        """The folder of a table that is decided by `made_by`, known in run.json as `name` or the table."""
        made_by = {"schema_version": SCHEMA_VERSION, **made_by}
        folder = self.out / f"{table}-{canonical_digest(made_by)}"
        self.tables[name or table] = folder.name
        if not (folder / "made_by.json").exists():
            write_json(folder / "made_by.json", made_by)
        return folder

    def do(
        self,
        stage: str,
        folder: Path,
        jobs: Sequence[Job],
        before: Callable[[], None] | None = None,
        scratch: Path | None = None,
        also: Sequence[Path] = (),
    ) -> Finished:
        """Do what is missing of a step; `before` makes what its tasks read in `scratch`, which goes at the end."""
        entries: dict[str, Entry] = {}
        missing: list[Task] = []
        for job in jobs:
            entry = load_entry(folder, job.task.shard)
            if entry is not None and job.is_current(entry):
                entries[job.task.shard] = entry
            elif job.task.shard not in self.waived:
                missing.append(job.task)
        if missing and not self.may_work:
            names = ", ".join(sorted(task.shard for task in missing)[:5])
            raise Incomplete(
                f"{stage}: {len(missing)} of {len(jobs)} shards are not done ({names}): run it first, with --from "
                f"{stage.split(':')[0]} or without --from"
            )
        failures: dict[str, str] = {}
        if missing:
            for place in (folder, *also):
                place.mkdir(parents=True, exist_ok=True)
                remove_temporaries(place)
            self.remember()
            if before:
                before()
            if not self.tasks_run:
                self.progress.say(self.runner.start())
            self.progress.begin(stage, missing, len(jobs))
            for result in self.runner.run(missing, self.progress.started):
                self.tasks_run += 1
                if result.counts is None:
                    failures[result.task.shard] = str(result.error)
                    with contextlib.suppress(OSError):
                        # The failure is in `failures` already; a full disk must not hide it.
                        note_failure(folder, result.task.shard, str(result.error), result.trace)
                self.progress.finished(result)
            self.progress.end()
            for task in missing:
                if task.shard not in failures:
                    entry = load_entry(folder, task.shard)
                    if entry is None:
                        failures[task.shard] = "its ledger entry is missing"
                    else:
                        entries[task.shard] = entry
        self._judge_failures(stage, failures, waivable=stage == "extract")
        for entry in entries.values():
            if entry.balance() != 0:
                raise Incomplete(f"{stage}: the ledger of shard {entry.shard} does not add up: remove it and run again")
        if scratch and scratch.exists():
            shutil.rmtree(scratch)
        return Finished(folder, entries)

    def _judge_failures(self, stage: str, failures: dict[str, str], waivable: bool) -> None:
        if not failures:
            return
        if waivable and len(failures) <= self.max_failed_shards:
            self.waived |= failures
            for shard, error in sorted(failures.items()):
                self.progress.say(f"{stage}: shard {shard} is waived by max_failed_shards: {error}")
            return
        listed = "; ".join(f"{shard}: {error}" for shard, error in sorted(failures.items())[:3])
        more = f" and {len(failures) - 3} more" if len(failures) > 3 else ""
        hint = "mend the cause and run again"
        if waivable:
            hint += f", or let the run go on without them: --set max_failed_shards={len(failures)}"
        raise Incomplete(f"{stage}: {len(failures)} shards failed ({listed}{more}): {hint}")
