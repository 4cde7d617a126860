"""Recipes: one YAML file read into one frozen typed object; a mistake is an error that names its line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
import yaml
from pydantic import Field, model_validator

from dedup.minhash import PRESETS, MinHashParameters, parameters_for_threshold
from filters.rules import BEST_TIER, Rule
from filters.signal import Signal
from pipeline.assets import is_path, read_asset
from pipeline.errors import UsageError, like_it
from pipeline.ingest_settings import Ingest
from pipeline.recipe_file import Misplaced, load_file
from pipeline.schemas import DOCUMENTS, ROBOTS_VERDICTS, SELECTABLE_DOCUMENT_COLUMNS, SELECTABLE_ROBOTS_COLUMNS
from pipeline.section import Name, Number, Positive, PositiveInt, Section, Share
from pipeline.shipped import find_shipped, shipped_recipes
from pipeline.signal_settings import Annotate
from pipeline.signal_tables import GroupSettings, needed, signal_tables
from pipeline.source_settings import Sources
from pipeline.web.consent.agents import agents_of

# What a task may use where no recipe says otherwise, as `shards.cpu_seconds` has it: many times what any has used.
TASK_CPU_SECONDS = 14_400.0


class ExtractLimits(Section):
    """What one page may cost. The first two hold for every extractor, the others for trafilatura's sandbox.

    Time is the last resort; the others decide the same on every machine.
    """

    body_bytes: PositiveInt = Field(8_000_000, description="largest decoded response body that is read, bytes")
    elements: PositiveInt = Field(100_000, description="most start tags in a page")
    cpu_seconds: Positive = Field(10.0, description="CPU time of trafilatura for one page, seconds")
    memory_bytes: PositiveInt = Field(1_500_000_000, description="growth of the sandbox's address space, bytes")
    wall_seconds: Positive = Field(120.0, description="backstop when a parser sleeps, seconds")


class Language(Section):
    """Which extracted texts count as Japanese."""

    min_score: Share = Field(0.5, description="least probability that lid.176 gives to ja")
    kana_ratio: Share = Field(
        0.07, description="a text with at least this share of kana among its letters is Japanese whatever lid.176 says"
    )


# Of extract, what trafilatura cannot do.
KEYS_OF_KAMISUKI = ("tables", "ruby", "headline", "visible_japanese_letters")


class Extract(Section):
    """From WARC records to documents."""

    extractor: Literal["kamisuki", "trafilatura"] = "kamisuki"
    tables: Literal["rows", "markdown", "dropped"] = Field("rows", description="a line a row with tabs, or Markdown")
    ruby: Literal["dropped", "parentheses"] = Field("dropped", description="readings left out, or behind in （ ）")
    headline: Literal["kept", "dropped"] = Field("kept", description="the headline where the text begins with it")
    truncated: Literal["kept", "dropped"] = Field("kept", description="pages that the crawler cut (WARC-Truncated)")
    visible_japanese_letters: PositiveInt | None = Field(
        None, description="pages with fewer Japanese letters in all of their text are dropped before it is judged"
    )
    limits: ExtractLimits = ExtractLimits()
    language: Language = Language()
    rejects_kept: Share = Field(1.0, description="share of rejected pages whose row is kept, chosen by id")

    @model_validator(mode="after")
    def _check(self) -> Extract:
        ours = [key for key in KEYS_OF_KAMISUKI if getattr(self, key) != type(self).model_fields[key].default]
        if ours and self.extractor == "trafilatura":
            raise ValueError(
                f"trafilatura cannot do {', '.join(ours)}: leave {'it' if len(ours) == 1 else 'them'} out, "
                "or set extractor to kamisuki"
            )
        return self


class Signature(Section):
    """MinHash parameters: a preset by name, or a threshold from which bands and rows follow, or the numbers."""

    preset: str | None = None
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="Jaccard similarity about which bands and rows err least"
    )
    permutations: PositiveInt | None = Field(None, description="most MinHash values for a threshold")
    ngram: PositiveInt = 5
    bands: PositiveInt = 40
    rows: PositiveInt = 20
    seed: Annotated[int, Field(ge=0)] = 1

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        name, threshold, permutations = (data.get(key) for key in ("preset", "threshold", "permutations"))
        given = [
            f"preset {name}" if key == "preset" else key for key in ("preset", "threshold") if data.get(key) is not None
        ]
        if (threshold is None) != (permutations is None):
            raise ValueError("threshold and permutations go together: give both or neither")
        if len(given) > 1:
            raise ValueError(f"{given[0]} fixes threshold: give one of them")
        if name is not None:
            if name not in PRESETS:
                raise ValueError(f"unknown preset {name!r}; allowed: {', '.join(sorted(PRESETS))}")
            chosen = PRESETS[name]
            fixed = {"ngram": chosen.ngram, "bands": chosen.bands, "rows": chosen.rows}
        elif isinstance(threshold, int | float) and isinstance(permutations, int):
            chosen = parameters_for_threshold(threshold, permutations)
            fixed = {"bands": chosen.bands, "rows": chosen.rows}
        else:
            return data
        wrong = [key for key in fixed if data.get(key, fixed[key]) != fixed[key]]
        if wrong:
            raise ValueError(f"{given[0]} fixes {', '.join(wrong)}: give it or the numbers, not both")
        return {**data, **fixed}

    def numbers(self) -> dict[str, int]:
        """What decides a signature, however the recipe put it."""
        return self.model_dump(include={"ngram", "bands", "rows", "seed"})

    def parameters(self) -> MinHashParameters:
        """The parameters as the dedup package takes them."""
        return MinHashParameters(**self.numbers())


Kind = Literal["payload", "exact", "same_url", "same_canonical", "near"]
HOST_PREFIX = "host_"
SURVIVOR_KEYS = ("newest", "oldest", "longest", "source", "id")


class Repeats(Section):
    """Lines or paragraphs that stand in many documents of the corpus, and are cut from each.

    The defaults are those of Uzushio's LargeFreqParagraphs (count 3, freq 100).
    """

    unit: Literal["line", "paragraph"] = "line"
    documents: PositiveInt = Field(100, description="a line that stands in more documents than this is frequent")
    run: PositiveInt = Field(3, description="so many frequent lines in a row are cut, or more")
    letters: Annotated[int, Field(ge=0)] = Field(0, description="lines of fewer letters are never frequent")


class Dedup(Section):
    """Which documents count as duplicates and which one of them stays."""

    signature: Signature = Signature()
    kinds: tuple[Literal["payload", "exact", "same_url", "same_canonical", "near"], ...] = Field(
        ("payload", "exact", "same_url", "same_canonical", "near"),
        min_length=1,
        description="what makes a duplicate; the first that holds names a removal",
    )
    similarity: Annotated[float, Field(gt=0, le=1)] = Field(
        0.8, description="least true similarity of n-gram sets of a removed duplicate"
    )
    measure: Literal["jaccard", "containment"] = Field(
        "jaccard", description="Jaccard index, or the share of the removed page's n-grams that the kept one has"
    )
    scope: Literal["all", "snapshot", "source"] = Field("all", description="within what documents are compared")
    sources: dict[str, str] = Field({}, description="name of a source: glob over `warc_file`; the first match counts")
    among: Literal["all", "passing"] = Field("passing", description="may a document that fails the rules be kept_id?")
    survivor: tuple[str, ...] = ("newest", "longest", "id")
    repeats: Repeats | None = Field(None, description="what is cut because it stands in many documents")
    rehydrate: dict[PositiveInt, Annotated[int, Field(ge=0)]] = Field(
        {1: 1}, description="from this size of a cluster on: how often its kept document is to be read"
    )

    @model_validator(mode="after")
    def _check(self) -> Dedup:
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError("a kind stands twice in kinds")
        if not self.sources and (self.scope == "source" or "source" in self.survivor):
            raise ValueError("sources are not named: give dedup.sources, as in {news: 'crawl-data/CC-NEWS/*'}")
        if 1 not in self.rehydrate:
            raise ValueError("rehydrate must say how often a document without duplicates is read: begin with 1")
        return self

    def survivor_signals(self) -> list[str]:
        """The columns by which survivors are ordered, without the minus that asks for the lowest first."""
        return [key.removeprefix("-") for key in self.survivor if key not in SURVIVOR_KEYS]


class Limits(Section):
    """A column and the values of it that pass. An absent or null limit is off; 0 means 0."""

    signal: str
    min: Number | None = None
    max: Number | None = None
    more_than: Number | None = None
    less_than: Number | None = None
    any_of: tuple[str, ...] | None = None
    none_of: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _check_limits(self) -> Limits:
        if limits := self.limits():
            Rule(self.signal, **limits)
        return self

    def limits(self) -> dict[str, Any]:
        """The limits that are switched on."""
        return self.model_dump(include=set(Limits.model_fields) - {"signal"}, exclude_none=True)

    def check_type(self, types: dict[str, pa.DataType]) -> None:
        """Hold the limits against the types of all columns. Raises ValueError for a wrong column or limit."""
        if self.signal not in types:
            raise ValueError(unknown_signal(self.signal, types))
        is_text = pa.types.is_string(types[self.signal])
        limits = self.limits()
        if is_text and any(key not in ("any_of", "none_of") for key in limits):
            raise ValueError(f"{self.signal} holds text: use any_of or none_of")
        if not is_text and any(key in ("any_of", "none_of") for key in limits):
            raise ValueError(f"{self.signal} holds numbers: use min, max, more_than or less_than")


class RuleModel(Limits):
    """One rule: a column and the values that pass, or the share that does."""

    top: Annotated[Number, Field(gt=0, lt=1)] | None = Field(
        None, description="keep this share of the run's documents, those of the greatest values"
    )
    bottom: Annotated[Number, Field(gt=0, lt=1)] | None = Field(
        None, description="keep this share of the run's documents, those of the least values"
    )
    tier: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="what first fails here is kept, in this tier"
    )
    source: str | None = Field(None, description="where the limit comes from")

    @model_validator(mode="after")
    def _check(self) -> RuleModel:
        if self.share() and (self.limits() or (self.top and self.bottom)):
            raise ValueError(
                f"the rule on {self.signal} has a share and other limits: make two rules of it, as a list of two under "
                "its name"
            )
        return self

    def share(self) -> float | None:
        """The share of the run that the rule keeps, whichever end; None for a rule with limits."""
        return self.top or self.bottom

    def end(self) -> tuple[str, str]:
        """Which end of the values a share keeps, and the limit that it becomes once its value is known."""
        return ("top", "min") if self.top else ("bottom", "max")

    def limited(self, value: float | None) -> RuleModel:
        """The rule with a limit in the place of its share; without one where no document has a value."""
        return self.model_copy(update={"top": None, "bottom": None, self.end()[1]: value})

    def judges(self) -> bool:
        """Whether the rule has a limit that is switched on."""
        return self.share() is not None or bool(self.limits())

    def check_type(self, types: dict[str, pa.DataType]) -> None:
        """As for all limits; a share needs numbers."""
        super().check_type(types)
        if self.share() and pa.types.is_string(types[self.signal]):
            raise ValueError(f"{self.signal} holds text: use any_of or none_of")


class HostRate(Limits):
    """The share of a host's documents whose signal has one of these values."""

    least_documents: PositiveInt = Field(1, description="a host with fewer documents has no rate")

    @model_validator(mode="after")
    def _check(self) -> HostRate:
        if not self.limits():
            raise ValueError(f"the rate of {self.signal} sets no limit: say which values count, as in min: 1")
        return self


