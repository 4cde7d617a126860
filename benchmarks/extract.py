"""Main-text extraction side by side, in one run: quality by set and page type, then milliseconds a page.

    python -m benchmarks.extract --data ../shared/data [--bench DIR] [--candidates kamisuki trafilatura …]
                                 [--sets ja-sites …] [--times-only] [--out results.json] [--node-modules DIR]

Prints Markdown. Ours is scored on texts of models that saw no page of the same group; it is timed as shipped.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from benchmarks.extract_candidates import NAMES, NODE_MODULES, Candidate, Unavailable
from training.pages import LabelledPage, load_pages
from training.score import NGRAM, Score, interval, score

OURS = "kamisuki"
# Where `make train-extractor` leaves them.
OUT_OF_FOLD_TEXTS = Path("build/out-of-fold-texts.json")
BASELINE = "trafilatura"
PACK = ("wcxb", "articles", "readability")
SETS = ("ja-sites", "ja-manuals", "web", "zh", "other", *PACK, "fixtures")
# Its gold is what Readability.js's own tests expect of it.
NOTES = {"readability": "readability (gold made by Readability.js: no measure of it)"}
BY_TYPE = ("wcxb", "web")
TIMED = ("ja-sites", "ja-manuals")
REPEATS = 5
SHOWN_LETTERS = 20
SHOWN_RUNS = 2
LIBRARIES = ("trafilatura", "resiliparse", "jusText", "lxml")

Scores = dict[str, dict[str, Score]]
Texts = dict[str, str]


def score_peer(candidate: Candidate, pages: Sequence[LabelledPage]) -> tuple[dict[str, Score], dict[str, str]]:
    """Scores and failures of one candidate by page id; a failed page scores 0."""
    scores, failures = {}, {}
    for page in pages:
        outcome = candidate(page.html, page.url)
        if outcome.failure:
            failures[page.id] = outcome.failure
        scores[page.id] = Score(0.0, 0.0, 0.0) if outcome.failure else score(outcome.text, page.gold)
    return scores, failures


def score_ours(pages: Sequence[LabelledPage]) -> tuple[dict[str, Score], Texts]:
    """Cross-validated scores and texts of ours by page id, of the sets that are scored."""
    from training.crossval import out_of_fold_texts

    texts = out_of_fold_texts(list(pages), OUT_OF_FOLD_TEXTS)
    return {page.id: score(texts[page.id], page.gold) for page in pages if page.id in texts}, texts


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join([_row(header), _row(["---"] * len(header)), *map(_row, rows)])


def quality_table(
    title: str, pages: Sequence[LabelledPage], scores: Scores, failures: dict[str, dict[str, str]]
) -> str:
    """One set's means over pages; both intervals draw whole sites, and the difference is taken page by page."""
    sites = [page.site for page in pages]
    f1 = {name: np.array([found[page.id].f1 for page in pages]) for name, found in scores.items()}
    rows = []
    for name, found in scores.items():
        low, high = interval(f1[name], sites)
        precision = np.mean([found[page.id].precision for page in pages])
        recall = np.mean([found[page.id].recall for page in pages])
        difference = ""
        if BASELINE in f1 and name != BASELINE:
            ahead = f1[name] - f1[BASELINE]
            worst, best = interval(ahead, sites)
            difference = f"{ahead.mean():+.3f} [{worst:+.3f} {best:+.3f}]"
        failed = sum(page.id in failures.get(name, {}) for page in pages)
        rows.append(
            [
                name,
                f"{f1[name].mean():.3f}",
                f"[{low:.3f} {high:.3f}]",
                f"{precision:.3f}",
                f"{recall:.3f}",
                difference,
                str(failed),
            ]
        )
    header = ["candidate", "F1", "95 % by site", "precision", "recall", f"less {BASELINE}", "failed"]
    return f"### {title}: {len(pages)} pages of {len(set(sites))} sites\n\n{table(header, rows)}\n"


def quality_report(pages: Sequence[LabelledPage], scores: Scores, failures: dict[str, dict[str, str]]) -> str:
    """Every set, the training pack as a whole, and the page types of the sets that name them."""
    parts: list[tuple[str, list[LabelledPage]]] = []
    for name in SETS:
        parts.append((NOTES.get(name, name), [page for page in pages if page.set == name]))
        if name == PACK[-1]:
            parts.append((f"training pack ({', '.join(PACK)})", [page for page in pages if page.set in PACK]))
    for name in BY_TYPE:
        within = [page for page in pages if page.set == name]
        for kind in sorted({page.page_type for page in within if page.page_type}):
            parts.append((f"{name}, {kind}", [page for page in within if page.page_type == kind]))
    return "\n".join(quality_table(title, some, scores, failures) for title, some in parts if some)


