"""A release on S3 is pushed through scratch: the same files arrive, and nothing of it is left on this machine."""

from __future__ import annotations

from collections import Counter

import pytest
from huggingface_hub.utils import close_session

from pipeline.errors import KamisukiError
from pipeline.release.push import ledger
from pipeline.release.push.ledger import read_entries
from pipeline.release.push.plan import Limits
from pipeline.release.push.pushing import Wish
from pipeline.storage.places import put
from tests.pipeline.loopback import made_bucket, moto_server
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
