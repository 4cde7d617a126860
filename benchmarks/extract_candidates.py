"""The extractors that benchmarks/extract.py compares, each in a child process that a bad page cannot take along.

A child speaks JSON lines: first {"ready": true} or {"missing": why}; then for each list of {"html", "url"} one of
{"text", "seconds"} or {"error"} for every page. The pages of a list are read one behind the other with nothing between
them, as an extractor runs over pages. Seconds are of CPU, taken in the child around the extractor alone: on a busy
machine wall time holds the turns of others, which slow extractors wait for in every page and fast ones hardly ever.

    python -m benchmarks.extract_candidates NAME     serves one candidate
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Extract = Callable[[str, str | None], str]

ROOT = Path(__file__).resolve().parents[1]
NODE_MODULES = Path("build/node")
NODE_PACKAGES = "@mozilla/readability@0.6 linkedom@0.18"
READABILITY = "readability.js"
PAGE_SECONDS = 20.0
# Imports and compilation on a loaded machine.
START_SECONDS = 300.0

# jusText counts stop words between spaces, of which Japanese and Chinese have none, and ships no list for them: there
# the density test is off and its lengths of 70 and 200 letters are scaled, as one such letter says what about three
# Latin ones do.
SPACELESS = frozenset({"ja", "zh", "yue", "wuu", "th"})
SPACELESS_OPTIONS = {"length_low": 20, "length_high": 60, "stopwords_low": 0.0, "stopwords_high": 0.0}
# ISO 639-1 to the names of jusText's lists; other languages are read with the English one.
STOPLISTS = {
    "ar": "Arabic",
    "cs": "Czech",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "ko": "Korean",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
}


def _kamisuki() -> Extract:
    from pipeline.web.main_text import extract

    return lambda html, url: extract(html).text


def _trafilatura(fast: bool) -> Extract:
    from trafilatura import extract

    return lambda html, url: extract(html, url=url, include_comments=False, fast=fast) or ""


def _resiliparse() -> Extract:
    from resiliparse.extract.html2text import extract_plain_text

    # Descriptions of images are on by default since 2.0 and in no gold text.
    return lambda html, url: extract_plain_text(html, main_content=True, alt_texts=False)


def _justext() -> Extract:
    from justext import core, get_stoplist

    from pipeline.web.language import identify

    stoplists = {language: get_stoplist(name) for language, name in STOPLISTS.items()}
    usual = {
        "length_low": core.LENGTH_LOW_DEFAULT,
        "length_high": core.LENGTH_HIGH_DEFAULT,
        "stopwords_low": core.STOPWORDS_LOW_DEFAULT,
        "stopwords_high": core.STOPWORDS_HIGH_DEFAULT,
    }

    def extract(html: str, url: str | None) -> str:
        page = html.encode("utf-8", "replace")
        tree = core.preprocessor(core.html_to_dom(page, core.DEFAULT_ENCODING, "utf-8", core.DEFAULT_ENC_ERRORS))
        paragraphs = core.ParagraphMaker.make_paragraphs(tree)
        language, _ = identify(" ".join(paragraph.text for paragraph in paragraphs))
        spaceless = language in SPACELESS
        core.classify_paragraphs(
            paragraphs,
            frozenset() if spaceless else stoplists.get(language, stoplists["en"]),
            max_link_density=core.MAX_LINK_DENSITY_DEFAULT,
            no_headings=core.NO_HEADINGS_DEFAULT,
            **(SPACELESS_OPTIONS if spaceless else usual),
        )
        core.revise_paragraph_classification(paragraphs, core.MAX_HEADING_DISTANCE_DEFAULT)
        return "\n".join(paragraph.text for paragraph in paragraphs if not paragraph.is_boilerplate)

    return extract


LOADERS: dict[str, Callable[[], Extract]] = {
    "kamisuki": _kamisuki,
    "trafilatura": lambda: _trafilatura(fast=False),
    "trafilatura-fast": lambda: _trafilatura(fast=True),
    "resiliparse": _resiliparse,
    "justext": _justext,
}
NAMES = (*LOADERS, READABILITY)


class Unavailable(Exception):
    """A candidate that cannot run here, with the reason."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The text of a page, empty with a failure's reason, and its seconds: of CPU, or of wall where the child died."""

    text: str
    seconds: float
    failure: str | None = None


