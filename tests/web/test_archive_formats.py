"""Zstandard and ARC are read like WARC in gzip: each record at its place, damage costs one record, bombs stop."""

import gzip
import io
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from backports.zstd import CompressionParameter, ZstdCompressor, train_dict
from backports.zstd import compress as zstd_compress
from warcio.archiveiterator import ArchiveIterator

from pipeline.web.http_response import read_response
from pipeline.web.warc import NotWarc, read_record_at, read_records
from pipeline.web.warc_formats import DICTIONARY_MAGIC
from tests.web.test_warc import LIMIT, PAGE, assert_places, http_block, member, numbers, problems, read_slowly, record

RAW = [record(n, http_block(PAGE * (n + 1)), kind=("response", "request", "metadata")[n % 3]) for n in range(7)]
DICTIONARY = train_dict([record(n, http_block(PAGE + bytes([n]) * n)) for n in range(200)], 4_000)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def write_file(*parts: bytes) -> str:
        path = tmp_path / "input"
        path.write_bytes(b"".join(parts))
        return str(path)

    return write_file


def frame(content: bytes, dictionary: bool = False) -> bytes:
    options = {CompressionParameter.checksum_flag: 1}
    compressor = ZstdCompressor(options=options, zstd_dict=DICTIONARY if dictionary else None)
    return compressor.compress(content) + compressor.flush()


def skippable(content: bytes, magic: bytes = b"\x50\x2a\x4d\x18") -> bytes:
    return magic + len(content).to_bytes(4, "little") + content


ZSTD_SHAPES = {
    "a frame each": [frame(one) for one in RAW],
    "a dictionary": [skippable(DICTIONARY.dict_content, DICTIONARY_MAGIC), *(frame(one, True) for one in RAW)],
    "a compressed dictionary": [
        skippable(zstd_compress(DICTIONARY.dict_content), DICTIONARY_MAGIC),
        *(frame(one, True) for one in RAW),
    ],
    "one frame": [frame(b"".join(RAW))],
    "other skippable frames": [skippable(b"a note"), *(part for one in RAW for part in (frame(one), skippable(b"")))],
}


@pytest.mark.parametrize("shape", ZSTD_SHAPES)
def test_every_record_of_a_zstandard_file_is_found_at_its_place(write: Callable[..., str], shape: str) -> None:
    path = write(*ZSTD_SHAPES[shape])
    records = list(read_records(path, LIMIT))
    assert numbers(records) == list(range(7)) and not any(problems(records))
    assert records[3].body == PAGE * 4
    assert_places(path, records)


def test_a_frame_lies_where_its_record_says(write: Callable[..., str]) -> None:
    frames = ZSTD_SHAPES["a dictionary"][1:]
    content = b"".join(ZSTD_SHAPES["a dictionary"])
    records = list(read_records(write(content), LIMIT))
    assert [content[one.offset : one.offset + one.length] for one in records] == frames


def test_large_records_of_a_zstandard_file_cross_many_blocks(write: Callable[..., str]) -> None:
    noise = random.Random(1).randbytes(900_000)
    raw = [record(n, http_block(noise[n:])) for n in range(3)]
    path = write(*(frame(one) for one in raw))
    records = list(read_records(path, LIMIT))
    assert [one.body for one in records] == [noise[n:] for n in range(3)] and not any(problems(records))
    assert_places(path, records)


def test_a_zstandard_bomb_stops_at_the_limit(write: Callable[..., str]) -> None:
    path = write(frame(record(0)), frame(record(1, http_block(bytes(50_000_000)))), frame(record(2)))
    assert problems(list(read_records(path, LIMIT))) == [None, "body_too_large", None]


@pytest.mark.parametrize("broken", ["cut", "noise", "zeros", "damaged data"])
def test_damage_in_a_zstandard_file_costs_one_record(write: Callable[..., str], broken: str) -> None:
    frames = [frame(one) for one in RAW]
    content = {
        "cut": frames[3][:70],
        "noise": random.Random(3).randbytes(300),
        "zeros": bytes(99),
        "damaged data": frames[3][:40] + b"\xff" * 9 + frames[3][49:],
    }[broken]
    records = list(read_records(write(*frames[:3], content, *frames[4:]), LIMIT))
    sound = [one for one in records if not one.problem]
    assert numbers(sound) == [0, 1, 2, 4, 5, 6] and len(records) == 7
    assert (records[3].offset, records[3].length) == (sum(map(len, frames[:3])), len(content))


def arc_record(number: int, block: bytes, version: int = 1, url: str = "", kind: str = "text/html") -> bytes:
    url = url or f"http://example.jp/{number}?q=a"
    facts = f"200 - - {number} x.arc.gz " if version == 2 else ""
    return f"{url} 192.0.2.1 20090113180510 {kind} {facts}{len(block)}\n".encode() + block + b"\n"


def arc(version: int, count: int = 4) -> list[bytes]:
    """The records of an ARC file, its version block first."""
    names = "URL IP-address Archive-date Content-type "
    names += "Result-code Checksum Location Offset Filename " if version == 2 else ""
    block = f"{version} 0 somebody\n{names}Archive-length\n".encode()
    head = f"filedesc://x.arc 0.0.0.0 20090113180510 text/plain {'200 - - 0 x.arc ' if version == 2 else ''}"
    pages = [arc_record(n, http_block(PAGE * (n + 1)), version) for n in range(count)]
    return [f"{head}{len(block)}\n".encode() + block + b"\n", *pages]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("shape", ["a member each", "plain", "one member", "a frame each"])
