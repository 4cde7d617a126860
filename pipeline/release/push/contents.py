"""What of a release is pushed, and whether it may be seen by everybody."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import KamisukiError, UsageError
from pipeline.files import file_digest
from pipeline.release.derived_record import MIXED, read_derived
from pipeline.release.manifest import CARD, MANIFEST, TOMBSTONES, Manifest, read_manifest
from pipeline.release.push.plan import HEAD, Local
from pipeline.release.unfinished import refuse_unfinished
from pipeline.storage.places import Place, local_copy, read_bytes, size_of
from pipeline.wording import counted

# Of what is wrong with a release so much of each check is said; kamisuki verify says more.
SAID = 3


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


def refuse_mixed(place: Place) -> None:
    """Raise UsageError for a mix or a pack. It repeats rows of releases that may have other terms, and keeps no
    tombstones and no name that the Hub's repository could be held against."""
    made = read_derived(place)
    if made is not None and made.kind in MIXED:
        raise UsageError(
            f"{place} is a {made.kind}, and push is for releases: push {', '.join(one.name for one in made.of)}, and "
            f"give the manifest of the {made.kind} to others, or, if the licenses of its card allow it, upload it with "
            f"hf upload OWNER/NAME {place} . --repo-type dataset --private --exclude '.local/*'"
        )


def _repair(release: Place) -> str:
    return f"see kamisuki verify {release}, and build the release again"


def _damaged(release: Place, file: Local) -> str:
    return f"{release / file.path} is not what {MANIFEST} says: {_repair(release)}"


def read_contents(release: Place) -> Contents:
    """What of a release is to be pushed. Raises UsageError where there is no whole release."""
    manifest = read_manifest(release)
    refuse_unfinished(release)
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
    """Verify the release as `kamisuki verify` does, and say what is wrong. Raises KamisukiError where anything is."""
    from pipeline.release.verify import verify

    say(f"push: verifying {counted(len(contents.manifest.files), 'file')} before everybody may see them")
    failed = [check for check in verify(contents.release).checks.values() if check.wrong]
    for check in failed:
        for problem in check.problems[:SAID]:
            say(f"  {check.name}: {problem}")
        if check.wrong > SAID:
            say(f"  {check.name}: {check.wrong:,} in all")
    if failed:
        names = ", ".join(check.name for check in failed)
        raise KamisukiError(
            f"nothing was pushed: {contents.release} does not hold: {names}: {_repair(contents.release)}"
        )
