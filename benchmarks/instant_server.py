"""A server that answers every chat completion at once with the same words, in a process of its own; prints its port."""

from __future__ import annotations

import asyncio
import json

ANSWER = json.dumps(
    {
        "object": "chat.completion",
        "model": "instant",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "書き直した文章である。" * 40},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 700, "completion_tokens": 240, "total_tokens": 940},
    }
).encode()
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER
_LENGTH = b"content-length:"


class Instant(asyncio.Protocol):
    """Reads requests by their Content-Length, on connections that stay open or do not, and answers each."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.waiting = b""

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while (end := self.waiting.find(b"\r\n\r\n")) >= 0:
            head = self.waiting[:end].lower()
            at = head.find(_LENGTH)
            length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            whole = end + 4 + length
            if len(self.waiting) < whole:
                return
            self.waiting = self.waiting[whole:]
            self.transport.write(REPLY)
            if b"connection: close" in head:
                self.transport.close()


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Instant, "127.0.0.1", 0, backlog=2_048)
    port = server.sockets[0].getsockname()[1]
    # Another address of this machine, which clients that treat 127.0.0.1 in a way of its own take for another host.
    await loop.create_server(Instant, "127.0.0.2", port, backlog=2_048)
    print(port, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
