"""How fast signals are, beside datatrove's filters over the same texts in the same run.

    python -m benchmarks.signals --texts runs/bench/documents-*/*.parquet

Prints, for each family and group, MB of UTF-8 and documents a second of one core and milliseconds for a document of
2,000 letters; then FineWeb-2's Japanese rules by our signals against datatrove's own filters, on the words that
datatrove uses (where spaCy and SudachiPy are installed) and on MeCab's. Times are of the processor; the sides take
turns, and the median ratio counts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from datatrove.data import Document

from filters.characters import class_table, count_classes
from filters.groups import EXAMPLES, make_group
from filters.repetition import count_ngrams
from filters.sentences import count_sentences
from filters.text_buffers import code_point_blocks
from pipeline.datatrove import KamisukiFilter
from pipeline.recipe import Recipe, find_recipe, load_recipe

LETTERS = 2_000
ROUNDS = 5


def texts_of(paths: Sequence[str], most: int) -> list[str]:
    """Texts of 2,000 letters, cut out of documents one after the other."""
    joined: list[str] = []
    held = ""
    for batch in ds.dataset(list(paths), format="parquet").to_batches(columns=["text"]):
        for text in batch.column("text").to_pylist():
            held += text + "\n"
            while len(held) >= LETTERS:
                joined.append(held[:LETTERS])
                held = held[LETTERS:]
                if len(joined) == most:
                    return joined
    return joined


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def measured(work: Callable[[], object]) -> float:
    """The median of some calls after one that is not counted."""
    work()
    return statistics.median(seconds(work) for _ in range(ROUNDS))


def families(texts: pa.Array) -> dict[str, Callable[[], object]]:
    """What the families of the text's own signals cost, decoding of UTF-8 included."""

    def over(count: Callable[..., object], *more: object) -> Callable[[], object]:
        return lambda: [count(codes, starts, *more) for codes, starts in code_point_blocks(texts)]

    def both() -> None:
        for codes, starts in code_point_blocks(texts):
            count_classes(codes, starts, class_table())
            count_sentences(codes, starts)

    return {
        "characters and sentences": both,
        "all n-gram repetition": over(count_ngrams),
    }


def print_speeds(texts: list[str]) -> None:
    """One line a family and group."""
    array = pa.array(texts)
    size = sum(len(text.encode()) for text in texts)
    batch = pa.RecordBatch.from_pydict({"text": array, "url": ["https://example.jp/a"] * len(texts)})
    works = families(array)
    for kind in ("text", "lines", "compression", "script_words", "words"):
        group = make_group(kind, EXAMPLES[kind])
        works[f"group {kind}"] = partial(group.measure, batch.select(list(group.columns)))
    print(f"{len(texts):,} texts of {LETTERS:,} letters, {size / 1e6:.1f} MB")
    print("what                          MB/s   documents/s   ms a document")
    for name, work in works.items():
        took = measured(work)
        print(f"{name:28s} {size / took / 1e6:6.0f} {len(texts) / took:13,.0f} {1000 * took / len(texts):15.3f}")


def print_against_datatrove(texts: list[str]) -> None:
    """FineWeb-2's Japanese rules: ours by signals, datatrove's by its filters, in turns."""
    ours = KamisukiFilter("fineweb2-jpn")
    documents = [Document(text=text, id="", metadata={"language_score": 1.0}) for text in texts]
    recipe = load_recipe(find_recipe("fineweb2-jpn-datatrove"))
    peers = {"datatrove's filters on MeCab's words": recipe}
    if find_spec("spacy") and find_spec("sudachipy"):
        words = [f"annotate.datatrove.{name}.words=datatrove" for name in recipe.annotate.datatrove]
        own = load_recipe(find_recipe("fineweb2-jpn-datatrove"), tuple(words))
        peers["datatrove as shipped (spaCy, Sudachi)"] = own
    else:
        print("datatrove's own words: spaCy and SudachiPy are not installed, left out")
    script = KamisukiFilter(script_recipe())
    print("fineweb2-jpn, ms a document")
    for peer, chosen in peers.items():
        theirs = KamisukiFilter(chosen)
        for name, filter_ in (("our signals on MeCab's words", ours), ("our signals on runs of one script", script)):
            works = [partial(side.filter_batch, documents) for side in (filter_, theirs)]
            for side in (filter_, theirs):
                side.filter_batch(documents[:5])
            pairs = [tuple(seconds(work) for work in works) for _ in range(3)]
            ratio = statistics.median(b / a for a, b in pairs)
            mine, other = (statistics.median(side) * 1000 / len(texts) for side in zip(*pairs, strict=True))
            print(f"{name} {mine:.2f}, {peer} {other:.2f}: {ratio:.1f} times")
    kept, reference = script.filter_batch(documents), ours.filter_batch(documents)
    same = np.mean([(a is True) == (b is True) for a, b in zip(kept, reference, strict=True)])
    print(f"runs of one script give the verdict of MeCab's words on {same:.1%} of the texts")


def script_recipe() -> Recipe:
    """fineweb2-jpn with every signal of words taken from runs of one script."""
    recipe = load_recipe(find_recipe("fineweb2-jpn"))
    known = recipe.signals()
    data = recipe.model_dump(mode="json")
    for rule in data["select"]["rules"]:
        if f"script_{rule['signal']}" in known:
            rule["signal"] = f"script_{rule['signal']}"
    data["select"]["columns"] = []
    return type(recipe).model_validate(data)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.signals", description=__doc__.splitlines()[0])
    parser.add_argument("--texts", nargs="+", required=True, help="Parquet files with a column text")
    parser.add_argument("--most", type=int, default=1_000, help="most texts of 2,000 letters")
    settings = parser.parse_args()
    texts = texts_of(settings.texts, settings.most)
    print_speeds(texts)
    print_against_datatrove(texts[:200])


if __name__ == "__main__":
    main()
