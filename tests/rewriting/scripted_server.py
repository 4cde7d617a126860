"""A server on loopback that speaks the OpenAI protocol and behaves as it is told: well, badly, or not at all."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

Payload = dict[str, Any]
Behaviour = Callable[[web.Request, Payload], Awaitable[web.StreamResponse]]


def words(payload: Payload) -> str:
    """What the request's last message says."""
    return str(payload["messages"][-1]["content"])


def completion(text: str | None, finish_reason: str | None = "stop", usage: Payload | None = None) -> Payload:
    return {
        "object": "chat.completion",
        "model": "scripted",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason},
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15} if usage is None else usage,
    }


def says(text: str | None, finish_reason: str | None = "stop", usage: Payload | None = None) -> Behaviour:
    async def behave(request: web.Request, payload: Payload) -> web.StreamResponse:
        return web.json_response(completion(text, finish_reason, usage))

    return behave


async def echoes(request: web.Request, payload: Payload) -> web.StreamResponse:
    return web.json_response(completion(f"{words(payload)}!"))


def slowly(seconds: float) -> Behaviour:
    async def behave(request: web.Request, payload: Payload) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await echoes(request, payload)

    return behave


async def stalls(request: web.Request, payload: Payload) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def stalls_in_the_body(request: web.Request, payload: Payload) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"choices": [')
    await asyncio.sleep(60)
    return response


async def cuts(request: web.Request, payload: Payload) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cuts_in_the_body(request: web.Request, payload: Payload) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(json.dumps(completion("half")).encode())
    assert request.transport is not None
    request.transport.close()
    return response


async def never_ends(request: web.Request, payload: Payload) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b'{"choices": [{"message": {"content": "')
    while True:
        await response.write("あ".encode() * 4_000)


def sends(status: int, body: str | bytes, **headers: str) -> Behaviour:
    async def behave(request: web.Request, payload: Payload) -> web.StreamResponse:
        data = body.encode() if isinstance(body, str) else body
        return web.Response(status=status, body=data, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return behave


def needs_no_format(otherwise: Behaviour) -> Behaviour:
    """As a server that does not know JSON schemas."""

    async def behave(request: web.Request, payload: Payload) -> web.StreamResponse:
        if "response_format" in payload:
            return web.json_response({"error": {"message": "unknown field response_format"}}, status=400)
        return await otherwise(request, payload)

    return behave


class ScriptedServer:
    """Behaves to each message as `script` says for the n-th time it is asked; the last behaviour goes on for ever."""

    def __init__(self, script: dict[str, list[Behaviour]] | None = None, otherwise: Behaviour = echoes) -> None:
        self.script: dict[str, list[Behaviour]] = defaultdict(list, script or {})
        self.otherwise = otherwise
        self.asked: Counter[str] = Counter()
        self.payloads: list[Payload] = []
        self.headers: list[dict[str, str]] = []
        self.most_at_once = 0
        self.health_checks = 0
        self.is_well = True
        self._at_once = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.url = ""

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *ignored: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/v1/chat/completions", self._answer)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, shutdown_timeout=0.05)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def _stop(self) -> None:
        await self._runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _models(self, request: web.Request) -> web.StreamResponse:
        self.health_checks += 1
        return web.json_response({"data": [{"id": "scripted"}]}, status=200 if self.is_well else 500)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        payload = await request.json()
        key = words(payload)
        self.asked[key] += 1
        self.payloads.append(payload)
        self.headers.append(dict(request.headers))
        behaviours = self.script[key] or [self.otherwise]
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await behaviours[min(self.asked[key], len(behaviours)) - 1](request, payload)
        finally:
            self._at_once -= 1
