"""The entries of a step's shards as a driver holds them: what later steps ask of them, in little memory."""

from __future__ import annotations

import json
import re
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.ledger import Entry

_DIGEST_BYTES = 32
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Shorter ones do not become shorter.
_LEAST_COMPRESSED = 128


@dataclass(frozen=True, slots=True)
class Done:
    """What later steps ask of a shard's entry: fields of `Entry`."""

    shard: str
    read: int
    written: int
    characters_out: int
    rejected: dict[str, int]
    characters_rejected: dict[str, int]
    outputs: dict[str, dict[str, Any]]
    notes: dict[str, Any]


class _Outputs:
    """The files of one table, by the numbers of their shards."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.rows, self.bytes, self.digests = array("q"), array("q"), bytearray()
        self.odd: dict[int, dict[str, Any]] = {}

    def put(self, number: int, shard: str, output: dict[str, Any]) -> None:
        missing = number + 1 - len(self.rows)
        if missing > 0:
            self.rows.extend([-1] * missing)
            self.bytes.extend([-1] * missing)
            self.digests.extend(bytes(missing * _DIGEST_BYTES))
        self.odd.pop(number, None)
        self.rows[number] = 0
        if _SHA256.fullmatch(str(output.get("digest"))):
            self.rows[number], self.bytes[number] = output["rows"], output["bytes"]
            place = number * _DIGEST_BYTES
            self.digests[place : place + _DIGEST_BYTES] = bytes.fromhex(output["digest"])
        if self.get(number, shard) != output:
            self.odd[number] = output

    def get(self, number: int, shard: str) -> dict[str, Any] | None:
        if number >= len(self.rows) or self.rows[number] < 0:
            return None
        if number in self.odd:
            return dict(self.odd[number])
        digest = self.digests[number * _DIGEST_BYTES : (number + 1) * _DIGEST_BYTES].hex()
        written = {"rows": self.rows[number], "bytes": self.bytes[number], "digest": digest}
        return {"folder": self.folder, "file": f"{shard}.parquet", **written}


class Entries(Mapping[str, Done]):
    """Entries by shard, some hundred bytes each; an entry is put together when it is asked for."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._numbers: dict[str, int] = {}
        self._counts = tuple(array("q") for _ in range(3))
        self._more: list[bytes] = []
        self._same: dict[bytes, bytes] = {}
        self._outputs: dict[str, _Outputs] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Add an entry, or put it in the place of the shard's former one."""
        number = self._numbers.setdefault(entry.shard, len(self._numbers))
        counts = (entry.read, entry.written, entry.characters_out)
        more = json.dumps([entry.rejected, entry.characters_rejected, entry.notes]).encode()
        if len(more) >= _LEAST_COMPRESSED:
            more = zlib.compress(more, 1)
        else:
            more = self._same.setdefault(more, more)
        if number == len(self._more):
            self._more.append(more)
            for column, value in zip(self._counts, counts, strict=True):
                column.append(value)
        else:
            self._more[number] = more
            for column, value in zip(self._counts, counts, strict=True):
                column[number] = value
            for found in self._outputs.values():
                if number < len(found.rows):
                    found.rows[number] = -1
        for table, output in entry.outputs.items():
            self._outputs.setdefault(table, _Outputs(str(output.get("folder")))).put(number, entry.shard, output)

    def __getitem__(self, shard: str) -> Done:
        number = self._numbers[shard]
        more = self._more[number]
        rejected, characters_rejected, notes = json.loads(more if more.startswith(b"[") else zlib.decompress(more))
        outputs = {
            table: output for table, found in self._outputs.items() if (output := found.get(number, shard)) is not None
        }
        read, written, characters = (column[number] for column in self._counts)
        return Done(shard, read, written, characters, rejected, characters_rejected, outputs, notes)

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, shard: object) -> bool:
        return shard in self._numbers

    def output(self, table: str, shard: str) -> dict[str, Any]:
        """What the entry of a shard says of its file of a table. Raises KeyError."""
        number = self._numbers[shard]
        found = self._outputs[table].get(number, shard)
        if found is None:
            raise KeyError(table)
        return found
