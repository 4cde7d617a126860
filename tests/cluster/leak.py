"""The same run again and again through one worker that is never replaced: `make leak-test`. Nothing may grow."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from pipeline.ray_runner import RayRunner
from pipeline.recipe import find_recipe, load_recipe
from pipeline.run import Run
from pipeline.storage import s3
from pipeline.storage.places import Place, RemotePath, delete_tree
from tests.cluster.nodes import CREDENTIALS, IDLE, command_line, descendants, s3_server
from tests.cluster.scale import BUCKET
from tests.pipeline.conftest import Quiet, split_sample

# Caches fill and modules are loaded in the first runs; what is looked at is what comes after them.
WARMING_RUNS = 5
CONFIDENCE = 0.95
SAMPLE_SECONDS = 0.25
# A measure is flat when growth faster than this can be ruled out: memory by half a hundredth of itself with each run,
# file handles by one in ten runs, Ray's object store by 10 kB.
MOST_GROWTH = {
    "worker_mb": 0.005,
    "driver_mb": 0.005,
    "worker_files": 0.1,
    "driver_files": 0.1,
    "object_store_kb": 10.0,
}
RELATIVE = ("worker_mb", "driver_mb")


@dataclass(frozen=True)
class Sample:
    """After a run: memory (resident, MB of 10^6 bytes) and file handles of worker and driver, and Ray's object store.

    `worker_peak_mb` is the most that the worker held during the run.
    """

    run: int
    worker: int
    worker_mb: float
    worker_peak_mb: float
    worker_files: int
    driver_mb: float
    driver_files: int
    object_store_kb: float


def resident(process: int) -> float:
    """Resident memory of a process in MB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def open_files(process: int) -> int:
    """How many file handles a process holds."""
    return len(os.listdir(f"/proc/{process}/fd"))


def the_worker() -> int:
    """The one worker of this process's Ray. Raises RuntimeError when there is none or more than one that worked."""
    agents = IDLE[1:]
    lines = {process: command_line(process) for process in descendants(os.getpid())}
    found = [process for process, line in lines.items() if line.startswith("ray::") and not line.startswith(agents)]
    # Ray starts a worker for each processor; ours has one.
    if len(found) != 1:
        raise RuntimeError(f"{len(found)} workers: {[lines[process] for process in found]}")
    return found[0]


def object_store_bytes() -> int:
    """What lies in the object store of this machine's Ray."""
    import ray

    name = "object_store_memory"
    return int(ray.cluster_resources()[name] - ray.available_resources().get(name, 0.0))


@contextlib.contextmanager
def peak_of(find: Callable[[], int]) -> Iterator[Callable[[], float]]:
    """The most resident memory that a process had within the block."""
    stop, most = threading.Event(), [0.0]

    def look() -> None:
        while not stop.wait(SAMPLE_SECONDS):
            with contextlib.suppress(RuntimeError, FileNotFoundError, ProcessLookupError):
                most[0] = max(most[0], resident(find()))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: most[0]
    finally:
        stop.set()
        thread.join()


def sample_runs(recipe: str, inputs: list[str], out: Place, runs: int) -> Iterator[Sample]:
    """Run a recipe again and again in an OUT that is emptied each time, and look after each run."""
    ray_runner = RayRunner(workers=1, tasks_per_worker=0)
    chosen = load_recipe(find_recipe(recipe))
    try:
        for number in range(1, runs + 1):
            with peak_of(the_worker) as peak:
                Run(chosen, out, ray_runner, Quiet(out)).execute(inputs)
            worker = the_worker()
            yield Sample(
                number,
                worker,
                round(resident(worker), 1),
                round(max(peak(), resident(worker)), 1),
                open_files(worker),
                round(resident(os.getpid()), 1),
                open_files(os.getpid()),
                round(object_store_bytes() / 1000, 1),
            )
            delete_tree(out)
    finally:
        ray_runner.close()


