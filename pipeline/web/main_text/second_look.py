"""Second look: features of every block that depend on what the first trees said of the page's other blocks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.main_text.anchors import ANCHORS, common_with, smallest_with, steps_between
from pipeline.web.main_text.blocks import LETTERS, OWNER
from pipeline.web.main_text.feature_names import LEVELS, SCALE
from pipeline.web.main_text.surroundings import OWN_LINES
from pipeline.web.page.stack import PARENT, TAG

_NEAR = 3
_CORES = (5, 8, 9)
SECOND_FEATURES: tuple[str, ...] = (
    "chance",
    *(f"{side}{step}_chance" for side in ("before", "behind") for step in range(1, _NEAR + 1)),
    *(f"{side}8_chance" for side in ("before", "behind")),
    *(f"level{level}_{name}" for level in range(LEVELS) for name in ("chance", "mass_share")),
    *(f"mass{tenths}0_{name}" for tenths in _CORES for name in ("up", "down", "chance")),
    *["path_chance", "page_chance", "page_mass", "best_before", "best_behind", "mass_before", "mass_behind", "rank"],
)
SECOND_COUNT = len(SECOND_FEATURES)
# Sums over subtrees: letters, and letters times chance.
_S_LETTERS, _S_MASS = 0, 1


@njit(cache=True, nogil=True)
def build_second(
    elements: npt.NDArray[np.int32],
    paths: npt.NDArray[np.uint64],
    blocks: npt.NDArray[np.int32],
    chances: npt.NDArray[np.int32],
    out: npt.NDArray[np.int32],
) -> None:
    """Fill out (SECOND_COUNT, n) from the chances (n,) that the first trees gave each of blocks (n, BLOCK_COLUMNS)."""
    count = blocks.shape[0]
    element_count = elements.shape[0]
    if count == 0:
        return
    sums = np.zeros((element_count + 1, 2), dtype=np.int64)
    for row in range(count):
        owner = blocks[row, OWNER]
        if owner < 0:
            owner = element_count
        sums[owner, _S_LETTERS] += blocks[row, LETTERS]
        sums[owner, _S_MASS] += np.int64(blocks[row, LETTERS]) * chances[row]
    for index in range(element_count - 1, -1, -1):
        parent = elements[index, PARENT]
        if parent < 0:
            parent = element_count
        sums[parent, 0] += sums[index, 0]
        sums[parent, 1] += sums[index, 1]
    page_mass = max(sums[element_count, _S_MASS], 1)
    page_letters = max(sums[element_count, _S_LETTERS], 1)
    anchors = np.empty(3, dtype=np.int64)
    for core in range(3):
        anchors[core] = smallest_with(sums, _S_MASS, _S_LETTERS, _CORES[core], page_mass)
    common = np.empty((element_count + 1, ANCHORS), dtype=np.int32)
    common_with(elements, anchors, common)
    slots = 8
    while slots < 2 * count:
        slots *= 2
    table = np.full(slots, -1, dtype=np.int32)
    group_path = np.empty(count, dtype=np.uint64)
    group_sums = np.zeros((count, 2), dtype=np.int64)
    group = np.empty(count, dtype=np.int32)
    groups = 0
    for row in range(count):
        owner = blocks[row, OWNER]
        path = paths[owner] if owner >= 0 else np.uint64(1)
        slot = np.int64(path >> np.uint64(17)) & (slots - 1)
        while table[slot] >= 0 and group_path[table[slot]] != path:
            slot = (slot + 1) & (slots - 1)
        if table[slot] < 0:
            table[slot] = groups
            group_path[groups] = path
            groups += 1
        group[row] = table[slot]
        group_sums[group[row], _S_LETTERS] += blocks[row, LETTERS]
        group_sums[group[row], _S_MASS] += np.int64(blocks[row, LETTERS]) * chances[row]
    running = np.int64(0)
    best = 0
    for row in range(count):
        letters = np.int64(blocks[row, LETTERS])
        out[0, row] = chances[row]
        feature = 1
        for side in (-1, 1):
            for step in range(1, _NEAR + 1):
                other = row + side * step
                out[feature, row] = chances[other] if 0 <= other < count else -1
                feature += 1
        for side in (-1, 1):
            mass, window = np.int64(0), np.int64(0)
            for step in range(1, 9):
                other = row + side * step
                if 0 <= other < count:
                    window += blocks[other, LETTERS]
                    mass += np.int64(blocks[other, LETTERS]) * chances[other]
            out[feature, row] = mass // window if window > 0 else -1
            feature += 1
        ancestor = blocks[row, OWNER]
        for _ in range(LEVELS):
            here = ancestor if ancestor >= 0 else element_count
            out[feature, row] = sums[here, _S_MASS] // max(sums[here, _S_LETTERS], 1)
            out[feature + 1, row] = sums[here, _S_MASS] * SCALE // page_mass
            feature += 2
            while ancestor >= 0:
                ancestor = elements[ancestor, PARENT]
                if (
                    ancestor >= 0
                    and OWN_LINES[elements[ancestor, TAG]]
                    and sums[ancestor, _S_LETTERS] > sums[here, _S_LETTERS]
                ):
                    break
        here = blocks[row, OWNER] if blocks[row, OWNER] >= 0 else element_count
        for core in range(3):
            shared = common[here, core]
            out[feature, row] = steps_between(elements, here, shared)
            out[feature + 1, row] = steps_between(elements, anchors[core], shared)
            out[feature + 2, row] = sums[shared, _S_MASS] // max(sums[shared, _S_LETTERS], 1)
            feature += 3
        out[feature, row] = group_sums[group[row], _S_MASS] // max(group_sums[group[row], _S_LETTERS], 1)
        out[feature + 1, row] = sums[element_count, _S_MASS] // page_letters
        out[feature + 2, row] = min(sums[element_count, _S_MASS] // 1024, 1 << 30)
        out[feature + 3, row] = best
        best = max(best, chances[row])
        out[feature + 5, row] = running * SCALE // page_mass
        running += letters * chances[row]
        out[feature + 6, row] = (page_mass - running) * SCALE // page_mass
        feature += 7
    best = 0
    for row in range(count - 1, -1, -1):
        out[SECOND_COUNT - 4, row] = best
        best = max(best, chances[row])
    # How much of the page's letters has a greater chance.
    letters_at = np.zeros(1025, dtype=np.int64)
    for row in range(count):
        letters_at[chances[row]] += blocks[row, LETTERS]
    above = np.zeros(1025, dtype=np.int64)
    for chance in range(1023, -1, -1):
        above[chance] = above[chance + 1] + letters_at[chance + 1]
    for row in range(count):
        out[SECOND_COUNT - 1, row] = above[chances[row]] * SCALE // page_letters
