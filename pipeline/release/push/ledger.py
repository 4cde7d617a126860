"""The ledger of pushes, `.local/push.jsonl`: what went where, so that a killed push goes on where it stopped."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.files import atomic_file
from pipeline.release.manifest import LOCAL
from pipeline.storage.places import Place, read_bytes

LEDGER = "push.jsonl"
# An object on S3 is only ever rewritten as a whole: often enough, and no request for each file.
REMOTE_EVERY_SECONDS = 15.0


@dataclass(frozen=True)
class Target:
    """Where a release is pushed to: the Hub's address, owner/name, and the branch."""

    endpoint: str
    repo: str
    branch: str


def ledger_path(release: Place) -> Place:
    """The ledger of a release."""
    return release / LOCAL / LEDGER


def read_entries(release: Place) -> list[dict[str, Any]]:
    """All entries, oldest first; a line that a kill cut short is none."""
    try:
        lines = read_bytes(ledger_path(release)).decode("utf-8", "replace").split("\n")
    except FileNotFoundError:
        return []
    entries = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            # The last line of a killed push; what it said is found out again from the Hub.
            entry = None
        if isinstance(entry, dict):
            entries.append(entry)
    return entries


def pushed_to(release: Place) -> list[Target]:
    """Every place where something of a release was pushed to, in the order of the first time."""
    found = (
        Target(str(entry["endpoint"]), str(entry["repo"]), str(entry["branch"]))
        for entry in read_entries(release)
        if {"endpoint", "repo", "branch"} <= entry.keys()
    )
    return list(dict.fromkeys(found))


class PushLedger:
    """The entries of one target, and new ones. Safe to be written to from several threads."""

    def __init__(self, release: Place, target: Target) -> None:
        self._path = ledger_path(release)
        self._target = target
        self._lock = threading.Lock()
        self._all = read_entries(release)
        self._saved = time.monotonic()
        mine = [entry for entry in self._all if asdict(target).items() <= entry.items()]
        self.known = bool(mine)
        self.blobs = {str(entry["sha256"]) for entry in mine if entry.get("what") == "blob"}
        for entry in mine:
            if entry.get("what") == "lost":
                self.blobs.discard(str(entry["sha256"]))
        if isinstance(self._path, Path):
            self._mend()

    def _mend(self) -> None:
        """End a line that a kill cut short, so that the next one stands by itself."""
        path = Path(str(self._path))
        if path.exists() and path.stat().st_size:
            with open(path, "rb+") as file:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")

    def add(self, what: str, **more: Any) -> None:
        """Write an entry; one of a local release is on the disk when this returns.

        The ledger of a release on S3 may lack the uploads of the last seconds, which the Hub is then asked about. Its
        uploads go when their commit is made, so that it stays small, however often it is rewritten.
        """
        entry = {"what": what, **asdict(self._target), **more}
        with self._lock:
            self._all.append(entry)
            if what == "blob":
                self.blobs.add(more["sha256"])
            elif what == "lost":
                self.blobs.discard(more["sha256"])
            if isinstance(self._path, Path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with open(self._path, "ab") as file:
                    file.write(_line(entry))
                    file.flush()
                    os.fsync(file.fileno())
                return
            if what == "commit":
                self._all = [each for each in self._all if not self._is_upload(each)]
            if what != "blob" or time.monotonic() - self._saved > REMOTE_EVERY_SECONDS:
                self._saved = time.monotonic()
                with atomic_file(self._path) as file:
                    file.write(b"".join(map(_line, self._all)))

    def _is_upload(self, entry: dict[str, Any]) -> bool:
        return entry.get("what") in ("blob", "lost") and asdict(self._target).items() <= entry.items()


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=False, sort_keys=True).encode() + b"\n"
