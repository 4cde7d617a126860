"""Which tasks audit the repeats of a corpus, what they come to, and whether the recipe's limits hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dedup.repeats import UNITS
from pipeline import audit
from pipeline.exchange import list_runs, partitions_for, run_list
from pipeline.recipe import Audit
from pipeline.repeats_stage import BYTES_PER_LINE
from pipeline.runner import Task
from pipeline.steps import Finished, Job, Steps

THRESHOLDS = (2, 10, 100, 1000)


@dataclass(frozen=True)
class Repeated:
    """The repeats of a corpus.

    shares: by unit and threshold, the share of the corpus's letters in units that occur so often or more.
    most: units with most letters beyond their first occurrence: unit, occurrences, letters of one, its beginning or
    None. above: of the recipe's limits those that do not hold, as sentences.
    """

    letters: int
    shares: dict[str, dict[int, float]]
    most: list[dict[str, Any]]
    above: list[str]


def audit_repeats(steps: Steps, settings: Audit, corpus: Finished) -> Repeated:
    """Count what repeats in a corpus and hold it against the limits of the recipe; done once for each corpus."""
    thresholds = sorted({*THRESHOLDS, settings.times})
    made_by = {"stage": "audit", "rule_version": audit.RULE_VERSION, "corpus": corpus.folder.name}
    made_by |= {"shards": corpus.fingerprint("corpus"), "times": settings.times}
    folder = steps.folder("audit", made_by)
    shards = sorted(corpus.entries)
    size = 3 * sum(entry.characters_out for entry in corpus.entries.values())
    partitions = partitions_for(2 * size // BYTES_PER_LINE, audit.ROWS_PER_PARTITION)
    exchange = folder / "exchange"
    runs = [str(exchange / f"{shard}.run") for shard in shards]

    def work() -> None:
        tasks = [
            Task(shard, audit.count_units, {
                "shard": shard, "corpus": corpus.file("corpus", shard), "folder": str(exchange), "run": runs[index],
                "partitions": partitions,
            }, audit.MEMORY_BYTES, corpus.bytes("corpus", shard))
            for index, shard in enumerate(shards)
        ]  # fmt: skip
        list_runs(exchange, runs)
        steps.do("audit: units", exchange, [Job(task) for task in tasks])

    tasks = [
        Task(name, audit.add_up, {
            "shard": name, "partition": index, "runs": run_list(exchange), "folder": str(folder),
            "thresholds": thresholds, "times": settings.times,
        }, audit.MEMORY_BYTES)
        for index, name in enumerate(f"part-{number:05d}" for number in range(partitions))
    ]  # fmt: skip
    done = steps.do("audit", folder, [Job(task) for task in tasks], before=work, scratch=exchange)
    return _repeated(done, settings, thresholds)


def _repeated(done: Finished, settings: Audit, thresholds: list[int]) -> Repeated:
    notes = [entry.notes for entry in done.entries.values()]
    letters = {
        unit: {least: sum(note["letters"][unit][str(least)] for note in notes) for least in [1, *thresholds]}
        for unit in UNITS
    }
    shares = {unit: {least: letters[unit][least] / max(1, letters[unit][1]) for least in thresholds} for unit in UNITS}
    found = [row for note in notes for row in note["most"]]
    found.sort(key=lambda row: (UNITS.index(row["unit"]), (1 - row["occurrences"]) * row["letters"], row["text"] or ""))
    most = [row for unit in UNITS for row in [row for row in found if row["unit"] == unit][: audit.EXAMPLES]]
    above = [
        f"{share:.4%} of the letters stand in {unit}s that occur {settings.times} times or more; "
        f"audit.{unit}s allows {limit:.4%}"
        for unit, limit in settings.limits().items()
        if (share := shares[unit][settings.times]) > limit
    ]
    return Repeated(letters[UNITS[0]][1], shares, most, above)
