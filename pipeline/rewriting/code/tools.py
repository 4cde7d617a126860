"""Command-line tools: found, asked for their version, and run over a batch of texts as files in one process."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# CPU seconds for a batch, and for each text in it; the clock may take ten times as long.
_BATCH_SECONDS, _TEXT_SECONDS = 30, 2
_CLOCK_FACTOR = 10
_NAME = re.compile(r"text\d{6}")


@dataclass(frozen=True)
class Ran:
    """What a tool did with one text: its file afterwards, what it said about it, all that it wrote to stdout."""

    text: str | None
    error: str | None
    output: str
    name: str


@cache
def find_tool(name: str) -> str | None:
    """The path of a tool: beside the running Python, else on PATH; None where there is none."""
    return shutil.which(name, path=os.path.dirname(sys.executable)) or shutil.which(name)


@cache
def tool_version(name: str, *arguments: str) -> str | None:
    """What a tool says when asked for its version; None where there is none or it does not answer."""
    path = find_tool(name)
    if path is None:
        return None
    try:
        ran = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (ran.stdout or ran.stderr).strip().split("\n")[0] if ran.returncode == 0 else None


def run_on_files(texts: Sequence[str], suffix: str, command: Callable[[list[str]], list[str]]) -> list[Ran]:
    """Write texts to files, run `command` of their names once in their folder, and read them again.

    Errors are told apart by the names of files on stderr. A process that a text kills or stalls is run again on the
    halves of its batch, so that one text fails alone. A text that is no Unicode fails without being run.
    """
    encoded = [_encoded(text) for text in texts]
    places = [place for place, data in enumerate(encoded) if data is not None]
    answers = [Ran(None, "UnicodeEncodeError: a lone surrogate", "", "")] * len(texts)
    for place, ran in zip(places, _run([encoded[place] or b"" for place in places], suffix, command), strict=True):
        answers[place] = ran
    return answers


def _encoded(text: str) -> bytes | None:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None


def _run(texts: list[bytes], suffix: str, command: Callable[[list[str]], list[str]]) -> list[Ran]:
    if not texts:
        return []
    names = [f"text{place:06}{suffix}" for place in range(len(texts))]
    with tempfile.TemporaryDirectory(prefix="kamisuki-") as folder:
        for name, data in zip(names, texts, strict=True):
            (Path(folder) / name).write_bytes(data)
        output, errors, ending = _process(command(names), folder, len(texts))
        if ending is None:
            after = [_read(Path(folder) / name) for name in names]
            said = _by_name(errors, suffix)
            return [Ran(text, said.get(name), output, name) for name, text in zip(names, after, strict=True)]
    if len(texts) == 1:
        return [Ran(None, ending, "", names[0])]
    half = len(texts) // 2
    return _run(texts[:half], suffix, command) + _run(texts[half:], suffix, command)


def _process(command: list[str], folder: str, count: int) -> tuple[str, str, str | None]:
    """stdout, stderr and how a process ended; None for one that ended by itself."""
    seconds = _BATCH_SECONDS + _TEXT_SECONDS * count
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": folder, "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment,
        text=True,
        errors="replace",
    ) as process:
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (seconds, seconds))
        try:
            output, errors = process.communicate(timeout=seconds * _CLOCK_FACTOR)
        except subprocess.TimeoutExpired:
            process.kill()
            return "", "", "timed out"
    return output, errors, f"ended by signal {-process.returncode}" if process.returncode < 0 else None


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None


def _by_name(errors: str, suffix: str) -> dict[str, str]:
    """The first line about each file, by its name."""
    said: dict[str, str] = {}
    for line in errors.split("\n"):
        found = _NAME.search(line)
        if found is not None:
            # Its place in the batch is no part of what is wrong with a text.
            said.setdefault(found[0] + suffix, line.replace(found[0], "text").strip()[:500])
    return said
