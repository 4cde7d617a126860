"""Train: `python -m training.train --data ../shared/data --bench BENCH` makes the committed main-text model."""

from __future__ import annotations

import argparse
import io
import json
import resource
import sys
import time
import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from pipeline.web.main_text.choose import SURE
from pipeline.web.main_text.model import MODEL_FILE, PAGE_TYPES, feature_digest, load_model
from pipeline.web.main_text.trees import Trees, sums_of
from training.boosting import calmed_chances
from training.chances import PageChances, write_chances
from training.crossval import Held, cross_validate, held_out_texts
from training.crowded import crowded_copies
from training.examples import Example, make_examples
from training.fit import SURE_SHARE, SURE_SHIFT, TYPE_NAMES, fit_types, page_features
from training.folds import split
from training.pages import LabelledPage, load_pages
from training.score import interval, score
from training.shortened import shortened_copies

# The sets of the training pack, which are scored together, too.
PACK = ("wcxb", "articles", "readability")


def calibration(expected: Sequence[int], seen: Sequence[float]) -> npt.NDArray[np.int32]:
    """Table (1001,) from expected F1, in thousandths, to that seen: a curve that rises all the way, so that pages keep
    their order, as those of a step function would not.

    Beta calibration (Kull, Silva Filho and Flach, 2017): the log odds of what is seen are a sum of a constant, of
    ln(e) and of -ln(1 - e), fitted by likelihood with weights that are not negative. Where nothing is expected there is
    no text.
    """

    def terms(thousandths: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        share = np.clip(thousandths / 1000, 0.0005, 0.9995)
        return np.stack([np.ones_like(share), np.log(share), -np.log1p(-share)], axis=1)

    rows, wanted = terms(np.asarray(expected, dtype=np.float64)), np.asarray(seen, dtype=np.float64)

    def loss(weights: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        odds = rows @ weights
        return float(np.mean(np.logaddexp(0, odds) - wanted * odds)), rows.T @ (expit(odds) - wanted) / len(wanted)

    exact = {"ftol": 1e-15, "gtol": 1e-12, "maxiter": 500}
    bounds = [(None, None), (0, None), (0, None)]
    found = minimize(loss, np.zeros(3), jac=True, bounds=bounds, method="L-BFGS-B", options=exact)
    table = 1000 * expit(terms(np.arange(1001.0)) @ found.x)
    table[0] = 0
    return np.rint(table).astype(np.int32)


def packed(first: Trees, further: Trees, second: Trees, types: Sequence[Trees], table: npt.NDArray[np.int32]) -> bytes:
    """A model as the bytes of its file: the same arrays give the same bytes."""
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "features": np.array(feature_digest()),
        "calmed": calmed_chances(SURE_SHARE, SURE_SHIFT),
        "calibration": table,
    }
    named = {"first": first, "further": further, "second": second} | {
        f"type_{name}": trees for name, trees in zip(PAGE_TYPES, types)
    }
    for name, trees in named.items():
        arrays |= {
            f"{name}_columns": trees.features.astype(np.int16),
            f"{name}_limits": trees.limits,
            f"{name}_leaves": trees.leaves,
            f"{name}_bias": np.array(trees.bias),
            f"{name}_steps": trees.steps.astype(np.int32),
        }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in sorted(arrays.items()):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), member.getvalue(), zipfile.ZIP_DEFLATED
            )
    return file.getvalue()


def type_accuracy(examples: Sequence[Example], kept: dict[int, npt.NDArray[np.uint8]]) -> tuple[int, int]:
    """How many pages of known type get it from trees that had not seen their groups, and of how many."""
    right = whole = 0
    for training, held_out in split([example.page for example in examples]):
        types = fit_types(examples, [index for index in training if index in kept], kept)
        for index in held_out:
            known = examples[index].page.page_type
            if not known or not len(examples[index].letters):
                continue
            features = page_features(examples[index], kept[index])
            sums = [int(sums_of(trees, features)[0]) for trees in types]
            right += PAGE_TYPES[int(np.argmax(sums))] == TYPE_NAMES.get(known, known)
            whole += 1
    return right, whole


