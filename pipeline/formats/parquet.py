"""Parquet files: rows with their numbers from 0. What a damaged row group does not give is counted row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.formats.rows import BadRow, Row, WrongFormat

# Rows are handed on in portions of about so many bytes, so that memory does not grow with a row group.
_PORTION_BYTES, _PORTION_ROWS = 8_000_000, 1_024
_READ_BYTES = 1 << 20


def read_parquet(path: str, fields: Sequence[str], row_bytes: int) -> Iterator[Row | BadRow]:
    """The rows of a Parquet file with the columns that hold `fields`.

    Raises WrongFormat where the file is none, is cut (its directory stands at its end) or lacks a column.
    """
    try:
        file = pq.ParquetFile(path, buffer_size=_READ_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise WrongFormat(f"no whole Parquet file ({error}): fetch it again, or set ingest.format") from None
    with file:
        names = _columns_of(file.schema_arrow, fields)
        start = 0
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            yield from _read_group(file, group, count, start, names, row_bytes)
            start += count


def _columns_of(schema: pa.Schema, fields: Sequence[str]) -> list[str]:
    names = [name if name in schema.names else name.split(".")[0] for name in fields]
    missing = [field for field, name in zip(fields, names, strict=True) if name not in schema.names]
    if missing:
        raise WrongFormat(f"no column is called {missing[0]!r}; there are: {', '.join(schema.names)}")
    return list(dict.fromkeys(names))


def _read_group(
    file: pq.ParquetFile, group: int, count: int, start: int, names: list[str], row_bytes: int
) -> Iterator[Row | BadRow]:
    size = file.metadata.row_group(group).total_byte_size
    portion = max(1, min(_PORTION_ROWS, _PORTION_BYTES * count // max(1, size)))
    batches = file.iter_batches(batch_size=portion, row_groups=[group], columns=names)
    done = 0
    while done < count:
        try:
            batch = next(batches, None)
        except pa.ArrowMemoryError:
            raise
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            for number in range(done, count):
                yield BadRow(start + number, "damaged_input", f"row group {group}: {error}"[:300])
            return
        if batch is None:
            return
        yield from _rows(batch, start + done, row_bytes)
        done += batch.num_rows


def _rows(batch: pa.RecordBatch, start: int, row_bytes: int) -> Iterator[Row | BadRow]:
    batch = _with_readable_times(batch)
    try:
        found: list[Any] = batch.to_pylist()
    except (ValueError, OverflowError):
        found = [_row_alone(batch.slice(index, 1)) for index in range(batch.num_rows)]
    for index, values in enumerate(found):
        if isinstance(values, dict):
            size = _text_bytes(values)
            if size > row_bytes:
                yield BadRow(start + index, "row_too_large", value=size, limit=row_bytes)
            else:
                yield Row(start + index, values)
        else:
            yield BadRow(start + index, *values)


def _text_bytes(values: dict[str, Any]) -> int:
    """About how many bytes a row's texts have."""
    return sum(
        len(value.encode()) if isinstance(value, str) else len(value)
        for value in values.values()
        if isinstance(value, str | bytes)
    )


def _row_alone(one: pa.RecordBatch) -> dict[str, Any] | tuple[str, str]:
    try:
        return dict(one.to_pylist()[0])
    except UnicodeDecodeError as error:
        return "not_utf8", str(error.reason)
    except (ValueError, OverflowError) as error:
        return "wrong_type", str(error)[:200]


def _with_readable_times(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Times in microseconds, since Python has none finer."""
    for index, name in enumerate(batch.schema.names):
        kind = batch.schema.types[index]
        if pa.types.is_timestamp(kind) and kind.unit == "ns":
            times = pc.cast(batch.column(index), pa.timestamp("us", kind.tz), safe=False)
            batch = batch.set_column(index, name, times)
    return batch
