"""How the page reader compares with lexbor (selectolax): the same visible text letter by letter, and the time.

    make bench-reader DATA=FOLDER [BENCH=FOLDER]
    python -m benchmarks.reader_against_lexbor --data FOLDER [--bench FOLDER] [--sample N] [--show N]

DATA is the folder of the test data (with dev/pages and web/pages). Needs the extra `bench`. White space is left out of
the comparison: where lines break is the reader's own rule.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.web.charset import decode
from pipeline.web.page import Page, read_page
from pipeline.web.warc import read_records

# The reader's own rules for what is shown (elements.py and hidden.py), written a second time.
NOT_SHOWN = frozenset(
    ["annotation", "desc", "iframe", "metadata", "noembed", "noframes", "script", "style", "template", "title"]
)
DISPLAY = re.compile(r"(?:^|;)[\t\n\f\r ]*display[\t\n\f\r ]*:[\t\n\f\r ]*([^;]*)", re.IGNORECASE)
NONE = re.compile(r"none(?=[\t\n\f\r !]|$)", re.IGNORECASE)
LARGEST_BODY = 20_000_000
# A raw element in noscript without an end tag of its own there.
UNENDED = re.compile(
    r"<noscript\b[^>]*>(?:(?!</noscript\b).)*?<(iframe|noembed|noframes|script|style|textarea|title|xmp)\b"
    r"(?:(?!</(?:noscript|\1)\b).)*</noscript\b",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Difference:
    name: str
    cause: str
    place: str


def hides_itself(node: LexborNode) -> bool:
    if node.tag in NOT_SHOWN:
        return True
    if node.tag in ("html", "body"):
        return False
    attributes = node.attributes
    if "hidden" in attributes and (attributes["hidden"] or "").lower() != "until-found":
        return True
    if (attributes.get("aria-hidden") or "").lower() == "true":
        return True
    declared = DISPLAY.findall(attributes.get("style") or "")
    return bool(declared and NONE.match(declared[-1]))


def lexbor_texts(parser: LexborHTMLParser) -> Iterator[str]:
    """The visible text nodes of lexbor's tree, in its order."""
    node = parser.root
    while node is not None:
        child = None
        if node.tag == "-text":
            yield node.text_content or ""
        elif not (node.tag or "-").startswith("-") and not hides_itself(node):
            child = node.child
        if child is None:
            while node is not None and node.next is None:
                node = node.parent
            child = node.next if node is not None else None
        node = child


def letters(text: str) -> str:
    return "".join(text.split())


def place_of(own: str, other: str) -> str:
    """Where two texts part, with what each says there."""
    index = next((i for i, (a, b) in enumerate(zip(own, other)) if a != b), min(len(own), len(other)))
    before = own[max(0, index - 15) : index]
    return f"…{before} | reader: {own[index : index + 25]} | lexbor: {other[index : index + 25]}"


def cause_of(html: str, page: Page, own: str, other: str) -> str:
    if page.capped:
        return f"capped: {', '.join(sorted(page.capped))}"
    counts, others = Counter(own), Counter(other)
    if counts == others:
        return "order only: text between a table's parts, which browsers move before the table"
    if page.find("frameset").size:
        return "frameset: browsers show no text beside frames"
    if UNENDED.search(html):
        return "noscript: its end ends an <iframe /> in it, as for browsers that run scripts"
    if not counts - others:
        return "the reader shows less"
    if not others - counts:
        return "the reader shows more"
    return "both show what the other does not"


def folder_pages(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*.html")):
        yield path.name, decode(path.read_bytes(), None).text


def pack_pages(pack: Path) -> Iterator[tuple[str, str]]:
    if pack.is_dir():
        yield from folder_pages(pack)
        return
    with tarfile.open(pack) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".html") else None
            if file is not None:
                yield Path(member.name).name, decode(file.read(), None).text


def warc_pages(folder: Path, sample: int) -> Iterator[tuple[str, str]]:
    """As many pages of each WARC, every third of the HTML that it holds."""
    files = sorted(folder.glob("*.warc.gz"))
    for path in files:
        pages = (
            (record.url or "", decode(record.body, record.http_charset).text)
            for record in read_records(str(path), LARGEST_BODY)
            if record.type == "response" and record.content_type in ("text/html", "application/xhtml+xml")
        )
        yield from islice(pages, 0, 3 * (sample // len(files)), 3)


def compare(pages: Iterator[tuple[str, str]]) -> tuple[int, list[Difference], list[tuple[float, float]]]:
    """Number of pages, the differences, and (reader, lexbor) seconds of CPU of each page, the least of five turns."""
    total = 0
    differences: list[Difference] = []
    times: list[tuple[float, float]] = []
    for name, html in pages:
        total += 1
        page = read_page(html)
        own, other = letters(page.visible_text()), letters("".join(lexbor_texts(LexborHTMLParser(html))))
        if own != other:
            differences.append(Difference(name, cause_of(html, page, own, other), place_of(own, other)))
        turns = [timed(html) for _ in range(5)]
        times.append((min(reader for reader, _ in turns), min(lexbor for _, lexbor in turns)))
    return total, differences, times


def timed(html: str) -> tuple[float, float]:
    """Seconds of CPU of the reader and of lexbor for one page, one right after the other."""
    started = time.process_time()
    read_page(html)
    between = time.process_time()
    LexborHTMLParser(html)
    return between - started, time.process_time() - between


def report(name: str, pages: Iterator[tuple[str, str]], shown: int) -> None:
    total, differences, times = compare(pages)
    if not total:
        print(f"{name}: no pages")
        return
    ratio = statistics.median(lexbor / reader for reader, lexbor in times)
    milliseconds = [1000 * statistics.median(column) for column in zip(*times)]
    print(
        f"{name}: {total} pages, {total - len(differences)} equal ({1 - len(differences) / total:.2%}); median "
        f"{milliseconds[0]:.3f} ms, lexbor {milliseconds[1]:.3f} ms, ratio of a page {ratio:.2f}"
    )
    for cause, number in Counter(difference.cause for difference in differences).most_common():
        print(f"  {number} {cause}")
        for difference in [difference for difference in differences if difference.cause == cause][:shown]:
            print(f"    {difference.name}: {difference.place}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bench", type=Path)
    parser.add_argument("--sample", type=int, default=2_000)
    parser.add_argument("--show", type=int, default=1_000, help="differences listed of each cause")
    options = parser.parse_args()
    report("dev ja", folder_pages(options.data / "dev" / "pages" / "ja"), options.show)
    report("dev other", folder_pages(options.data / "dev" / "pages" / "other"), options.show)
    report("web", folder_pages(options.data / "web" / "pages"), options.show)
    report("pack", pack_pages(options.data / "train" / "extraction.tar.xz"), options.show)
    if options.bench:
        report("warc", warc_pages(options.bench / "warc", options.sample), options.show)


if __name__ == "__main__":
    main()
