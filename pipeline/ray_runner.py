"""Running tasks on Ray: handed out a bounded number at a time, tried again elsewhere where a node is at fault."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.avoided import LEAST_FREE_BYTES, Avoided, selector
from pipeline.errors import KamisukiError
from pipeline.flights import Flight, late
from pipeline.probes import Probes
from pipeline.runner import Result, Task, Watcher, largest_first, result_of
from pipeline.same_code import difference, this_digest
from pipeline.working import NAMESPACE, Where, call_on_ray, describe_error, where_from

# A worker that ran this many tasks is replaced, so that what leaks goes with it. What is known to run does not leak
# (docs/reliability.md), and a new worker takes its time to load what it needs.
TASKS_PER_WORKER = 500
# Tasks in flight for each processor: enough to hide scheduling, few enough that a driver's memory is flat.
IN_FLIGHT = 2
# In flight where a cluster has no processor yet: what waits is what makes it grow.
LEAST_IN_FLIGHT = 16
# How often Ray tries a task again whose worker was lost, by whatever cause.
RETRIES = 3
# A task that no worker has begun with for so long may wait for one that does not come up; Ray gives that up after six
# minutes (RAY_worker_register_timeout_seconds, and five more tries: RAY_pop_worker_max_retries).
UNBEGUN_SECONDS = 60.0
# On a cluster a task that Ray gave up is handed out so many times more, with so many tries again of Ray's each time.
LOST_AGAIN, LOST_RETRIES = 2, 1
# So often the driver asks which tasks have begun, and how many processors there are by now; and of so many at once.
WATCH_SECONDS = 5.0
WATCHED_AT_ONCE = 500
# `ray start --head` asks for the token of ~/.ray where there is one, and a run on one machine makes one there; a driver
# that names a cluster's address sends none unless it is told to (Ray's documentation, "Token authentication").
TOKEN_HINT = (
    ": the cluster asks for a token: set RAY_AUTH_MODE=token here and on every node, with the cluster's token in "
    "RAY_AUTH_TOKEN or ~/.ray/auth_token"
)


class OtherCode(KamisukiError):
    """A node has another version of the code than the driver."""

    def __init__(self, node: str, what: str) -> None:
        super().__init__(
            f"{node} cannot work for this run ({what}): install the same version of kamisuki on every node"
        )


class NoWorker(KamisukiError):
    """Ray's workers do not come up where a task was to run."""

    def __init__(self, addresses: list[str]) -> None:
        super().__init__(
            f"no worker of Ray's comes up on {', '.join(addresses)}: why stands in Ray's logs there, in raylet.err and "
            "worker-*.err of /tmp/ray/session_latest/logs; what is finished is kept"
        )


def _asks_for_token(error: BaseException) -> bool:
    """Whether an error, or what led to it, is that Ray's token was missing or wrong."""
    cause: BaseException | None = error
    while cause is not None:
        if "uthentication" in f"{type(cause).__name__}: {cause}":
            return True
        cause = cause.__cause__ or cause.__context__
    return False


