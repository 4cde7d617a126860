"""Inputs: what a user names, as files; and a file wherever it lies, as one of this machine."""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import gzip
import os
import re
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import xxhash

from pipeline.errors import KamisukiError, UsageError
from pipeline.source_settings import Sources
from pipeline.storage import s3
from pipeline.storage.cache import cached
from pipeline.storage.fetch import read_range, remote_size
from pipeline.storage.http import Politeness
from pipeline.storage.places import Place, RemotePath, as_place


class InputMissing(KamisukiError):
    """An input is not where the plan says."""


_CRAWL = re.compile(r"(CC-MAIN-\d{4}-\d{2})")
_LIST = re.compile(r".+\.paths(?:\.gz)?")
_RANGE = re.compile(r"(.+?):(\d+)(?:-(\d*))?")
_GLOB = re.compile(r"[*?\[]")
# The lists of a crawl, beside each other in its folder.
PAGES, ROBOTS_TXT = "warc.paths.gz", "robotstxt.paths.gz"


def find_inputs(patterns: list[str], sources: Sources, crawl_list: str = PAGES) -> list[Place]:
    """The files that paths, globs, URLs, lists and names of crawls stand for, sorted, each once.

    A list of paths or a crawl may end in a range of its files, counted from 0, as in CC-MAIN-2024-51:0-99; of a crawl
    the list `crawl_list` is read. Raises UsageError for what does not exist.
    """
    found: set[Place] = set()
    for pattern in patterns:
        found.update(_found_by(pattern, sources, crawl_list))
    if not found:
        raise UsageError("no input given: use --input with WARC files, a quoted glob, a URL or the name of a crawl")
    return sorted(found, key=str)


def _found_by(pattern: str, sources: Sources, crawl_list: str) -> list[Place]:
    ranged = _RANGE.fullmatch(pattern)
    whole, first, last = (ranged.group(1), ranged.group(2), ranged.group(3)) if ranged else (pattern, None, None)
    if _CRAWL.fullmatch(whole):
        return _listed(join(sources.base, f"crawl-data/{whole}/{crawl_list}"), first, last, sources)
    if _LIST.fullmatch(whole):
        return _listed(as_place(whole), first, last, sources)
    where = as_place(pattern)
    if isinstance(where, Path):
        return list(_local(pattern, where))
    if where.scheme == "s3" and _GLOB.search(where.url):
        return _matching(where.url)
    if where.url.endswith("/"):
        raise UsageError(f"input {pattern!r} is a folder: write '{pattern}*.warc.gz' on S3, or the URLs of files")
    return [where]


def _local(pattern: str, path: Path) -> Iterator[Place]:
    if glob.has_magic(pattern) and not os.path.isfile(pattern):
        matches = [match for match in glob.glob(pattern, recursive=True) if os.path.isfile(match)]
        if not matches:
            raise UsageError(f"no input matches {pattern!r}: check the path, and quote the pattern for the shell")
    elif path.is_dir():
        raise UsageError(f"input {pattern!r} is a folder: write '{pattern.rstrip('/')}/*.warc.gz'")
    elif not path.is_file():
        raise UsageError(f"input {pattern!r} does not exist")
    else:
        matches = [str(path)]
    yield from (Path(os.path.realpath(match)) for match in matches)


def _matching(url: str) -> list[Place]:
    """Objects of S3 whose URL matches a pattern; a star stands for slashes too. One listing, from the first star on."""
    bucket, _ = s3.split(url)
    before = url[: _GLOB.search(url).start()]  # type: ignore[union-attr]
    found = [f"s3://{bucket}/{item.key}" for item in s3.list_objects(before, below=True)]
    matches: list[Place] = [RemotePath(name) for name in found if fnmatch.fnmatchcase(name, url)]
    if not matches:
        raise UsageError(f"no object matches {url!r}: check the prefix, and quote the pattern for the shell")
    return matches


def join(base: str, path: str) -> Place:
    """A path of a list: below the base, unless it is a URL or an absolute path itself."""
    if "://" in path or path.startswith("/"):
        return as_place(path)
    return as_place(f"{base.rstrip('/')}/{path}")


def _listed(where: Place, first: str | None, last: str | None, sources: Sources) -> list[Place]:
    try:
        if isinstance(where, Path):
            content = where.read_bytes()
        else:
            content = read_range(where.url, 0, None, sources.politeness())
        lines = _text(content).split()
    except FileNotFoundError:
        raise UsageError(f"there is no list of files at {where}: check the name and sources.base") from None
    except (ValueError, EOFError, zlib.error, gzip.BadGzipFile):
        raise UsageError(f"{where} is no list of paths, one a line: fetch it again") from None
    start = int(first or 0)
    # A number alone is one file; an open range goes to the list's end.
    stop = len(lines) if first is None or last == "" else int(first if last is None else last) + 1
    if not start < stop <= len(lines):
        raise UsageError(f"{where} has {len(lines):,} files, numbered from 0: no range {first}-{last or first}")
    return [join(sources.base, line) for line in lines[start:stop]]


def _text(content: bytes) -> str:
    return (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content).decode("ascii")


def sizes_of(places: list[Place], politeness: Politeness) -> dict[Place, int]:
    """Bytes of each file, `connections` questions to servers at a time. Raises UsageError for a missing file."""

    def size(where: Place) -> int:
        try:
            return where.stat().st_size if isinstance(where, Path) else remote_size(where.url, politeness)[0]
        except FileNotFoundError:
            raise UsageError(f"input {str(where)!r} does not exist") from None

    with ThreadPoolExecutor(politeness.connections) as pool:
        return dict(zip(places, pool.map(size, places), strict=True))


@contextlib.contextmanager
def local_input(path: str, politeness: Politeness) -> Iterator[str]:
    """An input as a file of this machine: itself, or its copy in the cache, which stays there for the next reader.

    Raises InputMissing, or KamisukiError when it cannot be fetched.
    """
    where = as_place(path)
    try:
        if isinstance(where, Path):
            yield path
        else:
            with cached(where.url, politeness) as copy:
                yield str(copy.path)
    except FileNotFoundError as error:
        if error.filename not in (path, str(where)):
            raise
        raise InputMissing(f"{path}: the input is missing: restore it and run again") from None


def input_digest(path: str) -> str:
    """XXH3-128 of a file's bytes: what the ledger remembers of an input."""
    state = xxhash.xxh3_128()
    with open(path, "rb") as file:
        while chunk := file.read(4_000_000):
            state.update(chunk)
    return f"xxh3:{state.hexdigest()}"


def input_stat(path: str, known_bytes: int) -> list[int]:
    """Size and modification time: equal ones save a second look at the bytes, they prove nothing else.

    A remote file is not asked for: its size is the one that the plan knows, its time 0.
    """
    if isinstance(as_place(path), RemotePath):
        return [known_bytes, 0]
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]
