"""Groups of one signal from a model that the recipe names: a fastText classifier, or a KenLM language model."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa

from filters.assets import Asset
from filters.segmenters import Segmenter
from filters.signal import Signal
from filters.text_buffers import code_points

RULE_VERSION = 1

_LABEL = "__label__"
# All that str.splitlines splits at, and NUL, at which fastText splits words too.
_LINE_ENDS = dict.fromkeys(map(ord, "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029\0"), " ")


class FastTextModel:
    """What a fastText classifier says of a text, its lines joined by spaces, as Swallow's classifiers take it.

    measure is "probability" (of one label), "expectation" (of labels that are numbers) or "label" (the likeliest,
    without its prefix). A text of white space alone has no value.
    """

    columns = ("text",)

    def __init__(self, name: str, model: Asset, measure: str, label: str | None) -> None:
        self.model = model
        self.measured = measure
        self.label = label
        self.memory_bytes = 200_000_000 + 2 * _size(model.path)
        what = {"probability": f"probability of {label}", "expectation": "expected label", "label": "likeliest label"}
        kind = pa.string() if measure == "label" else pa.float64()
        self.signals = (
            Signal(f"model_{name}", kind, "models", what[measure], "a fastText model that the recipe names"),
        )
        self._loaded: Any = None

    def fingerprint(self) -> dict[str, Any]:
        """The model's digest, what is taken of it, and the version of fastText."""
        library = version("fasttext-numpy2-wheel")
        return {
            "rule_version": RULE_VERSION,
            "model": self.model.digest,
            "measure": self.measured,
            "label": self.label,
            "fasttext": library,
        }

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """The signal of each text. Raises ValueError for a label that the model does not have."""
        if self._loaded is None:
            self._loaded = load_fasttext(str(self.model.checked()))
            self._check(self._loaded.get_labels())
        values = [self._value(text) for text in documents.column("text").fill_null("").to_pylist()]
        (signal,) = self.signals
        return pa.RecordBatch.from_arrays([pa.array(values, signal.type)], names=[signal.name])

    def _check(self, labels: list[str]) -> None:
        names = [label.removeprefix(_LABEL) for label in labels]
        if self.measured == "probability" and self.label not in names:
            alike = difflib.get_close_matches(str(self.label), names, n=5, cutoff=0.3)
            some = ", ".join(dict.fromkeys([*alike, *sorted(names)[:50]]))
            raise ValueError(f"{self.model.path} has no label {self.label!r}; it has: {some}")
        if self.measured == "expectation" and not all(re.fullmatch(r"-?\d+(\.\d+)?", name) for name in names):
            raise ValueError(f"{self.model.path} has labels that are no numbers: measure probability or label of it")

    def _value(self, text: str) -> float | str | None:
        line = text.translate(_LINE_ENDS)
        if not line.strip():
            return None
        # Half a surrogate pair cannot be given to fastText.
        line = line.encode("utf-8", "replace").decode("utf-8")
        labels, chances = self._loaded.predict(line, k=1 if self.measured == "label" else -1)
        if not labels:
            return None
        names = [label.removeprefix(_LABEL) for label in labels]
        if self.measured == "label":
            return names[0]
        # fastText adds 1e-5 within its logarithm, so that a sure answer comes out above 1.
        chance = dict(zip(names, np.minimum(chances, 1.0).tolist(), strict=True))
        if self.measured == "probability":
            return float(chance.get(str(self.label), 0.0))
        return float(sum(float(name) * value for name, value in chance.items()))


class KenlmModel:
    """The perplexity of a text by a KenLM n-gram model, over MeCab's words, runs of one script, or characters.

    10 to the negative mean log10 probability of a token, ends of lines counted as one, over all lines that are not
    white space, as CCNet has it (Wenzek et al. 2020, arXiv 1911.00359). A text without such a line has no value.
    """

    columns = ("text",)

    def __init__(self, name: str, model: Asset, segmenter: Segmenter | None) -> None:
        self.model = model
        self.segmenter = segmenter
        self.memory_bytes = 200_000_000 + 2 * _size(model.path)
        self.signals = (
            Signal(
                f"model_{name}", pa.float64(), "models", "perplexity of the text", "a KenLM model that the recipe names"
            ),
        )
        self._loaded: Any = None

    def fingerprint(self) -> dict[str, Any]:
        """The model's digest, what it counts as tokens, and the version of KenLM. Raises ValueError without KenLM."""
        with _needs("kenlm"):
            library = version("kenlm")
        tokens = self.segmenter.fingerprint() if self.segmenter else "characters"
        return {"rule_version": RULE_VERSION, "model": self.model.digest, "tokens": tokens, "kenlm": library}

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """The signal of each text."""
        if self._loaded is None:
            with _needs("kenlm"):
                import kenlm
            self._loaded = kenlm.Model(str(self.model.checked()))
        values = [self._perplexity(text) for text in documents.column("text").fill_null("").to_pylist()]
        return pa.RecordBatch.from_arrays([pa.array(values, pa.float64())], names=[self.signals[0].name])

    def _perplexity(self, text: str) -> float | None:
        score, tokens = 0.0, 0
        for line in text.split("\n"):
            words = self._tokens(line)
            if words:
                score += self._loaded.score(" ".join(words), bos=True, eos=True)
                tokens += len(words) + 1
        # A line of words that a model has never seen can be less likely than any float tells.
        return float(10.0 ** min(300.0, -score / tokens)) if tokens else None

    def _tokens(self, line: str) -> list[str]:
        if self.segmenter is None:
            return [letter for letter in line if not letter.isspace()]
        codes = code_points(line)
        begins, ends, _ = self.segmenter.spans([line], codes, np.array([0, len(codes)], dtype=np.int64))
        return [line[begin:end] for begin, end in zip(begins, ends, strict=True)]


class Tokens:
    """How many tokens a text has by a tokenizer file (tokenizer.json of Hugging Face tokenizers), no special ones."""

    columns = ("text",)
    memory_bytes = 600_000_000

    def __init__(self, name: str, tokenizer: Asset) -> None:
        self.tokenizer = tokenizer
        self.signals = (
            Signal(f"tokens_{name}", pa.int32(), "tokens", "tokens of the text", "a tokenizer that the recipe names"),
        )
        self._loaded: Any = None

    def fingerprint(self) -> dict[str, Any]:
        """The file's digest and the version of tokenizers. Raises ValueError without that library."""
        with _needs("tokenizers"):
            library = version("tokenizers")
        return {"rule_version": RULE_VERSION, "tokenizer": self.tokenizer.digest, "tokenizers": library}

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """The signal of each text."""
        if self._loaded is None:
            with _needs("tokenizers"):
                from tokenizers import Tokenizer
            self._loaded = Tokenizer.from_file(str(self.tokenizer.checked()))
        texts = documents.column("text").fill_null("").to_pylist()
        found = self._loaded.encode_batch_fast(texts, add_special_tokens=False)
        counts = pa.array([len(encoding) for encoding in found], pa.int32())
        return pa.RecordBatch.from_arrays([counts], names=[self.signals[0].name])


def load_fasttext(path: str) -> Any:
    """A fastText model. Its handle does not pickle, so each process loads its own."""
    import fasttext

    with _silent_stderr():
        return fasttext.load_model(path)


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


@contextlib.contextmanager
def _needs(package: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise ValueError(f"the package {package} is not installed: install it beside kamisuki ({error})") from None


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    # fastText's C++ code warns of the missing softmax settings on each load, past sys.stderr.
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
