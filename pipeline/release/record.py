"""The WARC record behind a row of a release: found by file, offset and length, read, and held against the row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from pipeline.errors import KamisukiError, UsageError
from pipeline.files import open_parquet
from pipeline.release.manifest import TOMBSTONES, Manifest, read_manifest
from pipeline.storage.fetch import read_range
from pipeline.storage.http import Politeness
from pipeline.storage.places import Place, RemotePath, as_place, exists
from pipeline.storage.scratch import scratch_file
from pipeline.web import charset
from pipeline.web.crawl_facts import read_crawl_facts
from pipeline.web.warc import NotWarc, Record, read_record_at

# Where Common Crawl's own names for files begin, and where it serves them (commoncrawl.org/get-started).
CRAWL_NAMES = "crawl-data/"
COMMON_CRAWL = "https://data.commoncrawl.org"
# The largest body that a recipe reads by default, several times over.
MOST_BODY_BYTES = 256_000_000


@dataclass(frozen=True)
class Found:
    """A row, the row of the page that it was made of (itself unless rewritten), where its record lay, and that."""

    row: dict[str, Any]
    page: dict[str, Any]
    where: str
    record: Record


def find_row(release: Place, manifest: Manifest, key: str) -> dict[str, Any] | None:
    """The row of an id with all its columns; of each file the ids alone are read until it is found."""
    for file in manifest.files:
        with open_parquet(release / file.path) as parquet:
            for group in range(parquet.num_row_groups):
                place = pc.index(parquet.read_row_group(group, columns=["id"]).column("id"), key).as_py()
                if place >= 0:
                    row: dict[str, Any] = parquet.read_row_group(group).slice(place, 1).to_pylist()[0]
                    return row
    return None


def fetch_record(release: Place, key: str, inputs: Sequence[str], politeness: Politeness) -> Found:
    """Find the row of an id and read its record. Raises UsageError or KamisukiError that says what is missing."""
    manifest = read_manifest(release)
    row = find_row(release, manifest, key)
    if row is None:
        raise UsageError(_missing(release, key))
    page = row
    if row.get("source_ids"):
        source = row["source_ids"][0]
        # A release of rewritten rows alone has not the page's row; what leads to its record stands in theirs too.
        page = find_row(release, manifest, source) or row
        if "warc_length" not in page:
            raise UsageError(f"{key} was made of {source}, which this release does not hold: ask the one that does")
    if page["warc_length"] is None or page["warc_record_id"] is None:
        raise UsageError(
            f"{page['id']} came from no WARC record but from row {page['warc_offset']} of {page['warc_file']}"
        )
    tried: list[str] = []
    for where in places_of(page["warc_file"], inputs):
        tried.append(str(where))
        try:
            record = _read(where, page["warc_offset"], page["warc_length"], politeness)
        except FileNotFoundError:
            continue
        except NotWarc as error:
            raise KamisukiError(f"{where}: {error}") from None
        _same(page, record, where)
        return Found(row, page, str(where), record)
    said = f"tried {', '.join(tried)}" if tried else "it has no public name"
    raise UsageError(f"{page['warc_file']} was not found: {said}: name its folder or the file itself with --input")


def _missing(release: Place, key: str) -> str:
    if exists(release / TOMBSTONES):
        with open_parquet(release / TOMBSTONES) as parquet:
            gone = parquet.read().filter(pc.field("id") == key).to_pylist()
        if gone:
            return f"{key} was taken down on {gone[0]['date']}: {gone[0]['reason']}"
    return f"{release} has no row {key}: check the id"


def places_of(name: str, inputs: Sequence[str]) -> Iterator[Place]:
    """Where a WARC file of a name may lie: below each folder given, or as the file given; else at Common Crawl."""
    base = name.rpartition("/")[2]
    for given in inputs:
        place = as_place(given)
        if place.name == base:
            yield place
        else:
            yield place / name
            if base != name:
                yield place / base
    if not inputs and name.startswith(CRAWL_NAMES):
        yield RemotePath(f"{COMMON_CRAWL}/{name}")


def _read(where: Place, offset: int, length: int, politeness: Politeness) -> Record:
    if isinstance(where, Path):
        return read_record_at(str(where), offset, length, MOST_BODY_BYTES)
    content = read_range(where.url, offset, offset + length, politeness)
    with scratch_file() as path:
        path.write_bytes(content)
        return read_record_at(str(path), 0, length, MOST_BODY_BYTES)


def _same(page: dict[str, Any], record: Record, where: Place) -> None:
    """Raise KamisukiError unless a record is the one that a row speaks of, by its id and the digest of its payload."""
    for name, value in (("warc_record_id", record.record_id), ("payload_digest", record.payload_digest)):
        if page[name] != value:
            raise KamisukiError(
                f"{where} has another record at offset {page['warc_offset']}: {name} {value}, and the row says "
                f"{page[name]}: it is not the file that was read"
            )


def text_of(found: Found) -> str:
    """The page as text, decoded as extract decodes it."""
    crawl = read_crawl_facts(found.record.crawl_metadata).charset
    return charset.decode(found.record.body, found.record.http_charset, crawl).text


def story(found: Found) -> Iterator[str]:
    """Lines that tell where a row came from and what was done to it."""
    row, page = found.row, found.page
    yield f"{row['url']} ({row['id']})"
    for step in row.get("lineage") or []:
        yield f"  {step['step']}: by {step['model']} with prompt {step['prompt']}, attempt {step['attempt']}"
    if row is not page:
        yield f"  made of: {', '.join(row['source_ids'])}"
    yield f"  record: {found.where}, offset {page['warc_offset']}, length {page['warc_length']} bytes"
    yield f"  checked: {page['warc_record_id']}, payload {page['payload_digest'] or 'without a digest'}"
    status, kind = found.record.http_status, found.record.content_type
    yield f"  response: status {status}, {kind}, {len(found.record.body):,} bytes, fetched {found.record.date}"
    if page.get("extractor"):
        yield f"  extract: {page['extractor']}, charset {page['charset']} from {page['charset_source']}"
    for edit in page.get("edits") or []:
        yield f"  edit: {edit['kind']}: characters {edit['start']} to {edit['end']}"
    yield f"  license {page['license'] or 'none found'} ({page['license_tier']}), consent {page['consent']}"
