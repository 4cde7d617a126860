"""Pages: labelled web pages, each with the main text that a person or a site's own structure gives it.

They come from outside of the project (docs/main-text-model.md names origins and licences) and are read where they lie.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import random
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.web import charset
from pipeline.web.page import read_page
from pipeline.web.warc import read_records
from training.score import score

# Second-level names under which Japanese and British sites register.
_SECOND_LEVEL = frozenset(["ac", "ad", "co", "com", "ed", "edu", "go", "gov", "gr", "lg", "ne", "net", "or", "org"])
# Packages of one book or program in several languages, or of one tool chain, share templates.
_TEMPLATES = (
    "debian-handbook",
    "gimp-help",
    "groonga-doc",
    "installation-guide",
    "libreoffice-help",
    "lilypond-doc",
    "rust-web-doc",
    "scilab-doc",
)
FIXTURES = Path(__file__).resolve().parents[1] / "tests" / "web" / "main_text"
FRAMED_PER_PACKAGE = 16
FRAMED_PER_SKIN = 12


@dataclass(frozen=True, slots=True)
class LabelledPage:
    """A decoded page and its gold text.

    `set` names where it is from and how it is scored: ja-sites, ja-manuals, zh, other, web, wcxb, articles,
    readability, fixtures, framed. `groups` are what it shares with other pages (site, package, theme, frame): a page is
    never scored by a model that was trained on a page of one of its groups. `published_gold` is the gold without
    corrections; `gold` is empty where the page holds nothing of that.
    """

    id: str
    set: str
    site: str
    groups: frozenset[str]
    page_type: str | None
    url: str
    html: str
    gold: str
    published_gold: str

    @property
    def holds_its_gold(self) -> bool:
        """Whether an extractor can be right or wrong about the page: not where a script fetches the text."""
        return bool(self.gold) or not self.published_gold


def registered_domain(url_or_host: str) -> str:
    """About what somebody registered: www.example.co.jp gives example.co.jp."""
    host = (urlsplit(url_or_host).hostname or "") if "//" in url_or_host else url_or_host
    labels = host.lower().rstrip(".").split(".")
    keep = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else 2
    return ".".join(labels[-keep:])


def template_of(package: str) -> str:
    """What a Debian package shares its page template with."""
    return next((name for name in _TEMPLATES if package.startswith(name)), package)


def _overlays(table: Path) -> dict[str, tuple[str, str]]:
    """Corrections of dirty gold by the SHA-256 of the page's file: (operation, lines)."""
    with table.open(encoding="utf-8") as lines:
        return {row["page_sha256"]: (row["operation"], row["lines"]) for row in csv.DictReader(lines, delimiter="\t")}


# Of a gold that is not on its page no more than this is shown.
_HARDLY_SHOWN = 0.05
OVERLAYS = _overlays(Path(__file__).with_name("gold_overlays.tsv"))


def corrected(gold: str, html: str, operation: str, lines: str) -> str:
    """A gold text without the lines that an overlay drops (1-2,4: counted from 1), without the letters that it drops
    wherever they stand, or the page's whole visible text, or nothing.

    Raises ValueError for another operation, and where gold is said not to be on the page and is.
    """
    if operation == "visible_text":
        return read_page(html).visible_text()
    if operation == "not_on_page":
        shown = score(read_page(html).visible_text(), gold).recall
        if shown > _HARDLY_SHOWN:
            raise ValueError(f"gold_overlays.tsv: not_on_page, but the page shows {shown:.0%} of its gold")
        return ""
    if operation == "drop_letters":
        return gold.translate({ord(letter): None for letter in lines})
    if operation != "drop_lines":
        raise ValueError(f"gold_overlays.tsv: no such operation: {operation}")
    ranges = [part.partition("-")[::2] for part in lines.split(",")]
    dropped = {number for first, last in ranges for number in range(int(first), int(last or first) + 1)}
    return "\n".join(line for number, line in enumerate(gold.split("\n"), 1) if number not in dropped)


def _page(key: str, name: str, body: bytes, gold: str, entry: dict[str, Any], groups: set[str]) -> LabelledPage:
    html = charset.decode(body, None).text
    overlay = OVERLAYS.get(hashlib.sha256(body).hexdigest())
    published = gold
    if overlay:
        gold = corrected(gold, html, *overlay)
    url = entry.get("url") or ""
    site = entry.get("site") or min(groups)
    return LabelledPage(key, name, site, frozenset(groups), entry.get("page_type"), url, html, gold, published)


