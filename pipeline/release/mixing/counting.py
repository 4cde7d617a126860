"""Tokens of a release's rows, counted once for a tokenizer and kept in the release's `.local`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.errors import KamisukiError
from pipeline.exchange import key_partition
from pipeline.files import TableWriter, canonical_digest, read_batches, read_table
from pipeline.ledger import Entry
from pipeline.release.keys import row_keys
from pipeline.release.manifest import LOCAL, File
from pipeline.release.tokenizer import TextTokenizer, load_tokenizer
from pipeline.storage.places import as_place

RULE_VERSION = 1
# Keys are cut into so many equal ranges, whose tokens are added up: a place in a mix is found from these sums.
RANGES = 4096
BATCH = 256
# A tokenizer, a batch of texts and their tokens.
MEMORY_BYTES = 1_000_000_000
SCHEMA = pa.schema([("key", pa.uint64()), ("tokens", pa.int64())])


def counts_folder(tokenizer: TextTokenizer) -> str:
    """Where in a release the counts of a tokenizer lie: the same tokens have the same folder."""
    made_by = {
        "rule_version": RULE_VERSION,
        "ranges": RANGES,
        "tokenizer": tokenizer.sha256,
        "eos": tokenizer.eos,
        "tokenizers": version("tokenizers"),
    }
    return f"{LOCAL}/tokens-{canonical_digest(made_by)}"


def shard_name(file: File) -> str:
    """What a data file is called in the ledger."""
    return file.path.removeprefix("data/").replace("/", ".").removesuffix(".parquet")


def count_file(
    shard: str, release: str, path: str, seed: int, tokenizer: Path, eos: str | None, folder: str,
    inputs: list[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """Count the tokens of each row of a data file, its end of text with it. Rows without text have none.

    Writes key and tokens of each row in the file's order; notes the tokens and the bytes of text by range of keys.
    """
    started = time.perf_counter()
    entry = Entry(shard, "mix: count", inputs=inputs)
    loaded = load_tokenizer(tokenizer, eos)
    by_range = np.zeros(RANGES, np.int64)
    last, first_range, last_range, text_bytes = np.uint64(0), RANGES, 0, 0
    place = as_place(release)
    name = f"{shard}.parquet"
    with TableWriter(place / folder / name, SCHEMA) as out:
        for batch in read_batches(place / path, ["id", "text"], BATCH):
            keys = row_keys(batch.column("id"), seed)
            if len(keys) and (keys[0] < last or (keys[1:] < keys[:-1]).any()):
                raise KamisukiError(f"{place / path} is not in the order of its keys: see kamisuki verify {release}")
            last = keys[-1] if len(keys) else last
            texts = [text or "" for text in batch.column("text").to_pylist()]
            tokens = _lengths(loaded, texts)
            text_bytes += sum(len(text.encode()) for text in texts)
            entry.read += len(keys)
            out.write(pa.record_batch([pa.array(keys), pa.array(tokens)], schema=SCHEMA))
            ranges = key_partition(keys, RANGES)
            np.add.at(by_range, ranges, tokens)
            if len(ranges):
                first_range, last_range = min(first_range, int(ranges[0])), int(ranges[-1])
            entry.notes["empty"] = entry.notes.get("empty", 0) + int((tokens == 0).sum())
    entry.written = out.rows
    found = by_range[first_range : last_range + 1].tolist() if first_range < RANGES else []
    entry.notes |= {"first_range": min(first_range, RANGES - 1), "tokens": found, "text_bytes": text_bytes}
    entry.outputs["counts"] = {
        "folder": folder,
        "file": name,
        "rows": out.rows,
        "bytes": out.bytes,
        "digest": out.digest,
    }
    entry.seconds = time.perf_counter() - started
    entry.save(place / folder)
    return entry.__dict__


def _lengths(loaded: TextTokenizer, texts: list[str]) -> np.ndarray:
    """Tokens of texts, int64 [n]: 0 where there is nothing but the end of text."""
    lengths = np.array(loaded.lengths(texts), np.int64)
    return np.where(lengths > (loaded.eos_id is not None), lengths, 0)


@dataclass(frozen=True)
class Counts:
    """Key (uint64) and tokens (int64) of each row of a data file, in its order, and where its ranges begin."""

    keys: np.ndarray
    tokens: np.ndarray
    bounds: np.ndarray

    def rows_of(self, first: int, stop: int) -> slice:
        """The rows of ranges `first` to `stop`."""
        return slice(int(self.bounds[first]), int(self.bounds[stop]))


def load_counts(path: str) -> Counts:
    """The counts of a data file."""
    table = read_table(as_place(path))
    keys, tokens = (table.column(name).to_numpy() for name in ("key", "tokens"))
    return Counts(keys, tokens, np.searchsorted(key_partition(keys, RANGES), np.arange(RANGES + 1)))
