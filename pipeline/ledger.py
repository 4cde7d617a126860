"""The ledger: for every shard of a stage what went in, what came out, and a sum that must be right."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import KamisukiError
from pipeline.files import WrittenFile, read_json, write_json
from pipeline.schemas import SCHEMA_VERSION
from pipeline.storage.places import Place, delete, file_sizes, read_bytes, read_many

ENTRY_SUFFIX = ".ledger.json"
FAILURE_SUFFIX = ".failed.json"
# Tables that hold a row for each record that a stage counts as written.
MAIN_TABLES = (
    "documents",
    "robots",
    "signals",
    "signatures",
    "candidates",
    "robots_verdicts",
    "duplicates",
    "repeats",
    "repeated",
    "corpus",
    "rows",
    "produced",
    "measured",
    "rewritten",
)


class LedgerError(KamisukiError):
    """Records do not add up, or an entry cannot be read."""


@dataclass
class Entry:
    """What one task did. `read` = `written` + all of `rejected` + all of `errors`; `save` refuses anything else.

    Counts are records (extract) or documents (later stages); `characters_in` and `characters_out`
    are Unicode code points of text, zero where a stage handles none; `seconds` by step are wall time.
    """

    shard: str
    stage: str
    inputs: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    read: int = 0
    written: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    characters_in: int = 0
    characters_out: int = 0
    characters_rejected: dict[str, int] = field(default_factory=dict)
    bytes_in: int = 0
    seconds: float = 0.0
    steps: dict[str, float] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def reject(self, reason: str, characters: int = 0, count: int = 1) -> None:
        """Count rejected records under a reason."""
        self.rejected[reason] = self.rejected.get(reason, 0) + count
        if characters:
            self.characters_rejected[reason] = self.characters_rejected.get(reason, 0) + characters

    def fail(self, reason: str) -> None:
        """Count a record in error."""
        self.errors[reason] = self.errors.get(reason, 0) + 1

    def balance(self) -> int:
        """Records read less records accounted for: 0 when the entry adds up."""
        return self.read - self.written - sum(self.rejected.values()) - sum(self.errors.values())

    def output(self, table: str, written: WrittenFile) -> None:
        """Note a finished file."""
        self.outputs[table] = written.as_record()

    def save(self, folder: Place) -> None:
        """Write the entry, the last act of a task. Raises LedgerError when it does not add up."""
        if self.balance() != 0:
            raise LedgerError(
                f"{self.stage}: shard {self.shard} does not add up: read {self.read}, written {self.written}, "
                f"rejected {sum(self.rejected.values())}, in error {sum(self.errors.values())}"
            )
        for table, output in self.outputs.items():
            if table in MAIN_TABLES and output["rows"] != self.written:
                raise LedgerError(
                    f"{self.stage}: shard {self.shard} does not add up: counted {self.written} rows of {table}, "
                    f"wrote {output['rows']}"
                )
        write_json(entry_path(folder, self.shard), entry_record(self.__dict__))
        delete(failure_path(folder, self.shard))


def entry_record(counts: dict[str, Any]) -> dict[str, Any]:
    """An entry's fields as its file holds them."""
    return {"schema_version": SCHEMA_VERSION, **counts}


def entry_path(folder: Place, shard: str) -> Place:
    """Where the ledger entry of a shard lies."""
    return folder / f"{shard}{ENTRY_SUFFIX}"


def failure_path(folder: Place, shard: str) -> Place:
    """Where the last failure of a shard is noted."""
    return folder / f"{shard}{FAILURE_SUFFIX}"


def load_entry(folder: Place, shard: str) -> Entry | None:
    """The entry of a shard, or None when the shard is not done. Raises LedgerError on a damaged or foreign one."""
    path = entry_path(folder, shard)
    try:
        return _entry(path, read_bytes(path))
    except FileNotFoundError:
        return None


def _entry(path: Place, content: bytes) -> Entry:
    try:
        data = json.loads(content)
    except ValueError:
        raise LedgerError(f"{path}: the ledger entry is damaged: remove it and run again") from None
    return entry_of(path, data)


def entry_of(path: Place, data: Any) -> Entry:
    """The entry of the record that `path` holds. Raises LedgerError on a damaged or foreign one."""
    if not isinstance(data, dict):
        raise LedgerError(f"{path}: the ledger entry is damaged: remove it and run again")
    version = data.pop("schema_version", None)
    if version != SCHEMA_VERSION:
        raise LedgerError(
            f"{path}: written with schema version {version}, this is {SCHEMA_VERSION}: run the recipe again, which "
            "makes its tables anew beside the old ones, or read them with the Kamisuki that wrote them"
        )
    try:
        return Entry(**data)
    except TypeError:
        raise LedgerError(f"{path}: the ledger entry is damaged: remove it and run again") from None


def load_entries_of(folder: Place, shards: list[str]) -> dict[str, Entry]:
    """The entries of those of the shards that are done. Raises LedgerError on a damaged or foreign one."""
    paths = [entry_path(folder, shard) for shard in shards]
    found = zip(shards, paths, read_many(paths), strict=True)
    return {shard: _entry(path, content) for shard, path, content in found if content is not None}


def note_failure(folder: Place, shard: str, kind: str, message: str, trace: str, inputs: Any = None) -> None:
    """Keep the error of a failed shard, its kind, and of which inputs it speaks, for status and for the next run."""
    record = {"shard": shard, "kind": kind, "error": message, "trace": trace, "inputs": inputs}
    write_json(failure_path(folder, shard), record)


def load_failure(folder: Place, shard: str) -> dict[str, Any] | None:
    """The noted failure of a shard, or None."""
    try:
        return dict(read_json(failure_path(folder, shard)))
    except (FileNotFoundError, ValueError):
        return None


def load_failures(folder: Place) -> dict[str, str]:
    """Failed shards of a folder and their errors."""
    failures = {}
    for name in sorted(name for name in file_sizes(folder) if name.endswith(FAILURE_SUFFIX)):
        failure = read_json(folder / name)
        failures[name.removesuffix(FAILURE_SUFFIX)] = str(failure.get("error", "unknown error"))
    return failures
