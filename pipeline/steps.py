"""Steps: doing what is missing of a set of tasks, in a folder named by what made it, and refusing what is not whole."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.entries import Done, Entries
from pipeline.entry_pack import PackWriter, read_entries
from pipeline.errors import KamisukiError
from pipeline.files import canonical_digest, remove_temporaries, write_json
from pipeline.ledger import (
    ENTRY_SUFFIX,
    FAILURE_SUFFIX,
    Entry,
    entry_path,
    load_failure,
    note_failure,
)
from pipeline.progress import Progress
from pipeline.runner import TASK_CPU_SECONDS, Runner, Task
from pipeline.schemas import SCHEMA_VERSION
from pipeline.storage.places import (
    FileFacts,
    Place,
    delete,
    delete_tree,
    exists,
    file_facts,
    folder_exists,
    make_folder,
    tree_sizes,
)
from pipeline.wording import counted

STEPS_FILE = "steps.json"
MADE_BY = "made_by.json"
# Stages whose shards do not look at each other: one can be done while others are missing.
SHARD_STAGES = ("extract", "ingest", "robots", "annotate", "sign")
WAIVABLE_STAGES = ("extract", "ingest")


class Incomplete(KamisukiError):
    """A stage could not finish all of its shards."""


def folder_name(table: str, made_by: dict[str, Any]) -> str:
    """The name of the folder of a table that is decided by `made_by`."""
    return f"{table}-{canonical_digest({'schema_version': SCHEMA_VERSION, **made_by})}"


@dataclass
class Finished:
    """A finished step: its folder and what the ledger says of its shards."""

    folder: Place
    entries: Mapping[str, Done]
    _fingerprints: dict[str, str] = field(default_factory=dict)

    def outputs(self, table: str, shard: str) -> dict[str, Any]:
        """What the ledger says of a shard's file of a table."""
        if isinstance(self.entries, Entries):
            return self.entries.output(table, shard)
        return self.entries[shard].outputs[table]

    def file(self, table: str, shard: str) -> str:
        """The path of a shard's file of a table."""
        return str(self.folder / self.outputs(table, shard)["file"])

    def bytes(self, table: str, shard: str) -> int:
        """The size of a shard's file of a table."""
        return int(self.outputs(table, shard)["bytes"])

    def inputs(self, table: str, shard: str) -> list[dict[str, Any]]:
        """What the next stage notes as its input."""
        found = self.outputs(table, shard)
        return [{"name": f"{table}/{shard}", "bytes": found["bytes"], "digest": found["digest"]}]

    def fingerprint(self, table: str) -> str:
        """One digest over the sorted shards and the digests of their files."""
        if table not in self._fingerprints:
            digests = {shard: self.outputs(table, shard)["digest"] for shard in sorted(self.entries)}
            self._fingerprints[table] = canonical_digest(digests, 32)
        return self._fingerprints[table]


def finished_before(folder: Place) -> Finished:
    """What a folder's ledger says was done in it."""
    return Finished(folder, Entries(entry for entry, _ in read_entries(folder)))


@dataclass(frozen=True, slots=True)
class Job:
    """A task to be done unless its ledger entry stands, its files are there and `is_current` says that it still holds.

    `expected_read` is how many rows the stage before wrote for it. `failure_holds` says of a noted failure that
    trying again would only fail again; the shard is then not tried where it is waived.
    """

    task: Task
    is_current: Callable[[Entry], bool] = field(default=lambda entry: True)
    expected_read: int | None = None
    failure_holds: Callable[[dict[str, Any]], bool] = field(default=lambda failure: False)


