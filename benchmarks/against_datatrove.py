"""kamisuki and datatrove over the same WARC files, one worker each: rates, memory, right documents, and our own time.

    make bench BENCH=folder

BENCH is a benchmark folder (warc/*.warc.gz, truth/) in Common Crawl's mix of languages. Three engines read one of its
WARC files and then several: kamisuki with the recipe swallow-v2, datatrove as its package comes, and datatrove with a
test for kana before extraction and kamisuki's version of trafilatura, both with FineWeb-2's values for Japanese.

A rate is pages for each second of processor time, of all processes of an engine, from the difference of the two sizes;
what is left at the small size is the start-up. kamisuki's runs are short: the least of several counts, and the
difference within one process that has loaded everything is printed beside (benchmarks/loaded_run.py). Memory is the
most that an engine's processes held together, shared pages counted once. Exits with 1 where a promise of
docs/benchmarks.md is missed.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pyarrow.dataset as ds

from benchmarks.loaded_run import loaded_seconds
from benchmarks.reading_time import reading_report
from pipeline.report.status import known_tables
from pipeline.web.language import model_path
from training.score import score

LEAST_TIMES_SHIPPED, LEAST_TIMES_HONEST = 100.0, 10.0
# What a page of manuals that is read with its navigation, or without its code, still reaches.
RIGHT_F1 = 0.8
TURNS = 7
RECIPE = "configs/swallow-v2.yaml"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one run: processor seconds of all its processes, wall seconds, and the most memory at once in bytes."""

    cpu: float
    wall: float
    memory: int


@dataclass(frozen=True, slots=True)
class Truth:
    """Of the pages of the files that were read: how many there are, the Japanese ones' main texts by URL."""

    pages: int
    texts: dict[str, str]


def _children(process: int) -> list[int]:
    found = [process]
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            names = task.read_text().split()
        except OSError:
            # The thread or process ended between the two looks.
            continue
        for name in names:
            found += _children(int(name))
    return found


