"""Swallow's recipes against a plain transcription of the published definitions, document by document."""

from __future__ import annotations

import argparse
import glob
import sys
from collections.abc import Callable
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from filters.rules import judge
from filters.signals import measure
from pipeline.recipe import find_recipe, load_recipe
from tests.filters import published

TRANSCRIBED: dict[str, Callable[[dict[str, float]], bool]] = {
    "swallow-v1": published.keeps_v1,
    "swallow-v1-occurrences": partial(published.keeps_v1, by_occurrence=True),
    "swallow-v2": published.keeps_v2,
    "swallow-v2-text": partial(published.keeps_v2, longest=True),
    "swallow-v2-table": partial(published.keeps_v2, mean=True),
}


def main() -> int:
    """Print how many documents each recipe's rules keep and on how many they differ; 1 where any does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", nargs="+", required=True, help="Parquet files with a column text")
    parser.add_argument("--documents", type=int, default=3000, help="most documents that are compared")
    arguments = parser.parse_args()
    paths = sorted(path for pattern in arguments.texts for path in glob.glob(pattern))
    texts = pa.concat_arrays([pq.read_table(path, columns=["text"]).column(0).combine_chunks() for path in paths])
    texts = texts.slice(0, arguments.documents)
    measured = measure(texts)
    by_hand = [published.signals(text) for text in texts.to_pylist()]
    print(f"{len(texts):,} documents")
    different = 0
    for name, keeps in TRANSCRIBED.items():
        rules = load_recipe(find_recipe(name)).select.active_rules()
        ours = judge(measured, rules).passed.to_pylist()
        theirs = [keeps(values) for values in by_hand]
        apart = sum(one != other for one, other in zip(ours, theirs, strict=True))
        different += apart
        print(f"{name}: keeps {sum(ours):,}; the transcription keeps {sum(theirs):,}; they differ on {apart}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
