"""What an OUT folder says of the runs in it, and its lock: one run at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from typing import Any

from pipeline.errors import UsageError
from pipeline.files import LOCK, read_json
from pipeline.schemas import SCHEMA_VERSION
from pipeline.storage import lease, s3
from pipeline.storage.places import Place, RemotePath
from pipeline.storage.scratch import remove_orphans

# Where run.json says which rewritings were done.
REWRITINGS = "rewriting"


def read_run(out: Place) -> dict[str, Any] | None:
    """OUT/run.json, or None. Raises UsageError when it is damaged."""
    try:
        record = dict(read_json(out / "run.json"))
        version = int(record["schema_version"])
        if not all(entry["tables"] and entry["recipe"] for entry in record["recipes"].values()):
            raise ValueError
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise UsageError(f"{out / 'run.json'} is damaged: remove it and run again; the tables stay") from None
    if version > SCHEMA_VERSION:
        raise UsageError(
            f"{out} was written with schema version {version}, and this Kamisuki knows {SCHEMA_VERSION}: use the newer "
            "Kamisuki that wrote it, or another OUT"
        )
    return record


@contextlib.contextmanager
def locked(out: Place) -> Iterator[Callable[[], None]]:
    """Hold OUT for one run at a time; gives what raises when the lock was lost.

    Raises UsageError when OUT cannot be written or another run holds it.
    """
    remove_orphans()
    if isinstance(out, RemotePath):
        with lease.held(str(out / LOCK), str(out)) as taken:
            s3.abort_uploads(out.url)
            yield taken.check
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = open(out / LOCK, "a+")  # noqa: SIM115 - it stays open for as long as the lock is held
    except OSError as error:
        raise UsageError(f"cannot write to the output folder {out}: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise UsageError(
                f"another run (process {lock.read().strip()}) works in {out}: wait for it or stop it"
            ) from None
        try:
            mine = os.path.samestat(os.fstat(lock.fileno()), os.stat(out / LOCK))
        except FileNotFoundError:
            mine = False
        if not mine:
            # Who held it took the file away at its end, and another may lie there by now.
            raise UsageError(f"another run in {out} has just ended: run again")
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield lambda: None
