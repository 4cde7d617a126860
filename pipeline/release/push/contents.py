"""What of a release is pushed, and whether it may be seen by everybody."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import KamisukiError, UsageError
from pipeline.files import file_digest, open_parquet, read_table
from pipeline.release.manifest import CARD, MANIFEST, TOMBSTONES, Manifest, read_manifest
from pipeline.release.push.plan import HEAD, Local
from pipeline.storage.places import Place, local_copy, read_bytes, size_of

READERS = 4


@dataclass(frozen=True)
class Contents:
    """The files of a release as they were when the push began. `head` holds the content of those that describe it."""

    release: Place
    manifest: Manifest
    head: dict[str, bytes]
    files: list[Local]

    @contextmanager
    def content(self, file: Local) -> Iterator[Path | bytes]:
        """A file's content, checked: a local path for data, which is scratch for a release on S3.

        Raises KamisukiError when it is not what the manifest says.
        """
        if file.path in self.head:
            yield self.head[file.path]
            return
        try:
            with local_copy(self.release / file.path) as path:
                if path.stat().st_size != file.bytes or file_digest(path) != file.sha256:
                    raise KamisukiError(_damaged(self.release, file))
                yield path
        except FileNotFoundError:
            raise KamisukiError(f"{self.release / file.path} is missing: {_repair(self.release)}") from None

    def git_oid(self, file: Local) -> str:
        """Git's own hash of a file's content (SHA-1 of a header and the bytes)."""
        with self.content(file) as content:
            data = content if isinstance(content, bytes) else content.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()

    def unchanged(self) -> bool:
        """Whether the release is still the one that the push began with."""
        return read_bytes(self.release / MANIFEST) == self.head[MANIFEST]


def _repair(release: Place) -> str:
    return f"see kamisuki verify {release}, and build the release again"


def _damaged(release: Place, file: Local) -> str:
    return f"{release / file.path} is not what {MANIFEST} says: {_repair(release)}"


def read_contents(release: Place) -> Contents:
    """What of a release is to be pushed. Raises UsageError where there is no whole release."""
    manifest = read_manifest(release)
    head = {MANIFEST: read_bytes(release / MANIFEST)}
    try:
        head[CARD] = read_bytes(release / CARD)
    except FileNotFoundError:
        raise UsageError(f"{release} has no {CARD}: its build did not end: build it again") from None
    if size_of(release / TOMBSTONES) is not None:
        head[TOMBSTONES] = read_bytes(release / TOMBSTONES)
    files = [Local(file.path, file.bytes, file.sha256) for file in manifest.files]
    files += [Local(path, len(head[path]), hashlib.sha256(head[path]).hexdigest()) for path in HEAD if path in head]
    return Contents(release, manifest, head, files)


def check_for_public(contents: Contents, say: Callable[[str], None]) -> None:
    """Read every file: its checksum must be the manifest's, and no row that was taken down may be in it.

    Raises KamisukiError with what is wrong.
    """
    gone = set()
    if TOMBSTONES in contents.head:
        gone = set(read_table(contents.release / TOMBSTONES, ["id"])["id"].to_pylist())
    data = [file for file in contents.files if file.path not in contents.head]
    say(f"push: checking {len(data)} files before everybody may see them")

    def problem(file: Local) -> str | None:
        try:
            with contents.content(file) as content:
                back = _rows_of(Path(str(content)), gone) if gone else 0
        except KamisukiError as error:
            return str(error)
        rows = "row" if back == 1 else "rows"
        return f"{file.path} holds {back} {rows} that were taken down: {_repair(contents.release)}" if back else None

    with ThreadPoolExecutor(READERS) as pool:
        problems = [found for found in pool.map(problem, data) if found]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise KamisukiError(f"nothing was pushed: {problems[0]}{more}")


def _rows_of(path: Path, ids: set[str]) -> int:
    found = 0
    with open_parquet(path) as file:
        for batch in file.iter_batches(columns=["id"]):
            found += sum(identity in ids for identity in batch.column(0).to_pylist())
    return found
