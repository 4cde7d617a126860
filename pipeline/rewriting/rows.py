"""Rows of rewriting: a text with its sources, its license and each step that made it; the schemas of its tables."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pyarrow as pa

from pipeline.schemas import SCHEMA_VERSION, TIMESTAMP

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))

# One question that a text owes itself to. `parameters` is JSON, `attempt` counts from 1.
LINEAGE = pa.list_(
    pa.struct(
        [
            ("step", pa.string()),
            ("prompt", pa.string()),
            ("prompt_digest", pa.string()),
            ("model", pa.string()),
            ("parameters", pa.string()),
            ("attempt", pa.int32()),
            ("tokens_in", pa.int64()),
            ("tokens_out", pa.int64()),
        ]
    )
)

# Columns that a row takes over from the document it was made from, under the same name.
OF_THE_SOURCE: list[tuple[str, pa.DataType]] = [
    ("url", pa.string()),
    ("canonical_url", pa.string()),
    ("host", pa.string()),
    ("title", pa.string()),
    ("crawl", pa.string()),
    ("fetched_at", TIMESTAMP),
    ("warc_file", pa.string()),
    ("warc_offset", pa.int64()),
    ("warc_length", pa.int64()),
    ("warc_record_id", pa.string()),
    ("payload_digest", pa.string()),
    ("source", pa.string()),
    ("source_id", pa.string()),
    ("source_metadata", pa.string()),
    ("language", pa.string()),
    ("consent", pa.string()),
]
ROWS: list[tuple[str, pa.DataType]] = [
    ("id", pa.string()),
    ("source_ids", pa.list_(pa.string())),
    *OF_THE_SOURCE,
    ("text", pa.string()),
    ("messages", MESSAGES),
    ("license", pa.string()),
    ("license_tier", pa.string()),
    ("source_license", pa.string()),
    ("source_license_url", pa.string()),
    ("source_license_tier", pa.string()),
    ("generator", pa.string()),
    ("generator_license", pa.string()),
    ("generator_training", pa.string()),
    ("lineage", LINEAGE),
    ("fell_back", pa.list_(pa.string())),
]

# What a step made of each row, before anybody judged it. `reason` says why there is no answer to use.
PRODUCED: list[tuple[str, pa.DataType]] = [
    ("id", pa.string()),
    ("asked", pa.bool_()),
    ("text", pa.string()),
    ("score", pa.float64()),
    ("note", pa.string()),
    ("messages", MESSAGES),
    ("reason", pa.string()),
    ("answer", pa.string()),
    ("parts", pa.int32()),
    ("tokens_in", pa.int64()),
    ("tokens_out", pa.int64()),
]


def schema(table: str, fields: Sequence[tuple[str, pa.DataType]]) -> pa.Schema:
    """The schema of a table of rewriting."""
    metadata = {"kamisuki.table": table, "kamisuki.schema_version": str(SCHEMA_VERSION)}
    return pa.schema([pa.field(name, kind) for name, kind in fields], metadata=metadata)


def rewritten_id(parent: str, made_by: str) -> str:
    """The id of what a step made of a row: the same for the same row, prompt, model, parameters and attempt."""
    return hashlib.blake2b(f"rewritten\n{parent}\n{made_by}".encode(), digest_size=16).hexdigest()
