"""WARC reading: every record is found at its place, whatever is broken costs itself only, nothing crashes or hangs."""

import gzip
import io
import random
import tracemalloc
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import brotli
import pytest
from fastwarc.stream_io import ZstdWriter
from hypothesis import given
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from pipeline.web.http_response import join_chunks
from pipeline.web.warc import NotWarc, Record, detect_format, open_input, parse_date, read_record_at, read_records
from pipeline.web.warc_careful import read_carefully
from pipeline.web.warc_members import Source

LIMIT = 1_000_000
REAL_FILES = sorted((Path(__file__).parents[3] / "shared" / "data" / "dev" / "warc").glob("*"))
needs_real_files = pytest.mark.skipif(not REAL_FILES, reason="the shared test data is absent")
PAGE = "<html><title>紙漉き</title><p>和紙は楮、三椏、雁皮などの繊維を漉いて作る。</p></html>".encode()


def http_block(
    body: bytes = PAGE, headers: str = "Content-Type: text/html; charset=UTF-8", status: str = "HTTP/1.1 200 OK"
) -> bytes:
    return f"{status}\r\n{headers}\r\n\r\n".encode() + body


def record(
    number: int = 0, block: bytes | None = None, *, length: object = None, extra: str = "", kind: str = "response"
) -> bytes:
    block = http_block() if block is None else block
    header = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{number:032d}>\r\n"
        f"WARC-Target-URI: http://example.jp/{number}\r\nWARC-Date: 2024-05-17T23:31:22Z\r\n{extra}"
        f"Content-Length: {len(block) if length is None else length}\r\n\r\n"
    )
    return header.encode() + block + b"\r\n\r\n"


