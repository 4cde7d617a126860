"""Proposals: the keys by which documents become candidates. A shared key proposes a pair and removes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import xxhash

from dedup.resolve import EXACT, NEAR, PAYLOAD, SAME_CANONICAL, SAME_URL
from dedup.shingles import mix
from pipeline.sources import source_names
from pipeline.web.urls import normalize_url

DOCUMENT_COLUMNS = ("warc_file", "crawl", "payload_digest", "canonical_url")
SIGNATURE_COLUMNS = ("comparable", "content_hash", "url_hash", "bands")

# Keys of all kinds live in one space of 64 bits: these constants, the letters of their names, keep them apart.
PAYLOAD_KEY = np.uint64(0x7061796C6F616400)
CONTENT_KEY = np.uint64(0x636F6E74656E7400)
URL_KEY = np.uint64(0x75726C0000000000)


def mixed(hashes: np.ndarray, kind: np.uint64) -> np.ndarray:
    """Hashes moved into the key space of their kind, spread over its whole range again."""
    return mix(hashes ^ kind)


def text_hashes(texts: pa.Array) -> np.ndarray:
    """64-bit hashes of strings, uint64; 0 where there is none."""
    values = (xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass")) if text else 0 for text in _list(texts))
    return np.fromiter(values, np.uint64, count=len(texts))


def canonical_hashes(document: pa.RecordBatch) -> np.ndarray:
    """64-bit hashes of the normalised addresses that pages give as their own, uint64; 0 where there is none."""
    return text_hashes(normalized_urls(document.column("canonical_url")))


def normalized_urls(urls: pa.Array) -> pa.Array:
    """Each URL as captures of one page compare; null where there is none."""
    return pa.array([normalize_url(url) if url else None for url in _list(urls)], pa.string())


def proposed_keys(
    document: pa.RecordBatch,
    signature: pa.RecordBatch,
    kinds: Sequence[str],
    scope: str,
    sources: Mapping[str, str],
) -> tuple[np.ndarray, np.ndarray]:
    """Return (keys uint64, rows int64) of the documents of a batch, for the kinds that a recipe asks for.

    Under scope `snapshot` or `source` the crawl or the source is part of every key, so that documents of different
    ones never meet. Documents of no known crawl, or of no named source, are one of their own.
    """
    proposed: list[tuple[np.ndarray, np.ndarray]] = []
    rows = np.arange(document.num_rows, dtype=np.int64)

    def propose(hashes: np.ndarray, kind: np.uint64) -> None:
        there = hashes != 0
        proposed.append((mixed(hashes[there], kind), rows[there]))

    if PAYLOAD in kinds:
        propose(text_hashes(document.column("payload_digest")), PAYLOAD_KEY)
    if EXACT in kinds:
        proposed.append((mixed(signature.column("content_hash").to_numpy(), CONTENT_KEY), rows))
    if SAME_URL in kinds or SAME_CANONICAL in kinds:
        urls = signature.column("url_hash").to_numpy()
        propose(urls, URL_KEY)
        if SAME_CANONICAL in kinds:
            canonical = canonical_hashes(document)
            propose(np.where(canonical == urls, np.uint64(0), canonical), URL_KEY)
    if NEAR in kinds:
        comparable = signature.column("comparable").to_numpy(zero_copy_only=False)
        bands = signature.column("bands").flatten().to_numpy().reshape(document.num_rows, -1)[comparable]
        proposed.append((bands.reshape(-1), np.repeat(rows[comparable], bands.shape[1])))
    keys = np.concatenate([keys for keys, _ in proposed])
    owners = np.concatenate([owners for _, owners in proposed])
    if scope == "all":
        return keys, owners
    names = document.column("crawl") if scope == "snapshot" else source_names(document.column("warc_file"), sources)
    return mix(keys ^ text_hashes(names)[owners]), owners


def _list(texts: pa.Array) -> list[str | None]:
    found: list[str | None] = texts.to_pylist()
    return found
