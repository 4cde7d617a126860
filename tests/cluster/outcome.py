"""What a run left in its OUT: the digest of each table's file and the counts of each ledger entry, to be compared."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from pipeline.ledger import ENTRY_SUFFIX, FAILURE_SUFFIX
from pipeline.storage.places import Place, read_bytes, read_many, tree_sizes

# What an entry says of time, which no two runs share.
OF_TIME = ("seconds", "steps")
# What a driver keeps for others while it runs.
OF_A_DRIVER = frozenset({".lock", "state.json"})


@dataclass(frozen=True)
class Outcome:
    """Digests (SHA-256) of tables and contents of ledger entries without their times, by path within OUT; all paths."""

    tables: dict[str, str]
    entries: dict[str, dict[str, Any]]
    names: frozenset[str]

    def wrong(self) -> list[str]:
        """What does not add up in itself: sums of records, and files that are not what their entry says."""
        found = [f"{name}: a failed shard is noted" for name in self.names if name.endswith(FAILURE_SUFFIX)]
        for name, entry in self.entries.items():
            accounted = entry["written"] + sum(entry["rejected"].values()) + sum(entry["errors"].values())
            if entry["read"] != accounted:
                found.append(f"{name}: read {entry['read']}, accounted for {accounted}")
            for output in entry["outputs"].values():
                path = f"{output['folder']}/{output['file']}"
                if self.tables.get(path) != output["digest"]:
                    found.append(f"{name}: {path} is not the file that it speaks of")
        return found

    def differences(self, other: Outcome) -> list[str]:
        """Tables and entries that are not the same in both."""
        found = [f"{name}: only in one of the two" for name in sorted(self.names ^ other.names)]
        for mine, theirs in ((self.tables, other.tables), (self.entries, other.entries)):
            for name in sorted(mine.keys() & theirs.keys()):
                if mine[name] != theirs[name]:
                    found.append(f"{name}: differs{_where(mine[name], theirs[name])}")
        return found


def _where(mine: Any, theirs: Any) -> str:
    if not isinstance(mine, dict) or not isinstance(theirs, dict):
        return ""
    return " in " + ", ".join(sorted(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key)))


def outcome_of(out: Place) -> Outcome:
    """Read all of an OUT, on this machine or on S3."""
    names = sorted(tree_sizes(out))
    tables = {name: hashlib.sha256(read_bytes(out / name)).hexdigest() for name in names if name.endswith(".parquet")}
    noted = [name for name in names if name.endswith(ENTRY_SUFFIX)]
    entries = {}
    for name, content in zip(noted, read_many([out / name for name in noted]), strict=True):
        entry = json.loads(content or b"")
        # Of a file of this machine the time when it was changed is noted too; an object has none.
        entry["notes"].pop("stat", None)
        entries[name] = {key: value for key, value in entry.items() if key not in OF_TIME}
    return Outcome(tables, entries, frozenset(names) - OF_A_DRIVER)
