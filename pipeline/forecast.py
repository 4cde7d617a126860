"""A forecast: what a run will cost, from a measured sample and, for steps that look at all shards, from a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from scipy.stats import t as student

from pipeline import candidates, host_rates, repeats, resolve, robots_verdicts
from pipeline.exchange import partitions_for
from pipeline.forecast_sample import Sample
from pipeline.ray_runner import TASKS_PER_WORKER
from pipeline.recipe import Recipe
from pipeline.repeats_stage import BYTES_PER_LINE

CONFIDENCE = 0.9
# Of docs/dedup-scale.md, measured by `make scale-dedup`: steps over keys, by document; steps over texts, by letter.
KEYS_SECONDS, TEXTS_SECONDS = 33e-6, 208e-6 / 2_000
KEYS_BYTES, TEXTS_BYTES = 743.0, 2_528.0 / 2_000
KEY_STEPS = ("dedup: keys", "dedup: edges", "dedup: components", "dedup")
TEXT_STEPS = ("select: gather", "select: resolve")
# Tables whose rows are duplicates, of which a small sample has few.
DUPLICATE_TABLES = ("candidates", "duplicates")
# A run file on S3 is asked for its size, its end and one piece.
REQUESTS_A_RUN = 3
UNKNOWN = (
    "how fast other processors are: seconds are those of this machine",
    "the network's speed, and what Ray adds to a task (docs/cluster-scale.md)",
    "how many pages of the whole are duplicates: a sample has few, so the corpus is an upper bound",
    "the largest cluster of duplicates, which decides the memory of one task of select: resolve",
    "pages rarer than the sample's: the range says only how much its parts differ",
)


@dataclass(frozen=True)
class Range:
    """A value and between which two it is expected, nine times of ten; `how` is measured or model."""

    value: float
    low: float
    high: float
    how: str = "measured"

    def __add__(self, other: Range) -> Range:
        how = self.how if self.how == other.how else "measured and model"
        # Parts that are measured in one sample err together.
        return Range(self.value + other.value, self.low + other.low, self.high + other.high, how)


def _without_infinity(value: Any) -> Any:
    """JSON has no number for what has no bound: null."""
    if isinstance(value, dict):
        return {name: _without_infinity(each) for name, each in value.items()}
    return None if value == math.inf else value


NOTHING = Range(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Memory:
    """Of a stage: what each task reserves, and the most that one took in the sample, the command's own included."""

    reserved_bytes: int
    peak_bytes: int


@dataclass(frozen=True)
class Requests:
    """Requests to S3 where OUT lies there: PUTs, GETs of a shard's files with those of inputs, GETs of exchanges."""

    puts: int
    gets: int
    exchange_gets: int


@dataclass(frozen=True)
class Forecast:
    """What a run will cost; bytes, seconds of a processor, and numbers of documents and tasks."""

    recipe: str
    files: int
    files_measured: int
    input_bytes: Range
    shards: Range
    download_bytes: float
    sample_bytes: int
    sample_parts: int
    documents: Range
    letters: Range
    seconds: dict[str, Range]
    tasks: int
    start_seconds: float
    cores: int
    wall_seconds: float
    tables: dict[str, Range]
    scratch_bytes: Range
    memory: dict[str, Memory]
    requests: Requests
    unknown: tuple[str, ...] = field(default=UNKNOWN)

    def core_seconds(self) -> Range:
        """Of all stages, with the start of workers."""
        return sum(self.seconds.values(), NOTHING)

    def disk_bytes(self) -> Range:
        """Of all tables that stay."""
        return sum(self.tables.values(), NOTHING)

    def as_record(self) -> dict[str, Any]:
        """As a JSON object."""
        totals = {"core_seconds": asdict(self.core_seconds()), "disk_bytes": asdict(self.disk_bytes())}
        record: dict[str, Any] = _without_infinity(asdict(self) | totals)
        return record


def ratio(amounts: Mapping[str, float], sizes: Mapping[str, float], whole: float) -> Range:
    """What `whole` bytes give where sampled parts of `sizes` gave `amounts` (a ratio estimate, Cochran 1977, ch. 6).

    The range is Student's t for the spread of the parts around their common ratio; one part alone has no spread.
    """
    count, measured = len(sizes), sum(sizes.values())
    if not measured:
        return NOTHING
    rate = sum(amounts.get(shard, 0.0) for shard in sizes) / measured
    if measured >= whole:
        return Range(rate * whole, rate * whole, rate * whole)
    if count < 2:
        return Range(rate * whole, 0.0, math.inf)
    spread = sum((amounts.get(shard, 0.0) - rate * size) ** 2 for shard, size in sizes.items()) / (count - 1)
    error = math.sqrt(spread / count * (1 - measured / whole)) / (measured / count)
    reach = float(student.ppf((1 + CONFIDENCE) / 2, count - 1)) * error
    return Range(rate * whole, max(0.0, rate - reach) * whole, (rate + reach) * whole)


def scaled(
    amounts: Mapping[str, float], sizes: Mapping[str, float], whole: float, fixed: float = 0.0, shards: float = 0.0
) -> Range:
    """As `ratio`, for amounts of which each shard has `fixed` however small it is."""
    if sum(sizes.values()) >= whole:
        return ratio(amounts, sizes, whole)
    found = ratio({shard: max(0.0, amount - fixed) for shard, amount in amounts.items()}, sizes, whole)
    return Range(found.value + fixed * shards, found.low + fixed * shards, found.high + fixed * shards)


