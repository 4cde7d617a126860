"""HTTP: one polite request for a range. Redirects stay within allowed hosts and out of the inner network."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from pipeline import __version__
from pipeline.errors import KamisukiError

CHUNK_BYTES = 1_048_576
MOST_REDIRECTS = 5
# Common Crawl's front end answers 403 to clients that ask too much; the others pass by themselves.
TRANSIENT = frozenset({403, 408, 425, 429, 500, 502, 503, 504})


class Transient(Exception):
    """An answer, or none, that may be better later; `retry_after` is what the server asked for, seconds."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class OutOfRange(Transient):
    """The object ends before the range that was asked for."""


@dataclass
class Piece:
    """An answer: where its bytes begin, how many the whole object has, what tells it from another, and its bytes."""

    start: int
    total: int | None
    etag: str | None
    chunks: Iterator[bytes]
    close: Any
    checksums: dict[str, str]


@dataclass(frozen=True)
class Politeness:
    """How servers are asked; see `sources` in docs/recipes.md."""

    contact: str = ""
    connections: int = 2
    tries: int = 12
    wait_seconds: float = 5.0
    timeout_seconds: float = 60.0
    hosts: tuple[str, ...] = ()
    cache_bytes: int = 20_000_000_000

    @property
    def user_agent(self) -> str:
        """Who asks."""
        return f"Kamisuki/{__version__}" + (f" ({self.contact})" if self.contact else "")


class InnerAddress(Exception):
    """A connection that must not lead into the inner network led there."""


class _PublicConnection(HTTPConnection):
    def connect(self) -> None:
        """Connect, and let go before anything is asked where that led into the inner network."""
        super().connect()
        _check_peer(self)


class _PublicTlsConnection(HTTPSConnection):
    def connect(self) -> None:
        """Connect, and let go before anything is asked where that led into the inner network."""
        super().connect()
        _check_peer(self)


class _PublicPool(HTTPConnectionPool):
    ConnectionCls = _PublicConnection


class _PublicTlsPool(HTTPSConnectionPool):
    ConnectionCls = _PublicTlsConnection


class _PublicAdapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        """Pools whose connections look whom they reached: a name may be looked up anew after it was checked."""
        super().init_poolmanager(*arguments, **more)
        self.poolmanager.pool_classes_by_scheme = {"http": _PublicPool, "https": _PublicTlsPool}


def _check_peer(connection: HTTPConnection) -> None:
    address = str(connection.sock.getpeername()[0]).partition("%")[0]
    if not ipaddress.ip_address(address).is_global:
        connection.close()
        raise InnerAddress(address)


@lru_cache(maxsize=8)
def _session(process: int, thread: int, public: bool) -> requests.Session:
    """A session of a thread; one that is `public` reaches no address of the inner network, unless by a proxy."""
    session = requests.Session()
    if public:
        for scheme in ("http://", "https://"):
            session.mount(scheme, _PublicAdapter())
    return session


def open_range(
    url: str,
    start: int,
    stop: int | None,
    politeness: Politeness,
    etag: str | None = None,
    held: str | None = None,
    method: str = "GET",
) -> Piece | None:
    """The bytes from `start` on; None when the object is still the one of ETag `held`.

    `etag` makes the server send the whole object where it has become another one. Raises Transient,
    FileNotFoundError, or KamisukiError for what no second try would mend.
    """
    headers = {"User-Agent": politeness.user_agent, "Accept-Encoding": "identity"}
    if method == "GET":
        headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
    if etag and start:
        headers["If-Range"] = etag
    if held:
        headers["If-None-Match"] = held
    try:
        answer = _follow(url, headers, politeness, method)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise Transient(f"no answer ({type(error).__name__})") from None
    except requests.RequestException as error:
        raise KamisukiError(f"{url}: {' '.join(str(error).split())[:200]}: check the address") from None
    status = answer.status_code
    if status in (200, 206):
        return _piece(answer, start)
    answer.close()
    if status == 304 and held:
        return None
    if status in TRANSIENT:
        raise Transient(f"status {status}", retry_after(answer.headers.get("Retry-After")))
    if status == 416 and start == 0 and answer.headers.get("Content-Range", "").strip() == "bytes */0":
        return Piece(0, 0, None, iter(()), answer.close, {})
    if status == 416:
        raise OutOfRange("status 416: the object is shorter than was said")
    if status in (404, 410):
        raise FileNotFoundError(2, f"the server has no such file (status {status})", url)
    raise KamisukiError(f"{url}: the server answered status {status}: check the address and your right to read it")


