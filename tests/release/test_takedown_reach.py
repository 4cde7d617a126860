"""`kamisuki takedown` as a person meets it: what it says, what it cannot reach, buckets, the Hub."""

from __future__ import annotations

import datetime
import gzip
import io
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from huggingface_hub.utils import close_session

from pipeline.export_run import export
from pipeline.release.manifest import LOCAL, read_manifest
from pipeline.release.push.pushing import Wish
from pipeline.release.verify import verify
from pipeline.rewriting.client import RequestCache
from pipeline.run_folder import locked
from pipeline.runner import InProcessRunner
from pipeline.storage.places import put
from pipeline.takedown_list import make_request, read_requests, remember_requests
from tests.pipeline.conftest import Quiet, run_cli
from tests.pipeline.loopback import made_bucket, moto_server
from tests.release.buckets import remote_bytes
from tests.release.handmade import bytes_of
from tests.release.hub import serving
from tests.release.made import made_out, made_rows, release, released_and_exported
from tests.release.test_push import REPO, held, published, push
from tests.release.test_takedown import copied, public, request, rows_of, takedown
from tests.rewriting.test_request_cache import answer

ROWS = made_rows(60, hosts=6)


@pytest.fixture(scope="module")
def origin(tmp_path_factory) -> Path:
    return released_and_exported(tmp_path_factory.mktemp("origin"), ROWS)


def kamisuki(monkeypatch, capsys, place: Path, *options: str) -> tuple[int, str, str]:
    return run_cli(monkeypatch, capsys, "takedown", str(place), *options, "--workers", "0")


def test_a_dry_run_says_what_would_go_and_changes_nothing(place, monkeypatch, capsys):
    names = place.parent / "names.txt"
    names.write_text("\ufeffh1.example\n\n  h2.example \r\n", encoding="utf-8")
    before = bytes_of(place.parent)
    code, printed, _ = kamisuki(monkeypatch, capsys, place, "--hosts", str(names), "--ids", "row-9", "--dry-run")
    of = {host: sum(host in row["url"] and row["consent"] != "refused" for row in ROWS) for host in ("h1.", "h2.")}
    assert code == 0 and "nothing was changed" in printed
    assert f"{of['h1.']} rows would go: host h1.example" in printed and "1 row would go: id row-9" in printed
    after = {name: content for name, content in bytes_of(place.parent).items() if not name.endswith(".lock")}
    assert after == {name: content for name, content in before.items() if not name.endswith(".lock")}
    code, printed, _ = kamisuki(monkeypatch, capsys, place, "--hosts", str(names), "--ids", "row-9")
    assert code == 0 and f"{of['h2.']} rows went: host h2.example" in printed
    assert len(rows_of(place)) == sum(row["consent"] != "refused" for row in ROWS) - sum(of.values()) - 1
    assert all(word in printed for word in ("jsonl", "onto the list of", "gc "))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--hosts", "co.jp"], "sites of many people"),
        (["--urls", "a.example/page"], "no whole URL"),
        (["--ids", " "], "names nothing"),
        (["--ids", "row-1", "--since", "2026-01-01"], "--since limits URLs and hosts"),
        (["--hosts", "h1.example", "--since", "yesterday"], "give a day"),
        (["--takedowns", "nowhere.jsonl"], "no takedown list"),
    ],
)
def test_wrong_options_are_told_in_one_line_and_nothing_is_touched(place, options, said, monkeypatch, capsys):
    before = bytes_of(place)
    code, _, errors = kamisuki(monkeypatch, capsys, place, *options)
    assert code == 2 and said in errors and errors.count("\n") == 1
    assert bytes_of(place) == before


def test_without_a_release_the_error_names_the_repair(tmp_path, monkeypatch, capsys):
    code, _, errors = kamisuki(monkeypatch, capsys, tmp_path / "nothing", "--ids", "row-1")
    assert code == 2 and "holds no release" in errors