def forecast(
    recipe: Recipe, sample: Sample, files: int, files_measured: int, input_bytes: Range, robots_bytes: float,
    download_bytes: float, shards: Range, cores: int,
) -> Forecast:  # fmt: skip
    """What the run will cost whose inputs hold so many bytes, those of robots.txt among `robots_bytes`."""
    whole = input_bytes.value
    documents = ratio(sample.documents, sample.bytes, whole)
    letters = ratio(sample.letters, sample.bytes, whole)
    seconds: dict[str, Range] = {}
    for stage, work in sample.work.items():
        if stage in KEY_STEPS or stage in TEXT_STEPS:
            continue
        if set(work.seconds) <= set(sample.robots_bytes) and stage.startswith(("robots", "select: robots captures")):
            seconds[stage] = ratio(work.seconds, sample.robots_bytes, robots_bytes)
        elif set(work.seconds) <= set(sample.bytes):
            fixed = sample.fixed_seconds.get(stage, 0.0)
            seconds[stage] = scaled(work.seconds, sample.bytes, whole, fixed, shards.value)
        else:
            # Tasks by partition belong to no part: their total grows with the documents.
            share = sum(work.seconds.values()) / sum(sample.bytes.values())
            value = share * whole
            seconds[stage] = Range(value, value * _relative(documents, "low"), value * _relative(documents, "high"))
    scratch = NOTHING
    found = set(sample.documents)
    if recipe.dedup is not None and any(stage in sample.work for stage in KEY_STEPS):
        # More than half of the pages have a candidate in the measurements behind the model; none at all costs nothing.
        seconds["dedup"] = _model(documents, KEYS_SECONDS)
        seconds["select: gather, resolve"] = _model(letters, TEXTS_SECONDS)
        keys, texts = _model(documents, KEYS_BYTES), _model(letters, TEXTS_BYTES)
        # Keys are gone before texts are gathered.
        scratch = max(keys, texts, key=lambda each: each.value)
    tables = {
        table: ratio(sizes, sample.robots_bytes, robots_bytes)
        if table == "robots"
        else scaled(sizes, sample.bytes, whole, sample.fixed_bytes.get(table, 0.0), shards.value)
        for table, sizes in sample.tables.items()
        if table not in DUPLICATE_TABLES
    }
    counts = round(shards.value)
    by_shard = [stage for stage, work in sample.work.items() if set(work.seconds) <= found]
    partitions = _partitions(recipe, documents.value, letters.value)
    tasks = counts * len(by_shard) + sum(partitions.values())
    start = sample.start_seconds * max(1.0, tasks / TASKS_PER_WORKER)
    if start:
        seconds["start of workers"] = Range(start, start, start)
    scale = counts / len(sample.bytes)
    puts = sum(work.writes for stage, work in sample.work.items() if stage in by_shard) * scale
    gets = sum(work.reads for stage, work in sample.work.items() if stage in by_shard) * scale
    requests = Requests(
        round(puts) + 2 * sum(partitions.values()),
        round(gets),
        REQUESTS_A_RUN * counts * sum(partitions[name] * _times_read(name, sample) for name in partitions),
    )
    memory = {stage: Memory(work.reserved_bytes, work.peak_bytes) for stage, work in sample.work.items()}
    return Forecast(
        recipe.name, files, files_measured, input_bytes, shards, download_bytes, sum(sample.bytes.values()),
        len(sample.bytes), documents, letters, seconds, tasks, sample.start_seconds, cores,
        wall_seconds(seconds, counts, cores), tables, scratch, memory, requests,
    )  # fmt: skip


def wall_seconds(seconds: Mapping[str, Range], shards: int, cores: int) -> float:
    """How long `cores` take: each stage waits for the one before, and its last shards do not fill all cores."""
    return sum(each.value / cores + each.value / max(1, shards) * (1 - 1 / cores) for each in seconds.values())


def _relative(found: Range, end: str) -> float:
    return float(getattr(found, end)) / found.value if found.value else 1.0


def _model(of: Range, each: float) -> Range:
    return Range(of.value * each, 0.0, of.high * each, "model")


def _partitions(recipe: Recipe, documents: float, letters: float) -> dict[str, int]:
    """How many partitions each exchange of the whole run has, as the stages decide it."""
    size, found = int(3 * letters), {}
    if recipe.dedup is not None:
        keys = int(documents * (recipe.dedup.signature.bands + 4))
        found["keys"] = partitions_for(keys, candidates.ROWS_PER_PARTITION)
        found["texts"] = partitions_for(size // 2, resolve.BYTES_PER_PARTITION)
        if recipe.dedup.repeats is not None:
            found["lines"] = partitions_for(size // BYTES_PER_LINE, repeats.ROWS_PER_PARTITION)
    if recipe.select.host_signals():
        found["hosts"] = partitions_for(int(documents), host_rates.ROWS_PER_PARTITION)
    if recipe.select.judges_robots():
        pages = int(documents * robots_verdicts.BYTES_OF_A_PAGE)
        found["robots"] = partitions_for(pages, robots_verdicts.BYTES_PER_PARTITION)
    return found


def _times_read(name: str, sample: Sample) -> int:
    """How often the runs of an exchange are read: by its partitions, and where a way leads back by the shards."""
    return {"keys": 1, "texts": 2 + ("select: lines" in sample.work), "lines": 2, "hosts": 2, "robots": 2}[name]
