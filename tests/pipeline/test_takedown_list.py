"""The takedown list: what a request names, and that no run lets a document back in that the list of OUT names."""

from __future__ import annotations

import datetime
import json

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.entry_pack import load_entries
from pipeline.errors import UsageError
from pipeline.report.explain import explain
from pipeline.report.funnel import funnel
from pipeline.rewriting.client import RequestCache
from pipeline.schemas import DOCUMENTS
from pipeline.takedown_list import (
    TAKEDOWNS,
    TAKEN_DOWN,
    Request,
    Takedowns,
    comparable_url,
    make_request,
    published_reason,
    read_requests,
    remember_requests,
    requests_digest,
    together,
)
from tests.pipeline.conftest import SAMPLE, execute, run_cli, table_bytes, table_rows
from tests.pipeline.rewriting_runs import made_out, model, rewrite, written_recipe
from tests.rewriting.scripted_server import ScriptedServer

TODAY = datetime.date(2026, 11, 26)


def request(kind, value, **more) -> Request:
    return make_request(kind, value, TODAY, "asked for by its owner", **more)


def row(**columns) -> dict:
    return dict.fromkeys(DOCUMENTS.names) | {"id": "one", "text": "本文"} | columns


def named(requests: list[Request], *rows: dict) -> list[bool]:
    batch = pa.RecordBatch.from_pylist(list(rows), schema=DOCUMENTS)
    return [number >= 0 for number in Takedowns(requests).find(batch)]


@pytest.mark.parametrize(
    ("asked", "url"),
    [
        ("https://a.example/page", "http://A.EXAMPLE:80/page#top"),
        ("http://a.example./page", "https://a.example/page"),
        ("https://a.example", "https://a.example/?"),
        ("https://a.example/%7Euser/%e3%81%82", "https://a.example/~user/あ"),
        ("https://日本語.example/", "https://xn--wgv71a119e.example/"),
        ("https://XN--WGV71A119E.example/", "https://日本語.example./"),
        ("https://a.example/?q=日本", "https://a.example/?q=%E6%97%A5%e6%9c%ac"),
    ],
)
def test_one_page_under_two_spellings_is_one(asked, url):
    assert named([request("url", asked)], row(url=url)) == [True]
    assert named([request("url", url)], row(url=asked)) == [True]
    assert named([request("url", asked)], row(url="https://other.example/", canonical_url=url)) == [True]


@pytest.mark.parametrize(
    ("asked", "url"),
    [
        ("https://a.example/page", "https://a.example/page/"),
        ("https://a.example/page", "https://a.example/Page"),
        ("https://a.example/page", "https://a.example/page?id=1"),
        ("https://a.example/page", "https://www.a.example/page"),
        ("https://a.example/page", "https://a.example:8080/page"),
        ("https://a.example/a%2Fb", "https://a.example/a/b"),
        ("https://a.example/?q=%83%41", "https://a.example/?q=A"),
    ],
)
def test_pages_that_a_server_may_tell_apart_are_two(asked, url):
    assert named([request("url", asked)], row(url=url)) == [False]


def test_a_host_means_itself_and_what_stands_below_it():
    hosts = ["a.example", "www.a.example", "x.y.a.example", "ba.example", "example", "a.example.org", None]
    rows = [row(host=host, url=None if host is None else f"https://{host}/") for host in hosts]
    assert named([request("host", "A.example.")], *rows) == [True, True, True, False, False, False, False]
    alone = [True, False, False, False, False, False, False]
    assert named([request("host", "a.example", subdomains=False)], *rows) == alone


def test_a_host_has_two_forms_and_a_page_two_hosts():
    rows = [row(host=host) for host in ("日本語.example", "xn--wgv71a119e.example", "www.日本語.example")]
    assert named([request("host", "日本語.example")], *rows) == [True] * 3
    assert named([request("host", "xn--wgv71a119e.example")], *rows) == [True] * 3
    mirror = row(host="mirror.example", url="https://mirror.example/1", canonical_url="https://a.example/1")
    assert named([request("host", "a.example")], mirror) == [True]
    # Rows of other makers may have no host.
    assert named([request("host", "a.example")], row(url="http://a.example:81/")) == [True]


def test_since_spares_what_was_fetched_before():
    days = [datetime.datetime(2024, 5, day, 23, 59, tzinfo=datetime.UTC) for day in (1, 2, 3)]
    rows = [row(host="a.example", url="https://a.example/", fetched_at=day) for day in [*days, None]]
    since = datetime.date(2024, 5, 2)
    for asked in (("host", "a.example"), ("url", "https://a.example/")):
        assert named([request(*asked, since=since)], *rows) == [False, True, True, True]
    both = [request("host", "a.example", since=since), request("url", "https://a.example/")]
    assert named(both, *rows) == [True] * 4


