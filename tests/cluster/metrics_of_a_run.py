"""Run the sample on a Ray of this machine, read what Ray exports for Prometheus, and print both as JSON.

For a Python that has ray[default]. Arguments: an input, a folder for OUT.
"""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.request
from pathlib import Path

import ray

from pipeline.progress import Progress
from pipeline.ray_runner import RayRunner
from pipeline.recipe import find_recipe, load_recipe
from pipeline.run import Run

# Ray hands metrics over every ten seconds or so.
SECONDS = 90
_LINE = re.compile(r"^(ray_kamisuki_\w+)\{([^}]*)\} ([\d.e+]+)$", re.MULTILINE)


def exported() -> dict[str, dict[str, float]]:
    """The metrics of kamisuki on all nodes: by name, and by stage and outcome, added up."""
    found: dict[str, dict[str, float]] = {}
    for node in ray.nodes():
        url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        text = urllib.request.urlopen(url, timeout=10).read().decode()
        for name, labels, value in _LINE.findall(text):
            given = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            if "le" not in given:
                key = "/".join(given[label] for label in ("stage", "outcome") if label in given)
                found.setdefault(name, {})[key] = float(value)
    return found


def main() -> None:
    """Make the run, wait until the last stage is exported, and print."""
    given, out = Path(sys.argv[1]), Path(sys.argv[2])
    runner = RayRunner(1)
    job = Run(load_recipe(find_recipe("demo")), out, runner, Progress(None))
    runner.start()
    job.execute([str(given)])
    until = time.monotonic() + SECONDS
    while True:
        found = exported()
        if sum(found.get("ray_kamisuki_tasks_total", {}).values()) == job.tasks_run or time.monotonic() > until:
            break
        time.sleep(2)
    print(json.dumps({"tasks": job.tasks_run, "tables": job.tables, "exported": found}))
    runner.close()


if __name__ == "__main__":
    main()
