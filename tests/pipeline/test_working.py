"""What a worker loads: pandas neither for pyarrow's sake nor never again."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.pipeline.conftest import ROOT

WORK = """
import sys
import pyarrow
from pipeline.working import call

outcome = call(lambda: {"rows": len(pyarrow.array(["a", None]))}, {})
assert outcome["counts"] == {"rows": 2}, outcome
print("pandas" in sys.modules)
print(type(pyarrow.table({"a": [1]}).to_pandas()).__module__.partition(".")[0])
"""


@pytest.mark.skipif(find_spec("pandas") is None, reason="pandas is not installed, so that nothing can load it")
def test_a_task_does_not_load_pandas_and_who_asks_pyarrow_for_it_gets_it():
    done = subprocess.run([sys.executable, "-c", WORK], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["False", "pandas"], done.stderr
