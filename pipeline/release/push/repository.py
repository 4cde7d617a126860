"""A dataset repository of the Hub through huggingface_hub: looking, uploading, committing, tagging, squashing."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    RepoFile,
    constants,
    get_token,
    set_client_factory,
)
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import disable_progress_bars, get_session, logging
from huggingface_hub.utils._http import default_client_factory

from pipeline.errors import KamisukiError, UsageError
from pipeline.release.push.ledger import Target
from pipeline.release.push.patience import TIMEOUT, Patience, end_early
from pipeline.release.push.plan import Local, Remote
from pipeline.storage.http import is_inner

KIND = "dataset"
# Uploads of one group at once. Groups run beside each other.
THREADS = 2
Answer = TypeVar("Answer")
Operation = CommitOperationAdd | CommitOperationDelete


class Moved(Exception):
    """The branch is no longer where the push saw it: its own commit whose answer was lost, or somebody else's."""


class BlobsMissing(KamisukiError):
    """The Hub refused a commit that speaks of files which an earlier push had uploaded."""


@dataclass(frozen=True)
class Seen:
    """A repository as it was found. `head` is None where the branch is not there; `refs` name tags and branches."""

    private: bool
    head: str | None
    files: list[Remote]
    tags: dict[str, str]
    branches: dict[str, str]
    others: dict[str, str]