def _memory(process: int) -> int:
    """Bytes that a process and its children hold, each shared page counted in equal parts (PSS)."""
    total = 0
    for each in _children(process):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def measured(command: list[str], log: Path) -> Cost:
    """Run a command to its end. Raises SystemExit with its log's end when it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    most = [0]

    def watch() -> None:
        while process.poll() is None:
            most[0] = max(most[0], _memory(process.pid))
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    watcher.join()
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        tail = log.read_text("utf-8", "replace").splitlines()[-5:]
        raise SystemExit(f"{' '.join(command)} failed:\n" + "\n".join(tail))
    return Cost(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall, most[0])


def kamisuki_command(warc: Path, out: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "pipeline.cli", "run", RECIPE, "--input", f"{warc}/*.warc.gz"),
        *("--out", str(out), "--workers", "0"),
    ]


def datatrove_command(python: Path, warc: Path, out: Path, kana_first: bool) -> list[str]:
    return [
        *(str(python), "benchmarks/datatrove_pipeline.py", "--warc", str(warc), "--out", str(out)),
        *("--lid", str(model_path()), *(["--kana-first"] if kana_first else [])),
    ]


def read_truth(bench: Path, files: int) -> Truth:
    csv.field_size_limit(10**9)
    with gzip.open(bench / "truth/pages.tsv.gz", "rt", encoding="utf-8", newline="") as file:
        pages = {row["url"] for row in csv.DictReader(file, delimiter="\t") if int(row["shard"]) < files}
    with gzip.open(bench / "truth/main_text.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if row["lang"] == "ja" and row["url"] in pages]
    return Truth(len(pages), {row["url"]: row["text"] for row in rows})


def texts_of(out: Path, engine: str) -> dict[str, str]:
    """Texts by URL after extraction and language, before any test of quality."""
    if engine == "kamisuki":
        folder = out / known_tables(out, None)[1]["documents"]
        rows = ds.dataset([str(path) for path in sorted(folder.glob("*.parquet"))]).to_table(["url", "text"])
        return {row["url"]: row["text"] for row in rows.to_pylist()}
    rows = ds.dataset(str(out / "extracted"), format="parquet").to_table(["text", "metadata"])
    return {row["metadata"]["url"]: row["text"] for row in rows.to_pylist()}


def quality(texts: dict[str, str], truth: Truth) -> tuple[int, int, float]:
    """Of the Japanese pages: documents, right documents, and the mean F1, a page without a document counted as 0."""
    scores = [score(texts[url], gold).f1 if url in texts else 0.0 for url, gold in truth.texts.items()]
    found = sum(url in texts for url in truth.texts)
    return found, sum(value >= RIGHT_F1 for value in scores), sum(scores) / max(1, len(scores))


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path)
    parser.add_argument("--files", type=int, default=4, help="how many WARC files the larger size has")
    parser.add_argument("--shipped", type=Path, required=True, help="Python of the environment as shipped")
    parser.add_argument("--honest", type=Path, required=True, help="Python of the environment with our trafilatura")
    options = parser.parse_args()
    files = sorted((options.bench / "warc").glob("*.warc.gz"))[: options.files]
    truths = {size: read_truth(options.bench, size) for size in (1, len(files))}
    large = len(files)
    os.environ["TQDM_DISABLE"] = "1"
    engines = {
        "kamisuki": lambda warc, out: kamisuki_command(warc, out),
        "datatrove as shipped": lambda warc, out: datatrove_command(options.shipped, warc, out, False),
        "datatrove, kana first": lambda warc, out: datatrove_command(options.honest, warc, out, True),
    }
    costs: dict[tuple[str, int], Cost] = {}
    found: dict[str, tuple[int, int, float]] = {}
    with tempfile.TemporaryDirectory(prefix="kamisuki-bench-") as folder:
        for size in truths:
            warc = Path(folder) / f"warc-{size}"
            warc.mkdir()
            for file in files[:size]:
                (warc / file.name).symlink_to(file.resolve())
            for engine, command in engines.items():
                runs = []
                for turn in range(TURNS if engine == "kamisuki" else 1):
                    out = Path(folder) / f"{engine}-{size}-{turn}"
                    runs.append(measured(command(warc, out), Path(folder) / "log"))
                    if size == large and not turn:
                        found[engine] = quality(texts_of(out, engine), truths[large])
                    shutil.rmtree(out)
                best = min(runs, key=lambda cost: cost.cpu)
                costs[engine, size] = Cost(best.cpu, best.wall, max(cost.memory for cost in runs))
                print(f"{engine}, {size} files: {best.cpu:.2f} s of processor, {best.wall:.2f} s", file=sys.stderr)
    japanese = len(truths[large].texts)
    pages = {size: truth.pages for size, truth in truths.items()}
    print(
        f"{large} WARC files, {pages[large]} responses, {japanese} Japanese pages ({japanese / pages[large]:.1%}); "
        f"trafilatura {_version(options.shipped)} as shipped, {version('trafilatura')} with kana first\n"
    )
    print(
        "| engine | start-up, s | pages a second | times slower than kamisuki | memory, MB | Japanese documents "
        f"| right ones (F1 ≥ {RIGHT_F1}) | mean F1 |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    rates: dict[str, float] = {}
    for engine in engines:
        seconds = costs[engine, large].cpu - costs[engine, 1].cpu
        rates[engine] = (pages[large] - pages[1]) / seconds
        start_up = costs[engine, 1].cpu - pages[1] / rates[engine]
        documents, right, f1 = found[engine]
        print(
            f"| {engine} | {start_up:.1f} | {rates[engine]:,.1f} | {rates['kamisuki'] / rates[engine]:.1f} "
            f"| {costs[engine, large].memory / 1e6:.0f} | {documents} | {right} | {f1:.3f} |"
        )
    one, several = loaded_seconds(RECIPE, files)
    rate = (pages[large] - pages[1]) / (several - one)
    others = " and ".join(f"{rate / rates[engine]:.1f} times {engine}" for engine in engines if engine != "kamisuki")
    print(
        f"\nIn a process that has loaded everything kamisuki takes {one:.3f} s for 1 file and {several:.3f} s for "
        f"{large}: {rate:,.0f} pages a second, {others}."
    )
    kept = reading_report(files)
    times = {engine: rates["kamisuki"] / rates[engine] for engine in engines}
    promises = {
        f"{LEAST_TIMES_SHIPPED:.0f} times datatrove as shipped": times["datatrove as shipped"] >= LEAST_TIMES_SHIPPED,
        f"{LEAST_TIMES_HONEST:.0f} times datatrove with kana first": times["datatrove, kana first"]
        >= LEAST_TIMES_HONEST,
        "more right Japanese documents than either": all(
            found["kamisuki"][1] > found[engine][1] for engine in engines if engine != "kamisuki"
        ),
        **kept,
    }
    print("\n| promise | kept |\n|---|---|")
    for promise, holds in promises.items():
        print(f"| {promise} | {'yes' if holds else '**no**'} |")
    return all(promises.values())


def _version(python: Path) -> str:
    code = "from importlib.metadata import version; print(version('trafilatura'))"
    return subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
