"""Which tasks find the lines that stand in many documents of the corpus, and what decides their folder."""

from __future__ import annotations

from pipeline import repeats
from pipeline.dedup_settings import Repeats
from pipeline.exchange import RUN_LIST, list_runs, partitions_for, run_list
from pipeline.runner import Task
from pipeline.steps import Finished, Job, Steps
from pipeline.storage.places import exists

# One for a hundred bytes of Japanese: about thirty letters.
BYTES_PER_LINE = 100
FREQUENT_FOLDER = "frequent"


def find_repeats(
    steps: Steps,
    settings: Repeats,
    documents: Finished,
    verdicts: Finished,
    duplicates: Finished,
    outcomes: str,
    text_bytes: int,
) -> Finished:
    """Verdicts and duplicates to the table of repeats; `text_bytes` is about what the documents' texts hold."""
    # How many such lines in a row are cut is the writer's affair.
    counted = settings.model_dump(mode="json", exclude={"run"})
    made_by = {"stage": "repeats", "rule_version": repeats.RULE_VERSION, "repeats": counted}
    made_by |= {"documents": documents.fingerprint("documents"), "verdicts": verdicts.fingerprint("verdicts")}
    folder = steps.folder("repeats", made_by | {"duplicates": duplicates.fingerprint("duplicates")})
    shards = sorted(documents.entries)
    partitions = partitions_for(text_bytes // BYTES_PER_LINE, repeats.ROWS_PER_PARTITION)
    exchange = folder / "exchange"
    runs = [str(exchange / f"{shard}.run") for shard in shards]
    names = [f"part-{number:05d}" for number in range(partitions)]
    told = [str(folder / FREQUENT_FOLDER / f"{name}.run") for name in names]

    def work() -> None:
        tasks = [
            Task(shard, repeats.count_shard, {
                "shard": shard, "shard_index": index, "documents": documents.file("documents", shard),
                "verdicts": verdicts.file("verdicts", shard), "outcomes": outcomes, "folder": str(exchange),
                "run": runs[index], "partitions": partitions, "repeats": counted,
            }, repeats.MEMORY_BYTES, documents.bytes("documents", shard))
            for index, shard in enumerate(shards)
        ]  # fmt: skip
        list_runs(exchange, runs)
        steps.do("select: lines", exchange, [Job(task) for task in tasks])

    tasks = [
        Task(name, repeats.find_frequent, {
            "shard": name, "partition": index, "runs": run_list(exchange), "folder": str(folder),
            "run": told[index], "shards": len(shards), "most": settings.documents,
        }, repeats.MEMORY_BYTES)
        for index, name in enumerate(names)
    ]  # fmt: skip
    jobs = [Job(task) for task in tasks]
    return steps.do("select: repeats", folder, jobs, before=work, scratch=exchange, also=[folder / FREQUENT_FOLDER])


def frequent_run_list(found: Finished) -> str:
    """Where the run files are listed that tell each shard its frequent lines."""
    folder = found.folder / FREQUENT_FOLDER
    if not exists(folder / RUN_LIST):
        list_runs(folder, [f"{part}.run" for part in sorted(found.entries)])
    return run_list(folder)
