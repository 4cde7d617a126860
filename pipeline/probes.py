"""Nodes asked whether they can work, after a worker was lost: each by a small task that only it may run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pipeline.avoided import Avoided
from pipeline.storage.scratch import least_free, scratch_file

# A worker that has to load Ray and our code first, beside other work, took 4 s (docs/cluster-scale.md).
ANSWER_SECONDS = 30.0
# A node that failed is asked again after so long.
ASKED_AGAIN_SECONDS = 10.0
# One that answered well need not answer again for so long where tasks only wait.
LOOKED_AT_AGAIN_SECONDS = 300.0
# Where no node is well, a lost task waits for one at most so long. It is tried all the same then.
HELD_SECONDS = 120.0
# What a node must be able to write: one block of any file system, and then some.
WRITTEN_BYTES = 65_536


def probe(free_bytes: int) -> bool:
    """Whether this machine has so many bytes free where temporary files go, and takes a file there.

    Raises OSError where it does not take it.
    """
    if least_free()[0] < free_bytes:
        return False
    with scratch_file(".probe") as path:
        path.write_bytes(bytes(WRITTEN_BYTES))
    return True


class Probes:
    """Asks nodes and has those avoided that fail or do not answer, until they answer well.

    Where a worker dies before it can say where it is, or never comes up, this is how it is found out. Nobody is asked
    before a worker was lost or a task has waited long. `failed` is kept up to date: the nodes that failed, and when.
    """

    def __init__(
        self,
        ray: Any,
        avoided: Avoided,
        free_bytes: int,
        failed: dict[str, float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ray = ray
        self._avoided = avoided
        self._free_bytes = free_bytes
        self._clock = clock
        self._asked: dict[Any, tuple[str, float]] = {}
        self._failed = failed
        self._well: dict[str, float] = {}
        self._held_until = 0.0
        for node in failed:
            avoided.add(node)

    @property
    def handles(self) -> list[Any]:
        """Ray's handles of the answers to come."""
        return list(self._asked)

    def ask(self, nodes: set[str]) -> None:
        """Ask nodes, but for those that have yet to answer: a worker was lost, and any of them may be why."""
        self._held_until = self._clock() + HELD_SECONDS
        self._ask(nodes)

    def look(self, nodes: set[str]) -> None:
        """Ask nodes of which nothing was heard for a while: tasks wait, and a worker may not come up on one of them."""
        recent = {node for node, when in self._well.items() if self._clock() - when < LOOKED_AT_AGAIN_SECONDS}
        self._ask(nodes - recent - self._failed.keys())

    def _ask(self, nodes: set[str]) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # No processor is reserved: a node that is busy is to answer as well.
        remote = self._ray.remote(num_cpus=0, max_retries=0)(probe)
        for node in sorted(nodes - {node for node, _ in self._asked.values()}):
            there = NodeAffinitySchedulingStrategy(node, soft=False)
            handle = remote.options(scheduling_strategy=there, name="probe").remote(self._free_bytes)
            self._asked[handle] = (node, self._clock())

    def hear(self) -> None:
        """Take the answers that are there, and ask again who failed a while ago."""
        if self._asked:
            done = self._ray.wait(self.handles, num_returns=len(self._asked), timeout=0)[0]
            for handle in done:
                self._judge(self._asked.pop(handle)[0], self._is_well(handle))
            late = [handle for handle, (_, since) in self._asked.items() if self._clock() - since > ANSWER_SECONDS]
            for handle in late:
                self._ray.cancel(handle, force=True)
                self._judge(self._asked.pop(handle)[0], False)
        again = {node for node, when in self._failed.items() if self._clock() - when > ASKED_AGAIN_SECONDS}
        if again:
            alive = self._avoided.alive()
            for node in self._failed.keys() - alive:
                del self._failed[node]
            self._ask(again & alive)

    def _is_well(self, handle: Any) -> bool:
        try:
            return bool(self._ray.get(handle))
        except self._ray.exceptions.RayError:
            # Of whatever kind: the worker was lost, the node is gone, or its disk takes no file.
            return False

    def _judge(self, node: str, well: bool) -> None:
        if well:
            self._failed.pop(node, None)
            self._well[node] = self._clock()
            self._avoided.remove(node)
        else:
            self._failed[node] = self._clock()
            self._avoided.add(node)

    def hold(self) -> bool:
        """Whether a lost task had better wait: for what nodes answer that had not failed, or for one that is well."""
        unknown = any(node not in self._failed for node, _ in self._asked.values())
        return unknown or (self._clock() < self._held_until and not self._avoided.others())
