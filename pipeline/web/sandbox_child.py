"""The sandbox's child process: runs a parser on one page after the other, confined and within limits.

Started by pipeline.web.sandbox as a file of its own, so that it imports nothing of the project but `confinement.py`.
Frames on its standard input: two lengths (4 bytes each, big-endian), a JSON object {url, fetched_on}, the page in
UTF-8. On its standard output: one length, a JSON object. The first frame says that it is ready, or why it cannot be.
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import functools
import importlib.util
import json
import os
import re
import resource
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

REQUEST_HEADER = struct.Struct(">II")
REPLY_HEADER = struct.Struct(">I")
# Below this many characters the main text is thought to have been missed, and all visible text is tried.
SHORT_TEXT = 50
LATEST_DATE = "2100-01-01"
CONFINEMENT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "confinement.py")

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_XML_DECLARATION = re.compile(r"\A[\ufeff\s]{0,100}<\?xml[^>]{0,1000}>")
_SPACE_AT_LINE_END = re.compile(r"[^\S\n]+$", re.MULTILINE)

OUT_OF_MEMORY = {
    "reason": "extraction_memory_limit",
    "detail": "the page needs more memory than the limit",
    "grown": True,
}

Extract = Callable[[str, str | None, str | None], dict[str, Any]]


def main() -> None:
    """Serve pages until standard input ends.

    Arguments: CPU seconds a page, bytes of memory beyond the libraries', and a parser's file if it is not trafilatura.
    """
    cpu_seconds, memory_bytes = float(sys.argv[1]), int(sys.argv[2])
    requests, replies = take_over_pipes()
    die_with_parent()
    extract = load_parser(sys.argv[3]) if len(sys.argv) > 3 else load_extractor()
    extract("<html><body><p>紙</p><p>漉</p></body></html>", None, None)
    baseline = address_space("VmSize")
    limit_resources(baseline + memory_bytes)
    confinement = load_file("confinement", CONFINEMENT)
    try:
        confinement.confine_this_process()
    except confinement.CannotConfine as error:
        send(replies, {"unconfined": str(error)})
        return
    send(replies, {"ready": True})
    while header := requests.read(REQUEST_HEADER.size):
        # The signal's default action ends the process even inside a library's compiled code.
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        reply = answer(extract, requests, header)
        signal.setitimer(signal.ITIMER_PROF, 0)
        # The extractor catches errors of memory here and there and goes on with less: a page that came close to the
        # limit is judged in a process that saw no other page.
        if address_space("VmPeak") - baseline > memory_bytes // 2:
            reply = dict(OUT_OF_MEMORY) if "reason" in reply else {**reply, "grown": True}
        send(replies, reply)
        if reply["grown"]:
            # The parent starts another; and when memory was short, the rest of the request may not have been read.
            return


def answer(extract: Extract, requests: BinaryIO, header: bytes) -> dict[str, Any]:
    """Read the rest of one request and run the extractor; any error of its own becomes a failure with a reason."""
    try:
        options_bytes, page_bytes = REQUEST_HEADER.unpack(header)
        options = json.loads(requests.read(options_bytes))
        page = requests.read(page_bytes).decode("utf-8", "replace")
        return {**extract(page, options["url"], options["fetched_on"]), "grown": False}
    except MemoryError:
        return dict(OUT_OF_MEMORY)
    except Exception as error:  # noqa: BLE001 - whatever somebody else's parser raises costs this page only
        return {"reason": "extractor_error", "detail": f"{type(error).__name__}: {error}"[:200], "grown": False}


def take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The protocol's two ends; what libraries print, or read, goes nowhere."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    return requests, replies


def send(replies: BinaryIO, reply: dict[str, Any]) -> None:
    """Write one frame."""
    try:
        content = json.dumps(reply).encode()
    except MemoryError:
        content = json.dumps(OUT_OF_MEMORY).encode()
    replies.write(REPLY_HEADER.pack(len(content)) + content)
    replies.flush()


def die_with_parent() -> None:
    """End with the parent, be the first choice of the kernel's memory killer, and leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Containers may forbid this; it only makes the choice better.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def address_space(name: str) -> int:
    """VmSize (now) or VmPeak of this process, in bytes (proc_pid_status(5))."""
    with open("/proc/self/status", "rb") as file:
        for line in file:
            if line.startswith(name.encode() + b":"):
                return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {name}")


def limit_resources(address_space_bytes: int) -> None:
    """No more memory than this, no core files, no written files."""
    resource.setrlimit(resource.RLIMIT_AS, (address_space_bytes, address_space_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def load_file(name: str, path: str) -> Any:
    """The module that a file is, which needs nothing of the project."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_parser(path: str) -> Extract:
    """The function `extract` of a file."""
    extract: Extract = load_file("parser", path).extract
    return extract


def load_extractor() -> Extract:
    """Import trafilatura, which takes a second, and make its answers depend on the page alone."""
    import htmldate.extractors
    import trafilatura
    from dateutil.parser import parse

    # "2019 Mar 12:00" would take its day from the day on which the extractor runs.
    htmldate.extractors.dateutil_parse = functools.partial(parse, default=datetime.datetime(1, 1, 1))
    version = trafilatura.__version__

    def extract(page: str, url: str | None, fetched_on: str | None) -> dict[str, Any]:
        # lxml refuses text that declares its encoding as bytes do, and cuts it at NUL.
        page = _XML_DECLARATION.sub("", page, count=1).replace("\0", "")
        dates = {"original_date": True, "extensive_search": False, "max_date": fetched_on or LATEST_DATE}
        document: Any = trafilatura.bare_extraction(
            page,
            url=url,
            include_comments=False,
            include_tables=True,
            deduplicate=False,
            with_metadata=True,
            date_extraction_params=dates,
        )
        text, extractor = clean(document.text if document else None), f"trafilatura {version}"
        if len(text) < SHORT_TEXT:
            all_text = clean(trafilatura.html2txt(page))
            if len(all_text) > len(text):
                text, extractor = all_text, f"trafilatura {version} html2txt"
        if not text:
            return {"reason": "no_text", "detail": ""}
        title = clean(document.title if document else None).replace("\n", " ")
        return {
            "text": text,
            "title": title or None,
            "date": document.date if document else None,
            "extractor": extractor,
        }

    return extract


def clean(text: str | None) -> str:
    """Text without NUL, half surrogate pairs and white space at the ends of its lines; newlines stay."""
    storable = (text or "").replace("\0", "").encode("utf-8", "replace").decode("utf-8")
    return _SPACE_AT_LINE_END.sub("", storable).strip()


if __name__ == "__main__":
    main()
