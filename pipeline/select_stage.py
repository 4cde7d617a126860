"""The stage that selects: documents are judged, duplicates resolved, the corpus and its rejects written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

from filters import clean
from pipeline import annotate, resolve, select
from pipeline.exchange import RUN_LIST, list_runs, partitions_for, run_list
from pipeline.host_rates_stage import HOST_TABLE, find_host_rates
from pipeline.quantile_stage import find_quantile
from pipeline.recipe import Recipe
from pipeline.repeats_stage import find_repeats, frequent_run_list
from pipeline.robots_stage import asked_of_robots, decide_robots
from pipeline.runner import Task
from pipeline.schemas import ROBOTS_COLUMNS, SELECTABLE_ROBOTS_COLUMNS
from pipeline.select_settings import RuleModel
from pipeline.signal_tables import TEXT_TABLE, signal_tables
from pipeline.steps import Finished, Job, Steps, was_made_of
from pipeline.storage.places import Place, exists
from pipeline.takedown_list import read_requests, requests_digest


class Selection:
    """Select of one recipe."""

    def __init__(self, recipe: Recipe, steps: Steps) -> None:
        self.recipe = recipe
        self.steps = steps

    def select(self, done: dict[str, Finished]) -> dict[str, Finished]:
        """Documents to the corpus: judge, resolve, write."""
        documents = done["documents"]
        signals = {table: done[table] for table in self.recipe.groups()}
        finished: dict[str, Finished] = {}
        asked: dict[str, Any] = {}
        if "robots" in done:
            asked = asked_of_robots(self.recipe.select.robots, done["robots"])
            finished["robots_verdicts"] = decide_robots(self.steps, documents, done["robots"], asked)
        judged = finished["robots_verdicts"] if self.recipe.select.judges_robots() else None
        rates = {name: rate for name, rate in self.recipe.select.host_signals().items() if name in self._asked()}
        if rates:
            files = partial(self._signal_sources, dict(signals))
            finished[HOST_TABLE] = find_host_rates(self.steps, rates, documents, signals, files)
            signals |= {HOST_TABLE: finished[HOST_TABLE]}
        rules = self._rules(documents, signals)
        made_by = {
            "stage": "judge",
            "rule_version": select.RULE_VERSION,
            "rules": rules,
            "signals": {table: found.folder.name for table, found in signals.items()},
        }
        made_by |= {"robots": asked} if judged else {}
        folder = self.steps.folder("verdicts", made_by)

        def inputs(shard: str) -> list[dict[str, Any]]:
            found = documents.inputs("documents", shard) + signal_inputs(signals, shard)
            return found + (judged.inputs("robots_verdicts", shard) if judged else [])

        def arguments(shard: str) -> dict[str, Any]:
            sources = self._signal_sources(signals, shard, [rule.signal for rule in self.recipe.select.rules])
            sources += robots_source(judged, shard, SELECTABLE_ROBOTS_COLUMNS)
            return {
                "shard": shard,
                "documents": documents.file("documents", shard),
                "signals": sources,
                "folder": str(folder),
                "inputs": inputs(shard),
                "select": rules,
            }

        holds, jobs = partial(was_made_of, inputs), []
        for shard in sorted(documents.entries):
            read = documents.outputs("documents", shard)
            task = Task(shard, select.judge_shard, arguments, select.MEMORY_BYTES, read["bytes"])
            jobs.append(Job(task, holds, read["rows"]))
        verdicts = self.steps.do("select: judge", folder, jobs)
        del jobs
        finished["verdicts"] = verdicts
        made_by = {"stage": "select", "rule_version": select.RULE_VERSION, "verdicts": verdicts.folder.name}
        made_by |= {"columns": list(self.recipe.select.columns), "shards": verdicts.fingerprint("verdicts")}
        made_by |= {"documents": documents.fingerprint("documents")}
        made_by |= {"signals": {table: found.fingerprint("signals") for table, found in signals.items()}}
        outcomes: str | None = None
        if self.recipe.dedup is not None:
            finished["duplicates"] = self._resolve(done | finished)
            made_by["duplicates"] = finished["duplicates"].folder.name
            made_by["rehydrate"] = sorted(self.recipe.dedup.rehydrate.items())
            outcomes = self._outcome_list(finished["duplicates"])
            if self.recipe.dedup.repeats is not None:
                size = int(_mean_bytes(documents) * sum(entry.written for entry in documents.entries.values()))
                removed = finished["duplicates"]
                repeats = self.recipe.dedup.repeats
                found = find_repeats(self.steps, repeats, documents, verdicts, removed, outcomes, size)
                finished["repeats"] = found
                made_by |= {"repeats": found.folder.name, "run": repeats.run}
        if self.recipe.select.clean is not None:
            made_by |= {"clean": self.recipe.select.clean.model_dump(mode="json"), "clean_version": clean.RULE_VERSION}
        listed = requests_digest(read_requests(self.steps.out))
        # Without a list the folder's name is what it was before there were lists.
        made_by |= {"takedowns": listed} if listed else {}
        robots_of = finished.get("robots_verdicts")
        made_by |= {"robots": robots_of.fingerprint("robots_verdicts")} if robots_of else {}
        finished["corpus"] = self._write(documents, signals, finished, made_by, outcomes, rules)
        return finished

    def _rules(self, documents: Finished, signals: dict[str, Finished]) -> dict[str, Any]:
        """The rules as JSON values, with a limit in the place of each share, and the best tier."""
        chosen = self.recipe.select
        rules = [self._limited(rule, documents, signals) for rule in chosen.rules]
        return {
            "rules": [rule.model_dump(mode="json", exclude={"source", "top", "bottom"}) for rule in rules],
            "best_tier": chosen.best_tier,
        }

    def _limited(self, rule: RuleModel, documents: Finished, signals: dict[str, Finished]) -> RuleModel:
        share, table = rule.share(), self._tables.get(rule.signal)
        if share is None:
            return rule
        values, kind = (documents, "documents") if table is None else (signals[table], "signals")
        return rule.limited(find_quantile(self.steps, values, kind, rule.signal, share, rule.end()[0]))

    def _asked(self) -> set[str]:
        return self.recipe.select.signals()

    @cached_property
    def _tables(self) -> dict[str, str]:
        """By signal, the table that holds it."""
        hosts = dict.fromkeys(self.recipe.select.host_signals(), HOST_TABLE)
        return signal_tables(self.recipe.annotate.groups()) | hosts

    def _signal_sources(
        self, signals: dict[str, Finished], shard: str, names: list[str]
    ) -> list[tuple[str, list[str]]]:
        """Files of a shard's signals with the columns to read of each: those named, and the number of characters."""
        tables = self._tables
        wanted: dict[str, list[str]] = {TEXT_TABLE: ["characters"]}
        for name in dict.fromkeys(names):
            if name in tables and name != "characters":
                wanted.setdefault(tables[name], []).append(name)
        return [
            (signals[table].file("signals", shard), columns) for table, columns in wanted.items() if table in signals
        ]

    def _resolve(self, done: dict[str, Finished]) -> Finished:
        dedup = self.recipe.dedup
        assert dedup is not None
        documents, signatures, verdicts = done["documents"], done["signatures"], done["verdicts"]
        members = done["candidates"]
        ordering = dedup.survivor_signals()
        signals = {table: done[table] for table in self.recipe.groups()}
        settings = dedup.model_dump(mode="json", exclude={"rehydrate", "repeats"})
        settings["signature"] = dedup.signature.numbers()
        # The order of sources decides, and a digest of a mapping does not see it.
        decides = settings | {"sources": list(dedup.sources.items())}
        # When all documents count, rules do not reach resolve: another threshold leaves the duplicates as they are.
        upstream = {"verdicts": verdicts.folder.name, "shards": verdicts.fingerprint("verdicts")}
        made_by = {"stage": "resolve", "rule_version": resolve.RULE_VERSION, "dedup": decides}
        made_by |= {"candidates": members.folder.name, "documents": documents.fingerprint("documents")}
        made_by |= upstream if dedup.among == "passing" else {}
        tables = signal_tables(self.recipe.annotate.groups())
        by_signal = sorted({tables[name] for name in ordering if name in tables})
        made_by |= {"signals": {table: signals[table].fingerprint("signals") for table in by_signal}}
        folder = self.steps.folder("duplicates", made_by)
        shards = sorted(documents.entries)
        found = [entry.outputs["candidates"]["rows"] for entry in members.entries.values()]
        partitions = partitions_for(int(sum(found) * _mean_bytes(documents)), resolve.BYTES_PER_PARTITION)
        largest = max((entry.notes["largest_component"] for entry in members.entries.values()), default=0)
        exchange = folder / "exchange"
        numbers = {shard: index for index, shard in enumerate(shards)}
        names = [f"part-{index:05d}" for index in range(partitions)]
        outcomes = [str(outcomes_folder(folder) / f"{name}.run") for name in names]

        def work() -> None:
            def of_shard(shard: str) -> dict[str, Any]:
                return {
                    "shard": shard, "shard_index": numbers[shard], "documents": documents.file("documents", shard),
                    "signatures": signatures.file("signatures", shard),
                    "signals": self._signal_sources(signals, shard, ordering),
                    "verdicts": verdicts.file("verdicts", shard), "candidates": members.file("candidates", shard),
                    "folder": str(exchange), "run": str(exchange / f"{shard}.run"), "partitions": partitions,
                    "dedup": settings,
                }  # fmt: skip

            list_runs(exchange, [f"{shard}.run" for shard in shards])
            jobs = [
                Job(Task(shard, resolve.gather_candidates, of_shard, resolve.MEMORY_BYTES, size))
                for shard in shards
                for size in [documents.bytes("documents", shard)]
            ]
            self.steps.do("select: gather", exchange, jobs)

        jobs = []
        for index, name in enumerate(names):
            arguments = {
                "shard": name,
                "partition": index,
                "runs": run_list(exchange),
                "folder": str(folder),
                "run": outcomes[index],
                "shards": len(shards),
                "dedup": settings,
            }
            memory = resolve.MEMORY_BYTES + resolve.MEMBER_BYTES * largest
            jobs.append(Job(Task(name, resolve.resolve_partition, arguments, memory)))
        return self.steps.do(
            "select: resolve", folder, jobs, before=work, scratch=exchange, also=[outcomes_folder(folder)]
        )

    def _outcome_list(self, duplicates: Finished) -> str:
        """Where the run files are listed in which resolve tells each shard what became of its documents."""
        folder = outcomes_folder(duplicates.folder)
        if not exists(folder / RUN_LIST):
            list_runs(folder, [f"{part}.run" for part in sorted(duplicates.entries)])
        return run_list(folder)

    def _write(
        self,
        documents: Finished,
        signals: dict[str, Finished],
        done: dict[str, Finished],
        made_by: dict[str, Any],
        outcomes: str | None,
        rules: dict[str, Any],
    ) -> Finished:
        verdicts = done["verdicts"]
        corpus, rejects = self.steps.folder("corpus", made_by), self.steps.folder("rejects", made_by)
        dedup, known = self.recipe.dedup, self.recipe.signals()
        editing = self._editing(done, rules)
        memory = select.MEMORY_BYTES
        if editing is not None:
            # Signals are measured anew in the writer.
            memory += max(annotate.memory_bytes(group) for group in self.recipe.groups().values())
        # Edits do not change what a host's pages are: rules that judge again read its rates as they are.
        rates = [name for name in self.recipe.select.host_signals() if name in self._asked()] if editing else []
        tokens = self.recipe.annotate.token_signals()
        types = {name: str(known[name].type) if name in known else "double" for name in self.recipe.select.columns}
        shards = sorted(documents.entries)
        numbers = {shard: index for index, shard in enumerate(shards)}

        def arguments(shard: str) -> dict[str, Any]:
            sources = self._signal_sources(signals, shard, [*self.recipe.select.columns, *rates, *tokens])
            sources += robots_source(done.get("robots_verdicts"), shard, ROBOTS_COLUMNS)
            return {
                "shard": shard,
                "shard_index": numbers[shard],
                "documents": documents.file("documents", shard),
                "signals": sources,
                "signal_types": types,
                "verdicts": verdicts.file("verdicts", shard),
                "outcomes": outcomes,
                "editing": editing,
                "corpus": str(corpus),
                "rejects": str(rejects),
                "columns": list(self.recipe.select.columns),
                "tokens": tokens,
                "duplicates_first": dedup is not None and dedup.among == "all",
                "rehydrate": dedup.rehydrate if dedup else {},
                "inputs": documents.inputs("documents", shard) + verdicts.inputs("verdicts", shard),
                "takedowns": str(self.steps.out) if "takedowns" in made_by else None,
            }

        jobs = []
        for shard in shards:
            read = documents.outputs("documents", shard)
            task = Task(shard, select.write_corpus, arguments, memory, read["bytes"])
            jobs.append(Job(task, expected_read=read["rows"]))
        return self.steps.do("select", corpus, jobs, also=[rejects])

    def _editing(self, done: dict[str, Finished], rules: dict[str, Any]) -> dict[str, Any] | None:
        """What the writer needs in order to edit texts and to judge them again; None where a recipe edits nothing."""
        repeats = self.recipe.dedup.repeats if self.recipe.dedup else None
        cleaning = self.recipe.select.clean
        if repeats is None and cleaning is None:
            return None
        cutting = None
        if repeats is not None:
            cutting = {"runs": frequent_run_list(done["repeats"]), "settings": repeats.model_dump(mode="json")}
        return {
            "repeats": cutting,
            "clean": cleaning.model_dump(mode="json") if cleaning else None,
            "select": rules,
            "groups": [(group.kind, group.settings) for group in self.recipe.groups().values()],
        }


def outcomes_folder(duplicates: Place) -> Place:
    """Where resolve tells the shards what became of their documents, beside its table."""
    return duplicates / "outcomes"


def robots_source(verdicts: Finished | None, shard: str, columns: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The file of a shard's robots verdicts with the columns to read of it, where there are any."""
    return [] if verdicts is None else [(verdicts.file("robots_verdicts", shard), list(columns))]


def signal_inputs(signals: dict[str, Finished], shard: str) -> list[dict[str, Any]]:
    """What a ledger entry notes of a shard's tables of signals."""
    found = {table: finished.inputs("signals", shard)[0] for table, finished in signals.items()}
    return [{**item, "name": f"{table}/{shard}"} for table, item in found.items()]


def _mean_bytes(documents: Finished) -> float:
    """About how many bytes a document's text has, from the ledger: three for each character of Japanese."""
    count = sum(entry.written for entry in documents.entries.values())
    return 3.0 * sum(entry.characters_out for entry in documents.entries.values()) / max(1, count)