def command_of(name: str, node_modules: Path) -> list[str]:
    """What starts a candidate's child. Raises Unavailable where Node or its packages are not there."""
    if name != READABILITY:
        return [sys.executable, "-m", "benchmarks.extract_candidates", name]
    node = shutil.which("node")
    if node is None:
        raise Unavailable("there is no node on the PATH")
    if not (node_modules / "node_modules").is_dir():
        raise Unavailable(f"no packages: npm install --prefix {node_modules} {NODE_PACKAGES}")
    return [node, str(Path(__file__).with_name("extract_readability.mjs")), str(node_modules.resolve())]


class Candidate:
    """One extractor in its child, which is killed at the time limit and started again for the next page."""

    def __init__(self, name: str, node_modules: Path, page_seconds: float = PAGE_SECONDS) -> None:
        """Start the child. Raises Unavailable when it cannot serve."""
        self.name = name
        self.page_seconds = page_seconds
        self._command = command_of(name, node_modules)
        self._process = self._start()

    def __call__(self, html: str, url: str | None) -> Outcome:
        """Extract one page; any failure is an outcome with a reason."""
        return self.turn([(html, url)])[0]

    def turn(self, pages: Sequence[tuple[str, str | None]]) -> list[Outcome]:
        """Extract pages one behind the other. Where the child dies or takes too long, each of them has failed."""
        if self._process.poll() is not None:
            self._process = self._start()
        request = json.dumps([{"html": html, "url": url or None} for html, url in pages]) + "\n"
        limit = self.page_seconds * len(pages)
        started = time.perf_counter()
        replies = self._exchange(request, limit)
        elapsed = time.perf_counter() - started
        if replies is None:
            self._end()
            failure = f"over {limit:g} s" if elapsed >= limit else "its process died"
            return [Outcome("", elapsed / len(pages), failure)] * len(pages)
        return [Outcome(reply.get("text", ""), reply["seconds"], reply.get("error")) for reply in replies]

    def close(self) -> None:
        """End the child."""
        self._end()

    def _start(self) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=environment,
        )
        greeting = self._exchange(None, START_SECONDS)
        if not greeting or "ready" not in greeting:
            self._end()
            raise Unavailable(greeting["missing"] if greeting else f"`{' '.join(self._command)}` does not start")
        return self._process

    def _exchange(self, request: str | None, seconds: float) -> Any:
        """One reply, or None when the child died or had to be killed."""
        assert self._process.stdin is not None and self._process.stdout is not None
        alarm = threading.Timer(seconds, self._process.kill)
        alarm.start()
        try:
            if request is not None:
                self._process.stdin.write(request)
                self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            return None
        finally:
            alarm.cancel()
        return json.loads(line) if line.endswith("\n") else None

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            # What the dead child did not read is of no use to anybody.
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def serve(name: str) -> None:
    """A child's work, until standard input ends."""
    # Libraries print; only replies may reach the parent.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(reply: Any) -> None:
        replies.write(json.dumps(reply) + "\n")
        replies.flush()

    try:
        extract = LOADERS[name]()
        extract("<html><body><article><p>紙を漉く。</p></article></body></html>", None)
    except ImportError as error:
        send({"missing": str(error)})
        return
    send({"ready": True})
    for line in sys.stdin:
        outcomes: list[dict[str, Any]] = []
        for page in json.loads(line):
            started = time.process_time()
            try:
                outcome = {"text": extract(page["html"], page["url"])}
            except Exception as error:  # noqa: BLE001 - whatever an extractor raises is counted as its failure
                outcome = {"error": f"{type(error).__name__}: {error}"[:200]}
            outcomes.append(outcome | {"seconds": time.process_time() - started})
        send(outcomes)


if __name__ == "__main__":
    serve(sys.argv[1])
