"""Building a release: the tables of OUT become data files by cell, split and key; only what is missing is done."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline import __version__
from pipeline.errors import KamisukiError, UsageError
from pipeline.exchange import list_runs, run_list
from pipeline.files import canonical_digest, read_json
from pipeline.progress import Progress
from pipeline.release import rows
from pipeline.release.card import card, write_card
from pipeline.release.keys import file_path
from pipeline.release.layout import Part, Size, Values, check_names, configs_of, parts_of, slug
from pipeline.release.manifest import (
    CARD,
    DATA,
    LOCAL,
    File,
    Manifest,
    Policy,
    Task,
    write_manifest,
)
from pipeline.release.nesting import refuse_nested
from pipeline.release.of_run import note_release
from pipeline.release.taking_down import pages_named
from pipeline.release.tally import add_up, license_counts, source_counts
from pipeline.release.tombstones import buried, listed_for
from pipeline.release.unfinished import read_plan, refuse_unfinished
from pipeline.release_folder import EXCHANGE, LEDGER, LISTED, ORIGIN, begin
from pipeline.release_lock import held
from pipeline.release_rewritten import find_rewritten
from pipeline.release_settings import Settings
from pipeline.release_sources import Source, find_corpus
from pipeline.runner import Runner
from pipeline.runner import Task as Work
from pipeline.steps import Finished, Job, Steps, was_made_of
from pipeline.storage.places import (
    Place,
    delete,
    delete_tree,
    folder_exists,
    read_bytes,
    tree_sizes,
)
from pipeline.takedown_list import Request, remember_requests, requests_digest, together, write_requests


@dataclass(frozen=True)
class Built:
    """A release that stands: its manifest, and whether anything had to be done for it."""

    manifest: Manifest
    worked: bool


@dataclass(frozen=True)
class Plan:
    """A task of the release before its files are written: rows read, rows left out by reason, and where rows go."""

    source: Source
    rows_in: int
    left_out: dict[str, int]
    parts: list[Part]


class ReleaseRun:
    """A release of the tables of OUT in a folder or below an s3:// prefix."""

    def __init__(
        self, out: Place, release: Place, settings: Settings, runner: Runner, progress: Progress,
        recipe: str | None = None,
        name: str | None = None, contact: str | None = None,
        rewritten: Sequence[tuple[str, str | None]] = (), corpus: bool = True,
    ) -> None:  # fmt: skip
        """`rewritten` are rewriting recipes, each with a step or None for its last; without `corpus` they are all."""
        settings.check()
        if not corpus and (recipe is not None or not rewritten):
            raise UsageError(
                "a release without a corpus is of rewritings alone: name them with --with, and no --recipe"
            )
        if str(out) == str(release):
            raise UsageError("--to is the OUT folder itself: give the release a folder of its own")
        if isinstance(release, Path) and release.is_file():
            raise UsageError(f"{release} is a file: give a new folder with --to")
        refuse_nested(release)
        self.out = out
        self.release = release
        self.settings = settings
        self.progress = progress
        self.recipe = recipe
        self.rewritten = list(rewritten)
        self.corpus = corpus
        self.name = name
        self.contact = contact
        self._requests: list[Request] = []
        self._listed: Place | None = None
        self._check_lock: Callable[[], None] = lambda: None
        self.steps = Steps(release, runner, progress, 0, lambda: self._check_lock())

    def plan(self) -> list[Plan]:
        """Count what would go where. Only counts are written, below `.local`, and a later build uses them.

        Raises UsageError or Incomplete as `build`.
        """
        with self._locked():
            return self._count(self._sources())

    def build(self, replace: bool = False) -> Built:
        """Do what is missing of the release, its manifest last.

        Raises UsageError for tables that are not there, and for another release in its folder unless `replace`;
        Incomplete for a table that misses shards, or when a task fails.
        """
        with self._locked(replace):
            sources = self._sources()
            before = begin(self.release, self.out, self._identity(sources), replace)
            self._note_in_run()
            if before is not None:
                return self._rename(before)
            plans = self._count(sources)
            tasks, files = [], []
            for plan in plans:
                written = self._write(plan)
                tasks.append(_describe(plan, written))
                files += _files(written)
            manifest = self._manifest(plans, tasks, files)
            known = {file.path for file in files}
            for name in tree_sizes(self.release / DATA):
                if f"{DATA}/{name}" not in known:
                    delete(self.release / DATA / name)
            self._publish(manifest)
            for scratch in (self.release / LOCAL / EXCHANGE, self.release / LOCAL / LISTED):
                if folder_exists(scratch):
                    delete_tree(scratch)
            if read_plan(self.release) is not None:
                self.progress.say(
                    f"release: {self.release} is built without what a takedown is to take out, which has not ended: "
                    f"kamisuki takedown {self.release} clears what was made of the release before"
                )
            return Built(manifest, True)

    @contextlib.contextmanager
    def _locked(self, replace: bool = False) -> Iterator[None]:
        """Hold the release; read which rows may not be in it."""
        with held(self.release) as self._check_lock:
            if not replace:
                refuse_unfinished(self.release)
            elif (plan := read_plan(self.release)) is not None:
                # What it was to take out is on the list from here on, and the build leaves it out.
                remember_requests(self.release / LOCAL, plan.requests)
            self._requests = listed_for(self.release, self.out)
            yield

    def _sources(self) -> list[Source]:
        """The tables that become tasks. Raises UsageError where two would have one name."""
        found = [find_corpus(self.out, self.recipe)] if self.corpus else []
        found += [find_rewritten(self.out, name, step) for name, step in self.rewritten]
        names = [source.task for source in found]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(f"two parts of the release would be called {name}: name each with --with once")
        return found

    def _identity(self, sources: list[Source]) -> dict[str, Any]:
        """What tells this release from another one in the same folder."""
        return {
            "recipe": sources[0].task,
            "settings": {**asdict(self.settings), "by": list(self.settings.by), **self.settings.policy()},
            "tables": {source.task: source.identity() for source in sources},
            "requests": requests_digest(self._requests),
        }

    def _list_takedowns(self) -> Place | None:
        """A folder with the list of what must not come in, for tasks to read; None where there is no list."""
        listed = together(self._requests, buried(self.release))
        if self.rewritten:
            listed = together(listed, pages_named(self.out, self._requests))
        if not listed:
            return None
        folder = self.release / LOCAL / LISTED / str(requests_digest(listed))
        write_requests(folder, listed)
        return folder

    def _note_in_run(self) -> None:
        """Note in OUT which release is made of it. That OUT can only be read keeps nobody from releasing."""
        try:
            note_release(self.out, self.release)
        except (OSError, KamisukiError) as error:
            self.progress.say(
                f"release: {self.out} cannot be written to ({error}): a takedown of another release of it will not "
                "name this one"
            )

    def _card_stands(self, manifest: Manifest) -> bool:
        """Whether the card is the one that this version makes, and nobody edited it."""
        try:
            return read_bytes(self.release / CARD) == card(manifest).encode()
        except FileNotFoundError:
            return False

    def _rename(self, manifest: Manifest) -> Built:
        name, contact = self.name or manifest.name, self.contact or manifest.contact
        if (name, contact) == (manifest.name, manifest.contact) and self._card_stands(manifest):
            return Built(manifest, False)
        renamed = manifest.model_copy(update={"name": name, "contact": contact})
        self._publish(renamed)
        return Built(renamed, True)

    def _ledger(self, source: Source, step: str) -> Place:
        made_by = {"rule_version": rows.RULE_VERSION, "pyarrow": pa.__version__, "table": source.identity()}
        made_by |= {"settings": {**asdict(self.settings), **self.settings.policy()}}
        made_by |= {"takedowns": self._listed.name} if self._listed is not None else {}
        return self.release / LOCAL / LEDGER / f"{slug(source.task)}-{canonical_digest(made_by)}" / step

    def _given(self, source: Source) -> dict[str, Any]:
        return {
            "by": list(self.settings.by),
            "policy": self.settings.policy()
            | {"forbidding": list(source.forbidding), "takedowns": self._listed and str(self._listed)},
            "seed": self.settings.seed,
            "validation": self.settings.validation,
        }

    def _count(self, sources: list[Source]) -> list[Plan]:
        plans = []
        self._listed = self._list_takedowns()
        for source in sources:
            folder = self._ledger(source, "count")
            jobs = [
                self._job(rows.count_shard, source, shard, {"folder": str(folder), **self._given(source)})
                for shard in sorted(source.found.entries)
            ]
            counted = self.steps.do("release: count", folder, jobs)
            sizes: dict[tuple[Values, str], Size] = {}
            left_out: dict[str, int] = {}
            for entry in counted.entries.values():
                for values, split, *numbers in entry.notes["parts"]:
                    key = (tuple(values), split)
                    sizes[key] = sizes.get(key, Size()) + Size(*numbers)
                for reason, count in entry.rejected.items():
                    left_out[reason] = left_out.get(reason, 0) + count
            rows_in = sum(entry.read for entry in counted.entries.values())
            plans.append(Plan(source, rows_in, left_out, parts_of(source.task, sizes, self.settings.shard_bytes)))
        check_names(config for plan in plans for config in configs_of(plan.source.task, self.settings.by, plan.parts))
        return plans

    def _job(self, function: Any, source: Source, shard: str, given: dict[str, Any]) -> Job:
        inputs = source.found.inputs(source.table, shard)
        arguments = {"shard": shard, "table": source.found.file(source.table, shard), "inputs": inputs, **given}
        task = Work(shard, function, arguments, rows.MEMORY_BYTES, inputs[0]["bytes"])
        return Job(task, partial(was_made_of, inputs), source.found.outputs(source.table, shard)["rows"])

    def _write(self, plan: Plan) -> Finished:
        """The data files of a task: its shards dealt out first where a file is missing."""
        source = plan.source
        scattered = self._ledger(source, "scatter")
        exchange = f"{LOCAL}/{EXCHANGE}/{scattered.parent.name}"
        shards = sorted(source.found.entries)
        runs = {shard: f"{exchange}/{shard}.run" for shard in shards}
        parts = [asdict(part) for part in plan.parts]

        def scatter() -> None:
            given = {"folder": str(scattered), "release": str(self.release), "parts": parts, **self._given(source)}
            jobs = [self._job(rows.scatter_shard, source, shard, given | {"run": runs[shard]}) for shard in shards]
            list_runs(self.release / exchange, list(runs.values()))
            self.steps.do("release: scatter", scattered, jobs, also=[self.release / exchange])

        jobs = []
        inputs = [{"name": source.table, **source.identity()}]
        folder = self._ledger(source, "write")
        table = source.found.file(source.table, shards[0])
        bases, _ = rows.partition_bases(plan.parts)
        for part in plan.parts:
            first, _ = bases[part.values, part.split]
            for index in range(part.files):
                path = file_path(part.cell, part.split, index, part.files)
                start = first + index * part.slices
                arguments = {
                    "shard": path.removeprefix(f"{DATA}/").replace("/", ".").removesuffix(".parquet"),
                    "release": str(self.release),
                    "path": path,
                    "cell": part.cell,
                    "split": part.split,
                    "runs": run_list(self.release / exchange),
                    "partitions": list(range(start, start + part.slices)),
                    "table": table,
                    "folder": str(folder),
                    "inputs": inputs,
                }
                weight = part.bytes // part.files
                task = Work(str(arguments["shard"]), rows.write_file, arguments, rows.MEMORY_BYTES, weight)
                jobs.append(Job(task, partial(was_made_of, inputs)))
        cells = sorted({part.cell for part in plan.parts})
        written = self.steps.do(
            "release: write", folder, jobs, before=scatter, also=[self.release / DATA / cell for cell in cells]
        )
        came = sum(entry.written for entry in written.entries.values())
        if came != sum(part.rows for part in plan.parts):
            raise KamisukiError(
                f"release: {source.task}: {sum(part.rows for part in plan.parts)} rows were counted, {came} written: "
                f"remove {self.release / LOCAL} and run again"
            )
        return written

    def _manifest(self, plans: list[Plan], tasks: list[Task], files: list[File]) -> Manifest:
        origin = read_json(self.release / LOCAL / ORIGIN)
        return Manifest(
            name=self.name or origin.get("name") or self.release.name,
            date=datetime.datetime.now(datetime.UTC).date(),
            contact=self.contact or origin.get("contact"),
            kamisuki=__version__,
            seed=self.settings.seed,
            validation=self.settings.validation,
            by=list(self.settings.by),
            policy=Policy(**self.settings.policy()),
            tasks=tasks,
            configs=[config for plan in plans for config in configs_of(plan.source.task, self.settings.by, plan.parts)],
            files=files,
            takedowns=origin["takedowns"],
        )

    def _publish(self, manifest: Manifest) -> None:
        self._check_lock()
        write_card(self.release, manifest)
        write_manifest(self.release, manifest)