def test_a_date_spares_what_was_fetched_before_it_and_no_row_of_unknown_date(origin, tmp_path):
    days = [datetime.datetime(2024, 6, day, 23, 59, tzinfo=datetime.UTC) for day in (1, 2, 3)]
    rows = [row | {"fetched_at": ([*days, None])[n % 4]} for n, row in enumerate(made_rows(40, hosts=1))]
    place = tmp_path / "release"
    release(made_out(tmp_path / "out", rows), place)
    had = rows_of(place)
    takedown(place, request("host", "h0.example", since=datetime.date(2024, 6, 2)))
    left = {key for key, row in had.items() if row["fetched_at"] and row["fetched_at"] < days[1].replace(hour=0)}
    assert rows_of(place).keys() == left and 0 < len(left) < len(had) and verify(place).whole()
    (source,) = read_manifest(place).tasks[0].sources
    assert (source.first, source.last) == (datetime.date(2024, 6, 1), datetime.date(2024, 6, 1))


def test_a_damaged_file_is_named_and_keeps_no_other_from_being_cleared(place, monkeypatch, capsys):
    export(place, place.parent / "more", "jsonl", InProcessRunner(), Quiet())
    for cut in (place.parent / "lines").rglob("*.jsonl.gz"):
        cut.write_bytes(cut.read_bytes()[:-20])
    answers = place.parent / "out" / "answers"
    answers.mkdir()
    for name in ("a", "c"):
        (answers / f"{name}.sqlite").write_bytes(b"no cache")
    with RequestCache(answers / "b.sqlite") as cache:
        cache.note_documents([("row-1", "asked")])
        cache.put(answer("asked"))
    code, printed, _ = kamisuki(monkeypatch, capsys, place, "--ids", "row-1")
    assert code == 1 and all(f"{name}.sqlite" in printed for name in "ac")
    assert f"not reached: jsonl at {place.parent / 'lines'}" in printed
    assert f"1 answer of a model out of {answers / 'b.sqlite'}" in printed
    assert f"jsonl at {place.parent / 'more'}" in printed and "row-1" not in rows_of(place)


def test_what_is_not_there_is_named_and_reached_by_the_next(place, monkeypatch, capsys):
    lines = place.parent / "lines"
    shutil.move(lines, place.parent / "away")
    code, printed, errors = kamisuki(monkeypatch, capsys, place, "--hosts", "h1.example")
    assert code == 1 and f"not reached: jsonl at {lines}" in printed and f"kamisuki takedown {place}" in errors
    assert verify(place).whole() and not any("//h1." in row["url"] for row in rows_of(place).values())
    shutil.move(place.parent / "away", lines)
    with locked(place.parent / "out"):
        code, printed, _ = kamisuki(monkeypatch, capsys, place)
        assert code == 1 and "another run" in printed and "out of" in printed
    reference = copied(place.parent, place.parent.parent / "reference")
    assert kamisuki(monkeypatch, capsys, place)[0] == 0
    assert bytes_of(reference.parent / "lines") == bytes_of(lines)
    assert read_requests(place.parent / "out")
    # The run is gone for good, and so is the export.
    shutil.rmtree(place.parent / "out")
    shutil.rmtree(lines)
    assert kamisuki(monkeypatch, capsys, place)[0] == 1
    (place / LOCAL / "derived.jsonl").write_text("")
    origin = place / LOCAL / "origin.json"
    origin.write_text(json.dumps(json.loads(origin.read_text()) | {"out": None}))
    code, printed, _ = kamisuki(monkeypatch, capsys, place, "--ids", "row-9")
    assert code == 0 and "1 row went" in printed


def test_what_a_run_was_told_is_followed_without_being_told_again(place):
    out = place.parent / "out"
    remember_requests(out, [request("host", "h3.example")])
    takedown(place)
    assert not any("//h3." in row["url"] for row in rows_of(place).values())
    # Of rows that another build had and this one has not, exports still go.
    remember_requests(out, [request("host", "h4.example")])
    release(out, place, replace=True, shard_bytes=6_000)
    assert any(b"h4.example" in content for content in lines_of(place).values())
    takedown(place)
    assert not any(b"h4.example" in content for content in lines_of(place).values())


