"""Recipes: one YAML file read into one frozen typed object; a mistake is an error that names its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import yaml
from pydantic import Field, ValidationError, model_validator

from filters.signal import Signal
from pipeline.assets import is_path, read_asset
from pipeline.dedup_settings import SURVIVOR_KEYS, Dedup
from pipeline.errors import UsageError
from pipeline.extract_settings import Extract
from pipeline.ingest_settings import Ingest
from pipeline.recipe_file import Misplaced, load_file
from pipeline.runner import TASK_CPU_SECONDS
from pipeline.schemas import DOCUMENTS, ROBOTS_VERDICTS, SELECTABLE_DOCUMENT_COLUMNS, SELECTABLE_ROBOTS_COLUMNS
from pipeline.section import Positive, PositiveInt, Section, Share
from pipeline.select_settings import Limits, Select, unknown_signal
from pipeline.shipped import find_shipped, shipped_recipes
from pipeline.signal_settings import Annotate
from pipeline.signal_tables import GroupSettings, needed, signal_tables
from pipeline.source_settings import Sources
from pipeline.storage.places import Place


class Audit(Section):
    """What may still repeat in a corpus that is released.

    Hernandez et al. 2022 (Scaling Laws and Interpretability of Learning from Repeated Data): a tenth of a per cent of
    the data, repeated a hundred times, harmed a model as much as halving its size.
    """

    times: Annotated[int, Field(ge=2)] = Field(100, description="what occurs so often, or more, is judged")
    lines: Share | None = Field(None, description="most of the letters that may stand in such lines")
    paragraphs: Share | None = Field(None, description="most of the letters that may stand in such paragraphs")
    documents: Share | None = Field(0.001, description="most of the letters that may stand in such documents")

    def limits(self) -> dict[str, float]:
        """By unit (line, paragraph, document) the largest share that is allowed, of those that have a limit."""
        shares = {"line": self.lines, "paragraph": self.paragraphs, "document": self.documents}
        return {unit: share for unit, share in shares.items() if share is not None}


class Shards(Section):
    """How inputs are packed into shards, the unit of work, retry and resume."""

    documents_bytes: PositiveInt = Field(64_000_000, description="documents that are expected of a shard, bytes")
    yield_ratio: Positive = Field(
        0.009, description="expected document bytes for a byte of compressed WARC (Common Crawl: 1 GB gives some 9 MB)"
    )
    cpu_seconds: Positive = Field(TASK_CPU_SECONDS, description="CPU time that a task may use, seconds")


class Recipe(Section):
    """All that decides a corpus."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
    description: str = ""
    extract: Extract = Extract()
    ingest: Ingest | None = None
    annotate: Annotate = Annotate()
    dedup: Dedup | None = Dedup()
    select: Select = Select()
    audit: Audit = Audit()
    shards: Shards = Shards()
    sources: Sources = Sources()
    max_failed_shards: Annotated[int, Field(ge=0)] = 0

    def signals(self) -> dict[str, Signal]:
        """All signals that a rule or a column may name, by name."""
        return {signal.name: signal for group in self.annotate.groups().values() for signal in group.signals()}

    def groups(self) -> dict[str, GroupSettings]:
        """By table, the groups of signals that rules and columns ask for, with the digests of their assets.

        Raises UsageError for a file that cannot be read.
        """
        ordering = self.dedup.survivor_signals() if self.dedup else []
        wanted = self.select.signals() | set(ordering) | set(self.annotate.token_signals())
        tables = needed(self.annotate.groups(), wanted)
        return self.annotate.groups(read_asset, tables)

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        try:
            signal_tables(self.annotate.groups())
        except ValueError as error:
            raise Misplaced(str(error), "annotate") from None
        for name, chosen in self.annotate.datatrove.items():
            from filters.datatrove_filters import DatatroveFilter

            try:
                DatatroveFilter(name, chosen.filter, chosen.options, None).check()
            except ValueError as error:
                raise Misplaced(str(error), "annotate", "datatrove", name) from None
        types = {name: signal.type for name, signal in self.signals().items()}
        for name in self.select.columns:
            if name not in types and name not in self.select.host_signals():
                raise Misplaced(unknown_signal(name, types), "select", "columns")
        types |= {name: DOCUMENTS.field(name).type for name in SELECTABLE_DOCUMENT_COLUMNS}
        numbers = [name for name, kind in types.items() if not pa.types.is_string(kind)]
        for name in self.dedup.survivor_signals() if self.dedup else []:
            if name not in numbers:
                known = f"{', '.join(SURVIVOR_KEYS)}, or a number, highest first, lowest first with a minus before it"
                raise Misplaced(f"unknown key {name!r}; known: {known}: {', '.join(numbers)}", "dedup", "survivor")
        for name, rate in self.select.host_rates.items():
            try:
                rate.check_type(types)
            except ValueError as error:
                raise Misplaced(str(error), "select", "host_rates", name) from None
        types |= {name: ROBOTS_VERDICTS.field(name).type for name in SELECTABLE_ROBOTS_COLUMNS}
        types |= {name: pa.float64() for name in self.select.host_signals()}
        for index, rule in enumerate(self.select.rules):
            try:
                rule.check_type(types)
            except ValueError as error:
                raise Misplaced(str(error), "select", "rules", index) from None
        asked = self.select.signals()
        rates = [rate for name, rate in self.select.host_signals().items() if name in asked]
        counted: list[Limits] = [*self.select.rules, *rates]
        needs_words = [rule.signal for rule in counted if rule.limits() and rule.signal.startswith("ng_word")]
        if needs_words and not self.annotate.ng_words:
            raise ValueError(
                f"a rule on {needs_words[0]} needs word lists: "
                "name them in annotate.ng_words, or set its limits to null"
            )
        ours = ("page_type", "extraction_confidence", "link_ratio")
        unknown = [rule.signal for rule in self.select.rules if rule.limits() and rule.signal in ours]
        if unknown and self.extract.extractor == "trafilatura":
            raise ValueError(
                f"a rule on {unknown[0]} has nothing to judge, as trafilatura does not say it: "
                "set extract.extractor to kamisuki, or the rule's limits to null"
            )
        return self


