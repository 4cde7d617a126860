"""Fetching: what comes is what lies there or an error, however the server behaves, and no server is asked too much."""

from __future__ import annotations

import base64
import hashlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import KamisukiError
from pipeline.storage import fetch as fetching
from pipeline.storage.cache import cached, make_room
from pipeline.storage.fetch import (
    LONGEST_RETRY_AFTER_SECONDS,
    LONGEST_WAIT_SECONDS,
    Facts,
    fetch,
    read_range,
    remote_size,
    waiting_seconds,
)
from pipeline.storage.http import Politeness, check_redirect, retry_after
from pipeline.storage.ranges import cached_ranges
from pipeline.storage.remote_file import RemoteFile
from tests.pipeline.loopback import HAPPENINGS, every, web_server

QUICK = Politeness(wait_seconds=0.001)
CONTENT = random.Random(1).randbytes(3_000_000)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KAMISUKI_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "x.warc.gz").write_bytes(CONTENT)
    return folder


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """The waits that were asked for; they are not slept, so that the tests are quick."""
    asked: list[float] = []
    monkeypatch.setattr(fetching.time, "sleep", asked.append)
    return asked


@pytest.mark.parametrize("happening", HAPPENINGS)
def test_one_fault_costs_a_second_request_and_no_byte(folder, tmp_path, waits, happening):
    with web_server(folder, lambda number, *_: happening if number == 1 else None) as (site, seen):
        fetch(f"{site}/x.warc.gz", tmp_path / "copy", QUICK)
    assert (tmp_path / "copy").read_bytes() == CONTENT
    assert len(seen.requests) in (2, 3)
    assert waits and (happening != "refuse" or waits[0] >= 1)


@pytest.mark.parametrize("turn", [2, 3])
def test_ranges_and_seeking_are_right_while_the_server_misbehaves(folder, waits, turn):
    random_places = random.Random(turn)
    with web_server(folder, every(turn)) as (site, _):
        for _ in range(6):
            start = random_places.randrange(len(CONTENT))
            stop = random_places.randrange(start + 1, len(CONTENT) + 1)
            assert read_range(f"{site}/x.warc.gz", start, stop, QUICK) == CONTENT[start:stop]
        file = RemoteFile(f"{site}/x.warc.gz", QUICK)
        for place, size in ((len(CONTENT) - 8, 8), (0, 10), (5, 400_000), (len(CONTENT) - 3, 99)):
            file.seek(place)
            assert file.read(size) == CONTENT[place : place + size]
        with pytest.raises(KamisukiError):
            read_range(f"{site}/x.warc.gz", len(CONTENT) - 5, len(CONTENT) + 5, QUICK)


def test_a_cut_fetch_asks_only_for_the_rest_also_in_another_process(folder, waits):
    url_of = "{}/x.warc.gz".format
    once = Politeness(wait_seconds=0.001, tries=1)
    with web_server(folder, lambda number, *_: "cut" if number == 1 else None) as (site, seen):
        with pytest.raises(KamisukiError, match="failed 1 times"), cached(url_of(site), once):
            pass
        with cached(url_of(site), once) as copy:
            assert copy.path.read_bytes() == CONTENT
        ranges = [headers["Range"] for headers in seen.of("GET")]
        assert ranges == ["bytes=0-", f"bytes={len(CONTENT) // 2}-"]
        # A copy that still holds is not fetched again.
        with cached(url_of(site), once) as copy:
            assert copy.path.read_bytes() == CONTENT
        assert seen.of("GET")[-1]["If-None-Match"] == copy.etag


def test_a_file_that_changed_between_two_pieces_comes_whole_and_new(folder, waits):
    other = CONTENT[::-1]

    def change(number, method, path):
        if number == 2:
            (folder / "x.warc.gz").write_bytes(other)
        return "cut" if number == 1 else None

    with web_server(folder, change) as (site, _), cached(f"{site}/x.warc.gz", QUICK) as copy:
        assert copy.path.read_bytes() == other


def test_ranges_go_on_behind_the_last_whole_one_and_never_mix_two_files(folder, waits):
    once = Politeness(wait_seconds=0.001, tries=1)
    ranges = [(10, 500_000), (900_000, 1_000_000), (len(CONTENT) - 5, len(CONTENT))]
    with web_server(folder, lambda number, *_: "refuse" if number == 2 else None) as (site, seen):
        url = f"{site}/x.warc.gz"
        with pytest.raises(KamisukiError, match="failed 1 times"), cached_ranges(url, ranges, once):
            pass
        with cached_ranges(url, ranges, once) as path:
            with open(path, "rb") as file:
                for start, stop in ranges:
                    file.seek(start)
                    assert file.read(stop - start) == CONTENT[start:stop]
            assert path.stat().st_blocks * 512 < len(CONTENT)
        firsts = [headers["Range"].partition("-")[0] for headers in seen.of("GET")]
        assert firsts == [f"bytes={start}" for start in (10, 900_000, 900_000, len(CONTENT) - 5)]
    other = CONTENT[::-1]

    def change(number, method, path):
        if number == 2:
            (folder / "x.warc.gz").write_bytes(other)

    with web_server(folder, change) as (site, _):
        url = f"{site}/x.warc.gz"
        with pytest.raises(KamisukiError, match="changed"), cached_ranges(url, ranges, once):
            pass
        with cached_ranges(url, ranges, once) as path, open(path, "rb") as file:
            for start, stop in ranges:
                file.seek(start)
                assert file.read(stop - start) == other[start:stop]


