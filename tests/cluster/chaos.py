"""Runs over S3 on nodes that break, repeatable by seed: `make chaos`. In the end all is as if nothing had happened."""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from pipeline.storage.places import RemotePath
from tests.cluster.faults import LATE_STAGE, Scene, Weather, is_late, plan_faults, strike
from tests.cluster.nodes import Nodes, ray_nodes, s3_server
from tests.cluster.outcome import Outcome, outcome_of
from tests.cluster.scale import BUCKET, Work, local_outcome, run_on, upload, using_s3
from tests.pipeline.conftest import split_sample
from tests.pipeline.loopback import s3_proxy

NODES = 3
# Room for a node's inputs, scratch files and logs.
DISK_BYTES = 400 * 2**20
# A command that was given so often and has not ended well is not going to.
MOST_ATTEMPTS = 8
# A run of this project's benchmark takes one to three minutes undisturbed.
MOST_SECONDS = 900.0


class Operator:
    """Gives the command of a run again until it ends well, and notes how each attempt ended."""

    def __init__(self, nodes: Nodes, work: Work, inputs: list[str], out: str) -> None:
        self.nodes, self.work, self.inputs, self.out = nodes, work, inputs, out
        self.events = nodes.folder / "events.jsonl"
        self.attempts: list[dict[str, Any]] = []
        self.struck: list[str] = []
        self.driver = self._begin()

    def _begin(self) -> Any:
        self._log = open(self.nodes.folder / f"driver-{len(self.attempts)}.log", "w+b")  # noqa: SIM115
        return run_on(self.nodes, self.work, self.inputs, self.out, self._log, "--log-json", str(self.events))

    def ended_well(self) -> bool:
        """Whether the run is done; a driver that ended otherwise is followed by another."""
        if self.driver.poll() is None:
            return False
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        self._log.close()
        told = {"exit_code": self.driver.returncode, "struck": self.struck, "last_line": lines[-1] if lines else ""}
        self.attempts.append(told)
        if self.driver.returncode == 0:
            return True
        if len(self.attempts) >= MOST_ATTEMPTS:
            raise RuntimeError("the run does not end well: " + json.dumps(self.attempts, ensure_ascii=False, indent=1))
        self.struck = []
        self.driver = self._begin()
        return False

    def has_come_to(self, stage: str) -> bool:
        """Whether an attempt has begun with a stage."""
        return any(one["event"] == "stage_begin" and one["stage"] == stage for one in self._events())

    def _events(self) -> list[dict[str, Any]]:
        found = []
        for line in self.events.read_text().splitlines() if self.events.exists() else []:
            # A driver that was killed may have cut a line, to which the next one's first was added.
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    def counted(self) -> Counter[str]:
        """How many events of each kind all attempts have noted."""
        return Counter(one["event"] for one in self._events())


def disturb(operator: Operator, scene: Scene, seed: int) -> list[dict[str, Any]]:
    """Let the faults of a seed happen while the run is at work, and see it to its end; which of them hit what."""
    struck: list[dict[str, Any]] = []
    to_come = plan_faults(seed)[::-1]
    started = time.monotonic()
    due: float | None = None
    while not operator.ended_well():
        scene.driver = operator.driver
        scene.mend()
        if due is None and operator.has_come_to(LATE_STAGE if is_late(seed) else "extract"):
            due = time.monotonic() + to_come[-1].wait
        if time.monotonic() - started > MOST_SECONDS:
            raise RuntimeError(f"the run has not ended after {MOST_SECONDS:.0f} s; struck: {struck}")
        if to_come and due is not None and time.monotonic() >= due and (hit := strike(scene, to_come[-1])):
            fault = to_come.pop()
            operator.struck.append(fault.kind)
            struck.append({"kind": fault.kind, "hit": hit, "second": round(time.monotonic() - started, 1)})
            print(f"  {struck[-1]['second']:6.1f} s  {fault.kind}: {hit}", file=sys.stderr, flush=True)
            due = time.monotonic() + (to_come[-1].wait if to_come else 0.0)
        time.sleep(0.1)
    return struck


def chaos_run(work: Work, local: Outcome, seed: int) -> dict[str, Any]:
    """One run with the faults of a seed: what happened, and in what its outcome is not the undisturbed one's."""
    weather = Weather(random.Random(seed))
    with (
        s3_server() as port,
        s3_proxy(port, weather.mischief) as (endpoint, seen),
        ray_nodes(NODES, endpoint, DISK_BYTES) as nodes,
        using_s3({**nodes.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}),
    ):
        inputs = upload(work)
        nodes.wait_for_all()
        started = time.monotonic()
        operator = Operator(nodes, work, inputs, f"s3://{BUCKET}/out")
        struck = disturb(operator, Scene(nodes, weather, operator.driver), seed)
        outcome = outcome_of(RemotePath(f"s3://{BUCKET}/out"))
        events = operator.counted()
        return {
            "seed": seed,
            "records": sum(entry["read"] for entry in outcome.entries.values() if entry["stage"] == "extract"),
            "seconds": round(time.monotonic() - started, 1),
            "faults": struck,
            "requests": len(seen.requests),
            "requests_unanswered": seen.happened["gone"],
            "requests_503": seen.happened["busy"],
            "attempts": operator.attempts,
            "events": {name: events[name] for name in ("task_finish", "task_retry", "task_fail", "straggler")},
            "tables": len(outcome.tables),
            "ledger_entries": len(outcome.entries),
            "differences": [*local.differences(outcome), *outcome.wrong()],
        }


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of a file, by seed."""
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted(records, key=lambda record: record["seed"])


def table(records: list[dict[str, Any]]) -> str:
    """The records of runs as a table in Markdown."""
    kinds = list(dict.fromkeys(fault["kind"] for record in records for fault in record["faults"]))
    kinds.sort()
    head = ["seed", "records", "faults", *kinds]
    head += ["503", "unanswered", "tried again", "commands", "ended in error", "differences"]
    rows = []
    for record in records:
        count = Counter(fault["kind"] for fault in record["faults"])
        errors = sum(one["exit_code"] != 0 and not {"driver", "head"} & {*one["struck"]} for one in record["attempts"])
        rows.append(
            [record["seed"], record["records"], len(record["faults"]), *(count[kind] for kind in kinds),
             record["requests_503"], record["requests_unanswered"], record["events"]["task_retry"],
             len(record["attempts"]), errors, len(record["differences"])]
        )  # fmt: skip
    rows.append(["all", *(sum(row[column] for row in rows) for column in range(1, len(head)))])
    return "\n".join(
        "| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] + ["---:"] * (len(head) - 1), *rows)
    )


def main() -> None:
    """Add a line of JSON for each run to a file; print all that it holds as a table; exit with 1 at a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path, help="a benchmark folder; without it the embedded sample")
    parser.add_argument("--recipe", default="demo")
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--to", type=Path, default=Path("build/chaos.jsonl"))
    parser.add_argument("--local", type=Path, default=Path("build/chaos-local"), help="OUT of the undisturbed run")
    given = parser.parse_args()
    given.to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ks-chaos-") as name:
        folder = Path(name)
        warcs = sorted((given.bench / "warc").glob("*.warc.gz")) if given.bench else split_sample(folder / "parts", 6)
        work = Work(given.recipe, warcs)
        local = local_outcome(work, given.local)
        for seed in range(given.seed, given.seed + given.runs):
            record = chaos_run(work, local, seed)
            with open(given.to, "a") as file:
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
    records = read_records(given.to)
    print(table(records))
    sys.exit(any(record["differences"] for record in records))


if __name__ == "__main__":
    main()