def _dev(folder: Path) -> Iterator[LabelledPage]:
    for entry in json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]:
        if entry["kind"] != "html" or not entry.get("gold"):
            continue
        body = (folder / entry["file"]).read_bytes()
        gold = (folder / entry["gold"]).read_text(encoding="utf-8")
        if "package" in entry:
            name, groups = "ja-manuals", {template_of(entry["package"])}
        else:
            language = entry["lang"].lower()
            name = {"ja": "ja-sites", "chinese": "zh"}.get(language, "other")
            groups = {registered_domain(entry["url"]) if entry.get("url") else entry["file"]}
        yield _page(entry["file"], name, body, gold, entry, groups)


def _web(folder: Path) -> Iterator[LabelledPage]:
    for entry in json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]:
        if entry["kind"] != "html" or not entry.get("gold"):
            continue
        body = (folder / entry["file"]).read_bytes()
        gold = (folder / entry["gold"]).read_text(encoding="utf-8")
        groups = {f"site {entry['site']}"} | ({f"theme {entry['theme']}"} if entry.get("theme") else set())
        yield _page(entry["file"], "web", body, gold, entry, groups)


def _pack(archive: Path) -> Iterator[LabelledPage]:
    with tarfile.open(archive) as tar:
        files = {}
        for member in tar:
            if member.isfile():
                content = tar.extractfile(member)
                assert content is not None
                files[member.name.removeprefix("./")] = content.read()
    index = next(name for name in files if name.endswith("index.tsv"))
    root = index.removesuffix("index.tsv")
    for entry in csv.DictReader(files[index].decode("utf-8").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE):
        key = entry["id"]
        body = files[f"{root}html/{key}.html"]
        gold = files[f"{root}gold/{key}.txt"].decode("utf-8")
        domain = registered_domain(entry["site"]) if entry["site"] else key
        yield _page(key, entry["source"], body, gold, dict(entry) | {"site": domain}, {domain})


def _framed(bench: Path, seed: int) -> Iterator[LabelledPage]:
    """Manual pages of a built benchmark, some of each package and of each frame, those in Japanese first."""
    with gzip.open(bench / "truth" / "pages.tsv.gz", "rt", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t") if row["kind"] == "page"]
    with gzip.open(bench / "truth" / "main_text.jsonl.gz", "rt", encoding="utf-8") as lines:
        gold = {entry["url"]: entry["text"] for entry in map(json.loads, lines)}
    random.Random(seed).shuffle(rows)
    rows.sort(key=lambda row: row["lang"] != "ja")
    taken: dict[str, int] = defaultdict(int)
    wanted: dict[str, dict[str, str]] = {}
    for row in rows:
        package = template_of(row["pkg"])
        quota = f"skin {row['skin']}" if row["skin"] else f"package {package}"
        if len(gold.get(row["url"], "")) < 100 or row["truncated"] == "1":
            continue
        if taken[quota] < (FRAMED_PER_SKIN if row["skin"] else FRAMED_PER_PACKAGE) and taken[f"all {package}"] < 60:
            taken[quota] += 1
            taken[f"all {package}"] += 1
            wanted[row["record_id"]] = row
    for path in sorted((bench / "warc").glob("*.gz")):
        for record in read_records(str(path), 50_000_000):
            row = wanted.pop(record.record_id or "", {})
            if not row or record.type != "response":
                continue
            groups = {template_of(row["pkg"])}
            if row["skin"]:
                groups.add(registered_domain(row["skin"].partition("-")[2].partition("_")[0]))
            html = charset.decode(record.body, record.http_charset).text
            yield LabelledPage(
                f"framed {row['url']}",
                "framed",
                min(groups),
                frozenset(groups),
                None,
                row["url"],
                html,
                gold[row["url"]],
                gold[row["url"]],
            )


def _fixtures(folder: Path) -> Iterator[LabelledPage]:
    """The project's own pages: Japanese blogs, forums, shops and old mark-up in the manner of real sites."""
    for index in sorted(folder.glob("index-*.tsv")):
        for line in index.read_text(encoding="utf-8").splitlines():
            name, page_type, _ = line.split("\t")
            html = (folder / f"{name}.html").read_text(encoding="utf-8")
            gold = (folder / f"{name}.txt").read_text(encoding="utf-8")
            site = f"fixture {name}"
            yield LabelledPage(name, "fixtures", site, frozenset({site}), page_type, "", html, gold, gold)


def load_pages(data: Path, bench: Path | None = None, seed: int = 1) -> list[LabelledPage]:
    """All labelled pages under a folder with dev/, web/ and train/, and some of a built benchmark.

    Raises FileNotFoundError where a part is missing.
    """
    pages = [
        *_dev(data / "dev"),
        *_web(data / "web"),
        *_pack(data / "train" / "extraction.tar.xz"),
        *_fixtures(FIXTURES),
    ]
    return pages + (list(_framed(bench, seed)) if bench else [])
