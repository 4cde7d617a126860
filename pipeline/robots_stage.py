"""Robots verdicts as a step of select: its tasks, its exchange, and what decides its folder."""

from __future__ import annotations

from functools import partial
from typing import Any

from pipeline import robots_verdicts
from pipeline.exchange import list_runs, partitions_for, run_list
from pipeline.runner import Task
from pipeline.select_settings import Robots
from pipeline.steps import Finished, Job, Steps, was_made_of
from pipeline.web.consent.agents import agents_of


def asked_of_robots(policy: Robots, captures: Finished) -> dict[str, Any]:
    """All that decides what robots.txt says of a document."""
    asked = {"rule_version": robots_verdicts.RULE_VERSION, "versions": robots_verdicts.versions()}
    asked |= {"agents": list(agents_of(policy.agents)), "unreachable": policy.unreachable}
    return asked | {"captures": captures.fingerprint("robots")}


def decide_robots(steps: Steps, documents: Finished, captures: Finished, asked: dict[str, Any]) -> Finished:
    """What robots.txt says of each document, through the file exchange."""
    made_by = {"stage": "robots verdicts", "documents": documents.fingerprint("documents"), **asked}
    folder = steps.folder("robots_verdicts", made_by)
    shards = sorted(documents.entries)
    exchange = folder / "exchange"
    size = sum(entry.characters_out for entry in captures.entries.values())
    size += robots_verdicts.BYTES_OF_A_PAGE * sum(
        entry.written for finished in (documents, captures) for entry in finished.entries.values()
    )
    partitions = partitions_for(size, robots_verdicts.BYTES_PER_PARTITION)
    names = [f"part-{index:05d}" for index in range(partitions)]
    runs = {
        step: [str(exchange / step / f"{name}.run") for name in each]
        for step, each in (("pages", shards), ("captures", sorted(captures.entries)), ("decided", names))
    }

    listed = {step: run_list(exchange / step) for step in runs}

    def work() -> None:
        for step, paths in runs.items():
            list_runs(exchange / step, paths)
        tasks = [
            Task(shard, robots_verdicts.partition_pages, {
                "shard": shard, "shard_index": index, "documents": documents.file("documents", shard),
                "folder": str(exchange / "pages"), "run": runs["pages"][index], "partitions": partitions,
            }, robots_verdicts.MEMORY_BYTES, documents.bytes("documents", shard))
            for index, shard in enumerate(shards)
        ]  # fmt: skip
        steps.do("select: robots pages", exchange / "pages", [Job(task) for task in tasks])
        tasks = [
            Task(shard, robots_verdicts.partition_captures, {
                "shard": shard, "robots": captures.file("robots", shard),
                "folder": str(exchange / "captures"), "run": runs["captures"][index], "partitions": partitions,
            }, robots_verdicts.MEMORY_BYTES, captures.bytes("robots", shard))
            for index, shard in enumerate(sorted(captures.entries))
        ]  # fmt: skip
        steps.do("select: robots captures", exchange / "captures", [Job(task) for task in tasks])
        tasks = [
            Task(name, robots_verdicts.decide_partition, {
                "shard": name, "partition": index, "pages": listed["pages"], "captures": listed["captures"],
                "folder": str(exchange / "decided"), "run": runs["decided"][index], "shards": len(shards),
                "agents": asked["agents"], "unreachable": asked["unreachable"],
            }, robots_verdicts.MEMORY_BYTES)
            for index, name in enumerate(names)
        ]  # fmt: skip
        steps.do("select: robots decide", exchange / "decided", [Job(task) for task in tasks])

    jobs = []
    for index, shard in enumerate(shards):
        inputs = documents.inputs("documents", shard)
        arguments = {
            "shard": shard,
            "shard_index": index,
            "documents": documents.file("documents", shard),
            "runs": listed["decided"],
            "folder": str(folder),
            "inputs": inputs,
        }
        weight = documents.bytes("documents", shard)
        task = Task(shard, robots_verdicts.write_verdicts, arguments, robots_verdicts.MEMORY_BYTES, weight)
        rows = documents.outputs("documents", shard)["rows"]
        jobs.append(Job(task, partial(was_made_of, inputs), rows))
    return steps.do("select: robots", folder, jobs, before=work, scratch=exchange)
