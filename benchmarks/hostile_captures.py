"""Captures made to hurt, each with what must become of it: for benchmarks/hostile.py and its test."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import brotli
from fastwarc.stream_io import ZstdWriter

TEXT = "和紙は簀の上で水をくぐり、繊維がからみあって一枚の紙になります。職人は冬の朝から紙を漉きます。" * 4
DOCUMENT = "document"
MOST_BODY_BYTES, MOST_ELEMENTS = 8_000_000, 100_000
HTML = "Content-Type: text/html"
_HEAD = "application/ld+json"


@dataclass(frozen=True, slots=True)
class Capture:
    """A response: its body as stored, what must become of it, its HTTP header lines, and lines of its WARC header.

    `declared` is what stands for the record's length where it is not the true one; `spoiled` changes bytes of the
    compressed record. `stored` stands for all of it: bytes of the file that hold no capture.
    """

    body: bytes
    outcome: str
    headers: str = "Content-Type: text/html; charset=utf-8"
    fields: str = ""
    declared: str | None = None
    spoiled: bool = False
    stored: bytes | None = None


def page(inner: str, head: str = "") -> bytes:
    """A sound Japanese page with something in its body's end or head."""
    html = f"<html lang=ja><head><title>紙</title>{head}</head><body><p>{TEXT}</p>{inner}"
    return html.encode("utf-8", "surrogatepass")


def record(number: int, capture: Capture) -> bytes:
    """The capture as a gzip member of a WARC file."""
    if capture.stored is not None:
        return capture.stored
    block = f"HTTP/1.1 200 OK\r\n{capture.headers}\r\n\r\n".encode() + capture.body
    header = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-{number:012d}>\r\n"
        f"WARC-Target-URI: http://example.jp/{number}\r\nWARC-Date: 2024-05-17T23:31:22Z\r\n{capture.fields}"
        f"Content-Length: {capture.declared or len(block)}\r\n\r\n"
    )
    member = bytearray(gzip.compress(header.encode() + block + b"\r\n\r\n", 1, mtime=0))
    if capture.spoiled:
        middle = len(member) // 2
        member[middle : middle + 8] = b"\xff" * 8
    return bytes(member)


def _bomb(size: int) -> Iterator[bytes]:
    yield page("")
    for _ in range(size // 1_000_000):
        yield b" " * 1_000_000


def _deflated(pieces: Iterator[bytes], window: int) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, window)
    return b"".join([*map(compressor.compress, pieces), compressor.flush()])


def _brotli(pieces: Iterator[bytes]) -> bytes:
    compressor = brotli.Compressor(quality=5)
    return b"".join([*map(compressor.process, pieces), compressor.finish()])


def _zstd(pieces: Iterator[bytes]) -> bytes:
    buffer = io.BytesIO()
    writer = ZstdWriter(buffer)
    for piece in pieces:
        writer.write(piece)
    writer.close()
    return buffer.getvalue()


_ENCODERS: dict[str, Callable[[Iterator[bytes]], bytes]] = {
    "gzip": lambda pieces: _deflated(pieces, 31),
    "deflate": lambda pieces: _deflated(pieces, -15),
    "br": _brotli,
    "zstd": _zstd,
}


def captures(scale: float) -> dict[str, Capture]:
    """All captures by name. `scale` 1 gives the sizes that they are named for; smaller ones hurt less."""
    many, megabyte = int(100_000 * scale), int(1_000_000 * scale)
    return {
        **_large(int(60_000_000 * scale), many, megabyte),
        **_licenses_and_consent(many, megabyte),
        **_charsets(many, megabyte),
        **_http(many, megabyte),
        **_warc(many, megabyte),
        **_bombs(int(400_000_000 * scale)),
    }


