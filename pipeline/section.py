"""Section: what all parts of a recipe have in common, and the kinds of numbers and names that they hold."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _no_boolean(value: Any) -> Any:
    # Python counts true as 1.
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is no number")
    return value


_NO_BOOLEAN = BeforeValidator(_no_boolean)

Number = Annotated[float, _NO_BOOLEAN]
Positive = Annotated[float, Field(gt=0), _NO_BOOLEAN]
PositiveInt = Annotated[int, Field(gt=0), _NO_BOOLEAN]
Share = Annotated[float, Field(ge=0, le=1), _NO_BOOLEAN]
# Begins what pydantic calls a variant of a section by; no part of a recipe is called so.
TAG = "kind="
# What becomes a part of a column's name.
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Section(BaseModel):
    """A part of a recipe: unknown keys are errors and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)