def test_arc_files_are_read_with_places(write: Callable[..., str], version: int, shape: str) -> None:
    raw = arc(version)
    whole = {"plain": raw, "one member": [member(b"".join(raw))], "a frame each": [frame(one) for one in raw]}
    path = write(*whole.get(shape, [member(one) for one in raw]))
    records = list(read_records(path, LIMIT))
    assert [one.type for one in records] == ["warcinfo"] + ["response"] * 4 and not any(problems(records))
    assert [one.body for one in records[1:]] == [PAGE * (n + 1) for n in range(4)]
    assert records[1].url == "http://example.jp/0?q=a" and records[1].content_type == "text/html"
    assert records[1].date == datetime(2009, 1, 13, 18, 5, 10, tzinfo=UTC)
    assert_places(path, records)
    assert records == read_slowly(path)


def test_arc_files_are_read_as_warcio_reads_them(write: Callable[..., str]) -> None:
    # warcio knows version 1 alone.
    path = write(*(member(one) for one in arc(1)))
    with open(path, "rb") as file:
        theirs = [
            (one.rec_headers["uri"], one.content_stream().read()) for one in ArchiveIterator(file, arc2warc=False)
        ]
    ours = [(one.url, one.body) for one in read_records(path, LIMIT)]
    assert ours[1:] == theirs[1:]


def test_arc_records_that_are_no_http_and_odd_lines(write: Callable[..., str]) -> None:
    raw = [
        *arc(1, 1),
        arc_record(1, b"20090113180510\nexample.jp. 300 IN A 192.0.2.1\n", url="dns:example.jp", kind="text/dns"),
        arc_record(2, http_block(), url="http://example.jp/a b c", kind="text/html"),
        arc_record(3, http_block(), url="https://[2001:db8::1]/", kind="no-type"),
        arc_record(4, http_block(), kind=""),
    ]
    records = list(read_records(write(*raw), LIMIT))
    assert not any(problems(records)) and len(records) == 6
    assert records[2].content_type == "text/dns" and records[2].http_status is None
    assert records[3].url == "http://example.jp/a b c" and records[5].body == PAGE


@pytest.mark.parametrize("gzipped", [True, False])
@pytest.mark.parametrize("broken", [b"Service Unavailable\n", bytes(70), b"http://example.jp/ no line\n" * 3])
def test_damage_in_an_arc_file_costs_one_record(write: Callable[..., str], gzipped: bool, broken: bytes) -> None:
    raw = arc(1)
    parts = [member(one) if gzipped else one for one in raw]
    parts.insert(3, broken)
    records = list(read_records(write(*parts), LIMIT))
    sound = [one for one in records if not one.problem]
    assert [one.body for one in sound[1:]] == [PAGE * (n + 1) for n in range(4)] and len(records) == 6


def test_mutated_archives_never_raise_and_have_places(write: Callable[..., str]) -> None:
    choose = random.Random(11)
    bases = [b"".join(arc(1)), b"".join(member(one) for one in arc(2)), b"".join(ZSTD_SHAPES["a dictionary"])]
    for _ in range(150):
        content = bytearray(choose.choice(bases))
        for _ in range(choose.choice((1, 2, 5))):
            place = choose.randrange(len(content))
            if choose.random() < 0.5:
                content[place : place + 1] = choose.randbytes(1)
            else:
                del content[place : place + choose.randrange(1, 90)]
        path = write(bytes(content))
        try:
            records = list(read_records(path, LIMIT))
        except NotWarc:
            continue
        for one in records:
            if not one.problem:
                assert read_record_at(path, one.offset, one.length, LIMIT) == one


@pytest.mark.parametrize("declared", [True, False])
def test_the_extra_line_of_the_crawl_of_august_2018_is_no_part_of_the_page(declared: bool) -> None:
    """CC-MAIN-2018-34: an empty line too many behind the HTTP header, and a Content-Length that is 2 bytes short."""
    page = PAGE if declared else b"\xef\xbb\xbf" + PAGE
    length = f"\r\nContent-Length: {len(page)}" if declared else ""
    block = http_block(b"\r\n" + page, f"Content-Type: text/html{length}")
    assert read_response(block, LIMIT).body == page
    # A page that begins with an empty line and says so is left alone.
    honest = http_block(b"\r\n" + page, f"Content-Type: text/html\r\nContent-Length: {len(page) + 2}")
    assert read_response(honest, LIMIT).body == (b"\r\n" + page if declared else page)


def test_the_extra_line_does_not_hide_an_encoding() -> None:
    body = gzip.compress(PAGE, mtime=0)
    headers = f"Content-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}"
    assert read_response(http_block(b"\r\n" + body, headers), LIMIT).body == PAGE


def test_what_stands_before_the_first_record_of_an_arc_file_hides_nothing(write: Callable[..., str]) -> None:
    records = list(read_records(write(b"junk\n", *arc(1, 2)), LIMIT))
    assert [one.problem for one in records] == ["bad_warc_header", None, None, None]
    assert io.BytesIO(records[2].body).read() == PAGE
