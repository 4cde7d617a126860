"""Folds: pages parted so that no page is scored by a model that saw a page of its site, package, theme or frame."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from training.pages import LabelledPage

FOLDS = 5
# Pages of the benchmark are trained on and not scored: their gold is their package's own.
UNSCORED = frozenset({"framed"})


def _components(pages: Sequence[LabelledPage]) -> dict[str, str]:
    """For each group, the first name of the groups that pages tie together with it."""
    parent: dict[str, str] = {}

    def root(group: str) -> str:
        parent.setdefault(group, group)
        while parent[group] != group:
            group = parent[group]
        return group

    for page in pages:
        first, *others = sorted(page.groups)
        root(first)
        for other in others:
            one, two = sorted((root(first), root(other)))
            parent[two] = one
    return {group: root(group) for group in list(parent)}


def split(pages: Sequence[LabelledPage], folds: int = FOLDS) -> list[tuple[list[int], list[int]]]:
    """(training, scored) indices of pages for each fold; each page that is scored is so once.

    A fold's training pages share no group with its scored ones. The parting depends on the groups' names alone.
    """
    components = _components([page for page in pages if page.set not in UNSCORED])

    def fold_of(page: LabelledPage) -> int:
        name = components[min(page.groups)]
        return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") % folds

    parts = []
    for fold in range(folds):
        scored = [
            index for index, page in enumerate(pages) if page.set not in UNSCORED and fold_of(page) == fold
        ]
        held_out = frozenset(group for index in scored for group in pages[index].groups)
        training = [index for index, page in enumerate(pages) if not page.groups & held_out]
        parts.append((training, scored))
    return parts
