"""Cross-validation: what models say of pages whose sites they have not seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.web.main_text.choose import choose
from pipeline.web.main_text.judge import both_looks, chances, headline_of
from pipeline.web.main_text.model import committed_model
from pipeline.web.main_text.write import written
from pipeline.web.page import read_page
from training.examples import Example, make_examples
from training.fit import fit_looks
from training.folds import FOLDS, split
from training.pages import LabelledPage

# Sets whose gold holds the headline; that of the others leaves it out.
HEADLINE_IN = frozenset({"web", "ja-manuals", "zh", "fixtures", "framed"})


@dataclass(frozen=True, slots=True)
class Held:
    """What models that had not seen a page's groups chose of it: kept (n,), and the expected F1 in thousandths."""

    kept: npt.NDArray[np.uint8]
    expected: int


def cross_validate(
    examples: Sequence[Example], folds: int = FOLDS, report: Callable[[str], None] = print
) -> dict[int, Held]:
    """By index of every scored example, what a model of the other folds chose."""
    held: dict[int, Held] = {}
    for number, (training, held_out) in enumerate(split([example.page for example in examples], folds), 1):
        report(f"fold {number} of {folds}: training on {len(training):,} pages, scoring {len(held_out):,}")
        first, second = fit_looks(examples, training)
        for index in held_out:
            found = examples[index].found
            kept = np.zeros(len(found.blocks), dtype=np.uint8)
            expected = 0
            if len(kept):
                seen = chances(second, both_looks(found, chances(first, found.features)))
                _, expected = choose(found.blocks, seen, kept)
            held[index] = Held(kept, expected)
    return held


def text_of(example: Example, kept: npt.NDArray[np.uint8], headline: bool = True) -> str:
    """The text that the pipeline would write for a choice of blocks, with the headline or without."""
    kept = kept.copy()
    if not headline and headline_of(example.found) >= 0:
        kept[headline_of(example.found)] = 0
    return written(read_page(example.page.html), example.found, kept)[0].decode("utf-8", "replace")


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
        if kept["model"] == committed_model().digest and all(page.id in kept["texts"] for page in pages):
            return {page.id: kept["texts"][page.id] for page in pages}
    examples = make_examples(pages)
    return held_out_texts(examples, cross_validate(examples))