class Steps:
    """Does steps in OUT and remembers which folder holds which table, which shards are waived and how much was done.

    With `retry_failed`, stages of single shards do those that failed before and what depends on them; what else is
    missing there stands in `left`. No task may use more than `cpu_seconds` of CPU time.
    """

    def __init__(
        self,
        out: Place,
        runner: Runner,
        progress: Progress,
        max_failed_shards: int,
        remember: Callable[[], None],
        cpu_seconds: float | None = TASK_CPU_SECONDS,
        retry_failed: bool = False,
    ) -> None:
        self.out = out
        self.remember = remember
        self.runner = runner
        self.progress = progress
        self.max_failed_shards = max_failed_shards
        self.cpu_seconds = cpu_seconds
        self.retry_failed = retry_failed
        self.retried: set[str] = set()
        self.left: set[str] = set()
        self.tables: dict[str, str] = {}
        self.waived: dict[str, str] = {}
        self.tasks_run = 0
        self.may_work = True

    def folder(self, table: str, made_by: dict[str, Any], name: str | None = None) -> Place:
        """The folder of a table that is decided by `made_by`, known in run.json as `name` or the table."""
        made_by = {"schema_version": SCHEMA_VERSION, **made_by}
        folder = self.out / folder_name(table, made_by)
        self.tables[name or table] = folder.name
        if not exists(folder / MADE_BY):
            write_json(folder / MADE_BY, made_by)
        return folder

    def do(
        self,
        stage: str,
        folder: Place,
        jobs: Sequence[Job],
        before: Callable[[], None] | None = None,
        scratch: Place | None = None,
        also: Sequence[Place] = (),
    ) -> Finished:
        """Do what is missing of a step; `before` makes what its tasks read in `scratch`, which goes at the end."""
        with PackWriter() as pack:
            return self._do(stage, folder, jobs, before, scratch, also, pack)

    def _do(
        self,
        stage: str,
        folder: Place,
        jobs: Sequence[Job],
        before: Callable[[], None] | None,
        scratch: Place | None,
        also: Sequence[Place],
        pack: PackWriter,
    ) -> Finished:
        listed = {folder.name: file_facts(folder)}
        by_shard = {job.task.shard: job for job in jobs}
        kept = _Kept(by_shard, pack)
        stale = set()
        for entry, line in read_entries(folder, listed[folder.name]):
            job = by_shard.get(entry.shard)
            if job is not None and self._files_stand(entry, listed) and job.is_current(entry):
                kept.add(entry, line)
            elif job is not None:
                stale.add(entry.shard)
        missing = [job for job in jobs if job.task.shard not in kept.entries]
        if self.retry_failed and stage.partition(":")[0] in SHARD_STAGES:
            missing = self._to_retry(missing, listed[folder.name])
        failures, missing = self._known_failures(folder, missing, listed[folder.name])
        if missing and not self.may_work:
            names = ", ".join(sorted(job.task.shard for job in missing)[:5])
            raise Incomplete(
                f"{stage}: {len(missing)} of {counted(len(jobs), 'shard')} not done ({names}): run it first, with "
                f"--from {stage.split(':')[0]} or without --from"
            )
        lost = False
        if missing:
            for place in (folder, *also):
                make_folder(place)
                remove_temporaries(place)
            self.remember()
            if before:
                before()
            if not self.tasks_run:
                self.progress.say(self.runner.start())
            for shard in sorted(stale & {job.task.shard for job in missing}):
                # An entry that no longer holds must not outlive the files that are about to be made anew.
                delete(entry_path(folder, shard))
            tasks = [replace(job.task, cpu_seconds=self.cpu_seconds) for job in missing]
            self.progress.begin(stage, tasks, len(jobs))
            for result in self.runner.run(tasks, self.progress):
                self.tasks_run += 1
                shard = result.task.shard
                if result.counts is None:
                    failures[shard] = str(result.error)
                    lost = lost or result.kind in ("lost", "place")
                    with contextlib.suppress(OSError):
                        # The failure is in `failures` already; a full disk must not hide it.
                        note_failure(folder, shard, result.kind, str(result.error), result.trace, result.task.signature)
                else:
                    # What a worker wrote last and gave back: its file is looked for below, and need not be read.
                    kept.add(Entry(**result.counts))
                self.progress.finished(result)
            self.progress.end()
            listed[folder.name] = file_facts(folder)
            succeeded = sorted({job.task.shard for job in missing} - failures.keys())
            gone = [shard for shard in succeeded if f"{shard}{ENTRY_SUFFIX}" not in listed[folder.name]]
            failures |= dict.fromkeys(gone, "its ledger entry is missing")
            lost = lost or bool(gone)
        if kept.changed:
            pack.save(folder, listed[folder.name])
        self._judge_failures(stage, failures, waivable=stage in WAIVABLE_STAGES and not lost)
        for shard in sorted(kept.wrong):
            raise Incomplete(
                f"{stage}: the ledger of shard {shard} does not add up (read {kept.entries[shard].read}, the stage "
                f"before wrote {by_shard[shard].expected_read}): remove {entry_path(folder, shard)} and run again"
            )
        if scratch and folder_exists(scratch):
            keep_steps(folder, scratch)
            delete_tree(scratch)
        return Finished(folder, kept.entries)

    def _files_stand(self, entry: Entry, listed: dict[str, dict[str, FileFacts]]) -> bool:
        """Whether each file that an entry speaks of is there with its size; `listed` keeps one listing a folder."""
        for output in entry.outputs.values():
            name = output["folder"]
            if name not in listed:
                listed[name] = file_facts(self.out / name)
            if listed[name].get(output["file"], (None,))[0] != output["bytes"]:
                return False
        return True

    def _to_retry(self, missing: list[Job], listed: Mapping[str, object]) -> list[Job]:
        """Of what is missing, the jobs that failed before or whose shard was retried by a stage before."""
        chosen = [
            job for job in missing if f"{job.task.shard}{FAILURE_SUFFIX}" in listed or job.task.shard in self.retried
        ]
        names = {job.task.shard for job in chosen}
        self.retried |= names
        self.left |= {job.task.shard for job in missing} - names
        return chosen

    def _known_failures(
        self, folder: Place, missing: list[Job], listed: Mapping[str, object]
    ) -> tuple[dict[str, str], list[Job]]:
        """Failures that need no second try because they are waived and nothing about them changed; and the rest."""
        if self.retry_failed:
            return {}, missing
        there = [job.task.shard for job in missing if f"{job.task.shard}{FAILURE_SUFFIX}" in listed]
        noted = {shard: load_failure(folder, shard) for shard in there}
        holding = {
            job.task.shard: str(failure["error"])
            for job in missing
            if (failure := noted.get(job.task.shard)) is not None and job.failure_holds(failure)
        }
        if len(holding) > self.max_failed_shards:
            return {}, missing
        return holding, [job for job in missing if job.task.shard not in holding]

    def _judge_failures(self, stage: str, failures: dict[str, str], waivable: bool) -> None:
        if not failures:
            return
        if waivable and len(failures) <= self.max_failed_shards:
            self.waived |= failures
            for shard, error in sorted(failures.items()):
                self.progress.waived(stage, shard, error)
            return
        listed = "; ".join(f"{shard}: {error}" for shard, error in sorted(failures.items())[:3])
        more = f" and {len(failures) - 3} more" if len(failures) > 3 else ""
        hint = "mend the cause and run again"
        if waivable:
            hint += f", or let the run go on without them: --set max_failed_shards={len(failures)}"
        raise Incomplete(f"{stage}: {counted(len(failures), 'shard')} failed ({listed}{more}): {hint}")


