"""Hold a run against the truth of a benchmark folder: pages found, other languages let in, duplicates caught.

    python benchmarks/check_truth.py BENCH OUT

BENCH has truth/pages.tsv.gz, truth/dups.tsv and truth/main_text.jsonl.gz; OUT is a run over BENCH/warc.
Exits with 1 when a promise of docs/benchmarks.md is not kept.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import sys
from collections import Counter
from pathlib import Path

import pyarrow.dataset as ds

from pipeline.report.status import known_tables

JAPANESE_LETTERS = re.compile(
    "[\u3005\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)
LEAST_LETTERS = 400
LEAST_RECALL = 0.99
MOST_FOREIGN = 0.01
SHORTEST_DUPLICATE = 50


def table(out: Path, folder: str, columns: list[str]) -> list[dict]:
    files = [str(path) for path in sorted((out / folder).glob("*.parquet"))]
    return ds.dataset(files, format="parquet").to_table(columns=columns).to_pylist()


def read_truth(bench: Path) -> tuple[dict[str, dict], list[dict], dict[str, str]]:
    csv.field_size_limit(10**9)
    with gzip.open(bench / "truth/pages.tsv.gz", "rt", encoding="utf-8", newline="") as file:
        pages = {row["url"]: row for row in csv.DictReader(file, delimiter="\t")}
    with open(bench / "truth/dups.tsv", encoding="utf-8", newline="") as file:
        pairs = list(csv.DictReader(file, delimiter="\t"))
    with gzip.open(bench / "truth/main_text.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = {row["url"]: row["text"] for row in map(json.loads, file) if row["lang"] == "ja"}
    return pages, pairs, texts


def main(bench: Path, out: Path) -> bool:
    pages, pairs, texts = read_truth(bench)
    tables = known_tables(out, None)[1]
    documents = {row["url"]: row for row in table(out, tables["documents"], ["id", "url", "text", "charset"])}
    rejects = {row["url"]: row for row in table(out, tables["extract_rejects"], ["url", "reason", "detail"])}
    japanese = [url for url, text in texts.items() if len(JAPANESE_LETTERS.findall(text)) >= LEAST_LETTERS]
    found = [url for url in japanese if url in documents]
    recall = len(found) / len(japanese)
    print(
        f"pages labelled ja with {LEAST_LETTERS} Japanese letters of main text: {len(japanese)}, "
        f"documents: {recall:.4f}"
    )
    for url in japanese:
        if url not in documents:
            why = rejects.get(url, {"reason": "no row", "detail": None})
            print(f"  missing {url}: {why['reason']} {why['detail'] or ''}")
    # ja-mixed pages are Japanese ones with much English in them (half-translated manuals): not another language.
    foreign = [url for url in documents if pages[url]["lang"] not in ("ja", "ja-mixed")]
    share = len(foreign) / len(documents)
    print(f"documents: {len(documents)}, of another language: {len(foreign)} ({share:.4f})")
    for url in foreign[:20]:
        print(f"  foreign {pages[url]['lang']} {url} ({len(documents[url]['text'])} characters)")
    charsets = Counter((pages[url]["charset"], row["charset"]) for url, row in documents.items())
    print("charsets, true and found:", dict(charsets.most_common()))
    ids = {row["url"]: row["id"] for row in documents.values()}
    removed = {row["id"] for row in table(out, tables["duplicates"], ["id"])}
    missed = checked = 0
    for pair in pairs:
        ends = (pair["url_original"], pair["url_duplicate"])
        if pair["kind"] not in ("exact", "recoded") or not all(end in documents for end in ends):
            continue
        if min(len(re.sub(r"\s", "", documents[end]["text"])) for end in ends) < SHORTEST_DUPLICATE:
            continue
        checked += 1
        if not any(ids[end] in removed for end in ends):
            missed += 1
            print(f"  both kept: {pair['kind']} {ends[0]} {ends[1]}")
    print(f"exact and recoded duplicates of {SHORTEST_DUPLICATE} letters: {checked}, missed: {missed}")
    return recall >= LEAST_RECALL and share < MOST_FOREIGN and missed == 0


if __name__ == "__main__":
    sys.exit(0 if main(Path(sys.argv[1]), Path(sys.argv[2])) else 1)