class RayRunner:
    """Runs tasks on Ray: started at the first task, local with `workers` processors or on the cluster at `address`.

    A worker is replaced after `tasks_per_worker` tasks, never where that is 0. Where there are several nodes, a task
    begins on none with fewer than `least_free_bytes` free. On a cluster a task that lost its workers is tried again
    when the nodes have been asked whether they can work.
    """

    def __init__(
        self,
        workers: int | None = None,
        address: str | None = None,
        tasks_per_worker: int = TASKS_PER_WORKER,
        least_free_bytes: int = LEAST_FREE_BYTES,
        unbegun_seconds: float = UNBEGUN_SECONDS,
    ) -> None:
        self.workers = workers
        self.address = address
        self.tasks_per_worker = tasks_per_worker
        self.least_free_bytes = least_free_bytes
        self.unbegun_seconds = unbegun_seconds
        # Nodes that could not work when they were asked last, and when that was: the next stage is to know.
        self._failed: dict[str, float] = {}
        self._ray: Any = None
        self._started_here = False

    def start(self) -> str:
        """Start Ray or join the cluster."""
        ray = self._start()
        where = f"the cluster at {self.address}" if self.address else "this machine"
        return f"Ray is ready with {int(ray.cluster_resources().get('CPU', 1))} processors on {where}"

    def _processors(self) -> int:
        return self.workers or os.cpu_count() or 1

    def _start(self) -> Any:
        if self._ray is not None:
            return self._ray
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        # Ray would try a task for ever that its memory monitor ends each time.
        os.environ.setdefault("RAY_task_oom_retries", str(RETRIES))
        if not self.address:
            # Ray would have workers come up before it is ready, and wait for ever, deaf to Ctrl-C, where none does.
            os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
        import ray

        if not ray.is_initialized():
            # What the first task needs is read while Ray's processes come up.
            threading.Thread(target=this_digest, daemon=True).start()
            try:
                if self.address:
                    ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR)
                else:
                    ray.init(
                        # Not a cluster that RAY_ADDRESS or an earlier `ray start` left about.
                        address="local",
                        num_cpus=self._processors(),
                        # Paths, not data, travel between tasks: the object store needs no more than its least size.
                        object_store_memory=100_000_000,
                        include_dashboard=False,
                        log_to_driver=False,
                        logging_level=logging.ERROR,
                    )
            except (ConnectionError, ValueError, RuntimeError, ray.exceptions.AuthenticationError) as error:
                where = f"cannot join the Ray cluster at {self.address}" if self.address else "cannot start Ray"
                hint = TOKEN_HINT if _asks_for_token(error) else ""
                raise KamisukiError(f"{where}: {describe_error(error).splitlines()[0][:300]}{hint}") from None
            self._started_here = True
        self._ray = ray
        return ray

    def run(self, tasks: Sequence[Task], watcher: Watcher) -> Iterator[Result]:
        """Submit tasks, largest first, a bounded number at a time, and yield results as they come.

        Raises KamisukiError when the cluster is lost, another stands at its address, or no worker comes up.
        """
        errors = self._start().exceptions.RayError
        from ray.experimental.internal_kv import _internal_kv_del

        batch = uuid.uuid4().hex
        lost = False
        try:
            self._check_memory(tasks)
            yield from self._fly(tasks, batch, watcher)
        except errors as error:
            lost = True
            # Ray calls it an error of authentication when a head node that was started anew does not know this driver.
            told = " ".join(str(error).split()).partition(" Ensure that the token")[0][:200]
            raise KamisukiError(
                f"the Ray cluster was lost ({told}): what is finished is kept; run again when it is back"
            ) from None
        finally:
            # All at once: a question to Ray's table for each task would cost a driver more than the rest of it.
            if not lost:
                _internal_kv_del(f"{batch}/", del_by_prefix=True, namespace=NAMESPACE)

    def _fly(self, tasks: Sequence[Task], batch: str, watcher: Watcher) -> Iterator[Result]:
        ray = self._ray
        remote = ray.remote(max_calls=self.tasks_per_worker)(call_on_ray)
        ordered, again = enumerate(largest_first(tasks)), list[Flight]()
        waiting = len(tasks)
        flying: dict[Any, Flight] = {}
        avoided = Avoided(self._nodes_with_processors)
        probes = Probes(ray, avoided, self.least_free_bytes, self._failed)
        looked, room, elsewhere = 0.0, LEAST_IN_FLIGHT, False
        while waiting or flying:
            if not looked or time.monotonic() - looked >= WATCH_SECONDS:
                self._watch(flying, watcher)
                room = max(LEAST_IN_FLIGHT, IN_FLIGHT * int(ray.cluster_resources().get("CPU", 0)))
                looked = time.monotonic()
                elsewhere = len(self._nodes_with_processors()) > 1
                self._look(flying, probes)
                self._call_back(flying, avoided)
            probes.hear()
            while waiting and len(flying) < room:
                held = bool(again) and probes.hold()
                ready = [place for place, one in enumerate(again) if not (held and one.lost)]
                if ready:
                    flight = again.pop(ready[-1])
                elif waiting > len(again):
                    number, task = next(ordered)
                    flight = Flight(task, f"{batch}/{number}")
                else:
                    break
                waiting -= 1
                task, flight.before = flight.task, flight.where
                flight.excluded = avoided.excluded(flight.lost_on)
                free_bytes = self.least_free_bytes if elsewhere and flight.retries < RETRIES else 0
                reserved = remote.options(
                    num_cpus=1,
                    memory=task.memory_bytes,
                    max_retries=LOST_RETRIES if flight.lost else RETRIES,
                    name=task.shard,
                    label_selector=selector(flight.excluded),
                )
                given = (task.function, task.given(), task.cpu_seconds, free_bytes)
                handle = reserved.remote(flight.key, this_digest(), *given)
                flying[handle], flight.handed = flight, time.monotonic()
                watcher.started(task)
            awaited = [*flying, *probes.handles]
            if not awaited:
                # Only lost tasks are left, and no node is well.
                time.sleep(1.0)
            elif ray.wait(awaited, num_returns=1, timeout=WATCH_SECONDS)[0] and flying:
                # All that are there at once: asking anew for each would go over all of them each time.
                done, _ = ray.wait(list(flying), num_returns=len(flying), timeout=0)
                for handle in done:
                    flight = flying.pop(handle)
                    result = self._land(handle, flight, watcher, avoided, probes)
                    if result is None:
                        again.append(flight)
                        waiting += 1
                    else:
                        yield result

    def _land(self, handle: Any, flight: Flight, watcher: Watcher, avoided: Avoided, probes: Probes) -> Result | None:
        """The result of a flight that has ended; None where it is to be tried again."""
        from ray.experimental.internal_kv import _internal_kv_get

        ray, task = self._ray, flight.task
        try:
            outcome = ray.get(handle)
            where: Where | None = Where(**outcome["where"])
            if "other_code" in outcome:
                raise OtherCode(outcome["where"]["node"], difference(outcome["other_code"]))
            if outcome.get("kind") == "place":
                avoided.add(outcome["where"]["node_id"])
                others = avoided.others()
                if flight.retries < RETRIES and (others or "untried" in outcome):
                    # Where no node has the room that a task had better have, it works with what there is.
                    flight.retries = flight.retries + 1 if others else RETRIES
                    self._began(flight, where, watcher)
                    return None
        except ray.exceptions.TaskCancelledError:
            return None
        except ray.exceptions.RayError as error:
            if isinstance(error, ray.exceptions.RayTaskError) and "failed to import" in str(error):
                raise OtherCode("a node", describe_error(error.cause or error)[:200]) from None
            # The work did not fail, its place did: such a shard is never waived.
            where = where_from(_internal_kv_get(flight.key, namespace=NAMESPACE))
            crashed = ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.RaySystemError
            nodes, again = self._nodes_with_processors(), self.address and flight.lost < LOST_AGAIN
            # A system error of Ray's names the node on which no worker came up.
            named = {node for node in nodes if node in str(error)}
            flight.lost_on |= named
            if named and not again:
                raise NoWorker(self._addresses(flight.lost_on)) from None
            if isinstance(error, crashed) and again:
                # Ray mostly tries again where the worker crashed, and that node may be why. Which it was is known only
                # where the worker came to say so, or Ray does: all are asked.
                flight.lost += 1
                flight.lost_on |= {where.node_id} if where and where != flight.before else set()
                probes.ask(nodes)
                self._began(flight, where, watcher)
                return None
            outcome = {"error": f"the worker was lost: {describe_error(error)}"[:500], "kind": "lost"}
            outcome |= {"seconds": None, "cpu_seconds": None}
        self._began(flight, where, watcher)
        return result_of(task, outcome, where)

    def _began(self, flight: Flight, where: Where | None, watcher: Watcher) -> None:
        if where and where != flight.where:
            flight.where = where
            watcher.began(flight.task, where)

    def _nodes_with_processors(self) -> set[str]:
        return {node["NodeID"] for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU")}

    def _addresses(self, nodes: frozenset[str]) -> list[str]:
        return sorted(node["NodeManagerAddress"] for node in self._ray.nodes() if node["NodeID"] in nodes)

    def _look(self, flying: dict[Any, Flight], probes: Probes) -> None:
        """Ask nodes that do nothing of ours whether workers come up there, where a task has long waited for one."""
        unknown = sum(flight.where is None for flight in flying.values())
        # Where there are more than are asked about, nobody knows which nodes are at work.
        if self.address and late(flying, self.unbegun_seconds) and unknown <= WATCHED_AT_ONCE // 2:
            at_work = {flight.where.node_id for flight in flying.values() if flight.where and not flight.waits}
            probes.look(self._nodes_with_processors() - at_work)

    def _call_back(self, flying: dict[Any, Flight], avoided: Avoided) -> None:
        """Cancel what waits in vain, to be handed out again.

        That is for a node that is not avoided where there is none any more, or for a worker of one that is by now.
        """
        pinned = {handle: flight for handle, flight in flying.items() if flight.excluded and flight.waits}
        alive = self._nodes_with_processors() if pinned else set()
        by_now = avoided.excluded()
        waiting = late(flying, self.unbegun_seconds) if by_now else {}
        in_vain = {handle for handle, flight in waiting.items() if by_now - flight.excluded}
        for handle, flight in pinned.items():
            if not avoided.others() or not alive - flight.excluded:
                in_vain.add(handle)
        for handle in in_vain:
            self._ray.cancel(handle, force=False)

    def _watch(self, flying: dict[Any, Flight], watcher: Watcher) -> None:
        """Tell which tasks have begun, those first that are longest in flight."""
        from ray.experimental.internal_kv import _internal_kv_get

        unknown = [flight for flight in flying.values() if flight.where is None]
        known = [flight for flight in flying.values() if flight.where is not None]
        for flight in [*unknown[: WATCHED_AT_ONCE // 2], *known[: WATCHED_AT_ONCE // 2]]:
            self._began(flight, where_from(_internal_kv_get(flight.key, namespace=NAMESPACE)), watcher)
        watcher.watching()

    def _check_memory(self, tasks: Sequence[Task]) -> None:
        most = max((task.memory_bytes for task in tasks), default=0)
        # A cluster that grows may have no node for work yet.
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        nodes = [resources.get("memory", 0) for resources in alive if resources.get("CPU")]
        if nodes and most > max(nodes):
            raise KamisukiError(
                f"a task needs {most:,} bytes of memory and the largest node has {int(max(nodes)):,}: "
                "use larger nodes, or lower extract.limits.memory_bytes"
            )

    def close(self) -> None:
        """Stop Ray if this runner started it."""
        if self._ray is not None and self._started_here:
            if not self.address and self._ray.is_initialized():
                # Ray would ask its autoscaler to end when the server to which that tells its end is gone, and kill it
                # a second later. On one machine it has had nothing to do.
                self._ray._private.worker._global_node.kill_monitor(check_alive=False)
            self._ray.shutdown()
        self._ray = None
