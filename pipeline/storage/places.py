"""Places: a local path or a remote one, and the few things that the pipeline does with either.

A local place is a `pathlib.Path` and costs nothing more than one. A remote place is read whole through a local file or
by range, and written by one put, so that an object is there whole or not at all; nothing is ever renamed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import numpy as np

from pipeline.errors import UsageError
from pipeline.storage import s3
from pipeline.storage.fetch import Politeness, fetch, read_range
from pipeline.storage.remote_file import RemoteFile
from pipeline.storage.scratch import scratch_file, scratch_folder

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{1,19})://")
READABLE = ("s3", "http", "https")
# Small objects that are read together: enough to hide the way to the server, few enough for it.
READERS = 16
# Of one's own bucket; the servers of others are asked as the recipe says.
OWN_STORE = Politeness(wait_seconds=0.25)


@dataclass(frozen=True, order=True)
class RemotePath:
    """An object or a folder of S3, or a page of a web server, by its URL."""

    url: str

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(f"{self.url.rstrip('/')}/{name}")

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """What follows the last slash."""
        return self.url.rstrip("/").rsplit("/", 1)[1]

    @property
    def parent(self) -> RemotePath:
        """What stands before the last slash."""
        return RemotePath(self.url.rstrip("/").rsplit("/", 1)[0])

    @property
    def scheme(self) -> str:
        """s3, http or https."""
        return self.url.partition("://")[0]


Place = Path | RemotePath


def as_place(text: str | Place) -> Place:
    """A place from what a user wrote. Raises UsageError for URLs that cannot be used or that hold credentials."""
    if isinstance(text, Path | RemotePath):
        return text
    if not text.strip():
        raise UsageError("an empty path names nothing: give a folder, a file or a URL")
    found = _SCHEME.match(text)
    if not found:
        return Path(text)
    scheme = found.group(1).lower()
    shown = re.sub(r"//[^/@]*@", "//…@", text.partition("?")[0])
    if scheme == "file":
        return Path(text[found.end() :])
    if scheme not in READABLE:
        raise UsageError(f"{shown}: the scheme {scheme} is not known: use a path, s3://, https:// or http://")
    if "@" in text[found.end() :].partition("/")[0]:
        raise UsageError(f"{shown}: leave credentials out of the URL: they come from the environment or from files")
    if re.search(r"[?&](?:X-Amz-Signature|Signature|token|sig)=", text, re.IGNORECASE):
        raise UsageError(f"{shown}: a signed URL would end up in plan and ledger: use s3:// with your credentials")
    if scheme == "s3":
        s3.split(text)
    return RemotePath(f"{scheme}://{text[found.end() :]}")


def writable(text: str | Place) -> Place:
    """A place for output. Raises UsageError where nothing can be written."""
    found = as_place(text)
    if isinstance(found, RemotePath) and found.scheme != "s3":
        raise UsageError(f"cannot write to {found}: OUT must be a folder or an s3:// prefix")
    return found if isinstance(found, RemotePath) else found.absolute()


def size_of(where: Place) -> int | None:
    """Bytes of a file, or None where there is none."""
    if isinstance(where, Path):
        return where.stat().st_size if where.is_file() else None
    found = s3.head(where.url)
    return found.bytes if found else None


def exists(where: Place) -> bool:
    """Whether there is a file, or on this machine a folder."""
    return where.exists() if isinstance(where, Path) else size_of(where) is not None


def folder_exists(where: Place) -> bool:
    """Whether there is a folder; on S3, whether anything lies below it."""
    if isinstance(where, Path):
        return where.is_dir()
    return next(s3.list_objects(f"{where.url}/", below=True), None) is not None


def first_other(folder: Place, own: Collection[str]) -> str | None:
    """A file or a folder that lies directly in a folder and is none of `own`; None where there is none."""
    if isinstance(folder, Path):
        try:
            with os.scandir(folder) as entries:
                return min((entry.name for entry in entries if entry.name not in own), default=None)
        except FileNotFoundError:
            return None
    start = _key_start(folder)
    names = (item.key[start:].partition("/")[0] for item in s3.list_objects(f"{folder.url}/", below=True))
    return next((name for name in names if name and name not in own), None)


def _key_start(folder: RemotePath) -> int:
    """How many characters of the keys of its objects name a folder of S3; none where it is a whole bucket."""
    _, key = s3.split(folder.url)
    return len(key) + 1 if key else 0


def lies_within(where: Place, folder: Place) -> bool:
    """Whether a place is a folder or lies below it."""
    if isinstance(where, Path) and isinstance(folder, Path):
        return where.resolve().is_relative_to(folder.resolve())
    return f"{where}/".startswith(f"{str(folder).rstrip('/')}/")


def make_folder(where: Place) -> None:
    """Make a local folder; S3 has none."""
    if isinstance(where, Path):
        where.mkdir(parents=True, exist_ok=True)


def read_bytes(where: Place) -> bytes:
    """A small file's content. Raises FileNotFoundError."""
    return where.read_bytes() if isinstance(where, Path) else read_range(where.url, 0, None, OWN_STORE)


