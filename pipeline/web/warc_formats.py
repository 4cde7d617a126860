"""What archive files look like from outside: how they are compressed, and how a record begins in WARC and in ARC."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from backports.zstd import ZstdDecompressor, ZstdDict, ZstdError

from pipeline.web.headers import HEADER_END, first_values, header_pairs

SEARCH_BLOCK_BYTES = 1_048_576
GZIP_MAGIC = b"\x1f\x8b\x08"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# Zstandard Compression for WARC Files 1.0: a skippable frame at the file's start carries the dictionary.
DICTIONARY_MAGIC = b"\x5d\x2a\x4d\x18"
# Dictionaries of real files are some 100 kB; a length that says more is no dictionary's.
MAX_DICTIONARY_BYTES = 32_000_000


class DamagedMember(ValueError):
    """Compressed data that cannot be inflated any further."""


class Inflater(Protocol):
    """Inflates one gzip member or Zstandard frame."""

    @property
    def eof(self) -> bool:
        """Whether the member is at its end."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What was given beyond the member's end."""
        ...

    @property
    def holds_input(self) -> bool:
        """Whether more may come out without more going in."""
        ...

    def inflate(self, piece: bytes, limit: int) -> bytes:
        """At most `limit` bytes more. Raises DamagedMember."""
        ...


class _GzipInflater:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def holds_input(self) -> bool:
        return bool(self._inner.unconsumed_tail)

    def inflate(self, piece: bytes, limit: int) -> bytes:
        try:
            return self._inner.decompress(self._inner.unconsumed_tail or piece, limit)
        except zlib.error as error:
            raise DamagedMember(str(error)) from None


class _ZstdInflater:
    def __init__(self, dictionary: ZstdDict | None) -> None:
        self._inner = ZstdDecompressor(zstd_dict=dictionary)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def holds_input(self) -> bool:
        return not self._inner.eof and not self._inner.needs_input

    def inflate(self, piece: bytes, limit: int) -> bytes:
        try:
            return self._inner.decompress(piece, limit)
        except ZstdError as error:
            raise DamagedMember(str(error)) from None


@dataclass(frozen=True)
class Codec:
    """A compression: what its members begin with, and how many bytes of one show its first inflated bytes."""

    name: str
    member_start: re.Pattern[bytes]
    magics: tuple[bytes, ...]
    head_bytes: int
    inflater: Callable[[], Inflater]

    def opening(self, head: bytes, size: int) -> bytes | None:
        """The first inflated bytes of a member, fewer when it has fewer; None when it is none."""
        try:
            return self.inflater().inflate(head, size)
        except DamagedMember:
            return None


GZIP = Codec("gzip", re.compile(rb"\x1f\x8b\x08(?=[\x00-\x1f])"), (GZIP_MAGIC,), 2_048, _GzipInflater)


def zstd_codec(dictionary: ZstdDict | None) -> Codec:
    """Zstandard, with the dictionary that a file brings along."""
    # A block of a frame comes out only when all of it went in (RFC 8878, 3.1.1.2: at most 128 KiB).
    magics = (ZSTD_MAGIC, *(bytes([0x50 + variant]) + DICTIONARY_MAGIC[1:] for variant in range(16)))
    return Codec("zstd", re.compile(re.escape(ZSTD_MAGIC)), magics, 140_000, lambda: _ZstdInflater(dictionary))


def read_dictionary(file: BinaryIO) -> ZstdDict | None:
    """The dictionary at a file's start, if it has one. Raises DamagedMember when it cannot be read."""
    file.seek(0)
    head = file.read(8)
    if not head.startswith(DICTIONARY_MAGIC):
        return None
    size = int.from_bytes(head[4:8], "little")
    content = file.read(min(size, MAX_DICTIONARY_BYTES))
    if content.startswith(ZSTD_MAGIC):
        content = _ZstdInflater(None).inflate(content, MAX_DICTIONARY_BYTES)
    try:
        dictionary = ZstdDict(content)
        ZstdDecompressor(zstd_dict=dictionary)
    except (ValueError, ZstdError) as error:
        raise DamagedMember(str(error)) from None
    return dictionary


