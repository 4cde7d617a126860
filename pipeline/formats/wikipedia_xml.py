"""XML dumps of Wikipedia (pages-articles): a page element each, its wikitext as plain text.

The stream is cut at the tags of pages and each page is parsed alone, so that a broken page costs itself, and memory is
bounded by the largest page that is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

from pipeline.formats.compressed import DamagedInput, damage_named, open_decompressed
from pipeline.formats.rows import BadRow, Row, WrongFormat
from pipeline.formats.wikipedia import article, articles_of_base, page_url
from pipeline.web.extraction import ExtractionFailure
from pipeline.web.sandbox import Limits, Sandbox

# A page of two megabytes, MediaWiki's own limit ($wgMaxArticleSize), takes some seconds at most.
PARSER_LIMITS = Limits(cpu_seconds=10.0, memory_bytes=1_500_000_000)
_READ_BYTES = 1 << 20
_BEGIN, _END, _WHOLE = b"<page>", b"</page>", b"</mediawiki>"
_BASE = re.compile(rb"<base>([^<]+)</base>")
_DATABASE = re.compile(rb"<dbname>([^<]+)</dbname>")


def read_xml_dump(path: str, row_bytes: int) -> Iterator[Row | BadRow]:
    """The articles of a dump, numbered by page from 0. Raises WrongFormat where it is none.

    Fields: title, url, timestamp, page_id, revision_id, namespace, wiki and text; of a page with several revisions the
    last one counts. Where a dump ends early, one BadRow stands for all that is lost.
    """
    number = 0
    with open_decompressed(path) as file:
        dump = _Dump(file, row_bytes)
        try:
            dump.read_head()
            if b"<mediawiki" not in dump.head:
                raise WrongFormat("no XML dump of a wiki: fetch its pages-articles.xml.bz2, or set ingest.format")
            for page in dump.pages():
                if isinstance(page, int):
                    yield BadRow(number, "row_too_large", value=page, limit=row_bytes)
                else:
                    yield _row(number, page, dump.head)
                number += 1
        except DamagedInput as error:
            yield BadRow(number, "damaged_input", str(error))
            return
        if not dump.is_whole:
            yield BadRow(number, "damaged_input", "the dump has no end")


class _Dump:
    """A dump's bytes: `head` stands before its first page, and `is_whole` says whether its end was met."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file = file
        self._most = most
        self._buffer = bytearray()
        self.head = b""
        self.is_whole = False

    def read_head(self) -> None:
        """Read what stands before the first page: some 10 kB about the wiki."""
        while _BEGIN not in self._buffer and len(self._buffer) < _READ_BYTES and self._fill():
            pass
        self.head = bytes(self._buffer).partition(_BEGIN)[0]

    def pages(self) -> Iterator[bytes | int]:
        """The elements of pages; of one that is larger than the limit its size in bytes."""
        while self._go_to_page():
            page = self._page()
            if page is None:
                return
            yield page

    def _fill(self) -> bool:
        with damage_named():
            chunk = self._file.read(_READ_BYTES)
        self._buffer += chunk
        return bool(chunk)

    def _go_to_page(self) -> bool:
        while (start := self._buffer.find(_BEGIN)) < 0:
            self.is_whole = self.is_whole or _WHOLE in self._buffer
            del self._buffer[: max(0, len(self._buffer) - len(_WHOLE))]
            if not self._fill():
                return False
        del self._buffer[:start]
        return True

    def _page(self) -> bytes | int | None:
        """The page at the buffer's start, None where the file ends inside it."""
        dropped, seen = 0, len(_BEGIN)
        while True:
            end, next_page = self._buffer.find(_END, seen), self._buffer.find(_BEGIN, seen)
            end = end + len(_END) if end >= 0 else end
            if next_page >= 0 and (end < 0 or next_page < end):
                # The end of this page was lost: what follows is another one.
                end = next_page
            if end >= 0:
                page = bytes(self._buffer[:end]) if dropped + end <= self._most else dropped + end
                del self._buffer[:end]
                return page
            if len(self._buffer) > self._most:
                excess = len(self._buffer) - len(_END)
                dropped += excess
                del self._buffer[:excess]
                seen = 0
            else:
                seen = max(seen, len(self._buffer) - len(_END))
            if not self._fill():
                return None


@cache
def parser() -> Sandbox:
    """The parser of wikitext behind limits, started once for all shards that a worker gets."""
    return Sandbox(PARSER_LIMITS, Path(__file__).with_name("wikitext.py"))


def _row(number: int, page: bytes, head: bytes) -> Row | BadRow:
    try:
        element = ElementTree.fromstring(page.decode("utf-8"))
    except UnicodeDecodeError as error:
        return BadRow(number, "not_utf8", f"byte {error.start} of the page")
    except (ElementTree.ParseError, ValueError) as error:
        return BadRow(number, "broken_xml", str(error)[:200])
    revisions = element.findall("revision")
    title = element.findtext("title") or ""
    base, database = _BASE.search(head), _DATABASE.search(head)
    articles = articles_of_base(base[1].decode("utf-8", "replace") if base else None)
    values: dict[str, Any] = {
        "text": None,
        "title": title,
        "url": page_url(articles, title) if articles and title else None,
        "timestamp": None,
        "page_id": element.findtext("id"),
        "revision_id": None,
        "namespace": element.findtext("ns"),
        "wiki": database[1].decode("utf-8", "replace") if database else None,
    }
    found = article(number, values, redirect=element.find("redirect") is not None)
    if isinstance(found, BadRow) or not revisions:
        return found
    revision = revisions[-1]
    known = {"url": values["url"], "title": title}
    model = revision.findtext("model")
    if model not in (None, "wikitext"):
        return BadRow(number, "not_an_article", f"content model {model}", known=known)
    text = parser().extract(revision.findtext("text") or "", values["url"], None)
    if isinstance(text, ExtractionFailure):
        return BadRow(number, text.reason, text.detail, known=known)
    values |= {"text": text.text, "timestamp": revision.findtext("timestamp"), "revision_id": revision.findtext("id")}
    return Row(number, values)
