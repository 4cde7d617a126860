"""The registry of groups of signals: by its kind, how each is made from the settings that a recipe gives it.

A new signal is a group: a class with `signals`, `columns`, `memory_bytes`, `fingerprint` and `measure`
(`filters/signal.py`) in a file of its own, and one line in `PLAIN`. Only a group that a recipe has settings for needs
more: a maker in `KINDS`, an example in `EXAMPLES`, and a place in the recipe (`pipeline/signal_settings.py`).
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from filters.signal import Group, Signal


def _text(settings: Mapping[str, Any]) -> Group:
    from filters.assets import Asset
    from filters.signals import TextSignals

    return TextSignals(tuple(Asset.from_record(record) for record in settings["ng_words"]))


def _words(settings: Mapping[str, Any]) -> Group:
    from filters.segmenters import make_segmenter
    from filters.words import WordSignals

    return WordSignals(make_segmenter(settings), settings["stop_words"], settings["prefix"])


def _datatrove(settings: Mapping[str, Any]) -> Group:
    from filters.datatrove_filters import DatatroveFilter
    from filters.segmenters import make_segmenter

    words = make_segmenter(settings["words"]) if settings["words"] else None
    return DatatroveFilter(settings["name"], settings["filter"], settings["options"], words)


def _languages(settings: Mapping[str, Any]) -> Group:
    from filters.assets import Asset
    from filters.languages import LanguageSignals

    return LanguageSignals(Asset.from_record(settings["model"]))


def _word_list(settings: Mapping[str, Any]) -> Group:
    from filters.assets import Asset
    from filters.word_lists import WordListSignals

    return WordListSignals(settings["name"], tuple(Asset.from_record(record) for record in settings["files"]))


def _url_list(settings: Mapping[str, Any]) -> Group:
    from filters.assets import Asset
    from filters.url_lists import UrlList

    return UrlList(settings["name"], Asset.from_record(settings["list"]))


def _fasttext(settings: Mapping[str, Any]) -> Group:
    from filters.assets import Asset
    from filters.models import FastTextModel

    return FastTextModel(settings["name"], Asset.from_record(settings["model"]), settings["measure"], settings["label"])


def _kenlm(settings: Mapping[str, Any]) -> Group:
    from filters.assets import Asset
    from filters.models import KenlmModel
    from filters.segmenters import make_segmenter

    words = make_segmenter(settings["words"]) if settings["words"] else None
    return KenlmModel(settings["name"], Asset.from_record(settings["model"]), words)


def _tokens(settings: Mapping[str, Any]) -> Group:
    from filters.assets import Asset
    from filters.models import Tokens

    return Tokens(settings["name"], Asset.from_record(settings["tokenizer"]))


# Groups without settings, by kind: module and class. Their table is signals_KIND, and any recipe may ask for them.
PLAIN = {
    "lines": "filters.lines:LineSignals",
    "compression": "filters.compression:CompressionSignals",
    "urls": "filters.urls:UrlSignals",
}


def _plain(place: str) -> Callable[[Mapping[str, Any]], Group]:
    def make(settings: Mapping[str, Any]) -> Group:
        module, _, name = place.partition(":")
        group: Group = getattr(importlib.import_module(module), name)()
        return group

    return make


# Modules load when a recipe needs them, so that nobody pays for a dictionary or a model that no rule asks for.
KINDS: dict[str, Callable[[Mapping[str, Any]], Group]] = {
    "text": _text,
    **{kind: _plain(place) for kind, place in PLAIN.items()},
    "words": _words,
    "script_words": _words,
    "datatrove": _datatrove,
    "languages": _languages,
    "url_list": _url_list,
    "word_list": _word_list,
    "fasttext": _fasttext,
    "kenlm": _kenlm,
    "tokens": _tokens,
}

_NO_FILE = {"path": "", "digest": ""}
# The settings of a kind that are enough to know its signals, for documentation and tests.
EXAMPLES: dict[str, dict[str, Any]] = {
    "text": {"ng_words": []},
    **{kind: {} for kind in PLAIN},
    "words": {"segmenter": "mecab", "dictionary": "ipadic", "stop_words": ["の", "に"], "prefix": ""},
    "script_words": {"segmenter": "script", "stop_words": ["の", "に"], "prefix": "script_"},
    "datatrove": {
        "name": "NAME",
        "filter": "FineWebQualityFilter",
        "options": {},
        "words": {"segmenter": "mecab", "dictionary": "ipadic"},
    },
    "languages": {"model": _NO_FILE},
    "url_list": {"name": "NAME", "list": _NO_FILE},
    "word_list": {"name": "NAME", "files": [_NO_FILE]},
    "fasttext": {"name": "NAME", "model": _NO_FILE, "measure": "probability", "label": "LABEL"},
    "kenlm": {"name": "NAME_OF_KENLM", "model": _NO_FILE, "words": None},
    "tokens": {"name": "NAME", "tokenizer": _NO_FILE},
}


def make_group(kind: str, settings: Mapping[str, Any]) -> Group:
    """The group of a kind with JSON settings; the same one for the same settings in a process.

    Raises KeyError for an unknown kind, and what the kind raises for settings that it cannot take.
    """
    return _made(kind, json.dumps(settings, sort_keys=True))


@lru_cache(maxsize=32)
def _made(kind: str, settings: str) -> Group:
    return KINDS[kind](json.loads(settings))


def known_signals() -> dict[str, Signal]:
    """All signals of all kinds that have names of their own, by name."""
    return {signal.name: signal for kind, settings in EXAMPLES.items() for signal in make_group(kind, settings).signals}
