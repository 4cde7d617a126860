"""NG words: how much of a text is made of listed expressions, found in one pass whatever the length of the list."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from dedup.shingles import mix
from filters.characters import class_table
from filters.open_addressing import table_size
from filters.text_buffers import code_points

_NO_WORD = -1
_FREE = -1
# A transition's key is its state, then 21 bits of code point (text_buffers.CODE_POINTS).
_CODE_BITS = 21


def read_word_list(path: str | PathLike[str]) -> list[str]:
    """Return the words of a UTF-8 file, one a line, in its order; blank lines and lines that begin with # are no words.

    White space around a word is not part of it. Raises ValueError, naming the file, when it cannot be read as UTF-8.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"word list {path} cannot be read as UTF-8 text: {error}") from None
    # Only newlines part words: str.splitlines would also part them at U+2028 and the like.
    lines = (line.strip() for line in text.split("\n"))
    return [line for line in lines if line and not line.startswith("#")]


class NgWordMatcher:
    """Finds words as Swallow does: from the left, the longest word at each place, no two overlapping.

    Matching is plain: a word inside another is found (アスパラガス holds スパ), and no form is folded into another.
    Bounded matches are those that stand alone in their script; they are sought apart, the longest bounded one first.
    The same whatever the order of `words`, and however often one stands there. Raises TypeError for a lone string and
    ValueError for an empty word. `words` is then the number of distinct words.
    """

    def __init__(self, words: Iterable[str]) -> None:
        if isinstance(words, str):
            raise TypeError("NG words must be a list of strings, not one string")
        distinct = sorted(set(words))
        if distinct and not distinct[0]:
            raise ValueError("an NG word must have at least one character, not be empty")
        self.words = len(distinct)
        spelled = [code_points(word) for word in distinct]
        self._lengths = np.array([len(letters) for letters in spelled], dtype=np.int64)
        self._keys, self._targets, self._fallbacks, self._longest_words = _build(spelled)
        place = {word: index for index, word in enumerate(distinct)}
        shorter = [
            next((place[word[:end]] for end in range(len(word) - 1, 0, -1) if word[:end] in place), _NO_WORD)
            for word in distinct
        ]
        self._shorter_words = np.array(shorter, dtype=np.int64)

    def count(self, codes: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return int64 [rows, 6]: letters in matches, distinct words matched, the same of bounded ones, both's numbers.

        A match is bounded where it ends at both sides with a run of one script (hiragana, katakana, kanji, other
        letters): アス in アスパラガス is not. Row i is the text codes[starts[i]:starts[i + 1]], uint32 code points.
        Linear in the text.
        """
        return _count(
            codes,
            starts,
            self._keys,
            self._targets,
            self._fallbacks,
            self._longest_words,
            self._shorter_words,
            self._lengths,
            class_table(),
        )


def _build(spelled: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (keys, targets, fallbacks, longest_words): an Aho-Corasick automaton of the words read backwards.

    Read backwards, the longest word that ends at a place is the longest that begins there, which is what greedy
    matching from the left asks for. `keys` and `targets` (int64) are an open-addressing table of transitions,
    `fallbacks` [states] the state of the longest proper suffix, `longest_words` [states] the word index or -1.
    """
    children: list[dict[int, int]] = [{}]
    longest_words = [_NO_WORD]
    for word, letters in enumerate(spelled):
        state = 0
        for letter in letters[::-1].tolist():
            if letter not in children[state]:
                children[state][letter] = len(children)
                children.append({})
                longest_words.append(_NO_WORD)
            state = children[state][letter]
        longest_words[state] = word
    fallbacks = [0] * len(children)
    waiting = deque([0])
    while waiting:
        state = waiting.popleft()
        for letter, child in children[state].items():
            waiting.append(child)
            if state:
                fallback = fallbacks[state]
                while fallback and letter not in children[fallback]:
                    fallback = fallbacks[fallback]
                fallbacks[child] = children[fallback].get(letter, 0)
            # A word that ends in a shorter state is shorter: it counts only where the state itself ends none.
            if longest_words[child] == _NO_WORD:
                longest_words[child] = longest_words[fallbacks[child]]
    transitions = [
        (state << _CODE_BITS | letter, child) for state, edges in enumerate(children) for letter, child in edges.items()
    ]
    keys = np.full(table_size(len(transitions)), _FREE, dtype=np.int64)
    targets = np.zeros(len(keys), dtype=np.int64)
    if transitions:
        _fill(keys, targets, np.array(transitions, dtype=np.int64))
    return keys, targets, np.array(fallbacks, dtype=np.int64), np.array(longest_words, dtype=np.int64)


@njit(cache=True, nogil=True, inline="always")
def _slot(keys: Any, key: Any) -> Any:
    """Return where `key` stands in the table, or the free slot where it would."""
    mask = len(keys) - 1
    slot = np.int64(mix(np.uint64(key))) & mask
    while keys[slot] != key and keys[slot] != _FREE:
        slot = (slot + 1) & mask
    return slot


@njit(cache=True, nogil=True)
def _fill(keys: np.ndarray, targets: np.ndarray, transitions: np.ndarray) -> None:
    for index in range(len(transitions)):
        slot = _slot(keys, transitions[index, 0])
        keys[slot] = transitions[index, 0]
        targets[slot] = transitions[index, 1]


@njit(cache=True, nogil=True)
def _count(
    codes: np.ndarray,
    starts: np.ndarray,
    keys: np.ndarray,
    targets: np.ndarray,
    fallbacks: np.ndarray,
    longest_words: np.ndarray,
    shorter_words: np.ndarray,
    lengths: np.ndarray,
    table: np.ndarray,
) -> np.ndarray:
    counts = np.zeros((len(starts) - 1, 6), dtype=np.int64)
    longest = 0
    for row in range(len(starts) - 1):
        longest = max(longest, starts[row + 1] - starts[row])
    word_at = np.empty(longest, dtype=np.int64)
    last_row = np.full(len(lengths), -1, dtype=np.int64)
    last_bounded = np.full(len(lengths), -1, dtype=np.int64)
    for row in range(len(starts) - 1):
        size = starts[row + 1] - starts[row]
        state = 0
        for position in range(size - 1, -1, -1):
            code = np.int64(codes[starts[row] + position])
            while True:
                slot = _slot(keys, (state << _CODE_BITS) | code)
                if keys[slot] != _FREE:
                    state = targets[slot]
                    break
                if state == 0:
                    break
                state = fallbacks[state]
            word_at[position] = longest_words[state]
        position = 0
        while position < size:
            word = word_at[position]
            if word < 0:
                position += 1
                continue
            counts[row, 0] += lengths[word]
            counts[row, 4] += 1
            if last_row[word] != row:
                last_row[word] = row
                counts[row, 1] += 1
            position += lengths[word]
        text = codes[starts[row] : starts[row + 1]]
        position = 0
        while position < size:
            word = word_at[position]
            while word >= 0 and not _is_bounded(text, position, position + lengths[word], table):
                word = shorter_words[word]
            if word < 0:
                position += 1
                continue
            counts[row, 2] += lengths[word]
            counts[row, 5] += 1
            if last_bounded[word] != row:
                last_bounded[word] = row
                counts[row, 3] += 1
            position += lengths[word]
    return counts


@njit(cache=True, nogil=True)
def _is_bounded(text: np.ndarray, begin: int, stop: int, table: np.ndarray) -> bool:
    """Say whether no letter of the same script stands before or behind text[begin:stop]."""
    if begin > 0 and _same_script(table[text[begin - 1]], table[text[begin]]):
        return False
    return stop == len(text) or not _same_script(table[text[stop - 1]], table[text[stop]])


@njit(cache=True, nogil=True, inline="always")
def _same_script(left: int, right: int) -> bool:
    # Bits as in `characters.CLASSES`: 1 hiragana, 2 katakana, 3 kanji, 0 a letter or digit of any script.
    kana_or_kanji = 0b1110
    if (left | right) & kana_or_kanji:
        return left & right & kana_or_kanji > 0
    return left & right & 1 > 0
