"""Downloads stay where they were sent: no redirect leads into the network's inside, by whatever name, nor to others."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pipeline.errors import KamisukiError
from pipeline.storage import http
from pipeline.storage.http import Politeness, check_redirect, is_inner, open_range
from tests.pipeline.loopback import running

PUBLIC = "93.184.215.14"
INNER = (
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "::1", "::", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "fe80::1",
    "fd00:ec2::254", "localhost",
)  # fmt: skip


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names and their addresses, in the place of a server of names; numbers are read as ever."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *more: Any, **words: Any) -> Any:
        if host in known:
            return [found for address in known[host] for found in real(address, port, *more, **words)]
        return real(host, port, *more, **words)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@pytest.mark.parametrize("inner", INNER)
def test_no_public_host_leads_inside(inner: str, names: dict[str, list[str]]) -> None:
    names |= {"origin.example": [PUBLIC], "innocent.example": [inner]}
    for host in (f"[{inner}]" if ":" in inner else inner, "innocent.example"):
        allowed = (host.strip("[]"),)
        with pytest.raises(KamisukiError, match="refused: it leads into the inner network"):
            check_redirect("origin.example", "http", f"http://{host}/latest/meta-data", allowed)
        with pytest.raises(KamisukiError, match=r"refused: name it in sources\.hosts"):
            check_redirect("origin.example", "http", f"http://{host}/latest/meta-data", ())


def test_one_inner_address_among_many_is_enough(names: dict[str, list[str]]) -> None:
    names["mixed.example"] = [PUBLIC, "10.0.0.1"]
    assert is_inner("mixed.example")
    names["plain.example"] = [PUBLIC, "2606:2800:21f::1"]
    assert not is_inner("plain.example")


@pytest.mark.parametrize(
    "target",
    ["file:///etc/passwd", "ftp://origin.example/x", "gopher://origin.example/x", "//evil.example/x", "http://origin.example@evil.example/x",
     "http://evil.example#@origin.example/", "http://origin.example.evil.example/", "http:///x", "javascript:alert(1)"],
)  # fmt: skip
def test_no_other_host_and_no_other_kind_of_address(target: str, names: dict[str, list[str]]) -> None:
    names |= {"origin.example": [PUBLIC], "evil.example": [PUBLIC]}
    url = f"http:{target}" if target.startswith("//") else target
    with pytest.raises(KamisukiError, match="refused"):
        check_redirect("origin.example", "http", url, ())


class _Handler(BaseHTTPRequestHandler):
    asked: list[str]
    location: str

    def do_GET(self) -> None:
        self.asked.append(self.path)
        inside = self.path == "/inside"
        self.send_response(200 if inside else 302)
        if not inside:
            self.send_header("Location", self.location)
        self.send_header("Content-Length", "6" if inside else "0")
        self.end_headers()
        self.wfile.write(b"secret" if inside else b"")

    def log_message(self, format: str, *arguments: object) -> None:
        """What was asked is in `asked`."""


@contextlib.contextmanager
def redirecting(host: str) -> Iterator[tuple[str, list[str]]]:
    """A server that leads everybody to /inside of `host` at its own port; gives the address and what it was asked."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"asked": asked}))
    server.RequestHandlerClass.location = f"http://{host}:{server.server_port}/inside"  # type: ignore[attr-defined]
    with running(server):
        yield f"{host}:{server.server_port}", asked


def test_a_name_that_is_another_address_when_it_is_asked_gets_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: public when it is checked, ours when it is connected to. Nothing is sent there."""
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *more: Any, **words: Any) -> Any:
        if host == "rebinding.example":
            return real(PUBLIC if port is None else "127.0.0.1", port, *more, **words)
        return real(host, port, *more, **words)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with (
        redirecting("rebinding.example") as (place, asked),
        pytest.raises(KamisukiError, match=r"inner.*127\.0\.0\.1|127\.0\.0\.1.*inner"),
    ):
        open_range(f"http://{place}/start", 0, None, Politeness())
    assert asked == ["/start"]


def test_who_names_an_inner_source_is_led_about_there() -> None:
    with redirecting("127.0.0.1") as (place, asked):
        found = open_range(f"http://{place}/start", 0, None, Politeness())
        assert found is not None and b"".join(found.chunks) == b"secret"
    assert asked == ["/start", "/inside"]


def test_connections_that_may_stay_outside_only_are_what_they_say() -> None:
    """The session that follows redirects of public hosts reaches nothing of this machine, by either scheme."""
    with redirecting("127.0.0.1") as (place, asked):
        session = http._session(0, 0, True)
        with pytest.raises(http.InnerAddress, match=r"127\.0\.0\.1"):
            session.get(f"http://{place}/inside", timeout=5)
    assert asked == []
    pool = session.get_adapter("https://x").poolmanager.connection_from_url("https://x")  # type: ignore[attr-defined]
    assert issubclass(pool.ConnectionCls, http._PublicTlsConnection)
