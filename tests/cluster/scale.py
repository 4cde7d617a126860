"""The same run in one process on this machine and on Ray nodes with an S3 server between them: `make scale-test`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipeline.storage import s3
from pipeline.storage.places import RemotePath
from tests.cluster.nodes import Nodes, ray_nodes, s3_server
from tests.cluster.outcome import Outcome, outcome_of
from tests.pipeline.conftest import ROOT, split_sample

BUCKET = "kamisuki"


@dataclass(frozen=True)
class Work:
    """What is run: a recipe over WARC files, with overrides."""

    recipe: str
    warcs: list[Path]
    overrides: tuple[str, ...] = ()

    def command(self, out: str, inputs: list[str], *more: str) -> list[str]:
        """The command line of a run."""
        given = [word for item in inputs for word in ("--input", item)]
        settings = [word for item in self.overrides for word in ("--set", item)]
        return [sys.executable, "-m", "pipeline.cli", "run", self.recipe, "--out", out, *given, *settings, *more]


def local_outcome(work: Work, folder: Path) -> Outcome:
    """What an undisturbed run in one process leaves in a folder."""
    command = work.command(str(folder), [str(path) for path in work.warcs], "--workers", "0")
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return outcome_of(folder)


@contextlib.contextmanager
def using_s3(environment: dict[str, str]) -> Iterator[None]:
    """Let this process find the S3 server of a cluster."""
    names = {name: value for name, value in environment.items() if name.startswith("AWS_")}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    s3._client_of.cache_clear()
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
        s3._client_of.cache_clear()


def upload(work: Work) -> list[str]:
    """Make the bucket and put the inputs into it; their URLs."""
    s3.client().create_bucket(Bucket=BUCKET)
    for path in work.warcs:
        s3.put(path, f"s3://{BUCKET}/warc/{path.name}")
    return [f"s3://{BUCKET}/warc/{path.name}" for path in work.warcs]


def run_on(
    nodes: Nodes, work: Work, inputs: list[str], out: str, log: int | IO[bytes], *more: str
) -> subprocess.Popen[bytes]:
    """Start a driver on the cluster's head; what it prints goes to `log`."""
    environment = {**nodes.environment, "KAMISUKI_CACHE": str(nodes.folder / "n0" / "cache")}
    command = work.command(out, inputs, "--ray-address", nodes.address, *more)
    return subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )


def nodes_at_work(nodes: Nodes) -> list[int]:
    """Numbers of the nodes that have fetched an input."""
    return [
        number for number in nodes.workers if any((nodes.folder / f"n{number}" / "cache" / "inputs").glob("*.data"))
    ]


@dataclass(frozen=True)
class Compared:
    """A run on a cluster beside one on this machine."""

    outcome: Outcome
    differences: list[str]
    at_work: list[int]
    seconds: float


def compare(work: Work, count: int, local: Outcome) -> Compared:
    """Run on `count` nodes over S3. Raises RuntimeError when the run does not end well."""
    with s3_server() as port, ray_nodes(count, f"http://127.0.0.1:{port}") as nodes, using_s3(nodes.environment):
        inputs = upload(work)
        nodes.wait_for_all()
        started = time.monotonic()
        process = run_on(nodes, work, inputs, f"s3://{BUCKET}/out", subprocess.PIPE)
        printed, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the run on {count} nodes failed:\n{printed.decode()}\n{nodes.logs()}")
        seconds = time.monotonic() - started
        outcome = outcome_of(RemotePath(f"s3://{BUCKET}/out"))
        return Compared(outcome, local.differences(outcome), nodes_at_work(nodes), seconds)


def main() -> None:
    """Print one line for each number of nodes; exit with 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--bench", type=Path, help="a benchmark folder; without it the embedded sample")
    parser.add_argument("--recipe", default="demo")
    given = parser.parse_args()
    wrong = False
    with tempfile.TemporaryDirectory(prefix="ks-scale-") as name:
        folder = Path(name)
        warcs = sorted((given.bench / "warc").glob("*.warc.gz")) if given.bench else split_sample(folder / "parts", 6)
        work = Work(given.recipe, warcs)
        local = local_outcome(work, folder / "local")
        for count in given.nodes:
            found = compare(work, count, local)
            unwell = [*found.differences, *found.outcome.wrong()]
            wrong = wrong or bool(unwell)
            told = {
                "nodes": count,
                "nodes_at_work": len(found.at_work),
                "tables": len(found.outcome.tables),
                "ledger_entries": len(found.outcome.entries),
                "seconds": round(found.seconds, 1),
                "differences": unwell,
            }
            print(json.dumps(told), flush=True)
    sys.exit(wrong)


if __name__ == "__main__":
    main()
