"""A task in its worker: its limit of CPU time, where and when it began, and its end as data."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.abc import MetaPathFinder
from types import FrameType
from typing import Any, NoReturn

from pipeline.avoided import is_of_its_node
from pipeline.errors import KamisukiError
from pipeline.same_code import this_code, this_digest
from pipeline.storage.scratch import least_free, remove_orphans

# The limit is said again after so many seconds of CPU time: a finalizer or a callback may have swallowed it.
SAID_AGAIN_SECONDS = 5.0
# Compiled code that never comes back to the interpreter hears no signal's handler: its worker is ended after so long.
GRACE_SECONDS = 120
NAMESPACE = "kamisuki"


class CpuTimeUsedUp(BaseException):
    """A task used its CPU time. No `Exception`, since what takes a page's error for the page's own must not take it."""


@dataclass(frozen=True)
class Where:
    """Where a task began: host and process, when (Unix seconds), and the how manieth attempt it is, from 1.

    `node_id` is Ray's, where Ray runs the task.
    """

    node: str
    pid: int
    since: float
    attempt: int = 1
    node_id: str = ""


def here(attempt: int = 1, node_id: str = "") -> Where:
    """This process, now."""
    return Where(socket.gethostname(), os.getpid(), time.time(), attempt, node_id)


def describe_error(error: BaseException) -> str:
    """An exception as one readable line."""
    if isinstance(error, KamisukiError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        place = f" while writing {error.filename}" if error.filename else ""
        return f"no space left for the output{place}: free some space and run again ({error.strerror})"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextlib.contextmanager
def cpu_limit(seconds: float | None) -> Iterator[None]:
    """Raise CpuTimeUsedUp in this process's main thread when the block has used so many seconds of CPU time.

    What counts is the time of all threads of this process, in user and in system mode. Time of sandboxes is not in it:
    they have limits of their own for each page. None, or another thread than the main one, means no limit.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise CpuTimeUsedUp

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds, SAID_AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


class _WithoutPandas(MetaPathFinder):
    """Finds everything but pandas."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Raises ModuleNotFoundError for pandas; others look for the rest."""
        if name == "pandas":
            raise ModuleNotFoundError(name=name)


@cache
def leave_pandas_out() -> None:
    """Let pyarrow do without pandas where nobody has loaded it, until something of pandas is asked of pyarrow.

    It looks for pandas once, at its first array, and loads it where it is installed: 0.2 s of each new process.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow

    finder = _WithoutPandas()
    sys.meta_path.insert(0, finder)
    try:
        pyarrow.array([])
    finally:
        sys.meta_path.remove(finder)


def call(
    function: Callable[..., dict[str, Any]], arguments: dict[str, Any], cpu_seconds: float | None = None
) -> dict[str, Any]:
    """Run a task and return its counts, or its error as data: an error of the work is no error of the worker."""
    started, used = time.perf_counter(), time.process_time()
    leave_pandas_out()
    try:
        with cpu_limit(cpu_seconds):
            outcome: dict[str, Any] = {"counts": function(**arguments)}
    except CpuTimeUsedUp:
        told = f"it used its {cpu_seconds:,g} s of CPU time and was stopped (shards.cpu_seconds of a recipe)"
        outcome = {"error": told, "trace": traceback.format_exc(), "kind": "cpu_time"}
    except Exception as error:  # noqa: BLE001 - every error of a shard is noted under its name and ends non-zero
        kind = "place" if is_of_its_node(error) else "error"
        outcome = {"error": describe_error(error), "trace": traceback.format_exc(), "kind": kind}
    return outcome | {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - used}


def call_on_ray(
    key: str,
    code: str,
    function: Callable[..., dict[str, Any]],
    arguments: dict[str, Any],
    cpu_seconds: float | None,
    free_bytes: int,
) -> dict[str, Any]:
    """`call` in a Ray worker, which says under `key` of Ray's own table that it began; the driver reads it there.

    A worker whose digest of code is not `code`, or whose disk has fewer than `free_bytes` free, does nothing and says
    so.
    """
    import ray
    from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_put

    where = here(1, ray.get_runtime_context().get_node_id())
    # One question to the cluster's server where it is the first attempt, as it mostly is.
    if _internal_kv_put(key, json.dumps(asdict(where)), overwrite=False, namespace=NAMESPACE):
        before = where_from(_internal_kv_get(key, namespace=NAMESPACE))
        where = replace(where, attempt=before.attempt + 1 if before else 1)
        _internal_kv_put(key, json.dumps(asdict(where)), namespace=NAMESPACE)
    if this_digest() != code:
        return {"other_code": this_code(), "where": asdict(where)}
    # A worker that was killed here has left what it was writing, and no driver may ever come to this machine.
    remove_orphans()
    _end_this_process_after(None if cpu_seconds is None else cpu_seconds + GRACE_SECONDS)
    free, folder = least_free()
    if free < free_bytes:
        told = f"no space left for the output: {folder} has {free:,} bytes free: free some space and run again"
        outcome = {"error": told, "kind": "place", "untried": True, "seconds": 0.0, "cpu_seconds": 0.0}
        return outcome | {"where": asdict(where)}
    return call(function, arguments, cpu_seconds) | {"where": asdict(where)}


def where_from(value: bytes | None) -> Where | None:
    """What a worker said under its key."""
    return Where(**json.loads(value)) if value else None


def _end_this_process_after(seconds: float | None) -> None:
    """Let the kernel end this process when it uses so much more CPU time than it has used by now; None: never."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    until = hard if seconds is None else int(time.process_time() + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (until if hard == resource.RLIM_INFINITY else min(until, hard), hard))