def growth(samples: list[Sample], measure: str) -> dict[str, Any]:
    """Slope of a measure by run with its confidence interval, and whether faster growth than allowed is ruled out."""
    late = samples[WARMING_RUNS:]
    values = np.array([getattr(sample, measure) for sample in late], float)
    runs = np.array([sample.run for sample in late], float)
    line = stats.linregress(runs, values)
    # Values that are all the same leave no room for error, which linregress calls not a number.
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(late) - 2) * np.nan_to_num(line.stderr))
    allowed = MOST_GROWTH[measure] * (float(values.mean()) if measure in RELATIVE else 1.0)
    return {
        "slope": round(float(line.slope), 4),
        "from": round(float(line.slope) - half, 4),
        "to": round(float(line.slope) + half, 4),
        "allowed": round(allowed, 4),
        "flat": bool(line.slope + half < allowed),
    }


def read_samples(path: Path) -> list[Sample]:
    """The samples of a file."""
    return [Sample(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def table(samples: list[Sample]) -> str:
    """The samples and the slopes as tables in Markdown."""
    columns = ["worker_mb", "worker_peak_mb", "worker_files", "driver_mb", "driver_files", "object_store_kb"]
    lines = ["| run | " + " | ".join(columns) + " |", "|" + " ---: |" * (len(columns) + 1)]
    for sample in samples:
        lines.append(f"| {sample.run} | " + " | ".join(str(getattr(sample, column)) for column in columns) + " |")
    lines += ["", "| measure | slope a run | 95 % interval | allowed | flat |", "| --- | ---: | --- | ---: | --- |"]
    for measure in MOST_GROWTH:
        found = growth(samples, measure)
        lines.append(
            f"| {measure} | {found['slope']} | {found['from']} to {found['to']} | {found['allowed']} | "
            f"{'yes' if found['flat'] else 'no'} |"
        )
    return "\n".join(lines)


@contextlib.contextmanager
def places(on_s3: bool, warcs: list[Path], folder: Path) -> Iterator[tuple[list[str], Place]]:
    """Where inputs and OUT lie: in a folder, or on an S3 server that runs for the length of the block."""
    os.environ["KAMISUKI_CACHE"] = str(folder / "cache")
    if not on_s3:
        yield [str(path) for path in warcs], folder / "out"
        return
    with s3_server() as port:
        os.environ.update({**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})
        s3._client_of.cache_clear()
        s3.client().create_bucket(Bucket=BUCKET)
        for path in warcs:
            s3.put(path, f"s3://{BUCKET}/warc/{path.name}")
        yield [f"s3://{BUCKET}/warc/{path.name}" for path in warcs], RemotePath(f"s3://{BUCKET}/out")


def main() -> None:
    """Print the curve and the slopes; exit with 1 when the worker was replaced or growth cannot be ruled out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path, help="a benchmark folder; without it the embedded sample")
    parser.add_argument("--recipe", default="demo")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--s3", action="store_true", help="inputs and OUT on an S3 server")
    parser.add_argument("--to", type=Path, default=Path("build/leak.jsonl"))
    given = parser.parse_args()
    if given.runs < WARMING_RUNS + 5:
        parser.error(f"a slope needs at least {WARMING_RUNS + 5} runs")
    given.to.parent.mkdir(parents=True, exist_ok=True)
    samples = []
    with tempfile.TemporaryDirectory(prefix="ks-leak-") as name:
        folder = Path(name)
        warcs = sorted((given.bench / "warc").glob("*.warc.gz")) if given.bench else split_sample(folder / "parts", 6)
        with places(given.s3, warcs, folder) as (inputs, out), open(given.to, "w") as file:
            for sample in sample_runs(given.recipe, inputs, out, given.runs):
                samples.append(sample)
                file.write(json.dumps(asdict(sample)) + "\n")
                file.flush()
                print(sample, file=sys.stderr, flush=True)
        shutil.rmtree(folder / "cache", ignore_errors=True)
    print(table(samples))
    workers = {sample.worker for sample in samples}
    print(f"\n{len(samples)} runs through {len(workers)} worker")
    sys.exit(len(workers) > 1 or not all(growth(samples, measure)["flat"] for measure in MOST_GROWTH))


if __name__ == "__main__":
    main()
