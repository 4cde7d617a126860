"""Releases made by hand: the layout of a built one, with rows that a test chooses."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.files import TableWriter
from pipeline.release.keys import row_key
from pipeline.release.manifest import Config, File, Manifest, Policy, write_manifest
from pipeline.schemas import TIMESTAMP

SCHEMA = pa.schema(
    [
        (name, TIMESTAMP if name == "fetched_at" else pa.string())
        for name in (
            "id", "url", "host", "title", "text", "crawl", "fetched_at", "language", "license", "license_url",
            "license_tier", "consent", "source",
        )
    ]
)  # fmt: skip
WHEN = datetime.datetime(2026, 11, 26, tzinfo=datetime.UTC)
# Text that breaks readers of lines, of Markdown, of spreadsheets and of terminals.
HOSTILE = [
    "=cmd|' /C calc'!A0",
    "一行目\u2028二行目\u2029三行目\x85四行目\x0b五\x0c六\x1c七",
    "\u202eright to left\u202c \u2066isolated\u2069",
    "\r\n\r\n\n\n独りの改行\r復帰\n\n\n",
    "---\nname: x\n---\n<script>alert(1)</script> | a | b |",
    "a\x00b\x01c\x1bd\x7fe",
    "<|endoftext|></s> 文書の中の終わり <|endoftext|>",
    '"},"meta":{"id":"偽物"}}\n{"text":"もう一行"}',
    "\ufeff先頭のBOM",
    "",
    "\n",
]


def row(number: int, **changes: Any) -> dict[str, Any]:
    """A row with everything in it; texts differ in length and are Japanese."""
    return {
        "id": f"id-{number:05d}",
        "url": f"https://site{number % 7}.example.jp/{number}",
        "host": f"site{number % 7}.example.jp",
        "title": f"題名{number}",
        "text": f"これは{number}番目の文書です。" * (1 + number % 9) + f"\n終わり{number}。",
        "crawl": "CC-MAIN-2026-40" if number % 5 else None,
        "fetched_at": WHEN if number % 3 else None,
        "language": "ja" if number % 4 else "en",
        "license": "CC-BY-4.0" if number % 2 else None,
        "license_url": None,
        "license_tier": "attribution" if number % 2 else "unknown",
        "consent": "unknown",
        "source": None if number % 5 else "wiki",
    } | changes


def hostile_rows(start: int = 90_000) -> list[dict[str, Any]]:
    """A row for each hostile text, hostile in title, URL and source too."""
    return [
        row(start + index, text=text, title=text[:40], url=f"https://x.example/?{text[:20]}", source=text[:30] or None)
        for index, text in enumerate(HOSTILE)
    ]


def make_release(
    folder: Path,
    rows: list[dict[str, Any]],
    name: str = "mine",
    seed: int = 7,
    files: int = 2,
    schema: pa.Schema = SCHEMA,
) -> Manifest:
    """Write a release of some rows: a cell for each license tier, its files equal ranges of the key."""
    made: list[File] = []
    cells = sorted({f"corpus-{row['license_tier']}" for row in rows})
    for cell in cells:
        for split in ("train", "validation"):
            chosen = [
                (row_key(row["id"], seed), row["id"], row)
                for row in rows
                if f"corpus-{row['license_tier']}" == cell
                and (row["host"] == "site3.example.jp") == (split == "validation")
            ]
            chosen.sort(key=lambda item: item[:2])
            count = files if split == "train" else 1
            for number in range(count if chosen else 0):
                path = f"data/{cell}/{split}-{number:05d}-of-{count:05d}.parquet"
                mine = [row for key, _, row in chosen if key * count >> 64 == number]
                with TableWriter(folder / path, schema) as writer:
                    writer.write_rows(mine)
                made.append(
                    File(
                        path=path,
                        config=cell,
                        split=split,
                        rows=len(mine),
                        characters=sum(len(row["text"]) for row in mine),
                        bytes=writer.bytes,
                        sha256=writer.digest,
                    )
                )
    manifest = Manifest(
        name=name,
        date=WHEN.date(),
        kamisuki="0.1.0",
        seed=seed,
        validation=0.1,
        by=["license_tier"],
        policy=Policy(license_tiers=None, refused_consent=False),
        tasks=[],
        configs=[
            Config(name="corpus", task="corpus", cells=cells),
            *(Config(name=cell, task="corpus", cells=[cell]) for cell in cells),
        ],
        files=made,
    )
    write_manifest(folder, manifest)
    return manifest


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def export_rows() -> list[dict[str, Any]]:
    """The rows that exports are tried with: usual ones, and those of people who mean harm."""
    return [row(number) for number in range(120)] + hostile_rows()
