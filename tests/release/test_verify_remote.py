"""`kamisuki verify` on S3: the same checks, with each file fetched once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.release.verify import verify
from pipeline.storage.places import RemotePath, put
from tests.pipeline.loopback import made_bucket, moto_server
from tests.release.test_verify import FIRST, build, plain_rows, wrong


@pytest.fixture
def bucket(tmp_path, monkeypatch) -> Iterator[RemotePath]:
    with moto_server() as port, made_bucket(port, tmp_path / "cache", monkeypatch) as place:
        yield place / "mine"


def upload(folder: Path, to: RemotePath) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            put(path, to / path.relative_to(folder).as_posix())


def test_a_release_on_s3_is_checked_like_one_in_a_folder(tmp_path, bucket):
    folder = tmp_path / "release"
    build(folder, plain_rows())
    upload(folder, bucket)
    found = verify(bucket)
    assert wrong(found) == {}
    assert found.as_record() == verify(folder).as_record()

    rows = plain_rows()
    rows["demo-attribution", "train", 0][1] |= {"id": rows["demo-none", "train", 1][2]["id"], "text": " "}
    build(folder, rows)
    upload(folder, bucket)
    found = verify(bucket)
    assert wrong(found).keys() == {"ids", "places", "text"}
    assert wrong(found)["text"] == [f"{FIRST}: row 1: its text is empty"]
    assert found.as_record() == verify(folder).as_record()
