"""The WARC records behind a row of a release: found by file, offset and length, read, and held against the row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from pipeline.errors import KamisukiError, UsageError
from pipeline.files import open_parquet, parquet_rows, read_json
from pipeline.release.manifest import LOCAL, TOMBSTONES, Manifest, Task, read_manifest
from pipeline.storage.fetch import fetch, read_range
from pipeline.storage.http import Politeness
from pipeline.storage.places import Place, RemotePath, as_place, exists
from pipeline.storage.scratch import scratch_file
from pipeline.takedown_list import comparable_url
from pipeline.web import charset
from pipeline.web.crawl_facts import read_crawl_facts
from pipeline.web.urls import host
from pipeline.web.warc import NotWarc, Record, read_record_at
from pipeline.web.warc_formats import GZIP_MAGIC
from pipeline.web.warc_raw import PayloadDigest, RawRecord, payload_digest, read_raw_record

# Where Common Crawl's own names for files begin, and where it serves them (commoncrawl.org/get-started).
CRAWL_NAMES = "crawl-data/"
COMMON_CRAWL = "https://data.commoncrawl.org"
# The largest body that a recipe reads by default, several times over.
MOST_BODY_BYTES = 256_000_000


@dataclass(frozen=True)
class Origin:
    """The run that a release was made of, where its folder can be reached: OUT, a recipe of it, tables by name.

    `unchanged` says that its corpus is still the one of the release.
    """

    out: Place
    recipe: str
    tables: dict[str, str]
    unchanged: bool


@dataclass(frozen=True)
class Page:
    """A page that a row was made of: its own row, where its record lay, that, its bytes, and the payload's digest."""

    row: dict[str, Any]
    where: str
    record: Record
    raw: RawRecord
    payload: PayloadDigest


@dataclass(frozen=True)
class Found:
    """A row, the task that it belongs to where the manifest says so, and the pages that it was made of.

    The page of a row that was not rewritten is the row itself.
    """

    row: dict[str, Any]
    task: Task | None
    pages: list[Page]


def find_origin(release: Place) -> Origin | None:
    """The run of a release. None where it was not built here, or OUT is not where it was."""
    manifest = read_manifest(release)
    rewritten = [task.rewriting.of for task in manifest.tasks if task.rewriting is not None]
    corpora = [task.name for task in manifest.tasks if task.rewriting is None]
    try:
        known = read_json(release / LOCAL / "origin.json")
        out = as_place(known["out"])
        run = read_json(out / "run.json")
        recipe = next(name for name in (*corpora, *rewritten, run["latest"]) if name in run["recipes"])
        tables = dict(run["recipes"][recipe]["tables"])
        released = known["tables"].get(recipe)
        return Origin(out, recipe, tables, released is None or released["folder"] == tables["corpus"])
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        # Whatever of the way back is missing, the row's own columns tell the rest.
        return None


def find_row(release: Place, manifest: Manifest, key: str) -> tuple[dict[str, Any], Task | None] | None:
    """The row of an id with all its columns, and its task; of each file the ids alone are read until it is found."""
    for file in manifest.files:
        with open_parquet(release / file.path) as parquet:
            for group in range(parquet.num_row_groups):
                place = pc.index(parquet.read_row_group(group, columns=["id"]).column("id"), key).as_py()
                if place >= 0:
                    row: dict[str, Any] = parquet.read_row_group(group).slice(place, 1).to_pylist()[0]
                    named = {config.task for config in manifest.configs if file.config in config.cells}
                    return row, next((task for task in manifest.tasks if task.name in named), None)
    return None


def find_page(
    release: Place, manifest: Manifest, url: str, say: Callable[[str], None]
) -> tuple[dict[str, Any], Task | None] | None:
    """The row of a URL, however that is spelled; where there are several the first one, and their ids are told."""
    wanted = comparable_url(url)
    about = host(wanted)
    ids = []
    for file in manifest.files:
        with open_parquet(release / file.path) as parquet:
            if not {"url", "host"} <= set(parquet.schema_arrow.names):
                continue
            for group in range(parquet.num_row_groups):
                rows = parquet.read_row_group(group, columns=["id", "url", "host"])
                for row in rows.filter(pc.equal(rows["host"], about)).to_pylist():
                    if comparable_url(row["url"] or "") == wanted:
                        ids.append(row["id"])
    if len(ids) > 1:
        say(f"{len(ids)} rows have this URL; this is the first of {', '.join(ids)}")
    return find_row(release, manifest, ids[0]) if ids else None


def fetch_record(
    release: Place,
    key: str,
    inputs: Sequence[str],
    politeness: Politeness,
    say: Callable[[str], None] = lambda line: None,
) -> Found:
    """Find the row of an id or a URL and read its records. Raises UsageError or KamisukiError that says what lacks."""
    manifest = read_manifest(release)
    found = find_page(release, manifest, key, say) if "://" in key else find_row(release, manifest, key)
    if found is None:
        raise UsageError(_missing(release, key))
    row, task = found
    key = row["id"]
    pages = [row]
    planned = {} if inputs else _planned(release)
    if row.get("source_ids") and row["source_ids"] != [key]:
        origin = find_origin(release)
        pages = [_source(release, manifest, origin, row, source) for source in row["source_ids"]]
    return Found(row, task, [_page(page, inputs, planned, politeness, say) for page in pages])


