"""The scheduler: which request goes where and when, and what becomes of it. All of it runs in one event loop."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp

from pipeline.errors import KamisukiError, UsageError
from pipeline.rewriting.client.budget import BYTES_A_TOKEN, Budget
from pipeline.rewriting.client.cache import RequestCache
from pipeline.rewriting.client.endpoints import EndpointState, choose
from pipeline.rewriting.client.messages import Answer, Request
from pipeline.rewriting.client.replies import Verdict, read_reply
from pipeline.rewriting.client.settings import ClientSettings
from pipeline.rewriting.client.structured import asked_schema
from pipeline.rewriting.client.transport import EndlessAnswer, is_healthy, post
from pipeline.rewriting.client.waiting import backoff_seconds


@dataclass(slots=True, eq=False)
class Job:
    """A request on its way: `attempts` that failed, when it first went out, who refused its response_format."""

    request: Request
    body: bytes = b""
    with_format: bool = False
    attempts: int = 0
    sent_at: float = 0.0
    first_sent_at: float | None = None
    refused_format: EndpointState | None = None
    cost: tuple[float, float] = (0.0, 0.0)


class Scheduler:
    """Sends jobs to free endpoints and delivers an answer for each, or one error that ends them all."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        states: list[EndpointState],
        settings: ClientSettings,
        cache: RequestCache,
        budget: Budget,
        deliver: Callable[[list[Answer] | BaseException], None],
    ) -> None:
        self._session, self._states, self._settings = session, states, settings
        self._cache, self._budget, self._deliver = cache, budget, deliver
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Job] = deque()
        self._waiting: dict[Job, asyncio.TimerHandle] = {}
        self._attempts: set[asyncio.Task[None]] = set()
        self._checks: set[asyncio.Task[None]] = set()
        self._finished: list[Answer] = []
        self._running = self._given_up = 0
        self._last_sign = self._loop.time()
        self._wake: asyncio.TimerHandle | None = None
        self._error: BaseException | None = None

    def take(self, requests: Iterable[Request]) -> None:
        """Take requests on."""
        if self._error is not None:
            self._deliver(self._error)
            return
        if not (self._running or self._ready or self._waiting):
            self._last_sign = self._loop.time()
        self._ready.extend(Job(request) for request in requests)
        self._pump()

    async def drop(self) -> None:
        """Let go of all that is under way, unanswered."""
        for handle in self._waiting.values():
            handle.cancel()
        self._waiting.clear()
        self._ready.clear()
        await _cancel(self._attempts)
        self._finished.clear()

    async def close(self) -> None:
        """Let go of everything."""
        await self.drop()
        await _cancel(self._checks)

    def _pump(self) -> None:
        """Send what can be sent now; whatever changes that calls this again."""
        now = self._loop.time()
        while self._ready and self._error is None:
            if self._budget.is_spent:
                self._finish(self._ready.popleft(), None, Verdict("rejected", "budget_spent"), 0.0)
                continue
            state = choose(self._states, now)
            if state is None:
                self._wake_later(now)
                return
            job = self._ready[0]
            if not self._prepare(job, state):
                self._ready.popleft()
                continue
            if not self._budget.reserve(job.cost):
                # What is under way may come out cheaper than was reserved for it.
                if self._running:
                    return
                self._budget.is_spent = True
                continue
            self._ready.popleft()
            self._send(job, state, now)

    def _prepare(self, job: Job, state: EndpointState) -> bool:
        """Make the body of a request; one that is no JSON is given its reason, and False comes back."""
        payload = job.request.payload
        if state.settings.model is not None:
            payload = payload | {"model": state.settings.model}
        takes = self._settings.use_response_format and state.takes_response_format
        job.with_format = "response_format" in payload and takes and job.refused_format is None
        if "response_format" in payload and not job.with_format:
            payload = {name: value for name, value in payload.items() if name != "response_format"}
        try:
            job.body = json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, TypeError) as error:
            self._finish(job, None, Verdict("rejected", "bad_request", f"the request is no JSON: {error}"), 0.0)
            return False
        limit = payload.get("max_completion_tokens", payload.get("max_tokens"))
        job.cost = self._budget.expected(len(job.body), limit if isinstance(limit, int) else None)
        return True

    def _send(self, job: Job, state: EndpointState, now: float) -> None:
        job.sent_at = now
        job.first_sent_at = now if job.first_sent_at is None else job.first_sent_at
        state.running += 1
        self._running += 1
        self._start(self._attempt(job, state), self._attempts)

    def _start(self, work: Coroutine[Any, Any, None], among: set[asyncio.Task[None]]) -> None:
        task = self._loop.create_task(work)
        among.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._attempts.discard(task)
        self._checks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    async def _attempt(self, job: Job, state: EndpointState) -> None:
        try:
            try:
                async with asyncio.timeout(self._settings.timeout_seconds):
                    reply = await post(
                        self._session,
                        f"{state.settings.url}/chat/completions",
                        state.headers,
                        job.body,
                        self._settings.most_answer_bytes,
                    )
                verdict = read_reply(reply, asked_schema(job.request.payload), job.with_format)
            except TimeoutError:
                verdict = Verdict("again", "request_timeout")
            except EndlessAnswer:
                # What it cost nobody says; at least as much as was expected of it.
                tokens_in, tokens_out = map(round, job.cost)
                verdict = Verdict("rejected", "endless_answer", tokens_in=tokens_in, tokens_out=tokens_out)
            except (aiohttp.ClientError, OSError) as error:
                verdict = Verdict("again", "connection_failed", type(error).__name__)
        finally:
            state.running -= 1
            self._running -= 1
            self._budget.release(job.cost)
        self._settle(job, state, verdict)
        self._pump()

    def _settle(self, job: Job, state: EndpointState, verdict: Verdict) -> None:
        now = self._loop.time()
        if verdict.action in ("answered", "rejected", "plain"):
            self._last_sign = now
            state.failures = state.rests = state.refusals = self._given_up = 0
            state.limiter.accepted()
        if verdict.action == "unusable":
            self._fail(UsageError(f"{state.name}: {verdict.detail}"))
        elif verdict.action == "later":
            self._refused(job, state, verdict, now)
        elif verdict.action == "again":
            self._failed(job, state, verdict, now)
        elif verdict.action == "plain":
            job.refused_format = state
            self._ready.appendleft(job)
        else:
            if job.refused_format is not None and verdict.reason not in ("bad_request", "prompt_too_long"):
                job.refused_format.takes_response_format = False
            self._finish(job, state, verdict, now - job.sent_at)

    def _refused(self, job: Job, state: EndpointState, verdict: Verdict, now: float) -> None:
        """The server wants to be left alone: fewer at once, none for a while, and this one again after that."""
        settings = self._settings
        if job.sent_at >= state.paused_until:
            state.refusals += 1
        # A server that names no time, or none at all, is not asked again at once for that.
        wait = verdict.retry_after or self._backoff(state.name, state.refusals)
        state.limiter.refused(job.sent_at, now)
        state.paused_until = max(state.paused_until, now + min(wait, settings.patience_seconds))
        if now - self._last_sign > settings.patience_seconds:
            self._fail(_silent(state, f"still refuses ({verdict.detail})", settings))
        elif job.first_sent_at is not None and now - job.first_sent_at > settings.patience_seconds:
            self._finish(job, state, verdict, now - job.sent_at)
        else:
            # Behind the others, so that one that is always refused does not keep them from being asked.
            self._ready.append(job)

    def _failed(self, job: Job, state: EndpointState, verdict: Verdict, now: float) -> None:
        """The attempt came to nothing: another one after a while, or the reason; the endpoint rests after several."""
        settings = self._settings
        job.attempts += 1
        state.failures += 1
        if state.failures >= settings.rest_after_failures and not state.resting:
            state.resting = True
            self._rest(state)
        if job.attempts < settings.attempts:
            wait = self._backoff(job.request.key, job.attempts)
            self._waiting[job] = self._loop.call_later(wait, self._again, job)
            return
        self._given_up += 1
        self._finish(job, state, verdict, now - job.sent_at)
        if self._given_up >= settings.stop_after_failures:
            self._fail(
                KamisukiError(
                    f"{self._given_up} requests in a row were given up, the last with {verdict.reason} "
                    f"({verdict.detail}): see to {state.name} and run again; what was answered is kept"
                )
            )

    def _again(self, job: Job) -> None:
        del self._waiting[job]
        self._ready.append(job)
        self._pump()

    def _rest(self, state: EndpointState) -> None:
        state.rests += 1
        wait = self._backoff(state.name, state.rests)
        self._loop.call_later(wait, lambda: self._start(self._look_after(state), self._checks))

    async def _look_after(self, state: EndpointState) -> None:
        """Wake an endpoint that answers again; let it rest on, for longer, where it does not."""
        if await is_healthy(self._session, f"{state.settings.url}/models", state.headers):
            state.resting, state.failures = False, 0
            state.limiter.refused(self._loop.time(), self._loop.time())
            self._pump()
            return
        busy = self._ready or self._waiting or self._running
        if busy and self._loop.time() - self._last_sign > self._settings.patience_seconds:
            self._fail(_silent(state, "does not answer", self._settings))
            return
        self._rest(state)

    def _backoff(self, key: str, times: int) -> float:
        settings = self._settings
        return backoff_seconds(key, times, settings.seed, settings.first_backoff_seconds, settings.most_backoff_seconds)

    def _wake_later(self, now: float) -> None:
        """Come back when the first endpoint that was paused at `now` wants to be asked again.

        A pause that has ended since counts too: nothing else would come back for it.
        """
        pauses = [state.paused_until for state in self._states if not state.resting and state.paused_until > now]
        if not pauses or (self._wake is not None and self._wake.when() <= min(pauses)):
            return
        if self._wake is not None:
            self._wake.cancel()
        self._wake = self._loop.call_at(min(pauses), self._woken)

    def _woken(self) -> None:
        self._wake = None
        self._pump()

    def _finish(self, job: Job, state: EndpointState | None, verdict: Verdict, seconds: float) -> None:
        """Account for a job, keep a good answer, and deliver."""
        text = verdict.text
        tokens_in, tokens_out = verdict.tokens_in, verdict.tokens_out
        estimated = text is not None and (tokens_in is None or tokens_out is None)
        if estimated and tokens_in is None:
            tokens_in = round(len(job.body) / BYTES_A_TOKEN)
        if estimated and tokens_out is None:
            tokens_out = round(len((text or "").encode()) / BYTES_A_TOKEN)
        answer = Answer(
            key=job.request.key,
            text=text,
            finish_reason=verdict.finish_reason,
            tokens_in=tokens_in or 0,
            tokens_out=tokens_out or 0,
            seconds=seconds,
            endpoint=state.name if state else "",
            reason=verdict.reason,
            from_cache=False,
            detail=_without_key(verdict.detail, state),
            attempts=job.attempts + (verdict.action != "again") if state else 0,
            tokens_estimated=estimated or verdict.reason == "endless_answer",
        )
        if answer.tokens_in or answer.tokens_out:
            self._budget.charge(len(job.body), answer.tokens_in, answer.tokens_out)
        if answer.reason is None:
            self._cache.put(answer)
        self._finished.append(answer)
        if len(self._finished) == 1:
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        if self._finished:
            self._deliver(self._finished)
            self._finished = []

    def _fail(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
            self._hand_over()
            self._deliver(error)


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    cancelled = list(tasks)
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)


def _silent(state: EndpointState, how: str, settings: ClientSettings) -> KamisukiError:
    return KamisukiError(
        f"no endpoint has answered for {settings.patience_seconds:g} s, and {state.name} {how}: see to it and run "
        "again; what was answered is kept"
    )


def _without_key(detail: str | None, state: EndpointState | None) -> str | None:
    """A server's words without the key, which some repeat in theirs."""
    key = state.headers.get("Authorization", "").removeprefix("Bearer ") if state else ""
    return detail.replace(key, "…") if detail and key else detail
