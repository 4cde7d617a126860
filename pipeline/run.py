"""A run: the stages in order, each in folders named by what made them, and only what is missing is done."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pipeline import annotate, candidates, extract, select, sign
from pipeline.errors import KamisukiError, UsageError
from pipeline.exchange import partitions_for
from pipeline.files import canonical_digest, read_json, remove_temporaries, write_json
from pipeline.ledger import Entry, failure_path, load_entry, note_failure
from pipeline.plan import Shard, extend_plan, find_inputs, load_plan, save_plan
from pipeline.progress import Progress
from pipeline.recipe import Recipe, dump_recipe
from pipeline.runner import Runner, Task
from pipeline.schemas import SCHEMA_VERSION

STAGES = ("extract", "annotate", "sign", "dedup", "select")


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


class Run:
    """One recipe over the inputs of one OUT folder."""

    def __init__(self, recipe: Recipe, out: Path, runner: Runner, progress: Progress) -> None:
        self.recipe = recipe
        self.out = out
        self.runner = runner
        self.progress = progress
        self.shards: list[Shard] = []
        self.tables: dict[str, str] = {}
        self.waived: dict[str, str] = {}
        self.tasks_run = 0

    # The stages -------------------------------------------------------------------------------------------------

    def execute(self, inputs: list[str], first: str = STAGES[0], last: str = STAGES[-1]) -> dict[str, Finished]:
        """Run the stages from `first` to `last`. Raises Incomplete when a stage misses shards that are not waived."""
        order = {stage: index for index, stage in enumerate(STAGES)}
        if order[first] > order[last]:
            raise UsageError(f"--from {first} comes after --until {last}; the order is {', '.join(STAGES)}")
        with locked(self.out):
            self._plan(inputs)
            self.tables = {}
            done: dict[str, Finished] = {}
            for stage in STAGES[: order[last] + 1]:
                if stage in ("sign", "dedup") and self.recipe.dedup is None:
                    continue
                may_work = order[stage] >= order[first]
                done |= getattr(self, f"_{stage}")(done, may_work)
                self._remember()
        return done

    def _plan(self, inputs: list[str]) -> None:
        path = self.out / "plan.json"
        known = load_plan(path)
        if not known and not inputs:
            raise UsageError(f"no input given and {self.out} has no plan yet: use --input with WARC files or a glob")
        self.shards = extend_plan(known, find_inputs(inputs), self.recipe.shards) if inputs else known
        if self.shards != known:
            save_plan(path, self.shards)
        new = len(self.shards) - len(known)
        size = sum(shard.bytes for shard in self.shards) / 1e6
        files = sum(len(shard.inputs) for shard in self.shards)
        self.progress.say(f"plan: {files} inputs of {size:,.1f} MB in {len(self.shards)} shards, {new} of them new")

    def _extract(self, done: dict[str, Finished], may_work: bool) -> dict[str, Finished]:
        settings = self.recipe.extract.model_dump(mode="json")
        made_by = {"stage": "extract", "rule_version": extract.RULE_VERSION, "settings": settings}
        made_by["versions"] = extract.versions()
        documents, rejects = self._folder("documents", made_by), self._folder("rejects", made_by, "extract_rejects")
        memory = 900_000_000 + self.recipe.extract.limits.memory_bytes
        jobs = []
        for shard in self.shards:
            arguments = {
                "shard": {"name": shard.name, "inputs": [asdict(item) for item in shard.inputs]},
                "settings": settings,
                "documents": str(documents),
                "rejects": str(rejects),
            }
            task = Task(shard.name, extract.extract_shard, arguments, memory, shard.bytes)
            jobs.append(Job(task, partial(inputs_hold, shard)))
        return {"documents": self._do("extract", documents, jobs, may_work, also=[rejects])}

    def _annotate(self, done: dict[str, Finished], may_work: bool) -> dict[str, Finished]:
        documents = done["documents"]
        made_by = {"stage": "annotate", "upstream": documents.folder.name}
        folder = self._folder("signals", made_by | annotate.fingerprint(self.recipe.annotate))
        words = list(self.recipe.annotate.ng_words)
        jobs = [
            self._job(annotate.annotate_shard, annotate.MEMORY_BYTES, shard, documents, folder, ng_words=words)
            for shard in sorted(documents.entries)
        ]
        return {"signals": self._do("annotate", folder, jobs, may_work)}

    def _sign(self, done: dict[str, Finished], may_work: bool) -> dict[str, Finished]:
        documents, dedup = done["documents"], self.recipe.dedup
        assert dedup is not None
        made_by = {"stage": "sign", "upstream": documents.folder.name}
        folder = self._folder("signatures", made_by | sign.fingerprint(dedup.signature))
        parameters = dedup.signature.model_dump(exclude={"preset"})
        jobs = [
            self._job(sign.sign_shard, sign.MEMORY_BYTES, shard, documents, folder, parameters=parameters)
            for shard in sorted(documents.entries)
        ]
        return {"signatures": self._do("sign", folder, jobs, may_work)}

    def _job(
        self,
        function: Callable[..., dict[str, Any]],
        memory: int,
        shard: str,
        documents: Finished,
        folder: Path,
        **more: Any,
    ) -> Job:
        inputs = documents.inputs("documents", shard)
        arguments = {"shard": shard, "documents": documents.file("documents", shard), "folder": str(folder)}
        task = Task(shard, function, {**arguments, "inputs": inputs, **more}, memory, inputs[0]["bytes"])
        return Job(task, partial(was_made_of, inputs))

    def _dedup(self, done: dict[str, Finished], may_work: bool) -> dict[str, Finished]:
        signatures, dedup = done["signatures"], self.recipe.dedup
        assert dedup is not None
        made_by = {"stage": "dedup", "rule_version": candidates.RULE_VERSION, "upstream": signatures.folder.name}
        made_by |= {"same_url": dedup.same_url, "shards": signatures.fingerprint("signatures")}
        folder = self._folder("candidates", made_by)
        shards = sorted(signatures.entries)
        exchange = folder / "exchange"

        def work() -> None:
            rows = sum(entry.written for entry in signatures.entries.values())
            partitions = partitions_for(rows * (dedup.signature.bands + 2), candidates.ROWS_PER_PARTITION)
            key_runs = [str(exchange / "keys" / f"{shard}.run") for shard in shards]
            edge_names = [f"part-{index:05d}" for index in range(partitions)]
            edge_runs = [str(exchange / "edges" / f"{name}.run") for name in edge_names]
            tasks = [
                Task(shard, candidates.partition_keys, {
                    "shard": shard, "shard_index": index, "signatures": signatures.file("signatures", shard),
                    "folder": str(exchange / "keys"), "run": key_runs[index], "partitions": partitions,
                    "same_url": dedup.same_url,
                }, candidates.MEMORY_BYTES)
                for index, shard in enumerate(shards)
            ]  # fmt: skip
            self._do("dedup: keys", exchange / "keys", [Job(task) for task in tasks], True)
            tasks = [
                Task(name, candidates.reduce_keys, {
                    "shard": name, "partition": index, "runs": key_runs,
                    "folder": str(exchange / "edges"), "run": edge_runs[index],
                }, candidates.MEMORY_BYTES)
                for index, name in enumerate(edge_names)
            ]  # fmt: skip
            self._do("dedup: edges", exchange / "edges", [Job(task) for task in tasks], True)
            members = str(exchange / "components" / "members.run")
            task = Task("components", candidates.find_components, {
                "shard": "components", "runs": edge_runs, "folder": str(exchange / "components"), "run": members,
                "shards": len(shards),
            }, candidates.MEMORY_BYTES)  # fmt: skip
            self._do("dedup: components", exchange / "components", [Job(task)], True)

        jobs = []
        for index, shard in enumerate(shards):
            inputs = signatures.inputs("signatures", shard)
            arguments = {
                "shard": shard,
                "shard_index": index,
                "signatures": signatures.file("signatures", shard),
                "run": str(exchange / "components" / "members.run"),
                "folder": str(folder),
                "inputs": inputs,
            }
            task = Task(shard, candidates.write_candidates, arguments, candidates.MEMORY_BYTES)
            jobs.append(Job(task, partial(was_made_of, inputs)))
        return {"candidates": self._do("dedup", folder, jobs, may_work, before=work, scratch=exchange)}

    def _select(self, done: dict[str, Finished], may_work: bool) -> dict[str, Finished]:
        documents, signals = done["documents"], done["signals"]
        rules = self.recipe.select.model_dump(mode="json", include={"rules"})
        for rule in rules["rules"]:
            rule.pop("source")
        made_by = {
            "stage": "judge",
            "rule_version": select.RULE_VERSION,
            "rules": rules,
            "signals": signals.folder.name,
        }
        folder = self._folder("verdicts", made_by)
        jobs = []
        for shard in sorted(documents.entries):
            inputs = documents.inputs("documents", shard) + signals.inputs("signals", shard)
            arguments = {
                "shard": shard,
                "documents": documents.file("documents", shard),
                "signals": signals.file("signals", shard),
                "folder": str(folder),
                "inputs": inputs,
                "select": rules,
            }
            task = Task(shard, select.judge_shard, arguments, select.MEMORY_BYTES, inputs[0]["bytes"])
            jobs.append(Job(task, partial(was_made_of, inputs)))
        verdicts = self._do("select: judge", folder, jobs, may_work)
        finished = {"verdicts": verdicts}
        made_by = {"stage": "select", "rule_version": select.RULE_VERSION, "verdicts": verdicts.folder.name}
        made_by |= {"columns": list(self.recipe.select.columns), "shards": verdicts.fingerprint("verdicts")}
        removed: list[str] = []
        if self.recipe.dedup is not None:
            finished["duplicates"] = self._resolve(done | finished, may_work)
            made_by["duplicates"] = finished["duplicates"].folder.name
            removed = [
                str(finished["duplicates"].folder / "removed" / f"{part}.run")
                for part in sorted(finished["duplicates"].entries)
            ]
        finished["corpus"] = self._write(documents, signals, verdicts, made_by, removed, may_work)
        return finished

    def _resolve(self, done: dict[str, Finished], may_work: bool) -> Finished:
        dedup = self.recipe.dedup
        assert dedup is not None
        documents, signatures, verdicts = done["documents"], done["signatures"], done["verdicts"]
        members = done["candidates"]
        settings = dedup.model_dump(mode="json")
        settings["signature"].pop("preset")
        # When all documents count, rules do not reach resolve: another threshold leaves the duplicates as they are.
        upstream = {"verdicts": verdicts.folder.name, "shards": verdicts.fingerprint("verdicts")}
        made_by = {"stage": "resolve", "rule_version": select.RULE_VERSION, "dedup": settings}
        made_by |= {"candidates": members.folder.name} | (upstream if dedup.among == "passing" else {})
        folder = self._folder("duplicates", made_by)
        shards = sorted(documents.entries)
        texts = sum(entry.outputs["candidates"]["rows"] for entry in members.entries.values()) * _mean_bytes(documents)
        partitions = partitions_for(int(texts), select.BYTES_PER_PARTITION)
        exchange = folder / "exchange"
        runs = [str(exchange / f"{shard}.run") for shard in shards]

        def work() -> None:
            tasks = [
                Task(shard, select.gather_candidates, {
                    "shard": shard, "shard_index": index, "documents": documents.file("documents", shard),
                    "signatures": signatures.file("signatures", shard), "verdicts": verdicts.file("verdicts", shard),
                    "candidates": members.file("candidates", shard), "folder": str(exchange), "run": runs[index],
                    "partitions": partitions, "among": dedup.among, "bands": dedup.signature.bands,
                }, select.MEMORY_BYTES)
                for index, shard in enumerate(shards)
            ]  # fmt: skip
            self._do("select: gather", exchange, [Job(task) for task in tasks], True)

        jobs = []
        for index in range(partitions):
            name = f"part-{index:05d}"
            arguments = {
                "shard": name,
                "partition": index,
                "runs": runs,
                "folder": str(folder),
                "run": str(folder / "removed" / f"{name}.run"),
                "shards": len(shards),
                "dedup": settings,
            }
            jobs.append(Job(Task(name, select.resolve_partition, arguments, select.MEMORY_BYTES)))
        return self._do("select: resolve", folder, jobs, may_work, before=work, scratch=exchange)

    def _write(
        self,
        documents: Finished,
        signals: Finished,
        verdicts: Finished,
        made_by: dict[str, Any],
        removed: list[str],
        may_work: bool,
    ) -> Finished:
        corpus, rejects = self._folder("corpus", made_by), self._folder("rejects", made_by)
        dedup = self.recipe.dedup
        jobs = []
        for index, shard in enumerate(sorted(documents.entries)):
            arguments = {
                "shard": shard,
                "shard_index": index,
                "documents": documents.file("documents", shard),
                "signals": signals.file("signals", shard),
                "verdicts": verdicts.file("verdicts", shard),
                "removed": removed,
                "corpus": str(corpus),
                "rejects": str(rejects),
                "columns": list(self.recipe.select.columns),
                "duplicates_first": dedup is not None and dedup.among == "all",
                "inputs": documents.inputs("documents", shard) + verdicts.inputs("verdicts", shard),
            }
            weight = documents.outputs("documents", shard)["bytes"]
            jobs.append(Job(Task(shard, select.write_corpus, arguments, select.MEMORY_BYTES, weight)))
        return self._do("select", corpus, jobs, may_work, also=[rejects])

    # The mechanism ----------------------------------------------------------------------------------------------

    def _folder(self, table: str, made_by: dict[str, Any], name: str | None = None) -> Path:
        made_by = {"schema_version": SCHEMA_VERSION, **made_by}
        folder = self.out / f"{table}-{canonical_digest(made_by)}"
        self.tables[name or table] = folder.name
        if not (folder / "made_by.json").exists():
            write_json(folder / "made_by.json", made_by)
        return folder

    def _do(
        self,
        stage: str,
        folder: Path,
        jobs: Sequence[Job],
        may_work: bool,
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
        if missing and not may_work:
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
            if before:
                before()
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
        if waivable and len(failures) <= self.recipe.max_failed_shards:
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

    def _remember(self) -> None:
        """Note in OUT/run.json which folder holds which table of which recipe."""
        path = self.out / "run.json"
        record = read_run(self.out) or {"schema_version": SCHEMA_VERSION, "recipes": {}}
        # Tables of stages that this run has not reached stay known as long as what they were made from is the same.
        old = record["recipes"].get(self.recipe.name, {}).get("tables", {})
        still_holds = all(old.get(table, folder) == folder for table, folder in self.tables.items())
        tables = {**(old if still_holds else {}), **self.tables}
        mine = {"tables": tables, "recipe": self.recipe.model_dump(mode="json"), "waived": self.waived}
        if record["recipes"].get(self.recipe.name) != mine or record.get("latest") != self.recipe.name:
            record["recipes"][self.recipe.name] = mine
            record["latest"] = self.recipe.name
            write_json(path, record)
            recipe_path = self.out / "recipes" / f"{self.recipe.name}.yaml"
            recipe_path.parent.mkdir(exist_ok=True)
            recipe_path.write_text(dump_recipe(self.recipe), encoding="utf-8")


def _mean_bytes(documents: Finished) -> float:
    """About how many bytes a document's text has, from the ledger: three for each character of Japanese."""
    count = sum(entry.written for entry in documents.entries.values())
    return 3.0 * sum(entry.characters_out for entry in documents.entries.values()) / max(1, count)


