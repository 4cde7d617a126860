"""The cache of inputs: what was fetched stays in a local folder until the room is needed, least recently used first."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.storage.fetch import Facts, fetch
from pipeline.storage.http import Politeness
from pipeline.storage.scratch import cache_folder


@dataclass(frozen=True)
class Cached:
    """A local copy, and the ETag of what it is a copy of."""

    path: Path
    etag: str | None


@contextlib.contextmanager
def cached(url: str, politeness: Politeness) -> Iterator[Cached]:
    """A local copy of a remote input for the length of the block; the server is asked whether an old one still holds.

    A copy that was begun by a process that died is finished. Raises as `fetch`.
    """
    folder = cache_folder() / "inputs"
    folder.mkdir(parents=True, exist_ok=True)
    base = folder / hashlib.sha256(url.encode()).hexdigest()[:40]
    with open(f"{base}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        facts = _current(url, base, politeness)
        # Others may read it too; only its removal has to wait.
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield Cached(base.with_suffix(".data"), facts.etag)
    make_room(politeness.cache_bytes)


def _current(url: str, base: Path, politeness: Politeness) -> Facts:
    data, part, notes = (base.with_suffix(suffix) for suffix in (".data", ".part", ".json"))
    known = _read_notes(notes, url)
    if data.exists() and known.etag:
        fresh = Facts()
        if not fetch(url, part, politeness, fresh, held=known.etag):
            part.unlink(missing_ok=True)
            os.utime(data)
            return known
        known = fresh
    else:
        facts = _NotedFacts(notes, url, known if part.exists() else Facts())
        fetch(url, part, politeness, facts)
        known = facts
    os.replace(part, data)
    _write_notes(notes, url, known)
    return known


class _NotedFacts(Facts):
    """Facts that are written down when they are learned, so that another process can go on with the same object."""

    def __init__(self, notes: Path, url: str, known: Facts) -> None:
        self._place = (notes, url)
        super().__init__(known.total, known.etag)

    def __setattr__(self, name: str, value: object) -> None:
        changed = name == "etag" and value != getattr(self, "etag", None)
        super().__setattr__(name, value)
        if changed and value is not None:
            _write_notes(*self._place, self)


def _write_notes(notes: Path, url: str, facts: Facts) -> None:
    notes.write_text(json.dumps({"url": url, "etag": facts.etag, "bytes": facts.total}), encoding="utf-8")


def _read_notes(notes: Path, url: str) -> Facts:
    try:
        found = json.loads(notes.read_text(encoding="utf-8"))
        return Facts(found["bytes"], found["etag"]) if found["url"] == url else Facts()
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        # A note that was cut by a kill is no note: the input is fetched from its start.
        return Facts()


def make_room(most_bytes: int) -> None:
    """Remove copies that nobody reads, least recently used first, until the rest fits."""
    folder = cache_folder() / "inputs"
    copies = []
    for path in [*folder.glob("*.data"), *folder.glob("*.part")]:
        with contextlib.suppress(FileNotFoundError):
            # Another process made room at the same time.
            found = path.stat()
            # Of a file of ranges only what was fetched takes room.
            copies.append((found.st_mtime_ns, min(found.st_size, found.st_blocks * 512), path))
    total = sum(size for _, size, _ in copies)
    for _, size, path in sorted(copies):
        if total <= most_bytes:
            return
        with open(path.with_suffix(".lock"), "a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            path.unlink(missing_ok=True)
            total -= size
