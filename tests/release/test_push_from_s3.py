"""A release on S3 is pushed through scratch: the same files arrive, and nothing of it is left on this machine."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter

import pytest
from huggingface_hub.utils import close_session

from pipeline.errors import KamisukiError
from pipeline.release.push import ledger
from pipeline.release.push.ledger import read_entries
from pipeline.release.push.plan import Limits
from pipeline.release.push.pushing import Wish
from pipeline.release_lock import held as holding
from pipeline.storage import lease
from pipeline.storage.places import put
from tests.pipeline.loopback import made_bucket, moto_server
from tests.release.buckets import put_all, remote_bytes
from tests.release.hub import serving
from tests.release.test_push import held, make_release, published, push


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    with moto_server() as port, made_bucket(port, tmp_path / "cache", monkeypatch) as place:
        yield place


def test_a_release_on_s3_arrives_as_it_is_and_a_second_push_sends_nothing(bucket, tmp_path):
    local, release = tmp_path / "local", bucket / "demo"
    make_release(local, 6)
    for path, _ in published(local).items():
        put(local / path, release / path)
    with serving() as hub:
        push(release, hub, Wish(limits=Limits(files=4)))
        assert held(hub) == published(local)
        assert hub.commits == 2
        assert [entry["what"] for entry in read_entries(release)].count("commit") == 2
        received = len(hub.received)
        push(release, hub)
        assert (hub.commits, len(hub.received)) == (2, received)
    close_session()
    assert not [path for path in (tmp_path / "cache" / "scratch").rglob("*") if path.is_file()]


def test_the_ledger_on_s3_holds_only_uploads_that_no_commit_has_and_a_stopped_push_goes_on(
    bucket, tmp_path, monkeypatch
):
    monkeypatch.setattr(ledger, "REMOTE_EVERY_SECONDS", 0.0)
    local, release = tmp_path / "local", bucket / "demo"
    make_release(local, 6)
    for path, _ in published(local).items():
        put(local / path, release / path)
    with serving() as hub:
        hub.mischief = lambda number, method, path: "fail" if "/commit/" in path and hub.commits == 2 else None
        with pytest.raises(KamisukiError, match="push again"):
            push(release, hub, Wish(limits=Limits(files=2)))
        kinds = Counter(entry["what"] for entry in read_entries(release))
        assert (kinds["commit"], kinds["blob"]) == (2, 2), "those of the third commit, which failed"
        received = len(hub.received)
        hub.mischief = lambda number, method, path: None
        push(release, hub, Wish(limits=Limits(files=2)))
        assert held(hub) == published(local)
        assert received == len(hub.received) == 6, "nothing was sent twice"
        kinds = Counter(entry["what"] for entry in read_entries(release))
        assert (kinds["commit"], kinds["blob"]) == (hub.commits, 0)
    close_session()


def test_a_push_whose_release_another_took_over_commits_no_more(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.02)
    local, release = tmp_path / "local", bucket / "demo"
    make_release(local, 6)
    put_all(release, published(local))
    theirs = tmp_path / "lock"
    theirs.write_text(json.dumps({"host": "elsewhere", "pid": 1, "token": "theirs"}))
    lost = threading.Event()

    with serving() as hub, holding(release) as still_held:
        lock = next(path for path in remote_bytes(release) if path.endswith(".lock"))

        def taken_over(number, method, path):
            if "/commit/" in path and hub.commits == 1 and not lost.is_set():
                # What another process does that finds the lock stale.
                put(theirs, release / lock)
                while not lost.is_set():
                    try:
                        still_held()
                    except KamisukiError:
                        lost.set()
                    time.sleep(0.01)

        hub.mischief = taken_over
        with pytest.raises(KamisukiError, match="took this output over"):
            push(release, hub, Wish(limits=Limits(files=2)), still_held=still_held)
        assert lost.is_set()
        assert hub.commits == 2, "the commit under way, and none behind it"
    close_session()
