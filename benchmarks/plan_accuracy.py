"""What `kamisuki plan` predicts from parts of some WARC files, beside what a whole run over them then takes.

    make bench-plan BENCH=folder

Both run in this process, one after the other; seconds are those of the processor. Exits with 1 where the documents, the
processor time of all that the plan measures, or the disk of all tables that it predicts are off by more than a third.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from pipeline.forecast import Range
from pipeline.forecast_run import make_forecast
from pipeline.forecast_sample import Part, run_parts
from pipeline.recipe import find_recipe, load_recipe

MOST_OFF = 1 / 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path, help="folder with warc/*.warc.gz")
    parser.add_argument("--recipe", default="swallow-v2")
    parser.add_argument("--sample-files", type=int, default=4)
    parser.add_argument("--sample-mb", type=int, default=3)
    options = parser.parse_args()
    recipe = load_recipe(find_recipe(options.recipe), ())
    pattern = f"{options.bench}/warc/*.warc.gz"
    wanted = (options.sample_files, options.sample_mb * 1_000_000, 1)
    found = make_forecast(recipe, [pattern], [], wanted, 2, None)
    files = sorted((options.bench / "warc").glob("*.warc.gz"))
    parts = [Part(str(path.absolute()), path.stat().st_size) for path in files]
    with tempfile.TemporaryDirectory(prefix="kamisuki-plan-") as folder:
        ran = run_parts(recipe, parts, [], Path(folder) / "out")
        tables = {table: sum(sizes.values()) for table, sizes in ran.tables().items()}
        documents = sum(done.written for done in ran.done["documents"].entries.values())
    seconds = {stage: sum(work.seconds.values()) for stage, work in ran.watch.work.items()}
    print(f"{len(files)} files, {found.input_bytes.value / 1e6:.1f} MB; sampled: {found.sample_bytes / 1e6:.1f} MB\n")
    print("| | predicted | between | was |\n|---|---:|---:|---:|")
    _line("documents", found.documents, documents, 1, "")
    for stage, each in found.seconds.items():
        if stage in seconds and each.how == "measured":
            _line(stage, each, seconds[stage], 1, " s")
    for stage, steps in (("dedup", ("dedup",)), ("select: gather, resolve", ("select: gather", "select: resolve"))):
        if stage in found.seconds:
            was = sum(took for step, took in seconds.items() if step.startswith(steps))
            _line(f"{stage} (model)", found.seconds[stage], was, 1, " s")
    for table, each in sorted(found.tables.items()):
        _line(table, each, tables[table], 1e6, " MB")
    work = [stage for stage, each in found.seconds.items() if stage in seconds and each.how == "measured"]
    kept = [table for table in found.tables if table != "corpus"]
    pairs = {
        "documents": (found.documents.value, documents),
        "processor time": (sum(found.seconds[stage].value for stage in work), sum(seconds[stage] for stage in work)),
        "disk, without the corpus": (sum(found.tables[name].value for name in kept), sum(tables[n] for n in kept)),
    }
    print()
    for name, (predicted, was) in pairs.items():
        print(f"{name}: {predicted / was:.2f} times what it was")
    return int(any(abs(predicted / was - 1) > MOST_OFF for predicted, was in pairs.values()))


def _line(name: str, each: Range, was: float, unit: float, after: str) -> None:
    digits = 0 if not after else 2
    numbers = [f"{value / unit:,.{digits}f}" for value in (each.value, each.low, each.high, was)]
    print(f"| {name} | {numbers[0]}{after} | {numbers[1]} to {numbers[2]} | {numbers[3]}{after} |")


if __name__ == "__main__":
    sys.exit(main())
