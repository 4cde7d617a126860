"""The annotate section of a recipe: what is measured about a document, and with which words, lists and models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from filters.groups import PLAIN
from filters.words import STOP_WORDS
from pipeline.section import TAG, Name, Section
from pipeline.signal_tables import TEXT_TABLE, GroupSettings, ReadAsset, unread


class Words(Section):
    """How texts are cut into words, where a rule needs words; `script_` signals are over runs of one script always."""

    dictionary: Literal["ipadic", "unidic-lite"] = Field("ipadic", description="MeCab's dictionary, from its wheel")
    vaporetto: str | None = Field(None, description="a model of Vaporetto, which then cuts the words and not MeCab")
    stop_words: tuple[str, ...] = Field(STOP_WORDS, description="words of which `stop_word_types` counts")


class DatatroveModel(Section):
    """A filter of datatrove by its class's name, with its own options; its verdict is the signal `datatrove_NAME`."""

    filter: str
    options: dict[str, Any] = Field({}, description="as the filter's class takes them")
    words: Literal["ours", "datatrove"] = Field("ours", description="whose words the filter sees")


class FastTextSettings(Section):
    """A fastText classifier; what it says is the signal `model_NAME`."""

    kind: Literal["fasttext"] = "fasttext"
    file: str = Field(description="its path, `asset:NAME` or `wheel:PACKAGE/PATH`")
    measure: Literal["probability", "expectation", "label"] = "probability"
    label: str | None = Field(None, description="of which label the probability counts")

    @field_validator("label")
    @classmethod
    def _plain(cls, label: str | None) -> str | None:
        return label.removeprefix("__label__") if label else label

    @model_validator(mode="after")
    def _check(self) -> FastTextSettings:
        if self.measure == "probability" and self.label is None:
            raise ValueError("needs a label, of which the probability is measured, or another measure")
        if self.measure != "probability" and self.label is not None:
            raise ValueError(f"has a label, which {self.measure} does not need: leave it out, or measure probability")
        return self


class KenlmSettings(Section):
    """A KenLM language model; the perplexity of a text is the signal `model_NAME`."""

    kind: Literal["kenlm"]
    file: str = Field(description="its path, `asset:NAME` or `wheel:PACKAGE/PATH`")
    tokens: Literal["words", "characters"] = Field("words", description="what the model was trained on")


def _kind_of(settings: Any) -> str:
    given = settings.get("kind", "fasttext") if isinstance(settings, dict) else getattr(settings, "kind", "fasttext")
    return f"{TAG}{given}"


Model = Annotated[
    Annotated[KenlmSettings, Tag(f"{TAG}kenlm")] | Annotated[FastTextSettings, Tag(f"{TAG}fasttext")],
    Discriminator(_kind_of),
]


class Annotate(Section):
    """What is measured about a text."""

    words: Words = Words()
    datatrove: dict[Name, DatatroveModel] = Field({}, description="filters of datatrove by a name of one's own")
    ng_words: tuple[str, ...] = Field((), description="word lists, one word a line")
    word_lists: dict[Name, tuple[str, ...]] = Field({}, description="word lists by a name of one's own")
    url_lists: dict[Name, str] = Field({}, description="lists of hosts by a name of one's own")
    models: dict[Name, Model] = Field({}, description="models by a name of one's own")
    tokens: dict[Name, str] = Field({}, description="tokenizer files by a name of one's own")
    languages: str = Field("asset:lid.176", description="the fastText model that tells the languages of lines")

    def token_signals(self) -> list[str]:
        """The signals of the tokenizers that are named: they are counted in any case, for the funnel."""
        return [f"tokens_{name}" for name in self.tokens]

    def groups(self, asset: ReadAsset = unread, tables: Sequence[str] | None = None) -> dict[str, GroupSettings]:
        """By table, the groups of signals that there are, or those of `tables`.

        `asset` looks at files; without it only names are known. Raises what `asset` raises.
        """
        return {table: make(asset) for table, make in self._makers().items() if tables is None or table in tables}

    def _makers(self) -> dict[str, Callable[[ReadAsset], GroupSettings]]:
        words = {"stop_words": list(self.words.stop_words)}
        segmented = self._segmented
        script = {"segmenter": "script", "prefix": "script_"}
        makers: dict[str, Callable[[ReadAsset], GroupSettings]] = {
            TEXT_TABLE: lambda asset: GroupSettings(
                "text", {"ng_words": [asset(path).as_record() for path in self.ng_words]}
            ),
            **{f"{TEXT_TABLE}_{kind}": partial(_plain, kind) for kind in PLAIN},
            "signals_words": lambda asset: GroupSettings("words", words | segmented(asset) | {"prefix": ""}),
            "signals_script_words": lambda asset: GroupSettings("script_words", words | script),
            "signals_languages": lambda asset: GroupSettings("languages", {"model": asset(self.languages).as_record()}),
        }
        for name, files in self.word_lists.items():
            makers[f"signals_words_{name}"] = partial(_word_list, name, files)
        for name, path in self.url_lists.items():
            makers[f"signals_url_list_{name}"] = partial(_url_list, name, path)
        for name, path in self.tokens.items():
            makers[f"signals_tokens_{name}"] = partial(_tokens, name, path)
        for name, model in self.models.items():
            makers[f"signals_model_{name}"] = partial(_model, name, model, segmented)
        for name, chosen in self.datatrove.items():
            makers[f"signals_datatrove_{name}"] = partial(_datatrove, name, chosen, segmented)
        return makers

    def _segmented(self, asset: ReadAsset) -> dict[str, Any]:
        """What cuts words where a rule or a model needs some."""
        if self.words.vaporetto is not None:
            return {"segmenter": "vaporetto", "model": asset(self.words.vaporetto).as_record()}
        return {"segmenter": "mecab", "dictionary": self.words.dictionary}


def _plain(kind: str, asset: ReadAsset) -> GroupSettings:
    return GroupSettings(kind, {})


Segmented = Callable[[ReadAsset], dict[str, Any]]


def _word_list(name: str, files: tuple[str, ...], asset: ReadAsset) -> GroupSettings:
    return GroupSettings("word_list", {"name": name, "files": [asset(file).as_record() for file in files]})


def _url_list(name: str, path: str, asset: ReadAsset) -> GroupSettings:
    return GroupSettings("url_list", {"name": name, "list": asset(path).as_record()})


def _tokens(name: str, path: str, asset: ReadAsset) -> GroupSettings:
    return GroupSettings("tokens", {"name": name, "tokenizer": asset(path).as_record()})


def _model(name: str, model: FastTextSettings | KenlmSettings, segmented: Segmented, asset: ReadAsset) -> GroupSettings:
    settings: dict[str, Any] = {"name": name, "model": asset(model.file).as_record()}
    if isinstance(model, KenlmSettings):
        return GroupSettings("kenlm", settings | {"words": segmented(asset) if model.tokens == "words" else None})
    return GroupSettings("fasttext", settings | {"measure": model.measure, "label": model.label})


def _datatrove(name: str, chosen: DatatroveModel, segmented: Segmented, asset: ReadAsset) -> GroupSettings:
    words = segmented(asset) if chosen.words == "ours" else None
    settings = {"name": name, "filter": chosen.filter, "options": chosen.options, "words": words}
    return GroupSettings("datatrove", settings)
