"""The group of languages by line: how much of a text is Japanese, English or something else, told line by line."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa

from filters.assets import Asset
from filters.models import load_fasttext
from filters.signal import Signal

RULE_VERSION = 1
# A shorter line says too little: lid.176 calls names and numbers anything.
LEAST_LETTERS = 20
# Work on a page is bounded: lines beyond these count by what the ones before them said.
MOST_LINES = 200
# A line with this share of kana is Japanese whatever a model says of it, and needs none.
KANA_SHARE = 0.2

_LETTER = re.compile(r"[^\W_]")
_KANA = re.compile("[\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\uff66-\uff9f]")
_LIMIT = 500


class LanguageSignals:
    """The group over lid.176, or another fastText model of languages with ISO 639 labels, as GlotLID's `jpn_Jpan`."""

    columns = ("text",)
    memory_bytes = 300_000_000
    signals = (
        Signal(
            "judged_lines",
            pa.int32(),
            "languages",
            f"lines of {LEAST_LETTERS} letters or more, {MOST_LINES} at most",
            "own",
        ),
        Signal("japanese_line_ratio", pa.float64(), "languages", "letters of judged lines that are in Japanese", "own"),
        Signal("english_line_ratio", pa.float64(), "languages", "letters of judged lines that are in English", "own"),
        Signal("other_line_ratio", pa.float64(), "languages", "letters of judged lines in any other language", "own"),
    )

    def __init__(self, model: Asset) -> None:
        self.model = model
        self._loaded: Any = None

    def fingerprint(self) -> dict[str, Any]:
        """The model's digest."""
        return {"rule_version": RULE_VERSION, "model": self.model.digest}

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """The signals of each text; null where no line is long enough to be judged."""
        if self._loaded is None:
            self._loaded = load_fasttext(str(self.model.checked()))
        rows = [self._shares(text) for text in documents.column("text").fill_null("").to_pylist()]
        columns = [pa.array([row[index] for row in rows], signal.type) for index, signal in enumerate(self.signals)]
        return pa.RecordBatch.from_arrays(columns, names=[signal.name for signal in self.signals])

    def _shares(self, text: str) -> tuple[int, float | None, float | None, float | None]:
        counts = {"ja": 0, "en": 0, "other": 0}
        lines = 0
        for line in text.split("\n"):
            letters = len(_LETTER.findall(line))
            if letters < LEAST_LETTERS:
                continue
            lines += 1
            counts[self._language(line, letters)] += letters
            if lines == MOST_LINES:
                break
        whole = sum(counts.values())
        if not whole:
            return 0, None, None, None
        return lines, counts["ja"] / whole, counts["en"] / whole, counts["other"] / whole

    def _language(self, line: str, letters: int) -> str:
        if len(_KANA.findall(line)) >= KANA_SHARE * letters:
            return "ja"
        line = line[:_LIMIT].replace("\0", " ").replace("\r", " ").encode("utf-8", "replace").decode("utf-8")
        labels, _ = self._loaded.predict(" ".join(line.split()))
        label = labels[0].removeprefix("__label__").partition("_")[0] if labels else "other"
        return {"jpn": "ja", "eng": "en"}.get(label, label if label in ("ja", "en") else "other")
