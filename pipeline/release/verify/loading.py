"""Loading a release as its users do: datasets whole and as a stream, DuckDB, Polars; each must give the same rows."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import xxhash

from pipeline.release.manifest import Config, Manifest
from pipeline.release.verify.findings import Check

COLUMNS = ["id", "text"]
Row = tuple[str, str]


def _digest(rows: Iterable[Row]) -> tuple[int, int]:
    """How many rows there are, and a number that their order does not change and each id and text does."""
    count = total = 0
    for name, text in rows:
        count += 1
        total = (total + xxhash.xxh64_intdigest(f"{name}\0{text}".encode())) % 2**64
    return count, total


def _pyarrow(release: Path, manifest: Manifest, config: Config, split: str) -> Iterator[Row]:
    for file in manifest.files_of(config, split):
        with pq.ParquetFile(release / file.path) as parquet:
            for batch in parquet.iter_batches(columns=COLUMNS):
                yield from zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True)


def _duckdb(release: Path, manifest: Manifest, config: Config, split: str) -> Iterator[Row]:
    import duckdb

    files = [str(release / file.path) for file in manifest.files_of(config, split)]
    with duckdb.connect() as connection:
        connection.execute("SELECT id, text FROM read_parquet(?)", [files])
        while found := connection.fetchmany(1000):
            yield from found


def _polars(release: Path, manifest: Manifest, config: Config, split: str) -> Iterator[Row]:
    import polars

    for file in manifest.files_of(config, split):
        yield from polars.read_parquet(release / file.path, columns=COLUMNS).select(COLUMNS).iter_rows()


def _datasets(release: Path, manifest: Manifest, config: Config, split: str) -> Iterator[Row]:
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    with tempfile.TemporaryDirectory(prefix="kamisuki-verify-") as cache:
        for row in load_dataset(str(release), config.name, split=split, cache_dir=cache).select_columns(COLUMNS):
            yield row["id"], row["text"]


def _stream(release: Path, manifest: Manifest, config: Config, split: str) -> Iterator[Row]:
    from datasets import load_dataset

    for row in load_dataset(str(release), config.name, split=split, streaming=True).select_columns(COLUMNS):
        yield row["id"], row["text"]


LOADERS: dict[str, tuple[str, Callable[[Path, Manifest, Config, str], Iterator[Row]]]] = {
    "duckdb": ("duckdb", _duckdb),
    "polars": ("polars", _polars),
    "datasets": ("datasets", _datasets),
    "datasets stream": ("datasets", _stream),
}


def load(release: Path, manifest: Manifest) -> list[Check]:
    """A check for each loader: of every part and split the rows and their digest are those that pyarrow reads.

    One whose library is not installed says so in `holds` and looks at nothing.
    """
    # The first config of a task is all of it.
    whole = [next(config for config in manifest.configs if config.task == task.name) for task in manifest.tasks]
    splits = [(config, split) for config in whole for split in sorted({f.split for f in manifest.files})]
    splits = [(config, split) for config, split in splits if manifest.files_of(config, split)]
    checks = []
    wanted = {(config.name, split): _digest(_pyarrow(release, manifest, config, split)) for config, split in splits}
    for name, (library, read) in LOADERS.items():
        check = Check(f"load: {name}", "its rows are those that pyarrow reads")
        checks.append(check)
        if importlib.util.find_spec(library) is None:
            check.holds = f"not tried: {library} is not installed"
            continue
        for config, split in splits:
            try:
                found = _digest(read(release, manifest, config, split))
            except Exception as error:  # noqa: BLE001 - whatever a library says of the files, it did not load them
                check.fail(f"{config.name}, {split}: {type(error).__name__}: {error}")
                continue
            check.looked_at += found[0]
            if found != wanted[config.name, split]:
                check.fail(f"{config.name}, {split}: {found[0]:,} rows or their texts are not the files' own")
    return checks
