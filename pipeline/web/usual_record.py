"""Usual records: a record as crawlers write it, made from the places of its fields; body and headers come later.

Nine of ten responses are rejected by their status, their type or the gate, which need a few fields and a look at the
body. So headers are parsed and the body is copied only when they are asked for.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pipeline.web import record_fields as at
from pipeline.web.headers import MAX_HEADER_BYTES
from pipeline.web.http_response import content_type_of
from pipeline.web.warc_record import Held, Record, parse_date, text_of, url_of

# Given as a dtype by its place, it takes numpy a third of the time.
_BYTES, _NUMBERS = np.dtype(np.uint8), np.dtype(np.int64)
# Longer types are of one page alone, and would fill the memory.
_LONGEST_KEPT = 128
_kept_type = lru_cache(1_024)(content_type_of)


def read_usual_record(member: bytes, max_body_bytes: int) -> Record | None:
    """The one record of a whole gzip member, without its place in the file; None where `make_record` must read it."""
    found = np.empty(at.PLACES, _NUMBERS)
    kind = at.find_fields(np.frombuffer(member, _BYTES), max_body_bytes, found)
    if kind == at.OTHER:
        return None
    places = found.tolist()

    def value(field: int) -> str | None:
        start = places[2 * field]
        return text_of(member[start : places[2 * field + 1]]) if start else None

    if kind == at.REQUEST:
        return Record("request", record_id=value(at.RECORD_ID))
    if kind == at.METADATA:
        start = places[at.BLOCK_START]
        body = member[start : min(places[at.BLOCK_END], start + MAX_HEADER_BYTES)]
        return Record("metadata", record_id=value(at.RECORD_ID), body=body, concurrent_to=value(at.CONCURRENT_TO))
    record = Record(
        "response",
        record_id=value(at.RECORD_ID),
        url=url_of(value(at.URL)),
        date=parse_date(value(at.DATE)),
        payload_digest=value(at.DIGEST),
        http_status=places[at.STATUS],
    )
    truncated = value(at.TRUNCATED)
    if truncated:
        record.truncated = truncated.lower()
    start = places[2 * at.HTTP_TYPE]
    if start:
        declared = member[start : places[2 * at.HTTP_TYPE + 1]].decode("ascii")
        read = _kept_type if len(declared) <= _LONGEST_KEPT else content_type_of
        record.content_type, record.http_charset = read(declared)
    record.hold(Held(member, places[at.BLOCK_START], places[at.BODY_START], places[at.BLOCK_END]))
    if places[2 * at.HTTP_LANGUAGE]:
        record.http_language = ",".join(record.http_headers["content-language"]) or None
    return record
