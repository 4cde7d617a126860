"""Searching folders for text: every file as it lies, and unpacked as far as it can be."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from tokenizers import Tokenizer


def readings(path: Path, tokenizer: Path | None) -> Iterator[bytes]:
    """What a file can be read as: its bytes, what is packed in them, all columns of a table, the text of tokens."""
    content = path.read_bytes()
    yield content
    if path.suffix == ".gz":
        yield gzip.decompress(content)
    if path.suffix == ".parquet":
        table = pq.read_table(path, partitioning=None)
        yield str(table.schema.metadata).encode()
        for column in table.columns:
            # repr would hide letters behind escapes.
            yield "\n".join(str(value) for value in column.to_pylist()).encode("utf-8", "replace")
    if path.suffix in (".bin", ".ds") and tokenizer is not None:
        tokens = np.frombuffer(content, "<u2").tolist()
        yield Tokenizer.from_file(str(tokenizer)).decode(tokens, skip_special_tokens=False).encode()


def holding(folder: Path, needles: Sequence[str], tokenizer: Path | None = None) -> set[str]:
    """The files below a folder that hold one of some texts, in UTF-8 or as JSON escapes it."""
    wanted = [needle.encode() for needle in needles]
    wanted += [needle.encode("unicode_escape") for needle in needles]
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and any(each in said for said in readings(path, tokenizer) for each in wanted)
    }
