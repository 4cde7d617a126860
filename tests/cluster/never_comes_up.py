"""Tasks on a cluster where workers do not come up on one node; prints what became of each, as JSON."""

from __future__ import annotations

import json
import sys

from pipeline.ray_runner import RayRunner
from pipeline.runner import Task
from tests.cluster import full_disk
from tests.pipeline.conftest import Quiet

# Longer than a worker takes to come up beside other work, shorter than a test may wait.
UNBEGUN_SECONDS = 10.0


def main() -> None:
    """Run tasks twice, since what is known of a node is to hold; the argument is the cluster's address."""
    runner, found = RayRunner(address=sys.argv[1], unbegun_seconds=UNBEGUN_SECONDS), []
    try:
        for stage in ("first", "second"):
            tasks = [Task(f"{stage}-{number}", full_disk.work, {}, 10**8) for number in range(6)]
            for result in runner.run(tasks, Quiet()):
                node = result.where.node_id if result.where else None
                found.append({"error": result.error, "node": node})
    finally:
        runner.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
