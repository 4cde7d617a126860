"""Segmenters: texts to words, as spans of code points: MeCab, Vaporetto, or runs of one script without a dictionary.

A word has no white space at its ends and is not empty. Spans of a text are in order and do not overlap.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numba import njit

from filters.assets import Asset
from filters.characters import class_table
from filters.copies import is_space
from filters.text_buffers import code_point_blocks

# MeCab's lattice takes some hundred bytes a letter: longer lines are cut behind a sentence, else where they stand.
LONGEST_LINE = 10_000

_SENTENCE_END = re.compile("[。．！？!?][」』）)]*")
# Runs without white space as str.split has it, and without NUL, which Vaporetto refuses.
_SOLID = re.compile(r"[^\s\x1c-\x1f\0]+")
_VAPORETTO = b"VaporettoTokenizer "
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_NEWLINE, _SPACE = ord("\n"), ord(" ")


class Segmenter(Protocol):
    """What turns texts into words."""

    def fingerprint(self) -> dict[str, Any]:
        """What decides the words: the segmenter, its version and its dictionary's."""

    def spans(
        self, texts: list[str], codes: np.ndarray, starts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (begins, ends, word_starts), int64, for rows codes[starts[i]:starts[i + 1]], which are also `texts`.

        The words of row i are begins[k] to ends[k], places in `codes`, for k from word_starts[i] to word_starts[i + 1].
        """


class ScriptRuns:
    """Runs of one script: hiragana, katakana with ー, kanji, other letters, digits; any other letter stands alone.

    Needs no dictionary and runs at some hundred times the speed of MeCab. Its words are longer: 食べました is three.
    """

    def fingerprint(self) -> dict[str, Any]:
        """The rule's version."""
        return {"segmenter": "script", "rule_version": 1}

    def spans(
        self, texts: list[str], codes: np.ndarray, starts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See Segmenter."""
        return _script_runs(codes, starts, class_table())


class Mecab:
    """MeCab through fugashi, with the dictionary of an installed wheel: "ipadic" or "unidic-lite"."""

    def __init__(self, dictionary: str) -> None:
        self.dictionary = dictionary
        self._tagger: Any = None

    def fingerprint(self) -> dict[str, Any]:
        """Versions of fugashi, which carries MeCab, and of the dictionary's wheel.

        Raises ValueError when that wheel is not installed.
        """
        try:
            dictionary = version(self.dictionary)
        except PackageNotFoundError:
            raise ValueError(
                f"MeCab's dictionary {self.dictionary} is not installed: install the package {self.dictionary}, or set "
                "annotate.words.dictionary to ipadic"
            ) from None
        return {
            "segmenter": "mecab",
            "fugashi": version("fugashi"),
            "dictionary": f"{self.dictionary} {dictionary}",
            "rule_version": 1,
        }

    def spans(
        self, texts: list[str], codes: np.ndarray, starts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See Segmenter."""
        if self._tagger is None:
            self._tagger = _tagger(self.dictionary)
        parted = pa.array(["\n".join(map(self._tagger.parse, _pieces(text))) for text in texts], pa.large_string())
        begins, ends, word_starts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(1, np.int64)]
        row = count = 0
        for words, parts in code_point_blocks(parted):
            rows = len(parts) - 1
            found = _align(codes, starts[row : row + rows + 1], words, parts)
            begins.append(found[0])
            ends.append(found[1])
            word_starts.append(found[2][1:] + count)
            row += rows
            count += len(found[0])
        return np.concatenate(begins), np.concatenate(ends), np.concatenate(word_starts)


class Vaporetto:
    """Vaporetto with a model that the recipe names, as it is distributed (Zstandard) or plain."""

    def __init__(self, model: Asset) -> None:
        self.model = model
        self._tokenizer: Any = None

    def fingerprint(self) -> dict[str, Any]:
        """The library's version and the model's digest. Raises ValueError when the library is not installed."""
        try:
            library = version("vaporetto")
        except PackageNotFoundError:
            raise ValueError(
                "the package vaporetto is not installed: install it beside kamisuki, or leave out "
                "annotate.words.vaporetto"
            ) from None
        return {"segmenter": "vaporetto", "vaporetto": library, "model": self.model.digest, "rule_version": 1}

    def spans(
        self, texts: list[str], codes: np.ndarray, starts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See Segmenter. Raises ValueError for a file that is no model of this version of Vaporetto."""
        if self._tokenizer is None:
            self._tokenizer = _vaporetto(self.model)
        begins, ends, word_starts = [], [], [0]
        for text, start in zip(texts, starts[:-1].tolist(), strict=True):
            for solid in _SOLID.finditer(text):
                place = start + solid.start()
                for token in self._tokenizer.tokenize(solid[0]):
                    begins.append(place + token.start())
                    ends.append(place + token.end())
            word_starts.append(len(begins))
        return np.array(begins, np.int64), np.array(ends, np.int64), np.array(word_starts, np.int64)


def make_segmenter(settings: Mapping[str, Any]) -> Segmenter:
    """The segmenter that JSON settings name. Raises KeyError for an unknown one."""
    makers: dict[str, Callable[[], Segmenter]] = {
        "mecab": lambda: Mecab(settings["dictionary"]),
        "vaporetto": lambda: Vaporetto(Asset.from_record(settings["model"])),
        "script": ScriptRuns,
    }
    return makers[settings["segmenter"]]()


def _tagger(dictionary: str) -> Any:
    # A handle does not pickle, and loading takes a tenth of a second: each process makes its own when words are needed.
    import fugashi

    if dictionary == "ipadic":
        import ipadic

        return fugashi.GenericTagger(f"{ipadic.MECAB_ARGS} -Owakati")
    import unidic_lite

    return fugashi.GenericTagger(f'-r "{unidic_lite.DICDIR}/mecabrc" -d "{unidic_lite.DICDIR}" -Owakati')


def _vaporetto(model: Asset) -> Any:
    import vaporetto

    path = model.checked()
    content = path.read_bytes()
    if content.startswith(_ZSTANDARD):
        with pa.input_stream(str(path), compression="zstd") as stream:
            content = stream.read()
    try:
        # The library panics at what is shorter than its mark.
        if not content.startswith(_VAPORETTO):
            raise ValueError("it does not begin with Vaporetto's mark")
        return vaporetto.Vaporetto(content, norm=True)
    except ValueError as error:
        raise ValueError(f"{path} is no model of vaporetto {version('vaporetto')}: {error}") from None


def _pieces(text: str) -> Iterator[str]:
    """The lines of a text, cut where they are longer than MeCab should take at once; NUL, which ends its input, out."""
    for line in text.replace("\0", " ").split("\n"):
        while len(line) > LONGEST_LINE:
            cut = max((found.end() for found in _SENTENCE_END.finditer(line, 0, LONGEST_LINE)), default=LONGEST_LINE)
            yield line[:cut]
            line = line[cut:]
        yield line


@njit(cache=True, nogil=True)
def _align(
    codes: np.ndarray, starts: np.ndarray, words: np.ndarray, parts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the words of `words`, parted by spaces and newlines, in the texts that they were made from."""
    begins = np.empty(len(words) + 1, dtype=np.int64)
    ends = np.empty(len(words) + 1, dtype=np.int64)
    word_starts = np.zeros(len(parts), dtype=np.int64)
    count = 0
    for row in range(len(parts) - 1):
        place, begin = starts[row], np.int64(-1)
        for index in range(parts[row], parts[row + 1] + 1):
            code = words[index] if index < parts[row + 1] else np.uint32(_SPACE)
            if code != _SPACE and code != _NEWLINE:
                while place < starts[row + 1] and codes[place] != code:
                    place += 1
                if begin < 0:
                    begin = place
                place += 1
            elif begin >= 0:
                stop = place
                while begin < stop and is_space(codes[begin]):
                    begin += 1
                while stop > begin and is_space(codes[stop - 1]):
                    stop -= 1
                if stop > begin:
                    begins[count], ends[count] = begin, stop
                    count += 1
                begin = np.int64(-1)
        word_starts[row + 1] = count
    return begins[:count].copy(), ends[:count].copy(), word_starts


@njit(cache=True, nogil=True)
def _script_runs(codes: np.ndarray, starts: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    begins = np.empty(len(codes), dtype=np.int64)
    ends = np.empty(len(codes), dtype=np.int64)
    word_starts = np.zeros(len(starts), dtype=np.int64)
    count = 0
    for row in range(len(starts) - 1):
        before = 0
        for place in range(starts[row], starts[row + 1]):
            code = codes[place]
            if is_space(code):
                before = 0
                continue
            kinds = table[code]
            # Bits as in `characters.CLASSES`: 1 hiragana, 2 katakana, 3 kanji, 0 letters and digits of any script.
            if 0x30 <= code <= 0x39 or 0xFF10 <= code <= 0xFF19:
                script = 5
            elif kinds & 2:
                script = 1
            elif kinds & 4:
                script = 2
            elif kinds & 8:
                script = 3
            elif kinds & 1:
                script = 4
            else:
                script = 0
            if script and script == before:
                ends[count - 1] = place + 1
            else:
                begins[count], ends[count] = place, place + 1
                count += 1
            before = script
        word_starts[row + 1] = count
    return begins[:count].copy(), ends[:count].copy(), word_starts
