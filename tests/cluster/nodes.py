"""Ray nodes as processes of one machine, each with an address, a folder and a cache of its own; and an S3 server."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.pipeline.conftest import ROOT

BIN = Path(sys.executable).parent
# Ray refuses less than 75 MB; nothing but paths and counts travels through it.
OBJECT_STORE_BYTES = 80_000_000
START_SECONDS = 60.0
# Names of Ray's own processes and of workers without a task.
IDLE = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent")
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "loopback",
    "AWS_SECRET_ACCESS_KEY": "never-in-any-file",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def free_port(address: str) -> int:
    """A port of an address that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def wait_until_open(address: str, port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when a server answers. Raises RuntimeError when its process ends or START_SECONDS pass."""
    until = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
            return
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"nothing listens at {address}:{port}: {' '.join(map(str, process.args))[:200]}")  # type: ignore[union-attr]
        time.sleep(0.05)


def descendants(root: int) -> set[int]:
    """A process and all below it."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    family = {root}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def command_line(process: int) -> str:
    """How a process calls itself; empty when it is gone."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def kill_family(root: int) -> None:
    """Kill a process and all below it, frozen ones too."""
    for process in descendants(root):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


@dataclass
class Node:
    """A Ray node: `ray start --block` and what it started."""

    number: int
    address: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def family(self) -> set[int]:
        """All processes of the node."""
        return descendants(self.process.pid)

    def of(self, text: str) -> list[int]:
        """Those of its processes whose command line holds a text."""
        return sorted(process for process in self.family if text in command_line(process))

    def workers(self) -> list[int]:
        """Its worker processes that work on a task now: Ray names them by it."""
        found = {process: command_line(process) for process in self.family}
        return sorted(
            process for process, line in found.items() if line.startswith("ray::") and not line.startswith(IDLE)
        )

    def kill(self) -> None:
        """Kill everything of the node at once, as when its machine is taken away."""
        kill_family(self.process.pid)
        self.process.wait()


@dataclass
class Nodes:
    """A cluster: a head without processors, where the driver runs, and nodes with one processor each.

    With `disk_bytes` the folder of each of these is a file system of that size in memory, which needs root.
    """

    folder: Path
    environment: dict[str, str]
    network: str
    port: int
    disk_bytes: int | None = None
    head: Node | None = None
    workers: dict[int, Node] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """What goes to --ray-address."""
        return f"{self.network}.1:{self.port}"

    def start_head(self) -> None:
        """Start the head node, or start it again; a head that starts anew is another cluster."""
        more = ["--head", f"--port={self.port}", "--num-cpus=0", "--include-dashboard=false"]
        self.head = self._start(0, more)
        wait_until_open(f"{self.network}.1", self.port, self.head.process)

    def start_worker(self, number: int, environment: Mapping[str, str] | None = None) -> None:
        """Start a node with a processor, number 1 or above, whose processes find more in their environment."""
        self.workers[number] = self._start(number, [f"--address={self.address}", "--num-cpus=1"], environment)

    def _start(self, number: int, more: list[str], environment: Mapping[str, str] | None = None) -> Node:
        address, folder = f"{self.network}.{number + 1}", self.folder / f"n{number}"
        folder.mkdir(parents=True, exist_ok=True)
        if number and self.disk_bytes and not folder.is_mount():
            options = ["-t", "tmpfs", "-o", f"size={self.disk_bytes}", "none", str(folder)]
            subprocess.run(["mount", *options], check=True)
        mine = {**self.environment, "KAMISUKI_CACHE": str(folder / "cache"), "TMPDIR": str(folder)}
        with open(self.folder / f"n{number}.log", "ab") as log:
            process = subprocess.Popen(
                [
                    str(BIN / "ray"), "start", "--block", "--disable-usage-stats", f"--node-ip-address={address}",
                    "--include-log-monitor=false", f"--temp-dir={folder}",
                    f"--object-store-memory={OBJECT_STORE_BYTES}",
                    "--min-worker-port=0", "--max-worker-port=0", f"--dashboard-agent-listen-port={free_port(address)}",
                    *more,
                ],
                env={**mine, **(environment or {})}, cwd=folder, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return Node(number, address, folder, process)

    def wait_for_all(self) -> None:
        """Return when each node has a raylet. Raises RuntimeError when START_SECONDS pass."""
        until = time.monotonic() + START_SECONDS
        while missing := [node.number for node in self.workers.values() if not node.of("ray::RuntimeEnvAgent")]:
            if time.monotonic() > until:
                raise RuntimeError(f"nodes {missing} have not come up:\n{self.logs()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Kill all nodes."""
        for node in [*self.workers.values(), *([self.head] if self.head else [])]:
            node.kill()

    def unmount(self) -> None:
        """Give the nodes' disks back."""
        for number in self.workers:
            if (folder := self.folder / f"n{number}").is_mount():
                subprocess.run(["umount", "-l", str(folder)], check=True)

    def logs(self) -> str:
        """What the nodes printed, for a failure's report."""
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(self.folder.glob("n*.log")))


def cluster_environment(endpoint: str) -> dict[str, str]:
    """What every process of a cluster finds: the S3 server, its credentials, the code, and the cluster's token."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RAY_", "KAMISUKI_"))}
    mine = {"AWS_ENDPOINT_URL": endpoint, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    return {**kept, **CREDENTIALS, **mine, **token}


@contextlib.contextmanager
def ray_nodes(count: int, endpoint: str, disk_bytes: int | None = None) -> Iterator[Nodes]:
    """A head and `count` nodes with one processor each, whose workers find the S3 server at `endpoint`."""
    # Ray's sockets lie in its folder, and a socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="ks-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        network = f"127.{random.randint(1, 250)}.{random.randint(1, 250)}"
        nodes = Nodes(Path(folder), cluster_environment(endpoint), network, free_port(f"{network}.1"), disk_bytes)
        try:
            nodes.start_head()
            for number in range(1, count + 1):
                nodes.start_worker(number)
            yield nodes
        finally:
            nodes.stop()
            nodes.unmount()


@contextlib.contextmanager
def s3_server() -> Iterator[int]:
    """moto's S3 server as a process of its own; gives its port."""
    port = free_port("127.0.0.1")
    process = subprocess.Popen(
        [str(BIN / "moto_server"), "-H", "127.0.0.1", "-p", str(port)],
        env={**os.environ, **CREDENTIALS}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        wait_until_open("127.0.0.1", port, process)
        yield port
    finally:
        process.kill()
        process.wait()


def hanging_workers(folder: Path) -> dict[str, str]:
    """The environment in which Ray's worker processes never come up: Python runs what lies in `folder` at its start."""
    folder.mkdir()
    hang = "import sys, time\nif any('default_worker.py' in part for part in sys.orig_argv):\n    time.sleep(10**6)\n"
    (folder / "sitecustomize.py").write_text(hang)
    return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
