"""Requests a second through one worker against a server that answers at once: ours, and datatrove's InferenceRunner.

    make bench-rewrite

The server stands in a process of its own. Each engine has as many requests under way at once and sends the same prompts
of some 2,000 Japanese letters. They take turns; each turn is a process of its own. Ours keeps its request cache on
disk, as always. datatrove's posts by itself to http://127.0.0.1 and asks every other host through OpenAI's client, so
both are measured, the other host being 127.0.0.2, without its checkpoints and with them. A rate is requests for each
second of the worker's processor time, of which the median over the turns counts: on a machine that does other work the
clock tells little.
Exits with 1 where a promise of docs/benchmarks.md is missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.rewriting.client import Budget, ClientSettings, Request, RequestCache, answer_all, request_key

LEAST_RATE, LEAST_TIMES = 2_000.0, 5.0
TURNS = 3
OURS = "kamisuki, with its cache"
OTHER_HOST, OTHER_HOST_KEPT = "datatrove, another host", "datatrove, another host, with checkpoints"
THIS_HOST, THIS_HOST_KEPT = "datatrove, 127.0.0.1", "datatrove, 127.0.0.1, with checkpoints"
TEXT = "日本語のウェブページの本文は、このように一文ずつ続いていく。" * 65


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--datatrove", required=True, help="the Python of an environment with datatrove's inference")
    parser.add_argument("--requests", type=int, default=3_000)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--ours", type=int, help="(used inside) run one turn of ours against this port")
    given = parser.parse_args()
    if given.ours:
        print(json.dumps(_turn_of_ours(given.ours, given.requests, given.in_flight)))
        return 0
    turns: dict[str, list[dict[str, float]]] = {
        name: [] for name in (OURS, OTHER_HOST, OTHER_HOST_KEPT, THIS_HOST, THIS_HOST_KEPT)
    }
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.instant_server"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        for _ in range(TURNS):
            for name in turns:
                turns[name].append(_turn(name, port, given))
    finally:
        server.terminate()
        server.wait()
    return _report(turns, given.requests)


def _turn(name: str, port: str, given: argparse.Namespace) -> dict[str, float]:
    few, at_once = str(given.requests // 4), str(given.in_flight)
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        text.write_text(TEXT, encoding="utf-8")
        command = [sys.executable, "-m", "benchmarks.rewrite", "--datatrove", "", "--ours", port]
        command += ["--requests", str(given.requests), "--in-flight", at_once]
        if name != OURS:
            url = f"http://127.0.0.2:{port}/v1" if name in (OTHER_HOST, OTHER_HOST_KEPT) else f"http://127.0.0.1:{port}"
            command = [given.datatrove, "benchmarks/rewrite_datatrove.py", url, few, at_once, str(text)]
            command += [str(Path(folder) / "kept")] if name in (OTHER_HOST_KEPT, THIS_HOST_KEPT) else []
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    asked = given.requests if name == OURS else int(few)
    if found["answered"] != asked:
        raise SystemExit(f"{name}: {found['answered']:.0f} of {asked} requests were answered")
    return found


def _turn_of_ours(port: int, requests: int, in_flight: int) -> dict[str, float]:
    settings = ClientSettings.model_validate(
        {"endpoints": [{"url": f"http://127.0.0.1:{port}/v1"}], "in_flight": in_flight}
    )
    with tempfile.TemporaryDirectory() as folder, RequestCache(Path(folder) / "requests.sqlite") as cache:
        wall, cpu = time.perf_counter(), time.process_time()
        answers = answer_all(_requests(requests), settings, cache, Budget())
        answered = sum(answer.reason is None for answer in answers)
        cache.flush()
        return {"answered": answered, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def _requests(count: int) -> Iterator[Request]:
    for number in range(count):
        message = {"role": "user", "content": f"{number} {TEXT}"}
        payload = {"model": "instant", "messages": [message], "temperature": 0.2, "max_tokens": 1_024, "seed": 1}
        yield Request(request_key(payload), payload)


def _report(turns: dict[str, list[dict[str, float]]], requests: int) -> int:
    rates = {}
    print("| engine | requests a processor second | of each turn | requests a second of the clock |")
    print("|---|---:|---|---|")
    for name, found in turns.items():
        each = [turn["answered"] / turn["cpu"] for turn in found]
        rates[name] = statistics.median(each)
        clock = ", ".join(f"{turn['answered'] / turn['wall']:,.0f}" for turn in found)
        print(f"| {name} | {rates[name]:,.0f} | {', '.join(f'{rate:,.0f}' for rate in each)} | {clock} |")
    times = {name: rates[OURS] / rate for name, rate in rates.items() if name != OURS}
    print(f"ours: {rates[OURS]:,.0f} requests a processor second (at least {LEAST_RATE:,.0f})")
    for name, factor in times.items():
        print(f"{factor:.1f} times {name}")
    return int(rates[OURS] < LEAST_RATE or times[OTHER_HOST] < LEAST_TIMES)


if __name__ == "__main__":
    sys.exit(main())
