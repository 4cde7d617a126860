"""The request cache: what was put is found again, is on disk within a second, and nothing bad is kept."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.rewriting.client import Answer, RequestCache
from pipeline.rewriting.client import cache as cache_module


def answer(key: str, text: str = "text", **more: object) -> Answer:
    values = {"finish_reason": "stop", "tokens_in": 3, "tokens_out": 4, "seconds": 0.5, "endpoint": "http://x/v1"}
    return Answer(key, text, **{**values, "reason": None, "from_cache": False, **more})  # type: ignore[arg-type]


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(st.text("abc", min_size=1), st.text(st.characters(exclude_categories=("Cs",))), max_size=20))
def test_what_was_put_comes_back_with_all_it_has(tmp_path_factory: pytest.TempPathFactory, texts: dict) -> None:
    path = tmp_path_factory.mktemp("cache") / "requests.sqlite"
    put = {key: answer(key, text, tokens_estimated=len(text) % 2 == 0) for key, text in texts.items()}
    with RequestCache(path) as cache:
        for each in put.values():
            cache.put(each)
        before = cache.get_many([*texts, "missing"])
    with RequestCache(path) as cache:
        assert len(cache) == len(put)
        after = cache.get_many([*texts, "missing"])
    assert before == after
    assert set(after) == set(put)
    for key, found in after.items():
        assert found.from_cache
        for name in ("text", "finish_reason", "tokens_in", "tokens_out", "seconds", "endpoint", "tokens_estimated"):
            assert getattr(found, name) == getattr(put[key], name)


def test_it_is_on_disk_without_being_closed(tmp_path: Path) -> None:
    path = tmp_path / "requests.sqlite"
    with RequestCache(path) as cache:
        cache.put(answer("a"))
        for _ in range(500):
            with sqlite3.connect(path) as other:
                (count,) = other.execute("select count(*) from answers").fetchone()
            if count:
                break
            time.sleep(0.01)
        assert count == 1


def test_many_go_in_one_commit(tmp_path: Path) -> None:
    path = tmp_path / "requests.sqlite"
    with RequestCache(path, commit_seconds=60) as cache:
        for n in range(2_000):
            cache.put(answer(f"{n}"))
        with sqlite3.connect(path) as other:
            assert other.execute("select count(*) from answers").fetchone() == (0,)
        cache.flush()
        with sqlite3.connect(path) as other:
            assert other.execute("select count(*) from answers").fetchone() == (2_000,)
        # More than one statement can ask for.
        assert len(cache.get_many([f"{n}" for n in range(3_000)])) == 2_000


@pytest.mark.parametrize("reason", ["wrong_schema", "answer_cut", "server_error"])
def test_a_bad_answer_is_not_kept(tmp_path: Path, reason: str) -> None:
    with RequestCache(tmp_path / "requests.sqlite") as cache:
        with pytest.raises(ValueError, match=reason):
            cache.put(answer("a", reason=reason))
        with pytest.raises(ValueError):
            cache.put(answer("a", text=None))  # type: ignore[arg-type]
        assert cache.get("a") is None


def test_what_is_deleted_is_gone_from_the_disk(tmp_path: Path) -> None:
    secret = "住所は東京都千代田区"
    with RequestCache(tmp_path / "requests.sqlite") as cache:
        cache.put(answer("a", secret))
        cache.put(answer("b", "kept"))
        assert cache.delete(["a", "missing"]) == 1
        assert cache.get("a") is None and cache.get("b") is not None
        for file in tmp_path.iterdir():
            assert secret.encode() not in file.read_bytes()


def test_answers_are_forgotten_by_the_document_that_they_are_about(tmp_path: Path) -> None:
    path = tmp_path / "requests.sqlite"
    filler = "紙を漉いて板に張って乾かす。" * 40
    with RequestCache(path) as cache:
        cache.note_documents((f"d{n}", f"k{n}") for n in range(300))
        cache.note_documents([("twin", "k0")])
        for n in range(300):
            cache.put(answer(f"k{n}", f"{filler}印{n:04}"))
        cache.flush()
        assert cache.forget_documents([]) == 0 and len(cache) == 300
        assert cache.forget_documents([f"d{n}" for n in range(0, 300, 3)]) == 99
        content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        for n in range(300):
            stays = n % 3 != 0 or n == 0
            assert (cache.get(f"k{n}") is not None) == stays
            assert (f"印{n:04}".encode() in content) == stays
        assert cache.forget_documents(["twin"]) == 1 and cache.get("k0") is None


def test_answers_of_which_nobody_knows_whom_they_are_about_go_with_the_first_document(tmp_path: Path) -> None:
    path = tmp_path / "requests.sqlite"
    with RequestCache(path) as cache:
        cache.put(answer("old"))
        cache.flush()
        with sqlite3.connect(path) as other:
            other.execute("drop table about")
            other.execute("pragma user_version = 1")
    with RequestCache(path) as cache:
        assert cache.get("old") is not None
        cache.note_documents([("d", "new")])
        cache.put(answer("new"))
        assert cache.forget_documents(["another"]) == 1
        assert cache.get("old") is None and cache.get("new") is not None


def test_several_workers_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "requests.sqlite"

    def work(name: str) -> None:
        with RequestCache(path, commit_seconds=0.01) as cache:
            for n in range(100):
                cache.put(answer(f"{name}-{n}"))
                cache.put(answer(f"both-{n}"))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with RequestCache(path) as cache:
        assert len(cache) == 500


def test_several_workers_open_a_new_file_at_once(tmp_path: Path) -> None:
    for round_ in range(40):
        together = threading.Barrier(6)

        def work(path: Path, together: threading.Barrier) -> None:
            together.wait()
            RequestCache(path).close()

        with ThreadPoolExecutor(6) as pool:
            opened = [pool.submit(work, tmp_path / f"{round_}.sqlite", together) for _ in range(6)]
        assert [future.exception() for future in opened] == [None] * 6


def test_a_file_that_another_program_holds_is_told_from_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_BUSY_SECONDS", 0.1)
    path = tmp_path / "requests.sqlite"
    with closing(sqlite3.connect(path)) as other:
        other.execute("begin exclusive")
        with pytest.raises(UsageError, match="held by another program"):
            RequestCache(path)


def test_another_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database at all, but long enough to be looked into" * 20)
    with pytest.raises(UsageError, match="name another file"):
        RequestCache(tmp_path / "notes.txt")
    with sqlite3.connect(tmp_path / "newer.sqlite") as newer:
        newer.execute("pragma user_version = 99")
    with pytest.raises(UsageError, match="another version"):
        RequestCache(tmp_path / "newer.sqlite")


def test_a_disk_that_takes_nothing_stops_the_run(tmp_path: Path) -> None:
    path = tmp_path / "requests.sqlite"
    cache = RequestCache(path, commit_seconds=0.01)
    with sqlite3.connect(path) as other:
        other.execute("drop table answers")
    cache.put(answer("a"))
    with pytest.raises(UsageError, match="cannot be written"):
        cache.flush()
    with pytest.raises(UsageError, match="cannot be written"):
        cache.put(answer("b"))
    with pytest.raises(UsageError, match="cannot be written"):
        cache.close()
