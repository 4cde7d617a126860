"""Exports in a bucket: the same files as in a folder, and rows taken out of them."""

from __future__ import annotations

import pytest

from pipeline.release.derived import take_out
from pipeline.storage import s3
from pipeline.storage.places import RemotePath, read_bytes, tree_sizes
from tests.pipeline.loopback import moto_server
from tests.release.handmade import bytes_of, make_release
from tests.release.test_exports import run, tokenizer_file  # noqa: F401 - a fixture
from tests.release.test_taking_out import GONE, KINDS, ROWS


@pytest.fixture(scope="module")
def moto():
    with moto_server() as port:
        yield port


@pytest.fixture
def bucket(moto, tmp_path, monkeypatch):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "loopback",
        "AWS_SECRET_ACCESS_KEY": "never-in-any-file",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "KAMISUKI_CACHE": str(tmp_path / "cache"),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{moto}",
    }.items():
        monkeypatch.setenv(name, value)
    s3._client_of.cache_clear()
    s3.client().create_bucket(Bucket="exports")
    yield RemotePath("s3://exports")
    s3._client_of.cache_clear()


def remote_bytes(place: RemotePath) -> dict[str, bytes]:
    return {path: read_bytes(place / path) for path in tree_sizes(place)}


def test_a_bucket_holds_what_a_folder_does(bucket, tmp_path, tokenizer_file):  # noqa: F811
    make_release(tmp_path / "release", ROWS, files=3)
    for name, options in KINDS.items():
        kind = {"samples": "text", "megatron": "tokens", "nanotron": "tokens"}.get(name, name)
        arguments = dict(options, tokenizer=tokenizer_file) if kind == "tokens" else options
        run(tmp_path / "release", tmp_path / name, kind, **arguments)
        run(tmp_path / "release", bucket / name, kind, **arguments)
        assert remote_bytes(bucket / name) == bytes_of(tmp_path / name)
        assert take_out(bucket / name, GONE) == take_out(tmp_path / name, GONE)
        assert remote_bytes(bucket / name) == bytes_of(tmp_path / name)