def read_many(places: list[Place]) -> list[bytes | None]:
    """The contents of many small files, None for those that are not there."""

    def read(where: Place) -> bytes | None:
        try:
            return read_bytes(where)
        except FileNotFoundError:
            return None

    if not any(isinstance(where, RemotePath) for where in places):
        return [read(where) for where in places]
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(read, places))


def file_sizes(folder: Place) -> dict[str, int]:
    """Names and bytes of the files in a folder, not of those below it; one listing. Empty where there is no folder."""
    if isinstance(folder, Path):
        try:
            with os.scandir(folder) as entries:
                return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
        except FileNotFoundError:
            return {}
    start = _key_start(folder)
    return {item.key[start:]: item.bytes for item in s3.list_objects(f"{folder.url}/", below=False)}


# Bytes of a file, and what tells it from a later one of its name: the time of its last change, on S3 its ETag.
FileFacts = tuple[int, str]


def file_facts(folder: Place) -> dict[str, FileFacts]:
    """As `file_sizes`, with a stamp besides; one listing too."""
    if isinstance(folder, Path):
        try:
            with os.scandir(folder) as entries:
                found = ((entry.name, entry.stat()) for entry in entries if entry.is_file())
                return {name: (status.st_size, str(status.st_mtime_ns)) for name, status in found}
        except FileNotFoundError:
            return {}
    start = _key_start(folder)
    return {item.key[start:]: (item.bytes, item.etag) for item in s3.list_objects(f"{folder.url}/", below=False)}


def tree_sizes(folder: Place) -> dict[str, int]:
    """Paths within a folder, with slashes, and bytes of all files in it and below it."""
    if isinstance(folder, Path):
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    start = _key_start(folder)
    return {item.key[start:]: item.bytes for item in s3.list_objects(f"{folder.url}/", below=True)}


def delete(where: Place) -> None:
    """Delete a file if it is there."""
    if isinstance(where, Path):
        where.unlink(missing_ok=True)
    else:
        s3.delete([where.url])


def delete_tree(folder: Place) -> None:
    """Delete a folder and all in it."""
    if isinstance(folder, Path):
        shutil.rmtree(folder)
    else:
        s3.delete([str(folder / name) for name in tree_sizes(folder)])


def remove_empty_folders(folder: Path) -> None:
    """Remove a local folder and those below it where they hold no file."""
    for path in sorted([folder, *folder.rglob("*")], reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def nearby_folder(where: Place) -> Path:
    """A folder of this machine for files that go with their process: the place itself where it is one."""
    return where if isinstance(where, Path) else scratch_folder()


def bytes_at(where: Place, start: int, stop: int) -> bytes:
    """The bytes of a file from `start` to `stop`; of a remote one by one request."""
    if isinstance(where, RemotePath):
        return read_range(where.url, start, stop, OWN_STORE)
    with open(where, "rb") as file:
        file.seek(start)
        return file.read(stop - start)


def numbers_at(where: Place, offset: int, count: int) -> np.ndarray:
    """Numbers (uint64, little-endian) of a file from byte `offset` on."""
    if isinstance(where, Path):
        return np.fromfile(where, "<u8", count, offset=offset)
    if count == 0:
        return np.empty(0, "<u8")
    return np.frombuffer(bytes_at(where, offset, offset + count * 8), "<u8")


@contextlib.contextmanager
def local_copy(where: Place) -> Iterator[Path]:
    """A file as a local one: itself, or a copy that goes at the end."""
    if isinstance(where, Path):
        yield where
        return
    with scratch_file(PurePosixPath(where.name).suffix) as path:
        fetch(where.url, path, OWN_STORE)
        yield path


def open_seekable(where: Place) -> BinaryIO:
    """A file opened for reading here and there; of a remote one only what is read travels."""
    if isinstance(where, Path):
        return open(where, "rb")
    return cast(BinaryIO, RemoteFile(where.url, OWN_STORE))


def put(local: Path, where: RemotePath) -> None:
    """Put a local file as one object."""
    s3.put(local, where.url)
