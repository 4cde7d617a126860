"""Rewriting recipes: one YAML file with the steps from texts to rewritten texts, read into one frozen typed object."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from filters.rules import Rule
from pipeline.recipe_file import load_file
from pipeline.rewriting.answers import Kind
from pipeline.rewriting.checks import CHECKS
from pipeline.rewriting.client import ClientSettings, Prices
from pipeline.rewriting.code import LANGUAGES
from pipeline.rewriting.prompts import Prompt, find_prompt
from pipeline.section import Name, PositiveInt, Section, Share
from pipeline.select_settings import Limits
from pipeline.shipped import configs_folder, find_shipped
from pipeline.web.license import TIERS

FOLDER = "rewriting"


class Generator(Section):
    """The model that writes, and what its license asks of those who use what it wrote."""

    model: str = Field(description="the name that the endpoints know it by")
    license: str = Field(description="SPDX id, or LicenseRef-…")
    license_tier: Literal[TIERS] = Field(description="the tier of that license for what the model wrote")  # type: ignore[valid-type]
    training: Literal["allowed", "named", "forbidden"] = Field(
        description="may other models be trained with it: yes; yes, under a name that the license asks for; no"
    )


class Parameters(Section):
    """How the model is asked."""

    temperature: Annotated[float, Field(ge=0)] = 0.0
    top_p: Share = 1.0
    max_tokens: PositiveInt = Field(8192, description="most tokens of an answer")
    seed: Annotated[int, Field(ge=0)] = 1


class Chunk(Section):
    """What happens to a text that is too long for a prompt."""

    characters: PositiveInt = Field(20_480, description="most characters of a text in one prompt; Swallow's limit")
    at: Literal["paragraphs", "definitions", "never"] = Field(
        "never", description="where longer ones are cut; with never they are rejected as text_too_long"
    )


class Ask(Section):
    """One question to the model for each row."""

    prompt: str = Field(description="a shipped prompt by its name, or a path")
    answer: Kind = Field("text", description="what the prompt asks for")
    marker: str | None = Field(None, description="the answer begins behind this mark")
    numbered: bool = Field(False, description="the prompt shows the text with the numbers of its lines")
    answer_schema: dict[str, Any] | None = Field(None, description="JSON schema that the server holds the answer to")
    parameters: Parameters = Parameters()
    chunk: Chunk = Chunk()
    cut: Literal["rejected", "kept"] = Field(
        "rejected", description="an answer that met the limit of tokens is rejected as answer_cut, or kept as it is"
    )
    attempts: Annotated[int, Field(ge=1, le=5)] = Field(
        1, description="how often a row is asked whose answer is not what was asked for or fails a rule"
    )

    @model_validator(mode="after")
    def _check(self) -> Ask:
        if self.chunk.at != "never" and self.answer not in ("text", "code"):
            raise ValueError(
                f"an answer of kind {self.answer} cannot be put together from chunks: leave chunk.at at never"
            )
        if self.numbered != (self.answer == "deletions"):
            raise ValueError("deletions name lines by number: numbered goes with answer: deletions, and with it alone")
        return self


class Transform(Section):
    """A tool that changes the text."""

    tool: Literal["format"] = Field(description="format: the formatter of the row's language")


class StepRule(Limits):
    """A rule over columns of this step, as its checks name them, or of an earlier one as STEP_COLUMN."""

    source: str | None = Field(None, description="where the limit comes from")


class StepModel(Section):
    """A step: perhaps a question or a tool, then checks of what came of it, then rules over their columns."""

    name: Name
    ask: Ask | None = None
    transform: Transform | None = None
    checks: tuple[str, ...] = Field((), description="what is measured of the text, beside the one before the step")
    rules: tuple[StepRule, ...] = ()
    otherwise: Literal["drop", "source", "keep"] = Field(
        "drop", description="a row that fails: is dropped, goes on with the text before the step, or goes on as it is"
    )

    @model_validator(mode="after")
    def _check(self) -> StepModel:
        if self.ask and self.transform:
            raise ValueError("a step asks or transforms, not both: make two of it")
        unknown = sorted(set(self.checks) - CHECKS.keys())
        if unknown:
            raise ValueError(f"no check {unknown[0]!r}; there are {', '.join(sorted(CHECKS))}")
        return self

    def changes_text(self) -> bool:
        """Whether rows have another text behind the step."""
        return self.transform is not None or (self.ask is not None and self.ask.answer != "score")

    def active_rules(self) -> list[Rule]:
        """The rules that have a limit."""
        return [Rule(rule.signal, **rule.limits()) for rule in self.rules if rule.limits()]


class RewritingRecipe(Section):
    """All that decides a rewritten corpus."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
    description: str = ""
    reads: Literal["corpus", "documents"] = Field("corpus", description="the table of the run that it begins with")
    language: Literal[("", *LANGUAGES)] = Field(  # type: ignore[valid-type]
        "", description="the programming language of the texts; empty for prose"
    )
    generator: Generator | None = None
    prices: Prices = Prices()
    client: ClientSettings = ClientSettings()
    steps: Annotated[tuple[StepModel, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> RewritingRecipe:
        names = [step.name for step in self.steps]
        if len(set(names)) < len(names):
            raise ValueError("two steps have one name")
        if any(step.ask for step in self.steps) and self.generator is None:
            raise ValueError("a step asks a model: say which in generator, and under which license it writes")
        return self

    def prompts(self) -> dict[str, Prompt]:
        """By step, the prompts. Raises UsageError for one that there is not."""
        return {step.name: find_prompt(step.ask.prompt) for step in self.steps if step.ask}


def shipped_rewriting_recipes() -> list[Path]:
    """The shipped rewriting recipes, by name."""
    return sorted((configs_folder() / FOLDER).glob("*.yaml"))


def find_rewriting_recipe(name_or_path: str) -> Path:
    """A rewriting recipe by path, else a shipped one by its name. Raises UsageError with the names that there are."""
    return find_shipped(name_or_path, shipped_rewriting_recipes(), "rewriting recipe")


def load_rewriting_recipe(path: str | Path, overrides: tuple[str, ...] = ()) -> RewritingRecipe:
    """Read a recipe with what it extends and with `key=value` overrides. Raises UsageError naming file and line."""
    return load_file(RewritingRecipe, path, overrides, _place_files, shipped_rewriting_recipes())


def dump_rewriting_recipe(recipe: RewritingRecipe) -> str:
    """The whole recipe with its defaults, as YAML."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), allow_unicode=True, sort_keys=False)


def _place_files(data: dict[str, Any], folder: Path) -> None:
    """Make the paths of prompts absolute; what is no file beside the recipe is the name of a shipped one."""
    for step in data.get("steps") or ():
        ask = step.get("ask") if isinstance(step, dict) else None
        if isinstance(ask, dict) and isinstance(ask.get("prompt"), str) and (folder / ask["prompt"]).is_file():
            ask["prompt"] = str(folder / ask["prompt"])
