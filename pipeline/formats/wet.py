"""WET files: the text of a page in each conversion record, as Common Crawl's own extraction left it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.formats.rows import BadRow, Row, WrongFormat
from pipeline.web.warc import NotWarc, Record, read_records

_CRAWL = re.compile(rb"^isPartOf:[ \t]*(\S+)", re.MULTILINE)


def read_wet(path: str, row_bytes: int) -> Iterator[Row | BadRow]:
    """The conversion records of a WET file; `number` and `length` are the record's place. Raises WrongFormat.

    Fields: text, url, date (WARC-Date), record_id, refers_to (the record of the page itself), content_type, languages
    (WARC-Identified-Content-Language), crawl (isPartOf of the warcinfo record before it).
    """
    crawl: str | None = None
    try:
        for record in read_records(path, row_bytes):
            if record.type == "warcinfo":
                found = _CRAWL.search(record.body)
                crawl = found[1].decode("utf-8", "replace") if found else crawl
            yield _row(record, crawl)
    except NotWarc as error:
        raise WrongFormat(str(error)) from None


def _row(record: Record, crawl: str | None) -> Row | BadRow:
    known = {"url": record.url, "record_id": record.record_id}
    if record.problem:
        return BadRow(record.offset, record.problem, length=record.length, known=known)
    if record.type != "conversion":
        return BadRow(record.offset, "not_a_conversion", record.type, record.length, known=known)
    values = known | {
        # Decoded with the row's other bytes, where a mistake has its reason.
        "text": record.body,
        "date": record.date,
        "refers_to": record.refers_to,
        "content_type": record.content_type,
        "languages": record.languages,
        "crawl": crawl,
    }
    return Row(record.offset, values, record.length)
