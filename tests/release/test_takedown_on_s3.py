"""A release with rewritten rows in a bucket: built there as in a folder, and rows taken out of it and of all that was
made of it, whatever kills the takedown."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.errors import UsageError
from pipeline.export_run import export
from pipeline.release.manifest import LOCAL
from pipeline.release.verify import verify
from pipeline.rewrite_run import answers_folder
from pipeline.runner import InProcessRunner
from pipeline.storage import s3
from pipeline.storage.places import Place, RemotePath, as_place, exists
from pipeline.takedown_list import Request, read_requests
from tests.pipeline.conftest import Quiet
from tests.pipeline.loopback import made_bucket, moto_server, s3_proxy
from tests.pipeline.rewriting_runs import model, rewrite, written_recipe
from tests.release.buckets import fetched, put_all, remote_bytes
from tests.release.handmade import bytes_of
from tests.release.made import made_out, made_rows, release
from tests.release.mixes import mix_of, write_manifest
from tests.release.searching import holding
from tests.release.test_rewritten import GENERATOR, PROMPT, answer, steps
from tests.release.test_takedown import request, takedown
from tests.rewriting.scripted_server import ScriptedServer

pytestmark = pytest.mark.slow
# One tier, so that there are few files: each is some requests to the server more.
ROWS = [row | {"license_tier": "attribution"} for row in made_rows(40, hosts=4)]
REQUESTS = [request("host", "h1.example"), request("id", "row-2")]
GONE = [row for row in ROWS if row["url"].startswith("https://h1.example/") or row["id"] == "row-2"]
MADE = ("release", "lines", "mix", "mix-lines")
CHANGES = ("PUT", "DELETE", "POST")


def made(root: Place, folder: Path, tokenizer: Path) -> None:
    """In `root`, which holds the OUT of a run: its corpus rewritten, a release of both, exports, a mix, an export of
    the mix."""
    folder.mkdir()
    (folder / "write-v1.txt").write_text(PROMPT, encoding="utf-8")
    with ScriptedServer(otherwise=model(answer)) as server:
        rewrite(
            root / "out", written_recipe(folder, steps(), server.url, name="open", reads="corpus", generator=GENERATOR)
        )
    release(root / "out", root / "release", rewritten=[("open", None)], shard_bytes=4_000, validation=0.2)
    sources = [{"name": "all", "release": f"{root / 'release'}:open", "weight": 1}]
    manifest = write_manifest(
        folder / "mix.yaml", name="m", tokenizer=str(tokenizer), budgets=["500", "1K"], sources=sources
    )
    mix_of(manifest, root / "mix")
    for source, to, config in (("release", "lines", "open"), ("mix", "mix-lines", None)):
        export(root / source, root / to, "jsonl", InProcessRunner(), Quiet(), config=config)


def told_alike(files: dict[str, bytes], root: Place) -> dict[str, bytes]:
    """What is for everybody; records name a release of a bucket by its URL, a folder by its last part."""
    found = {
        path: content.replace(f"{root}/".encode(), b"") if path.endswith("derived.json") else content
        for path, content in files.items()
        if "/.local/" not in f"/{path}" and path.partition("/")[0] in MADE
    }
    # The record of an export of the mix has the digest of the mix's own record.
    made_of_mix = "mix-lines/derived.json"
    return found | {made_of_mix: re.sub(rb'"manifest_sha256": "\w+"', b"", found[made_of_mix])}


@pytest.fixture(scope="module")
def local(tmp_path_factory, tokenizer_file) -> Path:
    folder = tmp_path_factory.mktemp("local")
    made_out(folder / "out", ROWS)
    made(folder, folder / "recipe", tokenizer_file)
    return folder


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with moto_server() as port:
        yield port


@pytest.fixture
def bucket(port, local, tmp_path, monkeypatch, tokenizer_file) -> Iterator[RemotePath]:
    """A bucket in which all of it was made as in the folder `local`."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with made_bucket(port, tmp_path / "cache", monkeypatch) as place:
        run = {path: content for path, content in bytes_of(local / "out").items() if path.startswith("corpus-made/")}
        made_out(tmp_path / "run" / "out", ROWS)
        run["run.json"] = (tmp_path / "run" / "out" / "run.json").read_bytes()
        put_all(place / "out", run)
        made(place, tmp_path / "recipe", tokenizer_file)
        yield place


def left_behind(folder: Path) -> list[Path]:
    """What lies in scratch and in the folder of temporary files."""
    scratch = [path for path in (folder / "cache" / "scratch").rglob("*") if path.is_file()]
    return [*scratch, *folder.glob("tmp*")]


def test_rewritten_parts_of_a_run_in_a_bucket_are_released_and_mixed_as_in_a_folder(bucket, local):
    ours, theirs = told_alike(remote_bytes(bucket), bucket), told_alike(bytes_of(local), local)
    assert {path.partition("/")[0] for path in ours} == set(MADE)
    assert [path for path in sorted(ours.keys() | theirs.keys()) if ours.get(path) != theirs.get(path)] == []
    assert verify(bucket / "release").whole()