def test_a_row_made_of_others_goes_with_one_of_them():
    table = pa.table({"id": ["r1", "r2", "r3"], "source_ids": pa.array([["a", "b"], [], None], pa.list_(pa.string()))})
    assert Takedowns([request("id", "b")]).find(table).tolist() == [0, -1, -1]
    assert Takedowns([request("id", "r3")]).find(table).tolist() == [-1, -1, 0]
    assert Takedowns([request("id", "zz")]).find(table, {"a": 0}).tolist() == [0, -1, -1]


HOSTS = st.sampled_from(["a.example", "www.a.example", "b.example", "日本.example", "xn--wgv71a.example"])
ADDRESSES = st.builds(lambda name, path: f"https://{name}/{path}", HOSTS, st.text(max_size=6))
REQUESTS = st.lists(
    st.one_of(
        st.builds(lambda url: request("url", url), ADDRESSES),
        st.builds(lambda name: request("host", name), HOSTS),
        st.builds(lambda key: request("id", key), st.sampled_from("abc")),
    ),
    max_size=6,
)


@given(REQUESTS, st.lists(st.tuples(ADDRESSES, st.sampled_from("abcdef")), max_size=8))
def test_many_requests_find_what_each_alone_does(requests, pages):
    rows = pa.RecordBatch.from_pylist([row(id=key, url=url) for url, key in pages], schema=DOCUMENTS)
    alone = [Takedowns([each]).find(rows) >= 0 for each in requests]
    for place, number in enumerate(Takedowns(requests).find(rows)):
        assert number == next((index for index, each in enumerate(alone) if each[place]), -1)
    for place, (url, _) in enumerate(pages):
        assert named([request("url", url)], row(url=url)) == [True], place


def test_ids_from_elsewhere_name_rows_where_nothing_is_listed():
    rows = pa.table({"id": ["a", "b"], "source_ids": [["c"], ["x", "d"]]})
    assert Takedowns([]).find(rows, {"d": 0, "a": 0}).tolist() == [0, 0]
    assert Takedowns([]).find(rows, {}).tolist() == [-1, -1]


def test_a_list_with_a_line_twice_still_grows(tmp_path):
    line = '{"date": "2026-11-26", "reason": "x", "kind": "id", "value": "a"}\n'
    (tmp_path / TAKEDOWNS).write_text(line * 3)
    assert remember_requests(tmp_path, [request("id", "b"), request("id", "a")]) == [request("id", "b")]
    assert {each.value for each in read_requests(tmp_path)} == {"a", "b"}


@given(st.text(max_size=20), st.sampled_from(["A.example", "日本.example", "x-y.co.jp"]), st.text(max_size=20))
def test_a_reason_that_is_published_names_neither_host_nor_url(before, name, after):
    for kind, value in (("host", name), ("url", f"https://{name}/p?q=1")):
        asked = Request(date=TODAY, reason=f"{before} {value} {after}", kind=kind, value=value)
        published = published_reason(asked)
        assert name.lower() not in published.lower() and "://" not in published.removeprefix(before)
        assert published.encode()


@given(st.text(), st.sampled_from(["", "http://", "https://a.example/", "https://日本.example/?"]))
def test_no_text_breaks_the_comparison(text, start):
    comparable_url(start + text)


@given(REQUESTS)
def test_a_list_comes_back_as_it_was(tmp_path_factory, requests):
    folder = tmp_path_factory.mktemp("list")
    new = remember_requests(folder, requests)
    assert read_requests(folder) == together(requests) == new
    assert remember_requests(folder, requests) == []
    assert requests_digest(read_requests(folder)) == requests_digest(list(reversed(new)))
    assert (requests_digest(requests) is None) == (not requests)


