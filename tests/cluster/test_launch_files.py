"""The files of configs/cluster/ that start a cluster, by the rules of who reads them and through stand-ins.

What takes longer (a dry run of AWS, the image, real Ray nodes through the stand-ins) is `make test-launch`.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from pipeline.shipped import cluster_files
from tests.cluster.containerfile import faults, steps
from tests.cluster.kuberay import RayJob
from tests.cluster.schedulers import Site, check_qsub, check_sbatch, directives
from tests.pipeline.conftest import ROOT, run_cli

CLUSTER = ROOT / "configs" / "cluster"
CONTAINERFILE = (ROOT / "Containerfile").read_text(encoding="utf-8")
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8")


def read(name: str) -> str:
    return (CLUSTER / name).read_text(encoding="utf-8")


def test_what_ships_is_listed_printed_and_documented(monkeypatch, capsys) -> None:
    code, printed, _ = run_cli(monkeypatch, capsys, "cluster")
    assert code == 0
    assert [line.split()[0] for line in printed.splitlines()] == sorted(path.name for path in CLUSTER.iterdir())
    page = (ROOT / "docs" / "clusters.md").read_text("utf-8") + (ROOT / "docs" / "rewriting.md").read_text("utf-8")
    for path in cluster_files():
        assert path.name in page
        assert run_cli(monkeypatch, capsys, "cluster", path.name)[1] == path.read_text(encoding="utf-8")
    code, _, errors = run_cli(monkeypatch, capsys, "cluster", "lsf.sh")
    assert code == 2 and "slurm.sh" in errors


def test_no_file_asks_for_credentials_or_names_a_key() -> None:
    for path in [*cluster_files(), ROOT / "Containerfile"]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"AKIA[0-9A-Z]{16}|aws_secret|AWS_SECRET|AWS_ACCESS_KEY|password", text, re.IGNORECASE), (
            path
        )
        assert not re.search(r"(?i)hf_token|api_key\b", text), path


# AWS


def launchers_view(text: str) -> dict[str, Any]:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config: dict[str, Any] = prepare_config(yaml.safe_load(text))
    validate_config(config)
    return config


def faults_of_instances(config: dict[str, Any]) -> str:
    """What EC2's own description of RunInstances has against the nodes."""
    import boto3
    from botocore.validate import ParamValidator

    shape = boto3.client("ec2", region_name="us-east-1").meta.service_model.operation_model("RunInstances").input_shape
    nodes = config["available_node_types"].values()
    counts = {"MinCount": 1, "MaxCount": 1}
    return "".join(ParamValidator().validate({**counts, **n["node_config"]}, shape).generate_report() for n in nodes)


def test_ray_takes_the_cluster_on_aws_and_so_does_ec2() -> None:
    config = launchers_view(read("aws.yaml"))
    assert faults_of_instances(config) == ""
    head, worker = (config["available_node_types"][kind] for kind in ("head", "worker"))
    assert head["resources"] == {"CPU": 0} and config["head_node_type"] == "head"
    # Both are what they are by a role, and the metadata that gives its keys asks for a token.
    for node in (head, worker):
        assert node["node_config"]["IamInstanceProfile"]["Name"].startswith("kamisuki")
        assert node["node_config"]["MetadataOptions"]["HttpTokens"] == "required"
    assert worker["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("idle_timeout_minutes", "idle_timeout_minuts"),
        ("max_workers: 32\nupscaling", "max_workers: many\nupscaling"),
        ("head_node_type: head", "head_node_type: body"),
        ("InstanceType: m7i", "InstanceTyp: m7i"),
        ("HttpTokens: required", "HttpToken: required"),
        ("VolumeSize: 400", "VolumeSize: big"),
    ],
)
def test_a_broken_cluster_on_aws_is_refused(right: str, wrong: str) -> None:
    from jsonschema import ValidationError as SchemaError

    broken = read("aws.yaml").replace(right, wrong)
    assert broken != read("aws.yaml")
    try:
        found = faults_of_instances(launchers_view(broken))
    except (SchemaError, ValueError) as error:
        found = str(error)
    assert found


# Kubernetes


def ray_job(text: str) -> RayJob:
    return RayJob.model_validate(list(yaml.safe_load_all(text))[1])


