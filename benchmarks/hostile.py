"""Captures made to hurt, through the whole extract stage: each costs its own page, with a reason, and no other page.

    make bench-hostile-captures

Every capture stands between two sound ones in a WARC file of its own. Printed are what became of it, the processor
time, and the most memory that extracting the file took beyond what the process held. Then a whole run, from records to
corpus, over one file with all of them. Exits with 1 where an outcome is not the expected one, a sound page is lost, the
file of a capture took more than MOST_SECONDS or MOST_BYTES, or the run does not end well.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

from benchmarks.hostile_captures import DOCUMENT, Capture, captures, page, record
from pipeline.extract import extract_shard
from pipeline.extract_settings import Extract
from pipeline.plan import Input, Shard
from pipeline.report.status import known_tables

MOST_SECONDS = 5.0
MOST_BYTES = 300_000_000
SOUND = Capture(page(""), DOCUMENT)
RECIPE = "demo"


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor seconds, and bytes of memory at most beyond those held before."""

    seconds: float
    memory: int


def write(path: Path, given: list[Capture]) -> list[int]:
    """Write a WARC file of captures; the offset of each."""
    offsets = []
    with path.open("wb") as file:
        for number, capture in enumerate(given):
            offsets.append(file.tell())
            file.write(record(number, capture))
    return offsets


def outcomes(documents: Path, rejects: Path, offsets: list[int], size: int) -> list[str]:
    """What became of each capture: "document", the reason of its reject, or "nothing".

    A capture is known by its URL and, where its header cannot be read, by its place.
    """
    columns = ["url", "warc_offset"]
    rows = _rows(rejects, [*columns, "reason"]) + [row | {"reason": DOCUMENT} for row in _rows(documents, columns)]
    by_url = {row["url"]: row["reason"] for row in rows}
    nameless = sorted((row["warc_offset"], row["reason"]) for row in rows if row["url"] is None)
    found = []
    for number, (start, end) in enumerate(zip(offsets, [*offsets[1:], size], strict=True)):
        at_place = next((reason for offset, reason in nameless if start <= offset < end), "nothing")
        found.append(by_url.get(f"http://example.jp/{number}", at_place))
    return found


def _rows(folder: Path, columns: list[str]) -> list[dict[str, Any]]:
    files = [str(path) for path in sorted(folder.glob("*.parquet"))]
    return list(ds.dataset(files, format="parquet").to_table(columns).to_pylist())


def extracted(given: list[Capture], folder: Path) -> tuple[list[str], Cost]:
    """What becomes of captures in one file, and what extracting it cost."""
    path = folder / "hostile.warc.gz"
    offsets = write(path, given)
    for name in ("documents", "rejects"):
        (folder / name).mkdir(exist_ok=True)
    shard = asdict(Shard("hostile", (Input(str(path), path.name, path.stat().st_size),)))
    before = _reset_peak()
    started = time.process_time()
    extract_shard(shard, Extract().model_dump(mode="json"), f"{folder}/documents", f"{folder}/rejects")
    cost = Cost(time.process_time() - started, _memory("VmHWM") - before)
    return outcomes(folder / "documents", folder / "rejects", offsets, path.stat().st_size), cost


def _memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def _reset_peak() -> int:
    """Let the kernel forget the most memory so far (proc(5), clear_refs); returns what is held now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def whole_run(given: dict[str, Capture], folder: Path) -> tuple[int, dict[str, str], int]:
    """Exit status of a run over all captures with a sound one before each; what became of each; sound pages lost."""
    mixed = [each for capture in given.values() for each in (SOUND, capture)] + [SOUND]
    path = folder / "hostile.warc.gz"
    offsets = write(path, mixed)
    command = [sys.executable, "-m", "pipeline.cli", "run", RECIPE, "--input", str(path), "--out", str(folder / "out")]
    done = subprocess.run([*command, "--workers", "0"], stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        return done.returncode, {}, len(given) + 1
    tables = known_tables(folder / "out", None)[1]
    found = outcomes(
        folder / "out" / tables["documents"],
        folder / "out" / tables["extract_rejects"],
        offsets,
        path.stat().st_size,
    )
    return 0, dict(zip(given, found[1::2], strict=True)), sum(outcome != DOCUMENT for outcome in found[::2])


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="1 for the sizes that the captures are named for")
    given = captures(parser.parse_args().scale)
    kept = True
    with tempfile.TemporaryDirectory() as folder:
        # What is compiled and loaded once is nobody's cost.
        extracted([SOUND], Path(folder))
    print("| capture | became | seconds | memory, MB |\n|---|---|---:|---:|")
    for name, capture in given.items():
        with tempfile.TemporaryDirectory() as folder:
            found, cost = extracted([SOUND, capture, SOUND], Path(folder))
        within = cost.seconds <= MOST_SECONDS and cost.memory <= MOST_BYTES
        held = found == [DOCUMENT, capture.outcome, DOCUMENT]
        kept = kept and held and within
        marks = ("" if held else f" (**not {capture.outcome}**)") + ("" if within else " (**too dear**)")
        print(f"| {name} | {found[1]}{marks} | {cost.seconds:.2f} | {cost.memory / 1e6:.0f} |")
    with tempfile.TemporaryDirectory() as folder:
        status, found_there, lost = whole_run(given, Path(folder))
    counted = Counter(found_there.values())
    same = all(found_there.get(name) == capture.outcome for name, capture in given.items())
    print(f"\na run over all of them in one file: exit status {status}, sound pages lost {lost} of {len(given) + 1}")
    print("hostile captures: " + ", ".join(f"{outcome} {count}" for outcome, count in counted.most_common()))
    print(f"as each alone: {'yes' if same else 'no'}")
    return kept and status == 0 and lost == 0 and same


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
