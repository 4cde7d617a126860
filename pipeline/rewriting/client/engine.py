"""The engine: requests in, exactly one answer for each out, from the cache or from a thread that asks the endpoints."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from queue import SimpleQueue
from types import TracebackType

from pipeline.rewriting.client.budget import Budget
from pipeline.rewriting.client.cache import RequestCache
from pipeline.rewriting.client.endpoints import make_states
from pipeline.rewriting.client.messages import Answer, Request
from pipeline.rewriting.client.scheduler import Scheduler
from pipeline.rewriting.client.settings import ClientSettings
from pipeline.rewriting.client.transport import open_session

# Requests that are looked up in the cache together.
_TOGETHER = 128


def answer_all(
    requests: Iterable[Request], settings: ClientSettings, cache: RequestCache, budget: Budget
) -> Iterator[Answer]:
    """One answer for each request, as they come.

    Equal requests are asked once. `requests` is read only a little ahead of what is under way. Once the budget is
    spent, what is under way is still answered, and all the rest have the reason `budget_spent`. Raises UsageError where
    an endpoint cannot be used as it is configured, and KamisukiError where none answers any more; what was answered is
    in the cache then.
    """
    with Client(settings, cache, budget) as client:
        yield from client.answer_all(requests)


class Client:
    """Keeps its connections, and what it learned of the endpoints, from one `answer_all` to the next.

    Requests are made in a thread of its own, so that a slow consumer of the answers keeps no server waiting.
    """

    def __init__(self, settings: ClientSettings, cache: RequestCache, budget: Budget) -> None:
        self._settings, self._cache, self._budget = settings, cache, budget
        self._states = make_states(settings)
        # As many again ready as are under way, so that an endpoint that is free finds one.
        self._window = 2 * sum(state.limiter.most for state in self._states)
        self._outbox: SimpleQueue[list[Answer] | BaseException] = SimpleQueue()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rewriting-client", daemon=True)
        self._scheduler: Scheduler | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._in_use = False

    def __enter__(self) -> Client:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def answer_all(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """As the function of this name. One at a time: raises RuntimeError while another is not finished."""
        if self._in_use:
            raise RuntimeError("this client is answering other requests")
        self._in_use = True
        # By the key of each request under way, how many more asked the same.
        under_way: dict[str, int] = {}
        try:
            yield from self._answers(iter(requests), under_way)
        finally:
            if under_way:
                self._drop()
            self._in_use = False

    def _answers(self, requests: Iterator[Request], under_way: dict[str, int]) -> Iterator[Answer]:
        ended = False
        while True:
            while not ended and len(under_way) < self._window:
                some = list(islice(requests, min(_TOGETHER, self._window - len(under_way))))
                ended = not some
                yield from self._take(some, under_way)
                if not self._outbox.empty():
                    break
            if not under_way:
                if ended:
                    return
                continue
            for answer in self._receive():
                more = under_way.pop(answer.key)
                yield answer
                for _ in range(more):
                    yield replace(answer, from_cache=True, attempts=0)

    def _take(self, requests: list[Request], under_way: dict[str, int]) -> Iterator[Answer]:
        """Answer from the cache what it has, and hand the rest over to the thread."""
        known = self._cache.get_many([request.key for request in requests])
        fresh = []
        for request in requests:
            if request.key in under_way:
                under_way[request.key] += 1
            elif request.key not in known:
                under_way[request.key] = 0
                fresh.append(request)
        if fresh:
            assert self._loop is not None and self._scheduler is not None
            self._loop.call_soon_threadsafe(self._scheduler.take, fresh)
        for request in requests:
            if request.key in known and request.key not in under_way:
                yield known[request.key]

    def _receive(self) -> list[Answer]:
        """Answers that came, after a wait where there are none. Raises what stopped the thread."""
        found = self._outbox.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def _drop(self) -> None:
        assert self._loop is not None and self._scheduler is not None
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._scheduler.drop(), self._loop).result()
        while not self._outbox.empty():
            self._outbox.get()

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        except BaseException as error:
            # Whoever waits for answers must hear of it, whatever it is.
            self._outbox.put(error)
            raise
        finally:
            self._started.set()

    async def _work(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with open_session() as session:
            self._scheduler = Scheduler(
                session, self._states, self._settings, self._cache, self._budget, self._outbox.put
            )
            self._started.set()
            await self._stop.wait()
            await self._scheduler.close()
