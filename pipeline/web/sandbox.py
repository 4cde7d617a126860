"""Runs somebody else's parser in a long-lived child process, so that a page can cost no more than itself."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.errors import KamisukiError
from pipeline.web.extraction import Extraction, ExtractionFailure
from pipeline.web.sandbox_child import REPLY_HEADER, REQUEST_HEADER

EXTRACTOR_VERSION = version("trafilatura")
# Importing the extractor takes 1 to 3 s; a loaded machine may need a hundred times that.
START_SECONDS = 300.0
START_ATTEMPTS = 3
# A child killed from outside says nothing about whether it can start.
START_KILLS = 20
READ_BYTES = 1_048_576

# What decides an answer besides the page: nothing of the machine's settings may. What Python needs to find its
# libraries is passed on; all else, credentials among it, is not.
_PASSED_ON = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
_FIXED_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
}


@dataclass(frozen=True)
class Limits:
    """What one page may cost. `memory_bytes` is address space beyond what the child needs for its libraries.

    `wall_seconds` is a backstop for a child that neither computes nor answers. A child is replaced after
    `pages_per_child` pages, because lxml's memory grows.
    """

    cpu_seconds: float = 10.0
    memory_bytes: int = 1_500_000_000
    wall_seconds: float = 120.0
    pages_per_child: int = 2000


class _ChildDied(Exception):
    """The child's end of a pipe is closed."""


class Sandbox:
    """The extractor behind limits. The child is started when the first page comes, and again whenever it is gone.

    An answer depends on the page and the limits alone: a child that somebody killed is started again and asked once
    more, and a page that needed much memory is asked again of a child that saw no other page.
    """

    process: subprocess.Popen[bytes] | None = None

    def __init__(self, limits: Limits, parser: Path | None = None) -> None:
        self.limits = limits
        # A file with a function `extract` as in sandbox_child.py, which runs trafilatura without one.
        self.parser = parser
        self._pages = 0

    def extract(self, html: str, url: str | None, fetched_on: str | None) -> Extraction | ExtractionFailure:
        """The main text of a decoded page. `fetched_on` (YYYY-MM-DD) is the latest date that it can have been written.

        Raises RuntimeError when no child can be started, KamisukiError where this machine cannot confine one.
        """
        options = json.dumps({"url": url, "fetched_on": fetched_on}).encode()
        page = html.encode("utf-8", "surrogatepass")
        request = REQUEST_HEADER.pack(len(options), len(page)) + options + page
        deaths = 0
        while True:
            process = self._running_child()
            fresh = self._pages == 0
            self._pages += 1
            try:
                reply = _exchange(process, request, time.monotonic() + self.limits.wall_seconds)
            except TimeoutError:
                self.close()
                return ExtractionFailure("extraction_wall_limit", f"no answer in {self.limits.wall_seconds:g} s")
            except _ChildDied:
                ended_by = -process.wait()
                self.close()
                if ended_by == signal.SIGPROF:
                    return ExtractionFailure(
                        "extraction_cpu_limit", f"more than {self.limits.cpu_seconds:g} s of CPU time"
                    )
                deaths += 1
                if deaths == 2:
                    return ExtractionFailure("extractor_crashed", _name_of_end(ended_by))
                continue
            except BaseException:
                # A reply left in the pipe would be taken for the next page's.
                self.close()
                raise
            grown = reply.pop("grown")
            if grown or self._pages >= self.limits.pages_per_child:
                self.close()
            if grown and not fresh:
                continue
            if "reason" in reply:
                return ExtractionFailure(reply["reason"], reply["detail"])
            return Extraction(**reply)

    def close(self) -> None:
        """End the child. The sandbox can be used again."""
        process, self.process = self.process, None
        self._pages = 0
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def _running_child(self) -> subprocess.Popen[bytes]:
        if self.process is not None and self.process.poll() is not None:
            self.close()
        attempts = kills = 0
        while self.process is None:
            self.process = _start(self.limits, self.parser)
            try:
                first = _receive(self.process, time.monotonic() + START_SECONDS)
            except (_ChildDied, TimeoutError) as failure:
                killed = isinstance(failure, _ChildDied) and self.process.wait() < 0
                kills += killed
                attempts += not killed
                self.close()
                if attempts == START_ATTEMPTS or kills == START_KILLS:
                    command = "python -m pipeline.web.sandbox_child 10 1000000000"
                    raise RuntimeError(f"the extractor's process does not start: see why with `{command}`") from None
            else:
                if "unconfined" in first:
                    self.close()
                    raise KamisukiError(
                        f"a parser of pages cannot be kept from network and files here: {first['unconfined']}: run it "
                        "on Linux (x86-64, arm64) where seccomp filters are allowed, or use extract.extractor: kamisuki"
                    )
        return self.process


def _start(limits: Limits, parser: Path | None) -> subprocess.Popen[bytes]:
    # By its file and with -P: neither the working directory nor this package's folder may shadow what it imports.
    command = [sys.executable, "-P", str(Path(__file__).with_name("sandbox_child.py"))]
    process = subprocess.Popen(
        [*command, str(limits.cpu_seconds), str(limits.memory_bytes), *([str(parser)] if parser else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in _PASSED_ON if name in os.environ} | _FIXED_ENVIRONMENT,
        bufsize=0,
    )
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        os.set_blocking(pipe.fileno(), False)
    return process


def _exchange(process: subprocess.Popen[bytes], request: bytes, deadline: float) -> dict[str, Any]:
    assert process.stdin is not None and process.stdout is not None
    requests, replies = process.stdin.fileno(), process.stdout.fileno()
    rest = memoryview(request)
    while rest:
        # A child without the memory to read a page answers before it has read all.
        if replies in _wait_for({requests: select.POLLOUT, replies: select.POLLIN}, deadline):
            break
        try:
            rest = rest[os.write(requests, rest) :]
        except BlockingIOError:
            continue
        except BrokenPipeError:
            break
    return _receive(process, deadline)


def _receive(process: subprocess.Popen[bytes], deadline: float) -> dict[str, Any]:
    """One frame from the child. Raises TimeoutError at the deadline (monotonic clock), _ChildDied at the pipe's end."""
    assert process.stdout is not None
    replies = process.stdout.fileno()
    received = bytearray()
    wanted = REPLY_HEADER.size
    while len(received) < wanted:
        _wait_for({replies: select.POLLIN}, deadline)
        block = os.read(replies, READ_BYTES)
        if not block:
            raise _ChildDied
        received += block
        if len(received) >= REPLY_HEADER.size:
            wanted = REPLY_HEADER.size + REPLY_HEADER.unpack_from(received)[0]
    reply: dict[str, Any] = json.loads(received[REPLY_HEADER.size : wanted])
    return reply


def _wait_for(pipes: dict[int, int], deadline: float) -> set[int]:
    """The pipes on which one of the events has come, or that are broken. Raises TimeoutError at the deadline."""
    poll = select.poll()
    for pipe, events in pipes.items():
        poll.register(pipe, events)
    ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
    if not ready:
        raise TimeoutError
    return {pipe for pipe, _ in ready}


def _name_of_end(ended_by: int) -> str:
    if ended_by <= 0:
        return f"exit code {-ended_by}"
    try:
        return f"signal {signal.Signals(ended_by).name}"
    except ValueError:
        return f"signal {ended_by}"
