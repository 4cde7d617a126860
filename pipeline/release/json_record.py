"""Records of releases as JSON files: read with their format checked, refused with what is wrong and where."""

from __future__ import annotations

import json
import re
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from pipeline.errors import UsageError
from pipeline.storage.places import Place, read_bytes

Model = TypeVar("Model", bound=BaseModel)

_REPAIR = "bring it back from a copy, or make its folder anew"


def _stays_below(path: str) -> str:
    parts = path.split("/")
    if not all(parts) or {".", ".."} & set(parts) or "\\" in path or re.search(r"[\x00-\x1f]", path):
        raise ValueError("it does not stay within the folder: its parts are names, with / between them")
    return path


# A path within a folder. Records may come from anybody, and what they name is read, written and deleted.
InnerPath = Annotated[str, AfterValidator(_stays_below)]


class Part(BaseModel):
    """A part of a record: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


def read_record(path: Place, model: type[Model], version: int) -> Model:
    """The record that a file holds. Raises FileNotFoundError, and UsageError for one that cannot be read."""
    try:
        data = json.loads(read_bytes(path))
    except ValueError:
        raise UsageError(f"{path} is damaged: it is no JSON: {_REPAIR}") from None
    found = data.get("format") if isinstance(data, dict) else None
    if found != version:
        newer = isinstance(found, int) and found > version
        repair = "a newer version of Kamisuki made it: use that one" if newer else _REPAIR
        raise UsageError(f"{path} has format {found}, and this version reads {version}: {repair}")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{path} is damaged: {where}: {first['msg']}: {_REPAIR}") from None
