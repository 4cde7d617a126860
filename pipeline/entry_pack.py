"""All entries of a folder in one file beside them, so that a run that finds them done need not open each.

The entries' own files stay the truth: an entry is taken from the pack only where its file has the size and the stamp
(time of its last change; on S3 its ETag) that it had when the pack was made. Where there is no pack, or a damaged one,
the files are read.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from backports import zstd

from pipeline.files import atomic_file
from pipeline.ledger import ENTRY_SUFFIX, Entry, entry_of, entry_record, load_entries_of
from pipeline.storage.places import FileFacts, Place, file_facts, local_copy
from pipeline.storage.scratch import scratch_file

PACK_FILE = "entries.jsonl.zst"
# Fewer are read as fast one by one.
LEAST_ENTRIES = 1_000
# So many small files are read at a time.
AT_ONCE = 1_000


class PackWriter:
    """Gathers entries in a scratch file while a step runs; `save` makes the pack of them."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.shards: set[str] = set()

    def __enter__(self) -> PackWriter:
        self._path = self._stack.enter_context(scratch_file(".zst"))
        self._file = self._stack.enter_context(zstd.open(self._path, "wb", level=1))
        return self

    def add(self, entry: Entry, line: bytes | None = None) -> None:
        """Add an entry, each shard's once; `line` is what a pack held of it."""
        self.shards.add(entry.shard)
        if line is None:
            line = json.dumps(entry_record(entry.__dict__), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self._file.write(line)

    def save(self, folder: Place, facts: dict[str, FileFacts]) -> None:
        """Write the pack of a folder whose files are `facts`; nothing where there are few entries."""
        if len(self.shards) < LEAST_ENTRIES:
            return
        self._file.close()
        names = ((shard, f"{shard}{ENTRY_SUFFIX}") for shard in self.shards)
        stamps = {shard: facts[name] for shard, name in names if name in facts}
        with atomic_file(folder / PACK_FILE) as out, open(self._path, "rb") as gathered:
            out.write(zstd.compress(json.dumps(stamps, ensure_ascii=False).encode() + b"\n", level=1))
            shutil.copyfileobj(gathered, out)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def read_entries(folder: Place, facts: dict[str, FileFacts] | None = None) -> Iterator[tuple[Entry, bytes | None]]:
    """All entries of a folder in any order, each with its line of the pack, or None where it is not from there.

    Raises LedgerError on a damaged or foreign one. `facts` is the folder's listing where it is known.
    """
    facts = file_facts(folder) if facts is None else facts
    wanted = {name.removesuffix(ENTRY_SUFFIX): fact for name, fact in facts.items() if name.endswith(ENTRY_SUFFIX)}
    if PACK_FILE in facts:
        with local_copy(folder / PACK_FILE) as path, contextlib.suppress(ValueError, EOFError, zstd.ZstdError):
            # A damaged pack is as good as none from the damage on: what it did not give is read from its own file.
            for entry, line in _packed(path, wanted):
                del wanted[entry.shard]
                yield entry, line
    left = sorted(wanted)
    for start in range(0, len(left), AT_ONCE):
        for entry in load_entries_of(folder, left[start : start + AT_ONCE]).values():
            yield entry, None


def _packed(path: Path, wanted: dict[str, FileFacts]) -> Iterator[tuple[Entry, bytes]]:
    with zstd.open(path, "rb") as file:
        stamps: dict[str, Any] = json.loads(file.readline())
        for line in file:
            data = json.loads(line)
            shard = data["shard"]
            if shard in wanted and tuple(stamps.get(shard, ())) == wanted[shard]:
                yield entry_of(path, data), line


def load_entries(folder: Place) -> list[Entry]:
    """All entries of a folder, by shard name."""
    return sorted((entry for entry, _ in read_entries(folder)), key=lambda entry: entry.shard)
