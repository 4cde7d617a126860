"""Transport: one HTTP exchange with an endpoint, bounded in bytes."""

from __future__ import annotations

import aiohttp

from pipeline.rewriting.client.replies import Reply, retry_after_seconds

# Whether a server is there is answered at once or not at all.
HEALTH_SECONDS = 10.0


class EndlessAnswer(Exception):
    """A reply is longer than is allowed."""


def open_session() -> aiohttp.ClientSession:
    """A session without limits of its own: who may send, and how long it may take, is decided before."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def post(
    session: aiohttp.ClientSession, url: str, headers: dict[str, str], body: bytes, most_bytes: int
) -> Reply:
    """Send one request and read the whole reply.

    Raises EndlessAnswer beyond `most_bytes`, and aiohttp.ClientError, OSError or TimeoutError where the connection
    fails.
    """
    async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
        found = bytearray()
        while chunk := await response.content.readany():
            found += chunk
            if len(found) > most_bytes:
                raise EndlessAnswer
        return Reply(response.status, bytes(found), retry_after_seconds(response.headers.get("Retry-After")))


async def is_healthy(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> bool:
    """Whether a server answers, and not with an error or a refusal of its own."""
    try:
        async with session.get(
            url, headers=headers, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=HEALTH_SECONDS)
        ) as response:
            return response.status < 500 and response.status != 429
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False
