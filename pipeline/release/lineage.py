"""What a rewritten row of a release must say of how it came about, and what of it a model wrote."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

FORBIDDEN = "forbidden"
# Columns that every rewritten row has (pipeline.rewriting.rows.ROWS).
COLUMNS: tuple[str, ...] = ("source_ids", "generator", "generator_license", "generator_training", "lineage")
COLUMNS += ("fell_back", "source_license", "source_license_url", "source_license_tier")


def answers_of_forbidding(recipe: dict[str, Any]) -> tuple[str, ...]:
    """Columns of a rewriting recipe's rows in which a model answered whose license forbids training with its answers.

    A model that scores texts does not change them: then its answers stand there alone.
    """
    generator = recipe.get("generator") or {}
    if generator.get("training") != FORBIDDEN:
        return ()
    asks = [step["name"] for step in recipe.get("steps") or [] if step.get("ask") is not None]
    return tuple(f"{step}_{column}" for step in asks for column in ("score", "note"))


def is_forbidden(rows: pa.RecordBatch, answers: tuple[str, ...] | list[str]) -> pa.Array:
    """Which rows a model wrote, or answered about in these columns, whose license forbids training, bool [n]."""
    forbidden = pc.fill_null(pc.equal(rows.column("generator_training"), FORBIDDEN), False)
    for name in answers:
        if name in rows.schema.names:
            forbidden = pc.or_(forbidden, rows.column(name).is_valid())
    return forbidden


def without_lineage(rows: pa.RecordBatch) -> list[tuple[str, pa.Array]]:
    """By what is missing which rows do not say how they came about, bool [n] each; `rows` has all of COLUMNS."""
    written = rows.column("generator").is_valid()
    asked = pc.fill_null(pc.greater(pc.list_value_length(rows.column("lineage")), 0), False)
    sources = pc.fill_null(pc.greater(pc.list_value_length(rows.column("source_ids")), 0), False)
    licensed = pc.and_(rows.column("generator_license").is_valid(), rows.column("generator_training").is_valid())
    return [
        ("names no source", pc.invert(sources)),
        ("does not say what the model was asked", pc.and_(written, pc.invert(asked))),
        ("names questions but no model", pc.and_(pc.invert(written), asked)),
        ("does not say under which license the model wrote", pc.and_(written, pc.invert(licensed))),
    ]
