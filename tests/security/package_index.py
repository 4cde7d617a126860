"""Hold the locked releases against the package index itself: whether each still stands there, with its files, unyanked.

A release that its makers took back ("yanked", PEP 592) is often one with a hole. The index says so in its own pages
(PEP 691), where no list of vulnerabilities can be reached.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INDEX = "https://pypi.org/simple"
ACCEPT = "application/vnd.pypi.simple.v1+json"
SECONDS_A_PAGE, PAGES_AT_ONCE, TRIES = 30, 8, 3
FINDINGS = YANKED, GONE, OTHER_FILES = ("taken-back", "gone-from-index", "files-not-of-index")
_RELEASE = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class Unreachable(Exception):
    """The index, the list of vulnerabilities, or the program that asks for it cannot be had here."""


@dataclass(frozen=True)
class Release:
    """A locked release and the SHA-256 digests of the files that the lock allows."""

    name: str
    version: str
    hashes: frozenset[str]


def locked_releases(lock: Path) -> Iterator[Release]:
    """The releases of a lock file as uv writes it. Raises ValueError for one without hashes."""
    for block in re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8")):
        found = _RELEASE.match(block)
        if found:
            hashes = frozenset(_HASH.findall(block))
            if not hashes:
                raise ValueError(f"{lock.name}: {found[1]} {found[2]} is locked without a hash")
            yield Release(re.sub(r"[-_.]+", "-", found[1]).lower(), found[2], hashes)


def audit_index(locks: Sequence[Path], index: str = INDEX) -> dict[str, Any]:
    """What the index says of every locked release, in the form of pip-audit's report. Raises Unreachable."""
    releases = sorted({release for lock in locks for release in locked_releases(lock)}, key=lambda one: one.name)
    names = sorted({release.name for release in releases})
    with ThreadPoolExecutor(PAGES_AT_ONCE) as pool:
        pages = dict(zip(names, pool.map(lambda name: _page(index, name), names)))
    return {"dependencies": [_found(release, pages[release.name]) for release in releases]}


def _page(index: str, name: str) -> list[dict[str, Any]]:
    """The files of a project as the index lists them; none where it does not know the project."""
    request = urllib.request.Request(f"{index}/{name}/", headers={"Accept": ACCEPT})
    for left in reversed(range(TRIES)):
        try:
            with urllib.request.urlopen(request, timeout=SECONDS_A_PAGE) as answer:
                files: list[dict[str, Any]] = json.load(answer)["files"]
                return files
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            reason = f"{index} answers {error.code} for {name}"
        except (OSError, ValueError, KeyError) as error:
            reason = f"{index} does not answer as a package index for {name}: {error}"
        if not left:
            raise Unreachable(reason)
    raise AssertionError


def _found(release: Release, files: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A release beside its files of the index."""
    ours = [file for file in files if file["hashes"].get("sha256") in release.hashes]
    finding = {}
    if not ours:
        finding = {"id": GONE}
    elif len(ours) < len(release.hashes):
        finding = {"id": OTHER_FILES, "told": f"{len(ours)} of {len(release.hashes)}"}
    elif all(file.get("yanked") for file in ours):
        reason = ours[0]["yanked"]
        finding = {"id": YANKED, "told": "no reason given" if reason is True else " ".join(reason.split())[:200]}
    return {"name": release.name, "version": release.version, "vulns": [finding] if finding else []}
