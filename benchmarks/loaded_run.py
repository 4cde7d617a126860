"""Processor seconds of a run in a process that has loaded all its code, over one WARC file and over several.

Part of `make bench`: what a process loads as soon as it first meets duplicates, legacy charsets or the like is in the
difference of two short runs in processes of their own, and in none of a crawl's.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.progress import Progress
from pipeline.recipe import load_recipe
from pipeline.run import Run
from pipeline.runner import InProcessRunner

TURNS = 7


def loaded_seconds(recipe: str, files: Sequence[Path]) -> tuple[float, float]:
    """The least seconds of TURNS runs over the first file, and of as many over all, after one that is not counted."""
    _seconds(recipe, files)
    least = [float("inf"), float("inf")]
    for _ in range(TURNS):
        for place, given in enumerate((files[:1], files)):
            least[place] = min(least[place], _seconds(recipe, given))
    return least[0], least[1]


def _seconds(recipe: str, files: Sequence[Path]) -> float:
    """Of one run from its start to its corpus, into a folder that is new each time."""
    with tempfile.TemporaryDirectory(prefix="kamisuki-loaded-") as folder:
        started = time.process_time()
        run = Run(load_recipe(recipe), Path(folder) / "out", InProcessRunner(), Progress(stream=io.StringIO()))
        run.execute([str(file) for file in files])
        return time.process_time() - started
