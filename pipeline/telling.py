"""What every command that works on a run or a release does around its work: events, Ctrl-C, and letting Ray go."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from pipeline import __version__
from pipeline.errors import KamisukiError
from pipeline.events import open_log
from pipeline.progress import Progress
from pipeline.runner import Runner
from pipeline.storage.places import Place
from pipeline.working import describe_error


def open_progress(out: Place | None, log_json: str | None) -> Progress:
    """The progress of a command's work, with the log of events that --log-json asks for."""
    return Progress(out, events=open_log(log_json, sys.stdout))


@contextlib.contextmanager
def told(
    progress: Progress,
    command: str,
    recipe: str | None,
    out: Any,
    runner: Runner | None = None,
    waived: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Write the first and the last event of a command, and end it where it was interrupted.

    `recipe` is the name of what is made, None where only the work finds it; `waived` are shards that it goes on
    without, read at the end. A runner is closed then.
    """
    started, code, error_told = time.monotonic(), 0, None
    progress.events.emit("run_begin", command=command, recipe=recipe, out=str(out), version=__version__)
    try:
        yield
    except KeyboardInterrupt:
        code, error_told = 130, "stopped"
        typer.echo("kamisuki: stopped; what is finished is kept, run again to go on", err=True)
        raise typer.Exit(code) from None
    except typer.Exit as stop:
        code = stop.exit_code
        raise
    except Exception as error:
        code = error.exit_code if isinstance(error, KamisukiError) else 1
        error_told = describe_error(error)
        raise
    finally:
        if runner is not None:
            runner.close()
        ended = {"tasks": progress.tasks_ended, "waived": dict(waived or {}), "seconds": time.monotonic() - started}
        progress.events.emit("run_end", exit_code=code, error=error_told, **ended)
