"""Language model: a fastText classifier of the compressed kind, read from its file and applied by compiled code.

It gives the label and the probability, to the last bit, that the fastText library gives, in a third of its time, most
of which goes into strings and hash maps.

Facts: the file's layout and the features are those of fastText 0.9.2 (Bojanowski et al., Enriching Word Vectors with
Subword Information, 2017), the vectors are product-quantized (Joulin et al., FastText.zip, 2016), and the labels stand
in a Huffman tree (Mikolov et al., Distributed Representations of Words and Phrases, 2013).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.web.page.lean import lean_njit

_MAGIC, _VERSION, _HIERARCHICAL = 793712314, 12, 1
_END_OF_LINE = b"</s>"
_LABEL_PREFIX = b"__label__"
_CENTROIDS = 256
# FNV-1a, of 32 bits.
_OFFSET_BASIS, _PRIME = np.uint32(2166136261), np.uint32(16777619)
_FREE = np.int32(-1)
# fastText adds this within its logarithm.
_IN_LOGARITHM = 1e-5


class NoLanguageModel(ValueError):
    """A file is no fastText model of the kind that is read here."""


@dataclass(frozen=True, slots=True)
class Model:
    """A classifier: `vectors` of words, then of n-grams; `outputs` of the tree's inner nodes.

    `words` and `grams` are hash tables: of words a number at each place, of n-grams rows of (bucket, vector). Word `i`
    is letters[edges[i] : edges[i + 1]]. `tree` has the two children of each inner node, labels coming first.
    """

    labels: list[str]
    vectors: npt.NDArray[np.float32]
    outputs: npt.NDArray[np.float32]
    letters: npt.NDArray[np.uint8]
    edges: npt.NDArray[np.int64]
    words: npt.NDArray[np.int32]
    grams: npt.NDArray[np.int32]
    tree: npt.NDArray[np.int64]
    sizes: tuple[int, int, int, int]  # words, shortest and longest n-gram in letters, buckets


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content, self.position = content, 0

    def values(self, layout: str) -> tuple[Any, ...]:
        found = struct.unpack_from("<" + layout, self.content, self.position)
        self.position += struct.calcsize("<" + layout)
        return found

    def array(self, kind: str, count: int) -> npt.NDArray[Any]:
        found = np.frombuffer(self.content, dtype=kind, count=count, offset=self.position)
        self.position += found.nbytes
        return found

    def entry(self) -> tuple[bytes, int]:
        """A word or label, and how often it was seen."""
        end = self.content.index(b"\0", self.position)
        word = self.content[self.position : end]
        self.position = end + 1
        count, _ = self.values("qb")
        return word, int(count)


def load_model(path: Path) -> Model:
    """A model from its file. Raises NoLanguageModel when it is none, or not of the kind that is read here."""
    try:
        return _load(_Reader(path.read_bytes()))
    except (struct.error, ValueError) as error:
        raise NoLanguageModel(f"{path} is no compressed fastText classifier with a tree of labels: {error}") from None


def _load(reader: _Reader) -> Model:
    if reader.values("2i") != (_MAGIC, _VERSION):
        raise ValueError("its first bytes are others")
    dimensions, _, _, _, _, word_grams, loss, _, buckets, shortest, longest, _ = reader.values("12i")
    reader.values("d")
    entries, words, labels = reader.values("3i")
    _, grams = reader.values("2q")
    named = [reader.entry() for _ in range(entries)]
    kept = reader.array("<i4", 2 * max(grams, 0)).reshape(-1, 2)
    if word_grams != 1 or loss != _HIERARCHICAL or grams < 1 or not reader.values("?")[0]:
        raise ValueError("its features, loss or vectors are others")
    vectors = _read_vectors(reader)
    # The compiled code looks at no bounds.
    if words < 1 or labels < 2 or buckets < 1 or not 0 <= kept[:, 1].min() <= kept[:, 1].max() < len(vectors) - words:
        raise ValueError("its parts do not fit together")
    if reader.values("?")[0] or reader.values("2q") != (labels, dimensions) or vectors.shape[1] != dimensions:
        raise ValueError("its outputs are others")
    outputs = reader.array("<f4", labels * dimensions).reshape(labels, dimensions).astype(np.float32)
    return Model(
        [word.removeprefix(_LABEL_PREFIX).decode() for word, _ in named[words:]],
        vectors,
        outputs,
        np.frombuffer(b"".join(word for word, _ in named), dtype=np.uint8),
        np.cumsum([0, *(len(word) for word, _ in named)]),
        _word_table([word for word, _ in named]),
        _gram_table(kept, words),
        _huffman_tree([count for _, count in named[words:]]),
        (words, shortest, longest, buckets),
    )


def _read_vectors(reader: _Reader) -> npt.NDArray[np.float32]:
    """Quantized vectors, each a centroid a part times a quantized norm, as the numbers that they stand for."""
    has_norms, count, _, codes = reader.values("?2qi")
    numbers = reader.array("u1", codes).reshape(count, -1)
    dimensions, parts, width, last_width = reader.values("4i")
    centroids = reader.array("<f4", dimensions * _CENTROIDS)
    if not has_norms or width != last_width:
        raise ValueError("its vectors are quantized in another way")
    norm_codes = reader.array("u1", count)
    reader.values("4i")
    norms = reader.array("<f4", _CENTROIDS)[norm_codes]
    shaped = centroids.reshape(parts, _CENTROIDS, width)
    directions = shaped[np.arange(parts), numbers].reshape(count, dimensions)
    return (directions * norms[:, np.newaxis]).astype(np.float32)


def _hash(word: bytes) -> int:
    value = int(_OFFSET_BASIS)
    for letter in word:
        # fastText takes letters as signed numbers.
        value = ((value ^ (letter | (0xFFFFFF00 if letter & 0x80 else 0))) * int(_PRIME)) & 0xFFFFFFFF
    return value


def _word_table(words: list[bytes]) -> npt.NDArray[np.int32]:
    table = np.full(1 << (4 * len(words)).bit_length(), _FREE, dtype=np.int32)
    for number, word in enumerate(words):
        place = _hash(word) & (table.size - 1)
        while table[place] != _FREE:
            place = (place + 1) & (table.size - 1)
        table[place] = number
    return table


def _gram_table(kept: npt.NDArray[np.int32], words: int) -> npt.NDArray[np.int32]:
    table = np.full((1 << (2 * len(kept)).bit_length(), 2), _FREE, dtype=np.int32)
    for bucket, number in kept.tolist():
        place = bucket & (table.shape[0] - 1)
        while table[place, 0] != _FREE:
            place = (place + 1) & (table.shape[0] - 1)
        table[place] = bucket, words + number
    return table


def _huffman_tree(counts: list[int]) -> npt.NDArray[np.int64]:
    """Children of the inner nodes; `counts` of the labels fall. The rarer of two nodes comes first, at equal counts the
    inner one.
    """
    labels = len(counts)
    weights = [*counts, *[0] * (labels - 1)]
    children = np.zeros((labels - 1, 2), dtype=np.int64)
    leaf, inner = labels - 1, labels
    for node in range(labels, 2 * labels - 1):
        for side in range(2):
            if leaf >= 0 and (inner == node or weights[leaf] < weights[inner]):
                children[node - labels, side], leaf = leaf, leaf - 1
            else:
                children[node - labels, side], inner = inner, inner + 1
        weights[node] = weights[children[node - labels, 0]] + weights[children[node - labels, 1]]
    return children


def likeliest(model: Model, line: bytes) -> tuple[str, float] | None:
    """The likeliest label of one line of UTF-8 and its probability in single precision; None where none reaches 1e-5.

    The probability of a sure answer can be a little above 1.
    """
    label, probability = _predict(
        np.frombuffer(line, dtype=np.uint8),
        model.vectors,
        model.outputs,
        model.letters,
        model.edges,
        model.words,
        model.grams,
        model.tree,
        model.sizes,
    )
    return (model.labels[label], float(probability)) if label >= 0 else None


@lean_njit
def _is_blank(letter: int) -> bool:
    """Whether fastText ends a word at a byte."""
    return letter == 0x20 or 0x09 <= letter <= 0x0D or letter == 0


@lean_njit
def _hashed(value: np.uint32, letter: int) -> np.uint32:
    return np.uint32((value ^ np.uint32(np.int32(np.int8(letter)))) * _PRIME)


@lean_njit
def _word_number(line, start, end, letters, edges, words):  # type: ignore[no-untyped-def]
    """The number of the word line[start:end]; -1 if the model does not know it."""
    value = _OFFSET_BASIS
    for position in range(start, end):
        value = _hashed(value, line[position])
    place = np.int64(value) & (words.size - 1)
    while words[place] != _FREE:
        number = words[place]
        if edges[number + 1] - edges[number] == end - start:
            equal = 0
            while equal < end - start and letters[edges[number] + equal] == line[start + equal]:
                equal += 1
            if equal == end - start:
                return np.int64(number)
        place = (place + 1) & (words.size - 1)
    return np.int64(-1)


@lean_njit
def _letter_of(line, start, end, position):  # type: ignore[no-untyped-def]
    """A byte of a word between its brackets, which stand at start - 1 and end."""
    if position < start:
        return np.uint8(0x3C)
    return line[position] if position < end else np.uint8(0x3E)


@lean_njit
def _list_grams(line, start, end, sizes, listed, count):  # type: ignore[no-untyped-def]
    """Put the buckets of a word's n-grams, brackets included, into `listed` from `count` on; returns the new count."""
    _, shortest, longest, buckets = sizes
    for first in range(start - 1, end + 1):
        if _letter_of(line, start, end, first) & 0xC0 == 0x80:
            continue
        value = _OFFSET_BASIS
        position = first
        length = 1
        while position <= end and length <= longest:
            value = _hashed(value, _letter_of(line, start, end, position))
            position += 1
            while position <= end and _letter_of(line, start, end, position) & 0xC0 == 0x80:
                value = _hashed(value, _letter_of(line, start, end, position))
                position += 1
            if length >= shortest and not (length == 1 and (first < start or position > end)):
                listed[count] = np.int32(value % np.uint32(buckets))
                count += 1
            length += 1
    return count