def _source(
    release: Place, manifest: Manifest, origin: Origin | None, row: dict[str, Any], source: str
) -> dict[str, Any]:
    """The row of a page that a row was made of: of this release, of the run, or what the row itself says of it."""
    found = find_row(release, manifest, source)
    if found is not None:
        return found[0]
    if origin is not None and "documents" in origin.tables:
        rows = parquet_rows(origin.out / origin.tables["documents"], None, pc.field("id") == source)
        if (document := next(rows, None)) is not None:
            return document
    if row["source_ids"] == [source] and row.get("warc_length") is not None:
        return row
    raise UsageError(f"{row['id']} was made of {source}, which this release does not hold: ask the one that does")


def _planned(release: Place) -> dict[str, str]:
    """Where the run of a release read each input, by the names that rows carry; empty where OUT is not there."""
    origin = find_origin(release)
    if origin is None:
        return {}
    try:
        shards = read_json(origin.out / "plan.json")["shards"]
        return {item["name"]: item["path"] for shard in shards for item in shard["inputs"]}
    except (OSError, ValueError, KeyError, TypeError):
        # As in find_origin: the record can still be named with --input.
        return {}


def _page(
    page: dict[str, Any],
    inputs: Sequence[str],
    planned: dict[str, str],
    politeness: Politeness,
    say: Callable[[str], None],
) -> Page:
    if page.get("warc_length") is None or page.get("warc_record_id") is None:
        raise UsageError(
            f"{page['id']} came from no WARC record but from row {page['warc_offset']} of {page['warc_file']}"
        )
    tried: list[str] = []
    known = [as_place(planned[page["warc_file"]])] if page["warc_file"] in planned else []
    for where in (*known, *places_of(page["warc_file"], inputs)):
        tried.append(str(where))
        try:
            record, raw = _read(where, page, politeness, say)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except NotWarc as error:
            raise KamisukiError(f"{where}: {error}") from None
        return Page(page, str(where), record, raw, payload_digest(raw, record.payload_digest, record.body))
    said = f"tried {', '.join(tried)}" if tried else "it has no public name"
    raise UsageError(f"{page['warc_file']} was not found: {said}: name its folder or the file itself with --input")


def _missing(release: Place, key: str) -> str:
    if exists(release / TOMBSTONES):
        with open_parquet(release / TOMBSTONES) as parquet:
            gone = parquet.read().filter(pc.field("id") == key).to_pylist()
        if gone:
            return f"{key} was taken down on {gone[0]['date']}: {gone[0]['reason']}"
    what = (
        "URL, which must be whole and in its spelling" if "://" in key else "id, which must be whole, or give the URL"
    )
    return f"{release} has no row {key}: check the {what}"


def places_of(name: str, inputs: Sequence[str]) -> Iterator[Place]:
    """Where a WARC file of a name may lie: below each folder given, or as the file given; else at Common Crawl."""
    base = name.rpartition("/")[2]
    for given in inputs:
        place = as_place(given)
        if place.name == base or (isinstance(place, Path) and place.is_file()):
            yield place
        else:
            yield place / name
            if base != name:
                yield place / base
    if not inputs and name.startswith(CRAWL_NAMES):
        yield RemotePath(f"{COMMON_CRAWL}/{name}")


def _read(
    where: Place, page: dict[str, Any], politeness: Politeness, say: Callable[[str], None]
) -> tuple[Record, RawRecord]:
    """The record of a row from a file. Raises FileNotFoundError, and NotWarc or KamisukiError where it is another's."""
    offset, length = page["warc_offset"], page["warc_length"]
    if isinstance(where, Path):
        return _both(str(where), offset, page, where)
    content = read_range(where.url, offset, offset + length, politeness)
    with scratch_file() as path:
        path.write_bytes(content)
        try:
            return _both(str(path), 0, page, where)
        except NotWarc:
            if content.startswith(GZIP_MAGIC):
                raise
    # A record that shares its member with others, or needs the dictionary of its file, cannot be read by itself.
    say(f"{where}: the record cannot be read by itself: fetching the whole file")
    with scratch_file() as path:
        fetch(where.url, path, politeness)
        return _both(str(path), offset, page, where)


def _both(path: str, offset: int, page: dict[str, Any], where: Place) -> tuple[Record, RawRecord]:
    record = read_record_at(path, offset, page["warc_length"], MOST_BODY_BYTES)
    _same(page, record, where)
    return record, read_raw_record(path, offset, record.record_id, MOST_BODY_BYTES)


def _same(page: dict[str, Any], record: Record, where: Place) -> None:
    """Raise KamisukiError unless a record is the one that a row speaks of, by its id and the digest of its payload."""
    for name, value in (("warc_record_id", record.record_id), ("payload_digest", record.payload_digest)):
        if name in page and page[name] != value:
            raise KamisukiError(
                f"{where} has another record at offset {page['warc_offset']}: {name} {value}, and the row says "
                f"{page[name]}: it is not the file that was read"
            )


def text_of(page: Page) -> str:
    """The page as text, decoded as extract decodes it."""
    crawl = read_crawl_facts(page.record.crawl_metadata).charset
    return charset.decode(page.record.body, page.record.http_charset, crawl).text
