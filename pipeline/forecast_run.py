"""Making a forecast: inputs are listed and packed as a run would, some are sampled, and the sample is scaled up."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.forecast import Forecast, Range, forecast
from pipeline.forecast_sample import choose, cut_parts, known_sizes, measure
from pipeline.inputs import PAGES, ROBOTS_TXT, Given, find_inputs
from pipeline.plan import Input, name_inputs, pack
from pipeline.recipe import Recipe
from pipeline.selected import Selected
from pipeline.storage.places import RemotePath


def make_forecast(
    recipe: Recipe,
    inputs: list[str],
    robots: list[str],
    wanted: tuple[int, int, int],
    cores: int,
    scratch: Path | None,
) -> Forecast:
    """What a run over these inputs will cost. `wanted`: files to sample, bytes of each, seed.

    Raises what listing the inputs or running the sample raises.
    """
    files, most, seed = wanted
    places = find_inputs(inputs, recipe.sources, PAGES)
    captures = find_inputs(robots, recipe.sources, ROBOTS_TXT) if robots else []
    sizes, mean, total = _sized(places, recipe, seed)
    robots_sizes, _, robots_total = _sized(captures, recipe, seed)
    shards = len(_packed(places, sizes, mean, recipe))
    with _scratch(scratch) as folder:
        parts = cut_parts(choose(places, files, seed), most, recipe, folder / "parts", sizes)
        captured = cut_parts(choose(captures, files, seed), most, recipe, folder / "captures", robots_sizes)
        sample = measure(recipe, parts, captured, folder)
    download = sum(whole.value for whole, given in ((total, places), (robots_total, captures)) if _is_remote(given))
    exact = Range(float(shards), float(shards), float(shards))
    known = len(sizes)
    return forecast(recipe, sample, len(places), known, total, robots_total.value, download, exact, cores)


def _sized(places: list[Given], recipe: Recipe, seed: int) -> tuple[dict[Given, int], float, Range]:
    """The sizes that are known, their mean, and the sum of all, those that are not known taken as the mean."""
    if not places:
        return {}, 0.0, Range(0.0, 0.0, 0.0)
    sizes = known_sizes(places, recipe.sources.politeness(), seed)
    mean = sum(sizes.values()) / len(sizes)
    total = sum(sizes.values()) + mean * (len(places) - len(sizes))
    return sizes, mean, Range(total, total, total)


def _packed(places: list[Given], sizes: dict[Given, int], mean: float, recipe: Recipe) -> list[object]:
    names = name_inputs(places, set())
    items = [Input(str(place), names[place], sizes.get(place, round(mean))) for place in places]
    return list(pack(items, recipe.shards))


def _is_remote(places: list[Given]) -> bool:
    return any(isinstance(place.file if isinstance(place, Selected) else place, RemotePath) for place in places)


@contextlib.contextmanager
def _scratch(given: Path | None) -> Iterator[Path]:
    """A folder for the sample that goes at the end; below `given` where there is one."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="kamisuki-plan-", dir=given)).absolute()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