@lean_njit
def _list_features(line, letters, edges, words, sizes, listed):  # type: ignore[no-untyped-def]
    """Put a line's words, n-grams and end into `listed`, in the model's order; returns how many.

    Of a word of the model its vector's number stands there as its complement, a number below zero; of n-grams, whether
    the model knows them or not, their buckets.
    """
    count = 0
    position = 0
    while position < line.size:
        if _is_blank(line[position]):
            position += 1
            continue
        start = position
        while position < line.size and not _is_blank(line[position]):
            position += 1
        number = _word_number(line, start, position, letters, edges, words)
        if number == 0:
            # The mark of a line's end, written out.
            break
        if number >= sizes[0] or (number < 0 and _is_label(line, start, position)):
            continue
        if number > 0:
            listed[count] = np.int32(~number)
            count += 1
        count = _list_grams(line, start, position, sizes, listed, count)
    listed[count] = -1
    return count + 1


@lean_njit
def _find_vectors(grams, listed, looked_up, count):  # type: ignore[no-untyped-def]
    """Turn what `_list_features` listed into numbers of vectors, without the n-grams that are not known; how many."""
    last = grams.shape[0] - 1
    # The table is larger than a processor's cache. With no answer to wait for, many looks at it are under way at once.
    for index in range(count):
        place = listed[index] & last
        looked_up[index, 0], looked_up[index, 1] = grams[place, 0], grams[place, 1]
    kept = 0
    for index in range(count):
        bucket = listed[index]
        if bucket < 0:
            listed[kept] = ~bucket
            kept += 1
            continue
        place = bucket & last
        known, vector = looked_up[index, 0], looked_up[index, 1]
        while known != _FREE and known != bucket:
            place = (place + 1) & last
            known, vector = grams[place, 0], grams[place, 1]
        if known == bucket:
            listed[kept] = vector
            kept += 1
    return kept


