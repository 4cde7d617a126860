"""The files that start clusters, held against what reads them: `make test-launch`, too long for the test suite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from pipeline.entry_pack import load_entries
from pipeline.shipped import cluster_files
from tests.cluster import namespaces
from tests.cluster.schedulers import Site
from tests.cluster.test_launch_files import CLUSTER, launchers_view, read
from tests.pipeline.conftest import ROOT, SAMPLE, execute, table_bytes
from tests.pipeline.loopback import moto_server

TOOLS = ROOT / "build" / "cluster-tools" / "bin"
IMAGE = ROOT / "build" / "image" / "bin"
# Canonical's account, whose Ubuntu images moto knows.
UBUNTU = "099720109477"


def test_shellcheck_and_hadolint_find_nothing() -> None:
    scripts = [path for path in cluster_files() if path.suffix == ".sh"]
    assert len(scripts) == 2
    subprocess.run([TOOLS / "shellcheck", *scripts], check=True)
    # DL3059 asks for fewer layers: compiled functions are one of their own, so that a failure says which it was.
    subprocess.run([TOOLS / "hadolint", "--ignore", "DL3059", ROOT / "Containerfile"], check=True)


VALIDATE = """
import sys, yaml, kubernetes_validate
account, job = yaml.safe_load_all(open(sys.argv[1]))
kubernetes_validate.validate(account, "1.37.0", strict=True)
cluster = job["spec"]["rayClusterSpec"]
for template in [cluster["headGroupSpec"]["template"], *(group["template"] for group in cluster["workerGroupSpecs"])]:
    pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": template}
    kubernetes_validate.validate(pod, "1.37.0", strict=True)
"""


def test_kubernetes_takes_pods_and_account(tmp_path: Path) -> None:
    def validated(text: str) -> int:
        (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
        command = [TOOLS / "python", "-c", VALIDATE, tmp_path / "x.yaml"]
        return subprocess.run(command, capture_output=True).returncode

    assert validated(read("kuberay.yaml")) == 0
    for right, wrong in (("mountPath: /tmp", "mountpath: /tmp"), ("runAsNonRoot: true", "runAsNonRoot: yes please")):
        assert validated(read("kuberay.yaml").replace(right, wrong)) == 1


def test_rays_launcher_starts_head_and_worker_on_a_stand_in_of_aws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with moto_server() as port:
        given = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_REGION": "us-east-1"}
        given |= {
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "HOME": str(tmp_path),
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        # Where the launcher puts the key of its ssh.
        (tmp_path / ".ssh").mkdir()
        from ray.autoscaler._private.aws.config import bootstrap_aws
        from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

        ec2, iam = boto3.client("ec2"), boto3.client("iam")
        for profile in ("kamisuki-head", "kamisuki-worker"):
            iam.create_instance_profile(InstanceProfileName=profile)
        image = ec2.describe_images(Owners=[UBUNTU])["Images"][0]["ImageId"]
        config = bootstrap_aws(launchers_view(read("aws.yaml").replace("ImageId: AMI", f"ImageId: {image}")))
        provider = AWSNodeProvider(config["provider"], config["cluster_name"])
        for kind in ("head", "worker"):
            tags = {"ray-node-type": kind, "ray-node-name": kind, "ray-launch-config": "x", "ray-user-node-type": kind}
            provider.create_node(config["available_node_types"][kind]["node_config"], tags, 1)
        started = [one for found in ec2.describe_instances()["Reservations"] for one in found["Instances"]]
        profiles = {one["InstanceType"]: one["IamInstanceProfile"]["Arn"].rpartition("/")[2] for one in started}
        assert profiles == {"m7i.xlarge": "kamisuki-head", "c7i.8xlarge": "kamisuki-worker"}
        assert {one["InstanceType"] for one in started if one.get("InstanceLifecycle") == "spot"} == {"c7i.8xlarge"}
        assert {one["MetadataOptions"]["HttpTokens"] for one in started} == {"required"}
        groups = ec2.describe_security_groups(GroupIds=[started[0]["SecurityGroups"][0]["GroupId"]])["SecurityGroups"]
        open_to_all = [
            rule.get("FromPort")
            for rule in groups[0]["IpPermissions"]
            for given_range in rule.get("IpRanges", ())
            if given_range["CidrIp"] == "0.0.0.0/0"
        ]
        assert open_to_all == [22]


def test_rays_metrics_are_what_the_ledger_says(tmp_path: Path) -> None:
    command = [IMAGE / "python", "-m", "tests.cluster.metrics_of_a_run", SAMPLE, tmp_path / "out"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    found = told["exported"]
    assert sum(found["ray_kamisuki_tasks_total"].values()) == told["tasks"]
    assert sum(found["ray_kamisuki_task_seconds_count"].values()) == told["tasks"]
    for stage, table in (
        ("extract", "documents"),
        ("annotate", "signals"),
        ("sign", "signatures"),
        ("select", "corpus"),
    ):
        entries = load_entries(tmp_path / "out" / told["tables"][table])
        assert found["ray_kamisuki_tasks_total"][f"{stage}/done"] == len(entries)
        for outcome, count in (
            ("written", sum(entry.written for entry in entries)),
            ("rejected", sum(sum(entry.rejected.values()) for entry in entries)),
            ("error", sum(sum(entry.errors.values()) for entry in entries)),
        ):
            assert found["ray_kamisuki_records_total"].get(f"{stage}/{outcome}", 0) == count
    assert found["ray_kamisuki_input_bytes_total"] == {"extract": SAMPLE.stat().st_size}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of a run in this process."""
    out = tmp_path_factory.mktemp("local") / "out"
    execute(out, [SAMPLE])
    return table_bytes(out)


@pytest.fixture
def two_nodes(tmp_path: Path) -> Iterator[Site]:
    with namespaces.nodes(tmp_path, 2) as enter:
        site = Site(tmp_path / "scheduler", tuple(enter), enter)
        site.commands("sbatch", "srun", "scontrol", "qsub", "pbsdsh", "mpirun")
        yield site


@pytest.mark.skipif(not namespaces.possible(), reason="nodes as namespaces need root, ip and unshare")
@pytest.mark.parametrize("kind", ["slurm", "pbs", "grid engine"])
def test_a_job_on_two_nodes_writes_what_a_local_run_writes(
    kind: str, two_nodes: Site, tmp_path: Path, local: dict[str, bytes]
) -> None:
    """Real Ray by `ray symmetric-run`; Ray's folders and processes go with the namespaces."""
    job, out = tmp_path / "job", tmp_path / "out"
    job.mkdir()
    given = {"RECIPE": "demo", "INPUT": str(SAMPLE), "OUT": str(out), "KAMISUKI_ENVIRONMENT": sys.prefix}
    environment = {"PATH": f"{two_nodes.folder}:{os.environ['PATH']}", "HOME": str(tmp_path), "KIND": kind}
    if kind == "slurm":
        words, environment = ["sbatch", str(CLUSTER / "slurm.sh")], {**environment, **given}
    else:
        words = ["qsub", "-v", ",".join(f"{name}={value}" for name, value in given.items()), str(CLUSTER / "pbs.sh")]
    done = subprocess.run(words, cwd=job, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("On head node") == 1 and done.stdout.count("On worker node") == 1
    assert f"processors on the cluster at {two_nodes.nodes[0]}" in done.stderr + done.stdout
    assert table_bytes(out) == local
    assert list(job.iterdir()) == []
