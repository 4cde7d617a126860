"""Whole runs over S3 and the web while servers misbehave: the same bytes as a run on this machine."""

from __future__ import annotations

import gzip
import itertools
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline import exchange
from pipeline.files import write_json
from pipeline.inputs import find_inputs
from pipeline.report.explain import explain
from pipeline.report.status import known_tables
from pipeline.run_folder import read_run
from pipeline.source_settings import Sources
from pipeline.storage import reading_ahead, remote_file, s3
from pipeline.storage.places import RemotePath, read_bytes, tree_sizes
from tests.pipeline.conftest import execute, run_cli
from tests.pipeline.loopback import HAPPENINGS, Seen, every, moto_server, s3_proxy, web_server

QUICK = ("sources.wait_seconds=0.01", "sources.contact=https://example.org/about")


@pytest.fixture(scope="module")
def moto() -> Iterator[int]:
    with moto_server() as port:
        yield port


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    """Credentials by the platform's own chain, and a cache of each test's own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "loopback")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never-in-any-file")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("KAMISUKI_CACHE", str(tmp_path / "cache"))
    s3._client_of.cache_clear()
    yield
    s3._client_of.cache_clear()


@pytest.fixture
def bucket(moto, monkeypatch, request) -> str:
    """A bucket of its own on the well-behaved server."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{moto}")
    name = f"bucket-{abs(hash(request.node.name)) % 10**9}"
    s3.client().create_bucket(Bucket=name)
    return name


@pytest.mark.parametrize("ahead", [64_000_000, 1])
def test_run_files_of_a_store_are_read_several_at_a_time_and_in_order(bucket, tmp_path, monkeypatch, ahead):
    schema = pa.schema([("key", pa.uint64()), ("text", pa.string())])
    monkeypatch.setattr(exchange, "BLOCK_BYTES", 40_000)
    keys = np.random.default_rng(1).integers(0, 2**64, 2_400, np.uint64)
    # One that is longer than the tail which opening a file reads, among small ones and one without a row.
    parts = [*np.split(keys[:400], 20), keys[400:], keys[:0]]
    local, remote = [], []
    for number, part in enumerate(parts):
        for paths, folder in ((local, tmp_path), (remote, RemotePath(f"s3://{bucket}/runs"))):
            paths.append(folder / f"{number:02}.run")
            with exchange.RunWriter(paths[-1], schema, 3) as out:
                for some in np.array_split(part, 10):
                    texts = pa.array([f"{key}" * 10 for key in some.tolist()], pa.string())
                    batch = pa.RecordBatch.from_arrays([pa.array(some), texts], schema=schema)
                    out.write(batch, exchange.key_partition(some, 3))
    together, calls, read_range = threading.Barrier(4), itertools.count(), remote_file.read_range

    def read_together(*given):
        if next(calls) < 4:
            together.wait(60)
        return read_range(*given)

    monkeypatch.setattr(reading_ahead, "AHEAD_BYTES", ahead)
    monkeypatch.setattr(remote_file, "read_range", read_together)
    for partition in range(3):
        expected = exchange.read_partition(local, partition, schema)
        assert expected.num_rows and exchange.read_partition(remote, partition, schema).equals(expected)
    write_json(RemotePath(f"s3://{bucket}/runs/04.run"), "no run")
    with pytest.raises(ValueError, match="not a run file"):
        exchange.read_partition(remote, 0, schema)


def tables_of(out: RemotePath) -> dict[str, bytes]:
    names = [name for name in tree_sizes(out) if name.endswith(".parquet")]
    return {name: read_bytes(out / name) for name in sorted(names)}


def puts(seen: Seen) -> Counter[str]:
    return Counter(path for method, path, _ in seen.requests if method == "PUT")