def page_chances(example: Example, held: Held) -> PageChances:
    """What the cross-validation said of a page's blocks, beside their labels."""
    page = example.page
    return PageChances(
        page.id,
        page.set,
        page.site,
        page.page_type or "",
        held.fold,
        example.labels,
        example.letters,
        held.first,
        held.second,
    )


def print_scores(pages: Sequence[LabelledPage], texts: Mapping[str, str]) -> list[float]:
    """Print F1 of texts by page id, by set, and by page type of the largest; returns F1 of each page.

    Pages that hold nothing of their gold count against the gold as published alone.
    """
    scores = []
    rows: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for page in pages:
        text = texts[page.id]
        scores.append(score(text, page.gold).f1 if page.holds_its_gold else 0.0)
        published = scores[-1] if page.gold == page.published_gold else score(text, page.published_gold).f1
        row = (scores[-1] if page.holds_its_gold else np.nan, published, page.site)
        rows[page.set].append(row)
        if page.set == "wcxb":
            rows[f"wcxb {page.page_type}"].append(row)
        if page.set in PACK:
            rows["training pack"].append(row)
    print("set                      n     F1   95 % by site   n, F1 against gold as published")
    for name, values in sorted(rows.items()):
        scored = [value for value in values if not np.isnan(value[0])]
        low, high = interval([value[0] for value in scored], [value[2] for value in scored])
        mean, before = np.mean([value[0] for value in scored]), np.mean([value[1] for value in values])
        print(
            f"{name:22s} {len(scored):4d}  {mean:.4f} [{low:.3f} {high:.3f}]   {len(values):4d}  {before:.4f}",
            flush=True,
        )
    return scores


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, score across sites, and write the model."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with dev/, web/ and train/")
    parser.add_argument("--bench", type=Path, help="a built benchmark, some of whose framed pages are trained on")
    parser.add_argument("--out", type=Path, default=MODEL_FILE)
    parser.add_argument("--texts", type=Path, help="keep the held-out pages' texts here, for the benchmark")
    parser.add_argument("--chances", type=Path, help="keep what was said of the held-out pages' blocks here (.npz)")
    settings = parser.parse_args(arguments)
    begun = time.monotonic()
    pages = load_pages(settings.data, settings.bench)
    print(f"{len(pages):,} labelled pages")
    examples = make_examples(pages)
    copies = shortened_copies(examples)
    print(f"{len(copies):,} shortened copies")
    examples += copies
    copies = crowded_copies(examples)
    print(f"{len(copies):,} crowded copies")
    examples += copies
    found = cross_validate(examples)
    held = found.held
    if settings.chances:
        write_chances(settings.chances, [page_chances(examples[index], choice) for index, choice in held.items()])
    texts = held_out_texts(examples, held)
    scores = print_scores([examples[index].page for index in held], texts)
    told = [index for index in held if examples[index].page.holds_its_gold]
    of = dict(zip(held, scores))
    for name in sorted({examples[index].page.set for index in held}):
        own = [held[index].expected for index in held if examples[index].page.set == name]
        sure = sum(each >= SURE for each in own)
        print(f"the first seed's trees are sure of {sure:4d} of {len(own):4d} pages of {name}")
    table = calibration([held[index].expected for index in told], [of[index] for index in told])
    kept = {index: choice.kept for index, choice in held.items()}
    right, whole = type_accuracy(examples, kept)
    print(f"page type: {right} of {whole} right")
    content = packed(found.first, found.further, found.second, fit_types(examples, list(kept), kept), table)
    settings.out.write_bytes(content)
    model = load_model(content)
    if settings.texts:
        settings.texts.parent.mkdir(parents=True, exist_ok=True)
        kept_texts = {"model": model.digest, "texts": texts}
        settings.texts.write_text(json.dumps(kept_texts, ensure_ascii=False), encoding="utf-8")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{settings.out.name}: {len(content):,} bytes, digest {model.digest}, "
        f"{time.monotonic() - begun:.0f} s, {memory:.1f} GB",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
