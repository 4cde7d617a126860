"""Deduplication as it grows: bands, components, verification and clusters of 1, 3 and 10 million made-up documents.

    make scale-dedup [DOCUMENTS='1000000 3000000 10000000'] [SCRATCH=build/scale]

Documents are 400 letters each, made from their numbers (benchmarks/scale_texts.py): sizes of clusters follow a power
law, and one cluster has 100,000. The pipeline's own tasks do all the work, one after the other, each step in a process
of its own; seconds are its processor time and the peak is that of the system's accounting, files that it maps
included. Texts are not kept: the two steps that read them make the documents anew, and the time of that is in them.
Exits with 1 when a removal joins two clusters or far neighbours, when a similarity that is computed again differs, when
a step takes 4 GiB, or when time grows faster than n log n.
"""

from __future__ import annotations

import json
import math
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from benchmarks.scale_texts import LETTERS, Plan, make_plan, texts
from pipeline import candidates, joining, resolve, sign
from pipeline.dedup_settings import Dedup, Signature
from pipeline.exchange import partitions_for
from pipeline.files import TableWriter
from pipeline.ledger import Entry, load_entry
from pipeline.schemas import DOCUMENTS, VERDICTS

PER_SHARD = 100_000
DEDUP = Dedup(signature=Signature(preset="swallow"), kinds=("exact", "near"), survivor=("id",))
MOST_BYTES = 4 * 2**30
SAMPLED = 1_000
BATCH = 10_000


