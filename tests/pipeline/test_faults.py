"""Whatever is killed, cut, missing, full or wrong: one clear line, the right exit code, and nothing else is lost."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from tests.pipeline.conftest import ROOT, SAMPLE, execute, table_bytes, table_rows
from tests.pipeline.test_run import run_cli, split_sample

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}


def command(out: Path, inputs: list[Path] | list[str], *more: str) -> list[str]:
    given = [word for item in inputs for word in ("--input", str(item))]
    return [sys.executable, "-m", "pipeline.cli", "run", "demo", "--out", str(out), *given, *more]


def start(out: Path, inputs: list[Path], *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(out, inputs, *more),
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> list[Path]:
    return split_sample(tmp_path_factory.mktemp("parts"), 6)


@pytest.fixture(scope="module")
def reference(parts, tmp_path_factory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("reference")
    execute(out, parts)
    return table_bytes(out)


def wait_for(out: Path, pattern: str, process: subprocess.Popen[str]) -> bool:
    """Wait until a file matches; False when the process ended before."""
    while not any(out.glob(pattern)):
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
    told = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "status", str(tmp_path)], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert told.returncode == 0 and "extract" in told.stdout, told.stderr
    os.kill(process.pid, signal.SIGINT)
    printed, _ = process.communicate()
    if process.returncode:
        assert process.returncode == 130
        assert "finished shards are kept" in printed and "Traceback" not in printed
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


def descendants(root: int) -> set[int]:
    """A process and all below it."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    family = {root}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def kill_some(root: int, text: str, stop: threading.Event, killed: list[int], most: int) -> None:
    """Kill processes below `root` whose command line holds a text, one every third of a second, `most` in all."""
    while not stop.is_set() and len(killed) < most:
        victims = sorted(set(processes(text)) & descendants(root) - set(killed))
        for victim in victims[:1]:
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)
        stop.wait(0.35)


def test_two_workers_that_are_killed_and_lose_their_sandboxes_give_the_same_bytes(parts, reference, tmp_path):
    process = start(tmp_path, parts, "--workers", "2")
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
    assert sandboxes or workers, "nothing was killed"
    assert table_bytes(tmp_path) == reference


def test_a_run_whose_raylet_was_killed_ends_and_the_next_one_gives_the_same_bytes(parts, reference, tmp_path):
    process = start(tmp_path, parts, "--workers", "2")
    assert wait_for(tmp_path, "documents-*/.part*.tmp", process)
    raylets = set(processes("raylet/raylet")) & descendants(process.pid)
    for raylet in raylets:
        os.kill(raylet, signal.SIGKILL)
    assert raylets
    printed, _ = process.communicate(timeout=150)
    assert process.returncode != 0, printed
    again = start(tmp_path, parts, "--workers", "0")
    printed, _ = again.communicate(timeout=150)
    assert again.returncode == 0, printed
    assert table_bytes(tmp_path) == reference


CLUSTER = """
import sys, threading, time, glob
import ray
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
second = cluster.add_node(num_cpus=1)
def lose_a_node():
    while not glob.glob(sys.argv[1] + "/documents-*/.part*.tmp"):
        time.sleep(0.01)
    cluster.remove_node(second, allow_graceful=False)
threading.Thread(target=lose_a_node, daemon=True).start()
sys.argv = ["kamisuki", "run", "demo", "--out", sys.argv[1], "--ray-address", cluster.address, *sys.argv[2:]]
from pipeline.cli import main
code = 0
try:
    main()
except SystemExit as stop:
    code = stop.code or 0
ray.shutdown()
cluster.shutdown()
sys.exit(code)
"""


