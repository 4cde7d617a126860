"""Pushing to a stand-in Hub: what arrives, in how many commits, what a kill or a failing server costs, what is told."""

from __future__ import annotations

import datetime
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub.utils import close_session

from pipeline import release_lock
from pipeline.errors import KamisukiError, UsageError
from pipeline.files import file_digest
from pipeline.release.card import write_card
from pipeline.release.manifest import Config, File, Manifest, read_manifest, write_manifest
from pipeline.release.push.ledger import Target, pushed_to, read_entries
from pipeline.release.push.patience import Patience, passing
from pipeline.release.push.plan import Limits, Local, Remote, make_plan
from pipeline.release.push.pushing import Push, Wish
from pipeline.release.push.repository import check_repo, hub_endpoint, quiet_client
from pipeline.storage.http import Politeness, Transient
from pipeline.takedown_list import make_request, remember_requests
from tests.pipeline.conftest import ROOT, run_cli
from tests.release.hub import TOKEN, Hub, seeded, serving
from tests.release.made import made_out, made_rows
from tests.release.made import release as built_release
from tests.release.manifests import manifest

REPO = "owner/demo"
CELL = "demo-none"


def make_release(folder: Path, files: int, seed: int = 1, name: str = "Demo") -> Manifest:
    """A release of so many small Parquet files, with manifest and card."""
    chance = random.Random(seed)
    listed = []
    for number in range(files):
        path = f"data/{CELL}/train-{number:05d}-of-{files:05d}.parquet"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        rows = [{"id": f"{seed}-{number}-{row}", "text": f"文章 {chance.random()}"} for row in range(20)]
        pq.write_table(pa.Table.from_pylist(rows), folder / path)
        size, digest = (folder / path).stat().st_size, file_digest(folder / path)
        listed.append(File(path=path, config=CELL, split="train", rows=20, characters=400, bytes=size, sha256=digest))
    for path in (folder / "data").rglob("*.parquet"):
        if path.relative_to(folder).as_posix() not in {file.path for file in listed}:
            path.unlink()
    configs = [Config(name="demo", task="demo", cells=[CELL])]
    made = manifest(name=name, files=listed, configs=configs)
    write_manifest(folder, made)
    write_card(folder, made)
    return made