class Robots(Section):
    """How robots.txt is read for the columns `robots` and `robots_latest`."""

    agents: str | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        "training", description="a set of configs/ai-user-agents.yaml, or names: one that is refused refuses"
    )
    unreachable: Literal["unknown", "refused"] = Field(
        "unknown", description="what a robots.txt that was answered with a server error means"
    )

    @model_validator(mode="after")
    def _check(self) -> Robots:
        agents_of(self.agents)
        return self


class Footer(Section):
    """Which last lines of a text are its footer. The defaults are those of Swallow Corpus (footer.py)."""

    lines: PositiveInt = Field(10, description="a footer begins among so many last lines")
    share: Share = Field(0.3, description="with a line of which footer words hold more than this share of the letters")


class Clean(Section):
    """What is changed in the texts of the corpus; what was changed is judged again."""

    footer: Footer | None = Field(Footer(), description="cut the footer")
    punctuation: bool = Field(True, description="，． become 、。 in a text that uses them instead")
    empty_lines: Annotated[int, Field(ge=0)] | None = Field(1, description="most empty lines in a row")


def unknown_signal(name: str, known: Iterable[str]) -> str:
    """What to say of a signal that there is not: those of a name like it, and where all are listed."""
    return f"unknown signal {name!r}{like_it(name, known)}; docs/signals.md has all"


