"""What the crawl itself says of a page: the languages and the charset in the metadata record behind its response.

Common Crawl writes them since 2018: `languages-cld2` (Compact Language Detector 2, over the text of the page) and
`charset-detected` (of its raw bytes). They are a detector's opinion: evidence for a page, never a reason against one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.web.warc_record import Record

# Less than a tenth of a page's text is a menu of languages or a name.
_LEAST_SHARE = 0.1
_LANGUAGES = re.compile(rb"^languages-cld2:[ \t]*([^\r\n]+)", re.MULTILINE)
_CHARSET = re.compile(rb"^charset-detected:[ \t]*([\w:.+-]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CrawlFacts:
    """`japanese`: whether CLD2 calls a tenth or more of the text Japanese. `charset`: the label detected, if any."""

    japanese: bool = False
    charset: str | None = None


NOTHING = CrawlFacts()


def read_crawl_facts(block: bytes) -> CrawlFacts:
    """The facts in the block of a metadata record. Never raises: what cannot be read says nothing."""
    if not block:
        return NOTHING
    languages, charset = _LANGUAGES.search(block), _CHARSET.search(block)
    return CrawlFacts(
        languages is not None and b"ja" in languages[1] and _is_japanese(languages[1]),
        charset[1].decode("ascii", "replace") if charset else None,
    )


def _is_japanese(value: bytes) -> bool:
    try:
        found = json.loads(value)["languages"]
        return any(one["code"] == "ja" and float(one["text-covered"]) >= _LEAST_SHARE for one in found)
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        # Another writer's field of that name, or a cut one.
        return False


def as_metadata(languages: str | None, charset: str | None) -> bytes:
    """What Common Crawl's index says of a page, as the block of a metadata record.

    The index names up to three languages by ISO-639-3 and tells no shares: Japanese among them counts as enough.
    """
    lines = []
    if languages and "jpn" in languages.split(","):
        found = {"languages": [{"code": "ja", "text-covered": 1.0}]}
        lines.append(f"languages-cld2: {json.dumps(found)}\r\n")
    if charset:
        lines.append(f"charset-detected: {charset}\r\n")
    return "".join(lines).encode("ascii", "replace")


def with_crawl_facts(records: Iterable[Record]) -> Iterator[Record]:
    """The same records in the same order, each response with the block of the metadata record that follows it."""
    held: Record | None = None
    for record in records:
        if held is not None:
            if record.type == "metadata" and record.concurrent_to and record.concurrent_to == held.record_id:
                held.crawl_metadata = record.body
            yield held
            held = None
        if record.type == "response":
            held = record
        else:
            yield record
    if held is not None:
        yield held
