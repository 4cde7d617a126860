"""Host rates as a step of select: its tasks, its exchange, and what decides its folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pipeline import host_rates
from pipeline.exchange import list_runs, partitions_for, run_list
from pipeline.runner import Task
from pipeline.select_settings import HostRate
from pipeline.steps import Finished, Job, Steps, was_made_of

# The name of the table in run.json; it has the form of a table of signals.
HOST_TABLE = "host_rates"


def find_host_rates(
    steps: Steps,
    rates: dict[str, HostRate],
    documents: Finished,
    signals: dict[str, Finished],
    sources: Callable[[str, list[str]], list[tuple[str, list[str]]]],
) -> Finished:
    """The rates of each document's host, by signal. `sources` gives a shard's files of the signals that it is asked."""
    settings = {name: rate.model_dump(mode="json") for name, rate in rates.items()}
    made_by = {"stage": "host rates", "rule_version": host_rates.RULE_VERSION, "rates": settings}
    made_by |= {"documents": documents.fingerprint("documents")}
    made_by |= {"signals": {table: found.fingerprint("signals") for table, found in signals.items()}}
    folder = steps.folder(HOST_TABLE, made_by)
    shards = sorted(documents.entries)
    exchange = folder / "exchange"
    rows = sum(entry.written for entry in documents.entries.values())
    partitions = partitions_for(rows, host_rates.ROWS_PER_PARTITION)
    names = [f"part-{index:05d}" for index in range(partitions)]
    counts = [str(exchange / "counts" / f"{shard}.run") for shard in shards]
    sums = [str(exchange / "sums" / f"{name}.run") for name in names]
    wanted = sorted({rate.signal for rate in rates.values()})

    def work() -> None:
        tasks = [
            Task(shard, host_rates.count_shard, {
                "shard": shard, "shard_index": index, "documents": documents.file("documents", shard),
                "signals": sources(shard, wanted), "rates": settings, "folder": str(exchange / "counts"),
                "run": counts[index], "partitions": partitions,
            }, host_rates.MEMORY_BYTES, documents.bytes("documents", shard))
            for index, shard in enumerate(shards)
        ]  # fmt: skip
        list_runs(exchange / "counts", counts)
        list_runs(exchange / "sums", sums)
        steps.do("select: host counts", exchange / "counts", [Job(task) for task in tasks])
        tasks = [
            Task(name, host_rates.add_up, {
                "shard": name, "partition": index, "runs": run_list(exchange / "counts"), "rates": settings,
                "folder": str(exchange / "sums"), "run": sums[index], "shards": len(shards),
            }, host_rates.MEMORY_BYTES)
            for index, name in enumerate(names)
        ]  # fmt: skip
        steps.do("select: host sums", exchange / "sums", [Job(task) for task in tasks])

    jobs = []
    for index, shard in enumerate(shards):
        inputs = documents.inputs("documents", shard)
        arguments = {"shard": shard, "shard_index": index, "documents": documents.file("documents", shard)}
        arguments |= {"runs": run_list(exchange / "sums"), "rates": settings, "folder": str(folder), "inputs": inputs}
        weight = documents.bytes("documents", shard)
        task = Task(shard, host_rates.write_rates, arguments, host_rates.MEMORY_BYTES, weight)
        jobs.append(Job(task, partial(was_made_of, inputs), documents.outputs("documents", shard)["rows"]))
    return steps.do("select: host rates", folder, jobs, before=work, scratch=exchange)
