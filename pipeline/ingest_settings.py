"""Ingest's part of a recipe: which format the files have, what their fields are called, whose they are."""

from __future__ import annotations

import fnmatch
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.section import Name, PositiveInt, Section, Share

# Columns of documents that a field of a row may fill. All others ingest fills itself, or only a web page has them.
Column = Literal[
    "url",
    "title",
    "crawl",
    "fetched_at",
    "warc_record_id",
    "payload_digest",
    "content_type",
    "declared_language",
    "language",
    "language_score",
    "author",
    "site_name",
    "published_at",
    "modified_at",
    "description",
    "canonical_url",
    "license",
    "license_url",
    "source_id",
]
FieldPath = Annotated[str, Field(min_length=1)]
Format = Literal["parquet", "jsonl", "wet", "wikipedia_xml", "wikipedia_cirrus"]
# The fields of formats that have the same ones in every file (pipeline.formats.wet, wikipedia).
_WIKIPEDIA_FIELDS = ("text", "title", "url", "timestamp", "page_id", "revision_id", "namespace", "wiki")
FIELDS: dict[str, tuple[str, ...]] = {
    "wet": ("text", "url", "date", "record_id", "refers_to", "content_type", "languages", "crawl"),
    "wikipedia_xml": _WIKIPEDIA_FIELDS,
    "wikipedia_cirrus": _WIKIPEDIA_FIELDS,
}


class Collection(Section):
    """One source of rows: which files are of it, and what holds for each of its rows that does not say otherwise."""

    files: Annotated[str, Field(min_length=1)] = Field("*", description="glob over the end of a file's path")
    language: str | None = Field(None, description="language of texts of which nothing else says it, as ja")
    license: str | None = Field(None, description="license of the texts: an SPDX id, a URL or a name")
    license_url: str | None = Field(None, description="where the license's text stands")
    license_evidence: str | None = Field(None, description="who says so, and where")

    @model_validator(mode="after")
    def _check(self) -> Collection:
        if (self.license is None) != (self.license_evidence is None):
            raise ValueError("license and license_evidence go together: say who says so, and where")
        return self

    def holds(self, path: str) -> bool:
        """Whether a file is of this source: the glob matches the path's end, from one of its folders on."""
        path = path.replace("\\", "/")
        return fnmatch.fnmatchcase(path, self.files) or fnmatch.fnmatchcase(path, f"*/{self.files}")


class JapaneseText(Section):
    """Which texts count as Japanese, by the test of extract (`extract.language`)."""

    min_score: Share = Field(0.5, description="least probability that lid.176 gives to ja")
    kana_ratio: Share = Field(
        0.07, description="a text with at least this share of kana among its letters is Japanese whatever lid.176 says"
    )


class Ingest(Section):
    """From the rows of files that are no web archives to documents."""

    format: Format
    text: FieldPath = Field("text", description="the field that holds the text")
    columns: dict[Column, FieldPath] = Field({}, description="column of documents: the field that fills it")
    keep: tuple[FieldPath, ...] = Field((), description="fields that `source_metadata` keeps as JSON")
    sources: dict[Name, Collection] = Field(min_length=1, description="by name, in order; the first that holds a file")
    language: JapaneseText | None = Field(None, description="which texts are Japanese; others are rejected")
    row_bytes: PositiveInt = Field(50_000_000, description="largest row that is read, bytes")
    rejects_kept: Share = Field(1.0, description="share of rejected rows of which a row is kept, chosen by id")

    @model_validator(mode="after")
    def _check(self) -> Ingest:
        known = FIELDS.get(self.format)
        unknown = [path for path in self.fields() if known is not None and path not in known]
        if known is not None and unknown:
            raise ValueError(f"{self.format} has no field {unknown[0]!r}; it has: {', '.join(known)}")
        return self

    def source_of(self, path: str) -> str | None:
        """The name of the first source that holds a file, None where none does."""
        return next((name for name, source in self.sources.items() if source.holds(path)), None)

    def fields(self) -> tuple[str, ...]:
        """Every field of a row that is asked for, each once."""
        return tuple(dict.fromkeys((self.text, *self.columns.values(), *self.keep)))
