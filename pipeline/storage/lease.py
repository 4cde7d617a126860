"""The lock of an OUT on S3: an object that its holder renews, so that one whose holder died is free again by itself."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.errors import KamisukiError, UsageError
from pipeline.storage import s3
from pipeline.storage.scratch import process_alive

RENEW_SECONDS = 20.0
# A holder that missed four renewals is dead or cut off.
STALE_SECONDS = 90.0


class Lease:
    """A held lock; `check` raises when it was lost."""

    def __init__(self, url: str, content: bytes, etag: str) -> None:
        self.url, self.content, self.etag = url, content, etag
        self._lost = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def _renew(self) -> None:
        while not self._stop.wait(RENEW_SECONDS):
            with contextlib.suppress(KamisukiError, FileNotFoundError):
                # A server that is away for a while takes no lock away; the next renewal tells.
                renewed = _put(self.url, self.content, self.etag)
                if renewed is None:
                    self._lost = True
                    return
                self.etag = renewed

    def check(self) -> None:
        """Raises KamisukiError when another run has taken the lock."""
        if self._lost:
            raise KamisukiError(f"{self.url}: another run took this output over: stop one of the two")

    def release(self) -> None:
        """Let the lock go."""
        self._stop.set()
        self._thread.join()
        if not self._lost:
            s3.delete([self.url])


def _put(url: str, content: bytes, etag: str | None) -> str | None:
    """Take or renew the lock; None when somebody else has it."""
    put = s3.put_if(url, content, etag)
    if put is not None:
        return put
    # A put whose answer was lost is tried again and then meets itself.
    found = holder(url)
    return found[1] if found and found[0]["token"] == json.loads(content)["token"] else None


def holder(url: str) -> tuple[dict[str, Any], str] | None:
    """Who holds the lock now, and its ETag; None where nobody does. A stale holder has the key `stale`."""
    bucket, key = s3.split(url)
    try:
        found = s3.client().get_object(Bucket=bucket, Key=key)
        who = json.loads(found["Body"].read())
    except (ClientError, BotoCoreError) as error:
        explained = s3.explain(error, url)
        if isinstance(explained, FileNotFoundError):
            return None
        raise explained from None
    if not isinstance(who, dict):
        # The lock of a folder, copied here with the rest.
        who = {"host": "?", "pid": who, "token": None}
    now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
    here = who["host"] == socket.gethostname()
    who["stale"] = (
        who["token"] is None
        or (now - found["LastModified"]).total_seconds() > STALE_SECONDS
        or (here and not process_alive(int(who["pid"])))
    )
    return who, str(found["ETag"])


@contextlib.contextmanager
def held(url: str, out: str) -> Iterator[Lease]:
    """Hold the lock for the length of the block. Raises UsageError when another run has it."""
    content = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "token": os.urandom(8).hex()}).encode()
    found = holder(url)
    etag = None
    if found is None or found[0]["stale"]:
        etag = _put(url, content, found[1] if found else None)
    if etag is None:
        who = (holder(url) or ({"pid": "?", "host": "?"}, ""))[0]
        raise UsageError(
            f"another run (process {who['pid']} on {who['host']}) works in {out}: wait for it or stop it; the lock of "
            f"one that died is free after {STALE_SECONDS:.0f} s"
        )
    lease = Lease(url, content, etag)
    try:
        yield lease
    finally:
        lease.release()
