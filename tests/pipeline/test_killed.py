"""Drivers, workers, sandboxes and raylets are killed; the run that follows ends with the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.cluster.nodes import descendants
from tests.pipeline.conftest import ENVIRONMENT, TRAFILATURA, command, execute, table_bytes


def start(out: Path, inputs: list[Path], *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(out, inputs, *more),
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def wait_for(out: Path, pattern: str, process: subprocess.Popen[str]) -> bool:
    """Wait until a file appears that was not there before; False when the process ended without one."""
    before = set(out.glob(pattern))
    while not set(out.glob(pattern)) - before:
        if process.poll() is not None:
            return False
        time.sleep(0.002)
    return True


# A file whose appearance says that a stage is in the middle of its work.
MIDDLE_OF = [
    "documents-*/*.ledger.json",
    "documents-*/.part*.tmp",
    "signals-*/*.ledger.json",
    "signatures-*/*.ledger.json",
    "candidates-*/exchange/keys/*.ledger.json",
    "candidates-*/exchange/components/*",
    "verdicts-*/*.ledger.json",
    "duplicates-*/exchange/*.run",
    "duplicates-*/removed/.*.tmp",
    "corpus-*/*.ledger.json",
]


def test_a_driver_killed_in_the_middle_of_every_stage_leaves_a_run_that_ends_the_same(parts, reference, tmp_path):
    killed = 0
    for pattern in MIDDLE_OF:
        process = start(tmp_path, parts, "--workers", "0")
        if wait_for(tmp_path, pattern, process):
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.communicate()
    assert killed >= 5, "too few kills met a run at work"
    final = start(tmp_path, parts, "--workers", "0")
    printed, _ = final.communicate()
    assert final.returncode == 0, printed
    assert table_bytes(tmp_path) == reference
    assert not list(tmp_path.rglob("*.tmp"))


def test_an_interrupt_is_one_line_and_status_knows_the_run_from_its_start(parts, reference, tmp_path):
    process = start(tmp_path, parts, "--workers", "0")
    assert wait_for(tmp_path, "documents-*/*.ledger.json", process)
    os.kill(process.pid, signal.SIGINT)
    printed, _ = process.communicate()
    if process.returncode:
        assert process.returncode == 130
        assert (
            "kamisuki: stopped; what is finished is kept, run again to go on" in printed and "Traceback" not in printed
        )
    told = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "status", str(tmp_path)], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert told.returncode == 0 and "extract" in told.stdout, told.stderr
    execute(tmp_path, parts)
    assert table_bytes(tmp_path) == reference


def processes(text: str, session: int | None = None) -> list[int]:
    """Processes whose command line holds a text, of one session where given."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                in_session = session is None or os.getsid(int(folder.name)) == session
            except (FileNotFoundError, ProcessLookupError):
                continue
            if text in line and in_session:
                found.append(int(folder.name))
    return found


def kill_some(root: int, text: str, stop: threading.Event, killed: list[int], most: int) -> None:
    """Kill processes below `root` whose command line holds a text, one every third of a second, `most` in all."""
    while not stop.is_set() and len(killed) < most:
        victims = sorted(set(processes(text)) & descendants(root) - set(killed))
        for victim in victims[:1]:
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)
        stop.wait(0.35)


@pytest.mark.slow
def test_two_workers_that_are_killed_and_lose_their_sandboxes_give_the_same_bytes(parts, tmp_path):
    execute(tmp_path / "undisturbed", parts, overrides=TRAFILATURA)
    process = start(tmp_path / "out", parts, "--workers", "2", "--set", *TRAFILATURA)
    stop, sandboxes, workers = threading.Event(), [], []
    threads = [
        threading.Thread(target=kill_some, args=(process.pid, "sandbox_child", stop, sandboxes, 3)),
        threading.Thread(target=kill_some, args=(process.pid, "ray::part", stop, workers, 2)),
    ]
    for thread in threads:
        thread.start()
    printed, _ = process.communicate(timeout=150)
    stop.set()
    for thread in threads:
        thread.join()
    assert process.returncode == 0, printed
    assert sandboxes and workers, "each kind must have been killed"
    assert table_bytes(tmp_path / "out") == table_bytes(tmp_path / "undisturbed")


@pytest.mark.slow
def test_a_run_whose_raylet_was_killed_ends_and_the_next_one_gives_the_same_bytes(parts, reference, tmp_path):
    process = start(tmp_path, parts, "--workers", "2")
    assert wait_for(tmp_path, "documents-*/.part*.tmp", process)
    raylets = set(processes("raylet/raylet")) & descendants(process.pid)
    for raylet in raylets:
        os.kill(raylet, signal.SIGKILL)
    assert raylets
    printed, _ = process.communicate(timeout=150)
    assert process.returncode != 0 and "Traceback" not in printed, printed
    again = start(tmp_path, parts, "--workers", "0")
    printed, _ = again.communicate(timeout=150)
    assert again.returncode == 0, printed
    assert table_bytes(tmp_path) == reference
