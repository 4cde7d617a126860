"""The step of select that turns a share of a run into a limit: values of all shards, and the one that parts them."""

from __future__ import annotations

from pipeline import quantiles
from pipeline.exchange import list_runs, run_list
from pipeline.runner import Task
from pipeline.steps import Finished, Job, Steps


def quantile_table(signal: str, share: float, end: str) -> str:
    """The name of the table whose ledger holds the value."""
    return f"quantiles_{end}_{share}_{signal}"


def find_quantile(steps: Steps, found: Finished, kind: str, signal: str, share: float, end: str) -> float | None:
    """The value that parts off the `share` of documents whose `signal` is greatest ("top") or least ("bottom").

    It belongs to them. None where no document has a value. `found` made files of this kind (signals or documents).
    """
    made_by = {"stage": "quantiles", "rule_version": quantiles.RULE_VERSION, "signal": signal, "share": share}
    made_by |= {"end": end}
    made_by |= {"table": found.folder.name, "shards": found.fingerprint(kind)}
    folder = steps.folder("quantiles", made_by, quantile_table(signal, share, end))
    scratch = folder / "exchange"
    shards = sorted(found.entries)
    runs = [str(scratch / f"{shard}.run") for shard in shards]
    place: list[tuple[int, int] | None] = []

    def work() -> None:
        tasks = [
            Task(
                shard,
                quantiles.sort_values,
                {
                    "shard": shard,
                    "signals": found.file(kind, shard),
                    "signal": signal,
                    "folder": str(scratch),
                    "run": runs[index],
                    "inputs": found.inputs(kind, shard),
                },
                quantiles.MEMORY_BYTES,
                found.bytes(kind, shard),
            )
            for index, shard in enumerate(shards)
        ]
        list_runs(scratch, runs)
        done = steps.do("select: values", scratch, [Job(task) for task in tasks])
        place.append(quantiles.range_of(done.entries.values(), share, end))

    arguments = {"shard": "value", "runs": run_list(scratch), "place": place, "end": end, "folder": str(folder)}
    job = Job(Task("value", quantiles.pick_value, arguments, quantiles.MEMORY_BYTES))
    finished = steps.do("select: quantiles", folder, [job], before=work, scratch=scratch)
    value = finished.entries["value"].notes["value"]
    return None if value is None else float(value)
