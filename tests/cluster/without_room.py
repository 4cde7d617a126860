"""Tasks on a cluster of which one node has no room or crashes workers, then all nodes: what became of each, as JSON."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from dataclasses import replace
from typing import Any

from pipeline.avoided import LEAST_FREE_BYTES
from pipeline.ledger import Entry
from pipeline.ray_runner import RayRunner
from pipeline.runner import Task
from tests.cluster import without_room
from tests.pipeline.conftest import Quiet


def work(full: str | None) -> dict[str, Any]:
    """Fail as with a full disk on the node with an address, or with None on each."""
    import ray

    if full in (None, ray.util.get_node_ip_address()):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return Entry("any", "any").__dict__


def crash(node: str | None) -> dict[str, Any]:
    """End the worker on the node with an address, or with None on each, before anything can be said."""
    import ray

    if node in (None, ray.util.get_node_ip_address()):
        os.kill(os.getpid(), signal.SIGKILL)
    return Entry("any", "any").__dict__


def main() -> None:
    """Print the results; arguments are the cluster's address and that of the node without room."""
    address, full = sys.argv[1:]
    crashing = [Task(f"crash-{number}", without_room.crash, {"node": full}, 10**8) for number in range(3)]
    everywhere = [Task("crash", without_room.crash, {"node": None}, 10**8)]
    one = [Task(f"one-{number}", without_room.work, {"full": full}, 10**8) for number in range(8)]
    runner, found = RayRunner(address=address), {}
    try:
        for name, tasks, needed in (
            ("one node", one, LEAST_FREE_BYTES),
            ("every node", [replace(one[0], arguments={"full": None})], LEAST_FREE_BYTES),
            # No disk has so much.
            ("room that none has", [replace(one[0], arguments={"full": "none"})], 2**60),
            ("crashes on one node", crashing, LEAST_FREE_BYTES),
            ("crashes on every node", everywhere, LEAST_FREE_BYTES),
        ):
            runner.least_free_bytes = needed
            results = list(runner.run(tasks, Quiet()))
            found[name] = [
                {"error": result.error, "kind": result.kind, "attempt": result.where.attempt if result.where else 0}
                for result in results
            ]
    finally:
        runner.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
