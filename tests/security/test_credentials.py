"""Credentials stand nowhere: not in OUT, not in logs, not in events, not in errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.storage import s3
from pipeline.storage.places import RemotePath
from tests.pipeline.conftest import SAMPLE, run_cli
from tests.pipeline.loopback import made_bucket, moto_server

SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAXNEVERWRITTEN01",
    "AWS_SECRET_ACCESS_KEY": "secret-that-is-never-written-02",
    "AWS_SESSION_TOKEN": "session-that-is-never-written-03",
    "HF_TOKEN": "hf_neverwritten04",
    "OPENAI_API_KEY": "sk-never-written-05",
}


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemotePath]:
    with moto_server() as port, made_bucket(port, tmp_path / "cache", monkeypatch) as place:
        for name, value in SECRETS.items():
            monkeypatch.setenv(name, value)
        s3._client_of.cache_clear()
        yield place


def test_a_run_into_a_bucket_writes_no_credentials_anywhere(
    bucket: RemotePath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.warc.gz"
    broken.write_bytes(b"no archive at all")
    events = tmp_path / "events.jsonl"
    given = ["--input", str(SAMPLE), "--input", str(broken), "--workers", "0", "--log-json", str(events)]
    more = ["--set", "max_failed_shards=1", "--until", "sign"]
    said = [
        run_cli(monkeypatch, capsys, "--debug", "run", "demo", "--out", f"{bucket}/out", *given, *more),
        run_cli(monkeypatch, capsys, "status", f"{bucket}/out"),
        # An error of the server with its trace: a bucket that is not there.
        run_cli(monkeypatch, capsys, "--debug", "run", "demo", "--out", "s3://no-such-bucket-here/out", *given),
    ]
    assert [code for code, _, _ in said] == [0, 0, 1] and "Traceback" in said[2][2], said
    client = s3.client()
    name, _ = s3.split(str(bucket))
    objects = {
        found["Key"]: client.get_object(Bucket=name, Key=found["Key"])["Body"].read()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=name)
        for found in page["Contents"]
    }
    assert {Path(key).suffix for key in objects} >= {".parquet", ".json"}
    places = {**objects, **{str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}}
    places |= {f"output {number}": (out + err).encode() for number, (_, out, err) in enumerate(said)}
    assert json.loads(events.read_text().splitlines()[0])["event"] == "run_begin"
    assert [
        (place, secret)
        for place, content in places.items()
        for secret in SECRETS.values()
        if secret.encode() in content
    ] == []
