"""Faults of a cluster: what may break, in which order by a seed, and how each is brought about and mended."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.nodes import Node, Nodes

# How often each kind comes in a run. A head takes the whole cluster with it, so that it comes in every other run.
EACH_RUN = {"worker": 4, "freeze": 2, "raylet": 1, "node": 1, "driver": 1, "cut": 1, "disk": 2}
WAIT_SECONDS = (1.0, 9.0)
# In every third run the faults wait for what comes after extract, which is quicker: most of a run's time goes there.
LATE_STAGE = "annotate"
LATE_WAIT_SECONDS = (0.3, 2.5)
CUT_SECONDS = 30.0
# Of all requests to the S3 server from the first to the last, besides the faults of the plan.
BUSY_SHARE = 0.1
FROZEN_SECONDS = (5.0, 25.0)
FULL_SECONDS = (8.0, 20.0)
# A node that was lost is replaced after so long.
REPLACED_SECONDS = 4.0


@dataclass(frozen=True)
class Fault:
    """A fault to come: its kind, the seconds before it, how long it lasts, and which of those that may be hit."""

    kind: str
    wait: float
    lasts: float
    share: float


def is_late(seed: int) -> bool:
    """Whether the faults of a seed begin with LATE_STAGE."""
    return seed % 3 == 0


def plan_faults(seed: int) -> list[Fault]:
    """The faults of a run, the same for the same seed."""
    chance = random.Random(seed)
    kinds = [kind for kind, count in EACH_RUN.items() for _ in range(count)]
    if seed % 2:
        kinds.append("head")
    chance.shuffle(kinds)
    wait = LATE_WAIT_SECONDS if is_late(seed) else WAIT_SECONDS
    lasting = {
        "freeze": FROZEN_SECONDS,
        "disk": FULL_SECONDS,
        "cut": (CUT_SECONDS, CUT_SECONDS),
    }
    return [
        Fault(
            kind,
            chance.uniform(*wait),
            chance.uniform(*lasting.get(kind, (0.0, 0.0))),
            round(chance.random(), 6),
        )
        for kind in kinds
    ]


@dataclass
class Weather:
    """What stands between the cluster and the S3 server: a proxy asks it what is to happen to each request.

    A tenth of them is told that the server is busy. While it is cut off, half of them find a closed door and the others
    no answer at all.
    """

    chance: random.Random
    cut_until: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def mischief(self, number: int, method: str, path: str) -> str | None:
        """What happens to a request."""
        left = self.cut_until - time.monotonic()
        if left > 0:
            if number % 2:
                time.sleep(left)
            return "gone"
        with self.lock:
            unlucky = self.chance.random() < BUSY_SHARE
        return "busy" if unlucky else None


@dataclass
class Scene:
    """A cluster at work: its nodes, its driver, and what is to be mended when."""

    nodes: Nodes
    weather: Weather
    driver: subprocess.Popen[bytes]
    later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def mend(self) -> None:
        """Do what is due: thaw, empty, replace."""
        now = time.monotonic()
        due = [action for when, action in self.later if when <= now]
        self.later = [(when, action) for when, action in self.later if when > now]
        for action in due:
            action()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something in a while."""
        self.later.append((time.monotonic() + seconds, action))


def strike(scene: Scene, fault: Fault) -> str | None:
    """Bring a fault about; what it hit, or None when there is nothing to hit at this moment."""
    return _KINDS[fault.kind](scene, fault)


def _send(process: int, what: signal.Signals) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, what)
        return True
    return False


def _chosen(some: list[int], share: float) -> int:
    return some[int(share * len(some))]


def _alive(scene: Scene) -> list[Node]:
    return [node for node in scene.nodes.workers.values() if node.process.poll() is None and node.of("raylet/raylet")]


def _busy_workers(scene: Scene) -> list[int]:
    return [process for node in scene.nodes.workers.values() for process in node.workers()]


def _kill_worker(scene: Scene, fault: Fault) -> str | None:
    busy = _busy_workers(scene)
    if not busy or not _send(victim := _chosen(busy, fault.share), signal.SIGKILL):
        return None
    return f"worker {victim}"


def _freeze_worker(scene: Scene, fault: Fault) -> str | None:
    busy = _busy_workers(scene)
    if not busy or not _send(victim := _chosen(busy, fault.share), signal.SIGSTOP):
        return None
    scene.after(fault.lasts, lambda: _send(victim, signal.SIGCONT) and None)
    return f"worker {victim} for {fault.lasts:.0f} s"


def _replace(scene: Scene, node: Node) -> None:
    # A new cluster has a new node in its place.
    if scene.nodes.workers[node.number] is node:
        node.kill()
        scene.nodes.start_worker(node.number)


def _kill_raylet(scene: Scene, fault: Fault) -> str | None:
    alive = _alive(scene)
    if not alive:
        return None
    node = alive[int(fault.share * len(alive))]
    for process in node.of("raylet/raylet"):
        _send(process, signal.SIGKILL)
    scene.after(REPLACED_SECONDS, lambda: _replace(scene, node))
    return f"raylet of node {node.number}"


def _kill_node(scene: Scene, fault: Fault) -> str | None:
    alive = _alive(scene)
    if not alive:
        return None
    node = alive[int(fault.share * len(alive))]
    node.kill()
    scene.after(REPLACED_SECONDS, lambda: _replace(scene, node))
    return f"node {node.number} with all its processes"


def _kill_driver(scene: Scene, fault: Fault) -> str | None:
    if scene.driver.poll() is not None:
        return None
    scene.driver.kill()
    return f"driver {scene.driver.pid}"


def _kill_head(scene: Scene, fault: Fault) -> str | None:
    head = scene.nodes.head
    if head is None or head.process.poll() is not None:
        return None
    head.kill()
    scene.after(REPLACED_SECONDS, lambda: _new_cluster(scene))
    return "head node, and with it the cluster"


def _new_cluster(scene: Scene) -> None:
    numbers = sorted(scene.nodes.workers)
    scene.nodes.stop()
    scene.nodes.start_head()
    for number in numbers:
        scene.nodes.start_worker(number)


def _cut_server(scene: Scene, fault: Fault) -> str | None:
    scene.weather.cut_until = time.monotonic() + fault.lasts
    return f"S3 server for {fault.lasts:.0f} s"


def fill(folder: Path) -> Path:
    """Fill a folder's file system to the last block; the file that does it."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 65_536)
    return ballast


def _fill_disk(scene: Scene, fault: Fault) -> str | None:
    alive = _alive(scene)
    if not alive:
        return None
    node = alive[int(fault.share * len(alive))]
    ballast = fill(node.folder)
    scene.after(fault.lasts, lambda: ballast.unlink(missing_ok=True))
    return f"disk of node {node.number} for {fault.lasts:.0f} s"


_KINDS: dict[str, Callable[[Scene, Fault], str | None]] = {
    "worker": _kill_worker,
    "freeze": _freeze_worker,
    "raylet": _kill_raylet,
    "node": _kill_node,
    "driver": _kill_driver,
    "head": _kill_head,
    "cut": _cut_server,
    "disk": _fill_disk,
}
