"""Cross-validation: what models say of pages whose sites they have not seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.web.main_text.choose import SURE, choose
from pipeline.web.main_text.extract import told_only
from pipeline.web.main_text.judge import both_looks, chances, headline_of
from pipeline.web.main_text.model import committed_model
from pipeline.web.main_text.trees import Trees, sums_of
from pipeline.web.main_text.write import written
from pipeline.web.page import read_page
from training.boosting import calmed_chances
from training.crowded import crowded_copies
from training.examples import Example, make_examples
from training.fit import (
    FIRST_SEEDS,
    SECOND_SEEDS,
    SURE_SHARE,
    SURE_SHIFT,
    fit_first,
    fit_second,
    further,
    second,
)
from training.folds import FOLDS, UNSCORED, split
from training.pages import LabelledPage
from training.shortened import shortened_copies

# Sets whose gold holds the headline; that of the others leaves it out.
HEADLINE_IN = frozenset({"web", "ja-manuals", "zh", "fixtures", "framed"})


@dataclass(frozen=True, slots=True)
class Held:
    """What models that had not seen a page's groups chose of it: kept (n,), and the expected F1 in thousandths; the
    fold with which it was held out, and the chances (n,) that the first seed's trees and the second look gave its
    blocks.
    """

    kept: npt.NDArray[np.uint8]
    expected: int
    fold: int
    first: npt.NDArray[np.int32]
    second: npt.NDArray[np.int32]


# Sums of leaves (n,) of a page's blocks by its index.
_Sums = dict[int, npt.NDArray[np.int32]]


def choice_of(
    example: Example,
    quick: npt.NDArray[np.int32],
    seen: npt.NDArray[np.int32],
    trees: Trees,
    fold: int,
) -> Held:
    """What is chosen by chances of the first seed, those of all first trees, and the second look's trees."""
    kept = np.zeros(len(example.found.blocks), dtype=np.uint8)
    if not len(kept):
        return Held(kept, 0, fold, seen, seen)
    found = chances(sums_of(trees, both_looks(example.found, seen)), trees, example.found)
    _, expected = choose(example.found.blocks, quick, kept)
    if expected < SURE:
        _, expected = choose(example.found.blocks, found, kept)
    else:
        choose(example.found.blocks, calmed_chances(SURE_SHARE, SURE_SHIFT)[quick], kept)
    return Held(kept, expected, fold, quick, found)


@dataclass(frozen=True, slots=True)
class _Work:
    """Trees to fit: of one seed, from `training`, the first look's or where chances were `seen` the second's."""

    training: Sequence[int]
    seed: int
    seen: Mapping[int, npt.NDArray[np.int32]] | None = None


# What worker processes find in their copy of this one's memory, gigabytes that need not be sent.
_examples: Sequence[Example] = ()


def _fit(work: _Work) -> Trees:
    if work.seen is None:
        return fit_first(_examples, work.training, work.seed)
    return fit_second(_examples, work.training, work.seen, work.seed)


def _fit_all(examples: Sequence[Example], work: Sequence[_Work], workers: int) -> Iterator[Trees]:
    """Trees of each piece of work, in its order, whoever did it."""
    global _examples
    _examples = examples
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
            yield from pool.map(_fit, work)
    finally:
        _examples = ()


def _add(total: _Sums, sums: _Sums) -> None:
    for index, each in sums.items():
        total[index] = total[index] + each if index in total else each


def _sums(trees: Trees, examples: Sequence[Example], indices: Sequence[int]) -> _Sums:
    return {index: sums_of(trees, examples[index].features) for index in indices}


@dataclass(frozen=True, slots=True)
class CrossValidated:
    """By index of every scored example, what models of the other folds chose; and the trees of a model of all."""

    held: dict[int, Held]
    first: Trees
    further: Trees
    second: Trees


