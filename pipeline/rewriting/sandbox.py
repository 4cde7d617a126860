"""Sandbox: Python that a stranger wrote, run without network and files, under limits: bubblewrap, else unshare.

Inside there are the system's programs and Python's standard library, read-only, and an empty folder in memory.
Without a sandbox that works here nothing runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

# CPU seconds, bytes of address space, bytes of a file, open files, processes of one run; the clock ends it at three
# times the CPU seconds. Linux lets root have more processes: they end with the sandbox.
CPU_SECONDS, MEMORY_BYTES, FILE_BYTES, OPEN_FILES, PROCESSES = 5, 512 << 20, 1 << 20, 64, 16
_CLOCK_SECONDS = 3 * CPU_SECONDS
_FOLDER_BYTES = 16 << 20
_MOST_OUTPUT = 4 << 20
_WORKER = "/examiner.py"
KINDS = ("bubblewrap", "unshare")

# The steps that bubblewrap does by itself: a root in memory with the system read-only, and no rights to change it.
# $1 is a folder to mount it on, $2 the base of Python, $3 the worker; the rest is the command.
_UNSHARED = """
set -e
root=$1 base=$2 worker=$3
shift 3
mount -t tmpfs -o size=16m,mode=755 tmpfs "$root"
mkdir "$root/proc" "$root/dev" "$root/tmp"
for folder in /usr /lib /lib32 /lib64 /bin "$base"; do
  if [ -L "$folder" ]; then ln -s "$(readlink "$folder")" "$root$folder"
  elif [ -d "$folder" ] && [ ! -d "$root$folder" ]; then
    mkdir -p "$root$folder"; mount --rbind "$folder" "$root$folder"; mount -o remount,bind,ro "$root$folder"
  fi
done
for device in null urandom; do : > "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
: > "$root/examiner.py"; mount --bind "$worker" "$root/examiner.py"; mount -o remount,bind,ro "$root/examiner.py"
mount -t proc proc "$root/proc"
mount -t tmpfs -o size=16m tmpfs "$root/tmp"
mount -o remount,ro "$root"
exec chroot "$root" /usr/bin/setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""


@dataclass(frozen=True)
class Outcome:
    """What a run answered, or None with how it ended."""

    answer: Any
    ending: str | None = None


@cache
def find_sandbox() -> str | None:
    """The first kind of sandbox that works here, by trying; None where none does."""
    return next((kind for kind in KINDS if sandbox_works(kind)), None)


@cache
def sandbox_works(kind: str) -> bool:
    """Whether a sandbox of this kind starts, has no network, and hides our files."""
    if shutil.which("bwrap" if kind == "bubblewrap" else "unshare") is None:
        return False
    with tempfile.TemporaryDirectory(prefix="kamisuki-") as folder:
        worker = Path(folder) / "probe.py"
        hidden = [os.path.realpath(__file__), folder]
        worker.write_text(
            "import json, os, socket\n"
            f"seen = [path for path in {hidden!r} if os.path.exists(path)]\n"
            "print(json.dumps([seen, [name for _, name in socket.if_nameindex() if name != 'lo']]))\n"
        )
        return run_in_sandbox(worker, None, kind).answer == [[], []]


def run_in_sandbox(worker: Path, given: Any, kind: str) -> Outcome:
    """Run the script `worker` with `given` as JSON on stdin, and read its last line of stdout as JSON."""
    with tempfile.TemporaryDirectory(prefix="kamisuki-") as folder:
        command = [*_entry(kind, folder, worker), *_limits(), _python(), "-I", "-S", "-B", _WORKER]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"},
                start_new_session=True,
            )
        except OSError as error:
            return Outcome(None, f"{command[0]}: {error}")
        try:
            output, _ = process.communicate(json.dumps(given).encode("ascii"), timeout=_CLOCK_SECONDS)
        except subprocess.TimeoutExpired:
            return Outcome(None, "timed out")
        finally:
            _end(process)
    lines = output[-_MOST_OUTPUT:].rstrip(b"\n").rpartition(b"\n")
    try:
        return Outcome(json.loads(lines[2]))
    except ValueError:
        return Outcome(None, f"no answer, exit code {process.returncode}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a sandbox with all that runs in it: the first process of its own numbering takes the others with it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def _python() -> str:
    return os.path.realpath(sys.executable)


def _base() -> str:
    """The folder that holds Python: its prefix, or the folder of the program where that is not below."""
    base = os.path.realpath(sys.base_prefix)
    return base if _python().startswith(base + os.sep) else os.path.dirname(os.path.dirname(_python()))


def _limits() -> list[str]:
    limits = {"cpu": CPU_SECONDS, "as": MEMORY_BYTES, "fsize": FILE_BYTES, "nofile": OPEN_FILES, "nproc": PROCESSES}
    return ["/usr/bin/prlimit", "--core=0", *(f"--{name}={value}" for name, value in limits.items())]


def _entry(kind: str, folder: str, worker: Path) -> list[str]:
    """The command that enters a sandbox, before the command to run in it."""
    if kind == "unshare":
        names = ["--user", "--map-root-user", "--net", "--pid", "--mount", "--ipc", "--uts", "--cgroup"]
        inside = ["/bin/sh", "-c", _UNSHARED, "sh", folder, _base(), str(worker.resolve())]
        return ["unshare", *names, "--fork", "--kill-child", *inside]
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    for place in dict.fromkeys(("/usr", "/lib", "/lib32", "/lib64", "/bin", _base())):
        if os.path.islink(place):
            command += ["--symlink", os.readlink(place), place]
        elif os.path.isdir(place):
            command += ["--ro-bind", place, place]
    command += ["--ro-bind", str(worker.resolve()), _WORKER, "--proc", "/proc", "--dev", "/dev"]
    return [*command, "--size", str(_FOLDER_BYTES), "--tmpfs", "/tmp", "--remount-ro", "/", "--chdir", "/tmp", "--"]
