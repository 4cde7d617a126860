"""A run: the stages of a recipe in order over the inputs of one OUT folder; only what is missing is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from pipeline.audit_stage import Repeated, audit_repeats
from pipeline.errors import UsageError
from pipeline.files import atomic_file, canonical_digest, remove_temporaries, write_json
from pipeline.inputs import PAGES, ROBOTS_TXT, find_inputs
from pipeline.ledger import FAILURE_SUFFIX
from pipeline.plan import Shard, extend_plan, load_plan, save_plan
from pipeline.progress import Progress
from pipeline.recipe import Recipe, dump_recipe
from pipeline.run_folder import locked, read_run
from pipeline.runner import Runner
from pipeline.schemas import SCHEMA_VERSION
from pipeline.stages import STAGES, Stages
from pipeline.steps import SHARD_STAGES, Finished, Incomplete, Steps, finished_before
from pipeline.storage.places import Place, tree_sizes
from pipeline.takedown_list import Request, remember_requests
from pipeline.wording import counted

ROBOTS_PLAN = "robots-plan"


class Run:
    """One recipe over the inputs of one OUT folder."""

    def __init__(
        self, recipe: Recipe, out: Place, runner: Runner, progress: Progress, retry_failed: bool = False
    ) -> None:
        self.recipe = recipe
        self.out = out
        self.progress = progress
        self.steps = Steps(
            out,
            runner,
            progress,
            recipe.max_failed_shards,
            self._remember,
            recipe.shards.cpu_seconds,
            retry_failed,
        )
        self.shards: list[Shard] = []
        self.robots_shards: list[Shard] = []
        self._check_lock: Callable[[], None] = lambda: None

    @cached_property
    def _recipe_text(self) -> bytes:
        return dump_recipe(self.recipe).encode()

    @property
    def tables(self) -> dict[str, str]:
        """Which folder of OUT holds which table, of the stages that this run has reached."""
        return self.steps.tables

    @property
    def waived(self) -> dict[str, str]:
        """Shards that max_failed_shards lets the run go on without, and their errors."""
        return self.steps.waived

    @property
    def tasks_run(self) -> int:
        """How many tasks this run has asked workers to do."""
        return self.steps.tasks_run

    def execute(
        self,
        inputs: list[str],
        first: str = STAGES[0],
        last: str = STAGES[-1],
        robots: Sequence[str] = (),
        takedowns: Sequence[Request] = (),
    ) -> dict[str, Finished]:
        """Run the stages from `first` to `last` over `inputs` and the robots.txt captures in the files `robots`.

        `takedowns` are added to the list of OUT, which keeps documents out of the corpus.
        Raises Incomplete when a stage misses shards that are not waived. With `retry_failed` nothing is done where no
        shard has failed, and stages that look at all shards are not begun while some were never tried.
        """
        order = {stage: index for index, stage in enumerate(STAGES)}
        if order[first] > order[last]:
            raise UsageError(f"--from {first} comes after --until {last}; the order is {', '.join(STAGES)}")
        skipped = "extract" if self.recipe.ingest else "ingest"
        if last == skipped:
            mine = "ingest" if self.recipe.ingest else "extract"
            raise UsageError(f"recipe {self.recipe.name} has no stage {skipped}: it begins with {mine}")
        with locked(self.out) as check:
            self._check_lock = check
            remove_temporaries(self.out)
            if new := remember_requests(self.out, takedowns):
                self.progress.say(f"takedowns: {counted(len(new), 'new request')} on the list of {self.out}")
            self._plan(inputs, list(robots))
            if last == STAGES[-1] and self.recipe.select.judges_robots() and not self.robots_shards:
                raise UsageError(
                    f"a rule of {self.recipe.name} judges robots.txt and no captures of it are known here: give them "
                    "with --robots, or set the rule's limits to null"
                )
            if self.steps.retry_failed and not self._failed_before():
                return {}
            stages = Stages(self.recipe, self.shards, self.steps, self.robots_shards)
            done: dict[str, Finished] = {}
            for stage in STAGES[: order[last] + 1]:
                if stage == skipped:
                    continue
                if stage in ("sign", "dedup") and self.recipe.dedup is None:
                    continue
                if stage == "robots" and not self.robots_shards:
                    continue
                self.steps.may_work = order[stage] >= order[first]
                if stage not in SHARD_STAGES:
                    self._refuse_left()
                done |= getattr(stages, stage)(done)
                self._remember()
            self._refuse_left()
        return done

    def _failed_before(self) -> bool:
        """Whether a shard of a table of this recipe has failed when it was last tried. Raises UsageError."""
        known = (read_run(self.out) or {"recipes": {}})["recipes"].get(self.recipe.name)
        if known is None:
            raise UsageError(f"recipe {self.recipe.name} has not run in {self.out} yet: run it without --retry-failed")
        folders = sorted(set(known["tables"].values()))
        return any(name.endswith(FAILURE_SUFFIX) for folder in folders for name in tree_sizes(self.out / folder))

    def _refuse_left(self) -> None:
        """Raises Incomplete where --retry-failed has left shards that were never tried."""
        left = sorted(self.steps.left)
        if left:
            raise Incomplete(
                f"{counted(len(left), 'shard')} never tried ({', '.join(left[:5])}): what had failed is done; run "
                "again without --retry-failed to do the rest"
            )

    def audit(self) -> Repeated:
        """Count what repeats in the recipe's corpus. Raises UsageError or Incomplete where there is no whole one."""
        with locked(self.out) as check:
            self._check_lock = check
            self._plan([], [])
            known = (read_run(self.out) or {"recipes": {}})["recipes"].get(self.recipe.name, {"tables": {}})
            if "corpus" not in known["tables"]:
                raise UsageError(f"recipe {self.recipe.name} has no corpus in {self.out} yet: run it first")
            folder = self.out / known["tables"]["corpus"]
            corpus = finished_before(folder)
            missing = {shard.name for shard in self.shards} - corpus.entries.keys() - known["waived"].keys()
            if missing:
                raise Incomplete(f"audit: {counted(len(missing), 'shard')} of the corpus missing: run the recipe again")
            self.steps.waived |= known["waived"]
            self.steps.tables |= known["tables"]
            found = audit_repeats(self.steps, self.recipe.audit, corpus)
            self._remember()
        return found

    def _plan(self, inputs: list[str], robots: list[str]) -> None:
        self.shards = self._extend("plan", inputs, PAGES)
        if not self.shards:
            raise UsageError(f"no input given and {self.out} has no plan yet: use --input with WARC files or a glob")
        self.robots_shards = self._extend(ROBOTS_PLAN, robots, ROBOTS_TXT)

    def _extend(self, plan: str, inputs: list[str], crawl_list: str) -> list[Shard]:
        path = self.out / f"{plan}.json"
        known = load_plan(path)
        shards = known
        if inputs:
            sources = self.recipe.sources
            given = find_inputs(inputs, sources, crawl_list)
            shards = extend_plan(known, given, self.recipe.shards, sources.politeness())
        if shards != known:
            save_plan(path, shards)
        if shards:
            new = len(shards) - len(known)
            files = sum(len(shard.inputs) for shard in shards)
            self.progress.planned(plan, files, sum(shard.bytes for shard in shards), len(shards), new)
        return shards

    def _remember(self) -> None:
        """Note in OUT/run.json which folder holds which table of which recipe."""
        self._check_lock()
        path = self.out / "run.json"
        record = read_run(self.out) or {"schema_version": SCHEMA_VERSION, "recipes": {}}
        if record["schema_version"] != SCHEMA_VERSION:
            self.progress.say(
                f"this OUT has tables of schema version {record['schema_version']}: all are made anew beside them with "
                f"version {SCHEMA_VERSION}; kamisuki gc removes the old ones"
            )
            record["schema_version"] = SCHEMA_VERSION
        # Tables of stages that this run has not reached stay known as long as what they were made from is the same.
        before = record["recipes"].get(self.recipe.name, {})
        old = before.get("tables", {})
        mine: dict[str, Any] = {"recipe": self.recipe.model_dump(mode="json"), "waived": self.waived}
        mine["shards"] = canonical_digest([[shard.name for shard in self.shards], [s.name for s in self.robots_shards]])
        still_holds = before.get("recipe") == mine["recipe"] and before.get("shards") == mine["shards"]
        still_holds = still_holds and all(old.get(table, folder) == folder for table, folder in self.tables.items())
        mine["tables"] = {**(old if still_holds else {}), **self.tables}
        if before and before["recipe"] != mine["recipe"]:
            self.progress.say(
                f"recipe {self.recipe.name} is not what ran here under this name before: its tables count as old from "
                "now on; to keep both, give this one a name of its own with --set name=…"
            )
        if before != mine or record.get("latest") != self.recipe.name:
            record["recipes"][self.recipe.name] = mine
            record["latest"] = self.recipe.name
            with atomic_file(self.out / "recipes" / f"{self.recipe.name}.yaml") as file:
                file.write(self._recipe_text)
            write_json(path, record)
