"""Sign: documents in, the MinHash bands and the exact hashes of each out, in the same order."""

from __future__ import annotations

import time
import unicodedata
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from dedup.minhash import MinHashParameters, band_hashes, content_hashes
from dedup.normalise import normalize_array
from pipeline.dedup_settings import Signature
from pipeline.files import TableWriter, read_batches
from pipeline.ledger import Entry
from pipeline.schemas import signatures_schema
from pipeline.storage.places import as_place
from pipeline.web.urls import normalize_url

RULE_VERSION = 2
MEMORY_BYTES = 900_000_000


def fingerprint(settings: Signature) -> dict[str, Any]:
    """What decides the signatures: parameters, rule version and the Unicode tables behind NFKC."""
    return {"rule_version": RULE_VERSION, "unicode": unicodedata.unidata_version, **settings.numbers()}


def url_hashes(urls: pa.Array) -> np.ndarray:
    """64-bit hashes of normalised URLs, uint64; 0 where there is no URL."""
    hashes = [
        xxhash.xxh3_64_intdigest(normalize_url(url).encode("utf-8", "surrogatepass")) if url else 0
        for url in urls.to_pylist()
    ]
    return np.array(hashes, np.uint64)


def sign_shard(
    shard: str, documents: str, folder: str, inputs: list[dict[str, Any]], parameters: dict[str, int]
) -> dict[str, Any]:
    """Sign one shard: `documents` is its file, `folder` gets its signatures. Returns the ledger entry."""
    started = time.perf_counter()
    entry = Entry(shard, "sign", inputs=inputs)
    minhash = MinHashParameters(**parameters)
    schema = signatures_schema(minhash.bands)
    with TableWriter(as_place(folder) / f"{shard}.parquet", schema) as out:
        for batch in read_batches(as_place(documents), ["id", "url", "text"]):
            normalised = normalize_array(batch.column("text"))
            bands, comparable = band_hashes(normalised, minhash)
            columns = [
                batch.column("id"),
                pa.array(comparable),
                pa.array(content_hashes(normalised)),
                pa.array(url_hashes(batch.column("url"))),
                pa.FixedSizeListArray.from_arrays(pa.array(bands.reshape(-1)), minhash.bands),
            ]
            out.write(pa.RecordBatch.from_arrays(columns, schema=schema))
            entry.read += batch.num_rows
            entry.written += batch.num_rows
            entry.notes["too_short_to_shingle"] = entry.notes.get("too_short_to_shingle", 0) + int((~comparable).sum())
    entry.output("signatures", out.written())
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__
