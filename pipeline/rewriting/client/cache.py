"""The request cache: good answers by the digest of their request, so that none is paid for twice."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from pipeline.errors import UsageError
from pipeline.rewriting.client.messages import Answer

FORMAT = 2
# Files of this format do not say whom their answers are about.
_WITHOUT_DOCUMENTS = 1
# Between two commits. Well under the second that kill -9 may cost.
COMMIT_SECONDS = 0.5
# Other workers may commit to the same file.
_BUSY_SECONDS = 60.0
_OPEN_AGAIN_SECONDS = 0.02
# SQLite's own limit of variables in a statement was 999 for long.
_MOST_VARIABLES = 900

_TABLE = """
create table if not exists answers (
    key text primary key,
    text text not null,
    finish_reason text,
    tokens_in integer not null,
    tokens_out integer not null,
    seconds real not null,
    endpoint text not null,
    tokens_estimated integer not null
)
"""
# Which documents a request was about; equal texts make equal requests.
_ABOUT = """
create table if not exists about (
    document text not null,
    key text not null,
    primary key (document, key)
) without rowid
"""
_INSERT = "insert or ignore into answers values (?, ?, ?, ?, ?, ?, ?, ?)"
_SELECT = "select key, text, finish_reason, tokens_in, tokens_out, seconds, endpoint, tokens_estimated from answers"


class RequestCache:
    """Answers in an SQLite file that several workers of one machine may share.

    A thread commits what was put, at most COMMIT_SECONDS after it was; a commit is on disk, so that neither kill -9 nor
    a power cut takes it back. Only good answers are kept: a bad one is asked again by the next run. A file on a network
    file system does not work with several workers (SQLite's write-ahead log needs shared memory).
    """

    def __init__(self, path: Path, commit_seconds: float = COMMIT_SECONDS) -> None:
        self.path = path
        self._commit_seconds = commit_seconds
        self._pending: dict[str, Answer] = {}
        self._changed = threading.Condition()
        self._flush_asked = self._closing = False
        self._error: BaseException | None = None
        self._connection, self._using = self._open(), threading.Lock()
        # One of its own, so that who looks up does not wait for the disk.
        self._reader, self._reading = self._open(), threading.Lock()
        self._writer = threading.Thread(target=self._write_on, name="request-cache", daemon=True)
        self._writer.start()

    def __enter__(self) -> RequestCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def get(self, key: str) -> Answer | None:
        """The good answer to a request, if there is one."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, Answer]:
        """The good answers that there are among these requests, by key."""
        # First what waits: once committed it stands in the file, so that nothing is missed in between.
        with self._changed:
            waiting = {key: _again(self._pending[key]) for key in keys if key in self._pending}
        found = {}
        with self._reading:
            for start in range(0, len(keys), _MOST_VARIABLES):
                some = keys[start : start + _MOST_VARIABLES]
                marks = ",".join("?" * len(some))
                for row in self._reader.execute(f"{_SELECT} where key in ({marks})", some):
                    found[row[0]] = _answer(row)
        return found | waiting

    def put(self, answer: Answer) -> None:
        """Keep a good answer; it is on disk within a second. Raises ValueError for a bad one."""
        if answer.reason is not None or answer.text is None:
            raise ValueError(f"a bad answer is not kept: {answer.reason}")
        with self._changed:
            self._raise_error()
            self._pending[answer.key] = answer
            if len(self._pending) == 1:
                self._changed.notify_all()

    def delete(self, keys: Iterable[str]) -> int:
        """Forget answers, so that no byte of them is left on disk. Returns how many there were."""
        self.flush()
        with self._using:
            with self._connection:
                gone = self._delete(keys)
            self._scrub()
        return gone

    def note_documents(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Keep of which document (id) which request (key) is about, so that its answer can be found and forgotten."""
        with self._using, self._connection:
            self._connection.executemany("insert or ignore into about values (?, ?)", pairs)

    def forget_documents(self, documents: Iterable[str]) -> int:
        """Forget the answers about documents, so that no byte of them is left on disk. Returns how many there were.

        An answer that another document's equal text got too stays. One of which is not known whom it is about, as in
        files that an earlier version wrote, goes with the first document.
        """
        self.flush()
        with self._using:
            with self._connection as connection:
                connection.execute("create temp table if not exists gone (document text primary key)")
                connection.execute("delete from gone")
                connection.executemany("insert or ignore into gone values (?)", ((key,) for key in documents))
                (asked,) = connection.execute("select count(*) from gone").fetchone()
                connection.execute("delete from about where document in (select document from gone)")
                unknown = "select key from answers where key not in (select key from about)"
                gone = self._delete([key for (key,) in connection.execute(unknown)] if asked else [])
            self._scrub()
        return gone

    def _delete(self, keys: Iterable[str]) -> int:
        before = self._connection.total_changes
        self._connection.executemany("delete from answers where key = ?", ((key,) for key in keys))
        return self._connection.total_changes - before

    def _scrub(self) -> None:
        # Pages that rows moved out of can hold copies of them: only what is left is written anew.
        self._connection.execute("vacuum")
        # The write-ahead log holds the old pages until it is emptied.
        (busy, *_) = self._connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        if busy:
            raise UsageError(f"{self.path} is in use: deleted answers are still in its log: stop the run, then again")

    def __len__(self) -> int:
        self.flush()
        with self._reading:
            (count,) = self._reader.execute("select count(*) from answers").fetchone()
        return int(count)

    def flush(self) -> None:
        """Return when all that was put is on disk. Raises what went wrong with that."""
        with self._changed:
            while self._pending and self._error is None:
                self._flush_asked = True
                self._changed.notify_all()
                self._changed.wait()
            self._raise_error()

    def close(self) -> None:
        """Write what is left. Raises what went wrong with that."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._writer.join()
        with self._using, self._reading:
            self._connection.close()
            self._reader.close()
        self._raise_error()

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        until = time.monotonic() + _BUSY_SECONDS
        while True:
            connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, check_same_thread=False)
            try:
                self._prepare(connection)
                return connection
            except sqlite3.DatabaseError as error:
                connection.close()
                # SQLite does not wait by itself where two turn a new file to write-ahead logging at once.
                if _primary(error) != sqlite3.SQLITE_BUSY:
                    text = f"{self.path} is no request cache ({error}): move it away or name another file"
                    raise UsageError(text) from None
                if time.monotonic() > until:
                    text = f"{self.path} is held by another program ({error}): end that, or name another file"
                    raise UsageError(text) from None
                time.sleep(_OPEN_AGAIN_SECONDS)
            except UsageError:
                connection.close()
                raise

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("pragma secure_delete = on")
        connection.execute("pragma journal_mode = wal")
        # FULL: the log is on disk when a commit returns.
        connection.execute("pragma synchronous = full")
        (found,) = connection.execute("pragma user_version").fetchone()
        if found not in (0, _WITHOUT_DOCUMENTS, FORMAT):
            raise UsageError(f"{self.path} is a request cache of another version ({found}): name another file")
        with connection:
            connection.execute(_TABLE)
            connection.execute(_ABOUT)
            connection.execute(f"pragma user_version = {FORMAT}")

    def _write_on(self) -> None:
        """Commit in groups until closed: what comes within `commit_seconds` of the first goes with it."""
        while True:
            with self._changed:
                while not self._pending and not self._closing:
                    self._flush_asked = False
                    self._changed.wait()
                if not self._pending:
                    return
                until = time.monotonic() + self._commit_seconds
                while not (self._closing or self._flush_asked) and (left := until - time.monotonic()) > 0:
                    self._changed.wait(left)
                self._flush_asked = False
                group = dict(self._pending)
            try:
                self._commit(group)
            except sqlite3.Error as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            with self._changed:
                for key, answer in group.items():
                    # A newer one with the same key may have been put meanwhile.
                    if self._pending.get(key) is answer:
                        del self._pending[key]
                self._changed.notify_all()

    def _commit(self, group: dict[str, Answer]) -> None:
        rows = [
            (
                answer.key,
                answer.text,
                answer.finish_reason,
                answer.tokens_in,
                answer.tokens_out,
                answer.seconds,
                answer.endpoint,
                answer.tokens_estimated,
            )
            for answer in group.values()
        ]
        with self._using, self._connection:
            self._connection.executemany(_INSERT, rows)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise UsageError(f"{self.path} cannot be written ({self._error}): free its disk and run again")


def _primary(error: sqlite3.DatabaseError) -> int | None:
    """SQLite's primary result code of an error: the low byte of the extended one."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _answer(row: tuple[Any, ...]) -> Answer:
    key, text, finish_reason, tokens_in, tokens_out, seconds, endpoint, estimated = row
    return Answer(
        key,
        text,
        finish_reason,
        tokens_in,
        tokens_out,
        seconds,
        endpoint,
        reason=None,
        from_cache=True,
        tokens_estimated=bool(estimated),
    )


def _again(answer: Answer) -> Answer:
    return replace(answer, from_cache=True, detail=None, attempts=0)
