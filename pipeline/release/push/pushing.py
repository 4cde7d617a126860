"""Pushing a release: look, plan, upload, commit, look again; what is there already is never sent a second time."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field

from huggingface_hub import CommitOperationAdd, CommitOperationDelete

from pipeline.errors import KamisukiError, UsageError
from pipeline.release.manifest import DATA, MANIFEST
from pipeline.release.push.contents import Contents, check_for_public, read_contents
from pipeline.release.push.ledger import PushLedger, Target
from pipeline.release.push.patience import HUB, Patience
from pipeline.release.push.plan import Commit, Limits, Local, Plan, is_same, make_plan
from pipeline.release.push.repository import BlobsMissing, Moved, Operation, Repository, Seen
from pipeline.storage.places import Place
from pipeline.wording import counted

# Files that are asked about and uploaded together, and so many groups beside each other: one large file a group, or
# many small ones. A release on S3 has at most so much of it on this machine's disk.
GROUP_FILES = 32
GROUP_BYTES = 512_000_000
GROUPS = 4
SAY_EVERY_SECONDS = 10.0
# Somebody else's commits, or answers that were lost, one after the other.
MOST_MOVES = 10


@dataclass(frozen=True)
class Wish:
    """What is asked of a push besides where to."""

    public: bool = False
    replace: bool = False
    tag: str | None = None
    squash: bool = False
    drop_refs: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Outlook:
    """What a push would do."""

    seen: Seen | None
    plan: Plan


@dataclass
class Outcome:
    """What a push did. `sent` and `sent_bytes` count files that were handed to the Hub by this process."""

    commits: int = 0
    sent: int = 0
    sent_bytes: int = 0
    deleted: int = 0
    unchanged: int = 0
    head: str = ""
    squashed: bool = False
    unused: int = 0
    waited: float = 0.0
    remarks: list[str] = field(default_factory=list)


class Push:
    """One push of a release to one branch of a repository."""

    def __init__(
        self,
        release: Place,
        target: Target,
        token: str | None,
        wish: Wish,
        say: Callable[[str], None],
        patience: Patience | None = None,
        still_held: Callable[[], None] = lambda: None,
    ) -> None:
        """`still_held` raises where the release's lock was lost: asked before every commit and behind the last."""
        self.contents: Contents = read_contents(release)
        self._wish, self._say, self._target, self._still_held = wish, say, target, still_held
        self._patience = patience or Patience(say, HUB)
        self._repository = Repository(target, token, self._patience)
        self._ledger = PushLedger(release, target)
        self._outcome = Outcome()
        self._trusted: set[str] = set()
        self._lock = threading.Lock()
        self._sent_before = self._last_said = time.monotonic()

    def outlook(self) -> Outlook:
        """What would be done; nothing is written, here or there. Raises UsageError where it may not be done."""
        seen = self._repository.look()
        if seen:
            self._check(seen)
        plan = self._plan(seen)
        self._check_tag(seen, plan)
        return Outlook(seen, plan)

    def _plan(self, seen: Seen | None) -> Plan:
        return make_plan(self.contents.files, seen.files if seen else [], self._wish.limits, self.contents.git_oid)

    def _check(self, seen: Seen) -> None:
        repo = f"{self._target.repo} at {self._target.endpoint}"
        if not seen.private and not self._wish.public:
            raise UsageError(f"{repo} is public: say --public if everybody may have this release, or make it private")
        if self._wish.squash and not self._wish.drop_refs and (held := _held(seen, self._target.branch)):
            raise UsageError(
                f"{repo}: {', '.join(held)} would keep old commits and their rows: add --drop-refs to delete them"
            )
        if self._wish.replace or self._ledger.known:
            return
        there = {file.path: file for file in seen.files}
        if MANIFEST in there and seen.head:
            name = _name_in(self._repository.read(MANIFEST, seen.head))
            if name != self.contents.manifest.name:
                raise UsageError(f"{repo} holds the release {name!r}: choose another repository, or say --replace")
            return
        ours = {file.path: file for file in self.contents.files}
        for path, remote in there.items():
            known = ours.get(path)
            if path.startswith(f"{DATA}/") and not (known and is_same(known, remote, self.contents.git_oid)):
                raise UsageError(
                    f"{repo} holds {path!r}, which is not of this release and would be deleted: choose another "
                    "repository, or say --replace"
                )

    def _check_tag(self, seen: Seen | None, plan: Plan) -> None:
        tag = self._wish.tag
        if not tag or not seen or tag not in seen.tags or self._wish.drop_refs:
            return
        if plan.commits or seen.tags[tag] != seen.head:
            raise UsageError(f"the tag {tag} names another commit of {self._target.repo}: give another --tag")

    def execute(self) -> Outcome:
        """Do it. Raises KamisukiError, after which the same push goes on where it stopped."""
        outlook = self.outlook()
        seen, plan = outlook.seen, outlook.plan
        if self._wish.public:
            check_for_public(self.contents, self._say)
        if seen is None:
            self._repository.create()
        if seen is None or seen.head is None:
            if self._target.branch != "main":
                self._repository.create_branch()
            seen = self._look()
            # A new branch begins with what main holds.
            self._check(seen)
            plan = self._plan(seen)
        self._outcome.unchanged = plan.unchanged
        if plan.commits:
            manifest = hashlib.sha256(self.contents.head[MANIFEST]).hexdigest()
            self._ledger.add("begin", manifest_sha256=manifest, files=len(plan.add))
            self._repository.choose_transfer()
            seen = self._bring(seen, plan)
        self._still_held()
        if not self.contents.unchanged():
            raise KamisukiError(f"{self.contents.release} was changed while it was pushed: push again")
        if self._wish.squash:
            seen = self._squash(seen)
        assert seen.head is not None
        if self._wish.tag and seen.tags.get(self._wish.tag) != seen.head:
            self._repository.tag(self._wish.tag, seen.head)
            self._ledger.add("tag", tag=self._wish.tag, oid=seen.head)
        if self._wish.public and seen.private:
            self._repository.publish()
            self._ledger.add("public")
        self._outcome.head, self._outcome.waited = seen.head, self._patience.waited
        return self._outcome

    def _look(self) -> Seen:
        seen = self._repository.look()
        if seen is None or seen.head is None:
            raise KamisukiError(f"{self._target.repo} or its branch {self._target.branch} has gone: push again")
        return seen

    def _bring(self, seen: Seen, plan: Plan) -> Seen:
        moves = 0
        while plan.commits:
            before = self._outcome.commits
            try:
                self._commit_all(seen, plan)
            except Moved:
                self._ledger.add("moved")
            moves = 0 if self._outcome.commits > before else moves + 1
            if moves > MOST_MOVES:
                raise KamisukiError(f"{self._target.repo} changes all the time: somebody else writes to it; push later")
            # What is there now is what counts: a commit whose answer was lost is done, and is not made twice.
            seen = self._look()
            plan = self._plan(seen)
        return seen

    def _commit_all(self, seen: Seen, plan: Plan) -> None:
        self._trusted = {file.sha256 for file in seen.files if file.sha256}
        head = seen.head
        assert head is not None
        count = len(plan.commits)
        for number, commit in enumerate(plan.commits, 1):
            part = f" ({number} of {count})" if count > 1 else ""
            title = f"{self.contents.manifest.name} of {self.contents.manifest.date}{part}"
            head = self._commit(commit, title, head)
            self._outcome.commits += 1
            self._outcome.deleted += len(commit.delete)
            self._ledger.add("commit", oid=head, add=len(commit.add), delete=len(commit.delete))

    def _commit(self, commit: Commit, title: str, head: str) -> str:
        known = [file for file in commit.add if file.sha256 in self._trusted | self._ledger.blobs]
        try:
            return self._upload_and_commit(commit, title, head)
        except BlobsMissing:
            if not known:
                raise
        self._say(f"push: the Hub no longer has {counted(len(known), 'file')} of an earlier upload: uploading again")
        for file in known:
            self._trusted.discard(file.sha256)
            self._ledger.add("lost", sha256=file.sha256)
        return self._upload_and_commit(commit, title, head)

    def _upload_and_commit(self, commit: Commit, title: str, head: str) -> str:
        operations = self._operations(commit)
        # Uploads take hours, in which the release may have become another's.
        self._still_held()
        return self._repository.commit(operations, title, head)

    def _operations(self, commit: Commit) -> list[Operation]:
        there = self._trusted | self._ledger.blobs
        operations: list[Operation] = [CommitOperationDelete(path, is_folder=False) for path in commit.delete]
        operations += [self._repository.uploaded(file) for file in commit.add if file.sha256 in there]
        groups = _groups([file for file in commit.add if file.sha256 not in there])
        pool = ThreadPoolExecutor(GROUPS)
        try:
            running = [pool.submit(self._upload, group) for group in groups]
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
            for future in done:
                operations += future.result()
        finally:
            pool.shutdown(cancel_futures=True)
        return operations

    def _upload(self, group: list[Local]) -> list[CommitOperationAdd]:
        with ExitStack() as stack:
            additions = self._repository.upload(
                [(file, stack.enter_context(self.contents.content(file))) for file in group]
            )
        for file, addition in zip(group, additions, strict=True):
            if addition.path_or_fileobj == b"" and file.bytes:
                self._ledger.add("blob", sha256=file.sha256, path=file.path, bytes=file.bytes)
        with self._lock:
            self._outcome.sent += len(group)
            self._outcome.sent_bytes += sum(file.bytes for file in group)
            now = time.monotonic()
            if now - self._last_said >= SAY_EVERY_SECONDS:
                self._last_said = now
                rate = self._outcome.sent_bytes / max(now - self._sent_before, 1e-6)
                all_bytes = sum(file.bytes for file in self.contents.files)
                self._say(
                    f"push: {counted(self._outcome.sent, 'file')}, {self._outcome.sent_bytes / 1e9:.2f} of at most "
                    f"{all_bytes / 1e9:.2f} GB, {rate / 1e6:.1f} MB/s, for {now - self._sent_before:,.0f} s"
                )
        return additions

    def _squash(self, seen: Seen) -> Seen:
        tags, branches = list(seen.tags), [name for name in seen.branches if name != self._target.branch]
        self._repository.drop(tags, branches)
        if self._repository.commits() > 1:
            name, date = self.contents.manifest.name, self.contents.manifest.date
            self._repository.squash(f"{name} of {date}")
        seen = self._look()
        used = {file.sha256 for file in seen.files if file.sha256}
        self._outcome.squashed = True
        self._outcome.unused = self._repository.delete_unused(used)
        self._ledger.add("squash", oid=seen.head, deleted=self._outcome.unused)
        for ref in seen.others:
            self._outcome.remarks.append(f"{ref} may still hold old commits: close and delete it on the Hub's page")
        return seen


def _held(seen: Seen, branch: str) -> list[str]:
    tags = [f"tag {name}" for name in seen.tags]
    return tags + [f"branch {name}" for name in seen.branches if name != branch]


def _name_in(content: bytes) -> str:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    return str(found.get("name", ""))[:100] if isinstance(found, dict) else ""


def _groups(files: list[Local]) -> list[list[Local]]:
    groups: list[list[Local]] = []
    size = 0
    for file in files:
        if not groups or len(groups[-1]) >= GROUP_FILES or size + file.bytes > GROUP_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size += file.bytes
    return groups