def _large(large: int, many: int, megabyte: int) -> dict[str, Capture]:
    limit = "body_too_large" if large > MOST_BODY_BYTES else DOCUMENT
    elements = "too_many_elements" if 2 * many > MOST_ELEMENTS else DOCUMENT
    return {
        "a page of 60 MB": Capture(page("<p>紙の話。" * (large // 15)), limit),
        "a page of 7.9 MB": Capture(page("<p>" + "紙の話。" * (large * 79 // 600 // 12)), DOCUMENT),
        "100,000 nested elements": Capture(page("<div>" * (many - 9)), DOCUMENT),
        "200,000 nested elements": Capture(page("<div><b>" * many), elements),
        "an attribute of a megabyte": Capture(page(f"<a href='{'x&amp;' * (megabyte // 5)}'>紙</a>"), DOCUMENT),
        "a tag of 100,000 attributes": Capture(page("<p " + "a=b " * many + ">紙"), DOCUMENT),
        "a comment that never ends": Capture(page("<!--" + "--!-" * (megabyte // 4)), DOCUMENT),
        "white space": Capture(page("<p>" + " \t\n" * megabyte + "紙"), DOCUMENT),
        "a title that never ends": Capture(page("<title>" + "紙" * many), DOCUMENT),
        "ampersands": Capture(page("&" * megabyte), DOCUMENT),
        "nearly references": Capture(page("&CounterClockwiseContourIntegra" * (megabyte // 31)), DOCUMENT),
        "digits like dates": Capture(page("<p>" + "2024年1月" * many + "<p>" + "2024-01-" * many), DOCUMENT),
    }


def _licenses_and_consent(many: int, megabyte: int) -> dict[str, Capture]:
    deed = "https://creativecommons.org/licenses/by/4.0/"
    nested = '{"@graph":[' * many + "]}" * many
    return {
        "10,000 license links": Capture(page(f"<a rel=license href={deed}>許</a>" * (many // 10)), DOCUMENT),
        "100,000 addresses of licenses": Capture(page("<p>" + f"{deed} " * many), DOCUMENT),
        "10,000 notices of a license": Capture(page("<p>クリエイティブ・コモンズ 表示 4.0" * (many // 10)), DOCUMENT),
        "notices that never end": Capture(
            page("<p>" + "クリエイティブ・コモンズ " * many + "CC BY-NC-" * many), DOCUMENT
        ),
        "10,000 meta robots": Capture(page("", "<meta name=robots content='noai,x:y'>" * (many // 10)), DOCUMENT),
        "a meta robots of a megabyte": Capture(
            page("", f"<meta name=robots content='{'x: noai , ' * (megabyte // 10)}'>"), DOCUMENT
        ),
        "deep JSON-LD": Capture(page(f"<script type={_HEAD}>{'[' * many}</script>"), DOCUMENT),
        "deep graphs in JSON-LD": Capture(page(f"<script type={_HEAD}>{nested}</script>"), DOCUMENT),
        "much JSON-LD": Capture(
            page(f"<script type={_HEAD}>{json.dumps([{'@type': 'A', 'author': 'b'}] * many)}</script>"), DOCUMENT
        ),
        "a consent header of 60 kB": Capture(
            page(""), DOCUMENT, f"{HTML}\r\nX-Robots-Tag: {'a:noai,' * (min(megabyte, 60_000) // 7)}"
        ),
        "a Link header of 60 kB": Capture(
            page(""), DOCUMENT, f"{HTML}\r\nLink: {'<x>;rel=' * (min(megabyte, 60_000) // 8)}"
        ),
    }


def _charsets(many: int, megabyte: int) -> dict[str, Capture]:
    lone = "\ud800" * many
    return {
        "NUL between all letters": Capture(page("<p>" + "紙\0" * many), DOCUMENT),
        "lone surrogates": Capture(page("<p>" + "\ud800紙\udfff" * many), DOCUMENT),
        "UTF-16 of lone surrogates": Capture(
            b"\xff\xfe" + (page("").decode() + lone).encode("utf-16-le", "surrogatepass"), DOCUMENT, HTML
        ),
        "comments before meta": Capture(b"<!--" * (megabyte // 4) + page("", "<meta charset=utf-8>"), "no_text"),
        "half of a meta, many times": Capture(page("", "<meta charset" * (many // 4)), DOCUMENT),
        "half of a charset": Capture(b"<meta charset=" * 300 + TEXT.encode("cp932") * 4, "no_text", HTML),
        "escapes of ISO-2022-JP": Capture(b"<p>" + TEXT.encode("iso2022_jp") + b"\x1b$B\x1b(B" * many, DOCUMENT, HTML),
        "odd bytes of EUC-JP": Capture(b"<p>" + TEXT.encode("euc_jp") * 9 + b"\xa4" * (megabyte + 1), DOCUMENT, HTML),
    }


def _http(many: int, megabyte: int) -> dict[str, Capture]:
    chunked = f"{HTML}\r\nTransfer-Encoding: chunked"
    one_byte = b"".join(b"1\r\n%c\r\n" % byte for byte in page("紙" * (many // 4)))
    return {
        "a cookie of a megabyte": Capture(
            page(""), "bad_http_header", f"Set-Cookie: {'a=b; ' * (megabyte // 4 + 20_000)}"
        ),
        "9,000 header fields": Capture(page(""), DOCUMENT, "\r\n".join([HTML, *["A: b"] * 9_000])),
        "chunks of one byte": Capture(one_byte + b"0\r\n\r\n", DOCUMENT, chunked),
        "a chunk that lies": Capture(b"fffffffffffff\r\n" + page(""), DOCUMENT, chunked),
        "an HTTP length that lies": Capture(page(""), DOCUMENT, f"{HTML}\r\nContent-Length: 99999999999999"),
    }


def _warc(many: int, megabyte: int) -> dict[str, Capture]:
    return {
        "a record that ends early": Capture(page(""), "cut_record", declared="1000000000"),
        "a length of 30 digits": Capture(page(""), "bad_warc_header", declared="9" * 30),
        "a length below zero": Capture(page(""), "bad_warc_header", declared="-5"),
        "a length that is no number": Capture(page(""), "bad_warc_header", declared="many"),
        "a length too short": Capture(page(""), "no_text", declared="100"),
        "a spoiled record": Capture(page("紙" * many), "cut_record", spoiled=True),
        "a WARC header of a megabyte": Capture(
            page(""), "bad_warc_header", fields=f"X: {'a' * (megabyte + 100_000)}\r\n"
        ),
        "a WARC field of 50 kB": Capture(page(""), DOCUMENT, fields=f"WARC-Refers-To: {'a' * 50_000}\r\n"),
        "100,000 empty gzip members": Capture(b"", "nothing", stored=gzip.compress(b"", mtime=0) * many),
        "a member of 400 MB of zeros": Capture(
            b"", "bad_warc_header", stored=_deflated(iter([bytes(1_000_000)] * max(1, many // 250)), 31)
        ),
        "a megabyte of no member": Capture(b"", "cut_record", stored=b"\x1f\x8b\x08" * (megabyte // 3 | 1)),
    }


def _bombs(size: int) -> dict[str, Capture]:
    outcome = "body_too_large" if size >= MOST_BODY_BYTES else DOCUMENT
    found = {}
    for encoding, encode in _ENCODERS.items():
        headers = f"{HTML}\r\nContent-Encoding: {encoding}"
        found[f"a bomb of {encoding}"] = Capture(encode(_bomb(size)), outcome, headers)
        found[f"{encoding} that is none"] = Capture(page(""), DOCUMENT, headers)
    found["a bomb in a bomb"] = Capture(
        gzip.compress(_ENCODERS["gzip"](_bomb(size))), outcome, f"{HTML}\r\nContent-Encoding: gzip, gzip"
    )
    return found