def lines_of(place: Path) -> dict[str, bytes]:
    return {path.name: gzip.decompress(path.read_bytes()) for path in (place.parent / "lines").rglob("*.jsonl.gz")}


def test_other_releases_of_the_run_are_named_and_follow_its_list(place):
    out, other = place.parent / "out", place.parent / "other"
    shutil.rmtree(out / "releases")
    release(out, place, shard_bytes=6_000)
    release(out, other, seed=4)
    release(out, place.parent / "deleted")
    shutil.rmtree(place.parent / "deleted")
    _, reached = takedown(place, request("host", "h1.example"))
    assert [line for line in reached.still_there if "a release of the same run" in line] == [
        f"perhaps {other}, a release of the same run: kamisuki takedown {other} follows the same list"
    ]
    takedown(other)
    assert rows_of(other).keys() == rows_of(place).keys() and verify(other).whole()


def test_a_reason_and_a_file_that_stays_without_rows(place):
    host = "https://h2.example/"
    asked = make_request("host", "h2.example", datetime.date(2026, 11, 26), f"Who owns H2.example wrote, see {host}x")
    takedown(place, asked)
    manifest = read_manifest(place)
    assert [each.reason for each in manifest.takedowns] == ["Who owns … wrote, see …"]
    assert not any(b"h2.example" in content.lower() for content in public(place).values())
    everything = list({row["url"].split("/")[2] for row in ROWS})
    takedown(place, *(request("host", host) for host in everything))
    assert not rows_of(place) and verify(place).whole()
    assert {file.path for file in read_manifest(place).files} == {file.path for file in manifest.files}


def test_the_squashed_hub_has_none_of_it(place):
    mark = next(row for row in rows_of(place).values() if row["host"] == "h2.example")
    with serving() as hub:
        push(place, hub)
        before = dict(hub.repos[REPO].lfs)
        _, reached = takedown(place, request("url", mark["url"]))
        assert any("--squash-history" in line and REPO in line for line in reached.still_there)
        push(place, hub, Wish(squash=True))
        assert held(hub) == published(place)
        assert len(hub.repos[REPO].history["main"]) == 1 and before.keys() - hub.repos[REPO].lfs.keys()
        tables = [pq.read_table(io.BytesIO(content)).to_pylist() for content in hub.repos[REPO].lfs.values()]
        assert len(tables) == len(read_manifest(place).files) + 1
        assert not any(row["id"] == mark["id"] and "text" in row for table in tables for row in table)
    close_session()


def test_a_release_in_a_bucket_ends_with_the_same_bytes(place, tmp_path, monkeypatch):
    requests = [request("host", "h1.example"), request("id", "row-9")]
    with moto_server() as port, made_bucket(port, tmp_path / "cache", monkeypatch) as bucket:
        for folder in ("release", "lines", "out"):
            for name in bytes_of(place.parent / folder):
                # A lock of a folder that came along is nobody's lease.
                text = (place.parent / folder / name).read_bytes()
                if name.startswith(f"{LOCAL}/"):
                    (tmp_path / "changed").write_bytes(text.replace(str(place.parent).encode(), str(bucket).encode()))
                    put(tmp_path / "changed", bucket / folder / name)
                else:
                    put(place.parent / folder / name, bucket / folder / name)
        _, reached = takedown(bucket / "release", *requests)
        takedown(place, *requests)
        remote = remote_bytes(bucket / "release")
        assert {name: content for name, content in remote.items() if not name.startswith(LOCAL)} == public(place)
        assert not any("taking-down" in name for name in remote) and verify(bucket / "release").whole()
        assert remote_bytes(bucket / "lines") == bytes_of(place.parent / "lines")
        assert not reached.failed and len(read_requests(bucket / "out")) == 2
        assert not [path for path in (tmp_path / "cache" / "scratch").rglob("*") if path.is_file()]
