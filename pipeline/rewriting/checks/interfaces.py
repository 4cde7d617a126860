"""Interfaces: what became of the public functions and classes of a program in its rewrite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.rewriting.code import Definition

# A function of another name is the old one renamed if its structure is at least so alike; own choice.
_ALIKE = 0.5
# Pairs of old and new definitions that are compared: more are not told apart, and what is missing is dropped.
_MOST_PAIRS = 10_000


@dataclass(frozen=True)
class Comparison:
    """Old names with new ones, old ones that are gone, those that take other arguments, and new ones."""

    renamed: dict[str, str]
    dropped: list[str]
    arity_changed: list[str]
    added: list[str]


def compare(before: Sequence[Definition], after: Sequence[Definition]) -> Comparison:
    """Find each old definition in the rewrite: by its name, else as renamed by what it is and how it is built.

    A method belongs to its class under the class's new name. Arguments changed where a call that was right is none.
    """
    old = {each.name: each for each in before}
    new = {each.name: each for each in after}
    renamed: dict[str, str] = {}
    for depth in range(1, max((name.count(".") for name in old), default=0) + 2):
        layer = [name for name in old if name.count(".") + 1 == depth and _expected(name, renamed) not in new]
        layer = [name for name in layer if name not in renamed]
        free = [name for name in new if name.count(".") + 1 == depth and name not in old]
        renamed |= _match(layer, free, old, new, renamed)
    places = {name: renamed.get(name, _expected(name, renamed)) for name in old}
    found = {name: new[place] for name, place in places.items() if place in new}
    used = {each.name for each in found.values()}
    return Comparison(
        {name: each.name for name, each in found.items() if _own(name) != _own(each.name)},
        [name for name in old if name not in found],
        [f"{name}({each.parameters})" for name, each in found.items() if not _takes_all(old[name], each)],
        [name for name in new if name not in used],
    )


def _own(name: str) -> str:
    return name.rpartition(".")[2]


def _expected(name: str, renamed: dict[str, str]) -> str:
    """The name that a definition has if it kept its own, within classes that may have another."""
    owner, dot, own = name.rpartition(".")
    return f"{renamed.get(owner, _expected(owner, renamed) if owner else '')}{dot}{own}"


def _match(
    layer: list[str], free: list[str], old: dict[str, Definition], new: dict[str, Definition], renamed: dict[str, str]
) -> dict[str, str]:
    """Pairs of old and new names of one depth, the most alike first, each used once."""
    if len(layer) * len(free) > _MOST_PAIRS:
        return {}
    pairs = []
    for name in layer:
        owner = _expected(name, renamed).rpartition(".")[0]
        for other in free:
            if other.rpartition(".")[0] == owner and _same_kind(old[name], new[other]):
                alike = _alike(old[name].shape, new[other].shape)
                if alike >= _ALIKE:
                    pairs.append((-alike, layer.index(name), free.index(other)))
    matched: dict[str, str] = {}
    for _, first, second in sorted(pairs):
        if layer[first] not in matched and free[second] not in matched.values():
            matched[layer[first]] = free[second]
    return matched


def _same_kind(before: Definition, after: Definition) -> bool:
    return (before.kind == "class") == (after.kind == "class") and _takes_all(before, after)


def _alike(before: str, after: str) -> float:
    """Dice's coefficient of the kinds of nodes of two bodies, with their counts."""
    first, second = Counter(before.split()), Counter(after.split())
    total = first.total() + second.total()
    return 2 * (first & second).total() / total if total else 1.0


def _takes_all(before: Definition, after: Definition) -> bool:
    """Whether every number of positional arguments that was right still is."""
    most = before.most if before.most >= 0 else 10**9
    return after.least <= before.least and (after.most < 0 or after.most >= most)
