"""A cluster that was never there: makespan of a run from measured costs, skew, preemption and the driver's bound.

    make simulate

All measured constants stand in `Measured`, with the command that printed each; what is assumed stands in `Assumed`. A
shard goes to the first core that is free; one whose node is preempted begins anew on another.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace

import numpy as np

from pipeline.storage.places import READERS


@dataclass(frozen=True)
class Measured:
    """Each with its source.

    extract_seconds: of a core for each MB of compressed WARC (`make bench-plan`: 8.38 s over 110.4 MB; a quarter of
    that benchmark's pages are Japanese, several times as many as a crawl's, so that a crawl takes less).
    document_seconds: for each document in annotate, sign, judge and select (the same: 1.41 s of 2,850). driver_seconds:
    of the driver for each task, ray_seconds: what Ray adds there (`make bench-driver`: 197 µs in extract; 1.0 ms,
    the median of five functions' arguments).
    keys_seconds, text_seconds: for each document (`make scale-dedup`, docs/dedup-scale.md).
    """

    extract_seconds: float = 8.38 / 110.4
    document_seconds: float = 1.41 / 2_850
    driver_seconds: float = 197e-6
    ray_seconds: float = 1.0e-3
    keys_seconds: float = 33e-6
    text_seconds: float = 208e-6


@dataclass(frozen=True)
class Assumed:
    """What nobody measured here.

    Common Crawl: files of a snapshot, MB of each, and Japanese documents in one (9 MB of documents, 6 kB each, as
    shards.yield_ratio has it). skew: standard deviation of the logarithm of a shard's cost. preempted: share of nodes
    that is lost in an hour. read_seconds: for one small read of S3, of which a task has `reads_at_once` under way, as
    the exchange does. stragglers: share of shards that take `straggler_times` as long.
    """

    files: int = 90_000
    file_mb: float = 1_000.0
    files_a_shard: int = 7
    documents_a_file: int = 1_500
    skew: float = 0.3
    preempted: float = 0.0
    read_seconds: float = 0.03
    reads_at_once: int = READERS
    straggler_times: float = 1.0
    stragglers: float = 0.0


MEASURED, ASSUMED = Measured(), Assumed()
CORES_A_NODE = 32
PARTITIONS = 4_096
READS_A_RUN = 3
# Of swallow-v2, exchanges included: extract, annotate, sign, keys, candidates, judge, gather, select.
STAGES_BY_SHARD = 8


def shard_costs(shards: int, given: Assumed, seed: int = 1) -> np.ndarray:
    """Core-seconds of each shard in extract and in the stages that work shard by shard; lognormal around the mean."""
    generator = np.random.default_rng(seed)
    one = given.file_mb * MEASURED.extract_seconds + given.documents_a_file * MEASURED.document_seconds
    each = given.files_a_shard * one
    costs = each * generator.lognormal(-(given.skew**2) / 2, given.skew, shards)
    slow = generator.random(shards) < given.stragglers
    return np.where(slow, costs * given.straggler_times, costs)


def schedule(
    costs: np.ndarray, cores: int, preempted: float, driver: float, longest_first: bool, seed: int = 1
) -> float:
    """Seconds until the last shard ends: list scheduling, no more tasks a second than the driver hands out."""
    generator = np.random.default_rng(seed)
    order = np.sort(costs)[::-1] if longest_first else costs
    free = [0.0] * min(cores, len(costs))
    heapq.heapify(free)
    end = handed = 0.0
    lost = preempted / 3600
    for cost in order.tolist():
        handed += driver
        begin = max(heapq.heappop(free), handed)
        # Losing a node while the shard runs costs what was done of it, as often as it happens.
        while lost and (until := generator.exponential(1 / lost)) < cost:
            begin += until
        heapq.heappush(free, begin + cost)
        end = max(end, begin + cost)
    return end


def global_seconds(shards: int, cores: int, given: Assumed) -> tuple[float, float]:
    """Seconds of steps that look at all documents: their processor time over the cores, and waiting for small reads."""
    documents = shards * given.files_a_shard * given.documents_a_file
    work = documents * (MEASURED.keys_seconds + MEASURED.text_seconds) / cores
    reads = 2 * READS_A_RUN * shards * PARTITIONS * given.read_seconds / given.reads_at_once
    return work, reads / min(cores, PARTITIONS)


@dataclass(frozen=True)
class Outcome:
    """Hours of a simulated run, and the share of the cores' time in which they worked on what was needed."""

    by_shard: float
    driver: float
    work: float
    reads: float
    efficiency: float


def simulate(nodes: int, snapshots: int, given: Assumed = ASSUMED, longest_first: bool = True) -> Outcome:
    """One run of so many snapshots on so many nodes."""
    cores = nodes * CORES_A_NODE
    shards = -(-snapshots * given.files // given.files_a_shard)
    costs = shard_costs(shards, given)
    driver = MEASURED.driver_seconds + MEASURED.ray_seconds
    span = schedule(costs, cores, given.preempted, driver, longest_first)
    work, reads = global_seconds(shards, cores, given)
    total = span + work + reads
    useful = (costs.sum() + work * cores) / (total * cores)
    return Outcome(span / 3600, driver * shards * STAGES_BY_SHARD / 3600, work / 3600, reads / 3600, float(useful))


def line(name: str, found: Outcome) -> None:
    total = found.by_shard + found.work + found.reads
    print(
        f"| {name} | {total:,.1f} | {found.by_shard:,.1f} | {found.work:,.2f} | {found.reads:,.1f} "
        f"| {found.driver:,.2f} | {found.efficiency:.0%} |",
        flush=True,
    )


def main() -> None:
    print(f"{CORES_A_NODE} cores a node; {ASSUMED.files:,} files a snapshot, {ASSUMED.files_a_shard} a shard\n")
    print("| | hours | shard by shard | global: work | global: small reads | driver, all tasks | efficiency |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for snapshots in (1, 10, 94):
        for nodes in (10, 100, 1_000):
            line(f"{snapshots} snapshots, {nodes:,} nodes", simulate(nodes, snapshots))
    nodes, snapshots = 1_000, 10
    line("10 snapshots, 1,000 nodes: as they come", simulate(nodes, snapshots, longest_first=False))
    for share in (0.05, 0.2, 0.5):
        given = replace(ASSUMED, preempted=share)
        line(f"… {share:.0%} of nodes preempted in an hour", simulate(nodes, snapshots, given))
    given = replace(ASSUMED, stragglers=0.001, straggler_times=10.0)
    line("… one shard in a thousand takes ten times as long", simulate(nodes, snapshots, given))
    line("… the same, as they come", simulate(nodes, snapshots, given, longest_first=False))
    line("… small reads one after the other", simulate(nodes, snapshots, replace(ASSUMED, reads_at_once=1)))


if __name__ == "__main__":
    main()
