"""Write the embedded sample: sample.warc.gz (a gzip member a record), its truth table, and robots.txt of its sites.

Run it from any folder: `python tests/data/make_sample.py`. Every run writes the same: dates are fixed, record ids are
UUIDs of version 5 over the record's number and address, and gzip members carry no time stamp.
"""

from __future__ import annotations

import base64
import hashlib
import html
import uuid
import zlib
from dataclasses import replace
from datetime import datetime, timedelta
from io import BytesIO
from itertools import groupby
from pathlib import Path

from sample_pages import (
    ALL_TEXTS,
    BELOW,
    DUPLICATES,
    KEPT,
    LATER,
    OTHER_LANGUAGES,
    REFUSED,
    Page,
    hostile_pages,
    site_name,
)
from sample_templates import TEMPLATES, Parts
from warcio.recordloader import ArcWarcRecord
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

FOLDER = Path(__file__).resolve().parent
COLUMNS = ("url", "kind", "charset_true", "outcome", "detail")
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "sample.kamisuki.example")
FIRST_FETCH = datetime(2024, 5, 1, 3, 0, 0)
# The truth table names encodings as the pipeline does: WHATWG names, cp932 for all of Shift_JIS; ASCII is valid UTF-8.
CHARSET_NAMES = {"utf-8-sig": "utf-8", "ascii": "utf-8"}


def cp932_pairs(text: str) -> list[bytes]:
    """Encode a text in CP932, one element a character (1 or 2 bytes)."""
    return [character.encode("cp932") for character in text]


def jis_pair(pair: bytes) -> bytes:
    """Turn a two-byte CP932 code of lead byte 81 to EF into the two 7-bit JIS bytes, NEC's row 13 (①㈱Ⅲ) included.

    Raises ValueError for IBM's extensions (lead bytes F0 to FC), which have no place in the 94 rows.
    """
    lead, trail = pair
    if lead > 0xEF:
        raise ValueError(f"no JIS code for CP932 {pair.hex()}")
    row = (lead - (0x71 if lead < 0xA0 else 0xB1)) * 2 + 1
    if trail >= 0x9F:
        return bytes((row + 1, trail - 0x7E))
    return bytes((row, trail - 0x1F - (trail > 0x7F)))


def encode_euc_jp(text: str) -> bytes:
    """Encode as real pages in EUC-JP are: by the rows of CP932, so that vendor characters stand in row 13."""
    parts = []
    for code in cp932_pairs(text):
        if len(code) == 2:
            parts.append(bytes(byte | 0x80 for byte in jis_pair(code)))
        else:
            parts.append(b"\x8e" + code if code >= b"\xa1" else code)
    return b"".join(parts)


def encode_iso_2022_jp(text: str) -> bytes:
    """Encode with escape sequences around every run of two-byte characters, by the rows of CP932 too."""
    parts = []
    for wide, run in groupby(cp932_pairs(text), key=lambda code: len(code) == 2):
        codes = list(run)
        parts.append(b"\x1b$B" + b"".join(map(jis_pair, codes)) + b"\x1b(B" if wide else b"".join(codes))
    return b"".join(parts)


def encode(text: str, charset: str) -> bytes:
    """Encode a page; ASCII writes everything else as numeric character references."""
    if charset == "euc-jp":
        return encode_euc_jp(text)
    if charset == "iso-2022-jp":
        return encode_iso_2022_jp(text)
    return text.encode(charset, "xmlcharrefreplace" if charset == "ascii" else "strict")


def foreign(page: Parts, english: bool) -> str:
    """A page in another language; `english` is one whose navigation is in ASCII."""
    title, lines = page.title, "\n".join(f"<p>{html.escape(line, quote=False)}</p>" for line in page.lines)
    menu = (
        '<ul><li><a href="/">Home</a></li><li><a href="/about">About</a></li></ul>' if english else '<a href="/">↑</a>'
    )
    return f"""<!DOCTYPE html>
<html lang="{page.lang}">
<head>
{page.head}<title>{title}</title>
</head>
<body>
<nav>{menu.replace("↑", "Home")}</nav>
<article><h1>{title}</h1>
{lines}
</article>
<footer>{page.footer}</footer>
</body>
</html>
"""


