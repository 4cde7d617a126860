"""Folds: pages parted so that no page is scored by a model that saw a page of its site, package, theme or frame."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from training.pages import LabelledPage

FOLDS = 5
# Pages of the benchmark are trained on and not scored: their gold is their package's own.
FRAMED = "framed"
# Nor are copies of pages, which stay with the pages that they are of.
UNSCORED = frozenset({FRAMED, "shortened", "crowded"})


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


def split(
    pages: Sequence[LabelledPage], folds: int = FOLDS, with_unscored: bool = False
) -> list[tuple[list[int], list[int]]]:
    """(training, held out) indices of pages for each fold; each page that is scored is held out once.

    A fold's training pages share no group with held-out ones of scored sets. Pages of unscored sets are held out too
    where asked for, by their package. The parting depends on the groups' names alone.
    """
    components = _components([page for page in pages if page.set != FRAMED])

    def fold_of(page: LabelledPage) -> int:
        name = page.site if page.set == FRAMED else components[min(page.groups)]
        return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") % folds

    parts = []
    for fold in range(folds):
        inside = [index for index, page in enumerate(pages) if fold_of(page) == fold]
        scored = [index for index in inside if pages[index].set not in UNSCORED]
        groups = frozenset(group for index in scored for group in pages[index].groups)
        held_out = inside if with_unscored else scored
        left_out = frozenset(held_out)
        parts.append(
            (
                [index for index, page in enumerate(pages) if index not in left_out and not page.groups & groups],
                held_out,
            )
        )
    return parts
