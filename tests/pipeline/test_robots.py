"""robots.txt as of the crawl: captures of WARC files decide pages by site, path and date, end to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from pipeline.entry_pack import load_entries
from pipeline.recipe import find_recipe, load_recipe
from pipeline.run import Run
from pipeline.run_folder import read_run
from pipeline.runner import InProcessRunner
from tests.pipeline.conftest import Quiet, run_cli, table_bytes, table_rows

TEXT = "紙を漉く朝は冷たく、桶の水には薄い氷が張っていました。職人は簀桁を静かに揺らして、繊維をそろえていきます。"
REFUSING = b"User-agent: GPTBot\nDisallow: /\n"


@dataclass(frozen=True)
class Capture:
    """A stored response."""

    url: str
    date: str
    status: str = "200 OK"
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "text/plain"


def write_warc(path: Path, captures: Sequence[Capture]) -> Path:
    with open(path, "wb") as file:
        writer = WARCWriter(file, gzip=True)
        for number, capture in enumerate(captures):
            headers = [("Content-Type", capture.content_type), *capture.headers]
            record = writer.create_warc_record(
                capture.url,
                "response",
                payload=BytesIO(capture.body),
                http_headers=StatusAndHeaders(capture.status, headers, protocol="HTTP/1.1"),
                warc_headers_dict={
                    "WARC-Date": capture.date,
                    "WARC-Record-ID": f"<urn:uuid:00000000-0000-4000-8000-{number:012d}>",
                },
            )
            writer.write_record(record)
    return path


def page(url: str, date: str) -> Capture:
    """A Japanese page; its text is its own, so that no other is its duplicate."""
    html = f"<html lang=ja><title>{url}</title><article><p>{TEXT}</p><p>{url}で{TEXT}</p></article></html>"
    return Capture(url, date, body=html.encode(), content_type="text/html; charset=utf-8")


def robots(url: str, date: str, body: bytes = b"", status: str = "200 OK", **more: str) -> Capture:
    return Capture(url, date, status, body, tuple((name.title(), value) for name, value in more.items()))


OLD, MIDDLE, NEW = "2022-01-01T00:00:00Z", "2023-06-01T00:00:00Z", "2024-05-01T00:00:00Z"
BETWEEN, LATE = "2023-01-01T00:00:00Z", "2024-06-01T00:00:00Z"

# Page, its date, and what must come out: robots, words of its evidence, robots_latest, words of its evidence.
CASES: list[tuple[str, str, str, str, str, str]] = [
    # Three captures: nothing refused, a folder refused, all refused.
    ("https://dated.example/a/1", BETWEEN, "allowed", "no rule refuses", "refused", "gptbot: disallow: /"),
    ("https://dated.example/b/1", "2023-12-01T00:00:00Z", "allowed", "no rule refuses", "refused", "gptbot"),
    ("https://dated.example/a/2", "2023-12-01T00:00:00Z", "refused", "gptbot: disallow: /a/", "refused", "gptbot"),
    ("https://dated.example/a/3", LATE, "refused", "gptbot: disallow: /", "refused", "gptbot: disallow: /"),
    # Before the first capture, the first one counts; at the very moment of one, that one.
    ("https://dated.example/a/0", "2021-01-01T00:00:00Z", "allowed", "no rule refuses", "refused", "gptbot"),
    ("https://dated.example/a/4", MIDDLE, "refused", "gptbot: disallow: /a/", "refused", "gptbot"),
    # A site is a scheme, a host and a port.
    ("http://dated.example/a/1", LATE, "unknown", "no capture", "unknown", "no capture"),
    ("https://dated.example:8443/a/1", LATE, "allowed", "status 404", "allowed", "status 404"),
    ("https://dated.example:443/a/5", LATE, "refused", "gptbot", "refused", "gptbot"),
    ("https://other.example/", LATE, "unknown", "no capture", "unknown", "no capture"),
    # Patterns, groups and the longest match.
    ("https://paths.example/private/x", LATE, "refused", "*: disallow: /private/", "refused", "*"),
    ("https://paths.example/private/open/x", LATE, "allowed", "no rule refuses", "allowed", ""),
    ("https://paths.example/x.cgi?page=2", LATE, "refused", "*: disallow: /*.cgi?", "refused", "*"),
    ("https://paths.example/end", LATE, "refused", "*: disallow: /end$", "refused", "*"),
    ("https://paths.example/end/of", LATE, "allowed", "no rule refuses", "allowed", ""),
    ("https://paths.example/%E7%B4%99/1", LATE, "refused", "*: disallow: /紙/", "refused", "*"),
    ("https://paths.example/bot/1", LATE, "refused", "ccbot: disallow: /bot/", "refused", "ccbot"),
    ("https://paths.example/search/1", LATE, "allowed", "no rule refuses", "allowed", ""),
    # Signals beside the rules, by the longest path.
    ("https://signals.example/1", LATE, "refused", "*: content-signal: ai-train=no", "refused", "ai-train=no"),
    ("https://usage.example/1", LATE, "refused", "*: content-usage: train-ai=n", "refused", "train-ai=n"),
    ("https://usage.example/ai-ok/1", LATE, "allowed", "content-usage: /ai-ok/ train-ai=y", "allowed", "train-ai=y"),
    ("https://usage.example/odd/1", LATE, "allowed", "train-ai=perhaps (not understood)", "allowed", "no rule refuses"),
    # Answers without rules.
    ("https://gone.example/1", LATE, "allowed", "status 410", "allowed", "status 410"),
    ("https://broken.example/1", LATE, "unknown", "status 503", "unknown", "status 503"),
    # Redirects: to https, to www, onwards to a page; in a circle; away; to nowhere.
    ("http://moved.example/1", LATE, "refused", "by https://www.moved.example/robots.txt: gptbot", "refused", "gptbot"),
    ("https://home.example/1", LATE, "allowed", "by https://home.example/: no rule refuses", "allowed", ""),
    ("https://circle.example/1", LATE, "unknown", "more than 5 redirects", "unknown", "redirects"),
    ("https://away.example/1", LATE, "unknown", "by https://elsewhere.example/robots.txt: no capture", "unknown", ""),
    ("https://nowhere.example/1", LATE, "unknown", "status 301 without a place to go", "unknown", ""),
    ("https://odd.example/1", LATE, "unknown", "status 302 without a place to go", "unknown", ""),
    # Bytes of all kinds.
    ("https://bom.example/1", LATE, "refused", "gptbot: disallow: /", "refused", "gptbot"),
    ("https://huge.example/1", LATE, "allowed", "no rule refuses", "allowed", ""),
    ("https://huge.example/early", LATE, "refused", "gptbot: disallow: /early", "refused", ""),
    ("https://sjis.example/%8E%86/1", LATE, "refused", "gptbot: disallow: /%8E%86/", "refused", ""),
    ("https://junk.example/1", LATE, "allowed", "no rule refuses", "allowed", ""),
    ("https://soft.example/1", LATE, "allowed", "no rule refuses", "allowed", ""),
    ("https://damaged.example/1", LATE, "unknown", "not read: bad_content_encoding", "unknown", "not read"),
]

FIRST = [
    robots("https://dated.example/robots.txt", OLD, b"User-agent: *\nAllow: /\n"),
    robots("https://dated.example/robots.txt", NEW, REFUSING),
    robots("https://dated.example:8443/robots.txt", OLD, status="404 Not Found", body=REFUSING),
    robots(
        "https://paths.example/robots.txt",
        OLD,
        "User-agent: *\nDisallow: /private/\nAllow: /private/open/\nDisallow: /*.cgi?\nDisallow: /end$\n"
        "Disallow: /紙/\nUser-agent: CCBot\nDisallow: /bot/ # ours\n"
        "User-agent: Googlebot\nDisallow: /search/\n".encode(),
    ),
    robots(
        "https://signals.example/robots.txt", OLD, b"User-agent: *\nContent-Signal: search=yes,ai-train=no\nAllow: /"
    ),
    robots(
        "https://usage.example/robots.txt",
        OLD,
        b"User-Agent: *\nAllow: /\nContent-Usage: / train-ai=n\nContent-Usage: /ai-ok/ train-ai=y\n"
        b"Content-Usage: /odd/ train-ai=perhaps\n",
    ),
    robots("https://gone.example/robots.txt", OLD, status="410 Gone"),
    robots("https://broken.example/robots.txt", OLD, status="503 Service Unavailable", body=REFUSING),
    robots("http://moved.example/robots.txt", OLD, status="301 Moved", location="https://moved.example/robots.txt"),
    robots("https://home.example/robots.txt", OLD, status="302 Found", location="/"),
    Capture("https://home.example/", OLD, body=b"<html>Disallow: /", content_type="text/html"),
    robots("https://circle.example/robots.txt", OLD, status="301 Moved", location="robots.txt"),
    robots("https://away.example/robots.txt", OLD, status="301 Moved", location="https://elsewhere.example/robots.txt"),
    robots("https://nowhere.example/robots.txt", OLD, status="301 Moved"),
    robots("https://odd.example/robots.txt", OLD, status="302 Found", location="http://[::1/robots.txt"),
]
SECOND = [
    robots("https://dated.example/robots.txt", MIDDLE, b"User-agent: GPTBot\nDisallow: /a/\n"),
    robots("https://moved.example/robots.txt", OLD, status="308 Moved", location="//www.moved.example/robots.txt"),
    robots("https://www.moved.example/robots.txt", OLD, REFUSING),
    robots("https://bom.example/robots.txt", OLD, b"\xef\xbb\xbf" + REFUSING),
    robots(
        "https://huge.example/robots.txt",
        OLD,
        b"User-agent: GPTBot\nDisallow: /early\n" + b"Disallow: /x\n" * 40_000 + b"Disallow: /\n" * 10,
    ),
    robots("https://sjis.example/robots.txt", OLD, "User-agent: GPTBot # 紙\nDisallow: /紙/\n".encode("cp932")),
    robots("https://junk.example/robots.txt", OLD, bytes(range(256)) * 40),
    Capture("https://soft.example/robots.txt", OLD, body=b"<html><p>Not here</p></html>", content_type="text/html"),
    robots(
        "https://damaged.example/robots.txt", OLD, b"\x1f\x8b\x08\x00" + b"\xff" * 40, **{"content-encoding": "gzip"}
    ),
    robots("ftp://ftp.example/robots.txt", OLD, REFUSING),
]
OVERRIDES = ("dedup=null", "select.rules=[]", "annotate.ng_words=[]")


@pytest.fixture(scope="module")
def warcs(tmp_path_factory) -> dict[str, list[Path]]:
    folder = tmp_path_factory.mktemp("warcs")
    pages = [page(url, date) for url, date, *_ in CASES]
    return {
        "input": [write_warc(folder / f"pages-{part}.warc.gz", pages[part::3]) for part in range(3)],
        "robots": [write_warc(folder / f"robots-{part}.warc.gz", each) for part, each in enumerate((FIRST, SECOND))],
    }


def run_with(out: Path, warcs: dict[str, list[Path]], *overrides: str, **more: str) -> Run:
    job = Run(load_recipe(find_recipe("demo"), (*OVERRIDES, *overrides)), out, InProcessRunner(), Quiet())
    job.execute([str(path) for path in warcs["input"]], robots=[str(path) for path in warcs["robots"]], **more)
    return job


@pytest.fixture(scope="module")
def asked(warcs, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("asked")
    run_with(out, warcs)
    return out


@pytest.mark.parametrize(("url", "date", "verdict", "words", "latest", "latest_words"), CASES)
def test_captures_decide_by_site_path_and_date(asked, url, date, verdict, words, latest, latest_words):
    (row,) = [row for row in table_rows(asked, "corpus") if row["url"] == url and f"{row['fetched_at']:%FT%TZ}" == date]
    assert (row["robots"], row["robots_latest"]) == (verdict, latest)
    assert words in row["robots_evidence"]
    assert latest_words in row["robots_latest_evidence"]
    assert (row["robots_fetched_at"] is None) is (words == "no capture")


def test_the_date_of_the_capture_stands_beside_the_verdict(asked):
    rows = {row["url"]: row for row in table_rows(asked, "corpus")}
    found = rows["https://dated.example/a/2"]
    assert found["robots_fetched_at"] == datetime(2023, 6, 1, tzinfo=UTC)
    assert found["robots_latest_fetched_at"] == datetime(2024, 5, 1, tzinfo=UTC)


def test_the_table_of_captures_holds_what_was_answered(asked):
    rows = table_rows(asked, "robots")
    assert len(rows) == len(FIRST) + len(SECOND) - 1
    by_host = {row["host"]: row for row in rows}
    assert by_host["home.example"]["path"] == "/" and by_host["home.example"]["text"] == ""
    assert by_host["broken.example"]["text"] == "" and by_host["broken.example"]["http_status"] == 503
    assert by_host["bom.example"]["text"] == REFUSING.decode()
    assert by_host["huge.example"]["cut"] and len(by_host["huge.example"]["text"]) <= 500 * 1024
    assert by_host["huge.example"]["text"].endswith("\n")
    assert not by_host["bom.example"]["cut"]
    entries = load_entries(asked / read_run(asked)["recipes"]["demo"]["tables"]["robots"])
    assert sum(entry.rejected.get("no_web_url", 0) for entry in entries) == 1
    assert all(entry.balance() == 0 for entry in entries)


def kept(out: Path) -> set[str]:
    return {f"{row['url']} {row['fetched_at']:%FT%TZ}" for row in table_rows(out, "corpus")}


@pytest.mark.parametrize(("column", "place"), [("robots", 2), ("robots_latest", 4)])
def test_a_rule_drops_as_of_the_crawl_or_retroactively(asked, warcs, column, place):
    job = run_with(asked, warcs, f"select.rules=[{{signal: {column}, none_of: [refused]}}]", "name=dropping")
    assert {line.split(":")[0] for line in job.progress.lines if "shards," in line} <= {"select", "plan", "robots-plan"}
    assert kept(asked) == {f"{case[0]} {case[1]}" for case in CASES if case[place] != "refused"}
    reasons = {row["reason"] for row in table_rows(asked, "rejects")}
    assert reasons == {f"{column}_not_allowed"}


def test_only_what_was_expressly_allowed_can_be_kept(asked, warcs):
    run_with(asked, warcs, "select.rules=[{signal: robots, any_of: [allowed]}]", "name=allowed")
    assert kept(asked) == {f"{case[0]} {case[1]}" for case in CASES if case[2] == "allowed"}


@pytest.mark.parametrize(
    ("agents", "url", "verdict"),
    [
        ("common-crawl", "https://dated.example/a/3", "allowed"),
        ("common-crawl", "https://paths.example/bot/1", "refused"),
        ("[Googlebot]", "https://paths.example/search/1", "refused"),
        ("[Googlebot]", "https://paths.example/bot/1", "allowed"),
        ("hplt", "https://paths.example/bot/1", "refused"),
        ("listed", "https://dated.example/a/3", "refused"),
    ],
)
def test_the_recipe_says_whose_rules_count_and_select_alone_is_done_anew(asked, warcs, agents, url, verdict):
    job = run_with(asked, warcs, f"select.robots.agents={agents}", "name=agents")
    assert {line.split(":")[0] for line in job.progress.lines if "shards," in line} <= {"select", "plan", "robots-plan"}
    (row,) = [row for row in table_rows(asked, "corpus") if row["url"] == url]
    assert row["robots"] == verdict


def test_the_recipe_says_what_an_unreachable_robots_txt_means(asked, warcs):
    run_with(asked, warcs, "select.robots.unreachable=refused", "name=strict")
    rows = {row["url"]: row["robots"] for row in table_rows(asked, "corpus")}
    assert rows["https://broken.example/1"] == "refused" and rows["https://other.example/"] == "unknown"


def test_the_bytes_do_not_depend_on_order_or_partitions(asked, warcs, tmp_path, monkeypatch):
    from pipeline import robots_verdicts

    monkeypatch.setattr(robots_verdicts, "BYTES_PER_PARTITION", 20_000)
    run_with(tmp_path, {kind: paths[::-1] for kind, paths in warcs.items()})
    steps = table_bytes(tmp_path)
    assert len(steps) > 8
    assert steps.items() <= table_bytes(asked).items()


def test_a_capture_that_comes_later_changes_the_verdicts_and_no_document(warcs, tmp_path):
    run_with(tmp_path, warcs | {"robots": warcs["robots"][:1]})
    documents = {path: path.stat().st_mtime_ns for path in tmp_path.glob("documents-*/*")}
    before = {(row["url"], row["fetched_at"]): row["robots"] for row in table_rows(tmp_path, "corpus")}
    run_with(tmp_path, warcs | {"input": []})
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("documents-*/*")} == documents
    after = {(row["url"], row["fetched_at"]): row["robots"] for row in table_rows(tmp_path, "corpus")}
    changed = {url for url, date in before if before[url, date] != after[url, date]}
    assert {"https://dated.example/a/2", "https://bom.example/1"} <= changed
    assert "https://dated.example/b/1" not in changed


def test_without_captures_the_columns_are_null_and_a_rule_on_them_is_an_error(warcs, tmp_path, monkeypatch, capsys):
    run_with(tmp_path, warcs | {"robots": []})
    rows = table_rows(tmp_path, "corpus")
    assert rows and all(row["robots"] is None and row["robots_latest_fetched_at"] is None for row in rows)
    arguments = ["run", "demo", "--out", str(tmp_path), "--workers", "0"]
    arguments += ["--set", "select.rules=[{signal: robots, none_of: [refused]}]"]
    code, _, errors = run_cli(monkeypatch, capsys, *arguments)
    assert code == 2 and "--robots" in errors


def test_the_command_takes_captures_and_explain_and_status_tell_of_them(warcs, tmp_path, monkeypatch, capsys):
    arguments = ["run", "demo", "--out", str(tmp_path), "--workers", "0", "--set", "dedup=null"]
    arguments += ["--set", "select.rules=[{signal: robots_latest, none_of: [refused]}]"]
    for kind in ("input", "robots"):
        pattern = warcs[kind][0].parent / f"{'pages' if kind == 'input' else 'robots'}-*.warc.gz"
        arguments += [f"--{kind}", str(pattern)]
    code, printed, errors = run_cli(monkeypatch, capsys, *arguments)
    assert code == 0, errors
    assert "robots_latest_not_allowed" in printed
    code, printed, _ = run_cli(monkeypatch, capsys, "explain", str(tmp_path), "https://dated.example/a/2")
    assert code == 0
    assert "robots.txt as of the fetch: refused (gptbot: disallow: /a/, captured 2023-06-01 00:00)" in printed
    assert "robots.txt by its newest capture: refused (gptbot: disallow: /, captured 2024-05-01 00:00)" in printed
    assert "judge: rejected as robots_latest_not_allowed" in printed
    code, printed, _ = run_cli(monkeypatch, capsys, "status", str(tmp_path))
    assert code == 0 and "robots verdicts" in printed and "2/2" in printed
    code, printed, _ = run_cli(monkeypatch, capsys, "path", str(tmp_path), "robots")
    assert code == 0 and Path(printed.strip()).is_dir()


def test_a_robots_file_that_is_no_warc_is_an_error_that_names_it(warcs, tmp_path):
    from pipeline.steps import Incomplete

    bad = tmp_path / "robots.warc.gz"
    bad.write_bytes(b"User-agent: *\n")
    with pytest.raises(Incomplete, match=r"robots.warc.gz: no WARC"):
        run_with(tmp_path / "out", warcs | {"robots": [bad]})
