"""Entries in little memory and in one file: what they say is what their files say, and the files decide."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import entry_pack
from pipeline.entries import Entries
from pipeline.entry_pack import PACK_FILE, PackWriter, load_entries, read_entries
from pipeline.exchange import list_runs, run_list, run_places
from pipeline.inputs import sizes_of
from pipeline.ledger import Entry, entry_path
from pipeline.storage import s3
from pipeline.storage.http import Politeness
from pipeline.storage.places import RemotePath, file_facts
from tests.pipeline.conftest import execute
from tests.pipeline.loopback import moto_server, s3_proxy, well_behaved

counts = st.dictionaries(st.text(max_size=8), st.integers(0, 2**40), max_size=4)
digests = st.one_of(st.text("0123456789abcdef", min_size=64, max_size=64), st.just("xxh3:1"))
outputs = st.dictionaries(
    st.sampled_from(["documents", "rejects", "signals"]),
    st.builds(
        lambda folder, file, rows, digest: {"folder": folder, "file": file, "rows": rows, "bytes": 7, "digest": digest},
        st.sampled_from(["a-1", "b-2"]), st.sampled_from(["s0.parquet", "s1.parquet", "x"]), st.integers(0, 9), digests,
    ),
)  # fmt: skip
entries = st.builds(
    Entry, shard=st.sampled_from(["s0", "s1", "s2", "雪"]), stage=st.just("extract"), read=st.integers(0, 2**40),
    written=st.integers(0, 2**40), characters_out=st.integers(0, 2**40), rejected=counts,
    characters_rejected=counts, outputs=outputs,
    notes=st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=200)), max_size=3),
)  # fmt: skip


@given(st.lists(entries, max_size=8))
def test_what_is_kept_of_an_entry_is_what_it_says_and_the_last_one_of_a_shard_counts(given_entries):
    kept = Entries(given_entries)
    last = {entry.shard: entry for entry in given_entries}
    assert kept.keys() == last.keys()
    for shard, entry in last.items():
        done = kept[shard]
        for name in (
            "shard",
            "read",
            "written",
            "characters_out",
            "rejected",
            "characters_rejected",
            "outputs",
            "notes",
        ):
            assert getattr(done, name) == getattr(entry, name)
        for table in entry.outputs:
            assert kept.output(table, shard) == entry.outputs[table]
    with pytest.raises(KeyError):
        kept["never added"]


def saved(folder: Path, count: int) -> list[Entry]:
    found = [Entry(f"s{number:02d}", "extract", read=number, written=number) for number in range(count)]
    for entry in found:
        entry.save(folder)
    return found


def pack(folder: Path, found: list[Entry]) -> None:
    with PackWriter() as writer:
        for entry in found:
            writer.add(entry)
        writer.save(folder, file_facts(folder))


@pytest.fixture(autouse=True)
def small_packs(monkeypatch, tmp_path):
    monkeypatch.setattr(entry_pack, "LEAST_ENTRIES", 2)
    monkeypatch.setenv("KAMISUKI_CACHE", str(tmp_path / "cache"))


def test_the_files_of_entries_decide_and_the_pack_saves_reading_them(tmp_path):
    folder = tmp_path / "documents-1"
    found = saved(folder, 6)
    pack(folder, found)
    assert all(line is not None for _, line in read_entries(folder)), "none is opened that has not changed"
    assert load_entries(folder) == found
    entry_path(folder, "s01").unlink()
    changed = Entry("s02", "extract", read=99, written=99)
    changed.save(folder)
    status = entry_path(folder, "s03").stat()
    os.utime(entry_path(folder, "s03"), ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    more = Entry("s99", "extract")
    more.save(folder)
    assert load_entries(folder) == [found[0], changed, *found[3:], more]
    opened = {entry.shard for entry, line in read_entries(folder) if line is None}
    assert opened == {"s02", "s03", "s99"}, "a changed, a touched and a new one are read from their files"


@pytest.mark.parametrize("damage", [lambda b: b[:-40], lambda b: b"no pack", lambda b: b[:60] + b"\0" * 40 + b[100:]])
def test_a_damaged_pack_is_as_good_as_none(tmp_path, damage):
    folder = tmp_path / "documents-1"
    found = saved(folder, 40)
    pack(folder, found)
    (folder / PACK_FILE).write_bytes(damage((folder / PACK_FILE).read_bytes()))
    assert load_entries(folder) == found


def test_a_run_that_finds_its_entries_packed_does_nothing_and_one_whose_entry_went_does_that_shard(parts, tmp_path):
    out = tmp_path / "out"
    first = execute(out, parts)
    folder = out / first.tables["documents"]
    assert (folder / PACK_FILE).is_file()
    assert execute(out, []).tasks_run == 0
    gone = sorted(folder.glob("*.ledger.json"))[0]
    told = json.loads(gone.read_text())
    gone.unlink()
    again = execute(out, [], last="extract")
    assert again.tasks_run == 1
    made = json.loads(gone.read_text())
    assert made["outputs"] == told["outputs"] and made["rejected"] == told["rejected"]


def test_a_list_of_runs_names_them_in_their_order_wherever_its_folder_has_been_moved(tmp_path):
    names = ["b.run", "a.run", "雪~1.run"]
    list_runs(tmp_path / "one", [str(tmp_path / "one" / name) for name in names])
    (tmp_path / "one").rename(tmp_path / "two")
    places = run_places(run_list(tmp_path / "two"))
    assert places == [tmp_path / "two" / name for name in names]
    assert run_places([str(place) for place in places]) == places


@pytest.fixture(scope="module")
def moto():
    with moto_server() as port:
        yield port


def test_s3_is_not_asked_for_each_shard_by_a_driver_that_plans_or_finds_all_done(moto, parts, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "loopback")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    asked: dict[int, int] = {}
    with s3_proxy(moto, well_behaved) as (endpoint, seen):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        s3._client_of.cache_clear()
        s3.client().create_bucket(Bucket="drivers")
        for number in range(30):
            s3.put(parts[0], f"s3://drivers/in/{number:02d}.warc.gz")
        before = len(seen.requests)
        places = [RemotePath(f"s3://drivers/in/{number:02d}.warc.gz") for number in range(30)]
        found = sizes_of(list(places), Politeness())
        assert found == dict.fromkeys(places, parts[0].stat().st_size)
        assert [method for method, _, _ in seen.requests[before:]] == ["GET"], "one listing, not thirty questions"
        for count in (2, 4):
            out = RemotePath(f"s3://drivers/out-{count}")
            execute(out, parts[:count], last="extract")
            before = len(seen.requests)
            assert execute(out, parts[:count], last="extract").tasks_run == 0
            asked[count] = len(seen.requests) - before
    s3._client_of.cache_clear()
    assert asked[4] == asked[2]
