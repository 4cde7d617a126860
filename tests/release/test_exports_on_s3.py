"""Exports in a bucket: the same files as in a folder, and rows taken out of them."""

from __future__ import annotations

import pytest

from pipeline.release.derived import take_out
from pipeline.storage.places import RemotePath, read_bytes, tree_sizes
from tests.pipeline.loopback import made_bucket, moto_server
from tests.release.handmade import bytes_of, make_release
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


def remote_bytes(place: RemotePath) -> dict[str, bytes]:
    return {path: read_bytes(place / path) for path in tree_sizes(place)}


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
