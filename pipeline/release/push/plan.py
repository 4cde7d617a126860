"""What a push has to do: the release beside what the repository holds, as commits. Nothing is asked or sent here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.release.manifest import CARD, DATA, MANIFEST, TOMBSTONES

# Files that speak of all others: they go into the last commit.
HEAD = (CARD, TOMBSTONES, MANIFEST)


@dataclass(frozen=True)
class Local:
    """A file of the release: its path there, bytes, and SHA-256 of its content."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Remote:
    """A file of the repository. `sha256` is known of large files, `git_oid` is git's own hash of the rest."""

    path: str
    bytes: int
    sha256: str | None
    git_oid: str


@dataclass(frozen=True)
class Limits:
    """How much goes into one commit.

    The Hub's page "Repository limitations and recommendations" advises fewer than 100 files a commit. Bytes bound what
    lies on the Hub without a commit that speaks of it.
    """

    files: int = 100
    bytes: int = 50_000_000_000


@dataclass(frozen=True)
class Commit:
    """Files that one commit adds or replaces, and paths that it deletes."""

    add: tuple[Local, ...]
    delete: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Bytes of all files that are added."""
        return sum(file.bytes for file in self.add)


@dataclass(frozen=True)
class Plan:
    """The commits of a push in order, and how many files need none because they are there already."""

    commits: tuple[Commit, ...]
    unchanged: int
    foreign: tuple[str, ...]

    @property
    def add(self) -> list[Local]:
        """All files that are added or replaced."""
        return [file for commit in self.commits for file in commit.add]

    @property
    def delete(self) -> list[str]:
        """All paths that are deleted and stay so."""
        back = {file.path for file in self.add}
        return [path for commit in self.commits for path in commit.delete if path not in back]


def of_a_release(path: str) -> bool:
    """Whether a path is one that releases write. All others of a repository are left alone."""
    return path in HEAD or path.startswith(f"{DATA}/")


def is_same(local: Local, remote: Remote | None, git_oid: Callable[[Local], str]) -> bool:
    """Whether the repository has a file as it is; `git_oid` reads it, and is asked only where nothing else tells."""
    if remote is None or remote.bytes != local.bytes:
        return False
    return remote.sha256 == local.sha256 if remote.sha256 else remote.git_oid == git_oid(local)


def make_plan(local: list[Local], remote: list[Remote], limits: Limits, git_oid: Callable[[Local], str]) -> Plan:
    """What is to be added, replaced and deleted, as commits.

    One commit does it all where the limits allow. Where they do not, the first one takes away what claims to describe
    the whole (card and manifest) with what has to go, and the last one brings them back: a push that ends in between
    claims nothing that is not there, and no file is served beside the one that replaces it.
    """
    there = {file.path: file for file in remote}
    ours = {file.path for file in local}
    changed = [file for file in local if not is_same(file, there.get(file.path), git_oid)]
    obsolete = sorted(path for path in there if of_a_release(path) and path not in ours)
    foreign = tuple(sorted(path for path in there if not of_a_release(path)))
    data = [file for file in changed if file.path not in HEAD]
    commits = _cut(obsolete, data, limits)
    if len(commits) <= 1:
        head = [file for file in changed if file.path in HEAD]
    else:
        claims = tuple(path for path in HEAD if path in there and path in ours)
        commits[0] = Commit(commits[0].add, claims + commits[0].delete)
        head = [file for file in local if file.path in HEAD]
    if head:
        last = commits.pop() if commits else Commit((), ())
        commits.append(Commit(last.add + tuple(sorted(head, key=lambda file: HEAD.index(file.path))), last.delete))
    return Plan(tuple(commits), len(local) - len(changed), foreign)


def _cut(obsolete: list[str], data: list[Local], limits: Limits) -> list[Commit]:
    """Deletions first, then files in the order of their paths, each commit within the limits or of one file."""
    commits: list[Commit] = []
    delete: list[str] = []
    add: list[Local] = []

    def close() -> None:
        if add or delete:
            commits.append(Commit(tuple(add), tuple(delete)))
            add.clear()
            delete.clear()

    for path in obsolete:
        if len(delete) >= limits.files:
            close()
        delete.append(path)
    for file in sorted(data, key=lambda file: file.path):
        full = len(add) + len(delete) >= limits.files
        if full or (add and sum(other.bytes for other in add) + file.bytes > limits.bytes):
            close()
        add.append(file)
    close()
    return commits
