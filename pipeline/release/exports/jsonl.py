"""JSON lines by language and source, as LLM-jp lays its corpora out: {"text": …, "meta": {…}} a line, gzipped.

The folders are those of LLM-jp corpus v3 as its training scripts read them (`train/ja/wiki_0000.jsonl`,
`train/code/stack_0000.jsonl`, `validation/…`; llm-jp/scripts and llm-jp/Megatron-LM), the fields those of its published
converters (`text`, and `meta` with title, url, language, timestamp and source: llm-jp-corpus,
scripts/ja_wiki/filter_and_reformat.py; `meta` of v4: llm-jp/scripts, ja_kokkai_giji/format.py).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.release.manifest import File
from pipeline.release.reading import is_code, slug, source_of

SUFFIX = ".jsonl.gz"
# Read of a row where its table has them.
COLUMNS = (
    "id",
    "text",
    "title",
    "url",
    "language",
    "fetched_at",
    "source",
    "crawl",
    "license",
    "license_url",
    "source_license_url",
    "license_tier",
    "consent",
    "source_ids",
    "generator",
    "generator_license",
)
LEVEL = 6
# Letters that JSON lets stand in a string and that some reader of lines ends a line at (str.splitlines).
_LINE_ENDS = {ord(letter): f"\\u{ord(letter):04x}" for letter in "\x7f\x85\u2028\u2029"}


def meta_of(row: dict[str, Any]) -> dict[str, Any]:
    """The `meta` of a row. Every value is a string, empty where nothing is known, so that a reader that guesses types
    guesses the same for every file; `timestamp` is of ISO 8601's basic form, which Arrow does not take for a time;
    `source_ids` of rewritten rows is a list of strings."""
    when = row.get("fetched_at")
    known = {
        "id": row["id"],
        "title": row.get("title"),
        "url": row.get("url"),
        "language": row.get("language"),
        "timestamp": when.strftime("%Y%m%dT%H%M%SZ") if when else None,
        "source": source_of(row),
        "license": row.get("license"),
        "license_url": row.get("license_url") or row.get("source_license_url"),
        "license_tier": row.get("license_tier"),
        "consent": row.get("consent"),
    }
    meta: dict[str, Any] = {name: value or "" for name, value in known.items()}
    if "source_ids" in row:
        meta["source_ids"] = row["source_ids"] or []
        meta["generator"] = row["generator"] or ""
        meta["generator_license"] = row["generator_license"] or ""
    return meta


def line_of(row: dict[str, Any]) -> bytes:
    """A row as one line: for every reader of lines it is one."""
    text = json.dumps({"text": row["text"] or "", "meta": meta_of(row)}, ensure_ascii=False)
    return text.translate(_LINE_ENDS).encode() + b"\n"


def folder_of(row: dict[str, Any]) -> tuple[str, str]:
    """The language's folder and the source's name: `ja` and `wiki`, `code` and `the_stack_v2`."""
    language = row.get("language")
    return ("code" if is_code(language) else slug(language)), slug(source_of(row))


@dataclass(frozen=True)
class Lines:
    """A written file: its path below the export, and its lines."""

    path: str
    rows: int


def write_lines(rows: Iterable[dict[str, Any]], file: File, number: int, root: Path) -> list[Lines]:
    """Write the rows of a data file, the `number`th of its split: one file for each language and source in it."""
    counts: dict[str, int] = {}
    with ExitStack() as stack:
        open_files: dict[str, gzip.GzipFile] = {}
        for row in rows:
            language, source = folder_of(row)
            path = f"{file.split}/{language}/{source}_{number:04d}{SUFFIX}"
            if path not in open_files:
                open_files[path] = stack.enter_context(gzipped(root / path))
            open_files[path].write(line_of(row))
            counts[path] = counts.get(path, 0) + 1
    return [Lines(path, count) for path, count in sorted(counts.items())]


@contextmanager
def gzipped(path: Path) -> Iterator[gzip.GzipFile]:
    """A new gzip file that says nothing of when and under which name it was made: the same lines, the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        open(path, "xb") as target,
        gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=target, mtime=0) as file,
    ):
        yield file


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, with their ends."""
    with gzip.open(path, "rb") as source:
        yield from source


def without(path: Path, ids: frozenset[str], target: Path) -> int:
    """Write a file again without the rows of some ids, all other lines as they are. Returns how many lines went."""
    removed = 0
    with gzipped(target) as file:
        for line in read_lines(path):
            if json.loads(line)["meta"]["id"] in ids:
                removed += 1
            else:
                file.write(line)
    return removed
