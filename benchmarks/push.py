"""A push beside huggingface_hub's own uploads of a folder: the same release, a stand-in Hub on loopback, in turns.

    make bench-push [ROWS=20000] [SHARD_BYTES=500000] [ROUNDS=3]

Sides are processes of their own: `kamisuki push`; `upload_folder` of the huggingface_hub that Kamisuki uses; and
`upload_large_folder`, which version 2 no longer has, of the last version before it (benchmarks/hub-1.txt). The Hub is
the tests' stand-in (tests/release/hub.py), which has no Xet storage, so that all take plain HTTP. Seconds are of the
clock with start-up, and of the processor. Once the Hub is well, and once a share of all requests meets a limit of
rates, a failure, a cut connection, a lost answer or a delay, by chance from the round's seed. A side that gives up is
started again, at most MOST_RUNS times; then what is on the Hub is held against the release.

Exits with 1 where ours does not arrive whole, or needs a second start.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.release.hub import TOKEN, Hub, seeded, serving
from tests.release.made import made_out, made_rows, release

REPO = "owner/bench"
MOST_RUNS, MOST_SECONDS = 20, 120
CHARACTERS = 1_000
SHARE = 0.15
UPLOAD_FOLDER = """
import sys
from huggingface_hub import HfApi
endpoint, repo, folder = sys.argv[1:]
api = HfApi(endpoint=endpoint)
api.create_repo(repo, repo_type="dataset", exist_ok=True)
api.upload_folder(repo_id=repo, repo_type="dataset", folder_path=folder, ignore_patterns=[".local/**"])
"""
UPLOAD_LARGE_FOLDER = """
import sys
from huggingface_hub import HfApi
endpoint, repo, folder = sys.argv[1:]
api = HfApi(endpoint=endpoint)
api.upload_large_folder(repo, folder, repo_type="dataset", ignore_patterns=[".local/**"], print_report=False)
"""


@dataclass(frozen=True)
class Took:
    """What a side took: seconds, what the Hub was asked, what arrived, how often it was started."""

    wall: float
    cpu: float
    commits: int
    requests: int
    uploads: int
    runs: int
    whole: bool


def made_release(folder: Path, rows: int, shard_bytes: int) -> Path:
    """A release whose text does not compress, in many files: a corpus of Chinese characters by chance."""
    chance = random.Random(7)
    texts = ["".join(map(chr, chance.choices(range(0x4E00, 0x9000), k=CHARACTERS))) for _ in range(rows)]
    made = [row | {"text": text, "characters": CHARACTERS} for row, text in zip(made_rows(rows), texts, strict=True)]
    release(made_out(folder / "out", made), folder / "release", shard_bytes=shard_bytes)
    return folder / "release"


def published(folder: Path) -> dict[str, bytes]:
    """What of a release must arrive."""
    files = (path for path in folder.rglob("*") if path.is_file())
    paths = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: path.read_bytes() for name, path in paths.items() if not name.startswith((".local/", ".cache/"))}


def commands(hub: Hub, folder: Path, peer: str) -> dict[str, list[str]]:
    """The command of each side."""
    ours = [sys.executable, "-m", "pipeline.cli", "push", str(folder), "--repo", REPO, "--endpoint", hub.url]
    given = [hub.url, REPO, str(folder)]
    return {
        "kamisuki push": ours,
        "upload_folder": [sys.executable, "-c", UPLOAD_FOLDER, *given],
        "upload_large_folder": [peer, "-c", UPLOAD_LARGE_FOLDER, *given],
    }


def take(side: str, source: Path, scratch: Path, peer: str, mischief: Any) -> Took:
    """Push a copy of the release to a new Hub until it is there or the side has been started too often."""
    folder = scratch / "copy"
    shutil.copytree(source, folder)
    environment = os.environ | {"HF_TOKEN": TOKEN, "HF_HOME": str(scratch / "hf"), "HF_HUB_DISABLE_XET": "1"}
    environment |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    with serving() as hub:
        hub.mischief = mischief
        before, started, runs, code = os.times(), time.perf_counter(), 0, 1
        while code and runs < MOST_RUNS:
            runs += 1
            try:
                code = subprocess.run(
                    commands(hub, folder, peer)[side],
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=MOST_SECONDS,
                ).returncode
            except subprocess.TimeoutExpired:
                code = 1
        wall, after = time.perf_counter() - started, os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        there = hub.content(REPO) if REPO in hub.repos else {}
        there.pop(".gitattributes", None)
        whole = there == published(source)
        took = Took(wall, cpu, hub.commits, len(hub.requests), len(hub.received), runs, whole)
    shutil.rmtree(folder)
    shutil.rmtree(scratch / "hf", ignore_errors=True)
    return took


def starting(command: list[str]) -> float:
    """Seconds of the processor until a side has loaded its code, the least of three."""
    taken = []
    for _ in range(3):
        before = os.times()
        subprocess.run(command, check=True)
        after = os.times()
        taken.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(taken)


def main() -> None:
    """Make the release, let each side push it in turn, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--shard-bytes", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", required=True, help="the Python of an environment with benchmarks/hub-1.txt")
    parser.add_argument("--scratch", type=Path, default=Path("build/push"))
    given = parser.parse_args()
    scratch = given.scratch.resolve()
    shutil.rmtree(scratch, ignore_errors=True)
    took: dict[tuple[str, str], list[Took]] = {}
    try:
        source = made_release(scratch, given.rows, given.shard_bytes)
        files = published(source)
        print(f"{len(files)} files, {sum(map(len, files.values())) / 1e6:,.0f} MB; {given.rounds} rounds")
        ours = starting([sys.executable, "-c", "import pipeline.cli, pipeline.release.push.pushing"])
        theirs = starting([sys.executable, "-c", "from huggingface_hub import HfApi"])
        print(f"loading the code alone: ours {ours:.1f} CPU s, huggingface_hub's {theirs:.1f}")
        sides = list(commands(Hub(), source, given.peer))
        for number in range(given.rounds):
            # Who begins changes.
            for side in sides[number % len(sides) :] + sides[: number % len(sides)]:
                for hub, mischief in (("well", Hub().mischief), ("failing", seeded(number + 1, SHARE))):
                    took.setdefault((hub, side), []).append(take(side, source, scratch, given.peer, mischief))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{'Hub':8} {'':20} {'s':>6} {'CPU s':>6} {'commits':>8} {'requests':>9} {'uploads':>8} {'starts':>7} whole")
    for hub in ("well", "failing"):
        for side in sides:
            each = took[hub, side]
            middle = {
                name: statistics.median(getattr(one, name) for one in each)
                for name in ("wall", "cpu", "commits", "requests", "uploads", "runs")
            }
            print(
                f"{hub:8} {side:20} {middle['wall']:6.1f} {middle['cpu']:6.1f} {middle['commits']:8.0f} "
                f"{middle['requests']:9.0f} {middle['uploads']:8.0f} {middle['runs']:7.0f} "
                f"{sum(one.whole for one in each)} of {len(each)}"
            )
    pushed = [one for (_, side), each in took.items() if side == "kamisuki push" for one in each]
    if not all(one.whole and one.runs == 1 for one in pushed):
        raise SystemExit("a push did not arrive whole at its first start")


if __name__ == "__main__":
    main()