@dataclass(frozen=True)
class Dialect:
    """How records are written: what one begins with, where its header ends, and the header as fields of a WARC.

    `start` finds a record in the middle of other bytes and is at most `longest_start` bytes long; `opens` says of the
    first `opening_bytes` bytes whether a record begins with them.
    """

    name: str
    start: re.Pattern[bytes]
    longest_start: int
    opening_bytes: int
    opens: Callable[[bytes], bool]
    header_end: re.Pattern[bytes]
    fields: Callable[[bytes], dict[bytes, bytes] | None]


def _warc_fields(header: bytes) -> dict[bytes, bytes]:
    return first_values(header_pairs(header))


WARC = Dialect(
    "warc",
    re.compile(rb"WARC/\d\.\d{1,2}\r?\n[A-Za-z-]{1,50}:"),
    62,
    5,
    lambda head: head.startswith(b"WARC/"),
    HEADER_END,
    _warc_fields,
)

# Version 1: URL, IP address, date, type, length. Version 2 has status, checksum, location, offset and file name
# between type and length (Arc File Format, Burner and Kahle, 1996).
_ARC_LINE = (
    rb"[A-Za-z][A-Za-z0-9+.-]{1,19}:[^\r\n]{1,8192}? [0-9A-Fa-f.:-]{1,45} \d{8,17} "
    rb"[^\r\n]{1,2048}? ?\d{1,15}[ \t]{0,8}\r?\n"
)
_ARC_FIELDS = re.compile(
    rb"(?P<url>[A-Za-z][A-Za-z0-9+.-]{1,19}:[^\r\n]{1,8192}?) (?P<ip>[0-9A-Fa-f.:-]{1,45}) (?P<date>\d{8,17}) "
    rb"(?P<type>[^\r\n]{0,256}?) ?(?:(?:\d{3}|-) \S{1,256} \S{1,8192} \d{1,15} \S{1,1024} )?(?P<length>\d{1,15})\s*"
)


def _arc_fields(header: bytes) -> dict[bytes, bytes] | None:
    found = _ARC_FIELDS.fullmatch(header)
    if not found:
        return None
    url = found["url"]
    fields = {b"warc-target-uri": url, b"warc-date": found["date"], b"content-length": found["length"]}
    if url.startswith(b"filedesc:"):
        return fields | {b"warc-type": b"warcinfo"}
    # The type in the line is the page's own; only of what is no HTTP does it speak of the whole block.
    is_http = url[:5].lower() in (b"http:", b"https")
    return fields | {b"warc-type": b"response"} | ({} if is_http else {b"content-type": found["type"]})


ARC = Dialect(
    "arc",
    re.compile(rb"(?<![\x20-\x7e])" + _ARC_LINE),
    11_000,
    11_000,
    lambda head: re.match(_ARC_LINE, head) is not None,
    re.compile(rb"\n"),
    _arc_fields,
)


@dataclass(frozen=True)
class Format:
    """Compression and dialect of a file."""

    codec: Codec | None
    dialect: Dialect


def find_member(file: BinaryIO, start: int, end: int, found_format: Format) -> int:
    """Offset of the next member from `start` on that begins with a record, or `end`."""
    codec, dialect = found_format.codec, found_format.dialect
    assert codec is not None
    while start < end:
        file.seek(start)
        block = file.read(SEARCH_BLOCK_BYTES + codec.head_bytes)
        for candidate in codec.member_start.finditer(block, 0, SEARCH_BLOCK_BYTES + 3):
            place = candidate.start()
            opening = codec.opening(block[place : place + codec.head_bytes], dialect.opening_bytes)
            if opening is not None and dialect.opens(opening):
                return min(start + place, end)
        start += SEARCH_BLOCK_BYTES
    return end
