"""Ingest: rows of files that are no web archives in, documents and rejects out, in the tables that extract writes."""

from __future__ import annotations

import hashlib
import time
import unicodedata
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import xxhash

from filters.characters import kana_ratio
from pipeline.errors import KamisukiError, UsageError
from pipeline.extract import RECORD_ERRORS, note_input
from pipeline.formats.jsonl import read_json_lines
from pipeline.formats.mapping import NoText, columns_of, text_of
from pipeline.formats.parquet import read_parquet
from pipeline.formats.rows import BadRow, Row, WrongFormat
from pipeline.formats.wet import read_wet
from pipeline.formats.wikipedia_cirrus import read_cirrus_dump
from pipeline.formats.wikipedia_xml import PARSER_LIMITS, read_xml_dump
from pipeline.ingest_settings import Ingest
from pipeline.inputs import input_stat, local_input
from pipeline.ledger import Entry
from pipeline.outcomes import Outcome, OutcomeWriter, Reject
from pipeline.plan import Input, Shard
from pipeline.responses import record_uuid
from pipeline.runner import Stopwatch
from pipeline.schemas import DOCUMENTS
from pipeline.storage.http import Politeness
from pipeline.storage.places import as_place
from pipeline.web import language
from pipeline.web.urls import host

RULE_VERSION = 1
STAGE = "ingest"
# A portion of rows as Python objects, the writer's row group and the model of languages.
MEMORY_BYTES = 900_000_000
# Of these rows nothing can be read: they count as errors.
ROW_ERRORS = RECORD_ERRORS | {"damaged_input", "broken_json", "broken_xml", "not_utf8"}


def versions(settings: Ingest) -> dict[str, str]:
    """The libraries and assets that decide what ingest writes with these settings."""
    found = {"unicode": unicodedata.unidata_version}
    if settings.language is not None:
        found["lid"] = language.model_digest()
    if settings.format == "wikipedia_xml":
        found |= {"mwparserfromhell": version("mwparserfromhell")}
    return found


def memory_bytes(settings: Ingest) -> int:
    """What a worker of ingest needs, its sandbox included."""
    return MEMORY_BYTES + (PARSER_LIMITS.memory_bytes if settings.format == "wikipedia_xml" else 0)


def deciding(settings: Ingest) -> dict[str, Any]:
    """The settings that decide what ingest writes. The order of sources decides, and no digest of a mapping sees it."""
    found = settings.model_dump(mode="json")
    return {**found, "sources": list(found["sources"].items())}


def sources_of(settings: Ingest, shard: Shard) -> dict[str, str]:
    """By input name the source that each input of a shard belongs to. Raises UsageError for one that has none."""
    found = {}
    for item in shard.inputs:
        source = settings.source_of(item.path)
        if source is None:
            globs = ", ".join(f"{name}: {source.files}" for name, source in settings.sources.items())
            raise UsageError(f"{item.path} belongs to no source of ingest.sources ({globs}): add one, or leave it out")
        found[item.name] = source
    return found


