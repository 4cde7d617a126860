"""Runs to release: an OUT folder with a corpus of made-up rows."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.export_run import export
from pipeline.files import TableWriter, write_json
from pipeline.ledger import Entry
from pipeline.release_run import Built, ReleaseRun
from pipeline.release_settings import Settings
from pipeline.runner import InProcessRunner
from pipeline.schemas import SCHEMA_VERSION, corpus_schema
from pipeline.storage.places import Place
from tests.pipeline.conftest import Quiet

SCHEMA = corpus_schema([("characters", pa.int64())])
TIERS = ("attribution", "unknown", None)
Rewritings = Sequence[tuple[str, str | None]]
FETCHED = datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC)


def made_rows(count: int, hosts: int = 40) -> list[dict[str, Any]]:
    """Rows of a corpus: every seventh refuses training, every ninth has no host."""
    return [
        dict.fromkeys(SCHEMA.names)
        | {"id": f"row-{n}", "url": f"https://h{n % hosts}.example/{n}", "text": f"文章{n}。" * (1 + n % 5)}
        | {"host": None if n % 9 == 0 else f"h{n % hosts}.example", "license_tier": TIERS[n % len(TIERS)]}
        | {"consent": "refused" if n % 7 == 0 else "unknown", "crawl": "CC-MAIN-2024-10", "fetched_at": FETCHED}
        | {"tier": "top" if n % 2 else "rest", "language": "ja", "characters": n}
        for n in range(count)
    ]


def made_out(out: Path, rows: list[dict[str, Any]], shards: int = 2) -> Path:
    """A run's folder whose corpus has these rows, dealt out over shards."""
    folder = out / "corpus-made"
    folder.mkdir(parents=True)
    for number in range(shards):
        mine = rows[number::shards]
        entry = Entry(f"shard-{number}", "select", read=len(mine), written=len(mine))
        with TableWriter(folder / f"shard-{number}.parquet", SCHEMA) as file:
            file.write_rows(mine)
        entry.output("corpus", file.written())
        entry.save(folder)
    recipe = {"name": "made", "annotate": {"word_lists": {"ng": str(out / "words.txt")}}, "sources": {"contact": "me"}}
    run = {"recipe": recipe, "tables": {"corpus": folder.name}, "waived": {"lost": f"{out}/in.warc.gz: no WARC"}}
    write_json(out / "run.json", {"schema_version": SCHEMA_VERSION, "recipes": {"made": run}, "latest": "made"})
    return out


def release(
    out: Place, to: Place, replace: bool = False, rewritten: Rewritings = (), corpus: bool = True, **settings: Any
) -> Built:
    """Build a release in this process."""
    job = ReleaseRun(out, to, Settings(**settings), InProcessRunner(), Quiet(), rewritten=rewritten, corpus=corpus)
    return job.build(replace)


def released_and_exported(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """A folder with an OUT of these rows, a release of it in several files, and an export of that as JSON lines."""
    release(made_out(folder / "out", rows), folder / "release", shard_bytes=6_000)
    export(folder / "release", folder / "lines", "jsonl", InProcessRunner(), Quiet())
    return folder
