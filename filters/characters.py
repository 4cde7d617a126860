"""Classes of characters: which are Japanese, by a right counting and by Swallow Corpus v1's own."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import numpy as np
from numba import njit

from filters.shares import share
from filters.text_buffers import CODE_POINTS, code_points

# The classes that a right counting knows: iteration marks, ー, small kana for Ainu, half-width kana, astral kanji.
HIRAGANA = ((0x3041, 0x3096), (0x309D, 0x309F))
KATAKANA = ((0x30A1, 0x30FA), (0x30FC, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F))
KANJI = (
    (0x3005, 0x3005),
    (0x3007, 0x3007),
    (0x303B, 0x303B),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x323AF),
)
# Swallow Corpus v1, quality.py count_japanese_letters (its pattern for astral kanji never matches in Python 3).
SWALLOW_HIRAGANA = ((0x3041, 0x3096),)
SWALLOW_KATAKANA = ((0x30A1, 0x30FA),)
SWALLOW_KANJI = ((0x3005, 0x3005), (0x3007, 0x3007), (0x303B, 0x303B), (0x3400, 0x9FFF), (0xF900, 0xFAFF))
JAPANESE_POINTS = tuple((ord(point), ord(point)) for point in "、，。．！？")
# Combining voiced sound marks are parts of kana; as marks they would not count as letters.
VOICED_MARKS = (0x3099, 0x309A)

# Bit i of the class table, in the order of the columns that `count_classes` gives after the letters.
CLASSES = (HIRAGANA, KATAKANA, KANJI, JAPANESE_POINTS, SWALLOW_HIRAGANA, SWALLOW_KATAKANA, SWALLOW_KANJI)
_LETTER_BIT = 0
_COLUMNS = 1 + len(CLASSES)
# Code points that are looked at together.
_BLOCK = 256
# What str.isalnum takes, which are the characters of Unicode's classes L and N: a test looks at every one.
_ANY_LETTER = re.compile(r"[^\W_]")


@lru_cache(maxsize=1)
def class_table() -> np.ndarray:
    """The classes of every code point as bits, uint8: bit 0 for letters and digits (Unicode L and N), then CLASSES."""
    table = np.zeros(CODE_POINTS, np.uint8)
    for first in range(0, 0x110000, _BLOCK):
        block = "".join(map(chr, range(first, first + _BLOCK)))
        # Most blocks are all ideographs or syllables, or are not assigned.
        if block.isalnum():
            table[first : first + _BLOCK] |= 1 << _LETTER_BIT
        elif _ANY_LETTER.search(block):
            letters = [unicodedata.category(character)[0] in "LN" for character in block]
            table[first : first + _BLOCK] |= np.array(letters, np.uint8) << _LETTER_BIT
    for code in VOICED_MARKS:
        table[code] |= 1 << _LETTER_BIT
    for bit, ranges in enumerate(CLASSES, start=1):
        for first, last in ranges:
            table[first : last + 1] |= np.uint8(1 << bit)
    return table


@njit(cache=True, nogil=True)
def count_classes(codes: np.ndarray, starts: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return int64 [rows, 10]: code points, letters, those of each of CLASSES, and those before the first kana."""
    counts = np.zeros((len(starts) - 1, 10), dtype=np.int64)
    seen = np.zeros(256, dtype=np.int64)
    for row in range(len(starts) - 1):
        # Letters come in few combinations of classes: counting those takes one addition a letter.
        seen[:] = 0
        for position in range(starts[row], starts[row + 1]):
            seen[table[codes[position]]] += 1
        counts[row, 0] = starts[row + 1] - starts[row]
        counts[row, 9] = counts[row, 0]
        for position in range(starts[row], starts[row + 1]):
            # Bits 1 and 2 are those of hiragana and katakana.
            if table[codes[position]] & 6:
                counts[row, 9] = position - starts[row]
                break
        for kinds in range(256):
            if seen[kinds]:
                for bit in range(8):
                    if kinds >> bit & 1:
                        counts[row, 1 + bit] += seen[kinds]
    return counts


def character_signals(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return the signals of characters, by name, from what `count_classes` gives."""
    characters, letters, hiragana, katakana, kanji, points = (counts[:, column] for column in range(6))
    japanese = hiragana + katakana + kanji + points
    swallow = counts[:, 6] + counts[:, 7] + counts[:, 8] + points
    return {
        "characters": characters,
        "letters": letters,
        "before_kana": counts[:, 9],
        "japanese_letters": japanese,
        "hiragana_ratio": share(hiragana, japanese),
        "katakana_ratio": share(katakana, japanese),
        "kanji_ratio": share(kanji, japanese),
        "japanese_ratio": share(japanese, characters),
        "swallow_japanese_letters": swallow,
        "swallow_hiragana_ratio": share(counts[:, 6], swallow),
        "swallow_katakana_ratio": share(counts[:, 7], swallow),
        "swallow_japanese_ratio": share(swallow, characters),
    }


def kana_ratio(text: str) -> float:
    """Hiragana and katakana among the letters and digits of a text, 0.0 to 1.0; 0.0 where there are none."""
    letters, kana = _letters_and_kana(code_points(text), class_table())
    return min(1.0, kana / letters) if letters else 0.0


@njit(cache=True, nogil=True)
def _letters_and_kana(codes: np.ndarray, table: np.ndarray) -> tuple[int, int]:
    letters = kana = 0
    for position in range(codes.size):
        kinds = table[codes[position]]
        letters += kinds & 1
        kana += (kinds >> 1 & 1) + (kinds >> 2 & 1)
    return letters, kana
