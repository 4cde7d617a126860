"""Model: the committed trees that say which blocks are main text, what type a page is, and how far to trust it.

`main_text.npz` beside this file is made by `make train-extractor`; docs/main-text-model.md is its card.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.web.main_text.feature_names import FEATURES
from pipeline.web.main_text.page_type import PAGE_FEATURES
from pipeline.web.main_text.second_look import SECOND_FEATURES
from pipeline.web.main_text.trees import Trees, TreeSets, tree_sets

MODEL_FILE = Path(__file__).with_name("main_text.npz")
PAGE_TYPES = ("article", "collection", "documentation", "forum", "listing", "product", "service")


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """first: trees over FEATURES; further: more of them, whose sums are added to the first's where a page is looked at
    twice; second: over FEATURES and SECOND_FEATURES; types: one set of trees a page type, over PAGE_FEATURES; calmed
    (CHANCE + 1,): by the first trees' chance of a block, the one by which it is chosen where they are sure of its page;
    calibration (1001,): thousandths of F1 seen where so many were expected; digest: 12 hexadecimal digits of the file.
    """

    first: Trees
    further: Trees
    second: Trees
    types: TreeSets
    calmed: npt.NDArray[np.int32]
    calibration: npt.NDArray[np.int32]
    digest: str


def _narrow(leaves: npt.NDArray[Any]) -> npt.NDArray[np.signedinteger]:
    """The same numbers in 16 bits where all fit: half the memory, all of which a page's judgement goes through."""
    narrow = np.ascontiguousarray(leaves, dtype=np.int16)
    return narrow if (narrow == leaves).all() else np.ascontiguousarray(leaves, dtype=np.int32)


def _trees(arrays: dict[str, npt.NDArray[np.generic]], name: str) -> Trees:
    return Trees(
        np.ascontiguousarray(arrays[f"{name}_columns"], dtype=np.int32),
        np.ascontiguousarray(arrays[f"{name}_limits"], dtype=np.int32),
        _narrow(arrays[f"{name}_leaves"]),
        int(arrays[f"{name}_bias"]),
        np.ascontiguousarray(arrays[f"{name}_steps"], dtype=np.int64),
    )


def load_model(content: bytes) -> Model:
    """A model from a file's bytes.

    Raises ValueError where it was made for other features than this version of the package computes.
    """
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if str(arrays["features"]) != feature_digest():
        raise ValueError("the main-text model was made for other features: make it anew with `make train-extractor`")
    return Model(
        _trees(arrays, "first"),
        _trees(arrays, "further"),
        _trees(arrays, "second"),
        tree_sets([_trees(arrays, f"type_{name}") for name in PAGE_TYPES]),
        np.ascontiguousarray(arrays["calmed"], dtype=np.int32),
        np.ascontiguousarray(arrays["calibration"], dtype=np.int32),
        hashlib.blake2b(content, digest_size=6).hexdigest(),
    )


def feature_digest() -> str:
    """A digest of the features' names and order, which a model and this package must share."""
    return hashlib.blake2b("\n".join((*FEATURES, *SECOND_FEATURES, *PAGE_FEATURES)).encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=1)
def committed_model() -> Model:
    """The model that comes with the package, read once a process."""
    return load_model(MODEL_FILE.read_bytes())
