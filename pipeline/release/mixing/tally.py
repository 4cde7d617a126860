"""What stands in the rows of a mix, counted by source, epoch, language and license."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from pipeline.files import read_batches
from pipeline.release.derived_record import TallyLine

BY = ("source", "epoch", "language", "license", "license_tier")
# Rows and tokens for each combination of values.
Counted = dict[tuple[str | int | None, ...], tuple[int, int]]


def add_to(counted: Counted, rows: pa.Table) -> None:
    """Add rows to counts."""
    groups = rows.select([*BY, "tokens"]).group_by(list(BY), use_threads=False)
    for line in groups.aggregate([([], "count_all"), ("tokens", "sum")]).to_pylist():
        key = tuple(line[name] for name in BY)
        rows_before, tokens_before = counted.get(key, (0, 0))
        counted[key] = (rows_before + line["count_all"], tokens_before + line["tokens_sum"])


def tally_lines(counted: Counted) -> list[TallyLine]:
    """Counts as a record holds them, in an order that is always the same."""
    ordered = sorted(counted.items(), key=lambda item: [(value is not None, value or "") for value in item[0]])
    return [TallyLine(**dict(zip(BY, key, strict=True)), rows=rows, tokens=tokens) for key, (rows, tokens) in ordered]


def tally_of(path: Path) -> list[TallyLine]:
    """The counts of a file of a mix."""
    counted: Counted = {}
    for batch in read_batches(path, [*BY, "tokens"], 65536):
        add_to(counted, pa.Table.from_batches([batch]))
    return tally_lines(counted)
