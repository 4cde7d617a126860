"""Local folders of this machine: the cache of inputs, and scratch files that go with the process that made them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path


def cache_folder() -> Path:
    """KAMISUKI_CACHE, else kamisuki in the user's cache folder (XDG Base Directory Specification)."""
    named = os.environ.get("KAMISUKI_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "kamisuki"


def scratch_folder() -> Path:
    """This machine's folder of temporary files: a cache may lie on a file system that many machines share."""
    return cache_folder() / "scratch" / socket.gethostname()


def least_free() -> tuple[int, Path]:
    """The fewest bytes that are free where this machine's temporary files go, ours and those of others; and where."""
    found = []
    for folder in (scratch_folder(), Path(tempfile.gettempdir())):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        found.append((shutil.disk_usage(there).free, folder))
    return min(found)


@contextlib.contextmanager
def scratch_file(suffix: str = "") -> Iterator[Path]:
    """A path for a temporary file, which goes at the end of the block."""
    folder = scratch_folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{os.getpid()}.{os.urandom(6).hex()}{suffix}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def remove_orphans() -> None:
    """Delete scratch files of this machine's processes that were killed."""
    for path in scratch_folder().glob("*"):
        owner = re.match(r"(\d+)\.", path.name)
        if owner and not process_alive(int(owner.group(1))):
            path.unlink(missing_ok=True)


def process_alive(process: int) -> bool:
    """Whether a process of this machine lives."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
