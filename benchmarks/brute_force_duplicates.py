"""Hold the duplicates of a run against all pairs of its documents, compared in plain Python and SciPy.

    make check-duplicates OUT=…

Nothing of the project's own comparison is used: texts are normalised by unicodedata, n-grams are substrings, and the
sizes of all intersections are one product of sparse matrices. It holds all documents in memory: some ten thousand.
Exits with 1 when a removed page is under the limit to the page that stays for it, when that page does not stay, when
two equal texts both stay, when fewer pairs at the limit share a band of the run's signatures than theory has it, or
when more of them both stay than theory lets through.
"""

from __future__ import annotations

import math
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
from scipy.sparse import csr_matrix

from pipeline.dedup_settings import Dedup
from pipeline.recipe import Recipe
from pipeline.report.status import known_tables
from pipeline.run_folder import read_run

BY_RULE = "same_url"


def rows(out: Path, folder: str, columns: list[str]) -> list[dict]:
    files = [str(path) for path in sorted((out / folder).glob("*.parquet"))]
    return ds.dataset(files, format="parquet").to_table(columns=columns).to_pylist() if files else []


def comparable(text: str) -> str:
    """NFKC without white space, twice, since NFKC makes spaces of its own."""
    for _ in range(2):
        text = "".join(unicodedata.normalize("NFKC", text).split())
    return text


def grams(text: str, size: int) -> set[str]:
    if len(text) < size:
        return {text} if text else set()
    return {text[start : start + size] for start in range(len(text) - size + 1)}


def similar_pairs(texts: list[str], size: int, limit: float) -> dict[tuple[int, int], float]:
    """All pairs (first < second) whose Jaccard index reaches the limit."""
    numbers: dict[str, int] = {}
    columns, edges = [], [0]
    for text in texts:
        columns += [numbers.setdefault(gram, len(numbers)) for gram in grams(text, size)]
        edges.append(len(columns))
    ones = np.ones(len(columns), np.int32)
    sets = csr_matrix((ones, np.array(columns, np.int64), np.array(edges)), shape=(len(texts), max(1, len(numbers))))
    sizes = np.diff(edges)
    found = {}
    for start in range(0, len(texts), 500):
        shared = (sets[start : start + 500] @ sets.T).tocoo()
        first, second = shared.row + start, shared.col
        index = shared.data / (sizes[first] + sizes[second] - shared.data)
        for place in np.flatnonzero((first < second) & (index >= limit)).tolist():
            found[int(first[place]), int(second[place])] = float(index[place])
    return found


def theory(similarity: float, dedup: Dedup) -> float:
    """The chance that a pair shares a band."""
    return 1 - (1 - similarity**dedup.signature.rows) ** dedup.signature.bands


def shared_bands(out: Path, folder: str, place: dict[str, int]) -> dict[int, list[int]]:
    """The bands of compared documents as the run signed them."""
    return {place[row["id"]]: row["bands"] for row in rows(out, folder, ["id", "bands"]) if row["id"] in place}


def found_by_bands(
    pairs: dict[tuple[int, int], float], bands: dict[int, list[int]], dedup: Dedup
) -> tuple[int, float, float]:
    """How many pairs share a band, how many should, and the deviation of that number."""
    met = sum(any(map(int.__eq__, bands[first], bands[second])) for first, second in pairs)
    chances = [theory(value, dedup) for value in pairs.values()]
    return met, sum(chances), math.sqrt(sum(chance * (1 - chance) for chance in chances))


def main(out: Path) -> int:
    name, tables = known_tables(out, None)
    record = read_run(out)
    assert record is not None
    recipe = Recipe.model_validate(record["recipes"][name]["recipe"])
    dedup = recipe.dedup
    if dedup is None or dedup.measure != "jaccard" or dedup.scope != "all":
        raise SystemExit("only runs with dedup.measure: jaccard and dedup.scope: all are held against all pairs")
    eligible = {row["id"] for row in rows(out, tables["verdicts"], ["id", "passed"]) if row["passed"]}
    documents = rows(out, tables["documents"], ["id", "text"])
    if dedup.among == "passing":
        documents = [row for row in documents if row["id"] in eligible]
    if len({row["id"] for row in documents}) < len(documents):
        raise SystemExit("some ids stand twice: the same records were given in two inputs; leave one out")
    texts = [comparable(row["text"]) for row in documents]
    place = {row["id"]: index for index, row in enumerate(documents)}
    pairs = similar_pairs(texts, dedup.signature.ngram, dedup.similarity)
    removals = rows(out, tables["duplicates"], ["id", "kept_id", "similarity", "kind"])
    gone = {place[row["id"]] for row in removals}
    problems = []
    for row in removals:
        mine, kept = place[row["id"]], place[row["kept_id"]]
        true = pairs.get((min(mine, kept), max(mine, kept)))
        if texts[mine] == texts[kept]:
            true = 1.0
        if kept in gone:
            problems.append(f"{row['id']} went for {row['kept_id']}, which went too")
        if row["kind"] != BY_RULE and (true is None or abs(true - row["similarity"]) > 1e-9):
            problems.append(f"{row['id']} went as {row['kind']} with {row['similarity']:.4f}; true: {true}")
    by_text: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        by_text.setdefault(text, []).append(index)
    copies = [group for group in by_text.values() if len(group) > 1]
    twice = [group for group in copies if sum(index not in gone for index in group) > 1]
    both_stay = [value for (first, second), value in pairs.items() if first not in gone and second not in gone]
    expected = sum(1 - theory(value, dedup) for value in pairs.values())
    deviation = math.sqrt(sum(theory(value, dedup) * (1 - theory(value, dedup)) for value in pairs.values()))
    different = {pair: value for pair, value in pairs.items() if texts[pair[0]] != texts[pair[1]]}
    met, should_meet, sigma = found_by_bands(different, shared_bands(out, tables["signatures"], place), dedup)
    print(f"documents compared: {len(texts)}, pairs at {dedup.similarity} or above: {len(pairs)}")
    print(f"of {len(different)} pairs of different texts share a band: {met}; theory: {should_meet:.1f} ± {sigma:.1f}")
    print(f"removed: {len(removals)}, of them with a wrong survivor or similarity: {len(problems)}")
    print(f"texts that stand more than once: {len(copies)}, of which more than one copy stays: {len(twice)}")
    print(f"pairs of which both stay: {len(both_stay)}; theory lets through {expected:.1f} ± {deviation:.1f} at most")
    for problem in problems[:10]:
        print(problem)
    too_few = met < should_meet - 3 * sigma
    return 1 if problems or twice or too_few or len(both_stay) > expected + 3 * deviation else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
