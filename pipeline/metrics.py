"""Metrics for Prometheus, where Ray exports any: counted by the driver as tasks end, so that workers pay nothing."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from pipeline.runner import Result

# What Ray's agent on each node needs in order to export metrics; `pip install 'ray[default]'` brings both.
NEEDED = ("opentelemetry.exporter.prometheus", "prometheus_client")
# Seconds of a task: from what starting one costs to a day.
BOUNDARIES = [0.1, 1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 24 * 3600.0]


def ray_exports() -> bool:
    """Whether Ray runs here and can export metrics."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return False
    try:
        return all(importlib.util.find_spec(name) is not None for name in NEEDED)
    except ModuleNotFoundError:
        return False


class Metrics:
    """`ray_kamisuki_*`: tasks by how they ended, records by what became of them, bytes read and seconds of tasks."""

    def __init__(self) -> None:
        self._made: dict[str, Any] | None = None

    def finished(self, stage: str, result: Result) -> None:
        """Count a task that ended."""
        made = self._metrics()
        if not made:
            return
        outcome = "done" if result.counts is not None else result.kind
        made["tasks"].inc(1, {"stage": stage, "outcome": outcome})
        if result.seconds is not None:
            made["seconds"].observe(max(result.seconds, 1e-6), {"stage": stage})
        counts = result.counts
        if counts is None:
            return
        records = {"written": counts.get("written", 0), "rejected": sum(counts.get("rejected", {}).values())}
        records["error"] = sum(counts.get("errors", {}).values())
        for name, count in records.items():
            if count:
                made["records"].inc(count, {"stage": stage, "outcome": name})
        if counts.get("bytes_in"):
            made["bytes"].inc(counts["bytes_in"], {"stage": stage})

    def _metrics(self) -> dict[str, Any]:
        if self._made is None:
            self._made = _make() if ray_exports() else {}
        return self._made


def _make() -> dict[str, Any]:
    from ray.util.metrics import Counter, Histogram

    by_outcome = ("stage", "outcome")
    return {
        "tasks": Counter("kamisuki_tasks", "Tasks that ended.", by_outcome),
        "records": Counter("kamisuki_records", "Records or documents of tasks that ended.", by_outcome),
        "bytes": Counter("kamisuki_input_bytes", "Compressed bytes of inputs that were read.", ("stage",)),
        "seconds": Histogram("kamisuki_task_seconds", "Wall seconds of tasks.", BOUNDARIES, ("stage",)),
    }