class _Kept:
    """The entries of a step that hold, those that do not add up, and whether they differ from the folder's pack."""

    def __init__(self, jobs: Mapping[str, Job], pack: PackWriter) -> None:
        self.entries = Entries()
        self.wrong: set[str] = set()
        self.changed = False
        self._jobs, self._pack = jobs, pack

    def add(self, entry: Entry, line: bytes | None = None) -> None:
        """Keep an entry; `line` is what the folder's pack holds of it."""
        expected = self._jobs[entry.shard].expected_read
        if entry.balance() != 0 or expected not in (None, entry.read):
            self.wrong.add(entry.shard)
        self.entries.add(entry)
        self._pack.add(entry, line)
        self.changed = self.changed or line is None


def was_made_of(inputs: list[dict[str, Any]] | Callable[[str], list[dict[str, Any]]], entry: Entry) -> bool:
    """Whether an entry's inputs are these, or those that `inputs` gives for its shard."""
    return entry.inputs == (inputs if isinstance(inputs, list) else inputs(entry.shard))


def keep_steps(folder: Place, scratch: Place) -> None:
    """Keep what the ledgers of a step's exchange say, added up by step, before the exchange goes."""
    kept: dict[str, dict[str, Any]] = {}
    names = [name for name in tree_sizes(scratch) if name.endswith(ENTRY_SUFFIX)]
    for below in sorted({name.rpartition("/")[0] for name in names}):
        for entry, _ in read_entries(scratch / below if below else scratch):
            step = kept.setdefault(entry.stage, {"tasks": 0, "seconds": 0.0, "read": 0, "written": 0, "notes": {}})
            step["tasks"] += 1
            step["seconds"] += entry.seconds
            step["read"] += entry.read
            step["written"] += entry.written
            for name, value in entry.notes.items():
                step["notes"][name] = _together(name, step["notes"].get(name), value)
    write_json(folder / STEPS_FILE, kept)


def _together(name: str, one: Any, other: Any) -> Any:
    """What two entries note under one name: counts are added up, of the largest one stays, lists are joined."""
    if one is None or not isinstance(other, int | list):
        return other
    return max(one, other) if name.startswith("largest") and isinstance(other, int) else one + other
