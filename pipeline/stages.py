"""Stages: which tasks make which tables, what decides each folder's name, and what each shard was made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from pipeline import annotate, candidates, extract, ingest, joining, robots, sign
from pipeline.exchange import list_runs, partitions_for, run_list
from pipeline.inputs import input_digest, input_stat, is_settled
from pipeline.ledger import Entry
from pipeline.plan import Shard
from pipeline.recipe import Recipe
from pipeline.runner import Task
from pipeline.select_stage import Selection
from pipeline.signal_tables import TEXT_TABLE, GroupSettings
from pipeline.steps import Finished, Job, Steps, was_made_of
from pipeline.storage.places import Place

# A recipe begins with one of the first two.
STAGES = ("extract", "ingest", "robots", "annotate", "sign", "dedup", "select")


class Stages:
    """The stages of one recipe over the shards of one plan. Each method takes what the stages before it finished."""

    def __init__(self, recipe: Recipe, shards: list[Shard], steps: Steps, robots_shards: Sequence[Shard] = ()) -> None:
        self.recipe = recipe
        self.shards = shards
        self.steps = steps
        self.robots_shards = robots_shards

    def extract(self, done: dict[str, Finished]) -> dict[str, Finished]:
        """Records of the inputs to documents."""
        settings = self.recipe.extract.model_dump(mode="json")
        made_by = documents_made_by(self.recipe)
        documents, rejects = (
            self.steps.folder("documents", made_by),
            self.steps.folder("rejects", made_by, "extract_rejects"),
        )
        memory = extract.memory_bytes(self.recipe.extract)
        fetching = asdict(self.recipe.sources.politeness())
        by_name = {shard.name: shard for shard in self.shards}

        def arguments(name: str) -> dict[str, Any]:
            given = {"shard": by_name[name].as_record(), "settings": settings, "fetching": fetching}
            return given | {"documents": str(documents), "rejects": str(rejects)}

        jobs = []
        for shard in self.shards:
            task = Task(shard.name, extract.extract_shard, arguments, memory, shard.bytes, extract.input_stats(shard))
            jobs.append(Job(task, partial(inputs_hold, documents, shard), failure_holds=partial(failure_holds, shard)))
        return {"documents": self.steps.do("extract", documents, jobs, also=[rejects])}

    def ingest(self, done: dict[str, Finished]) -> dict[str, Finished]:
        """Rows of the inputs to documents."""
        settings = self.recipe.ingest
        assert settings is not None
        made_by = documents_made_by(self.recipe)
        documents, rejects = (
            self.steps.folder("documents", made_by),
            self.steps.folder("rejects", made_by, "extract_rejects"),
        )
        jobs = []
        for shard in self.shards:
            sources = ingest.sources_of(settings, shard)
            arguments = {
                "shard": shard.as_record(),
                "settings": settings.model_dump(mode="json"),
                "sources": sources,
                "documents": str(documents),
                "rejects": str(rejects),
                "fetching": asdict(self.recipe.sources.politeness()),
            }
            stats = extract.input_stats(shard)
            task = Task(shard.name, ingest.ingest_shard, arguments, ingest.memory_bytes(settings), shard.bytes, stats)
            holds = partial(rows_hold, documents, shard, sources)
            jobs.append(Job(task, holds, failure_holds=partial(failure_holds, shard)))
        return {"documents": self.steps.do("ingest", documents, jobs, also=[rejects])}

    def robots(self, done: dict[str, Finished]) -> dict[str, Finished]:
        """Records of robots.txt WARC files to the captures that select asks."""
        made_by = {"stage": "robots", "rule_version": robots.RULE_VERSION, "versions": robots.versions()}
        folder = self.steps.folder("robots", made_by)
        jobs = []
        for shard in self.robots_shards:
            arguments = {
                "shard": shard.as_record(),
                "folder": str(folder),
                "fetching": asdict(self.recipe.sources.politeness()),
            }
            stats = extract.input_stats(shard)
            task = Task(shard.name, robots.read_robots_shard, arguments, robots.MEMORY_BYTES, shard.bytes, stats)
            jobs.append(Job(task, partial(inputs_hold, folder, shard), failure_holds=partial(failure_holds, shard)))
        return {"robots": self.steps.do("robots", folder, jobs)}

    def annotate(self, done: dict[str, Finished]) -> dict[str, Finished]:
        """Documents to signals: a table for each group that the recipe needs."""
        documents = done["documents"]
        finished = {}
        for table, group in self.recipe.groups().items():
            folder = self.steps.folder(table, signals_made_by(documents.folder.name, group))
            settings = {"kind": group.kind, "settings": group.settings}
            memory = annotate.memory_bytes(group)
            jobs = _jobs(annotate.annotate_shard, memory, documents, folder, **settings)
            name = "annotate" if table == TEXT_TABLE else f"annotate: {group.kind}"
            finished[table] = self.steps.do(name, folder, jobs)
        return finished

    def sign(self, done: dict[str, Finished]) -> dict[str, Finished]:
        """Documents to signatures."""
        documents, dedup = done["documents"], self.recipe.dedup
        assert dedup is not None
        made_by = {"stage": "sign", "upstream": documents.folder.name}
        folder = self.steps.folder("signatures", made_by | sign.fingerprint(dedup.signature))
        parameters = dedup.signature.numbers()
        jobs = _jobs(sign.sign_shard, sign.MEMORY_BYTES, documents, folder, parameters=parameters)
        return {"signatures": self.steps.do("sign", folder, jobs)}

    def dedup(self, done: dict[str, Finished]) -> dict[str, Finished]:
        """Signatures to components of candidate duplicates, through the file exchange."""
        documents, signatures, dedup = done["documents"], done["signatures"], self.recipe.dedup
        assert dedup is not None
        made_by = {"stage": "dedup", "rule_version": candidates.RULE_VERSION, "upstream": signatures.folder.name}
        made_by |= {"kinds": sorted(dedup.kinds), "scope": dedup.scope}
        made_by |= {"sources": list(dedup.sources.items()) if dedup.scope == "source" else []}
        made_by |= {"documents": documents.fingerprint("documents"), "shards": signatures.fingerprint("signatures")}
        folder = self.steps.folder("candidates", made_by)
        shards = sorted(signatures.entries)
        numbers = {shard: index for index, shard in enumerate(shards)}
        exchange = folder / "exchange"

        def work() -> None:
            rows = sum(entry.written for entry in signatures.entries.values())
            partitions = partitions_for(rows * (dedup.signature.bands + 4), candidates.ROWS_PER_PARTITION)
            edge_names = [f"part-{index:05d}" for index in range(partitions)]
            edge_runs = [str(exchange / "edges" / f"{name}.run") for name in edge_names]

            def keys_of(shard: str) -> dict[str, Any]:
                return {
                    "shard": shard, "shard_index": numbers[shard], "documents": documents.file("documents", shard),
                    "signatures": signatures.file("signatures", shard), "folder": str(exchange / "keys"),
                    "run": str(exchange / "keys" / f"{shard}.run"), "partitions": partitions,
                    "kinds": list(dedup.kinds), "scope": dedup.scope, "sources": dedup.sources,
                }  # fmt: skip

            list_runs(exchange / "keys", [f"{shard}.run" for shard in shards])
            jobs = [
                Job(Task(shard, candidates.partition_keys, keys_of, candidates.MEMORY_BYTES, size))
                for shard in shards
                for size in [signatures.bytes("signatures", shard)]
            ]
            self.steps.do("dedup: keys", exchange / "keys", jobs)
            del jobs
            tasks = [
                Task(name, candidates.reduce_keys, {
                    "shard": name, "partition": index, "partitions": partitions, "runs": run_list(exchange / "keys"),
                    "folder": str(exchange / "edges"), "run": edge_runs[index],
                }, candidates.MEMORY_BYTES)
                for index, name in enumerate(edge_names)
            ]  # fmt: skip
            list_runs(exchange / "edges", edge_runs)
            edges = self.steps.do("dedup: edges", exchange / "edges", [Job(task) for task in tasks])
            found = sum(entry.written for entry in edges.entries.values())
            edge_list = run_list(exchange / "edges")
            joining.join(self.steps, exchange, edge_list, partitions, len(shards), min(rows, 2 * found))

        def arguments(shard: str) -> dict[str, Any]:
            return {
                "shard": shard,
                "shard_index": numbers[shard],
                "signatures": signatures.file("signatures", shard),
                "members": run_list(joining.members_folder(exchange)),
                "folder": str(folder),
                "inputs": signatures.inputs("signatures", shard),
            }

        holds = partial(was_made_of, partial(signatures.inputs, "signatures"))
        jobs = []
        for shard in shards:
            found = signatures.outputs("signatures", shard)
            task = Task(shard, candidates.write_candidates, arguments, candidates.MEMORY_BYTES, found["bytes"])
            jobs.append(Job(task, holds, found["rows"]))
        return {"candidates": self.steps.do("dedup", folder, jobs, before=work, scratch=exchange)}

    def select(self, done: dict[str, Finished]) -> dict[str, Finished]:
        """Documents to the corpus: judge, resolve, write."""
        return Selection(self.recipe, self.steps).select(done)


def _jobs(
    function: Callable[..., dict[str, Any]], memory: int, documents: Finished, folder: Place, **more: Any
) -> list[Job]:
    """A job for each shard of the documents, which reads its file and writes one of its name into a folder."""

    def arguments(shard: str) -> dict[str, Any]:
        given = {"shard": shard, "documents": documents.file("documents", shard), "folder": str(folder)}
        return given | {"inputs": documents.inputs("documents", shard)} | more

    holds, jobs = partial(was_made_of, partial(documents.inputs, "documents")), []
    for shard in sorted(documents.entries):
        found = documents.outputs("documents", shard)
        jobs.append(Job(Task(shard, function, arguments, memory, found["bytes"]), holds, found["rows"]))
    return jobs


def documents_made_by(recipe: Recipe) -> dict[str, Any]:
    """What decides the documents of a recipe."""
    if recipe.ingest is not None:
        return {
            "stage": "ingest",
            "rule_version": ingest.RULE_VERSION,
            "settings": ingest.deciding(recipe.ingest),
            "versions": ingest.versions(recipe.ingest),
        }
    made_by = {"stage": "extract", "rule_version": extract.RULE_VERSION}
    return made_by | {
        "settings": extract.deciding(recipe.extract),
        "versions": extract.versions(recipe.extract.extractor),
    }


def signals_made_by(documents: str, group: GroupSettings) -> dict[str, Any]:
    """What decides the signals of a group over the documents of a folder of that name."""
    return {"stage": "annotate", "upstream": documents} | annotate.fingerprint(group)


def failure_holds(shard: Shard, failure: dict[str, Any]) -> bool:
    """Whether a failure speaks of the inputs as they are now, so that trying again would fail again.

    A server may have mended its own fault meanwhile, and that cannot be seen from here.
    """
    if any(is_settled(item.path) for item in shard.inputs):
        return False
    return bool(failure.get("inputs") == extract.input_stats(shard))


def rows_hold(folder: Place, shard: Shard, sources: dict[str, str], entry: Entry) -> bool:
    """As inputs_hold; and each file still is of the source that it was of."""
    return entry.notes.get("sources") == sources and inputs_hold(folder, shard, entry)


def inputs_hold(folder: Place, shard: Shard, entry: Entry) -> bool:
    """Whether a shard's inputs are still the ones that its entry speaks of.

    Size and digest decide. An unchanged modification time saves reading the file again; an input that is
    gone cannot be checked and does not undo what was extracted from it.
    """
    recorded = {item["name"]: item for item in entry.inputs}
    if set(recorded) != {item.name for item in shard.inputs}:
        return False
    touched = False
    for item in shard.inputs:
        try:
            found = input_stat(item.path, item.bytes)
        except FileNotFoundError:
            continue
        known = recorded[item.name]
        if found == entry.notes["stat"][item.name]:
            continue
        if found[0] != known["bytes"] or (not is_settled(item.path) and input_digest(item.path) != known["digest"]):
            return False
        entry.notes["stat"][item.name] = found
        touched = True
    if touched:
        # The bytes are the same: the next run need not read them again.
        entry.save(folder)
    return True