@lean_njit
def _fill_hidden(line, vectors, letters, edges, words, grams, sizes, listed, looked_up, hidden):  # type: ignore[no-untyped-def]
    """Make `hidden` the mean vector of a line's words, n-grams and its end; `listed` and `looked_up` are room."""
    count = _find_vectors(grams, listed, looked_up, _list_features(line, letters, edges, words, sizes, listed))
    hidden[:] = 0
    for position in range(count):
        for index in range(hidden.size):
            hidden[index] += vectors[listed[position], index]
    share = np.float32(1.0 / count)
    for index in range(hidden.size):
        hidden[index] *= share


_PREFIX = np.frombuffer(_LABEL_PREFIX, dtype=np.uint8)


@lean_njit
def _is_label(line, start, end):  # type: ignore[no-untyped-def]
    """Whether a word is written as a label is; such words are passed over."""
    if end - start < _PREFIX.size:
        return False
    equal = 0
    while equal < _PREFIX.size and line[start + equal] == _PREFIX[equal]:
        equal += 1
    return equal == _PREFIX.size


@lean_njit
def _logarithm(share: np.float32) -> np.float32:
    return np.float32(math.log(share + _IN_LOGARITHM))


@njit(cache=True, nogil=True)
def _predict(line, vectors, outputs, letters, edges, words, grams, tree, sizes):  # type: ignore[no-untyped-def]
    hidden = np.empty(vectors.shape[1], dtype=np.float32)
    # Each byte begins an n-gram of each length at most, and so do the two brackets of a word, of which there are at
    # most half as many as bytes.
    room = (2 * line.size + 2) * (sizes[2] - max(sizes[1], 1) + 1) + line.size + 1
    listed, looked_up = np.empty(room, dtype=np.int32), np.empty((room, 2), dtype=np.int32)
    _fill_hidden(line, vectors, letters, edges, words, grams, sizes, listed, looked_up, hidden)
    labels = outputs.shape[0]
    best = np.int64(-1)
    best_score = np.float32(0)
    nodes = np.empty(2 * labels, dtype=np.int64)
    scores = np.empty(2 * labels, dtype=np.float32)
    nodes[0], scores[0] = 2 * labels - 2, 0
    waiting = 1
    least = _logarithm(np.float32(0))
    while waiting:
        waiting -= 1
        node, score = nodes[waiting], scores[waiting]
        if score < least or (best >= 0 and score < best_score):
            continue
        if node < labels:
            best, best_score = node, score
            continue
        product = np.float32(0)
        for index in range(hidden.size):
            product += outputs[node - labels, index] * hidden[index]
        share = np.float32(1.0 / np.float64(np.float32(1) + np.float32(math.exp(-product))))
        # The first child is looked at before the second.
        nodes[waiting], scores[waiting] = tree[node - labels, 1], score + _logarithm(share)
        nodes[waiting + 1] = tree[node - labels, 0]
        scores[waiting + 1] = score + _logarithm(np.float32(1.0 - np.float64(share)))
        waiting += 2
    return best, np.float32(math.exp(best_score)) if best >= 0 else np.float32(0)