def _files(written: Finished) -> list[File]:
    """The files of a task, cell after cell, and in a split by the order of their keys."""
    found = []
    for entry in written.entries.values():
        data = entry.outputs["data"]
        found.append(
            File(
                **entry.notes["file"],
                rows=data["rows"],
                characters=entry.characters_out,
                bytes=data["bytes"],
                sha256=data["digest"],
            )
        )
    return sorted(found, key=lambda file: file.path)


def _describe(plan: Plan, written: Finished) -> Task:
    source = plan.source
    total = add_up(entry.notes["tally"] for entry in written.entries.values())
    if plan.rows_in != total["rows"] + sum(plan.left_out.values()):
        raise KamisukiError(f"release: {source.task}: {plan.rows_in} rows went in and not as many are accounted for")
    shard = sorted(source.found.entries)[0]
    schema = rows.table_schema(source.found.file(source.table, shard))
    return Task(
        name=source.task,
        kind=source.kind,
        recipe=source.recipe,
        columns=[(field.name, str(field.type)) for field in schema],
        rows_in=plan.rows_in,
        left_out=dict(sorted(plan.left_out.items())),
        funnel=source.funnel,
        sources=source_counts(total),
        licenses=license_counts(total),
        languages=total["languages"],
        consent=total["consent"],
        waived=source.waived,
        rewriting=source.rewriting,
        versions={**source.versions, "pyarrow": pa.__version__},
    )
