"""Lines and paragraphs that stand in many documents: how they are counted, and how they are cut from a text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dedup.minhash import content_hashes
from dedup.normalise import normalize_array

# What lies between two units.
SEPARATORS = {"line": "\n", "paragraph": "\n\n+"}
DOCUMENT = "document"
UNITS = (*SEPARATORS, DOCUMENT)


@dataclass(frozen=True, eq=False)
class Units:
    """The units of some texts: text i owns those from offsets[i] to offsets[i + 1] (int64 [texts + 1]).

    hashes: uint64, of the normalised unit. letters: int64, its code points without white space; 0 for empty ones.
    """

    hashes: np.ndarray
    letters: np.ndarray
    offsets: np.ndarray

    def texts(self) -> np.ndarray:
        """For each unit the number of its text."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


def units(texts: pa.Array, unit: str) -> Units:
    """The lines, paragraphs or whole documents of texts, compared as texts are: NFKC, without white space."""
    parts, offsets = split(texts, unit)
    normalised = normalize_array(parts)
    return Units(content_hashes(normalised), pc.utf8_length(normalised).to_numpy(), offsets)


def split(texts: pa.Array, unit: str) -> tuple[pa.Array, np.ndarray]:
    """Return (units string, offsets int64 [texts + 1]) of texts, null counting as empty."""
    texts = texts.fill_null("")
    if unit == DOCUMENT:
        return texts, np.arange(len(texts) + 1)
    lists = pc.split_pattern_regex(texts, SEPARATORS[unit])
    offsets = lists.offsets.to_numpy().astype(np.int64)
    return lists.flatten(), offsets - offsets[0]


def documents_of(found: Units, least_letters: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (hashes uint64, documents int64): in how many of the texts each unit of so many letters or more stands."""
    counted = found.letters >= max(1, least_letters)
    hashes, texts = found.hashes[counted], found.texts()[counted]
    order = np.lexsort((texts, hashes))
    hashes, texts = hashes[order], texts[order]
    first = np.ones(len(hashes), np.bool_)
    first[1:] = (hashes[1:] != hashes[:-1]) | (texts[1:] != texts[:-1])
    distinct, documents = np.unique(hashes[first], return_counts=True)
    return distinct, documents


def occurrences_of(found: Units, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (hashes uint64, occurrences int64, letters int64, first int64) of the distinct units that have letters.

    weights: int64, how often each text counts. first: the place among `found`'s units where each stands first.
    """
    places = np.flatnonzero(found.letters > 0)
    hashes, first, where = np.unique(found.hashes[places], return_index=True, return_inverse=True)
    occurrences = np.zeros(len(hashes), np.int64)
    np.add.at(occurrences, where, weights[found.texts()[places]])
    return hashes, occurrences, found.letters[places][first], places[first]


def in_runs(frequent: np.ndarray, offsets: np.ndarray, least: int) -> np.ndarray:
    """Of the units that are frequent (bool), those in a row of at least `least` of them within one text."""
    texts = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    opens = np.ones(len(frequent), np.bool_)
    opens[1:] = (frequent[1:] != frequent[:-1]) | (texts[1:] != texts[:-1])
    starts = np.flatnonzero(opens)
    lengths = np.diff(np.append(starts, len(frequent)))
    return np.repeat(frequent[starts] & (lengths >= least), lengths)


def runs_of(text: str, unit: str, gone: Sequence[bool]) -> list[tuple[int, int, int, int]]:
    """For each run of units that go (start, end, first unit, one past the last); start and end in code points.

    `gone` has one entry for each unit. What lies between a run and the unit behind it goes too; at the text's end,
    what lies before the run. So what is left has the separators that it had.
    """
    edges = [0]
    for between in re.finditer(SEPARATORS[unit], text):
        edges += between.span()
    edges.append(len(text))
    starts, ends = edges[::2], edges[1::2]
    runs: list[tuple[int, int, int, int]] = []
    first = 0
    while first < len(starts):
        if not gone[first]:
            first += 1
            continue
        last = first
        while last < len(starts) and gone[last]:
            last += 1
        if last < len(starts):
            runs.append((starts[first], starts[last], first, last))
        else:
            runs.append((ends[first - 1] if first else 0, len(text), first, last))
        first = last
    return runs
