"""Buckets as tests see them: all that lies in one, put back as it was, fetched into a folder to be searched."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipeline.files import atomic_file
from pipeline.storage import s3
from pipeline.storage.places import RemotePath, delete, read_bytes, tree_sizes


def remote_bytes(place: RemotePath) -> dict[str, bytes]:
    """The content of all objects below a prefix."""
    return {path: read_bytes(place / path) for path in tree_sizes(place)}


def put_all(place: RemotePath, files: dict[str, bytes]) -> None:
    """Let a prefix hold these objects and no others; what is there already is not put again."""
    start = len(s3.split(place.url)[1])
    start += 1 if start else 0
    there = {item.key[start:]: item.etag for item in s3.list_objects(f"{place.url}/", below=True)}
    for path in there.keys() - files.keys():
        delete(place / path)
    for path, content in files.items():
        # Of what one put wrote the ETag is its MD5.
        if there.get(path) != f'"{hashlib.md5(content).hexdigest()}"':
            with atomic_file(place / path) as file:
                file.write(content)


def fetched(place: RemotePath, folder: Path) -> Path:
    """A folder with all that a prefix holds."""
    for path, content in remote_bytes(place).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder
