"""What a parser that was taken over would try. Imports nothing of the project: it is the sandbox's parser in a test.

`extract` tries everything and tells what it got away with, so that the same file also runs unconfined, where all must
succeed: an attempt that fails anyway proves nothing.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

# asm/unistd_64.h and asm-generic/unistd.h; the last three are the same on both.
_SYSTEM_CALLS = {"x86_64": {"memfd_create": 319, "execveat": 322}, "aarch64": {"memfd_create": 279, "execveat": 281}}
_IO_URING_SETUP, _PIDFD_OPEN, _OPENAT2 = 425, 434, 437
_AT_FDCWD = -100


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    found = libc.syscall(ctypes.c_long(number), *arguments)
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(found)


def _named(name: str) -> int:
    return _SYSTEM_CALLS[platform.machine()][name]


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def _openat2(folder: str) -> None:
    how = _How(os.O_WRONLY | os.O_CREAT, 0o600, 0)
    name = os.path.join(folder, "by-openat2").encode()
    os.close(_call(_OPENAT2, ctypes.c_long(_AT_FDCWD), name, ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))))


def _io_uring() -> None:
    os.close(_call(_IO_URING_SETUP, ctypes.c_uint(4), ctypes.create_string_buffer(256)))


def _child_by_fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _thread() -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def _connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()


def _look_up() -> None:
    # Sends a question to a server of names, where there is one.
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()


def _write(path: str, mode: str) -> None:
    with open(path, mode) as file:
        file.write("taken over")


def attempts(folder: str, port: int) -> dict[str, Callable[[], object]]:
    """Everything that must not work, by name. `folder` holds a file `kept` and may be written to."""
    kept = os.path.join(folder, "kept")

    def new(name: str) -> str:
        return os.path.join(folder, name)

    return {
        "connect to this machine": lambda: _connect(port),
        "ask for a name": _look_up,
        "a socket of IPv6": lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close(),
        "a socket of Unix": lambda: socket.socket(socket.AF_UNIX).close(),
        "a pair of sockets": lambda: [each.close() for each in socket.socketpair()],
        "a socket of the kernel": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
        "io_uring": _io_uring,
        "make a file": lambda: _write(new("made"), "w"),
        "add to a file": lambda: _write(kept, "a"),
        "change a file in place": lambda: _write(kept, "r+"),
        "empty a file": lambda: os.truncate(kept, 0),
        "openat2": lambda: _openat2(folder),
        "a file without a name": lambda: os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR)),
        "a file in memory": lambda: os.close(_call(_named("memfd_create"), b"x", ctypes.c_uint(0))),
        "make a folder": lambda: os.mkdir(new("folder")),
        "link to a file": lambda: os.link(kept, new("link")),
        "a symbolic link": lambda: os.symlink(kept, new("symlink")),
        "a named pipe": lambda: os.mkfifo(new("pipe")),
        "change rights": lambda: os.chmod(kept, 0o600),
        "change times": lambda: os.utime(kept, (0, 0)),
        "rename a file": lambda: os.rename(kept, kept),
        "run a shell": lambda: subprocess.run("true", shell=True, check=True),
        "run a program": lambda: subprocess.run(["/bin/true"], check=True),
        "spawn a program": lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
        "fork": _child_by_fork,
        "a thread": _thread,
        "a signal to another process": lambda: os.kill(os.getppid(), 0),
        "a handle of another process": lambda: os.close(
            _call(_PIDFD_OPEN, ctypes.c_int(os.getppid()), ctypes.c_uint(0))
        ),
        "other limits": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    }


def tried(folder: str, port: int) -> dict[str, str]:
    """For each attempt: succeeded, or why it did not."""
    outcomes = {}
    for name, attempt in attempts(folder, port).items():
        try:
            attempt()
            outcomes[name] = "succeeded"
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            outcomes[name] = f"{type(error).__name__}: {error}"
    return outcomes


def extract(page: str, url: str | None, fetched_on: str | None) -> dict[str, object]:
    """As the sandbox asks: `page` says in JSON where to try; "" is the first call, before the sandbox is closed."""
    if not page.startswith("{"):
        return {"text": "ready", "title": None, "date": None, "extractor": "attempts"}
    given = json.loads(page)
    told = {"tried": tried(**given), "environment": dict(os.environ)}
    return {"text": json.dumps(told), "title": None, "date": None, "extractor": "attempts"}


if __name__ == "__main__":
    print(json.dumps(tried(sys.argv[1], int(sys.argv[2]))))
