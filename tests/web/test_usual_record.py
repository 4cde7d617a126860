"""Records that are read in one compiled pass are those that the general reader makes; odd ones are left to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.web.blocks import find_high, find_letter
from pipeline.web.headers import MAX_HEADER_BYTES, first_values, header_end, header_pairs
from pipeline.web.usual_record import read_usual_record, room_for_places
from pipeline.web.warc import read_records
from pipeline.web.warc_fast import _MEMBER_START, find_starts
from pipeline.web.warc_record import Record, block_bytes_wanted, content_length, make_record

SAMPLE = Path(__file__).parents[1] / "data" / "sample.warc.gz"
LIMIT = 40


def mostly(usual: str, *odd: str) -> st.SearchStrategy[str]:
    return st.sampled_from([usual] * 4 * len(odd) + [*odd])


BLANKS = mostly("", " ", "\t", "\x0b", "\r", " \x0c")
VALUES = st.sampled_from(
    [
        "response",
        "Request",
        "metadata",
        "revisit",
        "",
        "<urn:uuid:00000000-0000-4000-8000-000000000001>",
        "<https://例え.jp/>",
        "https://kami.example/",
        "2024-05-17T03:00:00Z",
        "length",
        "application/http; msgtype=response",
        "Application/HTTP",
        "application\x0fhttp",
        "text/dns",
        "text/html; charset=Shift_JIS",
        "no type",
        "text/plain",
        "ja, en",
        "gzip",
        "紙",
    ]
)
WARC_NAMES = st.sampled_from(
    [
        "WARC-Type",
        "warc-type",
        "WARC-Record-ID",
        "WARC-Concurrent-To",
        "WARC-Target-URI",
        "WARC-Date",
        "WARC-Payload-Digest",
        "WARC-Truncated",
        "Content-Type",
        "Content-Length",
        "X-Other",
        "",
    ]
)
HTTP_NAMES = st.sampled_from(
    ["Content-Type", "content-type", "Content-Language", "Content-Encoding", "Transfer-Encoding", "Link", "X", ""]
)
LINE_ENDS = mostly("\r\n", "\n", "\r\r\n")
TYPES = mostly("response", "Response", "request", "metadata", "revisit")


def lines(names: st.SearchStrategy[str], most: int) -> st.SearchStrategy[str]:
    line = st.tuples(BLANKS, names, BLANKS, mostly(": ", ":", ""), VALUES, BLANKS, LINE_ENDS)
    return st.lists(line.map("".join), max_size=most).map("".join)


STATUS_LINES = mostly(
    "HTTP/1.1 200 OK\r\n", "HTTP/2 404\r\n", "HTTP/1.0  200\n", "HTTP/1.1 2000\r\n", "HTTP/1.1\r\n", "<html>\r\n", ""
)
BODIES = st.sampled_from(
    [b"", b"<p>\xe7\xb4\x99", b"\r\n<p>", b"\r\n\xef\xbb\xbf", b"\n", b"x" * LIMIT, b"x" * (LIMIT + 1)]
)


@st.composite
def members(draw: st.DrawFn) -> bytes:
    """A member of one record, nearly as crawlers write it."""
    head = draw(STATUS_LINES) + draw(lines(HTTP_NAMES, 3)) + draw(LINE_ENDS)
    block = head.encode() + draw(BODIES)
    length = len(block) + int(draw(mostly("0", "1", "-1")))
    usual = draw(st.permutations([f"WARC-Type: {draw(TYPES)}\r\n", f"Content-Length: {length}\r\n"]))
    version = draw(mostly("WARC/1.0\r\n", "WARC/1.1\n", "WARC/0.17\r\n", "WARX/1.0\r\n"))
    header = draw(lines(WARC_NAMES, 2)).join(usual) + draw(lines(WARC_NAMES, 2))
    return f"{version}{header}\r\n".encode() + block + draw(mostly("\r\n\r\n", "\n\n", "")).encode()


def generally(member: bytes) -> Record | None:
    """The record as the general reader makes it; None where the member is not exactly one."""
    end = header_end(member, MAX_HEADER_BYTES)
    if end is None or not member.startswith(b"WARC/"):
        return None
    fields = first_values(header_pairs(member[: end[0]]))
    length = content_length(fields)
    if length is None or len(member) != end[1] + length + 4 or not member.endswith(b"\r\n\r\n"):
        return None
    wanted = block_bytes_wanted(fields, length, LIMIT)
    return make_record(fields, member[end[1] : end[1] + wanted], length, LIMIT)


@settings(max_examples=200)
@given(members())
def test_what_is_read_at_once_is_what_the_general_reader_makes(member: bytes) -> None:
    found = read_usual_record(member, LIMIT, room_for_places())
    assert found is None or found == generally(member)


def test_every_sound_page_of_the_sample_is_read_at_once() -> None:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=UTF-8\r\nContent-Language: ja\r\n\r\n<p>"
    for kind in (b"response", b"request", b"metadata"):
        header = b"WARC/1.0\r\nWARC-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(block))
        found = read_usual_record(header + block + b"\r\n\r\n", LIMIT, room_for_places())
        assert found is not None and found.type == kind.decode()
    pages = [one for one in read_records(str(SAMPLE), 8_000_000) if one.http_status == 200 and not one.problem]
    assert sum(one.held is not None for one in pages) > len(pages) / 2
    for one in pages:
        assert bytes(one.body_view) == one.body


@given(st.binary(max_size=300), st.integers(0, 255), st.integers(0, 300), st.integers(0, 300))
def test_bytes_are_found_where_they_stand(text: bytes, letter: int, one: int, other: int) -> None:
    start, end = sorted((min(one, len(text)), min(other, len(text))))
    source = np.frombuffer(text, dtype=np.uint8)
    found = text.find(letter, start, end)
    assert find_letter(source, start, end, np.uint8(letter)) == (found if found >= 0 else end)
    high = (place for place in range(start, end) if text[place] >= 0x80)
    assert find_high(source, start, end) == next(high, end)


@given(st.lists(st.sampled_from([b"\x1f", b"\x1f\x8b\x08\x00", b"\x1f\x8b\x08", b"x" * 61]), max_size=9))
def test_starts_of_members_are_found_wherever_they_stand(pieces: list[bytes]) -> None:
    text = b"".join(pieces)
    starts = np.empty(len(text) + 1, dtype=np.int64)
    count = find_starts(np.frombuffer(text, dtype=np.uint8), _MEMBER_START, starts)
    expected = [place for place in range(len(text)) if text.startswith(_MEMBER_START.tobytes(), place)]
    assert starts[:count].tolist() == expected
