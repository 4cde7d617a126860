"""Swallow Corpus v1's published definitions and our own counting, written plainly to compare the fast code with."""

import collections
import re
import unicodedata

KANA = re.compile("[\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
SENTENCE = re.compile("[^。．！？!?]+[。．！？!?]?")


def is_in(code: int, *ranges: tuple[int, int]) -> bool:
    return any(first <= code <= last for first, last in ranges)


def scripts(text: str) -> dict[str, int]:
    """How many letters of each kind by Swallow's counting and by ours."""
    counts: collections.Counter[str] = collections.Counter()
    for character in text:
        code = ord(character)
        point = character in "、，。．！？"
        counts["swallow_hiragana"] += is_in(code, (0x3041, 0x3096))
        counts["swallow_katakana"] += is_in(code, (0x30A1, 0x30FA))
        counts["swallow_kanji"] += character in "々〇〻" or is_in(code, (0x3400, 0x9FFF), (0xF900, 0xFAFF))
        counts["hiragana"] += is_in(code, (0x3041, 0x3096), (0x309D, 0x309F))
        counts["katakana"] += is_in(code, (0x30A1, 0x30FA), (0x30FC, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F))
        counts["kanji"] += character in "々〇〻" or is_in(
            code, (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF)
        )
        counts["points"] += point
        counts["letters"] += unicodedata.category(character)[0] in "LN" or character in "\u3099\u309a"
    counts["japanese"] = sum(counts[kind] for kind in ("hiragana", "katakana", "kanji", "points"))
    counts["swallow"] = sum(
        counts[kind] for kind in ("swallow_hiragana", "swallow_katakana", "swallow_kanji", "points")
    )
    return counts


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def copies(items: list[str]) -> tuple[int, int]:
    """Items beyond the first of their kind, and the characters in them."""
    counted = collections.Counter(items)
    return len(items) - len(counted), sum(len(item) * (times - 1) for item, times in counted.items())


def signals(text: str) -> dict[str, float]:
    """All signals of a text but those of NG words."""
    kinds = scripts(text)
    by_line = [SENTENCE.findall(line) for line in text.split("\n")]
    lines = ["".join(found) for found in by_line]
    sentences = [sentence for found in by_line for sentence in found]
    line_copies, line_copy_characters = copies(lines)
    sentence_copies, sentence_copy_characters = copies(sentences)
    kept = sum(map(len, sentences))
    values = {
        "characters": len(text),
        "letters": kinds["letters"],
        "before_kana": next((at for at, letter in enumerate(text) if KANA.match(letter)), len(text)),
        "mean_kuten_distance": len(text) / text.count("。") if "。" in text else float("inf") if text else 0.0,
        "japanese_letters": kinds["japanese"],
        "hiragana_ratio": share(kinds["hiragana"], kinds["japanese"]),
        "katakana_ratio": share(kinds["katakana"], kinds["japanese"]),
        "kanji_ratio": share(kinds["kanji"], kinds["japanese"]),
        "japanese_ratio": share(kinds["japanese"], len(text)),
        "swallow_japanese_letters": kinds["swallow"],
        "swallow_hiragana_ratio": share(kinds["swallow_hiragana"], kinds["swallow"]),
        "swallow_katakana_ratio": share(kinds["swallow_katakana"], kinds["swallow"]),
        "swallow_japanese_ratio": share(kinds["swallow"], len(text)),
        "lines": len(lines),
        "sentences": len(sentences),
        "mean_sentence_length": share(kept, len(sentences)),
        "longest_sentence": max(map(len, sentences), default=0),
        "ellipsis_sentence_ratio": share(sum(s.strip().endswith(("・", "…")) for s in sentences), len(sentences)),
        "duplicate_line_ratio": share(line_copies, len(lines)),
        "duplicate_line_character_ratio": share(line_copy_characters, kept),
        "duplicate_sentence_ratio": share(sentence_copies, len(sentences)),
        "duplicate_sentence_character_ratio": share(sentence_copy_characters, kept),
    }
    for n in range(2, 11):
        grams = collections.Counter(text[start : start + n] for start in range(len(text) - n + 1))
        total = sum(grams.values())
        if n < 5:
            values[f"top_{n}gram_ratio"] = share(max(grams.values(), default=0), total)
        else:
            repeated = sum(times > 1 for times in grams.values())
            values[f"repeated_{n}gram_type_ratio"] = share(repeated, len(grams))
            values[f"repeated_{n}gram_occurrence_ratio"] = share(total - len(grams), total)
    return values


def keeps_v1(measured: dict[str, float], by_occurrence: bool = False) -> bool:
    """Swallow Corpus v1's `apply_v1` (quality.py): each line drops a document. Its NG words are not published."""
    counted = "occurrence" if by_occurrence else "type"
    dropped = (
        measured["characters"] < 400,
        measured["swallow_japanese_letters"] < 400,
        measured["swallow_hiragana_ratio"] < 0.20,
        measured["swallow_katakana_ratio"] > 0.50,
        measured["swallow_japanese_ratio"] < 0.50,
        measured["mean_sentence_length"] < 20,
        measured["mean_sentence_length"] > 90,
        measured["longest_sentence"] > 200,
        measured["ellipsis_sentence_ratio"] > 0.20,
        measured["duplicate_line_ratio"] > 0.30,
        measured["duplicate_line_character_ratio"] > 0.20,
        measured["duplicate_sentence_ratio"] > 0.30,
        measured["duplicate_sentence_character_ratio"] > 0.20,
        measured["top_2gram_ratio"] > 0.20,
        measured["top_3gram_ratio"] > 0.18,
        measured["top_4gram_ratio"] > 0.16,
        *(
            measured[f"repeated_{n}gram_{counted}_ratio"] > limit
            for n, limit in zip(range(5, 11), (0.15, 0.14, 0.13, 0.12, 0.11, 0.10), strict=True)
        ),
    )
    return not any(dropped)


def keeps_v2(measured: dict[str, float], mean: bool = False, longest: bool = False) -> bool:
    """Swallow Corpus v2's table 4, which drops at "or more"; `mean` and `longest` as its two readings have them."""
    dropped = (
        measured["swallow_japanese_letters"] < 400,
        measured["swallow_hiragana_ratio"] < 0.20,
        measured["ellipsis_sentence_ratio"] >= 0.20,
        measured["duplicate_line_ratio"] >= 0.30,
        measured["duplicate_line_character_ratio"] >= 0.20,
        measured["top_2gram_ratio"] >= 0.20,
        measured["top_3gram_ratio"] >= 0.18,
        measured["top_4gram_ratio"] >= 0.16,
        mean and not 20 <= measured["mean_sentence_length"] < 90,
        longest and measured["longest_sentence"] >= 200,
    )
    return not any(dropped)
