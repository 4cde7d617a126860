"""Nodes without room are avoided for a while, as long as there are others; what says that a node has none."""

from __future__ import annotations

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.avoided import AVOIDED_SECONDS, NODE_LABEL, OF_A_NODE, Avoided, is_of_its_node, selector
from pipeline.errors import KamisukiError
from pipeline.ray_runner import RayRunner
from pipeline.storage import scratch
from pipeline.working import call
from tests.pipeline.conftest import Quiet

NAMES = st.sets(st.sampled_from("abcdef"))


@given(alive=NAMES, full=NAMES, seconds=st.floats(0, 2 * AVOIDED_SECONDS))
def test_a_selector_names_avoided_nodes_and_never_leaves_a_task_without_any(alive, full, seconds):
    now = [0.0]
    avoided = Avoided(lambda: set(alive), lambda: now[0])
    for node in full:
        avoided.add(node)
    now[0] = seconds
    still = full if seconds < AVOIDED_SECONDS else set()
    assert avoided.others() == bool(alive - still)
    told = selector(avoided.excluded())
    if still and alive - still:
        assert told == {NODE_LABEL: f"!in({','.join(sorted(still))})"}
    else:
        assert told == {}


@given(alive=NAMES, full=NAMES, own=NAMES)
def test_a_task_keeps_away_from_the_node_that_lost_it_as_long_as_it_has_another(alive, full, own):
    avoided = Avoided(lambda: set(alive), lambda: 0.0)
    for node in full:
        avoided.add(node)
    found = avoided.excluded(own)
    assert found in (full | own, full, frozenset())
    assert not found or alive - found
    if alive - full - own:
        assert found == full | own
    elif alive - full:
        assert found == full


@given(alive=NAMES, full=NAMES, well=NAMES)
def test_a_node_that_is_well_again_is_avoided_no_more(alive, full, well):
    avoided = Avoided(lambda: set(alive), lambda: 0.0)
    for node in full:
        avoided.add(node)
    for node in well:
        avoided.remove(node)
    left = full - well
    assert avoided.others() == bool(alive - left)
    assert avoided.excluded() == (left if left and alive - left else frozenset())


def fail_with(number: int, wrapped: bool) -> dict:
    try:
        raise OSError(number, os.strerror(number))
    except OSError as error:
        if wrapped:
            raise KamisukiError("the table cannot be written") from error
        raise


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("number", [*sorted(OF_A_NODE), errno.ENOENT, errno.ECONNRESET])
def test_errors_of_a_node_are_told_from_errors_of_the_work(number, wrapped):
    kind = call(fail_with, {"number": number, "wrapped": wrapped})["kind"]
    assert kind == ("place" if number in OF_A_NODE else "error")


def test_an_error_that_was_handled_before_another_came_is_no_cause():
    def work() -> dict:
        try:
            raise OSError(errno.ENOSPC, "full")
        except OSError:
            pass
        raise ValueError("the work's own")

    assert call(work, {})["kind"] == "error"
    assert not is_of_its_node(ValueError("x"))


@pytest.mark.parametrize("looking", [True, False])
def test_a_lost_cluster_is_one_line_that_says_what_to_do(looking):
    """Lost while its nodes are looked at before the first task, or later."""
    import ray

    told = "RPC error: WrongClusterID: Perhaps the client is accessing GCS after it has restarted.."
    gone = ray.exceptions.AuthenticationError(f"{told}\nEnsure that the token is available")

    class Lost(RayRunner):
        def _start(self):
            return ray

        def _check_memory(self, tasks):
            assert not tasks
            if looking:
                raise gone

        def _fly(self, tasks, batch, watcher):
            raise gone
            yield

    with pytest.raises(KamisukiError) as lost:
        list(Lost().run([], Quiet()))
    assert "cluster was lost" in str(lost.value) and "run again" in str(lost.value)
    assert "token" not in str(lost.value) and "\n" not in str(lost.value)


def test_scratch_files_of_other_machines_in_a_shared_cache_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("KAMISUKI_CACHE", str(tmp_path))
    monkeypatch.setattr(scratch.socket, "gethostname", lambda: "there")
    with scratch.scratch_file() as theirs:
        theirs.write_bytes(b"at work")
        dead = theirs.with_name(f"{2**22 + 1}.dead")
        dead.write_bytes(b"left by a killed process")
        monkeypatch.setattr(scratch.socket, "gethostname", lambda: "here")
        scratch.remove_orphans()
        assert theirs.exists() and dead.exists()
        monkeypatch.setattr(scratch.socket, "gethostname", lambda: "there")
        scratch.remove_orphans()
        assert theirs.exists() and not dead.exists()
