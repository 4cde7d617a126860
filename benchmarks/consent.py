"""What license, consent and robots.txt cost: CPU time a page on the pages of WARC files, and a verdict of robots.txt.

    make bench-consent WARC='folder/*.warc.gz'

Only pages that pass the Japanese gate are timed, each the fastest of five turns, license and consent in turn. Captures
of robots.txt are made up: 2,000 sites with 40 groups, signals and wildcards, ten pages each, through select's tasks.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from glob import glob
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from pipeline import robots_verdicts
from pipeline.files import TableWriter
from pipeline.schemas import DOCUMENTS, ROBOTS
from pipeline.web import charset, gate
from pipeline.web.consent.agents import agent_sets
from pipeline.web.consent.page_signals import find_consent
from pipeline.web.license import find_license
from pipeline.web.page import Page, read_page
from pipeline.web.warc import Record, read_records

TURNS = 5
SITES = 2_000
PAGES_OF_A_SITE = 10
MOMENT = datetime(2024, 5, 1, tzinfo=UTC)


def japanese_pages(paths: list[str]) -> Iterator[tuple[Page, Record]]:
    for path in paths:
        for record in read_records(path, 8_000_000):
            if record.type == "response" and not record.problem and record.content_type == "text/html":
                language = ",".join(record.http_headers.get("content-language", [])) or None
                if gate.may_be_japanese(record.body, record.http_charset, language).passed:
                    yield read_page(charset.decode(record.body, record.http_charset).text), record


def milliseconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(TURNS):
        start = time.process_time_ns()
        work()
        best = min(best, time.process_time_ns() - start)
    return best / 1e6


def time_pages(paths: list[str]) -> None:
    license_times, consent_times = [], []
    for page, record in japanese_pages(paths):
        headers, day = record.http_headers, record.date.date() if record.date else None
        license_times.append(milliseconds(lambda: find_license(page, headers)))  # noqa: B023 - called at once
        consent_times.append(milliseconds(lambda: find_consent(page, headers, day)))  # noqa: B023 - called at once
    both = [first + second for first, second in zip(license_times, consent_times, strict=True)]
    print(f"Japanese pages: {len(both)}")
    for name, times in (("license", license_times), ("consent", consent_times), ("both", both)):
        print(f"{name}: median {median(times):.3f} ms a page, 99 % within {quantiles(times, n=100)[98]:.3f} ms")


def robots_txt(number: int) -> str:
    groups = [f"User-agent: bot{index}\nDisallow: /{index}/{number}/*.cgi$\n" for index in range(38)]
    signals = "User-agent: *\nContent-Signal: search=yes, ai-train=yes\nDisallow: /private/\n"
    return signals + "User-agent: GPTBot\nDisallow: /closed/\n" + "".join(groups)


def time_robots(folder: Path) -> None:
    documents, robots = folder / "documents.parquet", folder / "robots.parquet"
    with TableWriter(documents, DOCUMENTS) as out:
        for site in range(SITES):
            urls = [f"https://site{site}.example/a/{page}?q={page}" for page in range(PAGES_OF_A_SITE)]
            out.write_rows([{"id": url, "url": url, "fetched_at": MOMENT} for url in urls])
    with TableWriter(robots, ROBOTS) as out:
        for site in range(SITES):
            of_site = {"scheme": "https", "host": f"site{site}.example", "port": 443, "path": "/robots.txt"}
            out.write_rows([{**of_site, "fetched_at": MOMENT, "http_status": 200, "text": robots_txt(site)}])
    runs = {name: str(folder / f"{name}.run") for name in ("pages", "captures", "decided")}
    agents = list(agent_sets()["training"])
    place: dict[str, Any] = {"shard": "all", "folder": str(folder)}
    start = time.process_time()
    robots_verdicts.partition_pages(**place, shard_index=0, documents=str(documents), run=runs["pages"], partitions=1)
    robots_verdicts.partition_captures(**place, robots=str(robots), run=runs["captures"], partitions=1)
    robots_verdicts.decide_partition(
        **place,
        partition=0,
        pages=[runs["pages"]],
        captures=[runs["captures"]],
        run=runs["decided"],
        shards=1,
        agents=agents,
        unreachable="unknown",
    )
    robots_verdicts.write_verdicts(**place, shard_index=0, documents=str(documents), runs=[runs["decided"]], inputs=[])
    seconds = time.process_time() - start
    count = SITES * PAGES_OF_A_SITE
    print(f"robots.txt: {count:,} pages of {SITES:,} sites, {1000 * seconds / count:.3f} ms a page, both verdicts")


def main() -> None:
    paths = sorted(path for pattern in sys.argv[1:] for path in glob(pattern))
    if not paths:
        sys.exit("no WARC file matches: make bench-consent WARC='folder/*.warc.gz'")
    time_pages(paths)
    with tempfile.TemporaryDirectory() as folder:
        time_robots(Path(folder))


if __name__ == "__main__":
    main()
