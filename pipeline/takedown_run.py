"""A takedown: rows go out of a release, out of what was made of it, and out of what is made later; whole or finished.

What is done is noted in the release's `.local/taking-down` before any file changes: first the requests, then which rows
each data file has of them. A takedown that was killed is finished by the next one from these notes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa

from pipeline.errors import KamisukiError, UsageError
from pipeline.files import TableWriter, canonical_digest, read_json, read_table, remove_temporaries, write_json
from pipeline.progress import Progress
from pipeline.release import taking_down as tasks
from pipeline.release.at_hand import refuse_missing
from pipeline.release.card import write_card
from pipeline.release.manifest import DATA, LOCAL, File, Manifest, Takedown, read_manifest, write_manifest
from pipeline.release.manifest import Task as Part
from pipeline.release.tally import add_up, take_away, together_days
from pipeline.release.tombstones import add_tombstones, buried, listed_for
from pipeline.release.unfinished import Plan, read_plan, taking_down, write_plan
from pipeline.release_folder import EXCHANGE, LEDGER, LISTED, ORIGIN
from pipeline.release_lock import held
from pipeline.runner import Runner, Task
from pipeline.steps import Finished, Job, Steps, was_made_of
from pipeline.storage.places import Place, as_place, delete, delete_tree, folder_exists, tree_sizes
from pipeline.takedown_list import (
    TAKEN_DOWN,
    Request,
    published_reason,
    read_requests,
    remember_requests,
    requests_digest,
    together,
    write_requests,
)
from pipeline.takedown_reach import UNREADABLE, Reached, reach
from pipeline.working import describe_error

SOURCES = "sources.parquet"


@dataclass
class Removed:
    """What went out of a release: rows by request, files written anew, in order of their paths; and how many requests
    were followed, those without a row too."""

    rows: dict[Request, int] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    followed: int = 0


@dataclass(frozen=True)
class _Found:
    """What a list names in a release: the list, and by data file the ledger entry and the folder of its rows."""

    requests: list[Request]
    by_path: dict[str, tuple[Finished, str]]

    def entry(self, path: str) -> Any:
        finished, shard = self.by_path[path]
        return finished.entries[shard]

    def touched(self) -> list[str]:
        """The data files that hold a row of the list."""
        return [path for path in self.by_path if "found" in self.entry(path).outputs]

    def file(self, path: str) -> str:
        finished, shard = self.by_path[path]
        return finished.file("found", shard)

    def removed(self) -> Removed:
        """What goes, in the order of the list."""
        counts: dict[int, int] = {}
        for path in self.touched():
            for number, count in self.entry(path).notes["requests"].items():
                counts[int(number)] = counts.get(int(number), 0) + count
        return Removed(
            {self.requests[number]: counts[number] for number in sorted(counts)}, self.touched(), len(self.requests)
        )


class TakedownRun:
    """Takedowns of one release, in a folder or below an s3:// prefix."""

    def __init__(self, release: Place, runner: Runner, progress: Progress) -> None:
        self.release = release
        self.progress = progress
        self._check_lock: Callable[[], None] = lambda: None
        self.steps = Steps(release, runner, progress, 0, lambda: self._check_lock())

    def look(self, new: Sequence[Request]) -> Removed:
        """What would go out of the release; nothing but scratch below `.local` is written.

        Raises UsageError where there is no release, or a takedown of it has not ended.
        """
        with held(self.release) as self._check_lock:
            if read_plan(self.release) is not None:
                raise UsageError(
                    f"a takedown of {self.release} has not ended: kamisuki takedown {self.release} ends it"
                )
            manifest = read_manifest(self.release)
            refuse_missing(self.release, manifest.files)
            plan = self._plan(new)
            try:
                return self._find(manifest, plan).removed()
            finally:
                self._forget_notes()

    def execute(self, new: Sequence[Request]) -> tuple[Removed, Reached]:
        """Follow new requests and all that are listed, after what a killed takedown left to do.

        Raises UsageError where there is no release, Incomplete when a task fails; the same again goes on there.
        """
        with held(self.release) as self._check_lock:
            manifest = read_manifest(self.release)
            removed = Removed()
            unfinished = read_plan(self.release)
            if unfinished is None:
                refuse_missing(self.release, manifest.files)
            else:
                self.progress.say(f"takedown: finishing one that was begun in {self.release} before")
                removed = self._follow(unfinished)
            plan = self._plan(new)
            write_plan(self.release, plan)
            more = self._follow(plan)
            for request, count in more.rows.items():
                removed.rows[request] = removed.rows.get(request, 0) + count
            removed.files = sorted({*removed.files, *more.files})
            removed.followed += more.followed
            reached = reach(self.release, self._origin().get("out"), plan.requests, self.progress)
            self._forget_notes()
        return removed, reached

    def _origin(self) -> dict[str, Any]:
        try:
            return dict(read_json(self.release / LOCAL / ORIGIN))
        except FileNotFoundError:
            return {}
        except ValueError:
            raise UsageError(
                f"{self.release / LOCAL / ORIGIN} is damaged, and names the run that must not let the rows back in: "
                'write {"out": "OUT"} into it'
            ) from None

    def _plan(self, new: Sequence[Request]) -> Plan:
        """Write the list that is to be followed into a folder of its own, for tasks to read."""
        out = self._origin().get("out")
        requests = together(listed_for(self.release, None), new)
        pages: list[Request] = []
        try:
            requests = together(listed_for(self.release, as_place(out) if out else None), new)
            if out and any(_made_of_rows(task) for task in read_manifest(self.release).tasks):
                pages = tasks.pages_named(as_place(out), requests)
        except UNREADABLE as error:
            # The release is not kept waiting for it; what was not reached is told at the end.
            self.progress.say(f"takedown: the run {out} cannot be read: {describe_error(error)}")
        listed = together(requests, buried(self.release), pages)
        # The order tells too: notes of what was found say which request it was by its number.
        folder = canonical_digest([request.model_dump(mode="json") for request in listed])
        plan = Plan(folder=folder, requests=requests)
        write_requests(taking_down(self.release) / plan.folder, listed)
        return plan

    def _follow(self, plan: Plan) -> Removed:
        remember_requests(self.release / LOCAL, plan.requests)
        manifest = read_manifest(self.release)
        found = self._find(manifest, plan)
        if found.touched():
            files = self._write(manifest, plan, found)
            self._note(manifest, plan, found, files)
        self._remember(plan)
        for scratch in (EXCHANGE, LISTED, LEDGER):
            # An exchange holds rows; a ledger speaks of files that are no longer.
            if folder_exists(self.release / LOCAL / scratch):
                delete_tree(self.release / LOCAL / scratch)
        return found.removed()

    def _find(self, manifest: Manifest, plan: Plan) -> _Found:
        """Find the rows in the files of tasks that were made of pages, then in those that were made of such rows."""
        folder = taking_down(self.release) / plan.folder
        requests = read_requests(folder)
        made_of_rows = {task.name for task in manifest.tasks if _made_of_rows(task)}
        cells = {config.name: config.task for config in manifest.configs if config.cells == [config.name]}
        made = [file for file in manifest.files if cells.get(file.config) in made_of_rows]
        others = [file for file in manifest.files if cells.get(file.config) not in made_of_rows]
        given = {"release": str(self.release), "listed": str(folder)}
        by_path = self._find_in(others, folder / "find", given)
        if made:
            ids = _Found(requests, by_path)
            with TableWriter(folder / SOURCES, tasks.FOUND) as out:
                for path in ids.touched():
                    for batch in read_table(as_place(ids.file(path))).to_batches():
                        out.write(batch)
            by_path |= self._find_in(made, folder / "find-made", given | {"also": str(folder / SOURCES)})
        return _Found(requests, by_path)

    def _find_in(self, files: list[File], folder: Place, given: dict[str, Any]) -> dict[str, tuple[Finished, str]]:
        jobs = []
        for file in files:
            arguments = {"also": None, **given, "path": file.path, "folder": str(folder)}
            jobs.append(self._job(tasks.find_in_file, file, arguments, file.rows))
        done = self.steps.do("takedown: find", folder, jobs)
        return {file.path: (done, shard_of(file.path)) for file in files}

    def _write(self, manifest: Manifest, plan: Plan, found: _Found) -> dict[str, File]:
        """Write the files anew that hold rows of the list; their new entries of the manifest."""
        folder = taking_down(self.release) / plan.folder / "write"
        touched = [file for file in manifest.files if file.path in set(found.touched())]
        jobs = []
        for file in touched:
            arguments = {
                "release": str(self.release), "path": file.path, "found": found.file(file.path), "folder": str(folder),
            }  # fmt: skip
            jobs.append(self._job(tasks.write_without, file, arguments))
        cells = [self.release / DATA / cell for cell in sorted({file.config for file in touched})]
        done = self.steps.do("takedown: write", folder, jobs, also=cells)
        for cell in cells:
            # What a killed worker was writing holds rows too.
            remove_temporaries(cell)
        files = {}
        for file in touched:
            data = done.outputs("data", shard_of(file.path))
            gone = found.entry(file.path).notes["tally"]
            if data["rows"] != file.rows - gone["rows"]:
                raise KamisukiError(
                    f"{file.path} has {data['rows']:,} rows now, not {file.rows:,} less {gone['rows']:,}: "
                    f"it is not what the manifest said: see kamisuki verify {self.release}"
                )
            files[file.path] = file.model_copy(
                update={
                    "rows": data["rows"],
                    "characters": file.characters - gone["characters"],
                    "bytes": data["bytes"],
                    "sha256": data["digest"],
                }
            )
        return files

    def _job(self, function: Any, file: File, arguments: dict[str, Any], rows: int | None = None) -> Job:
        shard = shard_of(file.path)
        inputs = [{"name": file.path, "bytes": file.bytes, "digest": file.sha256}]
        task = Task(shard, function, {"shard": shard, "inputs": inputs, **arguments}, tasks.MEMORY_BYTES, file.bytes)
        return Job(task, partial(was_made_of, inputs), rows)

    def _note(self, manifest: Manifest, plan: Plan, found: _Found, files: dict[str, File]) -> None:
        """Tombstones, the release's note of its origin, card and manifest, in this order."""
        self._check_lock()
        rows = pa.concat_tables([read_table(as_place(found.file(path))) for path in found.touched()])
        of = rows["request"].to_pylist()
        reasons = [published_reason(request) for request in found.requests]
        dates = pa.array([found.requests[number].date for number in of], pa.date32())
        gone = [rows["id"], dates, [reasons[number] for number in of]]
        add_tombstones(self.release, pa.table(gone, names=["id", "date", "reason"]))
        changed = manifest.model_copy(
            update={
                "files": [files.get(file.path, file) for file in manifest.files],
                "tasks": [self._without(manifest, task, found) for task in manifest.tasks],
                "takedowns": [*manifest.takedowns, *followed(found.removed().rows)],
            }
        )
        if origin := self._origin():
            origin["takedowns"] = [each.model_dump(mode="json") for each in changed.takedowns]
            write_json(self.release / LOCAL / ORIGIN, origin)
        write_card(self.release, changed)
        write_manifest(self.release, changed)

    def _without(self, manifest: Manifest, task: Part, found: _Found) -> Part:
        cells = {config.name for config in manifest.configs if config.task == task.name}
        entries = [found.entry(file.path) for file in manifest.files if file.config in cells]
        gone = add_up(entry.notes["tally"] for entry in entries)
        if not gone["rows"]:
            return task
        return take_away(task, gone, together_days(*(entry.notes["days"] for entry in entries)), TAKEN_DOWN)

    def _remember(self, plan: Plan) -> None:
        """Note in the release which list it follows now, so that the same build finds it whole."""
        origin = self._origin()
        digest = requests_digest(plan.requests)
        if origin and origin.get("requests") != digest:
            write_json(self.release / LOCAL / ORIGIN, origin | {"requests": digest})

    def _forget_notes(self) -> None:
        """Remove what the takedown noted, its plan last: while that is there, it has not ended."""
        folder = taking_down(self.release)
        for name in sorted(tree_sizes(folder)):
            if "/" in name:
                delete(folder / name)
        if folder_exists(folder):
            delete_tree(folder)


def _made_of_rows(task: Part) -> bool:
    return "source_ids" in dict(task.columns)


def shard_of(path: str) -> str:
    """What the tasks of a data file are called."""
    return path.removeprefix(f"{DATA}/").replace("/", ".").removesuffix(".parquet")


def followed(rows: dict[Request, int]) -> list[Takedown]:
    """The lines of the manifest of what was removed: one for each date and reason."""
    found: dict[tuple[Any, str], Takedown] = {}
    for request, count in rows.items():
        key = (request.date, published_reason(request))
        known = found.setdefault(key, Takedown(date=key[0], reason=key[1], by={}, rows=0))
        kind = f"{request.kind}s"
        known.by[kind] = known.by.get(kind, 0) + 1
        known.rows += count
    return list(found.values())
