"""Compiled code: stale code goes, warm code is found by every worker, and by those who cannot write beside it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.conftest import ROOT, SAMPLE

PACKAGES = ("pipeline", "filters", "dedup")
# Where the checkout's own code is stale, the copy has to compile all of it.
pytestmark = pytest.mark.timeout(900)

# Without this capability the superuser obeys the modes of files as everybody does (capabilities(7); PR_CAPBSET_DROP).
AS_ANYBODY = "import ctypes, os, sys; ctypes.CDLL(None).prctl(24, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"

REPORT = """
import gc, json, os, sys
import pipeline
{work}
from numba.core.dispatcher import Dispatcher
ours = [item for item in gc.get_objects() if isinstance(item, Dispatcher)]
ours = [item for item in ours if item.py_func.__module__.split(".")[0] in ("pipeline", "filters", "dedup")]
places = sorted({{item.stats.cache_path for item in ours if item.stats.cache_path}})
called = [item for item in ours if item.signatures]
print(json.dumps({{
    "package": os.path.dirname(pipeline.__file__),
    "hits": sum(sum(item.stats.cache_hits.values()) for item in ours),
    "misses": sorted(item.__qualname__ for item in ours if item.stats.cache_misses),
    "called": sorted(f"{{item.__module__}}.{{item.__qualname__}}{{signature}}" for item in called
                     for signature in item.signatures),
    "places": places,
}}))
"""
WARM = "from pipeline.warm import warm\nwarm()"
RUN = """
from pathlib import Path
from pipeline.progress import Progress
from pipeline.recipe import find_recipe, load_recipe
from pipeline.run import Run
from pipeline.runner import InProcessRunner
Run(load_recipe(find_recipe("demo")), Path(sys.argv[2]), InProcessRunner(), Progress(None)).execute([sys.argv[1]])
"""


def environment(copy: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "XDG_"))}
    return {**kept, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", **more}


def report(copy: Path, work: str, *arguments: str, **more: str) -> dict:
    """What numba did in a fresh process that may not write into the copy, and where it looked."""
    words = [sys.executable, "-c", AS_ANYBODY, sys.executable, "-c", REPORT.format(work=work), *arguments]
    done = subprocess.run(words, env=environment(copy, **more), cwd=copy.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def files(folder: Path) -> set[tuple[str, int]]:
    return {(str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*")}


def set_writable(folder: Path, writable: bool) -> None:
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755 if writable else 0o555)


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A copy of the packages that was warmed when it was made and cannot be written to since."""
    copy = tmp_path_factory.mktemp("installed") / "site"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package)
    shutil.copytree(ROOT / "configs", copy / "configs")
    subprocess.run([sys.executable, "-m", "pipeline.warm"], env=environment(copy), cwd=copy, check=True)
    set_writable(copy, False)
    yield copy
    set_writable(copy, True)


def test_a_worker_of_a_read_only_install_compiles_nothing(installed, tmp_path):
    before = files(installed)
    found = report(installed, WARM, HOME=str(tmp_path))
    assert found["package"] == str(installed / "pipeline")
    assert found["misses"] == [] and found["hits"] >= len(found["called"]) > 10
    assert all(Path(place).is_relative_to(tmp_path / ".cache" / "kamisuki") for place in found["places"])
    linked = [path for path in tmp_path.rglob("*") if path.suffix in (".nbi", ".nbc")]
    assert linked and all(path.is_symlink() for path in linked), "something was written"
    assert files(installed) == before
    assert report(installed, WARM, HOME=str(tmp_path))["misses"] == []


