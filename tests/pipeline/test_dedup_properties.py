"""Deduplication as a whole, over any pages: order, shards, ranges, retries, arrival and a repeat change nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import candidates, joining, resolve, sign, sorted_runs
from pipeline.dedup_settings import Dedup, Signature
from pipeline.files import TableWriter
from pipeline.schemas import DOCUMENTS, VERDICTS

DEDUP = Dedup(signature=Signature(preset="fineweb"), kinds=("exact", "same_url", "near"), similarity=0.7)
START = datetime(2024, 1, 1, tzinfo=UTC)
LETTERS = 120


@dataclass(frozen=True)
class Page:
    """A page of `text`, of which one or more stretches are others by `edits`, at an address and a day."""

    text: int
    edits: int
    address: int
    day: int
    short: bool

    def letters(self) -> str:
        letters = np.random.default_rng(self.text).integers(0x4E00, 0x4F00, LETTERS)
        places = np.random.default_rng([self.text, self.edits]).integers(0, LETTERS, self.edits)
        letters[places] = 0x5000 + self.edits
        return "".join(map(chr, letters[: 3 if self.short else LETTERS]))


PAGE = st.builds(
    Page,
    text=st.integers(0, 3),
    edits=st.sampled_from([0, 0, 1, 2, 3, 5, 9]),
    address=st.integers(0, 12),
    day=st.integers(0, 3),
    short=st.sampled_from([False, False, False, True]),
)
PAGES = st.lists(PAGE, min_size=1, max_size=24)


class Folder:
    """Shards of pages and the tasks over them. With `retry`, every task is done twice, as after a worker's death."""

    def __init__(self, folder: Path, retry: bool = False) -> None:
        self.folder = folder
        self.times = 2 if retry else 1
        self.settings = DEDUP.model_dump(mode="json", exclude={"rehydrate", "repeats"})
        self.settings["signature"] = DEDUP.signature.numbers()
        self.shards: list[str] = []

    def path(self, *parts: str) -> str:
        path = self.folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return str(path)

    def add(self, pages: dict[str, Page]) -> None:
        """Write and sign one more shard; those that are there stay as they are."""
        name = f"shard-{len(self.shards)}"
        self.shards.append(name)
        given = {
            "id": list(pages),
            "url": [f"https://{page.address}.example/" for page in pages.values()],
            "text": [page.letters() for page in pages.values()],
            "fetched_at": [START + timedelta(days=page.day) for page in pages.values()],
        }
        _write(self.path("documents", f"{name}.parquet"), DOCUMENTS, given)
        _write(self.path("verdicts", f"{name}.parquet"), VERDICTS, {"id": given["id"], "passed": [True] * len(pages)})
        self.path("signatures", "")
        for _ in range(self.times):
            documents, folder = self.path("documents", f"{name}.parquet"), self.path("signatures")
            sign.sign_shard(name, documents, folder, [], DEDUP.signature.numbers())

    def duplicates(self, partitions: int) -> dict[str, tuple[str, str, float]]:
        """Each removed id with the id that stays for it, the kind and the similarity."""
        for _ in range(self.times):
            self._propose(partitions)
        found = {}
        for _ in range(self.times):
            found = self._resolve(partitions)
        return found

    def _propose(self, partitions: int) -> None:
        keys = [self.path("keys", f"{name}.run") for name in self.shards]
        edges = [self.path("edges", f"{index}.run") for index in range(partitions)]
        for index, name in enumerate(self.shards):
            candidates.partition_keys(
                name, index, self.path("documents", f"{name}.parquet"), self.path("signatures", f"{name}.parquet"),
                self.path("keys"), keys[index], partitions, list(DEDUP.kinds), "all", {},
            )  # fmt: skip
        for index, edge in enumerate(edges):
            candidates.reduce_keys(f"{index}", index, partitions, keys, self.path("edges"), edge)
        members = self.path("members", "all.run")
        joining.join_in_memory("all", edges, self.path("members"), members, len(self.shards))
        self.path("candidates", "")
        for index, name in enumerate(self.shards):
            signatures = self.path("signatures", f"{name}.parquet")
            candidates.write_candidates(name, index, signatures, [members], self.path("candidates"), [])

    def _resolve(self, partitions: int) -> dict[str, tuple[str, str, float]]:
        texts = [self.path("texts", f"{name}.run") for name in self.shards]
        for index, name in enumerate(self.shards):
            tables = [self.path(table, f"{name}.parquet") for table in ("documents", "signatures", "verdicts")]
            resolve.gather_candidates(
                name, index, *tables[:2], [], tables[2], self.path("candidates", f"{name}.parquet"),
                self.path("texts"), texts[index], partitions, self.settings,
            )  # fmt: skip
        found = {}
        self.path("duplicates", "")
        for index in range(partitions):
            outcomes = self.path("outcomes", f"{index}.run")
            resolve.resolve_partition(
                f"{index}", index, texts, self.path("duplicates"), outcomes, len(self.shards), self.settings
            )
            for row in pq.read_table(self.path("duplicates", f"{index}.parquet")).to_pylist():
                found[row["id"]] = (row["kept_id"], row["kind"], row["similarity"])
        return found