def test_the_job_on_kubernetes_is_a_rayjob() -> None:
    account = next(yaml.safe_load_all(read("kuberay.yaml")))
    cluster = ray_job(read("kuberay.yaml")).spec.rayClusterSpec
    locked = re.search(r"^ray==([\d.]+)", (ROOT / "requirements-image.lock").read_text("utf-8"), re.MULTILINE)
    assert locked and cluster.rayVersion == locked[1]
    assert cluster.headGroupSpec.rayStartParams["num-cpus"] == "0"
    templates = [cluster.headGroupSpec.template, *(group.template for group in cluster.workerGroupSpecs)]
    for template in templates:
        assert template["spec"]["serviceAccountName"] == account["metadata"]["name"]
        assert template["spec"]["securityContext"]["runAsNonRoot"] is True
        assert template["spec"]["securityContext"]["runAsUser"] == 10001
        assert {container["image"] for container in template["spec"]["containers"]} == {
            "REGISTRY/kamisuki@sha256:DIGEST"
        }
    assert "USER 10001" in CONTAINERFILE


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("submissionMode: HTTPMode", "submissionMode: HttpMode"),
        ("backoffLimit: 3", "backofLimit: 3"),
        ('num-cpus: "0"', "num-cpus: 0"),
        ("maxReplicas: 64", 'maxReplicas: "64"'),
        ("apiVersion: ray.io/v1", "apiVersion: ray.io/v1alpha1"),
        ("groupName: workers", "name: workers"),
    ],
)
def test_a_broken_job_on_kubernetes_is_refused(right: str, wrong: str) -> None:
    broken = read("kuberay.yaml").replace(right, wrong)
    assert broken != read("kuberay.yaml")
    with pytest.raises(ValidationError):
        ray_job(broken)


# Slurm, PBS and Grid Engine

# Takes the place of Ray: on the node of the address it runs what is behind --, elsewhere nothing; notes what it got.
RAY = """#!/usr/bin/env python3
import json, os, subprocess, sys
words = sys.argv[1:]
place = words.index("--")
node = os.environ["STAND_IN_NODE"]
with open(os.path.join(os.environ["HOME"], f"ray-{node}.json"), "w") as file:
    json.dump({"words": words, "environment": dict(os.environ)}, file)
address = words[words.index("--address") + 1]
sys.exit(subprocess.run(words[place + 1:]).returncode if address.startswith(node + ":") else 0)
"""
KAMISUKI = """#!/usr/bin/env python3
import json, os, sys
with open(os.path.join(os.environ["HOME"], "kamisuki.json"), "w") as file:
    json.dump(sys.argv[1:], file)
sys.exit(int(open(os.path.join(os.environ["HOME"], "code")).read()))
"""
NODES = ("node1", "node2", "node3")
# Blanks, quotes, globs and a command that a shell would run.
GIVEN = {"RECIPE": "swallow-v2", "INPUT": "/data/w a r c/*.gz $(touch x) 'q'", "OUT": "s3://bucket/o u t"}
KINDS = ("slurm", "pbs", "grid engine")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "scheduler", NODES)
    site.commands("sbatch", "srun", "scontrol", "qsub", "pbsdsh", "mpirun")
    environment = tmp_path / "environment" / "bin"
    environment.mkdir(parents=True)
    for name, text in (("ray", RAY), ("kamisuki", KAMISUKI)):
        (environment / name).write_text(text)
        (environment / name).chmod(0o755)
    (tmp_path / "home").mkdir()
    (tmp_path / "job").mkdir()
    return site


