"""A measured sample of a run: the beginnings of some inputs through the recipe's own stages, in a scratch folder."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO

from pipeline.entry_pack import read_entries
from pipeline.errors import UsageError
from pipeline.exchange import RUN_LIST
from pipeline.inputs import Given, sizes_of
from pipeline.progress import Progress
from pipeline.recipe import Recipe
from pipeline.run import Run
from pipeline.runner import InProcessRunner, Result, Task
from pipeline.selected import Selected
from pipeline.steps import Finished
from pipeline.storage.fetch import read_range
from pipeline.storage.http import Politeness
from pipeline.storage.places import OWN_STORE, RemotePath

# A first, small part loads compiled code and models, so that what is measured is work. Bytes.
WARM_UP_BYTES = 1_000_000
# Servers of others are asked for the sizes of at most so many files; the mean stands for the rest.
SIZES_ASKED = 64
# Files that cannot be cut are read whole, up to so many times what was to be sampled.
WHOLE_TIMES = 20


@dataclass(frozen=True)
class Part:
    """The beginning of an input, as a file of this machine or as the input that it is, and its compressed bytes."""

    path: str
    bytes: int


@dataclass
class Work:
    """What the tasks of one stage took in the sample, each number by shard.

    seconds: of the processor. reads and writes: files, as S3 would be asked for them, without those of an exchange.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    reads: int = 0
    writes: int = 0
    peak_bytes: int = 0
    reserved_bytes: int = 0


@dataclass(frozen=True)
class Sample:
    """A sample that ran: bytes of its parts by shard, work by stage, and of each table its bytes by shard.

    start_seconds: of the processor, for a worker to load what it needs. fixed_seconds and fixed_bytes: by stage and by
    table, what a shard takes however small it is.
    """

    bytes: dict[str, int]
    robots_bytes: dict[str, int]
    work: dict[str, Work]
    tables: dict[str, dict[str, int]]
    documents: dict[str, int]
    letters: dict[str, int]
    candidates: int
    start_seconds: float
    fixed_seconds: dict[str, float]
    fixed_bytes: dict[str, float]


