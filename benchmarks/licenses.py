"""Licenses of a folder's pages: every verdict with its evidence, and the time a page takes.

    python -m benchmarks.licenses --data ../shared/data [--silent] [--bench DIR]

Prints Markdown. Read are the HTML files of dev/pages and web/pages, and the responses in dev/warc. --silent lists the
lines that name a license on pages for which none was found; --bench counts verdicts over a benchmark's WARC files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.web.charset import decode
from pipeline.web.consent.page_signals import find_consent
from pipeline.web.license import LicenseFact, find_license
from pipeline.web.page import Page, read_page
from pipeline.web.urls import host
from pipeline.web.warc import NotWarc, read_records

SHOWN = 90
REPEATS = 9
NAMED = re.compile(
    r"creative ?commons|クリエイティブ・?コモンズ|(?<![A-Z])CC[ -]?(?:BY|0)\b|ライセンス|"
    r"licen[sc]ed? under|rights reserved|無断|public domain|"
    r"パブリック・?ドメイン|利用規約（第|\bGFDL\b|Documentation License",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Found:
    """A page with where it came from and what it says."""

    origin: str
    url: str | None
    page: Page
    headers: dict[str, list[str]]
    japanese: bool
    fact: LicenseFact


def _found(origin: str, url: str | None, body: bytes, headers: dict[str, list[str]], charset: str | None) -> Found:
    page = read_page(decode(body, charset).text)
    japanese = len(re.findall("[ぁ-ゖァ-ヶ]", page.visible_text())) >= 100
    return Found(origin, url, page, headers, japanese, find_license(page, headers, url))


def _html_files(data: Path) -> Iterator[Found]:
    for folder in ("dev", "web"):
        for entry in json.loads((data / folder / "manifest.json").read_text(encoding="utf-8"))["files"]:
            if entry.get("kind") == "html" and entry["file"].startswith("pages/"):
                body = (data / folder / entry["file"]).read_bytes()
                yield _found(f"{folder}/{entry['file']}", entry.get("url"), body, {}, None)


def _responses(paths: list[Path]) -> Iterator[Found]:
    for path in paths:
        try:
            for record in read_records(str(path), 20_000_000):
                if (
                    record.type == "response"
                    and record.http_status == 200
                    and record.content_type
                    in (
                        "text/html",
                        "application/xhtml+xml",
                    )
                ):
                    yield _found(path.name, record.url, record.body, record.http_headers, record.http_charset)
        except NotWarc as error:
            print(f"{path.name}: {error}\n")


def read_all(data: Path) -> list[Found]:
    """Every page of the folder, equal ones once."""
    seen: set[bytes] = set()
    kept = []
    warcs = sorted(path for path in (data / "dev/warc").glob("*.warc*") if path.name[-7:] not in ("wat.gz", "wet.gz"))
    for found in (*_html_files(data), *_responses(warcs)):
        digest = hashlib.blake2b(found.page.source).digest()
        if digest not in seen:
            seen.add(digest)
            kept.append(found)
    return kept


def _cell(text: str | None, most: int = SHOWN) -> str:
    return re.sub(r"\s+", " ", text or "").replace("|", "/")[:most]


def print_verdicts(pages: list[Found]) -> None:
    """A table of all pages for which something was found."""
    print("| page | host | verdict | by | evidence | disagreement |\n|---|---|---|---|---|---|")
    for found in pages:
        fact = found.fact
        if fact.source is not None:
            where = host(found.url) if found.url else ""
            verdict = fact.license or fact.tier
            print(
                f"| {_cell(found.origin.rsplit('/', 1)[-1], 44)} | {where} | {verdict} | {fact.source} "
                f"| {_cell(fact.url)} "
                f"| {_cell(fact.disagreement)} |"
            )
    print(f"\n{sum(found.fact.source is not None for found in pages)} of {len(pages)} pages declare something.")


def print_silent(pages: list[Found]) -> None:
    """The lines that name a license on pages for which nothing was found."""
    for found in pages:
        if found.fact.source is None:
            for line in found.page.visible_text().split("\n"):
                match = NAMED.search(line)
                if match:
                    print(f"{found.origin[-50:]}: …{_cell(line[max(0, match.start() - 60) : match.end() + 60], 160)}")


def print_times(pages: list[Found]) -> None:
    """Median and 95th percentile of the processor's time for license and consent of Japanese pages."""
    japanese = [found for found in pages if found.japanese]
    times = np.zeros((2, len(japanese)))
    for row, step in enumerate(
        (lambda f: find_license(f.page, f.headers, f.url), lambda f: find_consent(f.page, f.headers))
    ):
        for column, found in enumerate(japanese):
            best = float("inf")
            for _ in range(REPEATS):
                started = time.process_time_ns()
                step(found)
                best = min(best, (time.process_time_ns() - started) / 1e6)
            times[row, column] = best
    for name, row in (("license", times[0]), ("consent", times[1]), ("both", times.sum(axis=0))):
        print(
            f"{name}: median {np.median(row):.3f} ms, 95th percentile {np.percentile(row, 95):.3f} ms a Japanese page"
        )
    print(
        f"({len(japanese)} Japanese pages, "
        f"median {np.median([len(f.page.source) for f in japanese]) / 1000:.0f} kB, best of {REPEATS})"
    )


def main() -> None:
    """Read the pages, print what was found and the times."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bench", type=Path)
    parser.add_argument("--silent", action="store_true")
    arguments = parser.parse_args()
    pages = read_all(arguments.data)
    print_verdicts(pages)
    print()
    if arguments.silent:
        print_silent(pages)
        print()
    print_times(pages)
    if arguments.bench:
        counts: Counter[tuple[str | None, str, str | None]] = Counter()
        for found in _responses(sorted((arguments.bench / "warc").glob("*.warc.gz"))):
            counts[found.fact.license, found.fact.tier, found.fact.source] += 1
        for (identifier, tier, source), number in counts.most_common():
            print(f"{number:6} {identifier or '-'} {tier} {source or '-'}")


if __name__ == "__main__":
    main()
