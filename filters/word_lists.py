"""The group of one word list: how often and in how many kinds its words stand in a text, inside others or alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from filters.assets import Asset
from filters.ng_words import NgWordMatcher, read_word_list
from filters.signal import Signal
from filters.text_buffers import code_point_blocks

RULE_VERSION = 1

_OWN = "own; Uzushio counts kinds (WordTypes, WordInstances), HojiChar's and llm-jp's filters count hits"
# Behind the list's name: what is counted, and its column in `NgWordMatcher.count`.
_COUNTED = (
    ("hits", "times that a word of the list stands in the text, longest words first, also inside other words", 4),
    ("types", "words of the list that stand in the text, also inside other words", 1),
    ("bounded_hits", "times that a word of the list stands alone in its script", 5),
    ("bounded_types", "words of the list that stand alone in their script", 3),
)


class WordListSignals:
    """The group over the words of one or more files."""

    columns = ("text",)
    memory_bytes = 200_000_000

    def __init__(self, name: str, files: tuple[Asset, ...]) -> None:
        self._files = files
        self._matcher: NgWordMatcher | None = None
        self.signals = tuple(
            Signal(f"words_{name}_{what}", pa.int32(), "word_lists", text, _OWN) for what, text, _ in _COUNTED
        )

    def fingerprint(self) -> dict[str, Any]:
        """The contents of the files."""
        return {"rule_version": RULE_VERSION, "files": [file.digest for file in self._files]}

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """The signals of each text."""
        if self._matcher is None:
            self._matcher = NgWordMatcher(word for file in self._files for word in read_word_list(file.checked()))
        blocks = code_point_blocks(documents.column("text"))
        counts = np.concatenate([np.zeros((0, 6), np.int64), *(self._matcher.count(*block) for block in blocks)])
        columns = [pa.array(counts[:, column]).cast(pa.int32()) for _, _, column in _COUNTED]
        return pa.RecordBatch.from_arrays(columns, names=[signal.name for signal in self.signals])
