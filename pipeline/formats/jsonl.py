"""JSON lines: one object a line, plain or compressed. The number of a row is that of its line, from 0."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import BinaryIO

from pipeline.formats.compressed import DamagedInput, damage_named, open_decompressed
from pipeline.formats.rows import BadRow, Row, WrongFormat

_SKIPPED_BYTES = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PARQUET = b"PAR1"


def read_json_lines(path: str, row_bytes: int) -> Iterator[Row | BadRow]:
    """The rows of a file of JSON lines; lines of white space alone are no rows. Raises WrongFormat.

    Where compressed bytes end early or are damaged, one BadRow stands for all that is lost behind that place.
    """
    with open_decompressed(path) as file:
        number = 0
        while True:
            try:
                with damage_named():
                    line, size = read_line(file, row_bytes)
            except DamagedInput as error:
                yield BadRow(number, "damaged_input", str(error))
                return
            if not size:
                return
            if number == 0:
                if line.startswith(_PARQUET):
                    raise WrongFormat("a Parquet file and not JSON lines: set ingest.format to parquet")
                line = line.removeprefix(_BYTE_ORDER_MARK)
            if size > row_bytes:
                yield BadRow(number, "row_too_large", value=size, limit=row_bytes)
            elif line.strip():
                yield parse_line(number, line)
            number += 1


def read_line(file: BinaryIO, most: int) -> tuple[bytes, int]:
    """A line with its end and its size in bytes; of one that is larger than `most` not all is kept. Size 0: the end."""
    line = file.readline(most + 1)
    size = len(line)
    if size > most:
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(_SKIPPED_BYTES)
            size += len(rest)
    return line, size


def parse_line(number: int, line: bytes) -> Row | BadRow:
    """The object that a line holds."""
    try:
        values = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return BadRow(number, "not_utf8", f"byte {error.start} of the line")
    except RecursionError:
        return BadRow(number, "broken_json", "nested too deeply")
    except ValueError as error:
        return BadRow(number, "broken_json", str(error)[:200])
    if not isinstance(values, dict):
        return BadRow(number, "wrong_type", f"the line holds {type(values).__name__}, not an object")
    return Row(number, values)