def row_id(source: str, file: str, number: int, columns: dict[str, Any], text: str | None) -> str:
    """The id of a row: the UUID of its WARC record, else 32 hexadecimal digits of a hash.

    It is of source, URL, fetch date and the text's digest where there are URL and text, else of source, file and row.
    """
    known = record_uuid(columns.get("warc_record_id"))
    if known is not None:
        return known
    url = columns.get("url")
    if url and text is not None:
        fetched_at = columns.get("fetched_at")
        digest = columns.get("payload_digest") or xxhash.xxh3_128_hexdigest(text.encode())
        parts = [source, url, fetched_at.isoformat() if fetched_at else "", digest]
    else:
        parts = [source, file, str(number)]
    return hashlib.blake2b("\n".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class RowReader:
    """Turns rows of one file into documents and rejects; counts what of their columns was of no use."""

    def __init__(self, settings: Ingest, source: str, file: str, unusable: dict[str, int]) -> None:
        self.settings = settings
        self.source = source
        self.file = file
        self.unusable = unusable

    def read(self, row: Row | BadRow) -> Outcome:
        """A document row, or the reason why there is none."""
        if isinstance(row, BadRow):
            return self._reject(row, row.known)
        found = columns_of(row.values, self.settings, self.settings.sources[self.source])
        columns = found.values
        try:
            text = text_of(row.values, self.settings.text)
        except NoText as missing:
            return self._reject(BadRow(row.number, missing.reason, missing.detail, row.length), columns)
        for column in found.unusable:
            self.unusable[column] = self.unusable.get(column, 0) + 1
        if self.settings.language is not None:
            judged = self._judge_language(row, text)
            if isinstance(judged, BadRow):
                return self._reject(judged, columns, text)
            columns |= judged
        url = columns.get("url")
        empty = dict.fromkeys(DOCUMENTS.names)
        return empty | columns | {
            "id": row_id(self.source, self.file, row.number, columns, text),
            "host": host(url) if url else None,
            "text": text,
            "warc_file": self.file,
            "warc_offset": row.number,
            "warc_length": row.length,
            "consent": "unknown",
            "extractor": f"ingest {self.settings.format}",
            "source": self.source,
        }  # fmt: skip

    def _judge_language(self, row: Row, text: str) -> dict[str, Any] | BadRow:
        """The language as lid.176 names it, or why the text is not Japanese: the test of extract."""
        wanted = self.settings.language
        assert wanted is not None
        kana = kana_ratio(text)
        if kana == 0:
            return BadRow(row.number, "no_kana", length=row.length)
        label, score = language.identify(text)
        if not (label == "ja" and score >= wanted.min_score) and kana < wanted.kana_ratio:
            return BadRow(
                row.number, "not_japanese", f"lid.176 {label} {score:.3f}", row.length, kana, wanted.kana_ratio
            )
        return {"language": label, "language_score": score}

    def _reject(self, row: BadRow, columns: dict[str, Any], text: str | None = None) -> Reject:
        return Reject(
            row_id(self.source, self.file, row.number, columns, text), columns.get("url"), row.reason, row.value,
            row.limit, row.detail, self.file, row.number, row.length, STAGE,
        )  # fmt: skip


def read_rows(path: str, settings: Ingest) -> Iterator[Row | BadRow]:
    """The rows of a file of the recipe's format. Raises WrongFormat."""
    if settings.format == "parquet":
        return read_parquet(path, settings.fields(), settings.row_bytes)
    return _READERS[settings.format](path, settings.row_bytes)


_READERS: dict[str, Callable[[str, int], Iterator[Row | BadRow]]] = {
    "jsonl": read_json_lines,
    "wet": read_wet,
    "wikipedia_xml": read_xml_dump,
    "wikipedia_cirrus": read_cirrus_dump,
}


def ingest_shard(
    shard: dict[str, Any],
    settings: dict[str, Any],
    sources: dict[str, str],
    documents: str,
    rejects: str,
    fetching: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Ingest one shard: `documents` and `rejects` are folders, `sources` has each input's source by its name.

    `fetching` is how servers are asked for remote inputs. Returns the ledger entry as a record of counts.
    """
    started = time.perf_counter()
    work = Shard(shard["name"], tuple(Input(**item) for item in shard["inputs"]))
    options = Ingest(**settings)
    politeness = Politeness(**(fetching or {}))
    entry = Entry(work.name, STAGE, notes={"sources": sources})
    watch = Stopwatch(entry.steps)
    unusable: dict[str, int] = {}
    places = as_place(documents), as_place(rejects)
    with OutcomeWriter(entry, watch, *places, options.rejects_kept, _count_reject) as out:
        for item in work.inputs:
            with local_input(item.path, politeness) as path:
                stat_before = input_stat(path, item.bytes)
                reader = RowReader(options, sources[item.name], item.name, unusable)
                for row in _rows_of(item, path, options):
                    entry.read += 1
                    out.add(reader.read(row))
                note_input(entry, item, path, stat_before)
    entry.notes |= {"unusable": unusable} if unusable else {}
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(documents))
    return entry.__dict__


def _count_reject(entry: Entry, reject: Reject) -> None:
    (entry.fail if reject.reason in ROW_ERRORS else entry.reject)(reject.reason)


def _rows_of(item: Input, path: str, settings: Ingest) -> Iterator[Row | BadRow]:
    try:
        yield from read_rows(path, settings)
    except WrongFormat as error:
        raise KamisukiError(f"{item.path}: {error}") from None