def member(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def write_file(*parts: bytes) -> str:
        path = tmp_path / "input"
        path.write_bytes(b"".join(parts))
        return str(path)

    return write_file


def numbers(records: list[Record]) -> list[int | None]:
    return [int(one.record_id[-5:-1]) if one.record_id else None for one in records]


def problems(records: list[Record]) -> list[str | None]:
    return [one.problem for one in records]


def assert_places(path: str, records: list[Record]) -> None:
    for one in records:
        assert read_record_at(path, one.offset, one.length, LIMIT) == one


def read_slowly(path: str) -> list[Record]:
    """What the careful reader alone makes of a file."""
    with open_input(path) as file:
        source = Source(file, 0, detect_format(file))
        return list(read_carefully(source, LIMIT, lambda: 0))


@pytest.mark.parametrize("shape", ["a member each", "plain", "one member", "blocks"])
def test_every_record_is_found_at_its_place(write: Callable[..., str], shape: str) -> None:
    raw = [record(n, http_block(PAGE * (n + 1)), kind=("response", "request", "metadata")[n % 3]) for n in range(7)]
    whole = b"".join(raw)
    path = write(
        *{
            "a member each": [member(one) for one in raw],
            "plain": raw,
            "one member": [member(whole)],
            "blocks": [member(whole[start : start + 300]) for start in range(0, len(whole), 300)],
        }[shape]
    )
    records = list(read_records(path, LIMIT))
    assert numbers(records) == list(range(7)) and not any(problems(records))
    assert records[3].body == PAGE * 4 and records[1].body == b""
    assert_places(path, records)
    if shape == "a member each":
        content = Path(path).read_bytes()
        for one, expected in zip(records, raw, strict=True):
            assert gzip.decompress(content[one.offset : one.offset + one.length]) == expected


@pytest.mark.parametrize("gzipped", [True, False])
def test_files_of_warcio_are_read_as_warcio_reads_them(tmp_path: Path, gzipped: bool) -> None:
    path = tmp_path / "input"
    with open(path, "wb") as file:
        writer = WARCWriter(file, gzip=gzipped)
        writer.write_record(writer.create_warcinfo_record("CC-MAIN-2024-22.warc.gz", {"isPartOf": "CC-MAIN-2024-22"}))
        for n in range(3):
            headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
            for kind in ("request", "response"):
                writer.write_record(
                    writer.create_warc_record(f"http://例え.jp/{n}", kind, io.BytesIO(PAGE * n), http_headers=headers)
                )
    records = list(read_records(str(path), LIMIT))
    with open(path, "rb") as file:
        theirs = [
            (one.rec_type, one.rec_headers["WARC-Record-ID"], one.content_stream().read())
            for one in ArchiveIterator(file)
        ]
    assert [(one.type, one.record_id) for one in records] == [(kind, key) for kind, key, _ in theirs]
    for one, (kind, _, body) in zip(records, theirs, strict=True):
        assert one.body == (body if kind in ("response", "warcinfo") else b"")
    assert b"CC-MAIN-2024-22" in records[0].body
    assert sum(one.length for one in records) == path.stat().st_size
    assert_places(str(path), records)


@needs_real_files
@pytest.mark.parametrize("path", [str(path) for path in REAL_FILES], ids=lambda path: Path(path).name)
def test_real_files_have_each_record_at_its_place(path: str) -> None:
    records = list(read_records(path, LIMIT))
    assert_places(path, records)
    assert records == read_slowly(path)
    responses = [one for one in records if one.type == "response"]
    if "clipped" in path:
        assert problems(records) == ["cut_record"] and records[0].truncated == "cut"
    else:
        assert not any(problems(records))
        assert all(one.http_status and one.content_type and one.body for one in responses)
    if "clueweb" in path:
        # Its headers claim gzip for plain pages, and its dates are no dates.
        assert len(responses) == 29 and all(b"<" in one.body and one.http_charset == "euc-jp" for one in responses)
        assert all(one.date is None for one in responses)


def test_a_response_carries_what_its_headers_say(write: Callable[..., str]) -> None:
    types = 'content-type: text/plain\r\nContent-Type: Text/HTML; Charset="Shift_JIS"'
    headers = types + "\r\nX-A: 一\r\nx-a: 2\r\n folded\r\nno colon"
    extra = "WARC-Payload-Digest: sha1:ABC\r\nWARC-Truncated: Length\r\n"
    (one,) = read_records(write(member(record(1, http_block(headers=headers), extra=extra))), LIMIT)
    assert (one.type, one.url, one.http_status) == ("response", "http://example.jp/1", 200)
    assert (one.content_type, one.http_charset) == ("text/html", "shift_jis")
    assert one.http_headers["x-a"] == ["一", "2 folded"]
    assert one.date == datetime(2024, 5, 17, 23, 31, 22, tzinfo=UTC)
    assert (one.payload_digest, one.truncated, one.problem) == ("sha1:ABC", "length", None)


@pytest.mark.parametrize("version", ["WARC/0.17", "WARC/0.18", "WARC/1.0", "WARC/1.1"])
def test_versions_and_bracketed_urls(write: Callable[..., str], version: str) -> None:
    raw = record(1).replace(b"WARC/1.0", version.encode()).replace(b"http://example.jp/1", b"<http://example.jp/1>")
    records = list(read_records(write(member(raw), member(raw)), LIMIT))
    assert [one.url for one in records] == ["http://example.jp/1"] * 2


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2024-05-17T23:31:22Z", (2024, 5, 17, 23, 31, 22)),
        ("2024-05-17T23:31:22.123456789Z", (2024, 5, 17, 23, 31, 22, 123456)),
        ("2009-03-65T08:43:19-0800", None),
        ("2009-01-13T18:05:10-0800", (2009, 1, 14, 2, 5, 10)),
        ("20090113180510", (2009, 1, 13, 18, 5, 10)),
        ("Fri, 17 May 2024 23:31:22 GMT", (2024, 5, 17, 23, 31, 22)),
        ("2024-05-17", (2024, 5, 17)),
        ("0001-01-01T00:00:00+14:00", None),
        ("令和六年", None),
        ("", None),
        (None, None),
    ],
)
def test_dates(written: str | None, expected: tuple[int, ...] | None) -> None:
    assert parse_date(written) == (datetime(*expected, tzinfo=UTC) if expected else None)


