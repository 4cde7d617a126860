"""Behaviour: whether a program gives for the same examples what it gave before its rewrite, run in a sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.rewriting.checks.check import FAILED, PASSED, UNCHECKED, BatchCheck, listed
from pipeline.rewriting.checks.code import versions
from pipeline.rewriting.checks.interfaces import compare
from pipeline.rewriting.children import Failed, work_in_children
from pipeline.rewriting.code import LANGUAGES, Definition
from pipeline.rewriting.sandbox import find_sandbox, run_in_sandbox

_EXAMINER = Path(__file__).with_name("examiner.py")
_SESSIONS = Path(__file__).with_name("sessions_worker.py")
_SECONDS, _MEMORY_BYTES = 10.0, 1 << 30
# Addresses of objects differ from run to run.
_ADDRESS = " at 0x"


def _behaviour(sources: Sequence[str], answers: Sequence[str], language: str) -> list[tuple[Any, ...]]:
    unchecked = (UNCHECKED, 0, 0, None, UNCHECKED)
    sandbox = find_sandbox()
    if language != "python" or sandbox is None:
        return [unchecked] * len(sources)
    before, after = (LANGUAGES["python"].interfaces(texts) for texts in (sources, answers))
    documented, own = (_sessions(texts) for texts in (sources, answers))
    rows = []
    for place, (old, new) in enumerate(zip(before, after, strict=True)):
        if old is None or new is None:
            rows.append(unchecked)
            continue
        rows.append(_pair((sources[place], answers[place]), (old, new), (documented[place], own[place]), sandbox))
    return rows


def _sessions(texts: Sequence[str]) -> list[list[Any]]:
    """The doctests of each program, by docstring."""
    found = work_in_children(_SESSIONS, texts, seconds=_SECONDS, memory_bytes=_MEMORY_BYTES)
    return [[] if isinstance(each, Failed) else each for each in found]


def _pair(
    texts: tuple[str, str],
    interfaces: tuple[list[Definition], list[Definition]],
    documented: tuple[list[Any], list[Any]],
    sandbox: str,
) -> tuple[Any, ...]:
    """Run the source twice, since what differs then is no behaviour, and the answer once."""
    old, new = interfaces
    functions = [[each.name, each.least, each.most] for each in old if each.kind == "function" and "." not in each.name]
    given = {"sessions": documented[0], "functions": functions}
    first, second = (_run({**given, "text": texts[0], "aliases": {}, "own": []}, sandbox) for _ in range(2))
    renamed = compare(old, new).renamed
    last = _run({**given, "text": texts[1], "aliases": renamed, "own": documented[1]}, sandbox)
    own = UNCHECKED
    if last is not None and last["own"]:
        own = PASSED if all(right for _, right in last["own"]) else FAILED
    if first is None or second is None or first["loaded"] or second["loaded"]:
        return UNCHECKED, 0, 0, None, own
    expected = [
        (example, got)
        for (example, got, returned), again in zip(first["outcomes"], second["outcomes"], strict=False)
        if returned and [example, got, returned] == again and _ADDRESS not in got
    ]
    if not expected:
        return UNCHECKED, 0, 0, None, own
    if last is None:
        return FAILED, len(expected), len(expected), "the program did not end", own
    if last["loaded"] == "ModuleNotFoundError":
        return UNCHECKED, 0, 0, None, own
    if last["loaded"]:
        return FAILED, len(expected), len(expected), f"the program raised {last['loaded']}", own
    got_now: dict[str, list[str]] = {}
    for example, got, _ in last["outcomes"]:
        got_now.setdefault(example, []).append(got)
    changed = [
        f"{example} gave {got.strip()[:80]!r}" for example, got in expected if got not in got_now.get(example, [])
    ]
    return FAILED if changed else PASSED, len(expected), len(changed), listed(changed), own


def _run(given: dict[str, Any], sandbox: str) -> dict[str, Any] | None:
    answer = run_in_sandbox(_EXAMINER, given, sandbox).answer
    return answer if isinstance(answer, dict) and {"loaded", "outcomes", "own"} <= answer.keys() else None


CODE_BEHAVIOUR = BatchCheck(
    "code_behaviour",
    {
        "behaviour": pa.string(),
        "examples_run": pa.int64(),
        "examples_changed": pa.int64(),
        "changed_list": pa.string(),
        "doctests": pa.string(),
    },
    _behaviour,
    versions=lambda: {**versions(), "sandbox": find_sandbox()},
)
