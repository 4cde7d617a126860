"""A node with another version makes nothing of a run: it is named, with what it has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pipeline import same_code
from pipeline.same_code import LIBRARIES, PACKAGES, code_digest, difference, this_code
from tests.pipeline.conftest import ROOT

# Joins Ray where workers find kamisuki in another folder, and hands out one task.
DRIVER = """
import sys, ray
from pipeline.ray_runner import RayRunner
from pipeline.runner import Task
from tests.pipeline.conftest import Quiet
ray.init(address="local", num_cpus=1, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False,
         runtime_env={"env_vars": {"PYTHONPATH": sys.argv[1]}})
from pipeline.errors import KamisukiError
try:
    for result in RayRunner().run([Task("one", dict, {"read": 1}, 1)], Quiet()):
        print("ran", result.counts, result.error)
except KamisukiError as error:
    print(error)
"""


def copied(place: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    (place / "configs").symlink_to(ROOT / "configs")
    return place


def test_a_digest_is_of_contents_and_not_of_places(tmp_path: Path) -> None:
    copy = copied(tmp_path)
    assert code_digest(copy) == code_digest()
    # As a wheel lays it out, and as a run leaves it.
    shutil.copytree(ROOT / "configs", copy / "pipeline" / "configs")
    (copy / "pipeline" / "__pycache__").mkdir()
    (copy / "pipeline" / "__pycache__" / "x.nbi").write_bytes(b"compiled")
    assert code_digest(copy) == code_digest()
    with open(copy / "filters" / "rules.py", "a", encoding="utf-8") as file:
        file.write("# another comment\n")
    assert code_digest(copy) != code_digest()


def test_libraries_are_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(LIBRARIES) <= {name.partition(">")[0] for name in project["dependencies"]}
    assert "absent" not in this_code().values()


def test_what_differs_is_told() -> None:
    assert difference(this_code()) == ""
    other = {**this_code(), "numpy": "1.0"}
    assert difference(other) == f"numpy 1.0 instead of {this_code()['numpy']}"
    assert len(difference({}).split(", ")) == len(this_code())


@pytest.mark.parametrize("kind", ["other", pytest.param("absent", marks=pytest.mark.slow)])
def test_a_node_with_another_version_ends_the_run_with_its_name(kind: str, tmp_path: Path) -> None:
    copy = copied(tmp_path)
    with open(copy / "pipeline" / ("errors.py" if kind == "other" else "__init__.py"), "a", encoding="utf-8") as file:
        file.write("# another comment\n" if kind == "other" else "raise ImportError('no kamisuki here')\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-c", DRIVER, str(copy)]
    done = subprocess.run(command, cwd=tmp_path.parent, env=environment, capture_output=True, text=True, timeout=200)
    line = done.stdout.strip().splitlines()[-1] if done.stdout else done.stderr
    assert "install the same version of kamisuki on every node" in line, done.stdout + done.stderr
    if kind == "other":
        assert f"instead of {same_code.code_digest()}" in line
    else:
        assert "failed to import" in line
