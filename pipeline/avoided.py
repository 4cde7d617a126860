"""Nodes on which work fails by no fault of its own, a full disk above all: for a while other nodes do it."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Set

# A cache makes room and people clean up within minutes; a node that is tried too early costs one attempt of a task.
AVOIDED_SECONDS = 120.0
# A task does not begin on a node with less, where there is another: what a shard writes would not fit, and Ray's own
# workers crash there before they can say why.
LEAST_FREE_BYTES = 32_000_000
NODE_LABEL = "ray.io/node-id"
OF_A_NODE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)


def is_of_its_node(error: BaseException) -> bool:
    """Whether an error, or what led to it, says that a node has no room or a broken disk, and nothing of the work."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in OF_A_NODE:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


class Avoided:
    """Nodes that are avoided for AVOIDED_SECONDS; `alive` tells the ids of all nodes that have processors now."""

    def __init__(self, alive: Callable[[], set[str]], clock: Callable[[], float] = time.monotonic) -> None:
        self.alive = alive
        self._clock = clock
        self._until: dict[str, float] = {}

    def add(self, node: str) -> None:
        """Avoid a node from now on."""
        self._until[node] = self._clock() + AVOIDED_SECONDS

    def remove(self, node: str) -> None:
        """Avoid a node no more."""
        self._until.pop(node, None)

    def _now(self) -> set[str]:
        now = self._clock()
        self._until = {node: until for node, until in self._until.items() if until > now}
        return set(self._until)

    def others(self) -> bool:
        """Whether there is a node that is not avoided."""
        return bool(self.alive() - self._now())

    def excluded(self, also: Set[str] = frozenset()) -> frozenset[str]:
        """The nodes that a task keeps away from, its own (`also`) among them as long as that leaves it any.

        Empty where nothing is to be avoided or nothing would be left.
        """
        avoided = self._now()
        if not avoided and not also:
            return frozenset()
        alive = self.alive()
        return next((frozenset(some) for some in (avoided | also, avoided) if alive - some), frozenset())


def selector(excluded: Set[str]) -> dict[str, str]:
    """Ray's label selector for a task that keeps away from some nodes; empty where there are none."""
    return {NODE_LABEL: f"!in({','.join(sorted(excluded))})"} if excluded else {}
