"""The sandbox: a page costs itself at most, and its answer depends on nothing but the page and the limits."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.web import sandbox as module
from pipeline.web.sandbox import EXTRACTOR_VERSION, Extraction, ExtractionFailure, Limits, Sandbox

ROOT = Path(__file__).parents[2]
REAL_PAGES = sorted((ROOT.parent / "shared" / "data" / "dev" / "pages" / "ja").glob("*.html"))[:20]
needs_real_pages = pytest.mark.skipif(not REAL_PAGES, reason="the shared test data is absent")

SENTENCE = "和紙は楮や三椏などの繊維を水に散らし、簀で漉いて作られる。①㈱髙島屋のような字も、～もそのまま残る。"


def page(body: str, head: str = "") -> str:
    return f"<!DOCTYPE html><html lang='ja'><head><title>紙漉きの話</title>{head}</head><body>{body}</body></html>"


ARTICLE = page(
    "<nav><a href='/'>ホーム</a> <a href='/a'>案内</a></nav>"
    f"<article><h1>紙漉きの話</h1>{''.join(f'<p>第{n}段落。{SENTENCE}</p>' for n in range(5))}</article>",
    '<meta property="article:published_time" content="2024-03-01T10:00:00+09:00">',
)
SMALL = page("<p>小さな頁です。</p><p>それだけです。</p>")
# Half a second of work or more, on any machine of this decade.
SLOW = page("".join(f"<p>第{n}段落。<b>{SENTENCE}</b><a href='/{n}'>続き</a></p>" for n in range(8_000)))


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(Limits()) as sandbox:
        yield sandbox


def child_of(sandbox: Sandbox) -> int:
    assert sandbox.process is not None
    return sandbox.process.pid


def wait_until(what: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        time.sleep(0.01)
    return what()


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_a_japanese_page(shared: Sandbox) -> None:
    found = shared.extract(ARTICLE, "http://example.jp/", "2024-05-17")
    assert isinstance(found, Extraction)
    assert found.title == "紙漉きの話" and found.date == "2024-03-01"
    assert found.text.count(SENTENCE) == 5 and "案内" not in found.text
    assert found.extractor == f"trafilatura {EXTRACTOR_VERSION}"
    assert found.text == "\n".join(line.rstrip() for line in found.text.split("\n"))


def test_a_date_after_the_fetch_is_none(shared: Sandbox) -> None:
    found = shared.extract(ARTICLE, None, "2024-02-29")
    assert isinstance(found, Extraction) and found.date is None
    assert shared.extract(ARTICLE, None, None) == shared.extract(ARTICLE, None, "2024-03-01")


@pytest.mark.parametrize(("written", "expected"), [("2019 Mar 12:00", "2019-03-01"), ("2019", None)])
def test_an_incomplete_date_takes_nothing_from_today(shared: Sandbox, written: str, expected: str | None) -> None:
    found = shared.extract(
        page(f"<p>{SENTENCE * 3}</p><p>終</p>", f'<meta name="date" content="{written}">'), None, None
    )
    assert isinstance(found, Extraction) and found.date == expected


@pytest.mark.parametrize("before", ["", "\ufeff", "\n"])
def test_an_xml_declaration_does_no_harm(shared: Sandbox, before: str) -> None:
    declared = f'{before}<?xml version="1.0" encoding="Shift_JIS"?>{ARTICLE}'
    assert shared.extract(declared, None, None) == shared.extract(ARTICLE, None, None)


def test_text_is_free_of_nul_and_half_pairs(shared: Sandbox) -> None:
    found = shared.extract(page(f"<p>前\0後{SENTENCE}</p><p>\ud83d 𠮷野家</p>"), "http://[bad\0\ud800", "いつか")
    assert isinstance(found, Extraction)
    assert "前後" in found.text and "𠮷野家" in found.text
    found.text.encode()


@pytest.mark.parametrize("empty", ["", " ", "<html></html>", page(""), "text", "\0"])
def test_pages_without_text_say_so(shared: Sandbox, empty: str) -> None:
    found = shared.extract(empty, None, None)
    assert isinstance(found, ExtractionFailure) and found.reason == "no_text"


def test_deep_nesting_is_survived(shared: Sandbox) -> None:
    deep = page("<div>" * 50_000 + SENTENCE + "</div>" * 50_000)
    assert isinstance(shared.extract(deep, None, None), Extraction | ExtractionFailure)
    assert isinstance(shared.extract(ARTICLE, None, None), Extraction)


def test_the_limit_of_cpu_time_ends_a_page_and_no_other() -> None:
    with Sandbox(Limits(cpu_seconds=0.3)) as sandbox:
        found = sandbox.extract(SLOW, None, None)
        assert isinstance(found, ExtractionFailure) and found.reason == "extraction_cpu_limit"
        assert isinstance(sandbox.extract(SMALL, None, None), Extraction)


def test_the_limit_of_memory_ends_a_page_and_no_other() -> None:
    with Sandbox(Limits(memory_bytes=30_000_000)) as sandbox:
        assert isinstance(sandbox.extract(SMALL, None, None), Extraction)
        for huge in (page("<p>紙</p>" * 400_000), page("紙" * 20_000_000)):
            found = sandbox.extract(huge, None, None)
            assert isinstance(found, ExtractionFailure) and found.reason == "extraction_memory_limit"
        assert isinstance(sandbox.extract(SMALL, None, None), Extraction)


def test_a_child_that_does_not_answer_is_given_up() -> None:
    with Sandbox(Limits(wall_seconds=1.0)) as sandbox:
        assert isinstance(sandbox.extract(SMALL, None, None), Extraction)
        os.kill(child_of(sandbox), signal.SIGSTOP)
        found = sandbox.extract(SLOW, None, None)
        assert isinstance(found, ExtractionFailure) and found.reason == "extraction_wall_limit"


def test_killing_the_child_between_pages_changes_nothing(shared: Sandbox) -> None:
    expected = shared.extract(ARTICLE, None, None)
    before = child_of(shared)
    os.kill(before, signal.SIGKILL)
    assert shared.extract(ARTICLE, None, None) == expected
    assert child_of(shared) != before


def kill_while_busy(sandbox: Sandbox, times: int) -> threading.Thread:
    """Kills the child in the middle of a page, and its successors, `times` in all."""

    def kill() -> None:
        killed: set[int] = set()
        while len(killed) < times:
            process, busy = sandbox.process, sandbox._pages == 1
            if process is not None and busy and process.pid not in killed:
                time.sleep(0.1)
                process.kill()
                killed.add(process.pid)
            time.sleep(0.005)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


def test_killing_the_child_during_a_page_changes_nothing(shared: Sandbox) -> None:
    busy = SLOW[: len(SLOW) // 4]
    expected = shared.extract(busy, None, None)
    with Sandbox(Limits()) as sandbox:
        killer = kill_while_busy(sandbox, times=1)
        assert sandbox.extract(busy, None, None) == expected
        killer.join(60)
        assert isinstance(expected, Extraction) and not killer.is_alive()


def test_a_page_that_ends_its_child_twice_is_given_up() -> None:
    with Sandbox(Limits()) as sandbox:
        kill_while_busy(sandbox, times=2)
        found = sandbox.extract(SLOW, None, None)
        assert found == ExtractionFailure("extractor_crashed", "signal SIGKILL")
        assert isinstance(sandbox.extract(SMALL, None, None), Extraction)


@needs_real_pages
def test_answers_depend_on_neither_order_nor_restarts(shared: Sandbox) -> None:
    pages = [path.read_bytes().decode("utf-8", "replace") for path in REAL_PAGES]
    expected = [shared.extract(one, None, "2024-05-17") for one in pages]
    assert sum(isinstance(one, Extraction) for one in expected) > 15
    with Sandbox(Limits(pages_per_child=8)) as sandbox:
        again = [sandbox.extract(one, None, "2024-05-17") for one in reversed(pages)]
    assert again[::-1] == expected


def test_close_ends_the_child_and_the_sandbox_can_start_again() -> None:
    sandbox = Sandbox(Limits())
    sandbox.close()
    assert isinstance(sandbox.extract(SMALL, None, None), Extraction)
    first = child_of(sandbox)
    sandbox.close()
    sandbox.close()
    assert is_gone(first)
    assert isinstance(sandbox.extract(SMALL, None, None), Extraction)
    second = child_of(sandbox)
    del sandbox
    assert wait_until(lambda: is_gone(second))


def test_the_child_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pipeline.web.sandbox import Limits, Sandbox\nsandbox = Sandbox(Limits())\n"
        "sandbox.extract('', None, None)\nprint(sandbox.process.pid, flush=True)\ntime.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=tmp_path, env=environment
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not is_gone(child)
        parent.kill()
    assert wait_until(lambda: is_gone(child))


def test_a_sandbox_that_cannot_start_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match=r"does not start.*sandbox_child"):
        Sandbox(Limits()).extract(SMALL, None, None)


def test_the_parent_does_not_import_the_extractor() -> None:
    code = "import sys, pipeline.web.sandbox\nprint(sorted({'trafilatura', 'lxml', 'htmldate'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True).stdout == b"[]\n"
    )