def hub_endpoint(given: str | None) -> str:
    """The Hub's address: as given, else HF_ENDPOINT, else huggingface.co. Raises UsageError for what cannot be used."""
    endpoint = (given or constants.ENDPOINT).rstrip("/")
    parts = urlsplit(endpoint)
    shown = re.sub(r"//[^/@]*@", "//…@", endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(f"{shown} is no address of a Hub: write --endpoint https://HOST")
    if "@" in parts.netloc:
        raise UsageError(f"{shown}: leave credentials out of the address: set HF_TOKEN, or use .venv/bin/hf auth login")
    if parts.scheme == "http" and not is_inner(parts.hostname):
        raise UsageError(f"{shown}: the token would travel in the clear: use https://")
    return endpoint


def check_repo(name: str) -> str:
    """The name owner/name. Raises UsageError for what the Hub would not take."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}", name, re.ASCII) or ".." in name:
        raise UsageError(f"{name!r} is no name of a repository: write --repo OWNER/NAME, of letters, digits, - _ .")
    return name


def hub_token() -> str:
    """The token of huggingface_hub's usual places. Raises UsageError where there is none."""
    token = get_token()
    if not token:
        raise UsageError("there is no token for the Hub: set HF_TOKEN, or run .venv/bin/hf auth login")
    return token


@contextlib.contextmanager
def quiet_client() -> Iterator[None]:
    """huggingface_hub's HTTP client with time limits and without waits or lines of its own, for the block's length."""

    def client() -> httpx2.Client:
        made = default_client_factory()
        made.event_hooks = {**made.event_hooks, "response": [end_early]}
        made.timeout = TIMEOUT
        return made

    set_client_factory(client)
    disable_progress_bars()
    # Its warnings repeat what Patience says, with the signed address of the storage behind the Hub.
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        set_client_factory(default_client_factory)


class Repository:
    """One dataset repository and branch. Methods wait as `patience` says, and raise KamisukiError in plain words."""

    def __init__(self, target: Target, token: str | None, patience: Patience) -> None:
        self.target = target
        self._token = token
        self._api = HfApi(endpoint=target.endpoint, token=token or False, library_name="kamisuki")
        self._patience = patience
        self._of: dict[str, Any] = {"repo_id": target.repo, "repo_type": KIND}

    def _ask(self, what: str, call: Callable[[], Answer]) -> Answer:
        try:
            return self._patience(f"{what} at {self.target.endpoint}", call)
        except HfHubHTTPError as error:
            raise KamisukiError(self._explain(what, error)) from None
        except (HFValidationError, ValueError, RuntimeError, httpx2.HTTPError) as error:
            raise KamisukiError(f"{what} at {self.target.endpoint}: {self.clean(str(error))}") from None

    def clean(self, text: str) -> str:
        """What a server said, on one line and without the token, should it repeat it."""
        text = text.replace(self._token, "…") if self._token else text
        return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:500]

    def _explain(self, what: str, error: HfHubHTTPError) -> str:
        status = error.response.status_code
        said = self.clean(error.server_message or f"status {status}")
        repo = f"{self.target.repo} at {self.target.endpoint}"
        if status in (401, 403):
            return f"{what}: {repo} refuses this token ({status}: {said}): use a token that may write to it"
        if isinstance(error, RepositoryNotFoundError):
            return f"{what}: {repo} is not there, or not for this token: check the name and the token"
        return f"{what}: {repo} answered {status}: {said}"

    def look(self) -> Seen | None:
        """The repository as it is now; None where there is none, or none that this token may see."""

        def ask() -> Seen | None:
            try:
                info = self._api.dataset_info(self.target.repo)
                refs = self._api.list_repo_refs(**self._of, include_pull_requests=True)
            except RepositoryNotFoundError:
                return None
            branches = {ref.name: ref.target_commit for ref in refs.branches}
            head = branches.get(self.target.branch)
            try:
                tree = list(self._api.list_repo_tree(**self._of, revision=head, recursive=True)) if head else []
            except RevisionNotFoundError:
                # Squashed by somebody between two questions.
                tree = []
            return Seen(
                private=bool(info.private),
                head=head,
                files=[_remote(item) for item in tree if isinstance(item, RepoFile)],
                tags={ref.name: ref.target_commit for ref in refs.tags},
                branches=branches,
                others={ref.ref: ref.target_commit for ref in [*refs.converts, *(refs.pull_requests or [])]},
            )

        return self._ask("looking at the repository", ask)

    def read(self, path: str, revision: str) -> bytes:
        """A small file's content."""
        url = f"{self.target.endpoint}/datasets/{self.target.repo}/resolve/{revision}/{path}"
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}

        def ask() -> bytes:
            answer = get_session().get(url, headers=headers)
            answer.raise_for_status()
            return answer.content

        return self._ask(f"reading {path}", ask)

    def create(self) -> None:
        """Make the repository, private."""
        self._ask(
            "making the repository", lambda: self._api.create_repo(**self._of, visibility="private", exist_ok=True)
        )

    def create_branch(self) -> None:
        """Make the branch, where main is."""
        self._ask(
            "making the branch",
            lambda: self._api.create_branch(**self._of, branch=self.target.branch, exist_ok=True),
        )

    def publish(self) -> None:
        """Let everybody see the repository."""
        self._ask(
            "making the repository public", lambda: self._api.update_repo_settings(**self._of, visibility="public")
        )

    def choose_transfer(self) -> str:
        """How large files travel, `xet` or `lfs`; a Hub without Xet storage is found out here.

        huggingface_hub takes Xet wherever its library is installed, and fails at a Hub (a mirror, one's own) that has
        none. On huggingface.co, and where HF_HUB_DISABLE_XET is set, its choice stands.
        """
        known = self.target.endpoint == constants._HF_DEFAULT_ENDPOINT or constants.HF_HUB_DISABLE_XET
        if not known:
            url = f"{self.target.endpoint}/api/{KIND}s/{self.target.repo}/xet-write-token/{self.target.branch}"
            headers = {"authorization": f"Bearer {self._token}"}
            status = self._ask("asking for Xet storage", lambda: get_session().get(url, headers=headers).status_code)
            constants.HF_HUB_DISABLE_XET = status != 200
        return "lfs" if constants.HF_HUB_DISABLE_XET else "xet"

    def upload(self, files: list[tuple[Local, Path | bytes]]) -> list[CommitOperationAdd]:
        """Upload what the Hub has not yet of some files, for a commit to come. Their content must be what they say."""
        additions = []
        for file, content in files:
            addition = CommitOperationAdd(file.path, content)
            addition.upload_info.sha256 = bytes.fromhex(file.sha256)
            additions.append(addition)
        self._ask(
            f"uploading {files[0][0].path}",
            lambda: self._api.preupload_lfs_files(
                self.target.repo, additions, repo_type=KIND, revision=self.target.branch, num_threads=THREADS
            ),
        )
        for addition in additions:
            if isinstance(addition.path_or_fileobj, str):
                # A small file that travels within the commit; it may be scratch that goes before.
                addition.path_or_fileobj = Path(addition.path_or_fileobj).read_bytes()
        return additions

    def uploaded(self, file: Local) -> CommitOperationAdd:
        """A file whose content is on the Hub already, for a commit: it is neither read nor sent."""
        addition = CommitOperationAdd(file.path, b"")
        addition.upload_info.sha256 = bytes.fromhex(file.sha256)
        addition.upload_info.size = file.bytes
        # There is no public way to say so; huggingface_hub sets these itself after an upload.
        addition._upload_mode = "lfs"
        addition._should_ignore = False
        addition._is_uploaded = True
        return addition

    def commit(self, operations: list[Operation], title: str, head: str) -> str:
        """Commit on top of `head`; the new commit's hash.

        Raises Moved when the branch is elsewhere: also when an earlier try was carried out and its answer lost.
        Raises BlobsMissing when the Hub does not have, or no longer, what the commit speaks of.
        """

        def ask() -> str:
            made = self._api.create_commit(
                operations=operations, commit_message=title, revision=self.target.branch, parent_commit=head, **self._of
            )
            return str(made.oid)

        def once() -> str:
            try:
                return ask()
            except HfHubHTTPError as error:
                status = error.response.status_code
                if status in (409, 412):
                    raise Moved from None
                if status not in (401, 403) and not isinstance(error, RepositoryNotFoundError):
                    raise BlobsMissing(self._explain("committing", error)) from None
                raise

        return self._ask("committing", once)

    def tag(self, name: str, commit: str) -> None:
        """Give a commit a name."""
        self._ask("tagging", lambda: self._api.create_tag(**self._of, tag=name, revision=commit, exist_ok=True))

    def drop(self, tags: list[str], branches: list[str]) -> None:
        """Delete tags and branches."""
        for tag in tags:
            self._ask(f"deleting tag {tag}", partial(self._api.delete_tag, **self._of, tag=tag))
        for branch in branches:
            self._ask(f"deleting branch {branch}", partial(self._api.delete_branch, **self._of, branch=branch))

    def commits(self) -> int:
        """How many commits the branch has."""
        return self._ask(
            "counting commits",
            lambda: len(self._api.list_repo_commits(**self._of, revision=self.target.branch)),
        )

    def squash(self, title: str) -> None:
        """Make one commit of the branch's history."""
        self._ask(
            "squashing the history",
            lambda: self._api.super_squash_history(**self._of, branch=self.target.branch, commit_message=title),
        )

    def delete_unused(self, used: set[str]) -> int:
        """Delete large files whose SHA-256 is not in `used` from the storage behind the repository; how many."""

        def ask() -> int:
            unused = [file for file in self._api.list_lfs_files(**self._of) if file.oid not in used]
            if unused:
                self._api.permanently_delete_lfs_files(**self._of, lfs_files=unused, rewrite_history=False)
            return len(unused)

        return self._ask("deleting what no commit needs", ask)


def _remote(item: RepoFile) -> Remote:
    return Remote(item.path, item.size, item.lfs.sha256 if item.lfs else None, item.blob_id)