def published(folder: Path) -> dict[str, bytes]:
    """What of a release must arrive."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".local" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def held(hub: Hub, revision: str = "main") -> dict[str, bytes]:
    return {path: data for path, data in hub.content(REPO, revision).items() if path != ".gitattributes"}


@pytest.fixture
def hub():
    with serving() as server:
        yield server
    close_session()


@pytest.fixture
def release(tmp_path):
    make_release(tmp_path / "release", 12)
    return tmp_path / "release"


def push(release: Path, hub: Hub, wish: Wish | None = None, **more):
    say = more.get("say", lambda line: None)
    patience = Patience(say, Politeness(tries=30, wait_seconds=0.001), sleep=lambda seconds: None)
    target = Target(hub.url, more.get("repo", REPO), more.get("branch", "main"))
    with quiet_client():
        still_held = more.get("still_held", lambda: None)
        return Push(release, target, TOKEN, wish or Wish(), say, patience, still_held).execute()


def test_all_arrives_in_one_commit_and_is_private(release, hub):
    outcome = push(release, hub)
    assert held(hub) == published(release)
    assert hub.repos[REPO].private
    assert (hub.commits, outcome.commits) == (1, 1)
    assert outcome.head == hub.repos[REPO].history["main"][-1]
    assert pushed_to(release) == [Target(hub.url, REPO, "main")]


def test_a_second_push_makes_no_commit_and_sends_nothing(release, hub):
    push(release, hub)
    received = list(hub.received)
    (release / ".local" / "push.jsonl").unlink()
    outcome = push(release, hub)
    assert (hub.commits, outcome.commits, outcome.sent) == (1, 0, 0)
    assert hub.received == received


def test_commits_are_as_many_as_the_limit_asks_and_the_last_one_describes_the_whole(release, hub):
    push(release, hub, Wish(limits=Limits(files=5)))
    repo = hub.repos[REPO]
    assert hub.commits == 3
    described = [{"release.json", "README.md"} <= repo.commits[name].keys() for name in repo.history["main"]]
    assert described == [False, False, False, True]
    assert held(hub) == published(release)


def test_what_the_release_no_longer_has_goes_and_what_others_put_there_stays(release, hub):
    push(release, hub)
    make_release(release, 7, seed=2)
    repo = hub.repos[REPO]
    tree = repo.commits[repo.history["main"][-1]]
    repo.commit("main", {**tree, "notes.txt": ("blob", next(iter(repo.blobs)))}, "by hand")
    outcome = push(release, hub, Wish(limits=Limits(files=5)))
    assert outcome.deleted >= 12
    found = held(hub)
    assert found.pop("notes.txt")
    assert found == published(release)
    old = {name for name, tree in repo.commits.items() if any("of-00012" in path for path in tree)}
    both = [name for name in old if any("of-00007" in path for path in repo.commits[name])]
    assert not both, "files were served beside those that replace them"


@pytest.mark.parametrize("seed", range(6))
def test_limits_failures_cuts_and_lost_answers_cost_no_file_and_no_commit(release, hub, seed, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    hub.mischief = seeded(seed, 0.5)
    push(release, hub, Wish(limits=Limits(files=5)))
    assert sum(hub.happened.values()) >= 5
    assert held(hub) == published(release)
    assert hub.commits == 3
    assert sorted(set(hub.received)) == sorted(file_digest(path) for path in (release / "data").rglob("*.parquet"))


def test_a_push_that_is_killed_sends_only_the_rest(release, hub, tmp_path):
    def slow(number, method, path):
        if path.startswith("/storage/"):
            time.sleep(0.15)
        return None

    hub.mischief = slow
    words = [sys.executable, "-m", "pipeline.cli", "push", str(release), "--repo", REPO, "--endpoint", hub.url]
    words += ["--commit-files", "4"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "hf")}
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while len(hub.received) < 6 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    time.sleep(0.5)
    before = len(hub.received)
    assert "release.json" not in held(hub), "a half push claims to be whole"
    result = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert held(hub) == published(release)
    assert len(hub.received) == 12 and before < 12
    assert hub.commits == 3
    told = result.stdout + result.stderr + (release / ".local" / "push.jsonl").read_text()
    assert TOKEN not in told


def test_a_push_beside_a_build_or_takedown_is_refused_and_sends_nothing(release, hub, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    words = ["push", str(release), "--repo", REPO, "--endpoint", hub.url]
    with release_lock.held(release):
        code, _, err = run_cli(monkeypatch, capsys, *words)
        assert code == 2 and "another run" in err and hub.requests == []
        assert run_cli(monkeypatch, capsys, *words, "--dry-run")[0] == 0
    assert run_cli(monkeypatch, capsys, *words)[0] == 0
    assert held(hub) == published(release)


def test_a_release_is_held_while_it_is_pushed(release, hub, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    refused = []

    def try_to_hold(number, method, path):
        try:
            with release_lock.held(release):
                pass
        except UsageError as error:
            refused.append(str(error))
        else:
            refused.append("")

    hub.mischief = try_to_hold
    assert run_cli(monkeypatch, capsys, "push", str(release), "--repo", REPO, "--endpoint", hub.url)[0] == 0
    assert refused and all("another run" in line for line in refused)


def test_a_dry_run_touches_nothing(release, hub, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    before = sorted(release.rglob("*"))
    code, out, _ = run_cli(
        monkeypatch, capsys, "push", str(release), "--repo", REPO, "--endpoint", hub.url, "--dry-run"
    )
    assert code == 0 and "commit 1 of 1: 14 files" in out and "train-00011-of-00012.parquet" in out
    assert hub.repos == {} and sorted(release.rglob("*")) == before
    assert {method for method, _ in hub.requests} == {"GET"}


@pytest.fixture(scope="module")
def built_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    built_release(made_out(folder / "out", made_rows(80)), folder / "release", validation=0.2)
    return folder / "release"


@pytest.fixture
def built(built_once, tmp_path):
    """A release that `kamisuki verify` finds whole."""
    return Path(shutil.copytree(built_once, tmp_path / "built"))


def test_public_is_asked_for_and_comes_last(built, hub):
    push(built, hub, Wish(public=True))
    assert not hub.repos[REPO].private
    settings = [number for number, (_, path) in enumerate(hub.requests) if path.endswith("/settings")]
    commits = [number for number, (_, path) in enumerate(hub.requests) if path.endswith("/commit/main")]
    assert settings[0] > commits[-1]
    with pytest.raises(UsageError, match="--public"):
        push(built, hub)


def damaged(folder: Path) -> None:
    data = sorted((folder / "data").rglob("*.parquet"))[0]
    data.write_bytes(data.read_bytes()[:-1] + b"x")


def taken_down(folder: Path) -> None:
    first = next((folder / "data").rglob("*.parquet"))
    pq.write_table(pa.table({"id": pq.read_table(first).column("id")[:1]}), folder / "tombstones.parquet")


def listed(folder: Path) -> None:
    remember_requests(folder / ".local", [make_request("host", "h3.example", datetime.date(2026, 11, 26), "asked")])


def edited_card(folder: Path) -> None:
    with open(folder / "README.md", "a", encoding="utf-8") as file:
        file.write("A word more.\n")


def with_refused_rows(folder: Path) -> None:
    """A release that says it holds no row that refuses training, and does."""
    out = made_out(folder.parent / "out", made_rows(80))
    built_release(out, folder, replace=True, validation=0.2, refused_consent=True)
    made = read_manifest(folder)
    made = made.model_copy(update={"policy": made.policy.model_copy(update={"refused_consent": False})})
    write_manifest(folder, made)
    write_card(folder, made)


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (damaged, "checksums"),
        (taken_down, "tombstones"),
        (listed, "takedowns"),
        (edited_card, "card"),
        (with_refused_rows, "consent"),
    ],
)
def test_what_verify_finds_fault_with_does_not_become_public_and_is_told(built, hub, spoil, check):
    spoil(built)
    said: list[str] = []
    with pytest.raises(KamisukiError, match=rf"nothing was pushed: .* does not hold: .*{check}.*kamisuki verify"):
        push(built, hub, Wish(public=True), say=said.append)
    assert any(line.startswith(f"  {check}: ") for line in said)
    assert hub.repos == {}


def test_a_damaged_file_is_not_pushed_at_all(release, hub):
    data = sorted((release / "data").rglob("*.parquet"))[3]
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    with pytest.raises(KamisukiError, match=r"is not what release\.json says"):
        push(release, hub)
    assert hub.commits == 0


def test_squashing_leaves_one_commit_and_nothing_of_the_old_ones(release, hub):
    first = push(release, hub, Wish(tag="v1"))
    old = set(hub.repos[REPO].lfs)
    make_release(release, 5, seed=3)
    with pytest.raises(UsageError, match="tag v1"):
        push(release, hub, Wish(squash=True))
    outcome = push(release, hub, Wish(squash=True, drop_refs=True, tag="v2"))
    repo = hub.repos[REPO]
    assert len(repo.history["main"]) == 1 and repo.tags == {"v2": outcome.head}
    assert repo.find(first.head) is None
    assert not old & set(repo.lfs)
    assert held(hub) == published(release)


def test_blobs_that_the_hub_has_thrown_away_are_sent_again(release, hub):
    hub.mischief = lambda number, method, path: "fail" if "/commit/" in path else None
    with pytest.raises(KamisukiError, match="push again"):
        push(release, hub)
    hub.mischief = lambda number, method, path: None
    assert len(hub.repos[REPO].lfs) == 12
    hub.repos[REPO].lfs.clear()
    push(release, hub)
    assert held(hub) == published(release)
    assert [entry["what"] for entry in read_entries(release)].count("lost") == 12


def test_what_is_no_push_of_this_release_is_not_replaced_unasked(release, hub, tmp_path):
    push(release, hub)
    make_release(tmp_path / "other", 2, seed=5, name="Other")
    with pytest.raises(UsageError, match="'Demo'"):
        push(tmp_path / "other", hub)
    push(tmp_path / "other", hub, Wish(replace=True))
    assert held(hub) == published(tmp_path / "other")


def test_a_wrong_token_is_one_line_without_it(release, hub, monkeypatch, capsys):
    wrong = "hf_SomeOtherTokenOfSomebody"
    monkeypatch.setenv("HF_TOKEN", wrong)
    code, out, err = run_cli(monkeypatch, capsys, "push", str(release), "--repo", REPO, "--endpoint", hub.url)
    assert code == 1 and "use a token that may write" in err and wrong not in out + err


# Threads that a stream leaves behind may abort a process that ends in the usual way, after all rows are told.
LOAD = """
import json, os, sys
import datasets
repo, streaming = sys.argv[1], sys.argv[2] == "yes"
rows = datasets.load_dataset(repo, "demo", split="train", streaming=streaming)
print(json.dumps(sorted((row["id"], row["text"]) for row in rows)), flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("streaming", ["no", "yes"])
def test_datasets_loads_it_back_with_the_same_rows(release, hub, tmp_path, streaming):
    push(release, hub)
    environment = {
        **os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }  # fmt: skip
    result = subprocess.run(
        [sys.executable, "-c", LOAD, REPO, streaming], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-3000:]
    rows = [row for path in (release / "data").rglob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert json.loads(result.stdout) == sorted([row["id"], row["text"]] for row in rows)


def test_a_plan_keeps_to_its_limits_and_brings_about_what_is_wished():
    local = [Local(f"data/c/{n}.parquet", 10, f"{n:064x}") for n in range(23)]
    local += [Local("release.json", 5, "a" * 64), Local("README.md", 5, "b" * 64)]
    remote = [Remote(f"data/old/{n}.parquet", 10, f"{n:064x}", "") for n in range(7)]
    remote += [Remote("release.json", 5, None, "other"), Remote("README.md", 5, None, "other")]
    plan = make_plan(local, remote, Limits(files=4, bytes=30), lambda file: "mine")
    paths = {file.path for file in remote}
    for commit in plan.commits:
        data = [file for file in commit.add if file.path.startswith("data/")]
        assert len(data) <= 4 and sum(file.bytes for file in data) <= 30
        paths = (paths - set(commit.delete)) | {file.path for file in commit.add}
    assert paths == {file.path for file in local}


def test_waiting_ends_and_a_wait_that_is_asked_for_is_kept():
    slept: list[float] = []
    patience = Patience(lambda line: None, Politeness(tries=5, wait_seconds=0.1), sleep=slept.append)

    def limited():
        raise Transient("status 429", 30.0)

    with pytest.raises(KamisukiError, match="5 times in a row"):
        patience("asking", limited)
    assert slept == [30.0] * 4
    assert passing(ValueError("x")) is None


@pytest.mark.parametrize("endpoint", ["ftp://x", "https://me:secret@hub.example", "http://8.8.8.8", "hub"])
def test_an_address_that_would_betray_the_token_is_refused(endpoint):
    with pytest.raises(UsageError) as caught:
        hub_endpoint(endpoint)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "x", "a/b/c", "a/../b", "-a/b", "a/b c", "日本/語"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(UsageError):
        check_repo(name)
