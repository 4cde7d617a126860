"""A parser in the sandbox has no network, writes nothing and starts nothing: tried from inside."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import confinement
from pipeline.confinement import CannotConfine, filter_program
from pipeline.errors import KamisukiError
from pipeline.rewriting.children import Failed, work_in_children
from pipeline.web import sandbox as module
from pipeline.web.sandbox import Extraction, Limits, Sandbox
from tests.security import attempts

SECRETS = {
    "AWS_ACCESS_KEY_ID": "a-key-of-nobody",
    "AWS_SECRET_ACCESS_KEY": "a-secret-of-nobody",
    "HF_TOKEN": "a-token-of-nobody",
    "OPENAI_API_KEY": "another-of-nobody",
}
ATTEMPTS = Path(attempts.__file__)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[dict[str, object]]:
    """A folder with a file, and a port of this machine at which somebody listens."""
    (tmp_path / "kept").write_text("as it was")
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield {"folder": str(tmp_path), "port": server.getsockname()[1]}


def test_every_attempt_succeeds_outside_of_the_sandbox(place: dict[str, object]) -> None:
    """Else the test below would prove nothing. Kernels and containers may forbid some to everybody."""
    command = [sys.executable, str(ATTEMPTS), str(place["folder"]), str(place["port"])]
    outcomes = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    failed = {name for name, outcome in outcomes.items() if outcome != "succeeded"}
    assert failed <= {"io_uring", "openat2", "a file without a name", "a handle of another process"}
    assert (Path(str(place["folder"])) / "made").read_text() == "taken over"


def test_no_attempt_succeeds_in_the_sandbox(place: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with Sandbox(Limits(), ATTEMPTS) as sandbox:
        found = sandbox.extract(json.dumps(place), None, None)
        again = sandbox.extract("", None, None)
    assert isinstance(found, Extraction) and isinstance(again, Extraction)
    told = json.loads(found.text)
    assert told["tried"].keys() == attempts.attempts("", 0).keys()
    assert {name: outcome for name, outcome in told["tried"].items() if outcome == "succeeded"} == {}
    folder = Path(str(place["folder"]))
    assert [path.name for path in folder.iterdir()] == ["kept"]
    assert (folder / "kept").read_text() == "as it was"
    assert not set(told["environment"].values()) & set(SECRETS.values())
    assert told["environment"].keys() <= {*module._PASSED_ON, *module._FIXED_ENVIRONMENT, "LC_CTYPE"}


def test_children_that_parse_rewrites_are_confined_too(place: dict[str, object], tmp_path: Path) -> None:
    """Those that judge what a model wrote, unless a tool needs files: one, by name."""
    worker = tmp_path / "worker.py"
    worker.write_text(f"import sys\nsys.path.insert(0, {str(ATTEMPTS.parent)!r})\nimport attempts\n"
                      "def work(given):\n    return attempts.tried(**given)\n")  # fmt: skip
    (outcomes,) = work_in_children(worker, [place], seconds=60, memory_bytes=1 << 30)
    assert not isinstance(outcomes, Failed)
    assert [name for name, outcome in outcomes.items() if outcome == "succeeded"] == []
    rewriting = Path(module.__file__).parents[1] / "rewriting"
    workers = [path for path in rewriting.rglob("*_worker.py") if "WRITES_FILES = True" in path.read_text("utf-8")]
    assert [path.name for path in workers] == ["pylint_worker.py"]


def test_where_nothing_can_be_confined_no_page_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that calls its processor by a name that we have no filter for."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec setarch i686 {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(module.sys, "executable", str(python))
    with (
        Sandbox(Limits(), ATTEMPTS) as sandbox,
        pytest.raises(KamisukiError, match=r"cannot be kept.*extract\.extractor"),
    ):
        sandbox.extract("", None, None)


def verdict(machine: str, number: int, arguments: tuple[int, ...] = (0,) * 6, processor: int | None = None) -> str:
    """What the filter says of a call, by the rules of the kernel's machine."""
    told = {confinement._NUMBER_AT: number, confinement._PROCESSOR_AT: processor}
    if processor is None:
        told[confinement._PROCESSOR_AT] = confinement._PROCESSORS[machine][0]
    told |= {confinement._ARGUMENTS_AT + 8 * place: value for place, value in enumerate(arguments)}
    program, at, word = filter_program(machine), 0, 0
    while True:
        code, yes, no, value = program[at]
        if code == 0x06:
            return {0x80000000: "kill", 0x7FFF0000: "allow"}.get(value, "refuse")
        if code == 0x20:
            word, at = told[value] or 0, at + 1
        else:
            at += 1 + (yes if (word == value if code == 0x15 else word & value) else no)


@pytest.mark.parametrize(
    ("machine", "openat", "read", "refused"),
    [
        # openat, read; socket, connect, clone, execve, ptrace, unlinkat, renameat, mkdirat, clone3, io_uring_setup.
        ("x86_64", 257, 0, (41, 42, 56, 59, 101, 263, 264, 258, 435, 425, 0x40000000, 0x40000001)),
        ("aarch64", 56, 63, (198, 203, 220, 221, 117, 35, 38, 34, 435, 425)),
    ],
)
def test_the_filter_of_each_processor(machine: str, openat: int, read: int, refused: tuple[int, ...]) -> None:
    assert verdict(machine, read) == "allow"
    assert {verdict(machine, number) for number in refused} == {"refuse"}
    # A number that no kernel has yet.
    assert verdict(machine, 5000) == "refuse"
    for flags in (os.O_RDONLY, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY):
        assert verdict(machine, openat, (0, 0, flags, 0, 0, 0)) == "allow"
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_WRONLY | os.O_APPEND, os.O_TMPFILE | os.O_RDWR):
        assert verdict(machine, openat, (0, 0, flags, 0, 0, 0)) == "refuse"
    # Calls of another processor's numbering end the process.
    assert verdict(machine, read, processor=0x40000003) == "kill"


@pytest.mark.skipif(not Path("/usr/include/asm-generic/unistd.h").is_file(), reason="the kernel's headers are absent")
def test_numbers_are_those_of_the_kernels_headers() -> None:
    headers = (
        next(Path("/usr/include").glob("*/asm/unistd_64.h"), None),
        Path("/usr/include/asm-generic/unistd.h"),
    )
    named = {**confinement._ALLOWED, **{name: numbers for name, (numbers, _) in confinement._OPENING.items()}}
    for column, header in enumerate(headers):
        if header is None:
            continue
        words = [line.split() for line in header.read_text().splitlines() if line.startswith("#define __NR")]
        shared = {line[1].removeprefix("__NR3264_"): line[2] for line in words if "__NR3264_" in line[1]}
        numbers = {line[1].removeprefix("__NR_"): line[2] for line in words if line[1].startswith("__NR_")}
        for name, wanted in named.items():
            found = numbers.get(name)
            found = shared.get(found.removeprefix("__NR3264_")) if found and not found.isdigit() else found
            assert (int(found) if found else None) == wanted[column], name


def test_an_unknown_processor_is_said() -> None:
    with pytest.raises(CannotConfine, match="riscv64"):
        filter_program("riscv64")
