"""The recipe's section `dedup`: what counts as a duplicate, and what stays."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dedup.minhash import PRESETS, MinHashParameters, parameters_for_threshold
from pipeline.section import PositiveInt, Section


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
    kinds: tuple[Kind, ...] = Field(
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
