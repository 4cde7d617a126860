"""How soon a worker is ready whose compiled code is warm: seconds of CPU from numba's import to a first main text.

    make bench-ready

Counted in fresh processes of three kinds: one of this checkout, one of a copy of it that cannot be written to, and
Ray's workers. `first page` is reading a page and choosing its main text; `everything` is one call of each compiled
function of all stages.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pipeline", "filters", "dedup")
TURNS = 5
KINDS = ("numba's import", "first page", "everything")
CODE = "from benchmarks.worker_ready import measure; print(*measure())"
# Without this capability the superuser obeys the modes of files as everybody does (capabilities(7); PR_CAPBSET_DROP).
AS_ANYBODY = "import ctypes, os, sys; ctypes.CDLL(None).prctl(24, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"


def measure() -> tuple[float, ...]:
    """Seconds of CPU of each of KINDS in this process, the last two from numba's import on."""
    started = time.process_time()
    import numba  # noqa: F401

    imported = time.process_time()
    from pipeline.warm import PAGE, warm
    from pipeline.web.main_text import extract

    if not extract(PAGE).text:
        raise RuntimeError("no main text: the page of pipeline/warm.py was not read")
    first = time.process_time()
    warm()
    return imported - started, first - imported, time.process_time() - imported


def in_process(path: Path, home: Path) -> list[float]:
    """Measure in a fresh process of the packages at a path, as a user who may write to `home` only."""
    words = [sys.executable, "-c", AS_ANYBODY, sys.executable, "-c", CODE]
    environment = {**os.environ, "PYTHONPATH": str(path), "HOME": str(home)}
    environment.pop("XDG_CACHE_HOME", None)
    done = subprocess.run(words, env=environment, cwd=home, stdout=subprocess.PIPE, text=True, check=True)
    return [float(number) for number in done.stdout.split()]


def read_only_copy(folder: Path) -> Path:
    """The packages with their compiled code, whose folders nobody may write to."""
    for package in (*PACKAGES, "configs", "benchmarks"):
        shutil.copytree(ROOT / package, folder / package)
    set_mode(folder, 0o555)
    return folder


def set_mode(folder: Path, mode: int) -> None:
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(mode)


def in_ray(turns: int) -> list[tuple[float, ...]]:
    """Measure in as many of Ray's workers, each of which takes one task."""
    import ray

    ray.init(
        "local",
        num_cpus=1,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": ROOT.as_posix()}},
    )
    task = ray.remote(max_calls=1)(measure)
    try:
        return [ray.get(task.remote()) for _ in range(turns)]
    finally:
        ray.shutdown()


def show(name: str, turns: Iterable[Iterable[float]]) -> None:
    columns = zip(*turns)
    print(f"| {name} | " + " | ".join(f"{min(each):.2f} / {statistics.median(each):.2f}" for each in columns) + " |")


def main() -> None:
    from pipeline.warm import warm

    warm()
    print("| least / median of CPU seconds | " + " | ".join(KINDS) + " |")
    print("|---|" + "---:|" * len(KINDS))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = folder / "home"
        home.mkdir()
        show("a checkout", [in_process(ROOT, home) for _ in range(TURNS)])
        copy = read_only_copy(folder / "site")
        try:
            show("a read-only install", [in_process(copy, home) for _ in range(TURNS)])
        finally:
            set_mode(copy, 0o755)
    show("Ray's workers", in_ray(TURNS))


if __name__ == "__main__":
    main()
