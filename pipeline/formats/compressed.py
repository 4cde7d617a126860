"""Compressed files: opened by what their first bytes say, whatever they are called."""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from backports import zstd
from isal import igzip
from isal.igzip_lib import IsalError

from pipeline.web.warc import open_input

_GZIP, _BZIP2 = b"\x1f\x8b", b"BZh"
# Frames and skippable frames (RFC 8878, sections 3.1.1 and 3.1.2).
_ZSTD = (b"\x28\xb5\x2f\xfd", *(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60)))


class DamagedInput(ValueError):
    """Compressed bytes end early or are damaged: nothing behind this place can be read."""


@contextmanager
def open_decompressed(path: str) -> Iterator[BinaryIO]:
    """A file's content as bytes, inflated where it is gzip, bzip2 or Zstandard, of any number of members."""
    with open_input(path) as raw:
        head = raw.read(4)
        raw.seek(0)
        if head.startswith(_GZIP):
            with igzip.IGzipFile(fileobj=raw, mode="rb") as file:
                yield cast(BinaryIO, file)
        elif head.startswith(_BZIP2):
            with bz2.BZ2File(raw) as file:
                yield cast(BinaryIO, file)
        elif head in _ZSTD:
            with zstd.ZstdFile(raw) as file:
                yield cast(BinaryIO, file)
        else:
            yield raw


@contextmanager
def damage_named() -> Iterator[None]:
    """Turn what the decompressors raise of damaged bytes into DamagedInput; errors of the disk stay what they are."""
    try:
        yield
    except (EOFError, zlib.error, zstd.ZstdError, IsalError) as error:  # type: ignore[misc]  # stubs: an instance
        raise DamagedInput(str(error)) from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise DamagedInput(str(error)) from None
