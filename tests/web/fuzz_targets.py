"""What must hold of any bytes: archives, charsets, licenses and consent, each a function that raises where it does not.

An input is bytes that a person can read: for `warc` a byte that chooses how the file is compressed and the file's
records, for the others an HTTP response. `fuzz_inputs.py` mutates inputs for minutes, `test_fuzz.py` some of them, and
both begin with tests/data/fuzz, which has a folder of inputs a target: what was found, and one of each kind.
"""

from __future__ import annotations

import gzip
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

from fastwarc.stream_io import ZstdWriter

from pipeline.web.charset import Decoded, decode
from pipeline.web.consent.page_signals import find_consent
from pipeline.web.consent.robots_txt import RobotsTxt, decode_robots_txt
from pipeline.web.crawl_facts import read_crawl_facts, with_crawl_facts
from pipeline.web.gate import may_be_japanese
from pipeline.web.http_response import HttpResponse, read_response
from pipeline.web.license import NO_LICENSE, TIERS, find_license
from pipeline.web.page import Page, read_page
from pipeline.web.warc import NotWarc, Record, detect_format, open_input, read_record_at, read_records
from pipeline.web.warc_careful import read_carefully
from pipeline.web.warc_members import Source

INPUTS = Path(__file__).parents[1] / "data" / "fuzz"
MOST_BODY_BYTES = 100_000
AGENTS = ("CCBot", "GPTBot")
PROBLEMS = {None, "cut_record", "bad_warc_header", "bad_http_header", "bad_content_encoding", "body_too_large"}


def _a_member_each(content: bytes) -> bytes:
    records = content.split(b"WARC/1.")
    return b"".join(
        gzip.compress(part, 1, mtime=0) for part in (records[0], *(b"WARC/1." + one for one in records[1:]))
    )


def _zstd(content: bytes) -> bytes:
    buffer = io.BytesIO()
    writer = ZstdWriter(buffer)
    writer.write(content)
    writer.close()
    return buffer.getvalue()


STORED: tuple[Callable[[bytes], bytes], ...] = (
    lambda content: content,
    _a_member_each,
    lambda content: gzip.compress(content, 1, mtime=0),
    _zstd,
    # Damage in the compressed bytes: the last byte of the input says where.
    lambda content: _spoiled(_a_member_each(content[:-1]), content[-1:]),
)


def _spoiled(content: bytes, place: bytes) -> bytes:
    at = len(content) * (place[0] if place else 0) // 256
    return content[:at] + b"\xff" + content[at + 1 :]


def check_warc(data: bytes) -> None:
    """All records within the file, at their places, and the fast reader's those of the careful one."""
    content = STORED[data[0] % len(STORED)](data[1:]) if data else b""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        try:
            records = list(with_crawl_facts(read_records(file.name, MOST_BODY_BYTES)))
        except NotWarc:
            return
        for one in records:
            assert one.offset >= 0 and one.length > 0 and len(one.body) <= MOST_BODY_BYTES
            assert one.problem in PROBLEMS
            read_crawl_facts(one.crawl_metadata)
        carefully = _read_carefully(file.name)
        assert list(map(_place, carefully)) == list(map(_place, records))
        for one in carefully:
            again = read_record_at(file.name, one.offset, one.length, MOST_BODY_BYTES)
            # Bytes between two records have a problem, though not always the same one, or the place of a record.
            assert again == one or (one.type == "unknown" and (again.problem or again in carefully))


def _place(record: Record) -> tuple[int, int, str, str | None, bytes]:
    return record.offset, record.length, record.type, record.problem, record.body


def _read_carefully(path: str) -> list[Record]:
    with open_input(path) as file:
        source = Source(file, 0, detect_format(file))
        return list(read_carefully(source, MOST_BODY_BYTES, lambda: 0))


def check_charset(data: bytes) -> None:
    """Any body gives text that can be written, and well-formed UTF-8 is itself."""
    response = read_response(data, MOST_BODY_BYTES)
    may_be_japanese(response.body, response.charset, None, b"")
    found = _decoded(response)
    assert 0 <= found.replacements <= len(found.text)
    if found.source == "valid-utf-8":
        assert found.text == response.body.decode()


def check_license(data: bytes) -> None:
    """A fact in the declared words; nothing is known without evidence; the same bytes give the same fact."""
    response = read_response(data, MOST_BODY_BYTES)
    page = _page(response)
    # Any bytes may stand in a WARC-Target-URI.
    url = response.headers.get("x-target", ["https://example.jp/a"])[0]
    fact = find_license(page, response.headers, url)
    assert fact.tier in TIERS
    assert fact == NO_LICENSE or (fact.source is not None and fact.url is not None)
    assert (fact.license is not None) <= (fact.tier not in ("unknown", "reserved"))
    assert fact == find_license(page, response.headers, url)


def check_consent(data: bytes) -> None:
    """A verdict with its evidence, of the page and of the same bytes read as a robots.txt."""
    response = read_response(data, MOST_BODY_BYTES)
    consent = find_consent(_page(response), response.headers, None)
    assert consent.verdict in ("allowed", "refused", "unknown")
    assert consent.evidence is not None or consent.verdict == "unknown"
    assert consent.evidence is None or 0 < len(consent.evidence) <= 500
    verdict, evidence = RobotsTxt(decode_robots_txt(response.body or data)).decide("/a/b?c=d", AGENTS)
    assert verdict in ("allowed", "refused") and len(evidence) <= 500


def _decoded(response: HttpResponse) -> Decoded:
    found = decode(response.body, response.charset)
    found.text.encode()
    return found


def _page(response: HttpResponse) -> Page:
    return read_page(_decoded(response).text)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "warc": check_warc,
    "charset": check_charset,
    "license": check_license,
    "consent": check_consent,
}


def inputs(target: str) -> list[bytes]:
    """What a target begins with, in the order of the files' names."""
    return [path.read_bytes() for path in sorted((INPUTS / target).iterdir())]