@given(st.text(max_size=40) | st.from_regex(r"[0-9TZ:+. -]{1,30}", fullmatch=True))
def test_no_date_raises(written: str) -> None:
    parsed = parse_date(written)
    assert parsed is None or parsed.utcoffset() == UTC.utcoffset(None)


def zstandard(body: bytes) -> bytes:
    target = io.BytesIO()
    writer = ZstdWriter(target)
    writer.write(body)
    writer.close()
    return target.getvalue()


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(body) + compressor.flush()


ENCODERS = {
    "gzip": member,
    "x-gzip": member,
    "deflate": zlib.compress,
    "Deflate": raw_deflate,
    "br": lambda body: brotli.compress(body, quality=1),
    "zstd": zstandard,
}


def chunked(body: bytes, size: int = 17) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x;name=value\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("encoding", ENCODERS)
def test_encodings_are_undone_and_false_ones_ignored(write: Callable[..., str], encoding: str) -> None:
    headers = f"Content-Type: text/html\r\nContent-Encoding: {encoding}\r\nTransfer-Encoding: chunked"
    encoded = ENCODERS[encoding](PAGE)
    blocks = [http_block(body, headers) for body in (chunked(encoded), encoded, PAGE, chunked(PAGE), b"")]
    records = list(read_records(write(*(member(record(n, block)) for n, block in enumerate(blocks))), LIMIT))
    assert [one.body for one in records] == [PAGE] * 4 + [b""] and not any(problems(records))


def test_layers_of_encodings(write: Callable[..., str]) -> None:
    block = http_block(
        member(brotli.compress(PAGE)),
        "Content-Type: text/html\r\nContent-Encoding: br, utf-8\r\nContent-Encoding: gzip",
    )
    (one,) = read_records(write(member(record(1, block))), LIMIT)
    assert one.body == PAGE


@pytest.mark.parametrize(
    "body",
    [b"zz\r\nno chunk", PAGE, b"5\r\nhelloXX", b"5\r\nhello\r\nzz\r\n", b"-1\r\nx", b"1" * 2000],
    ids=lambda body: repr(body[:9]),
)
def test_wrong_chunking_gives_the_raw_body(write: Callable[..., str], body: bytes) -> None:
    block = http_block(body, "Content-Type: text/html\r\nTransfer-Encoding: chunked")
    (one,) = read_records(write(member(record(1, block))), LIMIT)
    assert one.body == body and one.problem is None


@pytest.mark.parametrize("cut", range(33, 100))
def test_chunks_before_a_cut_are_kept(cut: int) -> None:
    joined = join_chunks(chunked(PAGE)[:cut])
    assert PAGE.startswith(joined) and len(joined) >= 17


def test_damaged_encodings_have_a_reason(write: Callable[..., str]) -> None:
    damaged = bytearray(member(PAGE * 50))
    damaged[30:60] = b"\xff" * 30
    block = http_block(bytes(damaged), "Content-Type: text/html\r\nContent-Encoding: gzip")
    records = list(read_records(write(member(record(1, block)), member(record(2))), LIMIT))
    assert problems(records) == ["bad_content_encoding", None] and records[0].url == "http://example.jp/1"


@pytest.mark.parametrize(
    "block", [b"", b"HTTP", b"<html>", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000]
)
def test_bad_http_headers_have_a_reason(write: Callable[..., str], block: bytes) -> None:
    records = list(read_records(write(member(record(1, block)), member(record(2))), LIMIT))
    assert problems(records) == ["bad_http_header", None]


