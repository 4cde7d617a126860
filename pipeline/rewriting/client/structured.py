"""Structured answers: the JSON in a model's answer, held against the schema that was asked for."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable


def asked_schema(payload: dict[str, Any]) -> dict[str, Any] | None:
    """The JSON schema that a request asks its answer to fit, if any."""
    asked = payload.get("response_format")
    if isinstance(asked, dict) and asked.get("type") == "json_schema" and isinstance(asked.get("json_schema"), dict):
        schema = asked["json_schema"].get("schema")
        return schema if isinstance(schema, dict) else None
    return None


def read_json(text: str) -> Any:
    """The JSON value of an answer, which may stand in a code fence or between other words. Raises ValueError.

    Between other words it is the longest stretch from the first `{` or `[` to the last `}` or `]`.
    """
    bare = text.strip()
    try:
        return _loads(bare)
    except ValueError:
        begins = [place for place in (bare.find("{"), bare.find("[")) if place >= 0]
        end = max(bare.rfind("}"), bare.rfind("]"))
        if not begins or end < min(begins):
            raise
        return _loads(bare[min(begins) : end + 1])


def fits_schema(value: Any, schema: dict[str, Any]) -> str | None:
    """None where a value fits a JSON schema, else where and why it does not. Raises ValueError for a bad schema."""
    validator = _validator(json.dumps(schema, sort_keys=True))
    try:
        validator.validate(value)
    except ValidationError as error:
        return f"{error.json_path}: {error.message}"
    except (Unresolvable, RecursionError) as error:
        raise ValueError(f"the schema cannot be followed: {error}") from None
    return None


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


# A recipe has a handful of schemas, and building a validator takes longer than using it.
@lru_cache(maxsize=64)
def _validator(schema: str) -> Validator:
    read = json.loads(schema)
    kind = validator_for(read)
    try:
        kind.check_schema(read)
    except SchemaError as error:
        raise ValueError(f"no JSON schema: {error.message}") from None
    # An empty registry, so that no $ref is fetched from the web.
    return kind(read, registry=Registry())
