"""The child's side of `pipeline.rewriting.children`: works through items of a file under limits. A script of its own.

It is run by path with python -I, so that a child neither imports the pipeline nor finds modules in a folder of texts.
Arguments: worker's path, file of items (a JSON value a line), first item, CPU seconds an item, bytes of memory.
A worker can open no connection, write no file and start no program, unless it says `WRITES_FILES = True`.
"""

import importlib.util
import json
import os
import resource
import signal
import sys

_CONFINEMENT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "confinement.py")


def main() -> None:
    """Write for each item from the first one a line: {"done": …} or {"failed": why}."""
    worker_path, items, first, seconds, memory = sys.argv[1:]
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    # What a tool prints must not stand between the answers.
    sys.stdout = sys.stderr
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    worker = _load("worker", worker_path)
    if not getattr(worker, "WRITES_FILES", False):
        _load("confinement", _CONFINEMENT).confine_this_process()
    with open(items, encoding="ascii") as lines:
        for place, line in enumerate(lines):
            if place < int(first):
                continue
            # The timer's signal has no handler: it ends the process, also inside of C code.
            signal.setitimer(signal.ITIMER_PROF, float(seconds))
            answer = _worked(worker.work, line)
            signal.setitimer(signal.ITIMER_PROF, 0)
            out.write(answer + "\n")
            out.flush()


def _load(name: str, path: str):  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _worked(work, line: str) -> str:  # type: ignore[no-untyped-def]
    try:
        return json.dumps({"done": work(json.loads(line))})
    except (Exception, SystemExit) as error:  # noqa: BLE001 - what a hostile text makes a tool raise fails that item alone
        return json.dumps({"failed": f"{type(error).__name__}: {error}"[:500]})


if __name__ == "__main__":
    main()