def markup(page: Page, related: list[tuple[str, str]]) -> str:
    """Write a page as HTML."""
    title, *lines = ALL_TEXTS[page.text].split("\n")
    for old, new in page.edits:
        if not any(old in line for line in lines):
            raise ValueError(f"{page.url}: the text {page.text} does not hold {old}")
        lines = [line.replace(old, new) for line in lines]
    head = f'<meta http-equiv="Content-Type" content="text/html; charset={page.meta}">\n' if page.meta else ""
    parts = Parts(title, lines, site_name(page.url), page.lang, head + page.head, related, page.footer)
    if page.template in TEMPLATES:
        return TEMPLATES[page.template](parts)
    return foreign(parts, english=page.template == "english")


def gzip_bytes(data: bytes) -> bytes:
    """A gzip stream without time stamp and file name."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    return compressor.compress(data) + compressor.flush()


def break_one_byte(body: bytes) -> bytes:
    """Put FF, which no Japanese encoding knows, in place of the line feed that ends the first paragraph."""
    place = body.index(b"</p>\n") + 4
    return body[:place] + b"\xff" + body[place + 1 :]


def chunked(data: bytes) -> bytes:
    """Chunks of 1,000 bytes, as HTTP/1.1 sends them: characters are cut in two."""
    pieces = [data[i : i + 1000] for i in range(0, len(data), 1000)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def http_block(page: Page, body: bytes) -> bytes:
    """The block of a response record: the HTTP header and the body as it travelled."""
    headers = [("Content-Type", page.content_type + (f"; charset={page.header}" if page.header else ""))]
    if page.coding == "broken byte":
        body = break_one_byte(body)
    if "gzip" in page.coding:
        headers.append(("Content-Encoding", "gzip"))
        body = gzip_bytes(body)
    if page.coding == "broken gzip":
        body = body[:10] + hashlib.sha512(body).digest()
    if "chunked" in page.coding:
        headers.append(("Transfer-Encoding", "chunked"))
        body = chunked(body)
    else:
        headers.append(("Content-Length", str(len(body))))
    if page.status.startswith("301"):
        headers.append(("Location", "https://town.example.jp/"))
    if page.coding == "no header":
        return body
    lines = [f"HTTP/1.1 {page.status}", *(f"{name}: {value}" for name, value in [*headers, *page.headers])]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


class SampleWriter:
    """Collects the records in memory and remembers the truth about each."""

    def __init__(self) -> None:
        self.file = BytesIO()
        self.writer = WARCWriter(self.file, gzip=True)
        self.rows: list[tuple[str, str, str, str, str]] = []
        self.last_offset = 0
        self.bodies: dict[str, bytes] = {}

    def record(self, kind: str, block: bytes, date: datetime, row: tuple[str, str, str, str, str], **more: str) -> None:
        """Write one record of type `kind`; `row` is its row of the truth table."""
        number, url = len(self.rows), row[0]
        headers = [
            ("WARC-Type", kind),
            ("WARC-Record-ID", f"<urn:uuid:{uuid.uuid5(NAMESPACE, f'{number} {kind} {url}')}>"),
            ("WARC-Date", date.strftime("%Y-%m-%dT%H:%M:%SZ")),
            *([("WARC-Target-URI", url)] if url else []),
            *((name.replace("_", "-"), value) for name, value in more.items()),
        ]
        if kind == "response":
            payload = block.split(b"\r\n\r\n", 1)[-1]
            digest = base64.b32encode(hashlib.sha1(payload).digest()).decode()
            headers.append(("WARC-Payload-Digest", f"sha1:{digest}"))
        message = {
            "response": "http; msgtype=response",
            "revisit": "http; msgtype=response",
            "request": "http; msgtype=request",
        }
        content_type = "application/" + message.get(kind, "warc-fields")
        warc_headers = StatusAndHeaders("", headers, protocol="WARC/1.0")
        self.last_offset = self.file.tell()
        http_headers = None
        if kind == "revisit":
            # Of a revisit the writer keeps parsed HTTP headers only.
            http_headers = StatusAndHeaders("304 Not Modified", [("Content-Type", "text/html")], protocol="HTTP/1.1")
        size = len(block)
        record = ArcWarcRecord("warc", kind, warc_headers, BytesIO(block), http_headers, content_type, size)
        record.payload_length = size
        self.writer.write_record(record)
        self.rows.append(row)

    def page(self, page: Page, date: datetime, related: list[tuple[str, str]]) -> None:
        """Write a page's response record."""
        body = self.bodies[page.mirror] if page.mirror else page.body
        if body is None:
            body = encode(markup(page, related), page.charset)
        self.bodies.setdefault(page.url, body)
        charset = CHARSET_NAMES.get(page.charset, page.charset)
        row = (page.url, page.kind, charset if b"<html" in body.lower() else "", page.outcome, page.detail)
        self.record("response", http_block(page, body), date, row)


