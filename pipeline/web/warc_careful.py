"""The careful reader: the records of any file, damaged ones with their problem, at the pace of Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline.web.headers import MAX_HEADER_BYTES
from pipeline.web.warc_members import Source
from pipeline.web.warc_record import Record, block_bytes_wanted, content_length, make_record


def read_carefully(source: Source, max_body_bytes: int, base: Callable[[], int]) -> Iterator[Record]:
    """All records from the source on. `base` gives the inflated position of the source's start, when it is needed."""
    while True:
        source.skip_newlines()
        if source.buffer:
            yield _next_record(source, max_body_bytes, base)
            continue
        if source.damaged:
            source.damaged = False
            size = source.member_end - source.member_start
            yield Record("unknown", source.member_start, size, truncated="cut", problem="cut_record")
        gap_start = source.member_end
        gap = source.advance()
        if gap is None:
            return
        if gap:
            yield Record("unknown", gap_start, gap, problem="bad_warc_header")


def _next_record(source: Source, max_body_bytes: int, base: Callable[[], int]) -> Record:
    member_start, position = source.member_start, source.position
    opens_member = position == source.member_position
    record = _parse_record(source, max_body_bytes)
    source.skip_newlines()
    if source.damaged and not source.buffer:
        source.damaged = False
        record.truncated, record.problem = "cut", record.problem or "cut_record"
    if not source.codec:
        record.offset, record.length = position, source.position - position
    elif opens_member and source.ended and not source.buffer:
        record.offset, record.length = member_start, source.member_end - member_start
    else:
        record.offset, record.length = base() + position, source.position - position
    return record


def _parse_record(source: Source, max_body_bytes: int) -> Record:
    dialect = source.dialect
    while not (opens := dialect.opens(bytes(source.buffer[: dialect.opening_bytes]))):
        if len(source.buffer) >= dialect.opening_bytes or not source.more():
            break
    if not opens:
        source.skip_to_record(0)
        return Record("unknown", problem="bad_warc_header")
    header_bytes = source.header_end()
    if not header_bytes:
        cut = len(source.buffer) < MAX_HEADER_BYTES and not dialect.start.search(source.buffer, 5)
        source.drop(5)
        source.skip_to_record(0)
        return Record("unknown", truncated="cut" if cut else None, problem="cut_record" if cut else "bad_warc_header")
    fields = dialect.fields(bytes(source.buffer[:header_bytes]))
    source.drop(header_bytes)
    size = content_length(fields) if fields else None
    if not fields or size is None:
        source.skip_to_record(0)
        record = make_record(fields or {}, b"", 0, max_body_bytes)
        record.problem = "bad_warc_header"
        return record
    wanted = block_bytes_wanted(fields, size, max_body_bytes)
    if not source.codec and source.position + size > source.file_end:
        # Believing this length would swallow all records that follow.
        block = source.skip_to_record(wanted)
        complete = False
    else:
        block = source.read(wanted)
        complete = len(block) == wanted and source.skip(size - wanted) == size - wanted
    record = make_record(fields, block, size, max_body_bytes)
    if not complete:
        record.truncated, record.problem = "cut", "cut_record"
    return record
