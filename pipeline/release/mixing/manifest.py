"""Manifests of mixes and of compare packs: one YAML file read into one frozen object; a mistake names its line."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pipeline.errors import UsageError
from pipeline.recipe_file import Misplaced, load_file
from pipeline.release.mixing.training import MODELS
from pipeline.section import Name, Positive, PositiveInt, Section
from pipeline.storage.places import Place, as_place

# The number of a release's own default, so that a mix says which one it was made with.
SEED = 20_240_607
SHARD_BYTES = 500_000_000
# Up to four epochs, repeated text is worth nearly as much as new text (Muennighoff et al. 2023, Scaling
# Data-Constrained Language Models).
MAX_EPOCHS = 4.0
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


def _tokens(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("write a number of tokens as 500M, 1B or 1.5T")
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMBT]?)", str(value).strip(), re.IGNORECASE)
    count = Fraction(found[1]) * _UNITS[found[2].upper()] if found else Fraction(0)
    if count < 1 or count.denominator != 1:
        raise ValueError(f"{value} is no number of tokens: write it as 500M, 1B or 1.5T")
    return int(count)


def tokens_name(count: int) -> str:
    """A number of tokens as it is written: 1B, 1500M, 123."""
    unit = next(unit for unit in "TBMK" + " " if count % _UNITS[unit.strip()] == 0)
    return f"{count // _UNITS[unit.strip()]}{unit.strip()}"


Tokens = Annotated[int, BeforeValidator(_tokens)]
# What becomes a folder and the value of a column.
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$")]
Budgets = Annotated[tuple[Tokens, ...], Field(default=())]


class Source(Section):
    """A release, or a config of it, that rows are taken of: `release` is RELEASE or RELEASE:CONFIG."""

    name: Label
    release: str
    max_epochs: Positive | None = None

    def place(self) -> tuple[Place, str | None]:
        """The release, and the config's name where one is given. Raises UsageError."""
        place, colon, config = self.release.rpartition(":")
        if not colon or "/" in config or not place:
            return as_place(self.release), None
        if not config:
            raise UsageError(f"{self.name}: {self.release}: no config stands behind the colon")
        return as_place(place), config


class MixSource(Source):
    """A source of a mix with its weight, or the tokens of it that the largest budget holds, and what kind it is."""

    weight: Positive | None = None
    tokens: Tokens | None = None
    kind: Name = "text"


class _Mixing(Section):
    name: str = Field(min_length=1)
    tokenizer: str
    eos: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = SEED
    budgets: Budgets
    shard_bytes: PositiveInt = SHARD_BYTES

    @model_validator(mode="after")
    def _budgets_rise(self) -> _Mixing:
        for place in range(1, len(self.budgets)):
            if self.budgets[place] <= self.budgets[place - 1]:
                raise Misplaced("budgets are nested: write each once, the smallest first", "budgets", place)
        return self


def _named_once(items: tuple[Source, ...], key: str) -> None:
    # Names are folders, which some file systems do not tell apart by case.
    names = [item.name.lower() for item in items]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise Misplaced(f"{items[place].name} stands twice: give each its own name", key, place, "name")


def _refuse_other(data: Any, mine: str, others: str, command: str) -> None:
    """Raise Misplaced where a manifest is one of the other command."""
    if isinstance(data, dict) and others in data and mine not in data:
        raise Misplaced(f"this is a manifest for {command}: use that, or write {mine}", others)