def choose(places: list[Given], count: int, seed: int) -> list[Given]:
    """One of each of `count` equal ranges of the list, by chance of the seed: they spread over all of it."""
    chance = random.Random(seed)
    count = min(count, len(places))
    if not count:
        return []
    cuts = [len(places) * index // count for index in range(count + 1)]
    return [places[chance.randrange(first, last)] for first, last in pairwise(cuts)]


def known_sizes(places: list[Given], politeness: Politeness, seed: int) -> dict[Given, int]:
    """Sizes of the inputs: of all on disks and S3, of a sample of those on web servers."""
    far: list[Given] = [place for place in places if isinstance(place, RemotePath) and place.scheme != "s3"]
    left_out = set(far) - set(choose(far, SIZES_ASKED, seed)) if len(far) > SIZES_ASKED else set()
    return sizes_of([place for place in places if place not in left_out], politeness)


def cut_parts(chosen: list[Given], most: int, recipe: Recipe, folder: Path, sizes: dict[Given, int]) -> list[Part]:
    """The first `most` bytes of each input, in `folder`; inputs that cannot be cut as they are. Raises UsageError."""
    parts = []
    for number, given in enumerate(chosen):
        size = sizes[given] if given in sizes else sizes_of([given], recipe.sources.politeness())[given]
        if size <= most or recipe.ingest is not None or isinstance(given, Selected):
            parts.append(Part(str(given), size))
            continue
        path = folder / f"{number:02d}" / given.name
        path.parent.mkdir(parents=True)
        if isinstance(given, Path):
            with open(given, "rb") as source, open(path, "wb") as target:
                target.write(source.read(most))
        else:
            politeness = OWN_STORE if given.scheme == "s3" else recipe.sources.politeness()
            path.write_bytes(read_range(given.url, 0, most, politeness))
        parts.append(Part(str(path), most))
    whole = sum(part.bytes for part in parts)
    if whole > WHOLE_TIMES * most * len(parts):
        raise UsageError(
            f"the sample would read {whole / 1e6:,.0f} MB, since these inputs cannot be cut: give "
            f"--sample-mb {whole // len(parts) // WHOLE_TIMES // 1_000_000 + 1} or more, or fewer --sample-files"
        )
    return parts


def measure(recipe: Recipe, parts: list[Part], robots: list[Part], folder: Path) -> Sample:
    """Run the recipe over the parts. Raises what the run raises: what fails here would fail there."""
    small = _beginning(parts[0], folder / "first") if recipe.ingest is None else parts[0]
    loading = run_parts(recipe, [small], robots[:1], folder / "loading")
    alone = run_parts(recipe, [small], robots[:1], folder / "alone")
    found = run_parts(recipe, parts, robots, folder / "out")
    by_shard, robots_by_shard = found.shard_bytes()
    documents = found.done["documents"].entries
    candidates = found.done["candidates"].entries.values() if "candidates" in found.done else ()
    fixed_seconds, fixed_bytes = _fixed(alone, found, small.bytes, parts[0])
    return Sample(
        by_shard,
        robots_by_shard,
        found.watch.work,
        found.tables(),
        {shard: done.written for shard, done in documents.items()},
        {shard: done.characters_out for shard, done in documents.items()},
        sum(done.written for done in candidates),
        max(0.0, loading.seconds() - alone.seconds()),
        fixed_seconds,
        fixed_bytes,
    )


def _beginning(part: Part, folder: Path) -> Part:
    """A small piece of a part, where it can be cut."""
    whole = Path(part.path)
    if part.bytes <= WARM_UP_BYTES or not whole.is_file():
        return part
    folder.mkdir(parents=True)
    with open(whole, "rb") as source:
        (folder / whole.name).write_bytes(source.read(WARM_UP_BYTES))
    return Part(str(folder / whole.name), WARM_UP_BYTES)


def _fixed(alone: Ran, found: Ran, small: int, part: Part) -> tuple[dict[str, float], dict[str, float]]:
    """What a shard of no bytes would take: seconds by stage and bytes by table, from a part and its beginning."""
    seconds, sizes = {}, {}
    if small < part.bytes:
        (shard,) = [one.name for one in found.job.shards if one.inputs[0].path == os.path.realpath(part.path)]
        for stage, work in found.watch.work.items():
            if shard in work.seconds:
                less = sum(alone.watch.work[stage].seconds.values()) if stage in alone.watch.work else 0.0
                seconds[stage] = _at_nothing(less, work.seconds[shard], small, part.bytes)
        before = alone.tables()
        for table, held in found.tables().items():
            if shard in held and table in before:
                sizes[table] = _at_nothing(sum(before[table].values()), held[shard], small, part.bytes)
    return seconds, sizes


def _at_nothing(less: float, more: float, small: int, large: int) -> float:
    """Where the line through two points meets zero bytes; not below 0, and not above the smaller point."""
    return min(less, more, max(0.0, less - (more - less) / (large - small) * small))


@dataclass(frozen=True)
class Ran:
    """A run that ended: what it made, and what its tasks took."""

    job: Run
    watch: Recorder
    done: dict[str, Finished]

    def seconds(self) -> float:
        """Of the processor, of all tasks."""
        return sum(sum(work.seconds.values()) for work in self.watch.work.values())

    def tables(self) -> dict[str, dict[str, int]]:
        """Of each table its bytes by shard."""
        found: dict[str, dict[str, int]] = {}
        for finished in self.done.values():
            for entry, _ in read_entries(finished.folder):
                for output in entry.outputs.values():
                    found.setdefault(str(output["folder"]).rpartition("-")[0], {})[entry.shard] = output["bytes"]
        return found

    def shard_bytes(self) -> tuple[dict[str, int], dict[str, int]]:
        """Compressed bytes by shard, of pages and of captures of robots.txt."""
        return (
            {shard.name: shard.bytes for shard in self.job.shards},
            {shard.name: shard.bytes for shard in self.job.robots_shards},
        )


def run_parts(recipe: Recipe, parts: list[Part], robots: list[Part], out: Path) -> Ran:
    """Run a recipe over parts in this process, and note what each task takes."""
    watch = Recorder()
    job = Run(recipe, out, InProcessRunner(), watch)
    return Ran(job, watch, job.execute([part.path for part in parts], robots=[part.path for part in robots]))


class Recorder(Progress):
    """Notes what each task takes, and prints nothing."""

    def __init__(self) -> None:
        nowhere: TextIO = open(os.devnull, "w")  # noqa: SIM115 - it stays open for as long as this object is
        super().__init__(None, nowhere)
        self.work: dict[str, Work] = {}
        self._children = 0.0

    def started(self, task: Task) -> None:
        """A task begins: its peak of memory and its children's time are counted from here."""
        super().started(task)
        self._children = children_seconds()
        Path("/proc/self/clear_refs").write_text("5")

    def finished(self, result: Result) -> None:
        """A task ended."""
        super().finished(result)
        if result.counts is None:
            return
        work = self.work.setdefault(self.stage, Work())
        used = (result.cpu_seconds or 0.0) + children_seconds() - self._children
        work.seconds[result.task.shard] = work.seconds.get(result.task.shard, 0.0) + used
        work.peak_bytes = max(work.peak_bytes, _peak_bytes())
        work.reserved_bytes = max(work.reserved_bytes, result.task.memory_bytes)
        given = result.task.given()
        work.reads += sum(os.path.isfile(text) for text in _texts(given) if not text.endswith(RUN_LIST))
        work.writes += len(result.counts["outputs"]) + 1 + ("run" in given)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value if value.startswith("/") else ""
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def children_seconds() -> float:
    """Processor time of this process's children, ended or not: sandboxes of extractors."""
    times = os.times()
    total = times.children_user + times.children_system
    ticks = os.sysconf("SC_CLK_TCK")
    for task in Path("/proc/self/task").glob("*/children"):
        for child in task.read_text().split():
            try:
                fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            except FileNotFoundError:
                # It ended between the two looks, and is among those that ended at the next.
                continue
            total += (int(fields[11]) + int(fields[12])) / ticks
    return total


def _peak_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
