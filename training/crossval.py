"""Cross-validation: what models say of pages whose sites they have not seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.web.main_text.choose import choose, leave_out_decoration
from pipeline.web.main_text.extract import told_only
from pipeline.web.main_text.judge import both_looks, chances, headline_of
from pipeline.web.main_text.model import committed_model
from pipeline.web.main_text.trees import Trees
from pipeline.web.main_text.write import written
from pipeline.web.page import read_page
from training.crowded import crowded_copies
from training.examples import Example, make_examples
from training.fit import fit_first, fit_second
from training.folds import FOLDS, UNSCORED, split
from training.pages import LabelledPage
from training.shortened import shortened_copies

# Sets whose gold holds the headline; that of the others leaves it out.
HEADLINE_IN = frozenset({"web", "ja-manuals", "zh", "fixtures", "framed"})


@dataclass(frozen=True, slots=True)
class Held:
    """What models that had not seen a page's groups chose of it: kept (n,), and the expected F1 in thousandths; the
    fold with which it was held out, and the chances (n,) that both looks gave its blocks.
    """

    kept: npt.NDArray[np.uint8]
    expected: int
    fold: int
    first: npt.NDArray[np.int32]
    second: npt.NDArray[np.int32]


def _chances(trees: Trees, examples: Sequence[Example], indices: Sequence[int]) -> dict[int, npt.NDArray[np.int32]]:
    return {index: chances(trees, examples[index].features) for index in indices}


def _choice(example: Example, second: Trees, seen: npt.NDArray[np.int32], fold: int) -> Held:
    kept = np.zeros(len(example.found.blocks), dtype=np.uint8)
    if not len(kept):
        return Held(kept, 0, fold, seen, seen)
    found = chances(second, both_looks(example.found, seen))
    page = example.found
    leave_out_decoration(page.source, page.elements, page.texts, page.blocks, found)
    _, expected = choose(page.blocks, found, kept)
    return Held(kept, expected, fold, seen, found)


def cross_validate(
    examples: Sequence[Example], folds: int = FOLDS, report: Callable[[str], None] = print
) -> tuple[dict[int, Held], Trees, Trees]:
    """By index of every scored example, what a model of the other folds chose; and both looks of a model of all.

    The second look is taught what first trees say of pages that they have not seen: for the model that scores a fold,
    trees that saw neither that fold nor the page's own. Trees without two folds serve the models of both.
    """
    parts = split([example.page for example in examples], folds, with_unscored=True)
    alone: dict[int, npt.NDArray[np.int32]] = {}
    paired: list[dict[int, npt.NDArray[np.int32]]] = [{} for _ in parts]
    for number, (training, held_out) in enumerate(parts):
        report(f"first look without fold {number + 1} of {folds}: {len(training):,} pages")
        alone |= _chances(fit_first(examples, training), examples, held_out)
        for other in range(number):
            others, other_held_out = parts[other]
            trees = fit_first(examples, sorted(set(training) & set(others)))
            paired[number] |= _chances(trees, examples, other_held_out)
            paired[other] |= _chances(trees, examples, held_out)
    held: dict[int, Held] = {}
    for number, (training, held_out) in enumerate(parts):
        report(f"second look without fold {number + 1} of {folds}")
        second = fit_second(examples, training, paired[number])
        for index in held_out:
            if examples[index].page.set not in UNSCORED:
                held[index] = _choice(examples[index], second, alone[index], number)
    everything = range(len(examples))
    return dict(sorted(held.items())), fit_first(examples, everything), fit_second(examples, everything, alone)


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
    held, _, _ = cross_validate([*copied, *crowded_copies(copied)])
    return held_out_texts(examples, held)
