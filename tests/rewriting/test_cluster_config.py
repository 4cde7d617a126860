"""The configuration that serves a model on GPUs: Ray takes it, and what the documentation says of it is so."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from pipeline.rewriting.client import ClientSettings
from tests.pipeline.conftest import ROOT

CONFIG = ROOT / "configs" / "cluster" / "vllm-serve.yaml"
PYTHON = ROOT / "build" / "ray-serve" / "bin" / "python"


def test_the_client_it_names_is_one() -> None:
    text = CONFIG.read_text(encoding="utf-8")
    # The recipe in its comment.
    shown = [line.removeprefix("#").removeprefix("     ") for line in text.splitlines() if line.startswith("#     ")]
    settings = ClientSettings.model_validate(yaml.safe_load("\n".join(shown[1:]))["client"])
    served = yaml.safe_load(text)
    assert [endpoint.url for endpoint in settings.endpoints] == [f"http://HEAD:{served['http_options']['port']}/v1"]
    assert [application["route_prefix"] for application in served["applications"]] == ["/"]


@pytest.mark.skipif(not PYTHON.is_file(), reason="no Ray Serve here: `make test-cluster` installs it")
def test_ray_takes_it_and_refuses_a_broken_one(tmp_path: Path) -> None:
    good = CONFIG.read_text(encoding="utf-8")
    faults = (
        ("accelerator_type: H100", "accelerator_type: H1000"),
        ("max_queued_requests", "max_queud_requests"),
        ("target_ongoing_requests: 192", "target_ongoing_requests: many"),
        ("route_prefix", "route_prefx"),
    )
    texts = [good, *(good.replace(right, wrong) for right, wrong in faults)]
    assert len(set(texts)) == len(texts)
    files = [tmp_path / f"{place}.yaml" for place in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text, encoding="utf-8")
    command = [str(PYTHON), "benchmarks/serve_config.py", *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, *others = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert first == {"port": 8000, "models": {"llama-3.3-70b-instruct": 4}}
    assert ["error" in found for found in others] == [True] * len(faults)