def find_recipe(name_or_path: str) -> Path:
    """A recipe by path, else by the name of a shipped one. Raises UsageError with the names that there are."""
    return find_shipped(name_or_path, shipped_recipes(), "recipe")


def load_recipe(path: str | Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe with what it extends and with `key=value` overrides. Raises UsageError naming file and line."""
    return load_file(Recipe, path, overrides, _place_files, shipped_recipes())


def dump_recipe(recipe: Recipe) -> str:
    """The whole recipe with its defaults, as YAML."""
    return yaml.safe_dump(json.loads(recipe.model_dump_json()), allow_unicode=True, sort_keys=False)


def _place_files(data: dict[str, Any], folder: Path) -> None:
    """Make the paths of files that a recipe's annotate section names absolute: they are relative to `folder`."""
    annotate = data.get("annotate")

    def placed(reference: Any) -> Any:
        return str(folder / reference) if isinstance(reference, str) and is_path(reference) else reference

    if not isinstance(annotate, dict):
        return
    if isinstance(annotate.get("ng_words"), list):
        annotate["ng_words"] = [placed(reference) for reference in annotate["ng_words"]]
    if isinstance(annotate.get("word_lists"), dict):
        for name, files in annotate["word_lists"].items():
            if isinstance(files, list):
                annotate["word_lists"][name] = [placed(reference) for reference in files]
    for key in ("url_lists", "tokens"):
        if isinstance(annotate.get(key), dict):
            annotate[key] = {name: placed(reference) for name, reference in annotate[key].items()}
    words = annotate.get("words")
    if isinstance(words, dict) and "vaporetto" in words:
        words["vaporetto"] = placed(words["vaporetto"])
    if "languages" in annotate:
        annotate["languages"] = placed(annotate["languages"])
    if isinstance(annotate.get("models"), dict):
        for model in annotate["models"].values():
            if isinstance(model, dict) and "file" in model:
                model["file"] = placed(model["file"])


def recorded_recipe(out: Place, record: dict[str, Any], name: str) -> Recipe:
    """The recipe of this name as `read_run` found it. Raises UsageError for one that is none to this Kamisuki."""
    try:
        return Recipe.model_validate(record["recipes"][name]["recipe"])
    except ValidationError as error:
        first = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
        raise UsageError(
            f"recipe {name} of {out / 'run.json'} is none to this Kamisuki ({first}): another version, or one "
            "with a signal of its own, made it; run the recipe again, or use the Kamisuki that ran it"
        ) from None
