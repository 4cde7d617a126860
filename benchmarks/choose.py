"""Time choosing again over a million rows of signals: judge by another recipe, sweep, filters, compare.

The embedded sample is run once by `swallow-v1`; its rows are repeated, and every number gets noise of a fixed seed, so
that limits cut through them. What is timed is what a user waits for: the tasks that judge, and the commands' functions.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.files import TableWriter, read_json, write_json
from pipeline.progress import Progress
from pipeline.recipe import find_recipe, load_recipe
from pipeline.report.compare import compare
from pipeline.report.sweep import sweep
from pipeline.report.worth import worth_of_filters
from pipeline.run import Run
from pipeline.runner import InProcessRunner

SAMPLE = Path(__file__).resolve().parent.parent / "tests" / "data" / "sample.warc.gz"
FIRST, SECOND = "swallow-v1", "swallow-v2"
SHARDS, SEED, NOISE = 10, 1, 0.2


class Quiet(Progress):
    def say(self, line: str) -> None: ...


def enlarge(source: Path, target: Path, rows: int, noise: float) -> None:
    """Copy a folder of one shard as SHARDS shards of repeated rows, numbers times a factor around 1, with a ledger."""
    (ledger,) = source.glob("*.ledger.json")
    entry, table = read_json(ledger), pq.read_table(source / ledger.name.replace(".ledger.json", ".parquet"))
    generator = np.random.default_rng(SEED)
    for number in range(SHARDS):
        shard, each = f"made-{number:02d}", rows // SHARDS
        taken = pa.array(generator.integers(0, table.num_rows, each) if noise else np.arange(each) % table.num_rows)
        columns = []
        for field in table.schema:
            column = table.column(field.name).take(taken)
            if noise and (pa.types.is_floating(field.type) or pa.types.is_integer(field.type)):
                factor = generator.normal(1.0, noise, each)
                noisy = np.abs(column.to_numpy() * factor)
                column = pa.chunked_array([pa.array(noisy).cast(field.type, safe=False)])
            columns.append(column)
        with TableWriter(target / f"{shard}.parquet", table.schema) as out:
            for batch in pa.table(columns, schema=table.schema).to_batches(max_chunksize=10_000):
                out.write(batch)
        name, output = next(iter(entry["outputs"].items()))
        outputs = {name: output | {"file": f"{shard}.parquet", "rows": each}}
        counts = {"read": each, "written": each, "rejected": {}, "errors": {}}
        write_json(target / f"{shard}.ledger.json", entry | {"shard": shard, "outputs": outputs} | counts)
    shutil.copy(source / "made_by.json", target / "made_by.json")


def make_run(folder: Path, rows: int) -> Path:
    """An OUT folder with a million rows of documents and signals that both recipes find."""
    small, large = folder / "small", folder / "large"
    for name in (SECOND, FIRST):
        Run(load_recipe(find_recipe(name)), small, InProcessRunner(), Quiet()).execute([str(SAMPLE)], last="annotate")
    record = json.loads((small / "run.json").read_text())
    tables = {name for recipe in record["recipes"].values() for name in recipe["tables"].values()}
    for name in sorted(tables):
        if name.startswith(("documents", "signals")):
            enlarge(small / name, large / name, rows, 0.0 if name.startswith("documents") else NOISE)
    shutil.copytree(small / "recipes", large / "recipes")
    shutil.copy(small / "run.json", large / "run.json")
    return large


def judge_again(out: Path, recipe: str) -> int:
    """Judge all shards by a recipe in this process, as `select` does; returns how many documents pass."""
    from pipeline.columns import chosen_recipe, find_columns
    from pipeline.select import judge_shard

    chosen = chosen_recipe(out, recipe)
    columns = find_columns(out, chosen, [rule.signal for rule in chosen.recipe.select.active_rules()])
    passed = 0
    for shard in columns.shards:
        signals = [
            (str(out / folder / f"{shard}.parquet"), list(names))
            for folder, names in columns.by_folder.items()
            if folder != columns.documents
        ]
        documents = str(out / columns.documents / f"{shard}.parquet")
        select = chosen.recipe.select.model_dump(mode="json", include={"rules"})
        passed += judge_shard(shard, documents, signals, str(out / "verdicts-again"), [], select)["written"]
    return passed


def timed(name: str, work: Callable[[], Any], show: Callable[[Any], str]) -> None:
    started, used = time.perf_counter(), time.process_time()
    found = work()
    print(
        f"{name:34} {time.perf_counter() - started:6.2f} s, {time.process_time() - used:6.2f} s of CPU   {show(found)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        out = make_run(Path(folder), rows)
        print(f"{rows:,} documents in {SHARDS} shards, one process")
        timed(f"judge by {SECOND}", lambda: judge_again(out, SECOND), lambda passed: f"{passed:,} pass")
        timed(f"judge by {FIRST}", lambda: judge_again(out, FIRST), lambda passed: f"{passed:,} pass")
        timed("sweep top_2gram_ratio", lambda: sweep(out, "top_2gram_ratio"), lambda x: f"{len(x.trials)} limits")
        timed(f"filters {FIRST}", lambda: worth_of_filters(out, FIRST), lambda x: f"{x.kept_pages:,} pass")
        timed(
            f"compare {FIRST} {SECOND}",
            lambda: compare(out, FIRST, SECOND),
            lambda x: f"{x.pages['both']:,} pass both",
        )


if __name__ == "__main__":
    main()
