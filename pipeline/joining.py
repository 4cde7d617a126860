"""Joining: candidate edges in, components out; in one task while they fit into memory, in rounds over files beyond.

Edges lie in sorted runs as (mix(larger document), smaller document). `mix` spreads documents, whose numbers begin with
their shard, evenly over the ranges of keys. Both ways write the same members: (document, smallest document of its
component, size), by shard. The rounds take memory for one range of documents only, and each is a step of its own with
an entry for each range, so that a run that was killed goes on in the round where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from dedup.components import components_of_all, large_star, small_star
from dedup.shingles import mix, unmix
from pipeline.errors import KamisukiError
from pipeline.exchange import Runs, list_runs, run_list, run_places
from pipeline.ledger import Entry
from pipeline.runner import Task
from pipeline.sorted_runs import Groups, SortedRunWriter, groups, pieces_of, rows_of
from pipeline.steps import Job, Steps
from pipeline.storage.places import Place, as_place, delete, file_sizes

MEMORY_BYTES = 1_500_000_000
# SciPy's graph, its labels and what sorts them: measured by `make scale-dedup` at less than this for each document.
BYTES_PER_DOCUMENT = 160
# So that one task stays under 4 GiB. Above, rounds over files.
IN_MEMORY_DOCUMENTS = 15_000_000
# Each round at least halves the longest path; 64 are never reached by documents that 64 bits can number.
MOST_ROUNDS = 64


def shard_partition(documents: np.ndarray, shards: int) -> np.ndarray:
    """The partition of a document is its shard."""
    return (documents >> np.uint64(32)).astype(np.int64)


def join_in_memory(shard: str, runs: Runs, folder: str, run: str, shards: int) -> dict[str, Any]:
    """Join all edges in one task and write the members of components."""
    started = time.perf_counter()
    entry = Entry(shard, "dedup: components")
    pieces = pieces_of(run_places(runs), None)
    edges = ((rows[:, 1], unmix(np.ascontiguousarray(rows[:, 0]))) for rows in rows_of(pieces))
    members, component, size = components_of_all(edges)
    with SortedRunWriter(as_place(run), shards, columns=3, partition_of=shard_partition) as out:
        out.write(members, component, size.astype(np.uint64))
    entry.read = entry.written = len(members)
    entry.notes = {"edges": sum(piece.rows for piece in pieces), "components": int((members == component).sum())}
    entry.notes["largest_component"] = int(size.max(initial=0))
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


Rows = list[np.ndarray]


def _over_groups(
    step: str, shard: str, partition: int, runs: Runs, folder: str, out: SortedRunWriter,
    turn: Callable[[Groups, np.ndarray], Rows], notes: dict[str, int],
) -> dict[str, Any]:  # fmt: skip
    """Write what `turn` makes of each group of one partition, its documents given besides, and the entry."""
    started = time.perf_counter()
    entry = Entry(shard, f"dedup: {step}", notes=notes)
    with out:
        for group in groups(run_places(runs), partition):
            rows = turn(group, unmix(group.keys))
            out.write(*rows)
            entry.read += len(rows[0])
    entry.written = out.rows
    entry.reject("repeated", count=entry.read - entry.written)
    entry.seconds = time.perf_counter() - started
    entry.save(as_place(folder))
    return entry.__dict__


def small_star_part(shard: str, partition: int, partitions: int, runs: Runs, folder: str, run: str) -> dict[str, Any]:
    """`small_star` over one range of documents; edges go out by both ends, as `large_star` takes them."""
    notes = {"changed": 0}

    def turn(group: Groups, documents: np.ndarray) -> Rows:
        opens = np.zeros(len(documents), dtype=np.bool_)
        opens[group.starts] = group.opens
        larger, smaller, changed = small_star(documents, group.values, group.leasts(), opens)
        notes["changed"] += changed
        return [np.concatenate([mix(larger), mix(smaller)]), np.concatenate([smaller, larger])]

    out = SortedRunWriter(as_place(run), partitions)
    return _over_groups("small star", shard, partition, runs, folder, out, turn, notes)


def large_star_part(shard: str, partition: int, partitions: int, runs: Runs, folder: str, run: str) -> dict[str, Any]:
    """`large_star` over one range of documents; edges go out by their larger end."""
    notes = {"changed": 0}

    def turn(group: Groups, documents: np.ndarray) -> Rows:
        larger, smaller, changed = large_star(documents, group.values, group.leasts())
        notes["changed"] += changed
        return [mix(larger), smaller]

    out = SortedRunWriter(as_place(run), partitions)
    return _over_groups("large star", shard, partition, runs, folder, out, turn, notes)


def gather_stars(shard: str, partition: int, partitions: int, runs: Runs, folder: str, run: str) -> dict[str, Any]:
    """Bring each document to the middle of its star, and leave a mark at the document itself."""

    def turn(group: Groups, documents: np.ndarray) -> Rows:
        if (group.size > 1).any():
            raise KamisukiError("joining has not converged: a document is in two stars")
        return [np.concatenate([mix(group.values), group.keys]), np.concatenate([documents, documents])]

    return _over_groups("stars", shard, partition, runs, folder, SortedRunWriter(as_place(run), partitions), turn, {})


def label_stars(shard: str, partition: int, shards: int, runs: Runs, folder: str, run: str) -> dict[str, Any]:
    """Write the members of the stars whose middle is in one range of documents."""
    notes = {"components": 0, "largest_component": 0}

    def turn(group: Groups, documents: np.ndarray) -> Rows:
        middles = documents[group.starts]
        # Only a document that lies in a star itself has a mark, which then is the least that came to it.
        outer = group.least == middles
        if (group.size[outer] > 1).any():
            raise KamisukiError("joining has not converged: the middle of a star lies in another star")
        rows_of = np.diff(np.append(group.starts, len(documents)))
        inner, opening = ~np.repeat(outer, rows_of), ~outer & group.opens
        sizes, opening_sizes = np.repeat(group.size, rows_of)[inner] + 1, group.size[opening] + 1
        notes["components"] += len(opening_sizes)
        notes["largest_component"] = max(notes["largest_component"], int(opening_sizes.max(initial=0)))
        members = np.concatenate([group.values[inner], middles[opening]])
        component = np.concatenate([documents[inner], middles[opening]])
        return [members, component, np.concatenate([sizes, opening_sizes]).astype(np.uint64)]

    out = SortedRunWriter(as_place(run), shards, columns=3, partition_of=shard_partition)
    return _over_groups("components", shard, partition, runs, folder, out, turn, notes)


def join(steps: Steps, exchange: Place, edges: Runs, partitions: int, shards: int, bound: int) -> None:
    """Find the components of the edges in `edges`; their members come into run files, by shard, in `members_folder`.

    That folder lists them. bound: how many documents can have an edge at most; it decides between the two ways.
    """
    if bound > IN_MEMORY_DOCUMENTS:
        _join_in_rounds(steps, exchange, edges, partitions, shards)
        return
    folder = members_folder(exchange)
    run = str(folder / "members.run")
    arguments = {"shard": "components", "runs": edges, "folder": str(folder), "run": run, "shards": shards}
    task = Task("components", join_in_memory, arguments, MEMORY_BYTES + BYTES_PER_DOCUMENT * bound)
    list_runs(folder, [run])
    steps.do("dedup: components", folder, [Job(task)])


def members_folder(exchange: Place) -> Place:
    """Where `join` writes the members of components."""
    return exchange / "components"


def _join_in_rounds(steps: Steps, exchange: Place, edges: Runs, partitions: int, shards: int) -> None:
    step = partial(_step, steps, partitions)
    runs: Runs
    runs, before = edges, ""
    for turn in range(1, MOST_ROUNDS + 1):
        changed = 0
        for name, function in (("small", small_star_part), ("large", large_star_part)):
            folder = exchange / "rounds" / f"{turn:02d}-{name}"
            runs, found = step(f"dedup: {name} star {turn}", folder, function, runs, {"partitions": partitions})
            changed += found
            _forget(before)
            before = str(folder)
        if changed == 0:
            break
    else:
        raise KamisukiError(f"joining has not converged after {MOST_ROUNDS} rounds")
    runs, _ = step("dedup: stars", exchange / "stars", gather_stars, runs, {"partitions": partitions})
    step("dedup: components", members_folder(exchange), label_stars, runs, {"shards": shards})


def _step(
    steps: Steps, partitions: int, name: str, folder: Place, function: Callable[..., dict[str, Any]],
    runs: Runs, more: dict[str, int],
) -> tuple[Runs, int]:  # fmt: skip
    """Do a step over all ranges; return where its run files are listed and how many edges it changed."""
    jobs, written = [], []
    for index in range(partitions):
        shard = f"part-{index:05d}"
        written.append(str(folder / f"{shard}.run"))
        arguments = {"shard": shard, "partition": index, "runs": runs, "folder": str(folder), "run": written[-1]}
        jobs.append(Job(Task(shard, function, arguments | more, MEMORY_BYTES)))
    list_runs(folder, written)
    finished = steps.do(name, folder, jobs)
    return run_list(folder), sum(entry.notes.get("changed", 0) for entry in finished.entries.values())


def _forget(folder: str) -> None:
    """Remove the run files of a round that nothing reads any more; its entries stay and say that it was done."""
    if folder:
        done = as_place(folder)
        for name in file_sizes(done):
            if name.endswith(".run"):
                delete(done / name)