@pytest.mark.slow
def test_a_run_with_out_on_s3_and_inputs_from_the_web_writes_what_a_local_run_writes(
    parts, reference, moto, bucket, tmp_path, monkeypatch
):
    folder = tmp_path / "web"
    inside = folder / "crawl"
    inside.mkdir(parents=True)
    for path in parts:
        (inside / path.name).write_bytes(path.read_bytes())
    out = RemotePath(f"s3://{bucket}/runs/out")
    with s3_proxy(moto, every(29)) as (endpoint, asked), web_server(folder, every(2)) as (site, seen):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        s3._client_of.cache_clear()
        execute(out, [f"{site}/crawl/{path.name}" for path in parts], overrides=QUICK)
        first = len(asked.requests)
        assert set(asked.happened) == set(seen.happened) == set(HAPPENINGS)
        assert tables_of(out) == reference
        again = execute(out, [], overrides=QUICK)
        assert again.tasks_run == 0
    assert {headers["User-Agent"] for headers in seen.of("GET")} == {
        next(headers["User-Agent"] for headers in seen.of("GET"))
    }
    assert seen.of("GET")[0]["User-Agent"].startswith("Kamisuki/")
    assert "https://example.org/about" in seen.of("GET")[0]["User-Agent"]
    assert seen.most_at_once <= Sources().connections
    # Nothing is renamed, a folder is listed a few times at most, and a table is put once but for what was refused.
    assert not [headers for headers in asked.of("PUT") if "x-amz-copy-source" in {name.lower() for name in headers}]
    failed = sum(asked.happened.values())
    listings = [path for method, path, _ in asked.requests[:first] if method == "GET" and "list-type=2" in path]
    folders = {path.partition("prefix=")[2].partition("&")[0] for path in listings}
    assert len(listings) <= 4 * len(folders) + failed
    tables = {path: count for path, count in puts(asked).items() if ".parquet" in path}
    assert sum(tables.values()) <= len(tables) + failed
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{moto}")
    s3._client_of.cache_clear()
    everything = b"".join(read_bytes(out / name) for name in tree_sizes(out))
    assert b"never-in-any-file" not in everything


def test_a_killed_copy_of_an_input_goes_on_where_it_stopped_and_a_list_names_the_same_files_everywhere(
    parts, reference, bucket, tmp_path
):
    folder = tmp_path / "mirror" / "crawl-data" / "CC-MAIN-2024-51"
    folder.mkdir(parents=True)
    names = [f"crawl-data/CC-MAIN-2024-51/{path.name}" for path in parts]
    for path in parts:
        (folder / path.name).write_bytes(path.read_bytes())
        s3.put(path, f"s3://{bucket}/crawl-data/CC-MAIN-2024-51/{path.name}")
    (folder / "warc.paths.gz").write_bytes(gzip.compress("".join(f"{name}\n" for name in names).encode()))
    s3.put(folder / "warc.paths.gz", f"s3://{bucket}/crawl-data/CC-MAIN-2024-51/warc.paths.gz")
    with web_server(tmp_path / "mirror") as (site, seen):
        bases = [site, f"{site}/", f"s3://{bucket}", str(tmp_path / "mirror")]
        for base in bases:
            sources = Sources(base=base)
            assert [str(place) for place in find_inputs(["CC-MAIN-2024-51:1-3"], sources)] == [
                f"{base.rstrip('/')}/{name}" for name in names[1:4]
            ]
        runs = {}
        for number, base in enumerate((site, f"s3://{bucket}", str(tmp_path / "mirror"))):
            out = tmp_path / f"out-{number}"
            given = ["CC-MAIN-2024-51:0-2", "CC-MAIN-2024-51:3-"]
            execute(out, given, overrides=(*QUICK, f"sources.base={base}"))
            runs[base] = {path.relative_to(out): path.read_bytes() for path in sorted(out.rglob("*.parquet"))}
        assert len(seen.of("HEAD")) == len(names)
        # Another server of the same crawl is no other input, and its files need not be fetched to know it.
        before = len(seen.requests)
        again = execute(tmp_path / "out-1", ["CC-MAIN-2024-51"], overrides=(*QUICK, f"sources.base={site}"))
        assert again.tasks_run == 0
        assert not [path for _, path, _ in seen.requests[before:] if path.endswith(".warc.gz") and _ == "GET"]
    first, *others = runs.values()
    assert first and all(other == first for other in others)


