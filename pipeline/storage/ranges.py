"""Ranges of one remote file, fetched into a local file where they lie at their own places, with holes between them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import KamisukiError
from pipeline.storage.cache import make_room
from pipeline.storage.fetch import Facts, host_slot, stream
from pipeline.storage.http import Politeness
from pipeline.storage.s3 import Changed
from pipeline.storage.scratch import cache_folder


@contextlib.contextmanager
def cached_ranges(url: str, ranges: list[tuple[int, int]], politeness: Politeness) -> Iterator[Path]:
    """A local file that holds the ranges (start, stop) of a remote one, for the length of the block.

    Each range is noted when it is whole, so that another process goes on behind it. Raises as `fetch`, and Changed when
    the remote file changes between two ranges.
    """
    folder = cache_folder() / "inputs"
    folder.mkdir(parents=True, exist_ok=True)
    base = folder / hashlib.sha256(f"{url} {ranges}".encode()).hexdigest()[:40]
    data, notes = base.with_suffix(".data"), base.with_suffix(".done")
    with open(f"{base}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done, facts = _read_notes(notes) if data.exists() else (0, Facts())
        with open(data, "r+b" if done else "wb") as file, open(notes, "a" if done else "w", encoding="utf-8") as log:
            for start, stop in ranges[done:]:
                file.seek(start)
                try:
                    with host_slot(url, politeness):
                        # The file's own ETag holds for all ranges: they are of one and the same file.
                        for offset, chunk in stream(url, start, stop, politeness, facts):
                            file.seek(offset)
                            file.write(chunk)
                    if file.tell() != stop:
                        raise KamisukiError(
                            f"{url} ends before byte {stop:,}: it is not the file that was selected from"
                        )
                except Changed:
                    # The next try begins anew.
                    notes.unlink()
                    raise
                file.flush()
                log.write(f"{stop} {facts.total} {facts.etag}\n")
                log.flush()
        os.utime(data)
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield data
    make_room(politeness.cache_bytes)


def _read_notes(notes: Path) -> tuple[int, Facts]:
    """How many ranges are there, and what is known of the file that they are of."""
    try:
        # A last line that a kill cut has no end.
        lines = [line for line in notes.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
        _, total, etag = lines[-1].rstrip("\n").split(" ", 2)
        return len(lines), Facts(None if total == "None" else int(total), None if etag == "None" else etag)
    except (FileNotFoundError, IndexError, ValueError):
        return 0, Facts()
