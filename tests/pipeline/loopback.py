"""Servers on loopback that misbehave as asked: a web server that serves ranges, and a proxy before moto's S3 server."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import re
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from pipeline.storage import s3
from pipeline.storage.places import RemotePath

# What may happen to an answer. "more" tells a length that is larger than what comes, "less" a smaller one; "refuse" and
# "busy" are 503. Not among them is "gone": the connection is closed without an answer.
HAPPENINGS = ("busy", "cut", "more", "refuse", "less")
WRONG_BY = {"more": 1000, "less": -700}
SERVICE_BUSY = b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>'


@dataclass
class Seen:
    """What a server was asked, and how many requests it had at once."""

    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, method: str, path: str, headers: dict[str, str]) -> int:
        """Note a request; its number, from 1."""
        with self.lock:
            self.requests.append((method, path, headers))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            return len(self.requests)

    def done(self) -> None:
        """Note that a request was answered."""
        with self.lock:
            self.at_once -= 1

    def of(self, method: str, name: str = "") -> list[dict[str, str]]:
        """Headers of the requests of a method whose path holds `name`."""
        return [headers for asked, path, headers in self.requests if asked == method and name in path]


Mischief = Callable[[int, str, str], str | None]


def well_behaved(number: int, method: str, path: str) -> str | None:
    """Nothing ever happens."""
    return None


def every(turn: int) -> Mischief:
    """One after the other of all happenings, at every `turn`-th request."""
    return lambda number, method, path: HAPPENINGS[number // turn % len(HAPPENINGS)] if number % turn == 0 else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: Seen
    mischief: Mischief

    def log_message(self, format: str, *arguments: object) -> None:
        """Tests read what was asked from `seen`."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        number = self.seen.note(self.command, self.path, dict(self.headers))
        try:
            happening = type(self).mischief(number, self.command, self.path)
            if happening:
                self.seen.happened[happening] += 1
            if happening == "gone":
                self.close_connection = True
                return
            if happening in ("busy", "refuse"):
                self.send_response(503)
                self.send_header("Retry-After", "0" if happening == "busy" else "1")
                self.send_header("Content-Length", str(len(SERVICE_BUSY)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(SERVICE_BUSY)
                return
            status, headers, content = self.content(body)
            self.send_response(status)
            length = len(content) + WRONG_BY.get(happening or "", 0) if len(content) > 1000 else len(content)
            if not any(name.lower() == "content-length" for name in headers) or self.command == "GET":
                headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
                headers["Content-Length"] = str(length)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if happening == "cut" else content[:length])
            if happening in ("cut", "more"):
                self.close_connection = True
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            self.seen.done()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer

    def content(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        raise NotImplementedError


class _FileHandler(_Handler):
    folder: Path

    def content(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        path = self.folder / self.path.partition("?")[0].lstrip("/")
        if not path.is_file():
            return 404, {}, b"no such file"
        data = path.read_bytes()
        etag = f'"{hashlib.md5(data).hexdigest()}"'
        headers = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Length": str(len(data))}
        if self.headers.get("If-None-Match") == etag:
            return 304, {"ETag": etag}, b""
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked or self.headers.get("If-Range", etag) != etag or self.command == "HEAD":
            return 200, headers, data if self.command != "HEAD" else b""
        start, stop = int(asked.group(1)), min(len(data), int(asked.group(2) or len(data)) + 1)
        if start >= len(data):
            return 416, {"Content-Range": f"bytes */{len(data)}"}, b""
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        return 206, headers, data[start:stop]


class _ProxyHandler(_Handler):
    port: int

    def content(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as behind:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            behind.request(self.command, self.path, body, headers)
            answer = behind.getresponse()
            drop = ("connection", "date", "server", "transfer-encoding")
            told = {name: value for name, value in answer.getheaders() if name.lower() not in drop}
            return answer.status, told, answer.read()


@contextlib.contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[str]:
    """A server at work for the length of the block; gives its address."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def _serving(handler: type[_Handler], mischief: Mischief, **more: object) -> Iterator[tuple[str, Seen]]:
    seen = Seen()
    kind = type("Handler", (handler,), {"seen": seen, "mischief": staticmethod(mischief), **more})
    with running(ThreadingHTTPServer(("127.0.0.1", 0), kind)) as url:
        yield url, seen


def web_server(folder: Path, mischief: Mischief = well_behaved) -> contextlib.AbstractContextManager[tuple[str, Seen]]:
    """Serve a folder; gives the server's URL and what it was asked."""
    return _serving(_FileHandler, mischief, folder=folder)


def s3_proxy(port: int, mischief: Mischief = well_behaved) -> contextlib.AbstractContextManager[tuple[str, Seen]]:
    """Serve what the S3 server at a port answers."""
    return _serving(_ProxyHandler, mischief, port=port)


@contextlib.contextmanager
def moto_server() -> Iterator[int]:
    """moto's S3 server; gives its port."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield server.get_host_and_port()[1]
    finally:
        server.stop()


@contextlib.contextmanager
def made_bucket(port: int, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemotePath]:
    """A new bucket of moto's server, found by the platform's own chain of credentials, with a cache of its own.

    All of moto's servers in one process hold the same buckets, so that each needs a name of its own.
    """
    name = f"bucket-{uuid.uuid4().hex}"
    for key, value in {
        "AWS_ACCESS_KEY_ID": "loopback",
        "AWS_SECRET_ACCESS_KEY": "never-in-any-file",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "KAMISUKI_CACHE": str(cache),
    }.items():
        monkeypatch.setenv(key, value)
    s3._client_of.cache_clear()
    s3.client().create_bucket(Bucket=name)
    try:
        yield RemotePath(f"s3://{name}")
    finally:
        s3._client_of.cache_clear()