def time_candidates(
    candidates: Sequence[Candidate], pages: Sequence[LabelledPage]
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Milliseconds of CPU a page, the best of REPEATS runs, and failed runs by candidate.

    Candidates take turns, each over all pages one behind the other, as an extractor runs over pages and not beside
    others, whose turn on the same page would leave it an empty cache; who begins changes with every round of turns.
    A page on which a candidate always fails counts with the time until it failed.
    """
    best = {candidate.name: [float("inf")] * len(pages) for candidate in candidates}
    failed: Counter[str] = Counter()
    for repeat in range(REPEATS):
        start = repeat % len(candidates)
        for candidate in (*candidates[start:], *candidates[:start]):
            for index, outcome in enumerate(candidate.turn([(page.html, page.url) for page in pages])):
                failed[candidate.name] += outcome.failure is not None
                best[candidate.name][index] = min(best[candidate.name][index], outcome.seconds * 1000)
    return best, failed


def timing_table(times: dict[str, list[float]], failed: dict[str, int]) -> str:
    """Median and p99; the ratio is the baseline's median over the candidate's."""
    rows = []
    for name, values in times.items():
        median, p99 = np.quantile(values, [0.5, 0.99])
        ratio = f"{np.median(times[BASELINE]) / median:.1f}" if BASELINE in times else ""
        rows.append([name, f"{median:.3f}", f"{p99:.2f}", ratio, str(failed[name])])
    count = len(next(iter(times.values())))
    header = ["candidate", "median ms", "p99 ms", f"times as fast as {BASELINE}", "failed runs"]
    title = f"### Time: {count} Japanese pages of dev, best of {REPEATS} turns over all of them, CPU time"
    return f"{title}\n\n{table(header, rows)}\n"


def uncovered_runs(text: str, other: str) -> list[str]:
    """The longest stretches of a text (without white space) of which no 5-gram stands in the other, longest first."""
    letters, known = "".join(text.split()), "".join(other.split())
    grams = {known[start : start + NGRAM] for start in range(len(known) - NGRAM + 1)}
    covered = np.zeros(len(letters), dtype=bool)
    for start in range(len(letters) - NGRAM + 1):
        if letters[start : start + NGRAM] in grams:
            covered[start : start + NGRAM] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[True], covered, [True]]).astype(np.int8)))
    runs = [letters[start:end] for start, end in zip(edges[::2], edges[1::2])]
    return sorted(runs, key=len, reverse=True)[:SHOWN_RUNS]


def shown(runs: Sequence[str]) -> str:
    """The beginnings of runs with their letters, in parts of a Markdown table."""
    cut = [f"{run[:SHOWN_LETTERS]}{'…' if len(run) > SHOWN_LETTERS else ''} ({len(run)})" for run in runs]
    text = "".join(letter if letter.isprintable() else "�" for letter in " / ".join(cut))
    for mark in "\\`*_|<[":
        text = text.replace(mark, f"\\{mark}")
    return text


def shown_id(key: str) -> str:
    """A page's name in a cell of a Markdown table."""
    return key.replace("|", "%7C")


def start_candidates(names: Sequence[str], node_modules: Path) -> list[Candidate]:
    """The candidates that can run here; why another cannot goes to standard error."""
    started = []
    for name in names:
        try:
            started.append(Candidate(name, node_modules))
        except Unavailable as reason:
            print(f"skipped {name}: {reason}", file=sys.stderr)
    return started


def library_versions() -> dict[str, str]:
    """What the figures were measured with; a library that is absent is left out."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            print(f"{name} is not installed", file=sys.stderr)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="benchmarks.extract", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with dev/, web/ and train/")
    parser.add_argument("--bench", type=Path, help="a built benchmark: its framed pages train models, are not scored")
    parser.add_argument("--candidates", nargs="+", choices=NAMES, default=list(NAMES), metavar="NAME", help=f"{NAMES}")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS, metavar="NAME", help=f"of {SETS}")
    parser.add_argument("--times-only", action="store_true", help="leave out the scores")
    parser.add_argument("--out", type=Path, help="write every page's scores and times here, as JSON")
    default = Path(os.environ.get("KAMISUKI_NODE_MODULES") or NODE_MODULES)
    parser.add_argument("--node-modules", type=Path, default=default, help="folder of npm install (%(default)s)")
    options = parser.parse_args(arguments)

    everything = load_pages(options.data, options.bench)
    chosen = [page for page in everything if page.set in options.sets]
    pages = [page for page in chosen if page.holds_its_gold]
    candidates = start_candidates(list(dict.fromkeys(options.candidates)), options.node_modules)
    if not candidates:
        parser.error("no candidate can run here")
    peers = [candidate for candidate in candidates if candidate.name != OURS]
    timed = [page for page in pages if page.set in TIMED]
    if options.times_only:
        print(timing_table(*time_candidates(candidates, timed)))
        for candidate in candidates:
            candidate.close()
        return
    scores: Scores = {}
    if len(peers) < len(candidates):
        ours, _ = score_ours(everything)
        scores[OURS] = {page.id: ours[page.id] for page in pages}
    # Two at a time: a child extracts while another's text is scored.
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = dict(zip((peer.name for peer in peers), pool.map(lambda peer: score_peer(peer, pages), peers)))
    scores |= {name: found for name, (found, _) in results.items()}
    failures = {name: failed for name, (_, failed) in results.items()}
    versions = library_versions()
    print(f"Measured with {', '.join(f'{name} {number}' for name, number in versions.items())}.\n")
    if len(pages) < len(chosen):
        left_out = ", ".join(shown_id(page.id) for page in chosen if not page.holds_its_gold)
        print(f"Not scored, as nothing of their gold is on the page (training/gold_overlays.tsv): {left_out}.\n")
    print(quality_report(pages, scores, failures))
    times, failed_runs = time_candidates(candidates, timed)
    print(timing_table(times, failed_runs))
    for candidate in candidates:
        candidate.close()
    if options.out:
        rows = [
            {"id": page.id, "set": page.set, "site": page.site, "page_type": page.page_type}
            | {"scores": {name: asdict(found[page.id]) for name, found in scores.items()}}
            for page in pages
        ]
        result = {"versions": versions, "pages": rows, "failures": failures, "milliseconds": times}
        options.out.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
