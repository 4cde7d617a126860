"""A run on Ray nodes that are processes of their own, over an S3 server, writes what a local run writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from pipeline.ray_runner import RETRIES
from pipeline.storage.places import RemotePath, tree_sizes
from tests.cluster.chaos import DISK_BYTES
from tests.cluster.faults import fill
from tests.cluster.nodes import Nodes, hanging_workers, ray_nodes, s3_server
from tests.cluster.outcome import outcome_of
from tests.cluster.scale import BUCKET, Work, nodes_at_work, run_on, upload, using_s3
from tests.pipeline.conftest import ROOT, SAMPLE, execute, split_sample


def hold_to_room(nodes: Nodes) -> None:
    """A node whose disk is full costs no shard as long as another has room, and is left alone for a while."""
    # A process of its own: Ray reads a cluster's token once, and other tests start Ray in this one.
    command = [sys.executable, "-m", "tests.cluster.without_room", nodes.address, nodes.workers[1].address]
    done = subprocess.run(command, env=nodes.environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    # Ray tells of crashed workers on the same stream.
    found = json.loads(done.stdout.splitlines()[-1])
    assert [one["error"] for one in found["one node"]] == [None] * 8
    assert max(one["attempt"] for one in found["one node"]) == 2
    (everywhere,) = found["every node"]
    assert everywhere["kind"] == "place" and "no space left" in everywhere["error"]
    assert everywhere["attempt"] <= RETRIES + 1
    assert [(one["error"], one["attempt"]) for one in found["room that none has"]] == [(None, 3)]
    assert [one["error"] for one in found["crashes on one node"]] == [None] * 3
    (lost,) = found["crashes on every node"]
    # As often as Ray tries on one node, and as often on the other.
    assert lost["kind"] == "lost" and lost["attempt"] == 2 * (RETRIES + 1)


@pytest.mark.slow
def test_a_run_over_s3_and_two_nodes_of_which_one_is_killed_leaves_what_a_local_run_leaves(tmp_path):
    """One start of a cluster for all that only a cluster can show."""
    parts = split_sample(tmp_path / "parts", 6)
    execute(tmp_path / "local", parts)
    local = outcome_of(tmp_path / "local")
    work, out = Work("demo", parts), f"s3://{BUCKET}/out"
    with s3_server() as port, ray_nodes(2, f"http://127.0.0.1:{port}") as nodes, using_s3(nodes.environment):
        without_token = {name: value for name, value in nodes.environment.items() if not name.startswith("RAY_AUTH")}
        strangers = subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", "run", "demo", "--out", str(tmp_path / "stranger"),
             "--input", str(parts[0]), "--ray-address", nodes.address],
            env={**without_token, "RAY_NUM_REDIS_GET_RETRIES": "2"}, cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        inputs = upload(work)
        nodes.wait_for_all()
        hold_to_room(nodes)
        process = run_on(nodes, work, inputs, out, subprocess.PIPE)
        while process.poll() is None and len(nodes_at_work(nodes)) < 2:
            time.sleep(0.05)
        assert nodes_at_work(nodes) == [1, 2]
        nodes.workers[1].kill()
        printed, _ = process.communicate(timeout=150)
        assert process.returncode == 0, printed.decode() + nodes.logs()
        assert not list(tree_sizes(RemotePath(f"{out}/.lock")))
        remote = outcome_of(RemotePath(out))
        told, _ = strangers.communicate(timeout=60)
    assert local.differences(remote) == []
    assert remote.wrong() == []
    assert strangers.returncode == 1 and "RAY_AUTH_MODE=token" in told.splitlines()[-1] and "Traceback" not in told


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount the file systems that are filled")
def test_workers_that_die_on_a_full_disk_before_they_can_say_so_cost_no_task():
    """On one node of two, and on both until one has room again."""
    # Nothing is read from S3 here.
    with ray_nodes(2, "http://127.0.0.1:9", DISK_BYTES) as nodes:
        nodes.wait_for_all()
        driver = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.full_disk", nodes.address],
            env=nodes.environment, cwd=ROOT, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert driver.stdin and driver.stderr
        # Ray tells of crashed workers on the same stream.
        told = (line for line in driver.stderr if line.startswith(("Ray is ready", "watching", "errors")))
        try:
            assert next(told).startswith("Ray is ready")
            ballast = fill(nodes.workers[1].folder)
            driver.stdin.write("one\n")
            assert (
                next(line for line in told if not line.startswith("watching"))
                == "errors [null, null, null, null, null, null]\n"
            )
            second, watched = fill(nodes.workers[2].folder), 0
            driver.stdin.write("both\n")
            while (line := next(told)) == "watching\n":
                watched += 1
                # Ten seconds in which no node has room: Ray gives a task up in less.
                if watched == 3:
                    second.unlink()
            assert line == "errors [null, null, null, null, null, null]\n"
            assert ballast.exists()
            driver.stdin.close()
            assert driver.wait(60) == 0
        finally:
            driver.kill()
            driver.wait()


@pytest.mark.slow
def test_a_node_on_which_no_worker_comes_up_costs_no_task_and_is_known_from_then_on(tmp_path):
    """Ray gives a task up there after six minutes; the nodes that do nothing are asked long before."""
    with ray_nodes(1, "http://127.0.0.1:9") as nodes:
        nodes.start_worker(2, hanging_workers(tmp_path / "hang"))
        nodes.wait_for_all()
        command = [sys.executable, "-m", "tests.cluster.never_comes_up", nodes.address]
        done = subprocess.run(command, env=nodes.environment, cwd=ROOT, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr + nodes.logs()
        found = json.loads(done.stdout)
    assert [one["error"] for one in found] == [None] * 12
    assert len({one["node"] for one in found}) == 1


@pytest.mark.slow
def test_a_run_ends_and_names_the_machine_where_no_worker_comes_up(tmp_path):
    command = [
        sys.executable,
        "-m",
        "pipeline.cli",
        "run",
        "demo",
        "--input",
        str(SAMPLE),
        "--out",
        str(tmp_path / "out"),
    ]
    # Ray's own waiting, made short: its default is six times a minute.
    soon = {"RAY_worker_register_timeout_seconds": "1", "RAY_pop_worker_max_retries": "1"}
    environment = os.environ | hanging_workers(tmp_path / "hang") | soon
    done = subprocess.run(
        [*command, "--workers", "1"], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("kamisuki: no worker of Ray's comes up on ") and "Traceback" not in done.stderr