@pytest.mark.slow
def test_commands_read_an_out_on_s3(parts, bucket, tmp_path, monkeypatch, capsys):
    out = f"s3://{bucket}/out"
    code, printed, _ = run_cli(
        monkeypatch, capsys, "run", "demo", "--out", out, "--workers", "0",
        *[word for path in parts for word in ("--input", str(path))],
    )  # fmt: skip
    assert code == 0 and "corpus: s3://" in printed
    for command in (("status",), ("funnel",), ("ls",), ("timing",), ("path",), ("gc",)):
        code, printed, error = run_cli(monkeypatch, capsys, command[0], out, *command[1:])
        assert code == 0, (command, error)
        assert printed
    code, _, error = run_cli(monkeypatch, capsys, "audit", out, "--workers", "0")
    assert code in (0, 3), error
    code, printed, error = run_cli(monkeypatch, capsys, "filters", out)
    assert code == 0, error
    place = RemotePath(out)
    record = read_run(place)
    assert record
    _, tables = known_tables(place, None)
    from pipeline.files import parquet_rows

    url = next(parquet_rows(place / tables["corpus"], ["url"]))["url"]
    assert any("corpus: kept" in line for line in explain(place, url))


def test_one_run_at_a_time_works_in_an_out_on_s3(parts, bucket, monkeypatch, capsys):
    from pipeline.storage import lease

    out = f"s3://{bucket}/out"
    with lease.held(f"{out}/.lock", out):
        code, _, error = run_cli(
            monkeypatch, capsys, "run", "demo", "--out", out, "--workers", "0", "--input", str(parts[0])
        )
    assert code == 2 and "another run" in error
    assert lease.holder(f"{out}/.lock") is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("s3://no-such-bucket-here/x.warc.gz", "bucket"),
        ("https://user:secret@example.org/x.warc.gz", "credentials"),
        ("gs://bucket/x.warc.gz", "scheme gs"),
    ],
)
def test_a_wrong_input_is_one_clear_error(bucket, monkeypatch, capsys, tmp_path, given, told):
    code, _, error = run_cli(
        monkeypatch, capsys, "run", "demo", "--out", str(tmp_path / "out"), "--workers", "0", "--input", given
    )
    assert code in (1, 2) and told in error and "secret" not in error
    assert error.count("\n") == 1


def test_out_on_a_web_server_is_refused(parts, monkeypatch, capsys):
    code, _, error = run_cli(
        monkeypatch,
        capsys,
        "run",
        "demo",
        "--out",
        "https://example.org/out",
        "--workers",
        "0",
        "--input",
        str(parts[0]),
    )
    assert code == 2 and "cannot write" in error


def test_a_damaged_list_is_one_clear_error(tmp_path):
    from pipeline.errors import UsageError

    path = tmp_path / "warc.paths.gz"
    path.write_bytes(gzip.compress(b"crawl-data/a.warc.gz\n" * 4)[:-9])
    for given in (str(path), f"{path}:0-1"):
        with pytest.raises(UsageError, match="no list of paths"):
            find_inputs([given], Sources())
    path.write_bytes(gzip.compress(b"a.warc.gz\nb.warc.gz\n"))
    for wrong in ("2", "1-2", "1-0", "5-"):
        with pytest.raises(UsageError, match="2 files"):
            find_inputs([f"{path}:{wrong}"], Sources(base=str(tmp_path)))
    assert find_inputs([f"{path}:1"], Sources(base=str(tmp_path))) == [Path(tmp_path / "b.warc.gz")]


def test_what_needs_no_s3_loads_no_client_of_it():
    """Each command and each new worker would wait for it."""
    code = "import sys, pipeline.cli, pipeline.run, pipeline.extract; print('boto3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
