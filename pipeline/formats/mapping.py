"""Mapping: the fields of a row to the columns of a document, as a recipe says; a wrong type is never guessed at."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pipeline.formats.rows import find_field
from pipeline.ingest_settings import Collection, Ingest
from pipeline.schemas import DOCUMENTS
from pipeline.web.license.names import license_of_value
from pipeline.web.license.tiers import strictest
from pipeline.web.warc import parse_date

# Counts since 1970 by their size: seconds, milliseconds, microseconds, else nanoseconds, each up to the year 5138.
_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6))
_NANOSECONDS = 1e9


class NoText(ValueError):
    """A row without a text that can be used; `reason` is a stable name."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@dataclass
class Columns:
    """The columns of a document that a row's fields fill, and the names of those whose value was of no use."""

    values: dict[str, Any] = field(default_factory=dict)
    unusable: list[str] = field(default_factory=list)


def text_of(values: dict[str, Any], path: str) -> str:
    """The text of a row. Raises NoText where it is missing, empty, of another type or not UTF-8."""
    text = find_field(values, path)
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise NoText("not_utf8", f"byte {error.start} of {path}") from None
    if text is None:
        raise NoText("no_text", f"{path} is missing")
    if not isinstance(text, str):
        raise NoText("wrong_type", f"{path} is {type(text).__name__}, not a text")
    if not text.strip():
        raise NoText("no_text", f"{path} is empty")
    if not _is_utf8(text):
        raise NoText("not_utf8", f"{path} holds half a surrogate pair")
    return text


def columns_of(values: dict[str, Any], settings: Ingest, source: Collection) -> Columns:
    """What a row's fields say beside its text, and its license: the row's own, else its source's."""
    found = Columns()
    named: str | None = None
    for column, path in settings.columns.items():
        value = find_field(values, path)
        if value is None or value in ("", []):
            continue
        try:
            if column == "license":
                named = path
                found.values |= _license(value, f"row: {path}")
            else:
                found.values[column] = _as_column(value, DOCUMENTS.field(column).type)
        except (ValueError, TypeError, OverflowError):
            found.unusable.append(column)
    if named is None and source.license is not None:
        url = found.values.get("license_url") or source.license_url
        found.values |= {**_license(source.license, f"source: {source.license_evidence}"), "license_url": url}
    found.values.setdefault("license_tier", "unknown")
    if source.language is not None:
        found.values.setdefault("language", source.language)
    if settings.keep:
        kept = {path: find_field(values, path) for path in settings.keep}
        text = json.dumps(kept, ensure_ascii=False, sort_keys=True, default=_as_json)
        found.values["source_metadata"] = text.encode("utf-8", "replace").decode()
    return found


def _license(value: Any, evidence: str) -> dict[str, Any]:
    """Of several licenses all hold: an SPDX expression of them, and the tier that asks most."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and _is_utf8(name) for name in names):
        raise TypeError("a license is a text or a list of texts")
    known = {name: license_of_value(name) for name in names}
    identifiers = sorted({found.identifier if found else name for name, found in known.items()})
    return {
        "license": " AND ".join(identifiers),
        "license_source": evidence,
        "license_tier": strictest(found.tier if found else "unknown" for found in known.values()),
    }


def _as_column(value: Any, kind: pa.DataType) -> Any:
    """A value as one of a column's type. Raises ValueError, TypeError or OverflowError where it is none."""
    if pa.types.is_timestamp(kind):
        return _time(value)
    if pa.types.is_date(kind):
        return value if type(value) is datetime.date else _time(value).date()
    if pa.types.is_floating(kind):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError("not a number")
        return float(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not _is_utf8(value):
        raise TypeError("not a text")
    return value


def _time(value: Any) -> datetime.datetime:
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value.astimezone(datetime.UTC)
    if isinstance(value, datetime.date):
        return datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC)
    if isinstance(value, str):
        parsed = parse_date(value)
        if parsed is None:
            raise ValueError("not a date")
        return parsed
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a date")
    divisor = next((divisor for most, divisor in _UNITS if abs(value) < most), _NANOSECONDS)
    return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=value / divisor)


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
