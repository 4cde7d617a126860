"""The labelled set: short documents with a label and a kind in readable files, and how well a rule tells them apart."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

# As in llm-jp-corpus's benchmark: acceptable, of low quality, harmful. A rule is right to reject the last two.
LABELS = ("good", "bad", "harmful")
HALVES = ("tuning", "held-out")
# The line before a document: its id, unique over all files, and its label.
_HEADER = re.compile(r"=== ([a-z][a-z0-9-]*) (\w+)")


@dataclass(frozen=True)
class Labelled:
    """A document: `kind` is its file's name without the suffix, `label` one of LABELS, `half` one of HALVES."""

    id: str
    kind: str
    label: str
    text: str

    @property
    def half(self) -> str:
        """The half that a document belongs to, by its id alone: rules may be tuned on one and never on the other."""
        return HALVES[hashlib.sha256(self.id.encode()).digest()[0] % 2]

    @property
    def should_fall(self) -> bool:
        """Whether a rule is right to reject it."""
        return self.label != "good"


@dataclass(frozen=True)
class Score:
    """How a rule judged labelled documents: how many it rejected, how many of these rightly, how many should fall.

    `precision` is None for a rule that rejected nothing, `recall` where nothing should fall.
    """

    rejected: int
    rightly: int
    should_fall: int

    @property
    def precision(self) -> float | None:
        """The share of the rejected that should fall."""
        return self.rightly / self.rejected if self.rejected else None

    @property
    def recall(self) -> float | None:
        """The share of what should fall that was rejected."""
        return self.rightly / self.should_fall if self.should_fall else None


def score(rejected: npt.NDArray[np.bool_], should_fall: npt.NDArray[np.bool_]) -> Score:
    """Count a rule's verdicts against the labels, a row a document."""
    return Score(int(rejected.sum()), int((rejected & should_fall).sum()), int(should_fall.sum()))


def read_labelled(folder: Path) -> list[Labelled]:
    """All documents of the files KIND.txt of a folder, by file and place.

    A document begins with a line `=== ID LABEL` and ends before the next one; blank lines at its end are no part of it.
    Raises ValueError naming the file for a text before the first header, a wrong header or an id that stands twice.
    """
    found: dict[str, Labelled] = {}
    for path in sorted(folder.glob("*.txt")):
        head, *records = re.split(r"^(?==== )", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        if head.strip():
            raise ValueError(f"{path}: begins with {head.strip()[:20]!r}: write a line `=== ID LABEL` before each text")
        for record in records:
            header, _, text = record.partition("\n")
            match = _HEADER.fullmatch(header)
            if match is None or match[2] not in LABELS:
                raise ValueError(f"{path}: {header!r} is no header: write === ID and one of {', '.join(LABELS)}")
            if match[1] in found:
                raise ValueError(f"{path}: the id {match[1]} stands twice: give each document one of its own")
            found[match[1]] = Labelled(match[1], path.stem, match[2], text.strip("\n"))
    return list(found.values())
