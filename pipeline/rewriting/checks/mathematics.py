"""Mathematics: whether the final answer is the source's, and whether the LaTeX is balanced."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.rewriting.checks.check import FAILED, PASSED, UNCHECKED, BatchCheck, PairCheck, clean
from pipeline.rewriting.children import Failed, work_in_children

_WORKER = Path(__file__).with_name("mathematics_worker.py")
_SECONDS, _MEMORY_BYTES = 20.0, 1 << 30
_LONGEST_ANSWER = 300

_HASHES = re.compile(r"^[ \t]*####[ \t]*([^\n]+)", re.MULTILINE)
_SAID = re.compile(
    r"(?:(?:the\s+)?(?:final\s+)?answer\s*(?:is|:|=)|(?:最終的な)?(?:答え|解答|正解|答)\s*(?:は|[:：=＝])|∴)\s*:?\s*([^\n]+)",
    re.IGNORECASE,
)
_MATHEMATICS = re.compile(r"\$\$?([^$]+)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]")
_ENDING = re.compile(r"(?:です|である|となる|になる|となります)?[\s。.、,!！]*\Z")
_BEGIN_END = re.compile(r"\\(begin|end)\s*\{([^{}]*)\}")
_SIZED = re.compile(r"\\(left|right)(?![a-zA-Z])")
_PARAGRAPH = re.compile(r"\n[ \t]*\n")


def final_answer(text: str) -> str | None:
    """The final answer that a text marks as such: behind ####, in a box, or behind words that say so; else None.

    The last of the first kind that there is counts.
    """
    hashes = _HASHES.findall(text)
    if hashes:
        return _bare(hashes[-1])
    boxed = _boxed(text)
    if boxed is not None:
        return _bare(boxed)
    said = _SAID.findall(text)
    return _bare(said[-1]) if said else None


def _bare(written: str) -> str | None:
    """An answer without the sentence around it."""
    written = written.strip().strip("*").strip()
    inside = _boxed(written)
    if inside is not None:
        written = inside
    mathematics = _MATHEMATICS.search(written)
    if mathematics is not None:
        written = next(group for group in mathematics.groups() if group is not None)
    written = _ENDING.sub("", written).strip().strip("*").strip()
    return written if 0 < len(written) <= _LONGEST_ANSWER else None


def _boxed(text: str) -> str | None:
    """What the last \\boxed{…} holds."""
    place = text.rfind("\\boxed{")
    if place < 0:
        return None
    depth, start = 0, place + len("\\boxed{")
    for end in range(start - 1, min(len(text), start + 2 * _LONGEST_ANSWER)):
        depth += (text[end] == "{") - (text[end] == "}")
        if depth == 0:
            return text[start:end]
    return None


def _answers(sources: Sequence[str], answers: Sequence[str], language: str) -> list[tuple[Any, ...]]:
    found = [(final_answer(source), final_answer(answer)) for source, answer in zip(sources, answers, strict=True)]
    verdicts: list[str] = []
    asked = []
    for place, (before, after) in enumerate(found):
        if before is None:
            verdicts.append(UNCHECKED)
        elif after is None:
            verdicts.append(FAILED)
        elif "".join(before.split()) == "".join(after.split()):
            verdicts.append(PASSED)
        else:
            verdicts.append(UNCHECKED)
            asked.append(place)
    if asked and _version("math-verify"):
        pairs = [list(found[place]) for place in asked]
        said = work_in_children(_WORKER, pairs, seconds=_SECONDS, memory_bytes=_MEMORY_BYTES)
        for place, same in zip(asked, said, strict=True):
            if not isinstance(same, Failed) and same is not None:
                verdicts[place] = PASSED if same else FAILED
    return [(verdict, clean(pair[0]), clean(pair[1])) for verdict, pair in zip(verdicts, found, strict=True)]


def latex_faults(text: str) -> list[str]:
    """What is not balanced in a text's LaTeX: braces, dollars, \\( \\[, \\begin and \\left; one entry for each."""
    plain = text.replace("\\\\", "  ")
    faults = []
    environments: list[str] = []
    for way, name in _BEGIN_END.findall(plain):
        if way == "begin":
            environments.append(name)
        elif environments and environments[-1] == name:
            environments.pop()
        else:
            faults.append(f"\\end{{{name}}}")
    faults += [f"\\begin{{{name}}}" for name in environments]
    for opening, closing in (("\\(", "\\)"), ("\\[", "\\]")):
        faults += [opening] * abs(plain.count(opening) - plain.count(closing))
    sized = _SIZED.findall(plain)
    faults += ["\\left"] * abs(sized.count("left") - sized.count("right"))
    without = plain.replace("\\{", "").replace("\\}", "").replace("\\$", "")
    depth = 0
    for letter in without:
        if letter == "{":
            depth += 1
        elif letter == "}":
            if depth == 0:
                faults.append("}")
            depth = max(0, depth - 1)
    faults += ["{"] * depth
    # A lone dollar before a digit is money.
    for paragraph in _PARAGRAPH.split(without):
        if paragraph.count("$") % 2 and not re.search(r"\$\s?\d[\d,.]*(?![^$]*\$)", paragraph):
            faults.append("$")
    return faults


def _latex(source: str, answer: str) -> tuple[str, int]:
    count = len(latex_faults(answer))
    return PASSED if count == 0 or count <= len(latex_faults(source)) else FAILED, count


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


MATH_ANSWER = BatchCheck(
    "math_answer",
    {"math_answer": pa.string(), "source_answer": pa.string(), "found_answer": pa.string()},
    _answers,
    versions=lambda: {name: _version(name) for name in ("latex2sympy2-extended", "math-verify", "sympy")},
)
MATH_LATEX = PairCheck("math_latex", {"latex": pa.string(), "latex_faults": pa.int64()}, _latex)