def _follow(url: str, headers: dict[str, str], politeness: Politeness, method: str) -> requests.Response:
    origin = urlsplit(url)
    public = False
    for _ in range(MOST_REDIRECTS + 1):
        timeout = (politeness.timeout_seconds, politeness.timeout_seconds)
        session = _session(os.getpid(), threading.get_ident(), public)
        try:
            answer = session.request(method, url, headers=headers, stream=True, allow_redirects=False, timeout=timeout)
        except InnerAddress as error:
            raise _into_inner(origin.hostname or "", f"{urlsplit(url).hostname} ({error})") from None
        if not answer.is_redirect:
            return answer
        answer.close()
        url = urljoin(url, answer.headers["Location"])
        check_redirect(origin.hostname or "", origin.scheme, url, politeness.hosts)
        # Whoever names an inner host as a source may be led about there; nobody else.
        public = not is_inner(origin.hostname or "")
    raise KamisukiError(f"{origin.geturl()}: more than {MOST_REDIRECTS} redirects: give the address that they lead to")


def check_redirect(origin: str, scheme: str, url: str, hosts: tuple[str, ...]) -> None:
    """Refuse a redirect that leaves the allowed hosts, drops encryption, or leads into the inner network."""
    target = urlsplit(url)
    host = target.hostname or ""
    if target.scheme not in ("http", "https") or (scheme == "https" and target.scheme == "http"):
        raise KamisukiError(f"{origin}: a redirect to {url[:200]!r} is refused: it leaves https")
    if host != origin and host not in hosts:
        raise KamisukiError(f"{origin}: a redirect to host {host!r} is refused: name it in sources.hosts to allow it")
    if is_inner(host) and not is_inner(origin):
        raise _into_inner(origin, host)


def _into_inner(origin: str, host: str) -> KamisukiError:
    return KamisukiError(
        f"{origin}: a redirect to {host!r} is refused: it leads into the inner network: where that is meant, give the "
        "address that it leads to as the input"
    )


def is_inner(host: str) -> bool:
    """Whether a host's name leads to an address that is not public."""
    try:
        found = {str(item[4][0]).partition("%")[0] for item in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return any(not ipaddress.ip_address(address).is_global for address in found)


def retry_after(value: str | None) -> float:
    """Seconds that a Retry-After asks for, as a number or as a date (RFC 9110, 10.2.3); 0 for none."""
    if not value:
        return 0.0
    if re.fullmatch(r"\d{1,9}", value.strip()):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _piece(answer: requests.Response, asked: int) -> Piece:
    length = answer.headers.get("Content-Length", "")
    total = int(length) if length.isdigit() else None
    start = 0
    if answer.status_code == 206:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
        if not found or int(found.group(1)) != asked:
            answer.close()
            raise Transient("an answer to a range that was not asked for")
        start = asked
        total = int(found.group(3)) if found.group(3) != "*" else None
    etag = answer.headers.get("ETag")
    # A weak ETag may stand for other bytes; the date of the last change is the next best thing (RFC 9110, 13.1.5).
    validator = answer.headers.get("Last-Modified") if not etag or etag.startswith("W/") else etag
    names = ("Repr-Digest", "Digest", "Content-MD5")
    whole = answer.status_code == 200 or (start == 0 and total is not None)
    checksums = {name: answer.headers[name] for name in names if whole and name in answer.headers}
    if answer.status_code == 206:
        # It is the digest of the piece alone.
        checksums.pop("Content-MD5", None)
    return Piece(start, total, validator, _chunks(answer), answer.close, checksums)


def _chunks(answer: requests.Response) -> Iterator[bytes]:
    try:
        yield from answer.raw.stream(CHUNK_BYTES, decode_content=False)
    except (HTTPError, OSError) as error:
        raise Transient(f"cut ({type(error).__name__})") from None