def test_a_run_over_two_nodes_of_which_one_dies_gives_the_same_bytes(parts, reference, tmp_path):
    given = [word for item in parts for word in ("--input", str(item))]
    done = subprocess.run(
        [sys.executable, "-c", CLUSTER, str(tmp_path), *given],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert table_bytes(tmp_path) == reference


def write_pages(path: Path, pages: dict[str, str]) -> Path:
    with open(path, "wb") as file:
        writer = WARCWriter(file, gzip=True)
        for url, html in pages.items():
            from io import BytesIO

            headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.1")
            body = BytesIO(html.encode())
            writer.write_record(writer.create_warc_record(url, "response", payload=body, http_headers=headers))
    return path


GOOD = "<html lang=ja><title>紙</title><body><article>" + "".join(
    f"<p>和紙は{n}枚目の簀の上で水をくぐり、繊維がからみあって一枚の紙になります。</p>" for n in range(12)
) + "</article></body></html>"  # fmt: skip


def test_pages_that_cost_too_much_time_or_memory_cost_themselves_alone(tmp_path):
    heavy = "<html lang=ja><body>" + "".join(
        f"<div><p>長い文章の{n}段落目です。</p><a href=x>次</a></div>" for n in range(30_000)
    )
    pages = {
        "https://a.example/1": GOOD,
        "https://a.example/heavy": heavy,
        "https://a.example/2": GOOD.replace("枚目", "番目"),
    }
    path = write_pages(tmp_path / "pages.warc.gz", pages)
    execute(tmp_path / "time", [path], overrides=("extract.limits.cpu_seconds=0.5",), last="extract")
    execute(tmp_path / "memory", [path], overrides=("extract.limits.memory_bytes=60000000",), last="extract")
    for out, reason in (("time", "extraction_cpu_limit"), ("memory", "extraction_memory_limit")):
        assert [(row["url"], row["reason"]) for row in table_rows(tmp_path / out, "extract_rejects")] == [
            ("https://a.example/heavy", reason)
        ]
        assert len(table_rows(tmp_path / out, "documents")) == 2


BAD_INPUTS = {
    "empty.warc.gz": (b"", "empty"),
    "picture.warc.gz": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "WARC"),
    "page.warc": (b"<!DOCTYPE html><html><body>no WARC</body></html>" * 20, "WARC"),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_a_file_that_is_no_warc_fails_alone_with_one_line_and_can_be_waived(parts, tmp_path, monkeypatch, capsys, name):
    bad = tmp_path / name
    data, word = BAD_INPUTS[name]
    bad.write_bytes(data)
    out = tmp_path / "out"
    arguments = ["run", "demo", "--out", str(out), "--workers", "0", "--input", str(parts[0]), "--input", str(bad)]
    code, _, error = run_cli(monkeypatch, capsys, *arguments)
    assert code == 1
    last = error.strip().splitlines()[-1]
    assert last.startswith("kamisuki: extract: 1 shards failed") and name in last and word in last
    assert "Traceback" not in error
    assert len(list(out.glob("documents-*/part-0.parquet"))) == 1, "the good shard is kept"
    code, printed, _ = run_cli(monkeypatch, capsys, *arguments, "--set", "max_failed_shards=1")
    assert code == 0 and "waived" in printed
    assert table_rows(out, "corpus")
    code, printed, _ = run_cli(monkeypatch, capsys, "status", str(out))
    assert "failed" in printed and name in printed


def test_a_warc_cut_in_the_middle_gives_all_that_stands_before_the_cut(tmp_path):
    data = SAMPLE.read_bytes()
    (tmp_path / "cut.warc.gz").write_bytes(data[: len(data) // 2])
    job = execute(tmp_path / "out", [tmp_path / "cut.warc.gz"])
    (entry,) = job.execute([], last="extract")["documents"].entries.values()
    assert entry.errors["cut_record"] == 1 and entry.balance() == 0
    assert len(table_rows(tmp_path / "out", "documents")) > 20


def test_an_input_that_vanishes_before_it_is_read_is_named(parts, tmp_path, monkeypatch, capsys):
    copies = split_sample(tmp_path / "in", 2)
    code, _, error = run_cli(
        monkeypatch, capsys, "run", "demo", "--out", str(tmp_path / "out"), "--input", "/nowhere/x.warc.gz"
    )
    assert code == 2 and error.strip() == "kamisuki: input '/nowhere/x.warc.gz' does not exist"
    execute(tmp_path / "out", copies[:1], last="extract")
    copies[1].unlink()
    code, _, error = run_cli(
        monkeypatch, capsys, "run", "demo", "--out", str(tmp_path / "out"), "--input", str(copies[1])
    )
    assert code == 2 and "does not exist" in error


def test_an_output_that_cannot_be_written_is_one_line(parts, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    code, _, error = run_cli(
        monkeypatch, capsys, "run", "demo", "--out", str(tmp_path / "file" / "out"), "--input", str(parts[0])
    )
    assert code == 2 and error.startswith("kamisuki: cannot write to the output folder") and error.count("\n") == 1


def test_a_disk_that_is_full_is_one_line_and_the_next_run_goes_on(parts, reference, tmp_path):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))

    full = subprocess.run(
        command(tmp_path, parts, "--workers", "0"), env=ENVIRONMENT, capture_output=True, text=True, preexec_fn=limit
    )
    assert full.returncode == 1
    last = full.stderr.strip().splitlines()[-1]
    assert last.startswith("kamisuki: ") and "no space left for the output" in last and "Traceback" not in full.stderr
    assert not list(tmp_path.rglob(".*.tmp"))
    execute(tmp_path, parts)
    assert table_bytes(tmp_path) == reference


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nobody"], "no recipe 'nobody'"),
        (["run", "demo", "--set", "select.rules.kana.min=3"], "no rule on 'kana'"),
        (["run", "demo", "--from", "select", "--until", "extract"], "comes after"),
        (["run", "demo", "--from", "filter"], "unknown stage 'filter'"),
        (["run", "demo", "--workers", "0", "--ray-address", "x"], "give one of them"),
        (["run", "demo"], "no input given"),
        (["status"], "holds no run"),
        (["path"], "holds no run"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, arguments, message):
    out = str(tmp_path / "out")
    where = ["--out", out] if arguments[0] == "run" else [out]
    code, _, error = run_cli(monkeypatch, capsys, *arguments[:1], *arguments[1:], *where)
    assert code == 2 and message in error and error.count("\n") == 1


def test_an_unknown_signal_in_a_recipe_is_named_with_its_line(tmp_path, monkeypatch, capsys):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("name: mine\nselect:\n  rules:\n    - {signal: kana_share, min: 0.2}\n")
    code, _, error = run_cli(monkeypatch, capsys, "run", str(recipe), "--out", str(tmp_path / "out"))
    assert code == 2 and f"{recipe}:4:" in error and "unknown signal 'kana_share'" in error


def test_damaged_state_is_named(parts, tmp_path, monkeypatch, capsys):
    execute(tmp_path, parts[:1])
    entry = next(tmp_path.glob("signals-*/*.ledger.json"))
    whole = entry.read_text()
    entry.write_text("{")
    arguments = ["run", "demo", "--out", str(tmp_path), "--workers", "0"]
    code, _, error = run_cli(monkeypatch, capsys, *arguments)
    assert code == 1 and "damaged" in error and entry.name in error
    broken = json.loads(whole)
    entry.write_text(json.dumps({**broken, "read": broken["read"] + 1}))
    code, _, error = run_cli(monkeypatch, capsys, *arguments)
    assert code == 1 and "does not add up" in error
