"""The same work by one worker and by two: wall seconds of whole runs and of each stage, and how many times faster.

    make bench-scaling BENCH=folder

The benchmark's WARC files are given several times under other names, so that the start of Ray and of workers weighs as
little as in a run of a crawl. A run of each file once goes before and is not counted, so that nobody is the first to
meet the files and the code. Runs then take turns, and who begins changes; the least of each counts. The load of the
machine before each run is printed: what others do on it is in the seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path


def run(inputs: Path, folder: Path, workers: int) -> tuple[float, dict[str, float]]:
    """Wall seconds of a run, and of its stages as its events tell them."""
    events = folder / "events.jsonl"
    command = [
        *(sys.executable, "-m", "pipeline.cli", "run", "swallow-v2", "--input", f"{inputs}/*.warc.gz"),
        *("--out", str(folder / "out"), "--workers", str(workers), "--log-json", str(events)),
    ]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    took = time.perf_counter() - started
    stages: dict[str, float] = defaultdict(float)
    for line in events.read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "stage_end":
            stages[event["stage"]] += event["seconds"]
    return took, dict(stages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path)
    parser.add_argument("--times", type=int, default=8, help="how often each file is given")
    parser.add_argument("--turns", type=int, default=1)
    options = parser.parse_args()
    best: dict[int, tuple[float, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="kamisuki-scaling-") as scratch:
        inputs = Path(scratch) / "inputs"
        inputs.mkdir()
        for path in sorted((options.bench / "warc").glob("*.warc.gz")):
            for number in range(options.times):
                # Copies, not links: a link would be the same input.
                shutil.copy(path, inputs / f"{number}-{path.name}")
        once = Path(scratch) / "once"
        once.mkdir()
        for path in inputs.glob("0-*"):
            shutil.copy(path, once)
        before = Path(scratch) / "before"
        before.mkdir()
        run(once, before, 2)
        shutil.rmtree(before)
        for turn in range(options.turns):
            for workers in (1, 2) if turn % 2 == 0 else (2, 1):
                load = os.getloadavg()[0]
                folder = Path(scratch) / f"{turn}-{workers}"
                folder.mkdir()
                found = run(inputs, folder, workers)
                shutil.rmtree(folder)
                print(f"{workers} workers: {found[0]:.1f} s, load before {load:.1f}", file=sys.stderr, flush=True)
                if workers not in best or found[0] < best[workers][0]:
                    best[workers] = found
    print("| | 1 worker, s | 2 workers, s | times faster |\n|---|---:|---:|---:|")
    for stage, seconds in best[1][1].items():
        other = best[2][1][stage]
        print(f"| {stage} | {seconds:.1f} | {other:.1f} | {seconds / max(other, 1e-9):.2f} |")
    one, two = (sum(best[workers][1].values()) for workers in (1, 2))
    print(f"| all stages | {one:.1f} | {two:.1f} | {one / two:.2f} |")
    print(f"| the whole command | {best[1][0]:.1f} | {best[2][0]:.1f} | {best[1][0] / best[2][0]:.2f} |")


if __name__ == "__main__":
    main()