def cross_validate(
    examples: Sequence[Example], folds: int = FOLDS, report: Callable[[str], None] = print, workers: int = 2
) -> CrossValidated:
    """Score by cross-validation, and train.

    The second look is taught what first trees say of pages that they have not seen: for the model that scores a fold,
    trees that saw neither that fold nor the page's own. Trees without two folds serve the models of both.
    """
    parts = split([example.page for example in examples], folds, with_unscored=True)
    everything = range(len(examples))
    pairs = [(number, other) for number in range(folds) for other in range(number + 1)]
    left_out = [sorted(set(parts[number][0]) & set(parts[other][0])) for number, other in pairs]
    of_all = [_Work(everything, seed) for seed in FIRST_SEEDS]
    fitted = _fit_all(examples, [*(_Work(one, seed) for one in left_out for seed in FIRST_SEEDS), *of_all], workers)

    quick: _Sums = {}
    alone: _Sums = {}
    paired: list[_Sums] = [{} for _ in parts]
    for (number, other), training in zip(pairs, left_out):
        without = f"fold {number + 1}" if number == other else f"folds {other + 1} and {number + 1}"
        report(f"first look without {without} of {folds}: {len(training):,} pages")
        for place, trees in zip(range(len(FIRST_SEEDS)), fitted):
            if number == other:
                sums = _sums(trees, examples, parts[number][1])
                quick |= sums if place == 0 else {}
                _add(alone, sums)
            else:
                _add(paired[number], _sums(trees, examples, parts[other][1]))
                _add(paired[other], _sums(trees, examples, parts[number][1]))
    members = list(fitted)
    first, more = members[0], further(members)

    def seen_by(sums: _Sums, trees: Trees) -> dict[int, npt.NDArray[np.int32]]:
        return {index: chances(each, trees, examples[index].found) for index, each in sums.items()}

    seen, seen_quickly = seen_by(alone, more), seen_by(quick, first)
    work = [
        _Work(parts[number][0], seed, of_others)
        for number, of_others in enumerate([seen_by(sums, more) for sums in paired])
        for seed in SECOND_SEEDS
    ]
    fitted = _fit_all(examples, [*work, *(_Work(everything, seed, seen) for seed in SECOND_SEEDS)], workers)
    held: dict[int, Held] = {}
    for number, (_, held_out) in enumerate(parts):
        report(f"second look without fold {number + 1} of {folds}")
        trees = second(list(islice(fitted, len(SECOND_SEEDS))))
        for index in held_out:
            if examples[index].page.set not in UNSCORED:
                held[index] = choice_of(examples[index], seen_quickly[index], seen[index], trees, number)
    return CrossValidated(dict(sorted(held.items())), first, more, second(list(fitted)))


def text_of(example: Example, kept: npt.NDArray[np.uint8], headline: bool = True) -> str:
    """The text that the pipeline would write for a choice of blocks, with the headline or without."""
    kept = kept.copy()
    if not headline and headline_of(example.found) >= 0:
        kept[headline_of(example.found)] = 0
    page = read_page(example.page.html)
    text = written(page, example.found, kept)[0].decode("utf-8", "replace")
    told = told_only(page, text)
    return text if told is None else told


def headline_belongs(page: LabelledPage) -> bool:
    """Whether a page's source counts the headline to the main text; ours does (docs/gold-convention.md)."""
    return page.set in HEADLINE_IN or (page.set == "other" and "wcxb" not in page.id)


def held_out_texts(examples: Sequence[Example], held: dict[int, Held]) -> dict[str, str]:
    """By id of every scored page, its text, with a headline where its source counts that to the text."""
    return {
        examples[index].page.id: text_of(examples[index], choice.kept, headline_belongs(examples[index].page))
        for index, choice in held.items()
    }


def out_of_fold_texts(pages: Sequence[LabelledPage], kept_in: Path | None = None) -> dict[str, str]:
    """By id of every scored page, the text of a model that had not seen its groups.

    `kept_in` is a file that `make train-extractor` wrote: where it is of the committed model and has all the pages,
    its texts are taken, else the models are trained anew.
    """
    if kept_in is not None and kept_in.is_file():
        kept = json.loads(kept_in.read_text(encoding="utf-8"))
        scored = [page.id for page in pages if page.set not in UNSCORED]
        if kept["model"] == committed_model().digest and all(key in kept["texts"] for key in scored):
            return {key: kept["texts"][key] for key in scored}
    examples = make_examples(pages)
    copied = [*examples, *shortened_copies(examples)]
    return held_out_texts(examples, cross_validate([*copied, *crowded_copies(copied)]).held)
