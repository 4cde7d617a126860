"""NG words: how much of a text a word list covers, by greedy longest match as Swallow Corpus does (ngword.py)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numba import njit

from filters.text_buffers import code_points

_NO_WORD = -1


def read_word_list(path: Path) -> list[str]:
    """The words of a UTF-8 file, one a line; blank lines and lines that begin with # are no words.

    Raises ValueError naming the file when it cannot be read.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"word list {path} cannot be read as UTF-8 text: {error}") from None
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


class NgWordMatcher:
    """A word list compiled into a trie. A text costs its letters times the letters of the longest word at most."""

    def __init__(self, words: Iterable[str]) -> None:
        distinct = sorted({word for word in words if word})
        self.words = len(distinct)
        children: list[dict[int, int]] = [{}]
        ends = [_NO_WORD]
        for number, word in enumerate(distinct):
            state = 0
            for code in code_points(word).tolist():
                if code not in children[state]:
                    children[state][code] = len(children)
                    children.append({})
                    ends.append(_NO_WORD)
                state = children[state][code]
            ends[state] = number
        # The children of state i are the sorted codes[first[i]:first[i + 1]] and the states in `following`.
        self._first = np.cumsum([0, *(len(each) for each in children)])
        self._codes = np.array([code for each in children for code in sorted(each)], np.uint32)
        self._following = np.array([each[code] for each in children for code in sorted(each)], np.int64)
        self._ends = np.array(ends, np.int64)

    def match(self, codes: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each text of a block: letters inside matched words and distinct words matched, int64 both."""
        return _match(codes, starts, self._first, self._codes, self._following, self._ends, max(1, self.words))


@njit(cache=True, nogil=True)
def _child(code: int, low: int, high: int, codes: np.ndarray) -> int:
    """The place of `code` in the sorted codes[low:high], or -1."""
    while low < high:
        middle = (low + high) // 2
        if codes[middle] < code:
            low = middle + 1
        elif codes[middle] > code:
            high = middle
        else:
            return middle
    return -1


@njit(cache=True, nogil=True)
def _match(
    text: np.ndarray,
    starts: np.ndarray,
    first: np.ndarray,
    codes: np.ndarray,
    following: np.ndarray,
    ends: np.ndarray,
    words: int,
) -> tuple[np.ndarray, np.ndarray]:
    rows = len(starts) - 1
    letters = np.zeros(rows, np.int64)
    kinds = np.zeros(rows, np.int64)
    seen = np.full(words, -1, np.int64)
    for row in range(rows):
        position, stop = starts[row], starts[row + 1]
        while position < stop:
            state, best, word = np.int64(0), 0, -1
            for place in range(position, stop):
                child = _child(text[place], first[state], first[state + 1], codes)
                if child < 0:
                    break
                state = following[child]
                if ends[state] >= 0:
                    best, word = place + 1 - position, ends[state]
            if best:
                letters[row] += best
                if seen[word] != row:
                    seen[word] = row
                    kinds[row] += 1
            position += max(1, best)
    return letters, kinds
