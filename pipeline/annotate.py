"""Annotate: documents in, one row of signals for each out, in the same order."""

from __future__ import annotations

import time
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from filters.ng_words import NgWordMatcher, read_word_list
from filters.signals import RULE_VERSION as SIGNALS_VERSION
from filters.signals import SIGNALS, measure
from pipeline.errors import UsageError
from pipeline.files import TableWriter, file_digest, read_batches
from pipeline.ledger import Entry
from pipeline.recipe import Annotate
from pipeline.schemas import signals_schema

RULE_VERSION = 1
MEMORY_BYTES = 900_000_000


def fingerprint(settings: Annotate) -> dict[str, Any]:
    """What decides the signals: rule versions, the contents of the word lists and the Unicode tables behind letters."""
    try:
        lists = [file_digest(Path(path)) for path in settings.ng_words]
    except OSError as error:
        raise UsageError(
            f"word list {error.filename}: {error.strerror}: mend annotate.ng_words in the recipe"
        ) from None
    versions = {"rule_version": RULE_VERSION, "signals_version": SIGNALS_VERSION}
    return {**versions, "unicode": unicodedata.unidata_version, "ng_words": lists}


def schema() -> pa.Schema:
    """The signals table's schema."""
    return signals_schema([(signal.name, signal.type) for signal in SIGNALS.values()])


@lru_cache(maxsize=1)
def _matcher(lists: tuple[tuple[str, str], ...]) -> NgWordMatcher | None:
    words: list[str] = []
    for path, digest in lists:
        if file_digest(Path(path)) != digest:
            raise UsageError(f"word list {path} changed while the run was at work: run again")
        words += read_word_list(Path(path))
    return NgWordMatcher(words) if lists else None


def annotate_shard(
    shard: str, documents: str, folder: str, inputs: list[dict[str, Any]], ng_words: list[tuple[str, str]]
) -> dict[str, Any]:
    """Measure one shard: `documents` is its file, `folder` gets its signals, `ng_words` are lists and their SHA-256."""
    started = time.perf_counter()
    entry = Entry(shard, "annotate", inputs=inputs)
    matcher = _matcher(tuple((path, digest) for path, digest in ng_words))
    with TableWriter(Path(folder) / f"{shard}.parquet", schema()) as out:
        for batch in read_batches(Path(documents), ["id", "text"]):
            signals = measure(batch.column("text"), matcher)
            columns = [batch.column("id"), *(signals.column(name) for name in SIGNALS)]
            out.write(pa.RecordBatch.from_arrays(columns, schema=schema()))
            entry.read += batch.num_rows
            entry.written += batch.num_rows
            entry.characters_in += pc.sum(signals.column("characters")).as_py() or 0
    entry.characters_out = entry.characters_in
    entry.output("signals", out.written())
    entry.seconds = time.perf_counter() - started
    entry.save(Path(folder))
    return entry.__dict__