def test_nor_does_one_without_a_home(installed, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    found = report(installed, WARM, HOME="/proc/none", TMPDIR=str(temporary))
    assert found["misses"] == [] and found["hits"] > 10
    assert list(temporary.iterdir()) == [], "its folder goes with the process"


def test_a_run_needs_nothing_that_warming_did_not_compile(installed, tmp_path):
    found = report(installed, RUN, str(SAMPLE), str(tmp_path / "out"), HOME=str(tmp_path))
    assert found["misses"] == [] and len(found["called"]) > 10
    # What a run called beyond that would be here too if other tests had not compiled it in this checkout.
    assert set(found["called"]) <= set(report(installed, WARM, HOME=str(tmp_path))["called"])


@pytest.fixture
def small(tmp_path, monkeypatch) -> Path:
    """Modules with compiled code beside two of them, in the place of the project."""
    from pipeline import compiled

    for package in PACKAGES:
        (tmp_path / package / "__pycache__").mkdir(parents=True)
        (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / "dedup" / "limits.py").write_text("LIMIT = 3\n")
    (tmp_path / "filters" / "work.py").write_text("from filters.more import LIMIT\nnjit\n")
    (tmp_path / "filters" / "more.py").write_text("def later():\n    import dedup.limits\n")
    (tmp_path / "filters" / "work_alone.py").write_text("njit\n")
    (tmp_path / "pipeline" / "stage.py").write_text("from filters import work\n")
    for module in ("work", "work_alone"):
        for name in ("f-1.py311.nbi", "f-1.py311.1.nbc", "cpython-311.pyc"):
            (tmp_path / "filters" / "__pycache__" / f"{module}.{name}").write_bytes(b"compiled")
    monkeypatch.setattr(compiled, "ROOT", tmp_path)
    monkeypatch.setattr(compiled.config, "CACHE_DIR", "")
    return tmp_path


def compiled_modules(small: Path) -> set[str]:
    """The modules that have compiled code, each of which had two files of it."""
    names = [path.name.partition(".")[0] for path in (small / "filters" / "__pycache__").glob("*.nb?")]
    return set(names)


def make_code(small: Path) -> None:
    for module in ("work", "work_alone"):
        (small / "filters" / "__pycache__" / f"{module}.f-1.py311.nbi").write_bytes(b"compiled")


def test_code_of_which_nobody_knows_what_it_was_compiled_of_is_removed(small):
    from pipeline.compiled import compiled_from, remove_stale, source_digests

    assert compiled_from() is None
    assert remove_stale() == 4
    assert len(list((small / "filters" / "__pycache__").iterdir())) == 2, "numba's files alone go"
    assert compiled_from() == source_digests()
    make_code(small)
    assert remove_stale() == 0 and compiled_modules(small) == {"work", "work_alone"}


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ("dedup/limits.py", {"work_alone"}),
        ("filters/more.py", {"work_alone"}),
        ("filters/__init__.py", {"work_alone"}),
        ("filters/work_alone.py", {"work"}),
        ("pipeline/stage.py", {"work", "work_alone"}),
    ],
)
def test_only_what_a_change_can_reach_is_compiled_again(small, changed, left):
    from pipeline.compiled import remove_stale

    remove_stale()
    make_code(small)
    path = small / changed
    path.write_text(path.read_text() + "# another\n")
    remove_stale()
    assert compiled_modules(small) == left


def test_in_a_cache_folder_of_the_users_own_only_our_code_is_removed(small, tmp_path_factory, monkeypatch):
    from pipeline import compiled

    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(compiled.config, "CACHE_DIR", str(cache))
    ours = compiled.cache_folder(small / "filters" / "__init__.py") / "work-1.py311.nbi"
    others = cache / "another_project" / "work-1.py311.nbi"
    for path in (ours, others):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"compiled")
    assert compiled.remove_stale() == 1
    assert others.exists() and not ours.exists()
    assert compiled.remove_stale() == 0


def test_a_changed_callee_is_noticed(tmp_path):
    """numba alone would go on with the old one: the caller's own module did not change."""
    copy = tmp_path / "site"
    for package in PACKAGES:
        (copy / package).mkdir(parents=True)
        (copy / package / "__init__.py").touch()
    for name in ("__init__.py", "compiled.py"):
        shutil.copy(ROOT / "pipeline" / name, copy / "pipeline" / name)
    (copy / "filters" / "callee.py").write_text("from numba import njit\n@njit(cache=True)\ndef one():\n    return 1\n")
    (copy / "filters" / "caller.py").write_text(
        "from numba import njit\nfrom filters.callee import one\n@njit(cache=True)\ndef twice(): return 2 * one()\n"
    )
    code = (
        "from pipeline.compiled import remove_stale; remove_stale(); from filters.caller import twice; print(twice())"
    )

    def result() -> str:
        words = [sys.executable, "-c", code]
        return subprocess.run(
            words, env=environment(copy), cwd=copy, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert result() == "2"
    (copy / "filters" / "callee.py").write_text("from numba import njit\n@njit(cache=True)\ndef one():\n    return 5\n")
    assert result() == "10"