def test_an_answer_that_is_not_http_is_kept_as_it_is(write: Callable[..., str]) -> None:
    block = b"20240517233122\nexample.jp. 300 IN A 192.0.2.1\n"
    (one,) = read_records(write(member(record(1, block, extra="Content-Type: text/dns\r\n"))), LIMIT)
    assert (one.body, one.content_type, one.http_status, one.problem) == (block, "text/dns", None, None)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_stops_at_the_limit(write: Callable[..., str], encoding: str) -> None:
    bomb = ENCODERS[encoding](bytes(50_000_000))
    path = write(member(record(1, http_block(bomb, f"Content-Encoding: {encoding}"))), member(record(2)))
    tracemalloc.start()
    records = list(read_records(path, 100_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert problems(records) == ["body_too_large", None] and records[0].body == b""
    assert peak < 5_000_000


@pytest.mark.parametrize("sound", [True, False])
def test_a_large_record_costs_no_memory(write: Callable[..., str], sound: bool) -> None:
    large = member(record(1, http_block(bytes(50_000_000))))
    path = write(*([] if sound else [b"damage"]), member(record(0)), large, member(record(2)))
    tracemalloc.start()
    records = list(read_records(path, 100_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert problems(records)[-3:] == [None, "body_too_large", None] and records[-2].url == "http://example.jp/1"
    assert peak < 5_000_000


def test_the_limit_is_inclusive(write: Callable[..., str]) -> None:
    path = write(member(record(1)), member(record(2)))
    assert problems(list(read_records(path, len(PAGE)))) == [None, None]
    assert problems(list(read_records(path, len(PAGE) - 1))) == ["body_too_large"] * 2


@pytest.mark.parametrize("gzipped", [True, False])
def test_a_cut_file_yields_all_before_the_cut(write: Callable[..., str], gzipped: bool) -> None:
    parts = [member(record(n)) if gzipped else record(n) for n in range(3)]
    start = len(parts[0] + parts[1])
    for cut in range(start + 1, start + len(parts[2]) - 4, 7):
        records = list(read_records(write(b"".join(parts)[:cut]), LIMIT))
        assert numbers(records)[:2] == [0, 1] and problems(records)[:2] == [None, None]
        assert [one.problem for one in records[2:]] in (["cut_record"], ["bad_warc_header"]) and len(records) == 3
        assert sum(one.length for one in records) == cut


GOOD = [member(record(n, http_block(PAGE * (n + 1)))) for n in range(4)]
BROKEN_MIDDLES = {
    "zeros": bytes(100),
    "noise": random.Random(5).randbytes(500),
    "text": b"Service Unavailable\r\n",
    "another gzip file": member(b"something else"),
    "damaged data": GOOD[1][:60] + b"\x00\xff\x00\xff" + GOOD[1][64:],
    "wrong checksum": GOOD[1][:-8] + b"????" + GOOD[1][-4:],
    "cut": GOOD[1][:90],
    "length too large": member(record(9, length=10**9)),
    "length beyond the member": member(record(9, length=len(http_block()) + 60)),
    "no length": member(record(9, length="")),
    "negative length": member(record(9, length=-5)),
    "huge length": member(record(9, length="9" * 5000)),
    "huge header": member(record(9, extra="X: " + "a" * 100_000 + "\r\n")),
    "endless header": member(b"WARC/1.0\r\n" + b"a" * 100_000),
    "other first line": member(record(9).replace(b"WARC/", b"XARC/")),
}


@pytest.mark.parametrize("broken", BROKEN_MIDDLES)
def test_damage_costs_one_record(write: Callable[..., str], broken: str) -> None:
    content = BROKEN_MIDDLES[broken]
    path = write(GOOD[0], content, GOOD[2], GOOD[3])
    records = list(read_records(path, LIMIT))
    sound = [one for one in records if not one.problem]
    assert numbers(sound) == [0, 2, 3] and len(records) == 4
    assert [one.body for one in sound] == [PAGE, PAGE * 3, PAGE * 4]
    assert (records[1].offset, records[1].length) == (len(GOOD[0]), len(content))
    assert records == read_slowly(path)


@pytest.mark.parametrize("broken", ["text", "zeros", "record with a length too large"])
def test_damage_in_a_plain_file_costs_one_record(write: Callable[..., str], broken: str) -> None:
    content = {"text": b"Error\r\n" * 9, "zeros": bytes(99), "record with a length too large": record(9, length=10**9)}[
        broken
    ]
    records = list(read_records(write(record(0), content, record(2)), LIMIT))
    assert [one.problem is None for one in records] == [True, False, True]
    assert numbers(records)[::2] == [0, 2]


def test_records_with_bare_line_feeds_are_read(write: Callable[..., str]) -> None:
    bare = (
        record(1)
        .replace(b"\r\n", b"\n")
        .replace(b"Content-Length: %d" % len(http_block()), b"Content-Length: %d" % (len(http_block()) - 3))
    )
    records = list(read_records(write(member(record(0)), member(bare), member(record(2))), LIMIT))
    assert numbers(records) == [0, 1, 2] and records[1].body == PAGE and not any(problems(records))


def test_empty_members_hide_nothing(write: Callable[..., str]) -> None:
    records = list(read_records(write(GOOD[0], member(b""), GOOD[1], member(b""), member(b"")), LIMIT))
    assert numbers(records) == [0, 1] and not any(problems(records))


def test_members_with_several_records_between_others(write: Callable[..., str]) -> None:
    path = write(GOOD[0], member(record(1) + record(2)), GOOD[3])
    records = list(read_records(path, LIMIT))
    assert numbers(records) == [0, 1, 2, 3] and not any(problems(records))
    assert_places(path, records)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html>", "no WARC"),
        (member(b"<!DOCTYPE html>"), "holds no WARC"),
        (member(b""), "empty"),
        (b"\x28\xb5\x2f\xfd....", "zstd file that is empty or damaged"),
        (zstandard(b"<!DOCTYPE html>"), "zstd file that holds no WARC"),
        (b"\x5d\x2a\x4d\x18\x09\x00\x00\x00no digits", "dictionary is damaged"),
        (b"PAR1....", "Parquet"),
        (b"filedesc://x.arc 0.0.0.0", "no WARC"),
        (b"\x1f\x8b\x08\x00damaged", "damaged"),
        (bytes(5000), "no WARC"),
    ],
)
def test_what_is_no_warc_is_named(write: Callable[..., str], content: bytes, said: str) -> None:
    with pytest.raises(NotWarc, match=said) as caught:
        list(read_records(write(content), LIMIT))
    assert "\n" not in str(caught.value)


def test_a_place_of_another_file_is_refused(write: Callable[..., str]) -> None:
    path = write(*GOOD)
    for offset, length in [(1, 50), (0, len(GOOD[0]) + 1), (10**9, 10)]:
        with pytest.raises(NotWarc, match="not the one"):
            read_record_at(path, offset, length, LIMIT)


@pytest.mark.parametrize("seed", range(3))
def test_mutated_files_never_raise_and_both_readers_agree(write: Callable[..., str], seed: int) -> None:
    choose = random.Random(seed)
    raw = [record(n) for n in range(4)]
    bases = [b"".join(GOOD), b"".join(raw), member(b"".join(raw)), b"".join(zstandard(one) for one in raw)]
    for _ in range(100):
        content = bytearray(choose.choice(bases))
        for _ in range(choose.choice((1, 1, 2, 5))):
            place = choose.randrange(len(content)) if content else 0
            match choose.randrange(4):
                case 0:
                    content[place : place + 1] = choose.randbytes(1)
                case 1:
                    del content[place : place + choose.randrange(200)]
                case 2:
                    content[place:place] = content[choose.randrange(len(content) or 1) :][: choose.randrange(900)]
                case 3 if choose.random() < 0.3:
                    del content[place:]
        path = write(bytes(content))
        try:
            records = list(read_records(path, LIMIT))
        except NotWarc:
            continue
        assert records == read_slowly(path)
        assert_places(path, [one for one in records if not one.problem])
