"""The Arrow schema of every table, in one place and with a version."""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 6


def _schema(table: str, fields: list[tuple[str, pa.DataType]]) -> pa.Schema:
    metadata = {"kamisuki.table": table, "kamisuki.schema_version": str(SCHEMA_VERSION)}
    return pa.schema([pa.field(name, kind) for name, kind in fields], metadata=metadata)


TIMESTAMP = pa.timestamp("us", tz="UTC")

DOCUMENTS = _schema(
    "documents",
    [
        ("id", pa.string()),
        ("url", pa.string()),
        ("host", pa.string()),
        ("title", pa.string()),
        ("text", pa.string()),
        ("crawl", pa.string()),
        ("fetched_at", TIMESTAMP),
        ("warc_file", pa.string()),
        ("warc_offset", pa.int64()),
        ("warc_length", pa.int64()),
        ("warc_record_id", pa.string()),
        ("warc_truncated", pa.string()),
        ("payload_digest", pa.string()),
        ("http_status", pa.int16()),
        ("content_type", pa.string()),
        ("charset", pa.string()),
        ("charset_source", pa.string()),
        ("charset_replacements", pa.int32()),
        ("declared_language", pa.string()),
        ("language", pa.string()),
        ("language_score", pa.float32()),
        ("author", pa.string()),
        ("site_name", pa.string()),
        ("published_at", pa.date32()),
        ("modified_at", pa.date32()),
        ("description", pa.string()),
        ("canonical_url", pa.string()),
        ("license", pa.string()),
        ("license_url", pa.string()),
        ("license_source", pa.string()),
        ("license_tier", pa.string()),
        ("license_disagreement", pa.string()),
        ("license_compatible_with", pa.string()),
        ("consent", pa.string()),
        ("consent_evidence", pa.string()),
        ("extractor", pa.string()),
        ("page_type", pa.string()),
        ("extraction_confidence", pa.float64()),
        ("link_ratio", pa.float64()),
        ("capped", pa.string()),
        ("source", pa.string()),
        ("source_id", pa.string()),
        ("source_metadata", pa.string()),
    ],
)

# Columns of a document that a rule may judge, beside the signals.
SELECTABLE_DOCUMENT_COLUMNS = (
    "host",
    "crawl",
    "charset",
    "charset_source",
    "charset_replacements",
    "declared_language",
    "language",
    "language_score",
    "license",
    "license_tier",
    "license_disagreement",
    "license_compatible_with",
    "consent",
    "extractor",
    "page_type",
    "extraction_confidence",
    "link_ratio",
    "source",
)

# What the sites' robots.txt said, one row a capture.
ROBOTS = _schema(
    "robots",
    [
        ("scheme", pa.string()),
        ("host", pa.string()),
        ("port", pa.int32()),
        ("path", pa.string()),
        ("fetched_at", TIMESTAMP),
        ("http_status", pa.int16()),
        ("content_type", pa.string()),
        ("location", pa.string()),
        ("text", pa.string()),
        ("cut", pa.bool_()),
        ("problem", pa.string()),
        ("warc_file", pa.string()),
        ("warc_offset", pa.int64()),
        ("warc_record_id", pa.string()),
    ],
)

_ROBOTS_VERDICT: list[tuple[str, pa.DataType]] = [
    (f"{name}{suffix}", kind)
    for name in ("robots", "robots_latest")
    for suffix, kind in (("", pa.string()), ("_evidence", pa.string()), ("_fetched_at", TIMESTAMP))
]
# What robots.txt says of a document: as of its fetch, and by the newest capture that there is.
ROBOTS_COLUMNS = tuple(name for name, _ in _ROBOTS_VERDICT)
ROBOTS_VERDICTS = _schema("robots_verdicts", [("id", pa.string()), *_ROBOTS_VERDICT])
# Those of them that a rule may judge.
SELECTABLE_ROBOTS_COLUMNS = ("robots", "robots_latest")