def submit(site: Site, kind: str, code: int, given: dict[str, str] = GIVEN) -> subprocess.CompletedProcess[str]:
    place = site.folder.parent
    (place / "home" / "code").write_text(str(code))
    given = {**given, "KAMISUKI_ENVIRONMENT": str(place / "environment")}
    environment = {"PATH": f"{site.folder}:/usr/local/bin:/usr/bin:/bin", "HOME": str(place / "home"), "KIND": kind}
    if kind == "slurm":
        words, environment = ["sbatch", str(CLUSTER / "slurm.sh")], {**environment, **given}
    else:
        words = ["qsub", "-v", ",".join(f"{name}={value}" for name, value in given.items()), str(CLUSTER / "pbs.sh")]
    return subprocess.run(words, cwd=place / "job", env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", [0, 3])
def test_a_job_starts_ray_on_every_node_and_the_run_on_the_first(site: Site, kind: str, code: int) -> None:
    done = submit(site, kind, code)
    home = site.folder.parent / "home"
    assert done.returncode == code, done.stderr
    told = {node: json.loads((home / f"ray-{node}.json").read_text()) for node in NODES}
    for node in NODES:
        words = told[node]["words"]
        assert words[:2] == ["symmetric-run", "--address"] and words[words.index("--min-nodes") + 1] == "3"
        assert words[2].partition(":")[0] == "node1" and 20000 <= int(words[2].partition(":")[2]) < 30000
        assert told[node]["environment"]["RAY_AUTH_MODE"] == "token"
    given = json.loads((home / "kamisuki.json").read_text())
    address = told["node1"]["words"][2]
    wanted = ["run", GIVEN["RECIPE"], "--input", GIVEN["INPUT"], "--out", GIVEN["OUT"], "--ray-address", address]
    assert given == wanted
    # One token for all nodes, another for each job, and nowhere but in the environment.
    (token,) = {told[node]["environment"]["RAY_AUTH_TOKEN"] for node in NODES}
    assert re.fullmatch(r"[0-9a-f]{64}", token)
    assert token not in done.stdout + done.stderr
    assert list((site.folder.parent / "job").iterdir()) == []
    assert not (Path("x").exists() or (site.folder.parent / "job" / "x").exists())


def test_each_job_has_a_token_of_its_own(site: Site) -> None:
    tokens = set()
    for _ in range(2):
        assert submit(site, "slurm", 0).returncode == 0
        told = json.loads((site.folder.parent / "home" / "ray-node1.json").read_text())
        tokens.add(told["environment"]["RAY_AUTH_TOKEN"])
    assert len(tokens) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_without_inputs_starts_nothing_and_says_why(site: Site, kind: str) -> None:
    done = submit(site, kind, 0, {"RECIPE": "demo", "OUT": "/x"})
    assert done.returncode != 0 and "name the inputs" in done.stderr
    assert not list((site.folder.parent / "home").glob("*.json"))


def test_a_site_may_have_a_way_of_its_own_to_start_a_process_a_node(site: Site) -> None:
    own = site.folder / "own-way"
    own.write_text('#!/bin/sh\necho "own way: $1"\nshift\nSTAND_IN_NODE=node1 exec "$@"\n')
    own.chmod(0o755)
    done = submit(site, "pbs", 0, {**GIVEN, "START": "own-way twice"})
    assert done.returncode == 0 and "own way: twice" in done.stdout


def test_a_job_whose_head_never_began_fails(site: Site) -> None:
    """Where not even Ray starts, no exit code is written: that is not success."""
    (site.folder.parent / "environment" / "bin" / "ray").write_text("#!/bin/sh\nexit 0\n")
    assert submit(site, "pbs", 0).returncode == 1


def test_the_stand_ins_refuse_what_schedulers_refuse() -> None:
    assert (
        directives(read("slurm.sh"), "#SBATCH")
        and directives(read("pbs.sh"), "#PBS")
        and directives(read("pbs.sh"), "#$")
    )
    # Directives behind the first command are no directives.
    assert directives("#!/bin/sh\nset -e\n#SBATCH --nodes=4\n", "#SBATCH") == []
    for words in (["--nods=4"], ["-N4"], ["--time=soon"]):
        with pytest.raises(SystemExit):
            check_sbatch(words)
    for words in (["-Z", "x"], ["-l", "walltime=soon"]):
        with pytest.raises(SystemExit):
            check_qsub(words, {"-l"})


# The image


def test_the_image_is_made_of_the_lock_and_runs_as_nobody() -> None:
    assert faults(CONTAINERFILE, ROOT, IGNORED) == []
    assert [step.instruction for step in steps(CONTAINERFILE)].count("FROM") == 1
    makefile = (ROOT / "Makefile").read_text("utf-8")
    uv = re.search(r"UV_VERSION := ([\d.]+)", makefile)
    assert uv and f"uv=={uv[1]}" in CONTAINERFILE


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("USER 10001\n", "", "runs as root"),
        ("USER 10001", "USER root", "runs as root"),
        ("--require-hashes", "", "without hashes"),
        ("uv==0.13.9", "uv", "without hashes"),
        ("--no-install-recommends ", "", "more is installed"),
        ("    && rm -rf /var/lib/apt/lists/*\n", "", "package lists"),
        (":3.11-slim-bookworm", ":latest", "a version"),
        ("COPY dedup ", "COPY tests ", "not in the context"),
        ("WORKDIR /\n", "ENV HF_TOKEN=hf_x\n", "credential"),
        ("WORKDIR /\n", "RUN curl https://example.org/x | sh\n", "no hash holds"),
    ],
)
def test_faults_of_an_image_are_seen(right: str, wrong: str, told: str) -> None:
    broken = CONTAINERFILE.replace(right, wrong).replace("apt/lists/* \\\n\nARG", "apt/lists/*\n\nARG")
    assert broken != CONTAINERFILE
    assert told in "\n".join(faults(broken, ROOT, IGNORED))


def test_the_locks_agree() -> None:
    def versions(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", (ROOT / name).read_text("utf-8"), re.MULTILINE))

    tested, shipped = versions("requirements.lock"), versions("requirements-image.lock")
    assert {name: version for name, version in shipped.items() if name in tested} == {
        name: version for name, version in tested.items() if name in shipped
    }
    assert not {"pytest", "moto", "mypy"} & shipped.keys() and {"ray", "prometheus-client"} <= shipped.keys()
