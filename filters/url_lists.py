"""The group of a list of hosts and URLs: whether a document's host, a parent domain of it, or its URL is listed."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
from numba import njit

from dedup.shingles import GOLDEN_GAMMA, mix
from filters.assets import Asset
from filters.signal import Signal

RULE_VERSION = 1
UNLISTED, HOST, PARENT, URL = "none", "host", "parent", "url"

_NEWLINE, _RETURN = 10, 13


class UrlList:
    """A list of hosts, one a line, or a tar with members `domains` and `urls` as UT1's; 8 bytes an entry in memory.

    Hosts are compared in lower case and as they go over the wire (xn--…), without a final dot; a listed domain lists
    all hosts below it. Entries are told apart by 64-bit hashes.
    """

    columns = ("url",)
    memory_bytes = 500_000_000

    def __init__(self, name: str, entries: Asset) -> None:
        self.entries = entries
        description = (
            f'"{HOST}", "{PARENT}" (a domain above the host) or "{URL}" where the list has it, else "{UNLISTED}"'
        )
        self.signals = (Signal(f"url_list_{name}", pa.string(), "urls", description, "a list that the recipe names"),)
        self._hosts: np.ndarray | None = None
        self._urls = np.zeros(0, np.uint64)

    def fingerprint(self) -> dict[str, Any]:
        """The list's digest."""
        return {"rule_version": RULE_VERSION, "list": self.entries.digest}

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """The signal of each document; one without URL is not listed."""
        if self._hosts is None:
            hosts, urls = read_list(self.entries.checked())
            self._hosts, self._urls = hashes_of(hosts), hashes_of(urls)
        verdicts = [self._verdict(url) for url in documents.column("url").to_pylist()]
        return pa.RecordBatch.from_arrays([pa.array(verdicts, pa.string())], names=[self.signals[0].name])

    def _verdict(self, url: str | None) -> str:
        assert self._hosts is not None
        host = wire_host(url or "")
        if not host:
            return UNLISTED
        labels = host.split(".")
        # A name without a dot is no domain that a list could mean: it would list all of .com.
        for first in range(max(1, len(labels) - 1)):
            if _contains(self._hosts, ".".join(labels[first:])):
                return PARENT if first else HOST
        bare = (url or "").partition("://")[2]
        return URL if len(self._urls) and any(_contains(self._urls, part) for part in (bare, url or "")) else UNLISTED


def wire_host(url: str) -> str:
    """The host of a URL in lower case as it goes over the wire (IDNA), without port and final dot, or ""."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return ""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


def read_list(path: Path) -> tuple[bytes, bytes]:
    """The hosts and the URLs of a list, each one a line. Raises ValueError for a tar without a member `domains`."""
    if not tarfile.is_tarfile(path):
        return path.read_bytes(), b""
    found = {"domains": b"", "urls": b""}
    with tarfile.open(path) as archive:
        names = {Path(member.name).name: member for member in archive if member.isfile()}
        if "domains" not in names:
            raise ValueError(f"{path} has no member `domains`: give a list of hosts, one a line, or a tar as UT1's")
        for name in found.keys() & names.keys():
            content = archive.extractfile(names[name])
            found[name] = content.read() if content else b""
    return found["domains"], found["urls"]


def hashes_of(lines: bytes) -> np.ndarray:
    """The sorted hashes (uint64) of the lines of a list, empty ones and those that begin with # left out."""
    data = np.frombuffer(lines, dtype=np.uint8)
    found = np.empty(lines.count(b"\n") + 1, dtype=np.uint64)
    return np.unique(found[: _hash_lines(data, found)])


def _contains(hashes: np.ndarray, text: str) -> bool:
    data = np.frombuffer(text.encode("utf-8", "replace"), dtype=np.uint8)
    value = np.uint64(_hash(data, 0, len(data)))
    place = int(np.searchsorted(hashes, value))
    return place < len(hashes) and hashes[place] == value


@njit(cache=True, nogil=True)
def _hash(data: np.ndarray, begin: int, stop: int) -> int:
    value = np.uint64(stop - begin)
    for place in range(begin, stop):
        value = (value ^ np.uint64(data[place])) * GOLDEN_GAMMA
        value ^= value >> np.uint64(32)
    return mix(value)


@njit(cache=True, nogil=True)
def _hash_lines(data: np.ndarray, found: np.ndarray) -> int:
    count, begin = 0, 0
    for place in range(len(data) + 1):
        if place < len(data) and data[place] != _NEWLINE:
            continue
        stop = place
        while stop > begin and (data[stop - 1] == _RETURN or data[stop - 1] == 32):
            stop -= 1
        if stop > begin and data[begin] != 35:
            found[count] = _hash(data, begin, stop)
            count += 1
        begin = place + 1
    return count
