"""Usual records: a record as crawlers write it, made from the places of its fields; body and headers come later.

Nine of ten responses are rejected by their status, their type or the gate, which need a few fields and a look at the
body. So headers are parsed and the body is copied only when they are asked for.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pipeline.web import record_fields as at
from pipeline.web.headers import MAX_HEADER_BYTES
from pipeline.web.http_response import content_type_of
from pipeline.web.warc_record import Held, Record, parse_date, text_of, url_of

# Given as a dtype by its place, it takes numpy a third of the time.
_BYTES = np.dtype(np.uint8)
_ID = 2 * at.RECORD_ID
# Longer types are of one page alone, and would fill the memory.
_LONGEST_KEPT = 128
_kept_type = lru_cache(1_024)(content_type_of)


def room_for_places() -> npt.NDArray[np.int64]:
    """What `read_usual_record` keeps the places of one record in, for one record after the other."""
    return np.empty(at.PLACES, np.int64)


def read_usual_record(member: bytes, max_body_bytes: int, room: npt.NDArray[np.int64]) -> Record | None:
    """The one record of a whole gzip member, without its place in the file; None where `make_record` must read it."""
    kind = at.find_fields(np.frombuffer(member, _BYTES), max_body_bytes, room)
    if kind == at.OTHER:
        return None
    places = room.tolist()
    # Written out for each record: a function of its own would cost a tenth of the record's time.
    record_id = member[places[_ID] : places[_ID + 1]].decode("utf-8", "replace") or None
    if kind == at.REQUEST:
        return Record("request", record_id=record_id)

    def value(field: int) -> str | None:
        start = places[2 * field]
        return text_of(member[start : places[2 * field + 1]]) if start else None

    if kind == at.METADATA:
        start = places[at.BLOCK_START]
        body = member[start : min(places[at.BLOCK_END], start + MAX_HEADER_BYTES)]
        return Record("metadata", record_id=record_id, body=body, concurrent_to=value(at.CONCURRENT_TO))
    record = Record(
        "response",
        record_id=record_id,
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
