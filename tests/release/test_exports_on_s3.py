"""Exports, mixes and packs in a bucket: the same files as in a folder, and rows taken out of them."""

from __future__ import annotations

import pytest

from pipeline.files import atomic_file
from pipeline.release.derived import take_out
from pipeline.release.derived_record import registered
from pipeline.release.exports.making import remove_leftovers, workshop
from pipeline.storage.places import RemotePath
from tests.pipeline.loopback import made_bucket, moto_server
from tests.release.buckets import remote_bytes
from tests.release.handmade import bytes_of, make_release, row
from tests.release.mixes import mix_of, pack_of, write_manifest
from tests.release.test_exports import run
from tests.release.test_taking_out import GONE, KINDS, ROWS


@pytest.fixture(scope="module")
def moto():
    with moto_server() as port:
        yield port


@pytest.fixture
def bucket(moto, tmp_path, monkeypatch):
    with made_bucket(moto, tmp_path / "cache", monkeypatch) as place:
        yield place


def test_a_bucket_holds_what_a_folder_does(bucket, tmp_path, tokenizer_file):
    make_release(tmp_path / "release", ROWS, files=3)
    for name, options in KINDS.items():
        kind = {"samples": "text", "megatron": "tokens", "nanotron": "tokens"}.get(name, name)
        arguments = dict(options, tokenizer=tokenizer_file) if kind == "tokens" else options
        run(tmp_path / "release", tmp_path / name, kind, **arguments)
        run(tmp_path / "release", bucket / name, kind, **arguments)
        assert remote_bytes(bucket / name) == bytes_of(tmp_path / name)
        assert take_out(bucket / name, GONE) == take_out(tmp_path / name, GONE)
        assert remote_bytes(bucket / name) == bytes_of(tmp_path / name)


def test_an_export_clears_up_after_itself_and_not_after_another_that_is_at_work(bucket):
    with workshop(bucket / "one") as mine, workshop(bucket / "other") as theirs:
        (theirs / "rows.txt").write_text("at work")
        remove_leftovers(bucket / "one")
        assert not mine.exists() and (theirs / "rows.txt").read_text() == "at work"
        # What the block takes away at its end.
        mine.mkdir()


def test_mixes_of_a_bucket_are_those_of_folders(bucket, tmp_path, tokenizer_file):
    make_release(tmp_path / "web", ROWS, files=2)
    make_release(tmp_path / "other", [row(5000 + number) for number in range(40)], name="other")
    for name in ("web", "other"):
        for path, content in bytes_of(tmp_path / name).items():
            with atomic_file(bucket / name / path) as file:
                file.write(content)
    given = {"name": "m", "tokenizer": str(tokenizer_file), "budgets": ["1K", "3K"], "shard_bytes": 20_000}
    for kind, make, key in (("mix", mix_of, "sources"), ("pack", pack_of, "corpora")):
        more = {"weight": 1} if kind == "mix" else {}
        for root in (tmp_path, bucket):
            listed = [{"name": name, "release": str(root / name), **more} for name in ("web", "other")]
            keys = given | {key: listed} | ({"budgets": ["500"]} if kind == "pack" else {})
            make(write_manifest(tmp_path / f"{kind}.yaml", **keys), root / kind)
        assert _but_names(remote_bytes(bucket / kind), bucket) == _but_names(bytes_of(tmp_path / kind), bucket)
        assert {"kind": kind, "place": str(bucket / kind)} in registered(bucket / "web")
        taken = take_out(bucket / kind, GONE)
        assert taken == take_out(tmp_path / kind, GONE)
        assert _but_names(remote_bytes(bucket / kind), bucket) == _but_names(bytes_of(tmp_path / kind), bucket)


def _but_names(files: dict[str, bytes], bucket: RemotePath) -> dict[str, bytes]:
    """A record names a release of a bucket by its URL, a folder by its last part; `.local` is of this machine alone."""
    files = {path: content for path, content in files.items() if not path.startswith(".local/")}
    return files | {"derived.json": files["derived.json"].replace(f"{bucket}/".encode(), b"")}