def was_made_of(inputs: list[dict[str, Any]], entry: Entry) -> bool:
    """Whether an entry's inputs are these."""
    return entry.inputs == inputs


def inputs_hold(shard: Shard, entry: Entry) -> bool:
    """Whether a shard's inputs are still the ones that its entry speaks of.

    Size and digest decide. An unchanged modification time saves reading the file again; an input that is
    gone cannot be checked and does not undo what was extracted from it.
    """
    recorded = {item["name"]: item for item in entry.inputs}
    if set(recorded) != {item.name for item in shard.inputs}:
        return False
    for item in shard.inputs:
        try:
            found = extract.input_stat(item.path)
        except FileNotFoundError:
            continue
        known = recorded[item.name]
        if found == entry.notes["stat"][item.name]:
            continue
        if found[0] != known["bytes"] or extract.input_digest(item.path) != known["digest"]:
            return False
    return True


def read_run(out: Path) -> dict[str, Any] | None:
    """OUT/run.json, or None. Raises UsageError when it is damaged."""
    try:
        return dict(read_json(out / "run.json"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise UsageError(f"{out / 'run.json'} is damaged: remove it and run again; the tables stay") from None


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold OUT for one run at a time. Raises UsageError when it cannot be written or another run holds it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = open(out / ".lock", "a+")  # noqa: SIM115 - it stays open for as long as the lock is held
    except OSError as error:
        raise UsageError(f"cannot write to the output folder {out}: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise UsageError(
                f"another run (process {lock.read().strip()}) works in {out}: wait for it or stop it"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


__all__ = ["STAGES", "Finished", "Incomplete", "Run", "failure_path", "inputs_hold", "locked", "read_run"]