REJECTS = _schema(
    "rejects",
    [
        ("id", pa.string()),
        ("url", pa.string()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("value", pa.float64()),
        ("limit", pa.float64()),
        ("detail", pa.string()),
    ],
)
# Extract's rejects say where the record lies too, so that what is no page here can be read by another pipeline.
EXTRACT_REJECTS = _schema(
    "rejects",
    [
        *((field.name, field.type) for field in REJECTS),
        ("warc_file", pa.string()),
        ("warc_offset", pa.int64()),
        ("warc_length", pa.int64()),
    ],
)

VERDICTS = _schema(
    "verdicts",
    [
        ("id", pa.string()),
        ("passed", pa.bool_()),
        ("tier", pa.string()),
        ("reason", pa.string()),
        ("value", pa.float64()),
        ("limit", pa.float64()),
        ("detail", pa.string()),
    ],
)

CANDIDATES = _schema(
    "candidates",
    [("id", pa.string()), ("row", pa.int32()), ("component", pa.uint64()), ("size", pa.int64())],
)

DUPLICATES = _schema(
    "duplicates",
    [
        ("id", pa.string()),
        ("kept_id", pa.string()),
        ("similarity", pa.float64()),
        ("component", pa.string()),
        ("kind", pa.string()),
        ("url", pa.string()),
        ("kept_url", pa.string()),
        ("crawl", pa.string()),
        ("kept_crawl", pa.string()),
        ("source", pa.string()),
        ("kept_source", pa.string()),
    ],
)


# Lines, by the hash of their normalised text, that stand in more documents of the corpus than the recipe allows.
REPEATS = _schema("repeats", [("hash", pa.uint64()), ("documents", pa.int64())])

# Lines, paragraphs and documents that occur often in a corpus: how often, and the code points of one.
REPEATED = _schema(
    "repeated",
    [
        ("unit", pa.string()),
        ("hash", pa.uint64()),
        ("occurrences", pa.int64()),
        ("letters", pa.int64()),
        ("text", pa.string()),
    ],
)

# In the ledger: characters that edits took from documents; no document goes by this name.
EDITED = "edited"
# What was done to a text, change after change: where, in code points of what the one before left, and what came.
EDITS = pa.list_(
    pa.struct(
        [
            ("kind", pa.string()),
            ("start", pa.int32()),
            ("end", pa.int32()),
            ("replacement", pa.string()),
            ("detail", pa.string()),
        ]
    )
)

# What the corpus has beside the columns of documents and the signals that a recipe asks for.
CLUSTER_COLUMNS = [
    ("duplicate_cluster", pa.string()),
    ("duplicate_cluster_size", pa.int64()),
    ("repeat", pa.int32()),
]
CORPUS_COLUMNS = [
    *CLUSTER_COLUMNS,
    ("edits", EDITS),
    ("tier", pa.string()),
]


def signatures_schema(bands: int) -> pa.Schema:
    """Signatures of documents: `bands` 64-bit band hashes a row; `comparable` is false for texts too short for one."""
    return _schema(
        "signatures",
        [
            ("id", pa.string()),
            ("comparable", pa.bool_()),
            ("content_hash", pa.uint64()),
            ("url_hash", pa.uint64()),
            ("bands", pa.list_(pa.uint64(), bands)),
        ],
    )


def signals_schema(signals: list[tuple[str, pa.DataType]]) -> pa.Schema:
    """Signals of documents: the id and one typed column a signal."""
    return _schema("signals", [("id", pa.string()), *signals])


def corpus_schema(signals: list[tuple[str, pa.DataType]]) -> pa.Schema:
    """Kept documents: the columns of documents, clusters and robots.txt, and those signals that the recipe asks for."""
    documents = [(field.name, field.type) for field in DOCUMENTS]
    return _schema("corpus", [*documents, *CORPUS_COLUMNS, *_ROBOTS_VERDICT, *signals])