class MixManifest(_Mixing):
    """A mix: sources by weight, or each with its tokens; `shares` gives kinds of sources a share of the whole."""

    max_epochs: Positive = MAX_EPOCHS
    shares: dict[Name, Annotated[float, Field(gt=0, le=1)]] = Field(default_factory=dict)
    sources: Annotated[tuple[MixSource, ...], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _no_pack(cls, data: Any) -> Any:
        _refuse_other(data, "sources", "corpora", "kamisuki compare-pack")
        return data

    @model_validator(mode="after")
    def _adds_up(self) -> MixManifest:
        _named_once(self.sources, "sources")
        by_tokens = self.sources[0].tokens is not None
        for place, source in enumerate(self.sources):
            if (source.weight is None) == (source.tokens is None):
                raise Misplaced("give it a weight, or the tokens that the mix holds of it", "sources", place)
            if (source.tokens is not None) != by_tokens:
                raise Misplaced("all sources have a weight, or all have tokens", "sources", place)
        if by_tokens:
            self._tokens_add_up()
        elif not self.budgets:
            raise Misplaced("is required where sources have weights: how many tokens the mix holds", "budgets")
        self._shares_add_up()
        return self

    def _tokens_add_up(self) -> None:
        total = sum(source.tokens or 0 for source in self.sources)
        if self.shares:
            raise Misplaced("is for sources with weights: theirs stand in their tokens", "shares")
        if self.budgets and self.budgets[-1] != total:
            message = (
                f"the tokens of the sources are {total:,} together: the largest budget is so many, or leave it out"
            )
            raise Misplaced(message, "budgets", len(self.budgets) - 1)

    def _shares_add_up(self) -> None:
        kinds = {source.kind for source in self.sources}
        for kind in self.shares:
            if kind not in kinds:
                raise Misplaced(f"no source is of this kind; there are: {', '.join(sorted(kinds))}", "shares", kind)
        given = sum(Fraction(str(share)) for share in self.shares.values())
        rest = kinds - self.shares.keys()
        if rest and given >= 1:
            raise Misplaced(f"nothing is left for sources of kind {', '.join(sorted(rest))}", "shares")
        if self.shares and not rest and given != 1:
            raise Misplaced(f"all kinds have a share, and together they are {float(given)}: they must be 1", "shares")

    def steps(self) -> tuple[int, ...]:
        """The budgets, the smallest first; what the sources' tokens come to where none is given."""
        return self.budgets or (sum(source.tokens or 0 for source in self.sources),)

    def source_shares(self) -> list[Fraction]:
        """The share of the whole of each source; they add up to 1."""
        if self.sources[0].tokens is not None:
            total = sum(source.tokens or 0 for source in self.sources)
            return [Fraction(source.tokens or 0, total) for source in self.sources]
        fixed = {kind: Fraction(str(share)) for kind, share in self.shares.items()}
        weights = [Fraction(str(source.weight)) for source in self.sources]
        groups = [source.kind if source.kind in fixed else None for source in self.sources]
        together = {group: sum(w for w, g in zip(weights, groups, strict=True) if g == group) for group in groups}
        rest = 1 - sum(fixed.values())
        return [
            (fixed[group] if group is not None else rest) * weight / together[group]
            for weight, group in zip(weights, groups, strict=True)
        ]


def _model(name: str) -> str:
    if name not in MODELS:
        raise ValueError(f"{name} is not known; models are {', '.join(MODELS)}")
    return name


ModelName = Annotated[str, AfterValidator(_model)]


class PackManifest(_Mixing):
    """A compare pack: corpora cut to equal tokens. Without budgets, to what the smallest of them has."""

    max_epochs: Positive = 1.0
    corpora: Annotated[tuple[Source, ...], Field(min_length=2)]
    models: Annotated[tuple[ModelName, ...], Field(min_length=1)] = tuple(MODELS)

    @model_validator(mode="before")
    @classmethod
    def _no_mix(cls, data: Any) -> Any:
        _refuse_other(data, "corpora", "sources", "kamisuki mix")
        return data

    @model_validator(mode="after")
    def _named(self) -> PackManifest:
        _named_once(self.corpora, "corpora")
        return self


M = TypeVar("M", MixManifest, PackManifest)


def load_manifest(path: Path, model: type[M]) -> M:
    """Read a manifest. Paths in it are relative to its folder. Raises UsageError that names file and line."""
    return load_file(model, path, (), _place_files, ())


def _place_files(data: dict[str, Any], folder: Path) -> None:
    if isinstance(data.get("tokenizer"), str):
        data["tokenizer"] = str(folder / data["tokenizer"])
    for key in ("sources", "corpora"):
        for item in data[key] if isinstance(data.get(key), list) else ():
            if isinstance(item, dict) and isinstance(item.get("release"), str) and "://" not in item["release"]:
                item["release"] = str(folder / item["release"])
