"""datatrove's filters by name: each is a group of one signal that says what the filter says of a document.

The filters are the library's own. Those that need words get them from our segmenter, unless the recipe asks for
datatrove's own (spaCy with Sudachi for Japanese, which must be installed then).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa

from filters.segmenters import Segmenter
from filters.signal import Signal
from filters.text_buffers import code_points

KEPT = "kept"
# What a filter raises on texts that it was not made for, as on one without words.
_FILTER_ERRORS = (ArithmeticError, LookupError, ValueError, AssertionError)


class DatatroveFilter:
    """The group of one filter: "kept", else the reason that the filter gives, "dropped" where it gives none.

    A text at which the filter fails is not lost: the signal is then "error" with the name of the exception.
    """

    columns = ("text", "url")
    memory_bytes = 500_000_000

    def __init__(self, name: str, filter_class: str, options: Mapping[str, Any], segmenter: Segmenter | None) -> None:
        self.filter_class = filter_class
        self.options = dict(options)
        self.segmenter = segmenter
        self.signals = (
            Signal(
                f"datatrove_{name}",
                pa.string(),
                "datatrove",
                f'what datatrove\'s {filter_class} says: "{KEPT}" or its reason',
                f"datatrove, {filter_class}",
            ),
        )
        self._filter: Any = None

    def check(self) -> None:
        """Raise ValueError for a filter that datatrove does not have, or options that it does not take."""
        self._make()

    def fingerprint(self) -> dict[str, Any]:
        """datatrove's version, the filter with its options, and the segmenter."""
        return {
            "datatrove": version("datatrove"),
            "filter": self.filter_class,
            "options": self.options,
            "words": self.segmenter.fingerprint() if self.segmenter else "datatrove",
        }

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """The signal of each document."""
        if self._filter is None:
            self._filter = self._make()
        texts = documents.column("text").fill_null("").to_pylist()
        urls = documents.column("url").to_pylist()
        verdicts = [self._verdict(text, url) for text, url in zip(texts, urls, strict=True)]
        return pa.RecordBatch.from_arrays([pa.array(verdicts, pa.string())], names=[self.signals[0].name])

    def _verdict(self, text: str, url: str | None) -> str:
        from datatrove.data import Document

        try:
            found = self._filter.filter(Document(text=text, id="", metadata={"url": url or ""}))
        except _FILTER_ERRORS as error:
            return f"error {type(error).__name__}"
        kept, reason = found if isinstance(found, tuple) else (found, None)
        return KEPT if kept else str(reason or "dropped")

    def _make(self) -> Any:
        from datatrove.pipeline import filters as known
        from datatrove.pipeline.filters.base_filter import BaseFilter

        made = getattr(known, self.filter_class, None)
        if not (inspect.isclass(made) and issubclass(made, BaseFilter)):
            names = sorted(
                name for name, value in vars(known).items() if inspect.isclass(value) and issubclass(value, BaseFilter)
            )
            raise ValueError(f"datatrove has no filter {self.filter_class!r}; it has: {', '.join(names)}")
        options = dict(self.options)
        takes = inspect.signature(made).parameters
        if "language" in takes and "language" not in options:
            options["language"] = _word_tokenizer(self.segmenter) if self.segmenter else "jpn_Jpan"
        try:
            return made(**options)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"datatrove's {self.filter_class} does not take these options ({error}); "
                f"it takes: {', '.join(name for name in takes if name != 'exclusion_writer')}"
            ) from None


def _word_tokenizer(segmenter: Segmenter) -> Any:
    """A segmenter as the word tokenizer that datatrove's filters take in the place of a language."""
    from datatrove.utils.word_tokenizers import WordTokenizer

    class SegmenterTokenizer(WordTokenizer):
        def word_tokenize(self, text: str) -> list[str]:
            begins, ends = self._spans(text)
            return [text[begin:end] for begin, end in zip(begins, ends, strict=True)]

        def span_tokenize(self, text: str) -> list[tuple[int, int]]:
            return list(zip(*self._spans(text), strict=True))

        def sent_tokenize(self, text: str) -> list[str]:
            raise ValueError("a segmenter knows words, not sentences")

        def _spans(self, text: str) -> tuple[list[int], list[int]]:
            codes = code_points(text)
            begins, ends, _ = segmenter.spans([text], codes, np.array([0, len(codes)], dtype=np.int64))
            return begins.tolist(), ends.tolist()

    return SegmenterTokenizer()