@pytest.mark.parametrize(
    ("kind", "value", "repair"),
    [
        ("url", "a.example/page", "with its scheme"),
        ("url", "htps://a.example/page", "with its scheme"),
        ("url", " ", "leave it out"),
        ("host", "https://a.example/", "its name alone"),
        ("host", "jp", "name the hosts"),
        ("host", "co.jp", "name the hosts"),
        ("host", "ＣＯ.jp", "name the hosts"),
    ],
)
def test_what_would_name_nothing_or_too_much_is_refused(kind, value, repair):
    with pytest.raises(UsageError, match=repair):
        request(kind, value)
    with pytest.raises(UsageError, match="leave --since out"):
        request("id", "one", since=TODAY)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 2, is no JSON"),
        ('{"date": "2026-11-26", "reason": "", "kind": "page", "value": "x"}', "line 2.*kind"),
        ('{"date": "2026-11-26", "reason": "", "kind": "host", "value": "co.jp"}', "name the hosts"),
    ],
)
def test_a_damaged_list_is_an_error_that_names_the_line(tmp_path, line, says):
    remember_requests(tmp_path, [request("id", "one")])
    with open(tmp_path / TAKEDOWNS, "a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(UsageError, match=says):
        read_requests(tmp_path)


@pytest.fixture(scope="module")
def listed_run(tmp_path_factory):
    """The sample's run without a list and, beside it, one with a list of a page, a copy's survivor and a host."""
    out = tmp_path_factory.mktemp("listed") / "out"
    execute(out, [SAMPLE])
    corpus, duplicates = table_rows(out, "corpus"), table_rows(out, "duplicates")
    survivor = next(row for row in duplicates if row["kept_url"] != row["url"])
    host = next(row["host"] for row in corpus if row["id"] != survivor["kept_id"])
    requests = [request("id", survivor["kept_id"]), request("host", host)]
    tables = table_bytes(out)
    remember_requests(out, requests)
    job = execute(out, [SAMPLE])
    return out, tables, corpus, survivor, host, job


def test_the_list_keeps_documents_out_and_counts_them(listed_run):
    out, _, corpus, survivor, host, job = listed_run
    gone = {row["id"] for row in corpus if row["id"] == survivor["kept_id"] or row["host"] == host}
    after, rejects = table_rows(out, "corpus"), table_rows(out, "rejects")
    assert gone and [row for row in corpus if row["id"] not in gone] == after
    taken = [row for row in rejects if row["reason"] == TAKEN_DOWN]
    assert gone <= {row["id"] for row in taken}
    assert {row["detail"] for row in taken} == {f"host {host}", f"id {survivor['kept_id']}"}
    step = next(step for step in funnel(out, job.tables) if step.name == TAKEN_DOWN)
    assert step.removed and step.pages == len(taken)
    url = next(row["url"] for row in corpus if row["host"] == host)
    story, by = list(explain(out, url)), next(row["detail"] for row in taken if row["url"] == url)
    assert f"  takedown: the list of takedowns names it by {by}" in story and "  corpus: not in it" in story


def test_a_copy_of_what_was_taken_down_does_not_take_its_place(listed_run):
    out, _, _, survivor, _, _ = listed_run
    assert survivor["id"] not in {row["id"] for row in table_rows(out, "corpus")}


def test_only_the_last_folders_are_made_anew(listed_run):
    out, before, _, _, _, _ = listed_run
    after = table_bytes(out)
    assert {name: after[name] for name in before} == before
    assert {name.split("-")[0] for name in after.keys() - before.keys()} == {"corpus", "rejects"}


def test_a_run_takes_a_list_and_keeps_it(tmp_path, parts, monkeypatch, capsys):
    out, listed = tmp_path / "out", tmp_path / "mine.jsonl"
    listed.write_text(json.dumps({"date": "2026-11-26", "reason": "asked", "kind": "host", "value": "example.jp"}))
    common = ["run", "demo", "--workers", "0", "--out", str(out), "--input", str(parts[0])]
    assert run_cli(monkeypatch, capsys, *common, "--takedowns", str(listed))[0] == 0
    assert [each.value for each in read_requests(out)] == ["example.jp"]
    first = table_rows(out, "corpus")
    assert not any((row["host"] or "").endswith("example.jp") for row in first)
    code, said, _ = run_cli(monkeypatch, capsys, *common)
    assert code == 0 and "nothing to do" in said and table_rows(out, "corpus") == first
    code, _, error = run_cli(monkeypatch, capsys, *common, "--takedowns", str(tmp_path / "none"))
    assert code == 2 and "there is no takedown list" in error


def test_rewriting_does_not_begin_with_what_is_listed(tmp_path):
    out = made_out(tmp_path / "out", {"a": "一つ目の文章。", "b": "二つ目の文章。", "c": "三つ目の文章。"})
    (tmp_path / "write-v1.txt").write_text("=== user\n書き直す：{text}\n", encoding="utf-8")
    asked: list[str] = []
    with ScriptedServer(otherwise=model(lambda said: asked.append(said) or "書き直した文章。")) as server:
        recipe = written_recipe(tmp_path, [{"name": "written", "ask": {"prompt": "write-v1.txt"}}], server.url)
        before = rewrite(out, recipe).tables["rows"]
        assert len(asked) == 3
        remember_requests(out, [request("url", "http://a.example/a")])
        job = rewrite(out, recipe)
    assert len(asked) == 3, "what stays is answered from the cache"
    assert job.tables["rows"] != before
    entries = load_entries(out / job.tables["rows"])
    assert (sum(entry.read for entry in entries), sum(entry.written for entry in entries)) == (3, 2)
    assert [entry.rejected for entry in entries if entry.rejected] == [{TAKEN_DOWN: 1}]
    rows = ds.dataset(sorted(map(str, (out / job.tables["rewritten_mine_written"]).glob("*.parquet")))).to_table()
    assert sorted(rows.column("source_ids").to_pylist()) == [["b"], ["c"]]
    with RequestCache(next((out / "answers").glob("*-0.sqlite"))) as known:
        # Two documents of one shard got the same answer, each to its own request.
        assert known.forget_documents(["a"]) == 1 and len(known) == 1
