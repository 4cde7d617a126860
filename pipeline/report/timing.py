"""Timing: where the time of a run went, by stage and step, from the ledger."""

from __future__ import annotations

import contextlib

from pipeline.entry_pack import read_entries
from pipeline.files import read_json
from pipeline.report.status import stage_tables
from pipeline.steps import STEPS_FILE
from pipeline.storage.places import Place


def timing_rows(out: Place, tables: dict[str, str]) -> list[tuple[str, str, float]]:
    """(stage, step, seconds of work added up over shards), in the order of the stages."""
    rows = []
    for stage, name in stage_tables(tables):
        with contextlib.suppress(FileNotFoundError):
            # Not written where a step has no exchange of files.
            for step, counts in read_json(out / tables[name] / STEPS_FILE).items():
                rows.append((stage, step.partition(": ")[2], counts["seconds"]))
        total, steps = 0.0, dict[str, float]()
        for entry, _ in read_entries(out / tables[name]):
            total += entry.seconds
            for step, seconds in entry.steps.items():
                steps[step] = steps.get(step, 0.0) + seconds
        for step, seconds in sorted(steps.items(), key=lambda item: -item[1]):
            rows.append((stage, step, seconds))
        rest = total - sum(steps.values())
        rows.append((stage, "everything else" if steps else "", rest))
    return rows


def markdown(rows: list[tuple[str, str, float]]) -> str:
    """The table in Markdown, with each step's share of all."""
    total = sum(seconds for _, _, seconds in rows) or 1.0
    lines = ["| stage | step | seconds | share |", "|---|---|---:|---:|"]
    lines += [f"| {stage} | {step} | {seconds:.1f} | {100 * seconds / total:.1f} % |" for stage, step, seconds in rows]
    return "\n".join([*lines, f"| all | | {total:.1f} | 100.0 % |"])