def killed_at(place: str, step: int, environment: dict[str, str], folder: str, requests: list[Request]) -> None:
    """A takedown in a process of its own."""
    os.environ.update(environment)
    tempfile.tempdir = folder
    s3._client_of.cache_clear()
    takedown(as_place(place), *requests)  # type: ignore[arg-type]


class Killer:
    """Runs takedowns in processes of their own behind a proxy, and kills one before a change of the bucket."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port, self.folder = port, folder
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["pipeline.takedown_run", "tests.release.test_takedown_on_s3"])

    def run(self, place: RemotePath, step: int, requests: list[Request]) -> bool:
        """Kill a takedown before its `step`th change; False where it came to its end before that."""
        changes = 0

        def mischief(number: int, method: str, path: str) -> str | None:
            nonlocal changes
            # A request to tell what objects there are is no change, nor is one that a dead process has sent.
            changes += method in CHANGES
            if changes < step:
                return None
            os.kill(process.pid, signal.SIGKILL)  # type: ignore[arg-type]
            return "gone"

        with s3_proxy(self.port, mischief) as (endpoint, _):
            named = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION", "KAMISUKI_CACHE")
            environment = {name: os.environ[name] for name in named} | {"AWS_ENDPOINT_URL": endpoint}
            arguments = (str(place), step, environment, str(self.folder), requests)
            process = self.context.Process(target=killed_at, args=arguments)
            process.start()
            process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        return process.exitcode != 0


@pytest.mark.timeout(1_800)
def test_a_takedown_in_a_bucket_that_is_killed_again_and_again_ends_as_one_that_is_not(bucket, port, tmp_path):
    """With KAMISUKI_EVERY_KILL=1 at every step; at some of them else."""
    stride = int(os.environ.get("KAMISUKI_EVERY_KILL", 40))
    cache, saved = tmp_path / "cache", tmp_path / "saved"
    shutil.copytree(cache, saved)
    before = remote_bytes(bucket)
    takedown(bucket / "release", *REQUESTS)  # type: ignore[arg-type]
    expected = {path: content for path, content in remote_bytes(bucket).items() if not path.endswith(".lock")}
    assert_gone(bucket, tmp_path / "straight")
    killer, step, refused, killed = Killer(port, tmp_path), 1, 0, 0
    while True:
        put_all(bucket, before)
        shutil.rmtree(cache)
        shutil.copytree(saved, cache)
        if not killer.run(bucket / "release", step, REQUESTS):
            break
        killed += 1
        begun = exists(bucket / "release" / LOCAL / "taking-down" / "plan.json")
        if begun:
            refused += 1
            with pytest.raises(UsageError, match=r"kamisuki takedown .* finishes it"):
                verify(bucket / "release")
        # The next dies too, at another step; it need not know what the first was asked once that was noted.
        again = [] if begun else REQUESTS
        killed += killer.run(bucket / "release", step // 2 + 1, again)
        again = [] if exists(bucket / "release" / LOCAL / "taking-down" / "plan.json") else again
        takedown(bucket / "release", *again)  # type: ignore[arg-type]
        now = {path: content for path, content in remote_bytes(bucket).items() if not path.endswith(".lock")}
        assert [path for path in sorted(now.keys() | expected.keys()) if now.get(path) != expected.get(path)] == [], (
            step
        )
        assert left_behind(tmp_path) == [], step
        step += stride
    assert refused and killed > refused
    put_all(bucket, before)
    shutil.rmtree(cache)
    shutil.copytree(saved, cache)
    # And one that dies ever later until it lives long enough, without anybody helping it.
    deaths = 1
    while killer.run(bucket / "release", 25 * deaths, REQUESTS):
        deaths += 1
    assert deaths > 2
    assert_gone(bucket, tmp_path / "often")
    assert verify(bucket / "release").whole()


def assert_gone(bucket: RemotePath, folder: Path) -> None:
    """No byte of the rows is in what was made of the run, nor in what a model answered about them; each has one
    tombstone."""
    fetched(bucket, folder)
    needles = ["//h1.example/", *(row["text"] for row in GONE)]
    assert {path for path in holding(folder, needles) if path.partition("/")[0] in MADE and LOCAL not in path} == set()
    answers = answers_folder(bucket / "out")
    # The answers are about texts; two rows of equal text share one, and no text here is another's.
    assert list(answers.glob("*.sqlite")) and holding(answers, [row["text"] for row in GONE]) == set()
    buried = pq.read_table(folder / "release" / "tombstones.parquet")["id"].to_pylist()
    there = {row["id"] for row in GONE if row["consent"] != "refused"}
    assert len(buried) == len(set(buried)) and {key for key in buried if key in there} == there
    assert {each.means() for each in read_requests(bucket / "out")} == {each.means() for each in REQUESTS}
