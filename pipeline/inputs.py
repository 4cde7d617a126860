"""Inputs: what a user names, as files; and a file wherever it lies, as one of this machine."""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import gzip
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import xxhash

from pipeline.errors import KamisukiError, UsageError
from pipeline.selected import SUFFIX, Selected, bytes_by_file, local_ranges, read_selected, selected_digest, selected_of
from pipeline.source_settings import Sources
from pipeline.storage import s3
from pipeline.storage.cache import cached
from pipeline.storage.fetch import read_range, remote_size
from pipeline.storage.http import Politeness
from pipeline.storage.places import Place, RemotePath, as_place
from pipeline.web.crawl_facts import with_crawl_facts
from pipeline.web.warc import Record, read_records
from pipeline.wording import counted


class InputMissing(KamisukiError):
    """An input is not where the plan says."""


_CRAWL = re.compile(r"(CC-MAIN-\d{4}-\d{2})")
_LIST = re.compile(r".+\.paths(?:\.gz)?")
_RANGE = re.compile(r"(.+?):(\d+)(?:-(\d*))?")
_GLOB = re.compile(r"[*?\[]")
# The lists of a crawl, beside each other in its folder.
PAGES, ROBOTS_TXT = "warc.paths.gz", "robotstxt.paths.gz"


Given = Place | Selected


def find_inputs(patterns: list[str], sources: Sources, crawl_list: str = PAGES) -> list[Given]:
    """The files that paths, globs, URLs, lists and names of crawls stand for, sorted, each once.

    A list of paths or a crawl may end in a range of its files, counted from 0, as in CC-MAIN-2024-51:0-99; of a crawl
    the list `crawl_list` is read. A selection stands for its records of each WARC file. Raises UsageError
    for what does not exist.
    """
    found: set[Given] = set()
    for pattern in patterns:
        found.update(_found_by(pattern, sources, crawl_list))
    if not found:
        raise UsageError("no input given: use --input with WARC files, a quoted glob, a URL or the name of a crawl")
    return sorted(found, key=str)


def parse_range(pattern: str) -> tuple[str, str | None, str | None]:
    """What a range is of, its first and its last number, both None where there is no range."""
    ranged = _RANGE.fullmatch(pattern)
    return (ranged.group(1), ranged.group(2), ranged.group(3)) if ranged else (pattern, None, None)


def _found_by(pattern: str, sources: Sources, crawl_list: str) -> Sequence[Given]:
    whole, first, last = parse_range(pattern)
    if pattern.endswith(SUFFIX) and not _GLOB.search(pattern):
        if crawl_list != PAGES:
            raise UsageError(f"{pattern} selects pages, no captures of robots.txt: give their WARC files")
        return _selected(as_place(pattern), sources)
    if _CRAWL.fullmatch(whole):
        return listed_files(join(sources.base, f"crawl-data/{whole}/{crawl_list}"), first, last, sources)
    if _LIST.fullmatch(whole):
        return listed_files(as_place(whole), first, last, sources)
    where = as_place(pattern)
    if isinstance(where, Path):
        return list(_local(pattern, where))
    if where.scheme == "s3" and _GLOB.search(where.url):
        return _matching(where.url)
    if where.url.endswith("/"):
        raise UsageError(f"input {pattern!r} is a folder: write '{pattern}*.warc.gz' on S3, or the URLs of files")
    return [where]


def _selected(selection: Place, sources: Sources) -> list[Selected]:
    # Workers may stand in another folder.
    where = selection.resolve() if isinstance(selection, Path) else selection
    try:
        return [Selected(join(sources.base, name), where) for name in bytes_by_file(where)]
    except FileNotFoundError:
        raise UsageError(f"input {str(selection)!r} does not exist") from None


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


def listed_files(where: Place, first: str | None, last: str | None, sources: Sources) -> list[Place]:
    """The files of a list of paths, from the `first` to the `last` number. Raises UsageError."""
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
        raise UsageError(
            f"{where} has {counted(len(lines), 'file')}, numbered from 0: no range {first}-{last or first}"
        )
    return [join(sources.base, line) for line in lines[start:stop]]


def _text(content: bytes) -> str:
    return (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content).decode("ascii")


def sizes_of(places: list[Given], politeness: Politeness) -> dict[Given, int]:
    """Bytes of each file, or of its records that are selected, `connections` questions to servers at a time.

    Of many objects in one folder of S3 its listing tells them.
    Raises UsageError for a missing file.
    """
    selections = {where.selection for where in places if isinstance(where, Selected)}
    selected = {selection: bytes_by_file(selection) for selection in selections}
    listed = s3.listed_sizes([where.url for where in places if isinstance(where, RemotePath) and where.scheme == "s3"])

    def size(where: Given) -> int:
        if isinstance(where, Selected):
            return selected[where.selection][where.name]
        try:
            if isinstance(where, Path):
                return where.stat().st_size
            return listed[where.url] if where.url in listed else remote_size(where.url, politeness)[0]
        except FileNotFoundError:
            raise UsageError(f"input {str(where)!r} does not exist") from None

    if all(isinstance(where, Path) for where in places):
        return {where: size(where) for where in places}
    with ThreadPoolExecutor(politeness.connections) as pool:
        return dict(zip(places, pool.map(size, places), strict=True))


@contextlib.contextmanager
def local_input(path: str, politeness: Politeness) -> Iterator[str]:
    """An input as a file of this machine: itself, or its copy in the cache, which stays there for the next reader.

    Raises InputMissing, or KamisukiError when it cannot be fetched.
    """
    chosen = selected_of(path)
    where = chosen.file if chosen else as_place(path)
    try:
        if chosen:
            with local_ranges(chosen, politeness) as local:
                yield str(local)
        elif isinstance(where, Path):
            yield path
        else:
            with cached(where.url, politeness) as copy:
                yield str(copy.path)
    except FileNotFoundError as error:
        if error.filename not in (path, str(where)):
            raise
        raise InputMissing(f"{path}: the input is missing: restore it and run again") from None


def records_of(path: str, local: str, max_body_bytes: int) -> Iterator[Record]:
    """The records of an input that lies in the file `local` of this machine. Raises NotWarc."""
    chosen = selected_of(path)
    if chosen:
        return read_selected(chosen, local, max_body_bytes)
    return with_crawl_facts(read_records(local, max_body_bytes))


def input_digest(path: str, local: str | None = None) -> str:
    """XXH3-128 of a file's bytes, or of the selected ones: what the ledger remembers of an input."""
    chosen = selected_of(path)
    if chosen:
        return selected_digest(chosen, local or str(chosen.file))
    path = local or path
    state = xxhash.xxh3_128()
    with open(path, "rb") as file:
        while chunk := file.read(4_000_000):
            state.update(chunk)
    return f"xxh3:{state.hexdigest()}"


def is_settled(path: str) -> bool:
    """Whether an input is taken to be what it was, since asking would cost a request or a reading."""
    return selected_of(path) is not None or isinstance(as_place(path), RemotePath)


def input_stat(path: str, known_bytes: int) -> list[int]:
    """Size and modification time: equal ones save a second look at the bytes, they prove nothing else.

    A remote file is not asked for: its size is the one that the plan knows, its time 0. So it is with selected records.
    """
    if is_settled(path):
        return [known_bytes, 0]
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]
