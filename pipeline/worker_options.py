"""The options that say where a command's tasks are done, and the runner that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from pipeline.runner import Runner

Workers = Annotated[
    int | None, typer.Option("--workers", min=0, help="Ray workers on this machine; 0 works in one process.")
]
RayAddress = Annotated[str | None, typer.Option("--ray-address", help="A Ray cluster to work on.")]


def make_runner(workers: int | None, ray_address: str | None) -> Runner:
    """A runner in this process or on Ray. Raises UsageError where both are asked for."""
    from pipeline.ray_runner import RayRunner
    from pipeline.runner import InProcessRunner

    if workers == 0 and ray_address:
        raise UsageError("--workers 0 works in one process and --ray-address on a cluster: give one of them")
    return InProcessRunner() if workers == 0 else RayRunner(workers, ray_address)