def _write(path: str, schema: pa.Schema, given: dict[str, list]) -> None:
    rows = len(given["id"])
    with TableWriter(Path(path), schema) as out:
        columns = [pa.array(given.get(field.name, [None] * rows), field.type) for field in schema]
        out.write(pa.RecordBatch.from_arrays(columns, schema=schema))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pages=PAGES, order=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 24), max_size=2),
    partitions=st.integers(1, 4), retry=st.booleans(), block=st.sampled_from([5, 10**6]),
)  # fmt: skip
def test_order_shards_ranges_and_retries_change_nothing(
    tmp_path_factory, pages, order, cuts, partitions, retry, block
) -> None:
    named = {f"page-{number:02}": page for number, page in enumerate(pages)}
    once = Folder(tmp_path_factory.mktemp("once"))
    once.add(named)
    expected = once.duplicates(1)
    stay = [page.letters() for name, page in named.items() if name not in expected]
    assert len(set(stay)) == len(stay)
    shuffled = np.random.default_rng(order).permutation(list(named)).tolist()
    edges = [0, *sorted(min(cut, len(shuffled)) for cut in cuts), len(shuffled)]
    before = sorted_runs.ROWS_OF_A_BLOCK, sorted_runs.ROWS_AT_ONCE
    sorted_runs.ROWS_OF_A_BLOCK, sorted_runs.ROWS_AT_ONCE = block, block
    try:
        other = Folder(tmp_path_factory.mktemp("other"), retry)
        for start, stop in pairwise(edges):
            other.add({name: named[name] for name in shuffled[start:stop]})
        assert other.duplicates(partitions) == expected
    finally:
        sorted_runs.ROWS_OF_A_BLOCK, sorted_runs.ROWS_AT_ONCE = before


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=PAGES, new=PAGES, partitions=st.integers(1, 3))
def test_a_later_crawl_gives_what_all_at_once_gives_and_a_second_time_nothing_goes(
    tmp_path_factory, old, new, partitions
) -> None:
    first = {f"old-{number:02}": page for number, page in enumerate(old)}
    second = {f"new-{number:02}": page for number, page in enumerate(new)}
    at_once = Folder(tmp_path_factory.mktemp("once"))
    at_once.add(second | first)
    later = Folder(tmp_path_factory.mktemp("later"))
    later.add(first)
    alone = later.duplicates(partitions)
    signed = Path(later.path("signatures", "shard-0.parquet")).stat()
    later.add(second)
    together = later.duplicates(partitions + 1)
    assert together == at_once.duplicates(1)
    assert Path(later.path("signatures", "shard-0.parquet")).stat() == signed
    assert set(alone) <= set(first)
    kept = {name: page for name, page in (first | second).items() if name not in together}
    again = Folder(tmp_path_factory.mktemp("again"))
    again.add(kept)
    assert again.duplicates(partitions) == {}
