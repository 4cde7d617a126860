"""The recipe's section `select`: which documents make the corpus."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import Field, model_validator

from filters.rules import BEST_TIER, Rule
from pipeline.errors import UsageError, like_it
from pipeline.schemas import SELECTABLE_ROBOTS_COLUMNS
from pipeline.section import Name, Number, PositiveInt, Section, Share
from pipeline.web.consent.agents import agents_of

HOST_PREFIX = "host_"


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