def test_the_cache_keeps_to_its_limit_and_leaves_what_is_read(folder, tmp_path):
    sizes = {"a": 40_000, "b": 50_000, "c": 60_000}
    for name, size in sizes.items():
        (folder / name).write_bytes(CONTENT[:size])
    small = Politeness(cache_bytes=100_000)
    with web_server(folder) as (site, _):
        with cached(f"{site}/a", small) as first:
            for name in ("b", "c"):
                with cached(f"{site}/{name}", small):
                    pass
            assert first.path.exists()
        make_room(small.cache_bytes)
        kept = list((tmp_path / "cache" / "inputs").glob("*.data"))
        assert sum(path.stat().st_size for path in kept) <= small.cache_bytes
        assert kept


def test_a_host_gets_no_more_requests_at_once_than_allowed(folder):
    def slow(number, method, path):
        time.sleep(0.02)

    polite = Politeness(connections=2)
    with web_server(folder, slow) as (site, seen), ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: read_range(f"{site}/x.warc.gz", n, n + 10, polite), range(12)))
    assert seen.most_at_once <= 2


def test_what_has_another_checksum_than_its_server_says_is_refused(folder, tmp_path, monkeypatch):
    from tests.pipeline import loopback

    plain = loopback._FileHandler.content

    def with_digest(self, body):
        status, headers, content = plain(self, body)
        return status, headers | {"Repr-Digest": f"sha-256=:{digest}:"}, content

    monkeypatch.setattr(loopback._FileHandler, "content", with_digest)
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    with web_server(folder) as (site, _):
        fetch(f"{site}/x.warc.gz", tmp_path / "good", QUICK)
        digest = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
        with pytest.raises(KamisukiError, match="sha256"):
            fetch(f"{site}/x.warc.gz", tmp_path / "bad", QUICK)
    assert not (tmp_path / "bad").exists()


def test_missing_files_and_hopeless_servers_are_errors_that_name_the_repair(folder, waits):
    with web_server(folder, lambda number, method, path: "busy" if "x" in path else None) as (site, seen):
        with pytest.raises(FileNotFoundError):
            read_range(f"{site}/none", 0, None, QUICK)
        with pytest.raises(FileNotFoundError):
            remote_size(f"{site}/none", QUICK)
        before = len(seen.requests)
        with pytest.raises(KamisukiError, match=r"failed 5 times in a row.*run again"):
            read_range(f"{site}/x.warc.gz", 0, None, Politeness(wait_seconds=0.001, tries=5))
        assert len(seen.requests) - before == 5
    assert len(waits) == 4 and all(wait >= 0.0005 * 2**number for number, wait in enumerate(waits))


@given(st.integers(1, 40), st.floats(0.001, 60))
def test_waits_double_within_half_of_spread_and_end_at_a_quarter_of_an_hour(failures, first):
    polite = Politeness(wait_seconds=first)
    wanted = min(LONGEST_WAIT_SECONDS, first * 2 ** (failures - 1))
    assert 0.5 * wanted <= waiting_seconds("https://example.org/x", failures, polite) <= 1.5 * wanted


def test_retry_after_is_read_in_both_its_forms():
    assert retry_after("120") == 120
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 80 < retry_after(soon) <= 90
    for nothing in (None, "", "soon", "-5", "1e9"):
        assert retry_after(nothing) == 0
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_a_server_that_asks_for_a_day_is_left_alone(folder, waits):
    problem = fetching.Transient("status 429", LONGEST_RETRY_AFTER_SECONDS + 1)
    with pytest.raises(KamisukiError, match="asks to wait"):
        fetching._wait("https://example.org/x", problem, 1, QUICK)
    assert waits == []


@pytest.mark.parametrize(
    ("origin", "scheme", "target", "hosts", "allowed"),
    [
        ("example.org", "https", "https://example.org/y", (), True),
        ("example.org", "https", "http://example.org/y", (), False),
        ("example.org", "https", "https://other.example/y", (), False),
        ("example.org", "https", "https://other.invalid/y", ("other.invalid",), True),
        ("example.org", "https", "file:///etc/passwd", (), False),
        ("example.org", "http", "http://127.0.0.1/y", ("127.0.0.1",), False),
        ("example.org", "http", "http://169.254.169.254/latest", ("169.254.169.254",), False),
    ],
)
def test_redirects_stay_where_they_may_go(origin, scheme, target, hosts, allowed):
    if allowed:
        check_redirect(origin, scheme, target, hosts)
    else:
        with pytest.raises(KamisukiError, match="refused"):
            check_redirect(origin, scheme, target, hosts)


def test_facts_are_written_down_while_a_copy_grows(folder, waits):
    """Another thread may ask for the same file at once: both get it whole, and it is fetched once."""
    with web_server(folder) as (site, seen):
        found: list[bytes] = []

        def read() -> None:
            with cached(f"{site}/x.warc.gz", QUICK) as copy:
                found.append(copy.path.read_bytes())

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [CONTENT] * 3
        assert len([headers for headers in seen.of("GET") if "If-None-Match" not in headers]) == 1
    assert Facts() == Facts(None, None, {})