def no_page(url: str, kind: str) -> tuple[str, str, str, str, str]:
    """The row of a record that is no response."""
    return (url, kind, "", "revisit" if kind.startswith("revisit") else "not_a_response", "")


def build() -> tuple[bytes, list[tuple[str, str, str, str, str]]]:
    """The bytes of the WARC file, and the rows of the truth table in the order of its records."""
    sample = SampleWriter()
    info = "software: tests/data/make_sample.py\r\nformat: WARC File Format 1.0\r\ndescription: embedded sample\r\n"
    sample.record(
        "warcinfo", info.encode(), FIRST_FETCH, no_page("", "warcinfo record"), WARC_Filename="sample.warc.gz"
    )
    pages = [*KEPT, *DUPLICATES, *REFUSED, *BELOW, *OTHER_LANGUAGES, *hostile_pages(), *LATER]
    # A date in the address of a related page would be taken for the page's own.
    titles = [(page.url, ALL_TEXTS[page.text].split("\n")[0]) for page in KEPT if "/2023/" not in page.url]
    for number, page in enumerate(pages):
        date = FIRST_FETCH + timedelta(minutes=37 * number)
        if page.day:
            date = datetime.fromisoformat(page.day) + timedelta(hours=4, seconds=number)
        neighbours = [titles[(number * 7 + step) % len(titles)] for step in (3, 17, 40)]
        others = [(url, title) for url, title in neighbours if url != page.url]
        sample.page(page, date, others)
        if number == 0:
            request = b"GET /frost HTTP/1.1\r\nHost: kagaku.example.jp\r\nUser-Agent: sample\r\n\r\n"
            sample.record("request", request, date, no_page(page.url, "request record"))
            sample.record("metadata", b"fetchTimeMs: 128\r\n", date, no_page(page.url, "metadata record"))
    sample.record(
        "revisit",
        b"",
        FIRST_FETCH + timedelta(days=40),
        no_page(KEPT[1].url, "revisit record"),
        WARC_Profile="http://netpreserve.org/warc/1.0/revisit/identical-payload-digest",
        WARC_Refers_To_Target_URI=KEPT[1].url,
    )
    cut = replace(
        KEPT[5],
        url="https://shiryo.example.jp/owari",
        kind="record cut at the end of the file",
        outcome="cut_record",
        detail="",
        day=None,
    )
    sample.page(cut, FIRST_FETCH + timedelta(days=45), titles[:3])
    data = sample.file.getvalue()
    kept = sample.last_offset + (len(data) - sample.last_offset) * 6 // 10
    return data[:kept], sample.rows


# Site, days from the first fetch, status with further header lines, and body: robots.txt as a crawler found it.
ROBOTS = (
    ("https://kagaku.example.jp", -30, "200 OK", "User-agent: *\nDisallow:\n"),
    ("https://kagaku.example.jp", 60, "200 OK", "User-agent: GPTBot\nUser-agent: CCBot\nDisallow: /\n"),
    ("https://town.example.jp", -30, "200 OK", "User-agent: *\nDisallow: /kanban\nAllow: /library\n"),
    ("https://shiryo.example.jp", -30, "404 Not Found", ""),
    ("https://tabi.example.com", -30, "503 Service Unavailable", ""),
    ("https://daidokoro.example.com", -30, "200 OK", "User-agent: *\nContent-Signal: search=yes, ai-train=no\n"),
    (
        "http://daidokoro.example.com",
        -30,
        "301 Moved Permanently\r\nLocation: https://daidokoro.example.com/robots.txt",
        "",
    ),
    ("https://nikki.example.com", -30, "200 OK", "User-agent: *\nContent-Usage: /ame train-ai=y\n"),
)


def build_robots() -> bytes:
    """The bytes of a WARC file of robots.txt captures."""
    sample = SampleWriter()
    for site, days, status, body in ROBOTS:
        block = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        url = f"{site}/robots.txt"
        sample.record("response", block.encode("ascii"), FIRST_FETCH + timedelta(days=days), no_page(url, "robots.txt"))
    return sample.file.getvalue()


def main() -> None:
    data, rows = build()
    (FOLDER / "sample-robots.warc.gz").write_bytes(build_robots())
    (FOLDER / "sample.warc.gz").write_bytes(data)
    table = "".join("\t".join(row) + "\n" for row in [COLUMNS, *rows])
    (FOLDER / "sample.tsv").write_text(table, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
