"""Tasks on a cluster of which one node's disk is full, then every node's for a while; prints how it goes."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from pipeline.ledger import Entry
from pipeline.ray_runner import RayRunner
from pipeline.runner import Task
from tests.cluster import full_disk
from tests.pipeline.conftest import Quiet

# Long enough that a node at work leaves others to the full one.
SECONDS = 1.0


def work() -> dict[str, Any]:
    """Keep a processor."""
    time.sleep(SECONDS)
    return Entry("any", "any").__dict__


def say(line: str) -> None:
    """A whole line at once: threads of Ray's print as well."""
    os.write(2, f"{line}\n".encode())


class Telling(Quiet):
    """Says with a line that the driver is still at it."""

    def watching(self) -> None:
        say("watching")


def main() -> None:
    """Run tasks at each line that comes in, until there are no more; the argument is the cluster's address."""
    runner = RayRunner(address=sys.argv[1])
    try:
        say(runner.start())
        for line in sys.stdin:
            tasks = [Task(f"{line.strip()}-{number}", full_disk.work, {}, 10**8) for number in range(6)]
            errors = [result.error for result in runner.run(tasks, Telling())]
            say(f"errors {json.dumps(errors)}")
    finally:
        runner.close()


if __name__ == "__main__":
    main()