class Select(Section):
    """Which documents make the corpus."""

    robots: Robots = Robots()
    host_rates: dict[Name, HostRate] = Field(
        {}, description="shares of a host's documents, by names of one's own: the signals host_NAME"
    )
    rules: tuple[RuleModel, ...] = ()
    best_tier: str = Field(BEST_TIER, description="tier of what fails no rule")
    columns: tuple[str, ...] = Field((), description="signals that the corpus carries as columns")
    clean: Clean | None = Field(None, description="what is changed in texts on their way into the corpus")

    def signals(self) -> set[str]:
        """The names that rules and columns ask for."""
        asked = {rule.signal for rule in self.rules if rule.judges()} | set(self.columns)
        return asked | {rate.signal for name, rate in self.host_signals().items() if name in asked}

    def host_signals(self) -> dict[str, HostRate]:
        """By signal, the shares of a host's documents that are named."""
        return {f"{HOST_PREFIX}{name}": rate for name, rate in self.host_rates.items()}

    def judges_robots(self) -> bool:
        """Whether a rule needs captures of robots.txt."""
        return any(rule.limits() and rule.signal in SELECTABLE_ROBOTS_COLUMNS for rule in self.rules)

    def active_rules(self) -> list[Rule]:
        """The rules that have a limit, in the order in which they judge.

        Raises UsageError for one that asks for a share: only a run over all documents tells its limit.
        """
        shares = [rule.signal for rule in self.rules if rule.share()]
        if shares:
            raise UsageError(
                f"the rule on {shares[0]} asks for a share of a run, and there is no run here to tell its limit: "
                "give it min or max"
            )
        return [Rule(rule.signal, **rule.limits(), tier=rule.tier) for rule in self.rules if rule.limits()]


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
