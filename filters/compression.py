"""The group of compression: how small a text becomes, which tells templates and lists from prose."""

from __future__ import annotations

import zlib
from typing import Any

import pyarrow as pa

from filters.signal import Signal

RULE_VERSION = 1
# llm-jp-corpus v1 (scripts/filters.py at 9815fc5) compresses with zlib at its highest level.
LEVEL = 9


class CompressionSignals:
    """The group of one signal."""

    columns = ("text",)
    memory_bytes = 200_000_000
    signals = (
        Signal(
            "compression_ratio",
            pa.float64(),
            "compression",
            f"bytes of the text's UTF-8 after zlib at level {LEVEL}, over those before; 0.0 of an empty text",
            "llm-jp-corpus v1 at 9815fc5, scripts/filters.py",
        ),
    )

    def fingerprint(self) -> dict[str, Any]:
        """zlib's version decides how small a text becomes."""
        return {"rule_version": RULE_VERSION, "zlib": zlib.ZLIB_RUNTIME_VERSION}

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """The signal of each text."""
        texts = (text.encode("utf-8", "replace") for text in documents.column("text").fill_null("").to_pylist())
        values = [len(zlib.compress(text, LEVEL)) / len(text) if text else 0.0 for text in texts]
        return pa.RecordBatch.from_arrays([pa.array(values, pa.float64())], names=["compression_ratio"])
