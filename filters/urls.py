"""The group of what a URL alone says."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from filters.signal import Signal
from filters.url_lists import wire_host

RULE_VERSION = 1


class UrlSignals:
    """The group over a document's URL."""

    columns = ("url",)
    memory_bytes = 100_000_000
    signals = (
        Signal(
            "top_level_domain",
            pa.string(),
            "urls",
            "what stands behind the last dot of the host, as it goes over the wire; empty without a host of letters",
            "llm-jp-corpus v1 at 9815fc5, scripts/filters.py",
        ),
    )

    def fingerprint(self) -> dict[str, Any]:
        """The rule's version."""
        return {"rule_version": RULE_VERSION}

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """The signal of each document."""
        hosts = (wire_host(url or "") for url in documents.column("url").to_pylist())
        last = [host.rpartition(".")[2] for host in hosts]
        return pa.RecordBatch.from_arrays(
            [pa.array([name if not name.isdigit() and ":" not in name else "" for name in last], pa.string())],
            names=["top_level_domain"],
        )
