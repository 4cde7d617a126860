"""Fetching from S3 and the web: bytes that survive cuts, waits that grow, lengths and checksums that must be right."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import KamisukiError
from pipeline.storage import http, s3
from pipeline.storage.http import OutOfRange, Piece, Politeness, Transient
from pipeline.storage.scratch import cache_folder

__all__ = ["Facts", "Politeness", "fetch", "read_range", "remote_size"]

LONGEST_WAIT_SECONDS = 900.0
# A server that asks for more than this is better asked on another day.
LONGEST_RETRY_AFTER_SECONDS = 3_600.0


@dataclass
class Facts:
    """What is known of an object: its bytes, what tells it from another one, and the checksums that its server sent."""

    total: int | None = None
    etag: str | None = None
    checksums: dict[str, str] = field(default_factory=dict)


def waiting_seconds(url: str, failures: int, politeness: Politeness) -> float:
    """How long to wait after so many failures: doubled each time, spread by half, the same for the same URL."""
    spread = int.from_bytes(hashlib.sha256(f"{url} {failures}".encode()).digest()[:4], "big") / 2**32
    return float(min(LONGEST_WAIT_SECONDS, politeness.wait_seconds * 2 ** (failures - 1)) * (0.5 + spread))


@contextlib.contextmanager
def host_slot(url: str, politeness: Politeness) -> Iterator[None]:
    """One of the connections that a web server may have at once from this machine, whatever the number of workers."""
    if url.startswith("s3://"):
        yield
        return
    folder = cache_folder() / "hosts"
    folder.mkdir(parents=True, exist_ok=True)
    host = re.sub(r"[^A-Za-z0-9.-]", "_", urlsplit(url).netloc)
    with contextlib.ExitStack() as stack:
        slots = [stack.enter_context(open(folder / f"{host}.{n}", "a")) for n in range(politeness.connections)]
        while not any(_locks(slot) for slot in slots):
            time.sleep(0.05)
        yield


def _locks(slot: object) -> bool:
    try:
        fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[arg-type]
    except BlockingIOError:
        return False
    return True


def _open(
    url: str, start: int, stop: int | None, politeness: Politeness, facts: Facts, held: str | None
) -> Piece | None:
    if not url.startswith("s3://"):
        return http.open_range(url, start, stop, politeness, facts.etag, held)
    try:
        answer = s3.open_range(url, start, stop, facts.etag, held)
    except s3.OutOfRange as error:
        raise OutOfRange(str(error)) from None
    if answer is None:
        return None
    place = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.get("ContentRange", ""))
    total = int(place.group(2)) if place else int(answer["ContentLength"])
    body = answer["Body"]
    return Piece(int(place.group(1)) if place else 0, total, answer["ETag"], _s3_chunks(url, body), body.close, {})


def _s3_chunks(url: str, body: object) -> Iterator[bytes]:
    try:
        yield from body.iter_chunks(s3.CHUNK_BYTES)  # type: ignore[attr-defined]
    except s3.CUT as error:
        raise Transient(f"cut ({type(error).__name__})") from None
    except s3.BotoCoreError as error:
        raise Transient(f"damaged on its way ({type(error).__name__})") from None


def stream(
    url: str, start: int, stop: int | None, politeness: Politeness, facts: Facts, held: str | None = None
) -> Iterator[tuple[int, bytes]]:
    """Bytes from `start` to `stop` (the end if None) with their offsets, in order but for a return to `start`.

    A return means that what came before belongs to another object and must be forgotten. `facts` is filled; an ETag
    in it lets a fetch go on that was begun before. Nothing comes when the object is still the one of ETag `held`.
    Raises FileNotFoundError, or KamisukiError after so many failures in a row.
    """
    position, failures, returns = start, 0, 0
    while True:
        before = position
        try:
            piece = _open(url, position, stop, politeness, facts, held)
            if piece is None:
                return
            with contextlib.closing(piece):
                if piece.start != position or not _same(facts, piece):
                    if start:
                        raise s3.Changed(
                            f"{url} changed while it was read, or its server does not serve ranges: run again, or read "
                            "it whole"
                        )
                    facts.total = facts.etag = None
                    position = before = start
                    if piece.start != start:
                        raise Transient("the object has changed")
                facts.total, facts.etag, facts.checksums = piece.total, piece.etag, piece.checksums or facts.checksums
                end = piece.total if stop is None else stop if piece.total is None else min(stop, piece.total)
                for chunk in piece.chunks:
                    yield position, chunk
                    position += len(chunk)
                if end is not None and position != end:
                    if position > end:
                        position = start
                    raise Transient(f"{position} bytes of {end}")
                return
        except Transient as problem:
            failures = 1 if position > before else failures + 1
            if isinstance(problem, OutOfRange):
                if position == start:
                    raise KamisukiError(
                        f"{url} ends before byte {start:,}: it is not the file that was meant"
                    ) from None
                # A length that was told before was wrong.
                facts.total = None
                position = start
            elif facts.etag is None and start == 0:
                # Nothing would tell a changed object from the one that was begun.
                position = start
            if position < before or position == start:
                returns += 1
                failures = max(failures, returns)
            _wait(url, problem, failures, politeness)


def _same(facts: Facts, piece: Piece) -> bool:
    for ours, theirs in ((facts.etag, piece.etag), (facts.total, piece.total)):
        if ours is not None and theirs is not None and ours != theirs:
            return False
    return True


def _wait(url: str, problem: Transient, failures: int, politeness: Politeness) -> None:
    host = urlsplit(url).netloc
    if problem.retry_after > LONGEST_RETRY_AFTER_SECONDS:
        raise KamisukiError(f"{url}: {host} asks to wait {problem.retry_after:,.0f} s ({problem}): run again then")
    if failures >= politeness.tries:
        hint = "run again later"
        if "403" in str(problem) or "429" in str(problem):
            hint = (
                "the server refuses clients that ask too much, or this file to everybody: run again tomorrow, with "
                "--set sources.connections=1; Common Crawl is better read over s3:// from AWS us-east-1"
            )
        raise KamisukiError(f"{url}: {host} failed {failures} times in a row, last with {problem}: {hint}")
    time.sleep(max(problem.retry_after, waiting_seconds(url, failures, politeness)))


def fetch(url: str, path: Path, politeness: Politeness, facts: Facts | None = None, held: str | None = None) -> bool:
    """Write an object to a local file; `facts` of a fetch that was cut lets it go on from the file's end.

    Returns False, and writes nothing, when the object is still the one of ETag `held`. Raises as `stream`, and
    KamisukiError when what came has another checksum than its server said.
    """
    facts = facts if facts is not None else Facts()
    start = path.stat().st_size if facts.etag and path.exists() else 0
    came = False
    with open(path, "r+b" if start else "wb") as file, host_slot(url, politeness):
        # The file's own bytes stand in for what a first answer would have brought.
        for offset, chunk in _resumed(url, start, politeness, facts, held):
            came = True
            if file.tell() != offset or offset < start:
                file.seek(offset)
                file.truncate()
            file.write(chunk)
    if not came and held:
        return False
    _verify(url, path, facts)
    return True


def _resumed(
    url: str, start: int, politeness: Politeness, facts: Facts, held: str | None
) -> Iterator[tuple[int, bytes]]:
    if not start:
        yield from stream(url, 0, None, politeness, facts, held)
        return
    if facts.total == start:
        return
    try:
        yield from stream(url, start, None, politeness, facts)
    except s3.Changed:
        facts.total = facts.etag = None
        yield from stream(url, 0, None, politeness, facts)


def _verify(url: str, path: Path, facts: Facts) -> None:
    for name, value in facts.checksums.items():
        found = re.search(r"sha-256\s*=\s*:?([A-Za-z0-9+/=]+)", value, re.IGNORECASE)
        algorithm = "md5" if name == "Content-MD5" else "sha256" if found else None
        if algorithm is None:
            continue
        with open(path, "rb") as file:
            digest = base64.b64encode(hashlib.file_digest(file, algorithm).digest()).decode()
        if digest != (found.group(1) if found else value.strip()):
            path.unlink()
            raise KamisukiError(f"{url}: what came has another {algorithm} than {name} says: run again")


def read_range(url: str, start: int, stop: int | None, politeness: Politeness, etag: str | None = None) -> bytes:
    """A range in memory, to the end if `stop` is None. Raises as `stream`, and KamisukiError when it is too short."""
    facts = Facts(etag=etag)
    content = bytearray()
    with host_slot(url, politeness):
        for offset, chunk in stream(url, start, stop, politeness, facts):
            del content[offset - start :]
            content += chunk
    if stop is not None and len(content) != stop - start:
        raise KamisukiError(f"{url}: it ends before byte {stop:,}: it is not the file that was meant")
    return bytes(content)


def remote_size(url: str, politeness: Politeness) -> tuple[int, str | None]:
    """Bytes and ETag of a remote object. Raises FileNotFoundError when it is not there."""
    if url.startswith("s3://"):
        found = s3.head(url)
        if found is None:
            raise FileNotFoundError(2, "no such object", url)
        return found.bytes, found.etag
    failures = 0
    with host_slot(url, politeness):
        while True:
            try:
                piece = http.open_range(url, 0, None, politeness, method="HEAD")
                assert piece is not None
                piece.close()
                if piece.total is None:
                    raise KamisukiError(f"{url}: the server does not say how long it is: read it whole")
                return piece.total, piece.etag
            except Transient as problem:
                failures += 1
                _wait(url, problem, failures, politeness)
