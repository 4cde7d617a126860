"""A rewriting run: the steps of a rewriting recipe over a table of a run; only what is missing is done."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline import rewrite
from pipeline.entries import Done
from pipeline.errors import UsageError
from pipeline.files import atomic_file, write_json
from pipeline.progress import Progress
from pipeline.rewriting.checks import CHECKS
from pipeline.rewriting.client import Budget
from pipeline.rewriting.code import tool_versions
from pipeline.rewriting.recipe import RewritingRecipe, StepModel, dump_rewriting_recipe
from pipeline.rewriting.rows import ROWS
from pipeline.run_folder import REWRITINGS, locked, read_run
from pipeline.runner import Runner, Task
from pipeline.steps import Finished, Job, Steps, finished_before, was_made_of
from pipeline.storage.places import Place, RemotePath
from pipeline.storage.scratch import cache_folder
from pipeline.takedown_list import read_requests, requests_digest

CACHE = "answers"


def answers_folder(out: Place) -> Path:
    """Where answers are kept: in OUT, or on the worker's own disk where OUT is remote, since SQLite needs files."""
    if isinstance(out, RemotePath):
        return cache_folder() / CACHE / hashlib.blake2b(out.url.encode(), digest_size=8).hexdigest()
    return out / CACHE


class RewritingRun:
    """One rewriting recipe over the table of one recipe that ran in OUT."""

    def __init__(
        self, recipe: RewritingRecipe, out: Place, runner: Runner, progress: Progress, budget: Budget | None = None
    ) -> None:
        self.recipe = recipe
        self.out = out
        self.progress = progress
        self.budget = budget or Budget()
        self.steps = Steps(out, runner, progress, 0, self._remember)
        self.source = ""
        self._check_lock: Callable[[], None] = lambda: None

    @property
    def tables(self) -> dict[str, str]:
        """Which folder of OUT holds which table of this recipe: rows, and by step produced, measured and rewritten."""
        return self.steps.tables

    def execute(self, of: str | None = None, until: str | None = None) -> Finished:
        """Do the steps, or those up to `until`, over the table of recipe `of`, by default of the one that ran last.

        Raises UsageError for a table that is not there, Incomplete when a step misses shards.
        """
        names = [step.name for step in self.recipe.steps]
        if until is not None and until not in names:
            raise UsageError(f"{self.recipe.name} has no step {until!r}; it has: {', '.join(names)}")
        self.recipe.prompts()
        with locked(self.out) as check:
            self._check_lock = check
            rows = self._begin(of)
            fields = [(name, "") for name, _ in ROWS]
            for step in self.recipe.steps:
                rows, fields = self._step(step, rows, fields)
                self._remember()
                if step.name == until:
                    break
        return rows

    def _begin(self, of: str | None) -> Finished:
        record = read_run(self.out)
        if record is None:
            raise UsageError(f"{self.out} holds no run: give the OUT folder of `kamisuki run` or `kamisuki ingest`")
        self.source = of or record["latest"]
        known = record["recipes"].get(self.source)
        if known is None:
            raise UsageError(f"no recipe {self.source!r} ran in {self.out}; there are: {', '.join(record['recipes'])}")
        table = self.recipe.reads
        if table not in known["tables"]:
            raise UsageError(f"recipe {self.source} has no {table} in {self.out} yet: run it first")
        folder = self.out / known["tables"][table]
        source = finished_before(folder)
        if not source.entries:
            raise UsageError(f"recipe {self.source} has no {table} in {self.out} yet: run it first")
        made_by = {"stage": "rewrite: begin", "rule_version": rewrite.RULE_VERSION, "upstream": folder.name}
        listed = requests_digest(read_requests(self.out))
        made_by |= {"takedowns": listed} if listed else {}
        target = self.steps.folder("rows", made_by, "rows")
        jobs = []
        for shard in sorted(source.entries):
            inputs = source.inputs(table, shard)
            arguments = {"shard": shard, "table": source.file(table, shard), "folder": str(target), "inputs": inputs}
            arguments |= {"takedowns": str(self.out)} if listed else {}
            task = Task(shard, rewrite.begin_shard, arguments, rewrite.MEMORY_BYTES, inputs[0]["bytes"])
            jobs.append(Job(task, partial(was_made_of, inputs), source.outputs(table, shard)["rows"]))
        found = self.steps.do("rewrite: begin", target, jobs)
        return found

    def _step(self, step: StepModel, rows: Finished, fields: rewrite.Fields) -> tuple[Finished, rewrite.Fields]:
        """A step over rows: what it produced, measured and chose; the rows behind it and their columns."""
        table = "rows" if "rows" in next(iter(rows.entries.values())).outputs else "rewritten"
        attempts: list[tuple[Finished | None, Finished]] = []
        for attempt in range(1, (step.ask.attempts if step.ask else 1) + 1):
            produced = self._produce(step, table, rows, attempts, attempt)
            attempts.append((produced, self._measure(step, table, rows, produced, attempt)))
        return self._choose(step, table, rows, attempts, fields)

    def _produce(
        self,
        step: StepModel,
        table: str,
        rows: Finished,
        previous: list[tuple[Finished | None, Finished]],
        attempt: int,
    ) -> Finished | None:
        name = f"produced_{self.recipe.name}_{step.name}" + (f"_{attempt}" if attempt > 1 else "")
        made_by: dict[str, Any] = {"rule_version": rewrite.RULE_VERSION, "upstream": rows.folder.name}
        made_by |= {"shards": rows.fingerprint(table)}
        if step.transform is not None:
            made_by |= {"stage": "rewrite: transform", "tool": step.transform.tool, "language": self.recipe.language}
            made_by |= {"versions": tool_versions(self.recipe.language)}
            folder = self.steps.folder(name, made_by, name)
            given = {"step": step.model_dump(mode="json"), "language": self.recipe.language}
            jobs = [
                self._job(rewrite.transform_shard, table, rows, shard, folder, given) for shard in sorted(rows.entries)
            ]
            return self.steps.do(f"rewrite: {step.name}", folder, jobs)
        if step.ask is None:
            return None
        assert self.recipe.generator is not None
        prompt = self.recipe.prompts()[step.name]
        ask = step.ask.model_dump(mode="json", exclude={"attempts", "prompt"})
        made_by |= {"stage": "rewrite: ask", "ask": ask, "attempt": attempt}
        made_by |= {"prompt": prompt.digest, "model": self.recipe.generator.model}
        if previous:
            # Which rows are asked again is decided by the rules over what came before.
            made_by |= {"rules": [rule.model_dump(exclude={"source"}) for rule in step.rules]}
            made_by |= {"before": [measured.folder.name for _, measured in previous]}
        folder = self.steps.folder(name, made_by, name)
        given = {
            "step": step.model_dump(mode="json"),
            "prompt": {
                "name": prompt.name,
                "digest": prompt.digest,
                "messages": [list(pair) for pair in prompt.messages],
            },
            "model": self.recipe.generator.model,
            "attempt": attempt,
            "client": self.recipe.client.model_dump(mode="json"),
        }
        jobs = []
        for shard in sorted(rows.entries):
            before = [
                (made.file("produced", shard) if made else None, of.file("measured", shard)) for made, of in previous
            ]
            cache = str(self._cache() / f"{shard}.sqlite")
            jobs.append(
                self._job(rewrite.ask_shard, table, rows, shard, folder, given | {"previous": before, "cache": cache})
            )
        return self._ask(f"rewrite: {step.name}", folder, jobs)

    def _ask(self, stage: str, folder: Place, jobs: list[Job]) -> Finished:
        """Ask shard by shard where there is a budget, so that each knows what was spent before; else all at once."""
        if not self.budget.is_limited():
            given = [replace(job, task=_with_budget(job.task, self.budget)) for job in jobs]
            return self.steps.do(stage, folder, given)
        entries: dict[str, Done] = {}
        for job in jobs:
            before = self.steps.tasks_run
            found = self.steps.do(stage, folder, [replace(job, task=_with_budget(job.task, self.budget))])
            entries |= found.entries
            if self.steps.tasks_run > before:
                paid = found.entries[job.task.shard].notes["tokens"]
                self.budget = self.budget.after(paid["in_paid"], paid["out_paid"])
        return Finished(folder, entries)

    def _measure(
        self, step: StepModel, table: str, rows: Finished, produced: Finished | None, attempt: int
    ) -> Finished:
        name = f"measured_{self.recipe.name}_{step.name}" + (f"_{attempt}" if attempt > 1 else "")
        made_by: dict[str, Any] = {"stage": "rewrite: measure", "rule_version": rewrite.RULE_VERSION}
        made_by |= {"upstream": produced.folder.name if produced else rows.folder.name}
        made_by |= {"shards": produced.fingerprint("produced") if produced else rows.fingerprint(table)}
        made_by |= {"checks": {check: CHECKS[check].fingerprint() for check in step.checks}}
        made_by |= {"language": self.recipe.language}
        folder = self.steps.folder(name, made_by, name)
        jobs = []
        for shard in sorted(rows.entries):
            given = {"produced": produced.file("produced", shard) if produced else None, "checks": list(step.checks)}
            given |= {"language": self.recipe.language}
            jobs.append(self._job(rewrite.measure_shard, table, rows, shard, folder, given))
        return self.steps.do(f"rewrite: {step.name} checks", folder, jobs)

    def _choose(
        self,
        step: StepModel,
        table: str,
        rows: Finished,
        attempts: list[tuple[Finished | None, Finished]],
        fields: rewrite.Fields,
    ) -> tuple[Finished, rewrite.Fields]:
        columns = [(name, kind) for check in step.checks for name, kind in CHECKS[check].columns.items()]
        columns += [("score", pa.float64()), ("note", pa.string())] if step.ask else []
        fields = [*fields, *((f"{step.name}_{name}", str(kind)) for name, kind in columns)]
        generator = self.recipe.generator.model_dump(mode="json") if self.recipe.generator else None
        made_by: dict[str, Any] = {"stage": "rewrite: choose", "rule_version": rewrite.RULE_VERSION}
        made_by |= {"upstream": rows.folder.name, "shards": rows.fingerprint(table)}
        made_by |= {"rules": [rule.model_dump(exclude={"source"}) for rule in step.rules], "otherwise": step.otherwise}
        made_by |= {"step": step.name, "generator": generator if step.ask else None}
        made_by |= {"measured": [[of.folder.name, of.fingerprint("measured")] for _, of in attempts]}
        made_by |= {"produced": [[of.folder.name, of.fingerprint("produced")] for of, _ in attempts if of]}
        name = f"rewritten_{self.recipe.name}_{step.name}"
        folder = self.steps.folder(name, made_by, name)
        rejects = self.steps.folder("rejects", made_by, f"rejects_{self.recipe.name}_{step.name}")
        prompt = self.recipe.prompts()[step.name] if step.ask else None
        given: dict[str, Any] = {"rejects": str(rejects), "step": step.model_dump(mode="json"), "generator": generator}
        given |= {"prompt": {"name": prompt.name, "digest": prompt.digest} if prompt else None, "fields": fields}
        jobs = []
        for shard in sorted(rows.entries):
            files = [
                (made.file("produced", shard) if made else None, of.file("measured", shard)) for made, of in attempts
            ]
            jobs.append(self._job(rewrite.choose_shard, table, rows, shard, folder, given | {"attempts": files}))
        return self.steps.do(f"rewrite: {step.name} choose", folder, jobs, also=[rejects]), fields

    def _job(self, function: Any, table: str, rows: Finished, shard: str, folder: Place, given: dict[str, Any]) -> Job:
        inputs = rows.inputs(table, shard)
        arguments = {"shard": shard, "rows": rows.file(table, shard), "folder": str(folder), "inputs": inputs, **given}
        task = Task(shard, function, arguments, rewrite.MEMORY_BYTES, inputs[0]["bytes"])
        return Job(task, partial(was_made_of, inputs), rows.outputs(table, shard)["rows"])

    def _cache(self) -> Path:
        return answers_folder(self.out)

    def _remember(self) -> None:
        """Note in OUT/run.json which folder holds which table of this recipe, and the prompts as they were asked."""
        self._check_lock()
        record = read_run(self.out)
        if record is None or not self.tables:
            return
        mine = {"recipe": self.recipe.model_dump(mode="json"), "of": self.source, "tables": dict(self.tables)}
        mine["prompts"] = {
            step: {"name": prompt.name, "digest": prompt.digest, "messages": [list(pair) for pair in prompt.messages]}
            for step, prompt in self.recipe.prompts().items()
        }
        known = record.setdefault(REWRITINGS, {})
        if known.get(self.recipe.name) != mine:
            known[self.recipe.name] = mine
            with atomic_file(self.out / "recipes" / f"{self.recipe.name}.rewriting.yaml") as file:
                file.write(dump_rewriting_recipe(self.recipe).encode())
            write_json(self.out / "run.json", record)


def _with_budget(task: Task, budget: Budget) -> Task:
    return replace(task, arguments=task.given() | {"budget": budget.as_record()})
