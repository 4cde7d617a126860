"""Chances: what the cross-validation said of every block, in a file on which other ways to choose can be tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

_OF_PAGE = ("id", "set", "site", "page_type", "fold")
_OF_BLOCK = ("labels", "letters", "first", "second")


@dataclass(frozen=True, slots=True, eq=False)
class PageChances:
    """A scored page's blocks: labels (n,) from 0 to 1, letters (n,), and the chances (n,), from 0 to CHANCE, that the
    first seed's trees and the second look of models which had not seen the page's groups gave them. `fold` is the one
    that the page was held out with; `page_type` is empty where nobody named it.
    """

    id: str
    set: str
    site: str
    page_type: str
    fold: int
    labels: npt.NDArray[np.float32]
    letters: npt.NDArray[np.int32]
    first: npt.NDArray[np.int32]
    second: npt.NDArray[np.int32]


def write_chances(path: Path, pages: Sequence[PageChances]) -> None:
    """Write pages to an .npz file: an array a field, those of blocks end to end, and `blocks`, how many a page has."""
    arrays = {name: np.array([getattr(page, name) for page in pages]) for name in _OF_PAGE}
    arrays |= {name: np.concatenate([getattr(page, name) for page in pages]) for name in _OF_BLOCK}
    arrays["blocks"] = np.array([len(page.letters) for page in pages])
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, allow_pickle=False, **arrays)


def read_chances(path: Path) -> list[PageChances]:
    """The pages of a file that `write_chances` wrote."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    ends = np.cumsum(arrays["blocks"])
    of_block = zip(*(np.split(arrays[name], ends[:-1]) for name in _OF_BLOCK))
    of_page = zip(*(arrays[name].tolist() for name in _OF_PAGE))
    return [PageChances(*page, *blocks) for page, blocks in zip(of_page, of_block)]


def letter_f1(page: PageChances, kept: npt.NDArray[np.bool_]) -> float:
    """F1 of a choice of a page's blocks by letters: twice those that are right over those kept and those of the gold
    that stand in blocks. 1 where nothing is kept and there is nothing.
    """
    letters = page.letters.astype(np.float64)
    right = letters * page.labels
    whole = letters[kept].sum() + right.sum()
    return float(2 * right[kept].sum() / whole) if whole else 1.0
