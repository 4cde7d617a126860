"""Hold a run's duplicates against those that were planted in a benchmark folder, or that real pages are known to have.

    python -m benchmarks.duplicates_truth OUT --bench BENCH
    python -m benchmarks.duplicates_truth OUT --data DATA

BENCH has truth/dups.tsv and truth/natural.tsv, DATA has dev/real_near_duplicates.json. What pairs of pages have in
common is counted anew, in plain Python, on the text that the run extracted. Exits with 1 when an exact or recoded
duplicate of 50 letters or more stayed beside its original, or when more pairs at the limit both stayed than theory
lets through.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections import defaultdict
from pathlib import Path

from benchmarks.brute_force_duplicates import comparable, grams, rows, theory
from pipeline.dedup_settings import Dedup
from pipeline.recipe import Recipe
from pipeline.report.status import known_tables
from pipeline.run_folder import read_run

SHORTEST = 50
SAME_PAGE = ("exact", "recoded")


class Run:
    """Texts of a run's documents by URL, and what became of them."""

    def __init__(self, out: Path) -> None:
        name, tables = known_tables(out, None)
        record = read_run(out)
        assert record is not None
        dedup = Recipe.model_validate(record["recipes"][name]["recipe"]).dedup
        assert dedup is not None
        self.dedup: Dedup = dedup
        documents = rows(out, tables["documents"], ["id", "url", "text"])
        self.texts = {row["url"]: comparable(row["text"]) for row in documents}
        urls = {row["id"]: row["url"] for row in documents}
        gone = rows(out, tables["duplicates"], ["id", "kept_id", "kind"])
        self.gone = {urls[row["id"]]: (urls[row["kept_id"]], row["kind"]) for row in gone}

    def jaccard(self, first: str, second: str) -> float:
        left, right = (grams(self.texts[url], self.dedup.signature.ngram) for url in (first, second))
        return len(left & right) / max(1, len(left | right))


def read_tsv(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def planted(run: Run, bench: Path) -> bool:
    """Print what became of planted and natural pairs, by their kind."""
    pairs = [(row["kind"], row["url_original"], row["url_duplicate"]) for row in read_tsv(bench / "truth/dups.tsv")]
    pairs += [("natural", row["url_a"], row["url_b"]) for row in read_tsv(bench / "truth/natural.tsv")]
    by_kind: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for kind, first, second in pairs:
        if first in run.texts and second in run.texts:
            by_kind[kind].append((first, second))
    print("| kind | pairs | at the limit | both stay | theory lets through | under the limit, one went for the other |")
    print("|---|---:|---:|---:|---:|---:|")
    good = True
    for kind, found in sorted(by_kind.items()):
        if kind in SAME_PAGE:
            found = [pair for pair in found if min(len(run.texts[url]) for url in pair) >= SHORTEST]
        values = {pair: run.jaccard(*pair) for pair in found}
        near = [pair for pair in found if values[pair] >= run.dedup.similarity]
        chances = [theory(values[pair], run.dedup) for pair in near]
        lets, deviation = sum(1 - each for each in chances), math.sqrt(sum(each * (1 - each) for each in chances))
        stay = [pair for pair in near if not any(url in run.gone for url in pair)]
        wrong = [
            (one, other)
            for pair in found
            for one, other in (pair, pair[::-1])
            if values[pair] < run.dedup.similarity and run.gone.get(one, ("", ""))[0] == other
        ]
        by_rule = sum(run.gone[one][1] == "same_url" for one, _ in wrong)
        print(
            f"| {kind} | {len(found)} | {len(near)} | {len(stay)} | {lets:.1f} ± {deviation:.1f} "
            f"| {len(wrong)}, by address {by_rule} |"
        )
        good &= len(wrong) == by_rule and len(stay) <= lets + 3 * deviation
        if kind in SAME_PAGE:
            good &= not stay
    return good


def real(run: Run, data: Path) -> bool:
    """Print what became of pages that were crawled twice, years apart."""
    manifest = json.loads((data / "dev/manifest.json").read_text(encoding="utf-8"))
    urls = {row["file"]: row["warc_url"] for row in manifest["files"] if "warc_url" in row}
    print("| page | Jaccard of hand-checked texts | of ours | became |")
    print("|---|---:|---:|---|")
    good = True
    for pair in json.loads((data / "dev/real_near_duplicates.json").read_text(encoding="utf-8")):
        ends = [urls[pair[side]] for side in ("a", "b")]
        name = Path(pair["a"]).stem.split("@")[0]
        if not all(url in run.texts for url in ends):
            print(f"| {name} | {pair['jaccard_5gram_gold']} | | not both documents |")
            continue
        value = run.jaccard(*ends)
        kinds = [run.gone[one][1] for one, other in (ends, ends[::-1]) if run.gone.get(one, ("",))[0] == other]
        print(f"| {name} | {pair['jaccard_5gram_gold']} | {value:.3f} | {', '.join(kinds) or 'both stay'} |")
        good &= value >= run.dedup.similarity or not kinds
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--bench", type=Path)
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    run = Run(arguments.out)
    good = True
    if arguments.bench:
        good &= planted(run, arguments.bench)
    if arguments.data:
        good &= real(run, arguments.data)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
