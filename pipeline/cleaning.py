"""Cleaning as edits of the corpus: footers, punctuation and empty lines, as a recipe asks for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from filters.clean import Change, empty_lines, footer, punctuation
from pipeline.edits import Edit, Editor
from pipeline.select_settings import Clean


@dataclass(frozen=True)
class Cleaner:
    """Makes one kind of change to every text that needs it."""

    kind: str
    changes: Callable[[str], list[Change]]

    def edit(self, texts: pa.Array) -> dict[int, list[Edit]]:
        """As `pipeline.edits.Editor` says."""
        found = {}
        for row, text in enumerate(texts.to_pylist()):
            if changes := self.changes(text):
                found[row] = [Edit(self.kind, *change) for change in sorted(changes, reverse=True)]
        return found


def make_cleaners(settings: dict[str, Any]) -> list[Editor]:
    """The cleaners of a recipe's section `select.clean`, in the order in which they work."""
    chosen = Clean(**settings)
    cleaners: list[Editor] = []
    if chosen.footer is not None:
        cleaners.append(Cleaner("footer", partial(footer, lines=chosen.footer.lines, share=chosen.footer.share)))
    if chosen.punctuation:
        cleaners.append(Cleaner("punctuation", punctuation))
    if chosen.empty_lines is not None:
        cleaners.append(Cleaner("empty_lines", partial(empty_lines, most=chosen.empty_lines)))
    return cleaners
