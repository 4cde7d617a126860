"""The gate over a benchmark folder, beside Swallow's rapid rule and a search for kana: what passes, what is missed.

    make bench-gate BENCH=folder

A page is Japanese when the folder's truth calls it `ja`, and half Japanese when it calls it `ja-mixed`. All pages are
held against every gate twice: as they are, and with each declaration of language and charset taken out (HTTP headers,
xml declaration, meta, lang). Exits with 1 when the gate misses a promise of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filters.characters import kana_ratio
from pipeline.responses import HTML_TYPES
from pipeline.web.gate import may_be_japanese
from pipeline.web.language import identify
from pipeline.web.warc import read_records

LEAST_RECALL = 0.998
MOST_EXTRACTIONS = 1.15
MAX_BODY_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class Capture:
    """A page as the crawl has it: its label, body, and what its headers say."""

    label: str
    body: bytes
    http_charset: str | None
    http_language: str | None


def captures(bench: Path) -> Iterator[Capture]:
    csv.field_size_limit(10**9)
    with gzip.open(bench / "truth/pages.tsv.gz", "rt", encoding="utf-8", newline="") as file:
        labels = {row["record_id"]: row["lang"] for row in csv.DictReader(file, delimiter="\t")}
    for path in sorted((bench / "warc").glob("*.warc.gz")):
        for record in read_records(str(path), MAX_BODY_BYTES):
            if record.type == "response" and record.content_type in HTML_TYPES and record.http_status == 200:
                language = ",".join(record.http_headers.get("content-language", []))
                yield Capture(labels[record.record_id or ""], record.body, record.http_charset, language or None)


_XML_DECLARATION = re.compile(rb"^\s*<\?xml[^>]*\?>")
_META = re.compile(rb"<meta\b[^>]*(?:charset|content-language|og:locale)[^>]*>", re.IGNORECASE)
_LANG = re.compile(rb"\s(?:xml:)?lang\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]+)", re.IGNORECASE)


def stripped(capture: Capture) -> Capture:
    """The page with nothing left that declares its language or charset; its text is untouched."""
    body = _LANG.sub(b"", _META.sub(b"", _XML_DECLARATION.sub(b"", capture.body)))
    return Capture(capture.label, body, None, None)


_SWALLOW_LANG = re.compile(rb"<html[^>]*\slang\s*=\s*[\"']?ja", re.IGNORECASE)
_SWALLOW_TITLE = re.compile(rb"<title[^>]*>([^<]*)</title>", re.IGNORECASE)


def swallow_rapid(capture: Capture) -> bool:
    """Swallow's rapid rule: `<html lang="ja`, else a title that its detector calls Japanese (Okazaki et al., 2024).

    The title is the first of UTF-8, Shift_JIS and EUC-JP that decodes strictly. The detector's weights are not
    distributed: a title counts here if it holds any kana or lid.176 calls it Japanese, which is kinder.
    """
    if _SWALLOW_LANG.search(capture.body):
        return True
    title = _SWALLOW_TITLE.search(capture.body)
    if title is None:
        return False
    for charset in ("utf-8", "shift_jis", "euc_jp"):
        try:
            text = title[1].decode(charset)
        except UnicodeDecodeError:
            continue
        return bool(text.strip()) and (kana_ratio(text) > 0 or identify(text)[0] == "ja")
    return False


_UTF_8_KANA = re.compile(rb"\xe3[\x81-\x83]")


def kana_search(capture: Capture) -> bool:
    return _UTF_8_KANA.search(capture.body) is not None


def ours(capture: Capture) -> bool:
    return may_be_japanese(capture.body, capture.http_charset, capture.http_language).passed


GATES: dict[str, Callable[[Capture], bool]] = {
    "kamisuki": ours,
    "Swallow's rapid rule": swallow_rapid,
    "a search for UTF-8 kana": kana_search,
}


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path)
    options = parser.parse_args()
    variants: dict[str, Callable[[Capture], Capture]] = {"as they are": lambda capture: capture, "stripped": stripped}
    passed = {(gate, variant): [0, 0, 0] for variant in variants for gate in GATES}
    seconds = dict.fromkeys(passed, 0.0)
    totals = [0, 0, 0]
    # What is loaded once is no part of a page's time.
    for test in GATES.values():
        test(Capture("", "<title>の</title>".encode(), None, None))
    for capture in captures(options.bench):
        kind = ("ja", "ja-mixed").index(capture.label) if capture.label in ("ja", "ja-mixed") else 2
        totals[kind] += 1
        for variant, change in variants.items():
            changed = change(capture)
            for gate, test in GATES.items():
                started = time.process_time()
                passes = test(changed)
                seconds[gate, variant] += time.process_time() - started
                passed[gate, variant][kind] += passes
                if kind == 0 and gate == "kamisuki" and not passes:
                    print(f"missed {variant}: {capture.body[:200]!r}")
    japanese, mixed, other = totals
    print(f"pages: {japanese} Japanese, {mixed} half Japanese, {other} in other languages or mixtures\n")
    print(
        "| gate | declarations | recall | of half Japanese | precision | F1 | extractions a Japanese page | µs a page |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    kept = True
    for (gate, variant), (right, half, wrong) in passed.items():
        recall = right / japanese
        extractions = (right + half + wrong) / japanese
        precision = (right + half) / max(1, right + half + wrong)
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        cost = 1e6 * seconds[gate, variant] / sum(totals)
        print(
            f"| {gate} | {variant} | {recall:.4f} | {half / max(1, mixed):.4f} | {precision:.4f} | {f1:.4f} "
            f"| {extractions:.3f} | {cost:.1f} |"
        )
        if gate == "kamisuki":
            kept = kept and recall >= LEAST_RECALL and extractions <= MOST_EXTRACTIONS
    print(f"\nasked of kamisuki: recall {LEAST_RECALL}, at most {MOST_EXTRACTIONS} extractions a Japanese page")
    return kept


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
