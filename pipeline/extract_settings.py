"""The recipe's section `extract`: how pages become documents."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pipeline.section import Positive, PositiveInt, Section, Share


class ExtractLimits(Section):
    """What one page may cost. The first two hold for every extractor, the others for trafilatura's sandbox.

    Time is the last resort; the others decide the same on every machine.
    """

    body_bytes: PositiveInt = Field(8_000_000, description="largest decoded response body that is read, bytes")
    elements: PositiveInt = Field(100_000, description="most start tags in a page")
    cpu_seconds: Positive = Field(10.0, description="CPU time of trafilatura for one page, seconds")
    memory_bytes: PositiveInt = Field(1_500_000_000, description="growth of the sandbox's address space, bytes")
    wall_seconds: Positive = Field(120.0, description="backstop when a parser sleeps, seconds")


class Language(Section):
    """Which extracted texts count as Japanese."""

    min_score: Share = Field(0.5, description="least probability that lid.176 gives to ja")
    kana_ratio: Share = Field(
        0.07, description="a text with at least this share of kana among its letters is Japanese whatever lid.176 says"
    )


# Of extract, what trafilatura cannot do.
KEYS_OF_KAMISUKI = ("tables", "ruby", "headline", "visible_japanese_letters")


class Extract(Section):
    """From WARC records to documents."""

    extractor: Literal["kamisuki", "trafilatura"] = "kamisuki"
    tables: Literal["rows", "markdown", "dropped"] = Field("rows", description="a line a row with tabs, or Markdown")
    ruby: Literal["dropped", "parentheses"] = Field("dropped", description="readings left out, or behind in （ ）")
    headline: Literal["kept", "dropped"] = Field("kept", description="the headline where the text begins with it")
    truncated: Literal["kept", "dropped"] = Field("kept", description="pages that the crawler cut (WARC-Truncated)")
    visible_japanese_letters: PositiveInt | None = Field(
        None, description="pages with fewer Japanese letters in all of their text are dropped before it is judged"
    )
    limits: ExtractLimits = ExtractLimits()
    language: Language = Language()
    rejects_kept: Share = Field(1.0, description="share of rejected pages whose row is kept, chosen by id")

    @model_validator(mode="after")
    def _check(self) -> Extract:
        ours = [key for key in KEYS_OF_KAMISUKI if getattr(self, key) != type(self).model_fields[key].default]
        if ours and self.extractor == "trafilatura":
            raise ValueError(
                f"trafilatura cannot do {', '.join(ours)}: leave {'it' if len(ours) == 1 else 'them'} out, "
                "or set extractor to kamisuki"
            )
        return self
