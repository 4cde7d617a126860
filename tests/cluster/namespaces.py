"""Nodes that are namespaces of this machine: each with processes, an address, a name and a /tmp/ray of its own.

`ray stop` ends every Ray that it sees, and `ray symmetric-run` refuses a machine on which one runs: so each node sees
its own processes alone. Making them needs root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

# Of a node: its own /proc, folder of Ray, memory to share, names of hosts and name, then the command.
_ENTER = """
mount -t proc proc /proc
mkdir -p /tmp/ray && mount -t tmpfs tmpfs /tmp/ray && mount -t tmpfs tmpfs /dev/shm
mount --bind "$1" /etc/hosts && hostname "$2"
shift 2
exec "$@"
"""


def possible() -> bool:
    """Whether this machine lets us make nodes."""
    return os.geteuid() == 0 and all(shutil.which(name) for name in ("ip", "unshare", "hostname"))


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextlib.contextmanager
def nodes(folder: Path, count: int) -> Iterator[dict[str, list[str]]]:
    """Make nodes node1, node2, … on a bridge of their own; gives for each the words that start a command there."""
    mark, network = f"km{os.getpid() % 100_000}", "10.83.71"
    hosts = folder / "hosts"
    names = [f"node{number}" for number in range(1, count + 1)]
    lines = [f"{network}.{number} {name}\n" for number, name in enumerate(names, 1)]
    hosts.write_text("127.0.0.1 localhost\n" + "".join(lines))
    made = []
    try:
        # The bridge lies in a namespace too: nothing of the machine's own network changes.
        _ip("netns", "add", f"{mark}-0")
        made.append(f"{mark}-0")
        _ip("-n", f"{mark}-0", "link", "add", "bridge0", "type", "bridge")
        _ip("-n", f"{mark}-0", "link", "set", "bridge0", "up")
        for number in range(1, count + 1):
            space = f"{mark}-{number}"
            _ip("netns", "add", space)
            made.append(space)
            ends = ["type", "veth", "peer", "name", f"port{number}", "netns", f"{mark}-0"]
            _ip("-n", space, "link", "add", "eth0", *ends)
            _ip("-n", f"{mark}-0", "link", "set", f"port{number}", "master", "bridge0", "up")
            _ip("-n", space, "address", "add", f"{network}.{number}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                _ip("-n", space, "link", "set", link, "up")
        own = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "sh", "-ec", _ENTER, "sh"]
        yield {
            name: ["ip", "netns", "exec", f"{mark}-{number}", *own, str(hosts), name]
            for number, name in enumerate(names, 1)
        }
    finally:
        for space in made:
            _ip("netns", "delete", space)