class Scale:
    """The folder of one run and its tasks, step by step."""

    def __init__(self, folder: Path, documents: int) -> None:
        self.folder = folder
        self.plan: Plan = make_plan(documents)
        self.shards = [f"{index:05d}" for index in range(-(-documents // PER_SHARD))]
        self.partitions = partitions_for(documents * (DEDUP.signature.bands + 4), candidates.ROWS_PER_PARTITION)
        self.settings = DEDUP.model_dump(mode="json", exclude={"rehydrate", "repeats"})
        self.settings["signature"] = DEDUP.signature.numbers()

    def path(self, step: str, name: str, ending: str = "run") -> str:
        return str(self.folder / step / f"{name}.{ending}")

    def paths(self, step: str, names: list[str]) -> list[str]:
        return [self.path(step, name) for name in names]

    def numbers(self, shard: int) -> np.ndarray:
        return np.arange(shard * PER_SHARD, min(self.plan.documents, (shard + 1) * PER_SHARD))

    def write_documents(self, shard: int, with_text: bool) -> str:
        """The documents of a shard; its ids are their numbers."""
        path = Path(self.path("documents", self.shards[shard], "parquet"))
        with TableWriter(path, DOCUMENTS) as out:
            for numbers in _batches(self.numbers(shard)):
                given = {"id": ids_of(numbers)} | ({"text": texts(self.plan, numbers)} if with_text else {})
                out.write(_batch(DOCUMENTS, given, len(numbers)))
        return str(path)

    def sign(self) -> None:
        for index, shard in enumerate(self.shards):
            documents = self.write_documents(index, with_text=True)
            sign.sign_shard(shard, documents, str(self.folder / "signatures"), [], DEDUP.signature.numbers())
            Path(documents).unlink()

    def keys(self) -> None:
        for index, shard in enumerate(self.shards):
            documents = self.write_documents(index, with_text=False)
            candidates.partition_keys(
                shard, index, documents, self.path("signatures", shard, "parquet"), str(self.folder / "keys"),
                self.path("keys", shard), self.partitions, list(DEDUP.kinds), "all", {},
            )  # fmt: skip
            Path(documents).unlink()

    def edges(self) -> None:
        for index in range(self.partitions):
            name = f"{index:05d}"
            candidates.reduce_keys(
                name, index, self.partitions, self.paths("keys", self.shards), str(self.folder / "edges"),
                self.path("edges", name),
            )  # fmt: skip

    def components(self) -> None:
        names = [f"{index:05d}" for index in range(self.partitions)]
        joining.join_in_memory(
            "all", self.paths("edges", names), str(self.folder / "components"), self.path("components", "all"),
            len(self.shards),
        )  # fmt: skip

    def candidates(self) -> None:
        for index, shard in enumerate(self.shards):
            candidates.write_candidates(
                shard, index, self.path("signatures", shard, "parquet"), [self.path("components", "all")],
                str(self.folder / "candidates"), [],
            )  # fmt: skip

    def gather(self) -> None:
        for index, shard in enumerate(self.shards):
            documents, verdicts = self.write_documents(index, with_text=True), self.path("verdicts", shard, "parquet")
            with TableWriter(Path(verdicts), VERDICTS) as out:
                for numbers in _batches(self.numbers(index)):
                    given = {"id": ids_of(numbers), "passed": pa.array(np.ones(len(numbers), np.bool_))}
                    out.write(_batch(VERDICTS, given, len(numbers)))
            resolve.gather_candidates(
                shard, index, documents, self.path("signatures", shard, "parquet"), [], verdicts,
                self.path("candidates", shard, "parquet"), str(self.folder / "texts"), self.path("texts", shard),
                self.components_partitions(), self.settings,
            )  # fmt: skip
            Path(documents).unlink()

    def resolve(self) -> None:
        for index in range(self.components_partitions()):
            name = f"{index:05d}"
            resolve.resolve_partition(
                name, index, self.paths("texts", self.shards), str(self.folder / "duplicates"),
                self.path("outcomes", name), len(self.shards), self.settings,
            )  # fmt: skip

    def components_partitions(self) -> int:
        found = sum(entry.written for entry in self.entries("candidates", self.shards))
        return partitions_for(found * 3 * LETTERS, resolve.BYTES_PER_PARTITION)

    def entries(self, step: str, names: list[str]) -> list[Entry]:
        found = [load_entry(self.folder / step, name) for name in names]
        return [entry for entry in found if entry is not None]


STEPS: dict[str, Callable[[Scale], None]] = {
    "sign": Scale.sign,
    "keys": Scale.keys,
    "edges": Scale.edges,
    "components": Scale.components,
    "candidates": Scale.candidates,
    "gather": Scale.gather,
    "resolve": Scale.resolve,
}
FOLDERS = (
    *("documents", "verdicts", "signatures", "keys", "edges", "components", "candidates", "texts", "duplicates"),
    "outcomes",
)
# What no later step reads.
READ_FOR_THE_LAST_TIME = {"edges": "keys", "components": "edges", "candidates": "components", "resolve": "texts"}


def ids_of(numbers: np.ndarray) -> pa.Array:
    return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 10, "0")


def _batches(numbers: np.ndarray) -> list[np.ndarray]:
    return [numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH)]


def _batch(schema: pa.Schema, given: dict[str, pa.Array], rows: int) -> pa.RecordBatch:
    columns = [given.get(field.name, pa.nulls(rows, field.type)) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def check(scale: Scale) -> list[str]:
    """Print what was removed beside what was planted; returns what is wrong."""
    plan = scale.plan
    found = ds.dataset(str(scale.folder / "duplicates"), format="parquet", exclude_invalid_files=True).to_table(
        columns=["id", "kept_id", "similarity"]
    )
    lost, kept = (found.column(name).cast(pa.int64()).to_numpy() for name in ("id", "kept_id"))
    similarity = found.column("similarity").to_numpy()
    clusters, _ = plan.clusters(lost)
    others, _ = plan.clusters(kept)
    sizes = plan.sizes()
    numbers = np.arange(len(sizes))
    planted = int((sizes[~plan.far(numbers)] - 1).sum())
    strangers = int((clusters != others).sum())
    # Changes may meet, so that two far neighbours may be duplicates after all: their similarity decides.
    far, under = int(plan.far(clusters).sum()), int((similarity < DEDUP.similarity).sum())
    chosen = np.random.default_rng(1).choice(len(lost), min(SAMPLED, len(lost)), replace=False)
    wrong = 0
    pairs = zip(texts(plan, lost[chosen]).to_pylist(), texts(plan, kept[chosen]).to_pylist(), strict=True)
    for (left, right), given in zip(pairs, similarity[chosen].tolist(), strict=True):
        first, second = ({text[at : at + 5] for at in range(len(text) - 4)} for text in (left, right))
        wrong += len(first & second) / len(first | second) != given
    also_gone = int(np.isin(kept, lost).sum())
    print(
        f"planted duplicates {planted:,}, removed {len(lost):,} ({len(lost) / planted:.4f}); largest cluster "
        f"{int(sizes.max()):,}, of which stay {int(sizes.max() - (clusters == 0).sum()):,}"
    )
    print(
        f"removed for a page of another cluster {strangers}, far neighbours removed {far}, under the limit {under}, "
        f"for a page that went too {also_gone}, similarity wrong in {wrong} of {len(chosen)} computed again"
    )
    problems = {"strangers": strangers, "under the limit": under, "wrong": wrong, "gone too": also_gone}
    return [f"{name}: {count}" for name, count in problems.items() if count]


def run(folder: Path, documents: int) -> tuple[float, list[str]]:
    """One size: print its steps; returns seconds of the processor and what is wrong."""
    scale = Scale(folder, documents)
    print(f"\n{documents:,} documents\n\n| step | CPU, s | µs a document | peak, MB | written, MB |")
    print("|---|---:|---:|---:|---:|")
    seconds, problems = 0.0, []
    for name in STEPS:
        command = [sys.executable, "-m", "benchmarks.dedup_scale", "--step", name, str(folder), str(documents)]
        before = bytes_in(folder)
        done = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        written = bytes_in(folder) - before
        if name in READ_FOR_THE_LAST_TIME:
            shutil.rmtree(folder / READ_FOR_THE_LAST_TIME[name])
        seconds += done["seconds"]
        if done["bytes"] >= MOST_BYTES:
            problems.append(f"{name} took {done['bytes']:,} bytes")
        each = done["seconds"] / documents * 1e6
        print(
            f"| {name} | {done['seconds']:,.1f} | {each:.2f} | {done['bytes'] / 1e6:,.0f} | {written / 1e6:,.0f} |",
            flush=True,
        )
    print(f"| all | {seconds:,.1f} | {seconds / documents * 1e6:.2f} | | |\n")
    return seconds, problems + check(scale)


def step(name: str, folder: Path, documents: int) -> None:
    """Do one step in this process and print its cost; the start of Python and imports are not counted as time."""
    scale = Scale(folder, documents)
    for made in FOLDERS:
        (folder / made).mkdir(parents=True, exist_ok=True)
    started = time.process_time()
    STEPS[name](scale)
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "bytes": peak}))


def main(scratch: Path, sizes: list[int]) -> int:
    took: dict[int, float] = {}
    problems: list[str] = []
    for documents in sizes:
        folder = scratch / str(documents)
        shutil.rmtree(folder, ignore_errors=True)
        took[documents], wrong = run(folder, documents)
        problems += wrong
        shutil.rmtree(folder)
    least = min(took)
    for documents, seconds in took.items():
        allowed = took[least] * documents * math.log(documents) / (least * math.log(least))
        times, most = seconds / took[least], allowed / took[least]
        print(f"{documents:,} documents: {times:.2f} times the seconds; n log n: {most:.2f}")
        if seconds > allowed * 1.05:
            problems.append(f"{documents:,} documents took more than n log n")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    if sys.argv[1] == "--step":
        step(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        sys.exit(main(Path(sys.argv[1]), [int(size) for size in sys.argv[2:]]))
